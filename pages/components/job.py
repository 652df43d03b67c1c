"""How a job is going, how it ended, and how to stop it or start it again."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import queue
from core.errors import Cancelled
from core.queue import Job
from pages.components import shell
from pages.components.text import plain, t

POLL_S = 1.0
"""How often a page looks at a job under way."""
MEASURED = ("features", "fine_tune")
"""Stages whose steps are pictures that go through the network."""
SOON_S = 10.0
"""Seconds below which a forecast is too rough to be a number."""


def watch(job_id: int, draw: Callable[[Job], None], rests_on: Callable[[], object] = lambda: None) -> None:
    """Draw a job again and again while it is under way; run the whole page once more when its state changes.

    Args:
        job_id: The job.
        draw: Draws it; called with its newest state.
        rests_on: Returns what else the page rests on and the job may change on its way, to be compared.
    """
    job = queue.get(shell.workspace(), job_id)
    if not job.active:  # what is pressed now, such as a retry, concerns the whole page
        draw(job)
        return

    found = rests_on()

    @shell.errors()
    def tick() -> None:
        queue.tend(shell.workspace())
        now = queue.get(shell.workspace(), job_id)
        if now.state != job.state or rests_on() != found:  # other parts of the page tell it too
            st.rerun()
        draw(now)

    st.fragment(tick, run_every=POLL_S)()


def progress(job: Job, cancel_help: str | None = None, *, visitor: bool = False) -> None:
    """Draw a job under way: its stage, how far it is, how long it will still take, and a way to stop it.

    Args:
        job: An active job.
        cancel_help: What stopping it means.
        visitor: Whether a demo's visitor looks on, who stops nothing.
    """
    state = job.progress
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        done, total = state.get("done", 0), state.get("total", 0)
        st.progress(min(1.0, done / total) if total else 0.0, text=_line(job), width="stretch")
        if visitor:
            return
        st.button(
            t("job.cancel") if job.state != "cancelling" else t("job.cancelling"),
            key=f"cancel_{job.id}",
            icon=":material/stop_circle:",
            disabled=job.state == "cancelling",
            help=cancel_help,
            on_click=_cancel,
            args=(job.id,),
        )


def _cancel(job_id: int) -> None:
    with shell.errors():
        queue.cancel(shell.workspace(), job_id)


def _line(job: Job) -> str:
    if job.state == "queued":
        return _waiting(job)
    state = job.progress
    parts = [t(f"stage.{state['stage']}") if state.get("stage") else t("job.starting")]
    if job.state == "cancelling":  # how long the stage would have taken is of no interest any more
        parts.append(t("job.stopping_judged" if state.get("stage") == "evaluate" else "job.stopping"))
        return " · ".join(parts)
    if state.get("compiling") or (state.get("stage") == "fine_tune" and not state.get("done")):
        parts.append(t("job.compiling"))
    elif state.get("epochs"):
        numbers = {"epoch": f"{state['epoch']:,}", "epochs": f"{state['epochs']:,}"}
        parts.append(
            t("job.epoch_at_most", **numbers) if state.get("ends_early") else t("job.epoch", **numbers)
        )
    elif state.get("total"):
        parts.append(t("job.of", done=f"{state['done']:,}", total=f"{state['total']:,}"))
    if state.get("rate") and state.get("stage") in MEASURED:
        parts.append(t("job.rate", rate=f"{state['rate']:.0f}"))
    if state.get("eta_s"):
        parts.append(t("job.eta", time=duration(state["eta_s"])))
    return " · ".join(parts)


def _waiting(job: Job) -> str:
    before = queue.position(shell.workspace(), job)
    if not before:
        return t("job.starting")
    line = t("job.waiting", n=before)
    starts_s = queue.starts_in(shell.workspace(), job)
    if starts_s is None:
        return f"{line} · {t('job.starts_unknown')}"
    starts = t("job.starts_in", time=duration(starts_s)) if starts_s >= SOON_S else t("job.starts_soon")
    return f"{line} · {starts}"


def outcome(
    job: Job, retry: Callable[[], None] | None = None, label: str | None = None, then: str = ""
) -> None:
    """Draw how a job ended if it did not end well, and offer to start it again.

    Args:
        job: Any job.
        retry: Called by the button.
        label: Of the button.
        then: What will happen if it is pressed.
    """
    if job.active or job.state == "done":
        return
    message = job.error.get("message", "")
    if job.state == "cancelled":
        # By the user, or by the time that the recipe gives: then it says so.
        by_user = message in ("", str(Cancelled()))
        st.info(t("job.cancelled") if by_user else plain(message), icon=":material/stop_circle:")
    elif job.state == "interrupted":
        st.warning(plain(message), title=t("job.interrupted"), icon=":material/power_off:")
    else:
        st.error(plain(message), title=t("job.failed"), icon=":material/error:")
        if job.error.get("traceback"):
            with st.expander(t("job.details"), icon=":material/code:"):
                st.code(job.error["traceback"], language=None)
    if retry:
        again(f"retry_{job.id}", retry, label, then)


def again(key: str, retry: Callable[[], None], label: str | None = None, then: str = "") -> None:
    """Draw the button that starts something again, and beside it what will happen then."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(label or t("job.retry"), key=key, icon=":material/refresh:", on_click=retry)
        if then:
            st.caption(then, width="content")


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 90:
        return t("time.seconds", n=max(1, round(seconds)))
    if seconds < 90 * 60:
        return t("time.minutes", n=round(seconds / 60))
    if seconds >= 48 * 3600:
        return t("time.days", n=round(seconds / 86400))
    return t("time.hours", hours=f"{seconds / 3600:.1f}")
