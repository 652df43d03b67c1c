"""Which backbone should I take? The same head on each, judged on the same pictures."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from core import catalog, charts, queue, ranking, words
from core.datasets import Dataset
from core.queue import Job
from core.ranking import Ranked, Ranking
from pages.components import dataset as dataset_view
from pages.components import job as job_view
from pages.components import shell
from pages.components.csv_file import csv_button
from pages.components.dataset import SplitChoice, SplitSummary
from pages.components.figure import figure
from pages.components.text import language, percent, plain, t, told, when

KEY = "backbone_ranking"


def show_ranking(dataset: Dataset, split: SplitSummary) -> None:
    """Offer to rank backbones for a dataset, show how that goes, and what the last ranking found."""
    job = queue.latest(shell.workspace(), kind="rank", dataset_id=dataset.id)
    panel = st.expander(
        t("ranking.title"),
        icon=":material/leaderboard:",
        key=KEY,
        on_change="rerun",
        expanded=job is not None and job.state != "done",
    )
    if not panel.open:
        return
    with panel:
        st.markdown(t("ranking.what"))
        if job is not None and job.state != "done":
            job_view.watch(job.id, lambda job: _draw(job), lambda: _created(dataset))
        if job is None or not job.active:
            _offer(dataset, split)
        if found := ranking.load(shell.workspace(), dataset.id):
            _age(dataset, split, found)
            _result(dataset, found)
            if found.missing and (job is None or not job.active):
                _stopped(found)


def _created(dataset: Dataset) -> int:
    """Return how many backbones have been judged so far."""
    found = ranking.load(shell.workspace(), dataset.id)
    return len(found.entries) if found else 0


def _draw(job: Job) -> None:
    if job.active:
        job_view.progress(job, cancel_help=t("ranking.cancel_help"))
    else:
        job_view.outcome(job)


def _offer(dataset: Dataset, split: SplitSummary) -> None:
    """Draw the choice of backbones, those whose weights are on this computer chosen already, and the button."""
    offered = [spec for spec in catalog.CATALOG.values() if not spec.hidden]
    statuses = {spec.name: catalog.weights_status(spec) for spec in offered}
    offered.sort(key=lambda spec: (not statuses[spec.name].ready, spec.gmacs))

    def label(name: str) -> str:
        status = statuses[name]
        title = catalog.CATALOG[name].title
        return (
            title
            if status.ready
            else f"{title}  ·  {t('backbone.download', mb=f'{status.download_mb:,.0f}')}"
        )

    names = st.multiselect(
        t("ranking.which"),
        [spec.name for spec in offered],
        default=[spec.name for spec in offered if statuses[spec.name].ready],
        format_func=label,
        key=f"ranking_backbones_{dataset.id}",
        help=t("ranking.which_help"),
    )
    st.button(
        t("ranking.start", n=len(names)),
        key="rank_backbones",
        icon=":material/leaderboard:",
        disabled=not names,
        on_click=_submit,
        args=(dataset, names, split),
    )


def _submit(dataset: Dataset, names: list[str], split: SplitSummary) -> None:
    with shell.errors():
        queue.submit_ranking(shell.workspace(), dataset.id, names, **split.chosen)


def _age(dataset: Dataset, split: SplitSummary, found: Ranking) -> None:
    """Say when the ranking was made, whether it still is about today's pictures, and which networks it leaves out."""
    ago = job_view.duration(max(0.0, time.time() - found.created))
    st.caption(t("ranking.made", when=when(found.created), ago=ago))
    now = dataset_view.fingerprint(dataset, SplitChoice(**split.chosen), without_test=True)
    if found.fingerprint and found.fingerprint != now:
        st.warning(t("ranking.other_pictures"), icon=":material/history:")
    known = {*found.missing, *(entry.backbone for entry in found.entries)}
    ready = [
        spec.title
        for spec in catalog.CATALOG.values()
        if not spec.hidden and spec.name not in known and catalog.weights_status(spec).ready
    ]
    if ready:
        st.caption(told(words.sentence("ranking.left_out", n=len(ready), names=words.listed(ready))))


def _result(dataset: Dataset, found: Ranking) -> None:
    titles = {name: spec.title for name, spec in catalog.CATALOG.items()}
    if said := ranking.advice(found, titles):
        st.markdown(f"**{told(said)}**")
    for entry in found.entries:
        if entry.error:
            name = titles.get(entry.backbone, entry.backbone)
            st.warning(f"{plain(name)}: {plain(entry.error)}", icon=":material/error:")
    if not found.judged:
        return
    if len(found.judged) > 1:
        _chart(found, titles)
    _table(dataset, found, titles)
    some = found.num_available > found.num_images
    counts = {"n": found.num_images, "total": f"{found.num_available:,}", "folds": found.num_folds}
    st.caption(t("ranking.means_some", **counts) if some else t("ranking.means", **counts))


def _stopped(found: Ranking) -> None:
    """Say which backbones were not reached, as the ranking was stopped."""
    titles = [catalog.CATALOG[name].title if name in catalog.CATALOG else name for name in found.missing]
    st.caption(told(words.sentence("ranking.missing", n=len(titles), names=words.listed(titles))))


def _chart(found: Ranking, titles: dict[str, str]) -> None:
    points = pd.DataFrame(
        {
            "name": [titles[entry.backbone] for entry in found.judged],
            "x": [entry.ms_per_image for entry in found.judged],
            "y": [entry.accuracy for entry in found.judged],
            "low": [entry.low for entry in found.judged],
            "high": [entry.high for entry in found.judged],
            "kind": [
                t("ranking.as_good") if entry.is_as_good else t("ranking.less_good") for entry in found.judged
            ],
        }
    )
    best = found.judged[0]
    alt = t("ranking.alt", n=len(points), best=titles[best.backbone], accuracy=percent(best.accuracy))
    drawn = charts.cost_scatter(points, t("ranking.time_axis"), t("ranking.accuracy"), language(), named=True)
    figure(drawn, "ranking_chart", alt)


def _table(dataset: Dataset, found: Ranking, titles: dict[str, str]) -> None:
    """Draw a row for each judged backbone; the chosen one can be taken for the training."""
    rows = pd.DataFrame([_row(entry, titles) for entry in found.judged])
    event = st.dataframe(
        rows,
        hide_index=True,
        key="ranking_table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "backbone": t("training.backbone"),
            "accuracy": st.column_config.NumberColumn(t("ranking.accuracy"), format="%.1f %%"),
            "interval": t("ranking.interval"),
            "behind": st.column_config.TextColumn(t("ranking.behind"), help=t("ranking.behind_help")),
            "ms": st.column_config.NumberColumn(
                t("ranking.time"), format="%.1f ms", help=t("ranking.time_help")
            ),
            "mb": st.column_config.NumberColumn(t("ranking.size"), format="%.0f MB"),
        },
        alt=t("ranking.table_alt"),
    )
    csv_button(_for_csv(found), f"ranking-{dataset.id}", key="ranking_csv")
    chosen = event["selection"]["rows"]
    if chosen:
        entry = found.judged[chosen[0]]
        st.button(
            t("ranking.take", name=plain(titles[entry.backbone])),
            key="take_backbone",
            icon=":material/check:",
            on_click=_take,
            args=(dataset, entry.backbone),
        )


def _row(entry: Ranked, titles: dict[str, str]) -> dict[str, object]:
    behind = ""
    if entry.behind is not None:
        value, low, high = (f"{100 * part:.1f}" for part in entry.behind)
        behind = t("ranking.behind_value", value=value, low=low, high=high)
    return {
        "backbone": titles[entry.backbone],
        "accuracy": 100 * entry.accuracy,
        "interval": t("ranking.interval_value", low=percent(entry.low), high=percent(entry.high)),
        "behind": behind,
        "ms": entry.ms_per_image,
        "mb": entry.size_mb,
    }


def _for_csv(found: Ranking) -> pd.DataFrame:
    """Return the figures themselves: shares 0…1, milliseconds and megabytes; nothing is behind the first."""
    rows = [
        {name: getattr(entry, name) for name in ("backbone", "accuracy", "low", "high")}
        | dict(zip(("behind", "behind_low", "behind_high"), entry.behind or (), strict=False))
        | {"ms_per_image": entry.ms_per_image, "size_mb": entry.size_mb}
        for entry in found.judged
    ]
    columns = ("accuracy", "low", "high", "behind", "behind_low", "behind_high", "ms_per_image", "size_mb")
    return pd.DataFrame(rows, columns=["backbone", *columns])


def _take(dataset: Dataset, backbone: str) -> None:
    """Choose a backbone in the form above."""
    st.session_state[f"training_backbone_{dataset.id}"] = backbone
