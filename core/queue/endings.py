"""How jobs and runs end whose own session cannot tell it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time

from core import runs
from core.errors import GraftError
from core.workspace import Workspace

INTERRUPTED = (
    "The device session ended while it worked on this, for example because the process was killed or the "
    "computer was switched off. Start it again: features that were extracted are kept and not computed twice."
)
LOST = (
    "Graft ended before this training was in the queue, or after it had left it, for example because the computer "
    "was switched off. Start it again."
)
LOST_AFTER_S = 60.0
"""Age from which a run that waits or runs without a job is lost; a run is made just before its job, and told of its
end just after it."""
CANCELLED_WAITING = "Cancelled before it began."


def interrupt(workspace: Workspace, row: sqlite3.Row) -> None:
    """End a job, a row of the database, whose session has died, and its run."""
    error = json.dumps({"message": INTERRUPTED, "traceback": ""})
    with workspace.db() as db:
        # Only if it is still of the session that was found dead: another may have taken it since.
        moved = db.execute(
            "UPDATE jobs SET state = 'interrupted', ended = ?, error = ?"
            " WHERE id = ? AND session_id = ? AND state IN ('running', 'cancelling')",
            (time.time(), error, row["id"], row["session_id"]),
        ).rowcount
    if moved:
        move_run(workspace, row["run_id"], "interrupted", INTERRUPTED)


def fail(workspace: Workspace, waiting: list[sqlite3.Row], message: str, traceback: str = "") -> None:
    """End jobs that wait, and their runs."""
    error = json.dumps({"message": message, "traceback": traceback})
    for row in waiting:
        with workspace.db() as db:
            moved = db.execute(
                "UPDATE jobs SET state = 'failed', ended = ?, error = ? WHERE id = ? AND state = 'queued'",
                (time.time(), error, row["id"]),
            ).rowcount
        if moved:
            move_run(workspace, row["run_id"], "failed", message)


def end_lost_runs(workspace: Workspace) -> None:
    """End the runs that no job will: whoever should have told one of its end, or made its job, was killed before."""
    for run in runs.list_runs(workspace):
        if run.state not in runs.ACTIVE_STATES:
            continue
        with workspace.db() as db:
            ended = _end_of(db, run)
        if ended is None:
            continue
        # Looked at again while nobody else can write: a retry begins a run anew and makes its job as one.
        with workspace.transaction() as db:
            if (ended := _end_of(db, run)) is not None:
                move_run(workspace, run.id, *ended)


def _end_of(db: sqlite3.Connection, run: runs.Run) -> tuple[str, str] | None:
    """Return the state and the message that an active run ends with, or None if its end is still to come."""
    job = db.execute(
        "SELECT state, ended, error FROM jobs WHERE run_id = ? ORDER BY id DESC LIMIT 1", (run.id,)
    ).fetchone()
    since = time.time() - LOST_AFTER_S
    if job is None:
        return ("interrupted", LOST) if run.created < since else None
    if job["state"] in ("failed", "cancelled", "interrupted"):
        return job["state"], json.loads(job["error"] or "{}").get("message", CANCELLED_WAITING)
    return ("interrupted", LOST) if job["state"] == "done" and job["ended"] < since else None


def move_run(workspace: Workspace, run_id: str, state: str, message: str) -> None:
    """Tell a job's run how the job ended; a deleted or damaged run is nobody's loss."""
    if run_id:
        with contextlib.suppress(GraftError):
            runs.set_state(workspace, run_id, state, message)
