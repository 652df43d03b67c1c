"""What is to be done: jobs, and the device sessions that do them.

A job is a row of the workspace's database. A device session (``python -m core.session``) holds the lock of its
device as long as it lives; the kernel releases the lock when the process ends in whatever way, so a lock that
nobody holds is the honest sign that a running job has died.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import catalog, recipes, runs
from core.errors import GraftError, JobError, NotFound
from core.recipes import Recipe
from core.workspace import Workspace

LANES: Mapping[str, str] = {
    "sample": "data",
    "audit": "data",
    "train": "train",
    "predict": "answer",
}
"""Each kind of job and its lane. A session works on all lanes at once, and on one job of a lane at a time."""

ACTIVE_STATES = ("queued", "running", "cancelling")
FINAL_STATES = ("done", "failed", "cancelled", "interrupted")

INTERRUPTED = (
    "The device session ended while it worked on this, for example because the process was killed or the "
    "computer was switched off. Start it again: what was finished is kept and not computed twice."
)
START_PATIENCE_S = 60.0
"""How long a started session may take to take its lock before another start is tried."""
PROJECT_DIR = Path(__file__).resolve().parent.parent


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


@dataclass(frozen=True)
class Device:
    """Where TensorFlow can compute: ``cpu`` or ``gpu:<n>``."""

    id: str
    title: str


@dataclass(frozen=True)
class SessionStatus:
    """What is known of a device's session.

    Args:
        device: The device.
        alive: Whether a session holds the device.
        state: ``"off"``, ``"starting"``, ``"idle"`` or ``"busy"``.
        pid: Process id, 0 when off.
        memory_mb: Resident memory of the process in MB.
        loaded: Names of the networks kept warm.
        idle_s: Seconds since it last worked.
        note: A plain sentence worth knowing, for example that a GPU was not found.
    """

    device: Device
    alive: bool = False
    state: str = "off"
    pid: int = 0
    memory_mb: float = 0.0
    loaded: tuple[str, ...] = field(default=())
    idle_s: float = 0.0
    note: str = ""


# --- jobs ---------------------------------------------------------------------------------------------------------


def submit(
    workspace: Workspace, kind: str, args: Mapping[str, Any], *, run_id: str = "", dataset_id: str = ""
) -> Job:
    """Put a job in the queue and see to it that a session will take it."""
    device = default_device().id
    with workspace.transaction() as db:
        cursor = db.execute(
            "INSERT INTO jobs (kind, lane, device, state, args, run_id, dataset_id, created)"
            " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
            (kind, LANES[kind], device, json.dumps(args), run_id, dataset_id, time.time()),
        )
        job_id = int(cursor.lastrowid or 0)
    tend(workspace)
    return get(workspace, job_id)


def submit_training(
    workspace: Workspace, dataset_id: str, dataset_name: str, recipe: Recipe, *, sample: str = ""
) -> Job:
    """Make a run and put its training in the queue.

    Args:
        workspace: Where to.
        dataset_id: Dataset to train on; need not exist yet if ``sample`` names the sample it is made from.
        dataset_name: Its name.
        recipe: What to do.
        sample: Sample to make first where it is missing.

    Raises:
        RecipeError: The recipe cannot be used.
    """
    recipe = recipes.validate(recipe)
    run = runs.create(workspace, dataset_id, dataset_name, recipe.to_json())
    args = {"sample": sample, "weights": _weights_path(recipe)}
    return submit(workspace, "train", args, run_id=run.id, dataset_id=dataset_id)


def submit_prediction(workspace: Workspace, run: runs.Run, paths: Sequence[Path]) -> Job:
    """Put the question what a run sees in some files in the queue."""
    recipe = recipes.from_json(run.recipe)
    args = {"run_id": run.id, "paths": [str(path) for path in paths], "weights": _weights_path(recipe)}
    return submit(workspace, "predict", args)


def _weights_path(recipe: Recipe) -> str:
    """Return the file in the Keras cache as this process sees it; the session may have another Keras home."""
    spec = catalog.get(recipe.backbone)
    if recipe.weights or spec.source != "keras":
        return ""
    status = catalog.weights_status(spec)
    return str(status.path) if status.ready else ""


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
        _move_run(workspace, job.run_id, "cancelled", "Cancelled before it began.")


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
        _move_run(workspace, job.run_id, state, message)


def wait(workspace: Workspace, job_id: int, on_change: Any = lambda job: None, poll_s: float = 0.1) -> Job:
    """Wait until a job has ended; ``on_change(job)`` hears of each change of its progress.

    Raises:
        JobError: It failed, was cancelled or was interrupted; the message says why.
    """
    seen: tuple[Any, ...] = ()
    tended = time.monotonic()
    while True:
        job = get(workspace, job_id)
        if (job.state, job.progress) != seen:
            seen = (job.state, job.progress)
            on_change(job)
        if job.state == "done":
            return job
        if not job.active:
            raise JobError(job.error.get("message") or f"The {job.kind} job was {job.state}.")
        if time.monotonic() - tended > 1:
            tend(workspace)
            tended = time.monotonic()
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


def _move_run(workspace: Workspace, run_id: str, state: str, message: str) -> None:
    if run_id:
        with contextlib.suppress(GraftError):
            runs.set_state(workspace, run_id, state, message)


# --- devices and their sessions -----------------------------------------------------------------------------------


def devices() -> list[Device]:
    """Return the devices of this machine, the fastest first; asks the NVIDIA driver, not TensorFlow."""
    found = [Device(f"gpu:{index}", name) for index, name in _gpus()]
    return [*found, Device("cpu", "CPU")]


def default_device() -> Device:
    """Return the device that jobs go to: ``GRAFT_DEVICE``, or the first of :func:`devices`."""
    wanted = os.environ.get("GRAFT_DEVICE", "")
    if wanted == "cpu":
        return Device("cpu", "CPU")
    known = {device.id: device for device in devices()}
    return known.get(wanted, next(iter(known.values())))


_gpu_names: list[tuple[int, str]] | None = None


def _gpus() -> list[tuple[int, str]]:
    """Ask the driver once per process: graphics cards do not come and go."""
    global _gpu_names
    if _gpu_names is None:
        _gpu_names = []
        command = shutil.which("nvidia-smi")
        if command:
            query = [command, "--query-gpu=index,name", "--format=csv,noheader"]
            with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
                answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
                rows = (line.split(",", 1) for line in answer.stdout.strip().splitlines())
                _gpu_names = [(int(index), name.strip()) for index, name in rows]
    return _gpu_names


def lock_path(workspace: Workspace, device: str) -> Path:
    """Return the file that a device's session keeps locked while it lives."""
    return workspace.sessions_dir / f"{device.replace(':', '-')}.lock"


def log_path(workspace: Workspace, device: str) -> Path:
    """Return the file that a device's session writes its output to."""
    return workspace.sessions_dir / f"{device.replace(':', '-')}.log"


@contextlib.contextmanager
def hold_device(workspace: Workspace, device: str, patience_s: float = 2.0) -> Iterator[bool]:
    """Hold the lock of a device if it is free within ``patience_s``; yields whether it is held."""
    descriptor = os.open(lock_path(workspace, device), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
                break
            except OSError:
                # Whoever only looks holds a shared lock for an instant, so one refusal proves nothing.
                if time.monotonic() > deadline:
                    held = False
                    break
                time.sleep(0.02)
        yield held
    finally:
        os.close(descriptor)


def is_alive(workspace: Workspace, device: str) -> bool:
    """Return whether a session holds the device."""
    try:
        descriptor = os.open(lock_path(workspace, device), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def tend(workspace: Workspace) -> None:
    """Mark the jobs of dead sessions as interrupted, and start a session where jobs wait.

    Cheap and idempotent: whoever waits for a job calls it now and then.
    """
    with workspace.db() as db:
        rows = db.execute(
            "SELECT * FROM jobs WHERE state IN ('queued', 'running', 'cancelling') ORDER BY id"
        ).fetchall()
    for device in {row["device"] for row in rows}:
        if is_alive(workspace, device):
            continue
        mine = [row for row in rows if row["device"] == device]
        for row in mine:
            if row["state"] != "queued":
                _interrupt(workspace, row)
        waiting = [row for row in mine if row["state"] == "queued"]
        if waiting and _failed_to_start(workspace, device):
            _give_up(workspace, device, waiting)
        elif waiting:
            start_session(workspace, device)


def interrupt_orphans(workspace: Workspace, device: str) -> None:
    """Mark all running jobs of a device as interrupted; only the holder of its lock may call this."""
    with workspace.db() as db:
        rows = db.execute(
            "SELECT * FROM jobs WHERE device = ? AND state IN ('running', 'cancelling')", (device,)
        ).fetchall()
    for row in rows:
        _interrupt(workspace, row)


def _interrupt(workspace: Workspace, row: sqlite3.Row) -> None:
    error = json.dumps({"message": INTERRUPTED, "traceback": ""})
    with workspace.db() as db:
        # Only if it is still of the session that was found dead: another may have taken it since.
        moved = db.execute(
            "UPDATE jobs SET state = 'interrupted', ended = ?, error = ?"
            " WHERE id = ? AND session_id = ? AND state IN ('running', 'cancelling')",
            (time.time(), error, row["id"], row["session_id"]),
        ).rowcount
    if moved:
        _move_run(workspace, row["run_id"], "interrupted", INTERRUPTED)


def start_session(workspace: Workspace, device: str) -> None:
    """Start a device's session as a process of its own, unless one lives or is being started.

    Of two that are started at once the second finds the device locked and leaves without doing anything.
    """
    starting = lock_path(workspace, device).with_suffix(".starting")
    with contextlib.suppress(FileNotFoundError):
        if time.time() - starting.stat().st_mtime < START_PATIENCE_S:
            return
    starting.touch()
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "CUDA_VISIBLE_DEVICES": device.partition(":")[2] or "-1",
        "PYTHONUNBUFFERED": "1",
    }
    with log_path(workspace, device).open("ab") as log:
        _started[(workspace.home, device)] = subprocess.Popen(
            [sys.executable, "-m", "core.session", "--home", str(workspace.home), "--device", device],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=PROJECT_DIR,
            env=environment,
        )


_started: dict[tuple[Path, str], subprocess.Popen[bytes]] = {}


def _failed_to_start(workspace: Workspace, device: str) -> bool:
    """Return whether the session that this process started last ended with an error; forget it then."""
    process = _started.get((workspace.home, device))
    failed = process is not None and process.poll() not in (None, 0)
    if failed:
        del _started[(workspace.home, device)]
        lock_path(workspace, device).with_suffix(".starting").unlink(missing_ok=True)
    # One killed while it worked did start; that is what interrupted jobs are for.
    return failed and process is not None and (process.returncode or 0) > 0


def _give_up(workspace: Workspace, device: str, waiting: list[sqlite3.Row]) -> None:
    path = log_path(workspace, device)
    tail = path.read_text("utf-8", errors="replace").splitlines()[-20:] if path.exists() else []
    message = (
        f"The device session for {device} could not start: {tail[-1] if tail else 'it left no message'}. "
        f'The whole story is in "{path}". Mend what it says, then start the job again.'
    )
    error = json.dumps({"message": message, "traceback": "\n".join(tail)})
    for row in waiting:
        with workspace.db() as db:
            db.execute(
                "UPDATE jobs SET state = 'failed', ended = ?, error = ? WHERE id = ? AND state = 'queued'",
                (time.time(), error, row["id"]),
            )
        _move_run(workspace, row["run_id"], "failed", message)


def session_status(workspace: Workspace, device: Device | None = None) -> SessionStatus:
    """Return what is known of a device's session; of the default device's where none is named."""
    device = device or default_device()
    if not is_alive(workspace, device.id):
        starting = lock_path(workspace, device.id).with_suffix(".starting")
        with contextlib.suppress(FileNotFoundError):
            if time.time() - starting.stat().st_mtime < START_PATIENCE_S:
                return SessionStatus(device, state="starting")
        return SessionStatus(device)
    with workspace.db() as db:
        row = db.execute("SELECT * FROM sessions WHERE device = ?", (device.id,)).fetchone()
    if row is None:
        return SessionStatus(device, alive=True, state="starting")
    status = json.loads(row["status"])
    return SessionStatus(
        device,
        alive=True,
        state=status.get("state", "starting"),
        pid=row["pid"],
        memory_mb=status.get("memory_mb", 0.0),
        loaded=tuple(status.get("loaded", ())),
        idle_s=status.get("idle_s", 0.0),
        note=status.get("note", ""),
    )


def release(workspace: Workspace, device: Device | None = None) -> None:
    """Ask a device's session to end, which gives all its memory back.

    Raises:
        JobError: It is working; its jobs must be cancelled first.
    """
    device = device or default_device()
    busy = [job for job in list_jobs(workspace, active=True) if job.device == device.id]
    if busy:
        raise JobError(
            f"The {device.title} session is working on {len(busy)} job(s). Cancel them or wait, then release it."
        )
    with workspace.db() as db:
        db.execute("UPDATE sessions SET release_asked = 1 WHERE device = ?", (device.id,))
