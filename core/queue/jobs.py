"""Jobs: rows of the workspace's database, done first come first served."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import catalog, datasets, exports, recipes, runs
from core.errors import GraftError, JobError, NotFound, RecipeError, WorkspaceError
from core.queue.devices import default_device
from core.queue.endings import CANCELLED_WAITING, move_run
from core.queue.sessions import tend
from core.recipes import Recipe
from core.workspace import Workspace, remove_directory

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
    "explain": "answer",
}
"""Each kind of job and its lane. A session works on all lanes at once, and on one job of a lane at a time."""

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
    """Put a job in the queue and see to it that a session will take it."""
    device = default_device().id
    with workspace.transaction() as db:
        job_id = _insert(db, device, kind, args, run_id, dataset_id)
    tend(workspace)
    return get(workspace, job_id)


def _insert(
    db: sqlite3.Connection, device: str, kind: str, args: Mapping[str, Any], run_id: str, dataset_id: str
) -> int:
    cursor = db.execute(
        "INSERT INTO jobs (kind, lane, device, state, args, run_id, dataset_id, created)"
        " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
        (kind, LANES[kind], device, json.dumps(args), run_id, dataset_id, time.time()),
    )
    return int(cursor.lastrowid or 0)


def submit_training(
    workspace: Workspace,
    dataset_id: str,
    dataset_name: str,
    recipe: Recipe,
    *,
    sample: str = "",
    forecast_s: float = 0.0,
) -> Job:
    """Make a run and put its training in the queue.

    Args:
        workspace: Where to.
        dataset_id: Dataset to train on; need not exist yet if ``sample`` names the sample it is made from.
        dataset_name: Its name.
        recipe: What to do.
        sample: Sample to make first where it is missing.
        forecast_s: About how many seconds it will take, for those who wait behind it; 0 for unknown.

    Raises:
        NotFound: The run to go on from is not there.
        RecipeError: The recipe cannot be used.
    """
    recipe = recipes.validate(recipe)
    check_parent(workspace, recipe)
    run = runs.create(workspace, dataset_id, dataset_name, recipe.to_json())
    args = {"sample": sample, "keras_home": _keras_home(), "forecast_s": forecast_s}
    try:
        return submit(workspace, "train", args, run_id=run.id, dataset_id=dataset_id)
    except GraftError:  # without its job it would wait for ever
        remove_directory(runs.folder(workspace, run.id))
        raise


def check_parent(workspace: Workspace, recipe: Recipe) -> None:
    """Check that the run whose network a recipe goes on from, if any, can be gone on from.

    Raises:
        NotFound: There is no such run.
        RecipeError: It is not finished, or has another backbone.
    """
    parent_id = recipes.parent_run(recipe)
    if not parent_id:
        return
    parent = runs.get(workspace, parent_id)
    if parent.state != "done":
        raise RecipeError(
            f"The run {parent.id} is {parent.state}, so there is nothing to go on from. Choose a finished run."
        )
    theirs = recipes.from_json(parent.recipe)
    if (theirs.backbone, theirs.depth) != (recipe.backbone, recipe.depth):
        raise RecipeError(
            f"The run {parent.id} has the backbone {theirs.backbone} at depth {theirs.depth:g}, the recipe "
            f"{recipe.backbone} at depth {recipe.depth:g}. Choose the same for both."
        )


def retry_training(workspace: Workspace, run_id: str) -> Job:
    """Put the training of a run that did not end well in the queue again, under the same id.

    What was done is not done twice: features come from the store, and stage 2 goes on after its last finished epoch.

    Raises:
        JobError: The run is under way, or ended well.
        NotFound: There is no such run.
    """
    run = runs.get(workspace, run_id)
    if run.state == "done" or run.state in runs.ACTIVE_STATES:
        raise JobError(
            f"The run {run_id} is {run.state}. Only a run that failed, was cancelled or was interrupted can go on."
        )
    before = latest(workspace, kind="train", run_id=run_id)
    args = {**(before.args if before else {}), "keras_home": _keras_home()}
    device = default_device().id
    with workspace.transaction() as db:  # whoever looks for lost runs sees both changes or none
        job_id = _insert(db, device, "train", args, run_id, run.dataset_id)
        runs.save(workspace, replace(run, state="queued", error=""))
    tend(workspace)
    return get(workspace, job_id)


def submit_cross_validation(workspace: Workspace, run: runs.Run) -> Job:
    """Put the cross-validation of a run's head in the queue.

    Its job carries the run in ``args`` only: how it ends is not how the run ended.
    """
    args = {"run_id": run.id, "keras_home": _keras_home()}
    return submit(workspace, "cross_validate", args, dataset_id=run.dataset_id)


def submit_leak(workspace: Workspace, dataset_id: str, recipe: Recipe) -> Job:
    """Put the question what twins in train are worth in the queue; a recipe says which network and which split."""
    args = {"recipe": recipe.to_json(), "keras_home": _keras_home()}
    return submit(workspace, "leak", args, dataset_id=dataset_id)


def submit_ranking(
    workspace: Workspace,
    dataset_id: str,
    backbones: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    keep_given: bool = True,
) -> Job:
    """Put the question which of some backbones suits a dataset in the queue.

    Args:
        workspace: Where to.
        dataset_id: The dataset.
        backbones: Names in the catalog.
        fractions: Shares of train, val and test by which the dataset is split; test stays out of it.
        seed: Of that split.
        keep_given: Whether a split that the folder brings is kept.

    Raises:
        NotFound: There is no such dataset.
        RecipeError: A backbone is not in the catalog, or there is none.
    """
    datasets.get(workspace, dataset_id)
    names = [catalog.get(name).name for name in backbones]
    if not names:
        raise RecipeError("No backbone was chosen. Choose at least one to be ranked.")
    split = {"fractions": list(fractions), "seed": seed, "keep_given": keep_given}
    args = {"backbones": names, **split, "keras_home": _keras_home()}
    return submit(workspace, "rank", args, dataset_id=dataset_id)


def submit_prediction(workspace: Workspace, run: runs.Run, paths: Sequence[Path]) -> Job:
    """Put the question what a run sees in some files in the queue."""
    args = {"run_id": run.id, "paths": [str(path) for path in paths], "keras_home": _keras_home()}
    return submit(workspace, "predict", args)


def submit_explanation(workspace: Workspace, run: runs.Run, path: Path, class_names: Sequence[str]) -> Job:
    """Put the question in the queue where a run looked in a picture for some classes, and what it resembles.

    Args:
        workspace: Where to.
        run: A finished run.
        path: The picture.
        class_names: The classes to explain, such as the true and the predicted one.
    """
    args = {"run_id": run.id, "path": str(path), "classes": list(class_names), "keras_home": _keras_home()}
    return submit(workspace, "explain", args)


def submit_export(workspace: Workspace, run: runs.Run, formats: Sequence[str]) -> Job:
    """Put the export of a run's model in the queue.

    Args:
        workspace: Where to.
        run: Whose model; its job carries it in ``args`` only, since how an export ends is not how the run ended.
        formats: Keys of :data:`core.exports.FORMATS`.

    Raises:
        RecipeError: A format is unknown, or a package for it is missing.
    """
    args = {"run_id": run.id, "formats": list(exports.validate(formats)), "keras_home": _keras_home()}
    return submit(workspace, "export", args, dataset_id=run.dataset_id)


def _keras_home() -> str:
    """Return the Keras home of whoever asks; the session may have been started under another one, elsewhere."""
    return str(catalog.keras_home().absolute())


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


def position(workspace: Workspace, job: Job) -> int:
    """Return how many jobs of the same lane come before a queued one; 0 means next."""
    with workspace.db() as db:
        row = db.execute(
            "SELECT COUNT(*) FROM jobs WHERE device = ? AND lane = ? AND id < ?"
            " AND state IN ('queued', 'running', 'cancelling')",
            (job.device, LANES[job.kind], job.id),
        ).fetchone()
    return int(row[0])


def starts_in(workspace: Workspace, job: Job) -> float | None:
    """Return in about how many seconds a queued job will begin, or None if a job before it has no forecast."""
    ahead = [
        other
        for other in list_jobs(workspace, active=True)
        if other.id < job.id and other.device == job.device and LANES[other.kind] == LANES[job.kind]
    ]
    total = 0.0
    for other in ahead:
        expected = float(other.args.get("forecast_s") or 0.0)
        if not expected:
            return None
        total += max(0.0, expected - (time.time() - other.started if other.started else 0.0))
    return total


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
        db.execute("UPDATE jobs SET progress = ? WHERE id = ?", (json.dumps(progress), job_id))
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
