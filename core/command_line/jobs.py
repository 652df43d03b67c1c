"""Waiting for a job in a terminal."""

from __future__ import annotations

from core import queue
from core.command_line.output import ProgressLine
from core.workspace import Workspace


def follow(workspace: Workspace, job: queue.Job) -> queue.Job:
    """Wait for a job and show its progress; Ctrl-C cancels it."""
    show = ProgressLine()

    def on_change(job: queue.Job) -> None:
        state = job.progress
        show(state.get("stage") or job.state, state.get("done", 0), state.get("total", 0), state.get("eta_s"))

    try:
        return queue.wait(workspace, job.id, on_change)
    except KeyboardInterrupt:
        queue.cancel(workspace, job.id)
        raise
    finally:
        show.end()
