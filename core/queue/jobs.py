"""Jobs: rows of the workspace's database, done first come first served."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import JobError, NotFound, WorkspaceError
from core.queue.devices import default_device
from core.queue.endings import CANCELLED_WAITING, move_run
from core.queue.sessions import tend
from core.workspace import Workspace

LANES: Mapping[str, str] = {
    "sample": "data",
    "upload": "data",
    "audit": "data",
    "clean_copy": "data",
    "train": "train",
    "cross_validate": "train",
    "leak": "train",
    "rank": "train",
    "export": "train",
    "predict": "answer",
    "predict_many": "many",
    "explain": "answer",
}
"""Each kind of job and its lane. A session works on all lanes at once, and on one job of a lane at a time: a question
about a photo waits for no folder and no training."""

ONCE = ("sample", "upload", "clean_copy", "cross_validate", "leak", "rank", "export")
"""Kinds of jobs of which an equal one that waits or runs is joined: what is asked for twice, as by a double click or in
two tabs, is done once."""

ACTIVE_STATES = ("queued", "running", "cancelling")
FINAL_STATES = ("done", "failed", "cancelled", "interrupted")

LOST_S = 60.0
"""Seconds for which whoever waits for a job bears a database that cannot be used: on a busy machine it may be locked
for longer than one call takes, and the job goes on meanwhile."""


@dataclass(frozen=True)
class Job:
    """One thing to do.

    Args:
        id: Number; jobs of a lane are done in its order.
        kind: Key of :data:`LANES`.
        state: One of :data:`ACTIVE_STATES` and :data:`FINAL_STATES`.
        args: What to do it with, JSON.
        created, started, ended: Seconds since the epoch.
        progress: ``stage``, ``done``, ``total``, ``rate`` (per second) and ``eta_s`` (seconds), as far as known.
        result: What came out, JSON; empty until done.
        error: ``message`` in the user's words and ``traceback``; empty unless failed or interrupted.
    """

    id: int
    kind: str
    state: str
    device: str
    args: Mapping[str, Any]
    run_id: str
    dataset_id: str
    created: float
    started: float | None
    ended: float | None
    progress: Mapping[str, Any]
    result: Mapping[str, Any]
    error: Mapping[str, str]

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in ACTIVE_STATES


def submit(
    workspace: Workspace, kind: str, args: Mapping[str, Any], *, run_id: str = "", dataset_id: str = ""
) -> Job:
    """Put a job in the queue and see to it that a session will take it; one of :data:`ONCE` that is there is joined."""
    device = default_device().id
    with workspace.transaction() as db:
        job_id = _equal(db, kind, args, dataset_id) if kind in ONCE else None
        if job_id is None:
            job_id = insert(db, device, kind, args, run_id, dataset_id)
    tend(workspace)
    return get(workspace, job_id)


def _equal(db: sqlite3.Connection, kind: str, args: Mapping[str, Any], dataset_id: str) -> int | None:
    """Return the number of the job that does the same already, if there is one."""
    row = db.execute(
        "SELECT id FROM jobs WHERE kind = ? AND args = ? AND dataset_id = ? AND state IN ('queued', 'running')",
        (kind, json.dumps(args), dataset_id),
    ).fetchone()
    return None if row is None else int(row["id"])


def insert(
    db: sqlite3.Connection, device: str, kind: str, args: Mapping[str, Any], run_id: str, dataset_id: str
) -> int:
    """Put a row of a job in the queue, within a transaction; return its number."""
    cursor = db.execute(
        "INSERT INTO jobs (kind, lane, device, state, args, run_id, dataset_id, created)"
        " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
        (kind, LANES[kind], device, json.dumps(args), run_id, dataset_id, time.time()),
    )
    return int(cursor.lastrowid or 0)


def get(workspace: Workspace, job_id: int) -> Job:
    """Return a job.

    Raises:
        NotFound: There is none of this number.
    """
    with workspace.db() as db:
        row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no job {job_id} in this workspace.")
    return _job(row)


def list_jobs(
    workspace: Workspace,
    *,
    active: bool = False,
    kind: str = "",
    dataset_id: str = "",
    run_id: str = "",
    limit: int = 100,
) -> list[Job]:
    """Return jobs, newest first; the filters that are given must all hold."""
    conditions, values = ["1"], list[Any]()
    if active:
        conditions.append(f"state IN ({', '.join('?' * len(ACTIVE_STATES))})")
        values += ACTIVE_STATES
    for column, value in (("kind", kind), ("dataset_id", dataset_id), ("run_id", run_id)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    query = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
    with workspace.db() as db:
        return [_job(row) for row in db.execute(query, [*values, limit])]


def latest(workspace: Workspace, **filters: str) -> Job | None:
    """Return the newest job of :func:`list_jobs`, if there is one."""
    found = list_jobs(workspace, limit=1, **filters)  # type: ignore[arg-type]
    return found[0] if found else None


def cancel(workspace: Workspace, job_id: int) -> None:
    """Ask a job to stop: at once if it still waits, else at its next step."""
    job = get(workspace, job_id)
    with workspace.transaction() as db:
        waiting = db.execute(
            "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'",
            (time.time(), job_id),
        ).rowcount
        db.execute("UPDATE jobs SET state = 'cancelling' WHERE id = ? AND state = 'running'", (job_id,))
    if waiting:
        move_run(workspace, job.run_id, "cancelled", CANCELLED_WAITING)


def claim(workspace: Workspace, device: str, lane: str, session_id: str) -> Job | None:
    """Take the oldest waiting job of a lane, or none; called by the device session."""
    with workspace.transaction() as db:
        row = db.execute(
            "SELECT * FROM jobs WHERE device = ? AND lane = ? AND state = 'queued' ORDER BY id LIMIT 1",
            (device, lane),
        ).fetchone()
        if row is None:
            return None
        db.execute(
            "UPDATE jobs SET state = 'running', started = ?, session_id = ? WHERE id = ?",
            (time.time(), session_id, row["id"]),
        )
    return get(workspace, row["id"])


def report(workspace: Workspace, job_id: int, progress: Mapping[str, Any]) -> str:
    """Write how far a running job is; return its state, ``"cancelling"`` when it was asked to stop."""
    with workspace.db() as db:
        db.execute(
            "UPDATE jobs SET progress = ? WHERE id = ? AND state IN ('queued', 'running', 'cancelling')",
            (json.dumps(progress), job_id),
        )
        row = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return str(row["state"]) if row else "cancelling"


def finish(
    workspace: Workspace,
    job: Job,
    state: str,
    *,
    result: Mapping[str, Any] | None = None,
    message: str = "",
    traceback: str = "",
) -> None:
    """Write how a running job ended, and tell its run."""
    error = json.dumps({"message": message, "traceback": traceback}) if message else None
    with workspace.db() as db:
        ended = db.execute(
            "UPDATE jobs SET state = ?, ended = ?, result = ?, error = ?"
            " WHERE id = ? AND state IN ('running', 'cancelling')",
            (state, time.time(), json.dumps(result or {}), error, job.id),
        ).rowcount
    if ended and state != "done":
        move_run(workspace, job.run_id, state, message)


def wait(
    workspace: Workspace,
    job_id: int,
    on_change: Callable[[Job], None] = lambda job: None,
    poll_s: float = 0.1,
) -> Job:
    """Wait until a job has ended; ``on_change(job)`` hears of each change of its progress.

    Raises:
        JobError: It failed, was cancelled or was interrupted; the message says why.
        WorkspaceError: The database could not be used for :data:`LOST_S` seconds.
    """
    seen: tuple[Any, ...] = ()
    tended = read = time.monotonic()
    while True:
        try:
            job = get(workspace, job_id)
            if time.monotonic() - tended > 1:
                tend(workspace)
                tended = time.monotonic()
            read = time.monotonic()
        except WorkspaceError:
            if time.monotonic() - read > LOST_S:
                raise
            time.sleep(poll_s)
            continue
        if (job.state, job.progress) != seen:
            seen = (job.state, job.progress)
            on_change(job)
        if job.state == "done":
            return job
        if not job.active:
            raise JobError(job.error.get("message") or f"The {job.kind} job was {job.state}.")
        time.sleep(poll_s)


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        device=row["device"],
        args=json.loads(row["args"]),
        run_id=row["run_id"],
        dataset_id=row["dataset_id"],
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        progress=json.loads(row["progress"] or "{}"),
        result=json.loads(row["result"] or "{}"),
        error=json.loads(row["error"] or "{}"),
    )
