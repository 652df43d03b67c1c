"""All runs: filtered, chosen, named, tagged, put aside, deleted; and what they reach for what they take."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, datasets, runs
from core.runs import Labels, Run
from pages.components import address, shell
from pages.components import dataset as dataset_view
from pages.components.choice import choice, follow, keep, pick
from pages.components.csv_file import csv_button
from pages.components.figure import figure
from pages.components.run_facts import delete_button, recipe_name, state_name
from pages.components.text import language, plain, t

COSTS = ("training", "latency")
COMPARED = "compared"
"""Name in the URL of the chosen runs: their ids, parted by commas."""


def run_list() -> list[Run]:
    """Draw the list and what can be done with the chosen ones; return the runs that were chosen."""
    everything = runs.list_runs(shell.workspace())
    if not everything:
        dataset_view.ask_for_one(t("runs.empty"))
        return []
    labels = {run.id: runs.labels(shell.workspace(), run.id) for run in everything}
    names = shell.run_names(everything)
    shown = _filtered(everything, labels)
    if not shown:
        st.caption(t("runs.none"))
        address.leave_as_it_is("runs")
        return []
    samples = {dataset.id: dataset.sample for dataset in datasets.list_datasets(shell.workspace())}
    table = pd.DataFrame(
        [_row(run, names[run.id], labels[run.id].tags, samples.get(run.dataset_id, "")) for run in shown]
    )
    if table["original"].isna().all():
        table = table.drop(columns=["original"])
    st.caption(t("runs.choose"))
    chosen = _chosen(table, shown)
    csv_button(table, "runs", key="runs_csv")
    if len(chosen) == 1:
        _actions(chosen[0], labels[chosen[0].id])
    _scatter(shown, names)
    return chosen


def _chosen(table: pd.DataFrame, shown: list[Run]) -> list[Run]:
    """Draw the table; return the runs that are chosen in it, which stand in the URL by their ids.

    Streamlit keeps a choice by the places of the rows. So a list of other runs, or in another order, is another table,
    which begins with those of the runs in the URL that are in it.
    """
    in_url = st.query_params.get(COMPARED, "")
    if in_url != st.session_state.get(f"_written_{COMPARED}", ""):  # a link, or the way back, was followed
        st.session_state["_links_to_runs"] = st.session_state.get("_links_to_runs", 0) + 1
    wanted = [row for row, run in enumerate(shown) if run.id in in_url.split(",")]
    picked = st.dataframe(
        table,
        hide_index=True,
        key=f"all_runs_{_fingerprint(shown)}_{st.session_state.get('_links_to_runs', 0)}",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": wanted}},
        placeholder="–",
        column_config=_columns(),
        alt=t("runs.title"),
    )
    chosen = [shown[row] for row in picked["selection"]["rows"] if row < len(shown)]
    keep(COMPARED, ",".join(run.id for run in chosen))
    return chosen


def _fingerprint(shown: Sequence[Run]) -> str:
    return hashlib.sha256(",".join(run.id for run in shown).encode()).hexdigest()[:16]


def _filtered(everything: list[Run], labels: dict[str, Labels]) -> list[Run]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        follow("runs_search", str)
        words = st.text_input(t("runs.search"), key="runs_search", width=260, help=t("runs.search_help"))
        keep("runs_search", words)
        dataset = pick(
            "runs_dataset",
            t("shell.dataset"),
            sorted({run.dataset_name for run in everything if run.dataset_name}),
            placeholder=t("runs.all"),
        )
        state = pick(
            "runs_state",
            t("runs.state"),
            [*runs.ACTIVE_STATES, *runs.FINAL_STATES],
            lambda name: t(f"state.{name}"),
            placeholder=t("runs.all"),
            width=160,
        )
        follow("runs_archived", lambda text: text == "shown")
        archived = st.toggle(t("runs.show_archived"), key="runs_archived")
        keep("runs_archived", "shown" if archived else "")
    return runs.filtered(
        everything, labels, words=words, dataset_name=dataset or None, state=state or None, archived=archived
    )


def _row(run: Run, name: str, tags: Sequence[str], sample: str) -> dict[str, Any]:
    val = run.metrics.get("val", {})
    original = val.get("original", {})
    return {
        "name": name,
        "val": 100 * val["accuracy"] if val else None,
        "interval": _interval(val, "accuracy", 100, 1),
        "state": state_name(run),
        "dataset": run.dataset_name,
        "tags": list(tags),
        "original": 100 * original["accuracy"] if "accuracy" in original else None,
        "macro_f1": val.get("macro_f1"),
        "macro_f1_interval": _interval(val, "macro_f1", 1, 3),
        "recipe": recipe_name(run, sample),
        "backbone": run.recipe.get("backbone", ""),
        "image_size": run.recipe.get("image_size"),
        "epochs": run.stage_2.get("epochs"),
        "planned": run.recipe.get("fine_tune_epochs") or None,
        "seconds": round(sum(run.seconds.values()), 1) or None,
        "split": run.split_fingerprint[:8] or None,
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created)),
        "id": run.id,
    }


def _interval(scores: Mapping[str, Any], measure: str, times: int, digits: int) -> str | None:
    """Return the interval of a measure, multiplied; nothing where there is none."""
    if measure not in scores:
        return None
    found = runs.estimate(scores, measure)
    return (
        None if math.isnan(found.low) else f"{times * found.low:.{digits}f} – {times * found.high:.{digits}f}"
    )


def _columns() -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "name": text(t("runs.name"), width=262),
        "val": number(t("runs.val"), width=84, format="%.1f %%", help=t("runs.val_help")),
        "interval": text(t("measures.interval"), width=104, help=t("evaluation.interval")),
        "state": text(t("runs.state"), width=112),
        "dataset": text(t("shell.dataset"), width=124),
        "tags": st.column_config.ListColumn(t("runs.tags"), width=90),
        "original": number(t("runs.original"), width=124, format="%.1f %%", help=t("runs.original_help")),
        "macro_f1": number(t("evaluation.macro_f1"), width=84, format="%.3f", help=t("term.macro_f1")),
        "macro_f1_interval": text(t("measures.interval"), width=116, help=t("evaluation.interval")),
        "recipe": text(t("runs.recipe"), width=216),
        "backbone": text(t("runs.backbone"), width=124),
        "image_size": number(t("runs.image_size"), width=46, help=t("runs.image_size_help")),
        "epochs": number(t("runs.epochs"), width=124, help=t("runs.epochs_help")),
        "planned": number(t("runs.planned"), width=76, help=t("runs.planned_help")),
        "seconds": number(t("runs.seconds"), width=120, help=t("training.duration_help")),
        "split": text(t("runs.split"), width=84, help=t("runs.split_help")),
        "started": text(t("runs.started"), width=138),
        "id": text(t("runs.id"), width=150),
    }


def _actions(run: Run, labels: Labels) -> None:
    is_damaged = not run.dataset_id
    if is_damaged:
        st.warning(plain(run.error), icon=":material/warning:")
    with st.container(horizontal=True, gap="small"):
        if not is_damaged:
            st.button(
                t("runs.show"),
                icon=":material/visibility:",
                key="show_run",
                on_click=shell.choose,
                args=("run", run.id),
            )
            with st.popover(t("runs.rename"), icon=":material/edit:"):
                _rename(run, labels)
            st.button(
                t("runs.unarchive" if labels.archived else "runs.archive"),
                icon=":material/archive:",
                key="archive_run",
                on_click=_archive,
                args=(run.id, not labels.archived),
            )
        delete_button(run)


def _rename(run: Run, labels: Labels) -> None:
    with st.form(f"rename_{run.id}", border=False):
        name = st.text_input(t("runs.name"), labels.name, max_chars=80, placeholder=shell.unnamed(run))
        tags = st.text_input(t("runs.tags"), ", ".join(labels.tags), help=t("runs.tags_help"))
        if st.form_submit_button(t("runs.save"), type="primary"):
            with shell.errors():
                runs.set_labels(shell.workspace(), run.id, name=name, tags=tags.split(","))
                st.rerun()


def _archive(run_id: str, archived: bool) -> None:
    with shell.errors():
        runs.set_labels(shell.workspace(), run_id, archived=archived)


def _scatter(shown: list[Run], names: dict[str, str]) -> None:
    st.header(t("runs.scatter"), anchor=False)
    cost = choice("runs_cost", t("runs.cost"), COSTS, lambda name: t(f"runs.cost_{name}"))
    table = runs.reached(shown, names, cost)
    if table.empty:
        st.caption(t(f"runs.no_cost_{cost}"))
        return
    drawn = charts.cost_scatter(table, t(f"runs.axis_{cost}"), t("runs.val_help"), language())
    figure(drawn, key="runs_scatter", alt=t("runs.scatter_alt"))
    if len({run.dataset_id for run in shown}) > 1:
        st.caption(t("runs.several_datasets"))
