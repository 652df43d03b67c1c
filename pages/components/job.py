"""How a job is going, how it ended, and how to stop it or start it again."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import queue
from core.queue import Job
from pages.components import shell
from pages.components.text import plain, t

POLL_S = 1.0
"""How often a page looks at a job under way."""


def watch(job_id: int, draw: Callable[[Job], None]) -> None:
    """Draw a job again and again while it is under way; run the whole page once more when its state changes.

    Args:
        job_id: The job.
        draw: Draws it; called with its newest state.
    """
    job = queue.get(shell.workspace(), job_id)
    if not job.active:  # what is pressed now, such as a retry, concerns the whole page
        draw(job)
        return

    def tick() -> None:
        queue.tend(shell.workspace())
        now = queue.get(shell.workspace(), job_id)
        if now.state != job.state:  # other parts of the page, such as the table of runs, tell it too
            st.rerun()
        draw(now)

    st.fragment(tick, run_every=POLL_S)()


def progress(job: Job) -> None:
    """Draw a job under way: its stage, how far it is, how long it will still take, and a way to stop it."""
    state = job.progress
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        done, total = state.get("done", 0), state.get("total", 0)
        st.progress(min(1.0, done / total) if total else 0.0, text=_line(job), width="stretch")
        st.button(
            t("job.cancel") if job.state != "cancelling" else t("job.cancelling"),
            key=f"cancel_{job.id}",
            icon=":material/stop_circle:",
            disabled=job.state == "cancelling",
            on_click=queue.cancel,
            args=(shell.workspace(), job.id),
        )


def _line(job: Job) -> str:
    if job.state == "queued":
        before = queue.position(shell.workspace(), job)
        return t("job.waiting", n=before) if before else t("job.starting")
    state = job.progress
    parts = [t(f"stage.{state['stage']}") if state.get("stage") else t("job.starting")]
    if state.get("stage") == "fine_tune" and not state.get("done"):
        parts.append(t("job.compiling"))
    elif state.get("total") and state.get("stage") != "head":
        parts.append(t("job.of", done=f"{state['done']:,}", total=f"{state['total']:,}"))
    if state.get("rate") and state.get("stage") in ("features", "fine_tune"):
        parts.append(t("job.rate", rate=f"{state['rate']:.0f}"))
    if state.get("eta_s"):
        parts.append(t("job.eta", time=duration(state["eta_s"])))
    return " · ".join(parts)


def outcome(job: Job, retry: Callable[[], None] | None = None) -> None:
    """Draw how a job ended if it did not end well, and offer to start it again."""
    if job.active or job.state == "done":
        return
    message = job.error.get("message", "")
    if job.state == "cancelled":
        st.info(t("job.cancelled"), icon=":material/stop_circle:")
    elif job.state == "interrupted":
        st.warning(plain(message), title=t("job.interrupted"), icon=":material/power_off:")
    else:
        st.error(plain(message), title=t("job.failed"), icon=":material/error:")
        if job.error.get("traceback"):
            with st.expander(t("job.details"), icon=":material/code:"):
                st.code(job.error["traceback"], language=None)
    if retry:
        st.button(t("job.retry"), key=f"retry_{job.id}", icon=":material/refresh:", on_click=retry)


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 90:
        return t("time.seconds", n=max(1, round(seconds)))
    if seconds < 90 * 60:
        return t("time.minutes", n=round(seconds / 60))
    return t("time.hours", hours=f"{seconds / 3600:.1f}")
