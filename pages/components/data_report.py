"""What the pictures of the current dataset are like, and whether a classifier can learn from them."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import queue
from core.datasets import Dataset
from core.queue import Job
from pages.components import (
    data_checks,
    data_choice,
    data_decisions,
    data_facts,
    data_flagged,
    data_health,
    data_locate,
    data_photos,
    data_sizes,
    data_split,
    shell,
)
from pages.components import job as job_view
from pages.components.data_facts import Facts
from pages.components.split_facts import SplitFacts
from pages.components.text import code, plain, t, told, when

METRIC_WIDTH = 112
"""Pixels; five of them and the button stand in one line of a wide page, in two of a narrow one."""


def show(dataset: Dataset) -> None:
    """Draw the current dataset: the job that looks at it, and what was found."""
    _bar(dataset)
    data_locate.tell(dataset)
    facts = data_facts.load(dataset)
    _job(dataset, facts)
    if facts is None:
        return
    notice = st.container()
    found = data_split.current_split(facts)
    is_there = dataset.root.is_dir()
    _verdict(facts, found, is_there)
    data_decisions.warn_of_suspended(data_flagged.standing_decisions(facts))
    _figures(facts, found, is_there)
    data_health.show(facts)
    data_checks.history(facts)
    _sections(facts, found)
    with notice:  # last, since it walks through the folder
        _changes(facts)


def _bar(dataset: Dataset) -> None:
    """Draw where the dataset comes from, and what can be done with it as a whole."""
    busy = bool(queue.list_jobs(shell.workspace(), active=True, dataset_id=dataset.id))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            if not dataset.sample:
                st.markdown(code(dataset.root), width="content")
            st.caption(_origin(dataset), width="stretch" if dataset.sample else "content")
        st.button(
            t("data.look_again"),
            key="data_look_again",
            icon=":material/refresh:",
            help=t("data.look_again_help"),
            disabled=busy,
            on_click=data_choice.look,
            args=(dataset.id,),
        )
        st.button(
            t("data.another"),
            key="data_another",
            icon=":material/swap_horiz:",
            help=t("data.another_help"),
            on_click=data_choice.begin,
        )


def _origin(dataset: Dataset) -> str:
    written = data_facts.written(dataset)
    looked = "–" if written is None else when(written / 1e9)
    if dataset.sample:
        return t("data.of_sample", licence=dataset.licence, source=dataset.source, when=looked)
    return t("data.of_folder", when=looked)


def _job(dataset: Dataset, facts: Facts | None) -> None:
    """Draw the newest look at the files: under way, or ended badly since the last one that ended well."""
    jobs = [queue.latest(shell.workspace(), kind=kind, dataset_id=dataset.id) for kind in ("audit", "sample")]
    job = max((job for job in jobs if job is not None), key=lambda job: job.id, default=None)
    if job is not None and (job.active or job.state != "done"):
        if facts is None or job.active or (job.ended or 0) > facts.written / 1e9:
            job_view.watch(job.id, lambda job: _draw_job(job, dataset))
    elif facts is None:
        with st.container(border=True):
            st.markdown(t("data.not_audited"))
            st.button(
                t("data.look"),
                key="data_look",
                type="primary",
                icon=":material/search:",
                on_click=data_choice.look,
                args=(dataset.id,),
            )


def _draw_job(job: Job, dataset: Dataset) -> None:
    if job.active:
        with st.container(border=True):
            job_view.progress(job)
    else:
        job_view.outcome(job, retry=lambda: data_choice.look(dataset.id))


def _verdict(facts: Facts, found: SplitFacts, is_there: bool) -> None:
    if found.refusal:
        st.error(plain(found.refusal), title=t("data.refused"), icon=":material/block:")
        return
    verdict = " ".join(told(sentence) for sentence in facts.verdict)
    if not is_there:
        st.info(verdict, title=t("data.last_time"), icon=":material/history:")
        return
    problems = [told(check.title) for check in facts.flagged if check.severity == "error"]
    if problems:
        title = t("data.problems", n=len(problems), names=", ".join(problems))
        st.warning(verdict, title=title, icon=":material/error:")
    elif any(check.severity == "warning" for check in facts.flagged):
        st.warning(verdict, title=t("data.severity.warning"), icon=":material/visibility:")
    else:
        st.success(verdict, icon=":material/check_circle:")


def _figures(facts: Facts, found: SplitFacts, is_there: bool) -> None:
    values = {"pictures": facts.num_pictures, "classes": facts.num_classes}
    values |= {name: found.totals[name] for name in ("train", "val", "test")}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name, value in values.items():
            unknown = found.refusal and name in found.totals
            shown = t("data.figure.none") if unknown else f"{value:,}"
            st.metric(t(f"data.figure.{name}"), shown, help=t(f"data.figure.{name}_help"), width=METRIC_WIDTH)
        st.space("stretch")
        if st.button(
            t("data.continue"),
            key="data_continue",
            type="primary",
            icon=":material/arrow_forward:",
            icon_position="right",
            disabled=bool(found.refusal) or not is_there,
            help=_continue_help(found, is_there),
        ):
            st.switch_page("pages/training.py", query_params=st.query_params.to_dict())


def _continue_help(found: SplitFacts, is_there: bool) -> str:
    if not is_there:
        return t("data.vanished")
    return t("data.refused_help") if found.refusal else t("data.continue_help")


def _sections(facts: Facts, found: SplitFacts) -> None:
    """Draw one part at a time: the others cost nothing."""
    parts: dict[str, Callable[[], None]] = {
        t("data.tabs.photos"): lambda: data_photos.show(facts, found),
        t("data.tabs.split"): lambda: data_split.show(facts, found),
        t("data.tabs.checks"): lambda: data_checks.show(facts),
        t("data.tabs.decisions"): lambda: data_decisions.show(facts),
        t("data.tabs.sizes"): lambda: data_sizes.show(facts),
    }
    tabs = st.tabs(list(parts), key="data_tab", on_change="rerun")
    for tab, draw in zip(tabs, parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _changes(facts: Facts) -> None:
    changes = data_facts.changes(facts)
    counts = {"added": changes.added, "removed": changes.removed, "altered": changes.altered}
    what = ", ".join(t(f"data.change.{name}", n=n) for name, n in counts.items() if n)
    if changes.problem:
        text = f"{plain(changes.problem)} {t('data.vanished_text')}"
        st.warning(text, title=t("data.vanished"), icon=":material/folder_off:")
        if not facts.dataset.root.is_dir():
            data_locate.offer(facts.dataset)
    elif what:
        st.info(t("data.change.text", what=what), icon=":material/update:")
