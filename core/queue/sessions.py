"""The device sessions: how they are found, started, watched and released."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core import words
from core.errors import JobError
from core.queue.devices import Device, default_device
from core.queue.endings import end_lost_runs, fail, interrupt
from core.workspace import Workspace

START_PATIENCE_S = 60.0
"""How long a started session may take to take its lock before another start is tried."""
PROJECT_DIR = Path(__file__).resolve().parents[2]


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
        note: What is worth knowing, for example that a GPU was not found.
    """

    device: Device
    alive: bool = False
    state: str = "off"
    pid: int = 0
    memory_mb: float = 0.0
    loaded: tuple[str, ...] = field(default=())
    idle_s: float = 0.0
    note: words.Sentence | None = None


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
    """Mark the jobs of dead sessions and the runs without a job as interrupted; start a session where jobs wait.

    Cheap and idempotent: whoever waits for a job calls it now and then. Jobs whose session cannot be started fail.
    """
    end_lost_runs(workspace)
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
                interrupt(workspace, row)
        waiting = [row for row in mine if row["state"] == "queued"]
        if waiting and _failed_to_start(workspace, device):
            _give_up(workspace, device, waiting)
        elif waiting:
            try:
                start_session(workspace, device)
            except JobError as error:
                fail(workspace, waiting, str(error))


def interrupt_orphans(workspace: Workspace, device: str) -> None:
    """Mark all running jobs of a device as interrupted; only the holder of its lock may call this."""
    with workspace.db() as db:
        rows = db.execute(
            "SELECT * FROM jobs WHERE device = ? AND state IN ('running', 'cancelling')", (device,)
        ).fetchall()
    for row in rows:
        interrupt(workspace, row)


def start_session(workspace: Workspace, device: str) -> None:
    """Start a device's session as a process of its own, unless one lives or is being started.

    Of two that are started at once the second finds the device locked and leaves without doing anything.

    Raises:
        JobError: The system does not let it start, for example because memory is short.
    """
    starting = lock_path(workspace, device).with_suffix(".starting")
    with contextlib.suppress(FileNotFoundError):
        if time.time() - starting.stat().st_mtime < START_PATIENCE_S:
            return
    try:
        starting.touch()
        _started[(workspace.home, device)] = _spawn(workspace, device)
    except OSError as error:
        with contextlib.suppress(OSError):  # or nobody would try again for a while
            starting.unlink()
        raise JobError(
            f"The device session for {device} could not be started ({error}). Expected that a program can be "
            f'started and that "{workspace.sessions_dir}" can be written. Free memory and disk, or end other '
            "programs, then start the job again."
        ) from error


def _spawn(workspace: Workspace, device: str) -> subprocess.Popen[bytes]:
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "CUDA_VISIBLE_DEVICES": device.partition(":")[2] or "-1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }
    with log_path(workspace, device).open("ab") as log:
        return subprocess.Popen(
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
    fail(workspace, waiting, message, "\n".join(tail))


def session_status(workspace: Workspace, device: Device | None = None) -> SessionStatus:
    """Return what is known of a device's session; of the default device's where none is named."""
    device = device or default_device()
    if (process := _started.get((workspace.home, device.id))) is not None:
        process.poll()  # so that an ended session does not stay behind as a zombie
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
        note=words.from_json(status["note"]) if status.get("note") else None,
    )


def release(workspace: Workspace, device: Device | None = None) -> None:
    """Ask a device's session to end, which gives all its memory back.

    Raises:
        JobError: It is working; its jobs must be cancelled first.
    """
    device = device or default_device()
    with workspace.db() as db:
        busy = db.execute(
            "SELECT COUNT(*) FROM jobs WHERE device = ? AND state IN ('queued', 'running', 'cancelling')",
            (device.id,),
        ).fetchone()[0]
        if busy:
            raise JobError(
                f"The {device.title} session is working on {busy} job(s). Cancel them or wait, then release it."
            )
        db.execute("UPDATE sessions SET release_asked = 1 WHERE device = ?", (device.id,))
