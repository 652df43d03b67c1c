"""A device session at work: one thread per lane takes jobs, the main thread keeps watch."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from core import queue, words
from core.errors import Cancelled, GraftError, WorkspaceError
from core.session.context import WARM_BYTES, Context, Warm
from core.session.leavable import run_leavable
from core.workspace import Workspace

DEFAULT_IDLE_S = 900.0
"""A quarter of an hour without work ends a session; its memory is given back."""
POLL_S = 0.1
RETRY_S = 2.0
"""Pause before the database is tried again after it could not be used."""
BEGIN_PATIENCE_S = 60.0
"""How long a session that begins tries to use the database; whoever waits for a job tries as long."""
STATUS_EVERY_S = 1.0
MEMORY_SHARE = 0.5
"""Share of the machine's memory above which a session starts afresh between two jobs."""
WARM_SHARE = 0.25
"""Share of that which each lane may keep warm; three of them keep anything, and a training needs the rest."""

_OUT_OF_MEMORY = ("ResourceExhaustedError", "MemoryError", "OOM when allocating")


HANDLERS: Mapping[str, str] = {
    "sample": "core.session.data_jobs:do_sample",
    "upload": "core.session.data_jobs:do_upload",
    "audit": "core.session.data_jobs:do_audit",
    "clean_copy": "core.session.data_jobs:do_clean_copy",
    "train": "core.session.train_job:do_train",
    "cross_validate": "core.session.cross_validate_job:do_cross_validate",
    "leak": "core.session.leak_job:do_leak",
    "rank": "core.session.rank_job:do_rank",
    "predict": "core.session.predict_job:do_predict",
    "predict_many": "core.session.predict_job:do_predict",
    "explain": "core.session.explain_job:do_explain",
    "export": "core.session.export_job:do_export",
}
"""Which function does which kind of job. Imported when first needed, since some bring TensorFlow."""


class Session:
    """Works on the jobs of one device until idle for long, asked to leave, or too large.

    Args:
        workspace: Where jobs and results are kept.
        device: ``cpu`` or ``gpu:<n>``; its lock must be held by the caller.
        idle_s: Seconds without a job after which it leaves.
    """

    def __init__(self, workspace: Workspace, device: str, idle_s: float = DEFAULT_IDLE_S) -> None:
        self.workspace = workspace
        self.device = device
        self.idle_s = idle_s
        self.session_id = f"{os.getpid()}-{time.time():.3f}"
        self._leaving = threading.Event()
        self._busy: dict[str, queue.Job] = {}
        self._last_work = time.monotonic()
        self._process = psutil.Process()
        self._memory_limit = psutil.virtual_memory().total * MEMORY_SHARE
        warm_bytes = min(WARM_BYTES, self._memory_limit * WARM_SHARE)
        self._warm = {lane: Warm(warm_bytes) for lane in sorted(set(queue.LANES.values()))}

    def run(self) -> bool:
        """Work; return whether it left because it had grown too large."""
        self._begin()
        threads = [threading.Thread(target=self._work, args=(lane,), name=lane) for lane in self._warm]
        for thread in threads:
            thread.start()
        try:
            return self._watch()
        finally:
            self._leaving.set()
            for thread in threads:
                thread.join()
            if self.workspace.db_path.exists():
                with self.workspace.db() as db:
                    db.execute("DELETE FROM sessions WHERE session_id = ?", (self.session_id,))

    def die(self) -> None:
        """End now; the running jobs are marked as interrupted."""
        with contextlib.suppress(WorkspaceError):  # it may be deleted
            queue.interrupt_orphans(self.workspace, self.device)
        # A step of TensorFlow cannot be left half-way, and whoever sent the signal does not want to wait for it.
        os._exit(0)

    def has_waiting(self) -> bool:
        """Return whether a job waits for this device."""
        with self.workspace.db() as db:
            row = db.execute(
                "SELECT 1 FROM jobs WHERE device = ? AND state = 'queued' LIMIT 1", (self.device,)
            ).fetchone()
        return row is not None

    def _begin(self) -> None:
        """Make itself known; wait where another process keeps the database locked, as those who wait for jobs do."""
        began = time.monotonic()
        while True:
            try:
                self._register()
                return queue.interrupt_orphans(self.workspace, self.device)
            except WorkspaceError:
                if time.monotonic() - began > BEGIN_PATIENCE_S or not self.workspace.db_path.exists():
                    raise
                traceback.print_exc()
                time.sleep(RETRY_S)

    def _register(self) -> None:
        with self.workspace.db() as db:
            db.execute(
                "INSERT OR REPLACE INTO sessions (device, session_id, pid, started) VALUES (?, ?, ?, ?)",
                (self.device, self.session_id, os.getpid(), time.time()),
            )
        queue.lock_path(self.workspace, self.device).with_suffix(".starting").unlink(missing_ok=True)
        self._write_status()

    def _watch(self) -> bool:
        """Return when it is time to leave, and whether that is for its size."""
        written, is_too_large = 0.0, False
        while True:
            time.sleep(POLL_S)
            if self._busy:
                self._last_work = time.monotonic()
            if time.monotonic() - written > STATUS_EVERY_S:
                written = time.monotonic()
                if not self.workspace.db_path.exists():
                    return False
                if self._asked_to_leave() and not self._busy:
                    return False
                if not self._busy and time.monotonic() - self._last_work > self.idle_s:
                    return False
                # It stays so though a job's end gave memory back: the lanes are told to take no more.
                is_too_large = is_too_large or self._own_memory() > self._memory_limit
                if is_too_large:
                    self._leaving.set()
                    if not self._busy:
                        return True

    def _own_memory(self) -> int:
        """Return bytes that nobody else has and no file holds: what is mapped from a file goes when it has to."""
        info = self._process.memory_info()
        return int(info.rss - getattr(info, "shared", 0))

    def _asked_to_leave(self) -> bool:
        """Tell how the session is; return whether it was asked to leave."""
        try:
            return self._write_status()
        except WorkspaceError:
            traceback.print_exc()
            return False

    def _write_status(self) -> bool:
        status = {
            "state": "busy" if self._busy else "idle",
            "memory_mb": self._process.memory_info().rss / 1e6,
            "loaded": sorted({name for warm in self._warm.values() for name in warm.names()}),
            "idle_s": time.monotonic() - self._last_work,
            "note": note.to_json() if (note := self._device_note()) else None,
        }
        with self.workspace.db() as db:
            db.execute("UPDATE sessions SET status = ? WHERE device = ?", (json.dumps(status), self.device))
            row = db.execute("SELECT release_asked FROM sessions WHERE device = ?", (self.device,)).fetchone()
        return bool(row and row["release_asked"])

    def _device_note(self) -> words.Sentence | None:
        if self.device == "cpu" or not self._warm["train"].names():
            return None
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return None
        return words.sentence("session.no_gpu")

    def _work(self, lane: str) -> None:
        while not self._leaving.is_set():
            try:
                job = queue.claim(self.workspace, self.device, lane, self.session_id)
            except WorkspaceError:
                # A database locked for long by another process must not end the lane, or its jobs would wait for ever.
                traceback.print_exc()
                self._leaving.wait(RETRY_S)
                continue
            if job is None:
                self._leaving.wait(POLL_S)
                continue
            self._busy[lane] = job
            try:
                self._do(job, self._warm[lane])
            finally:
                del self._busy[lane]

    def _do(self, job: queue.Job, warm: Warm) -> None:
        """Do one job; whatever it raises ends the job, never the session."""
        context = Context(self.workspace, self.device, warm, job)
        try:
            context.stage("startup")
            # Its import may bring TensorFlow, which takes seconds in which nothing else is heard.
            handler = run_leavable(lambda: _handler(job.kind), context.is_stop_asked)
            result = handler(context, job)
            self._finish(job, "done", result=result)
        except Cancelled as stop:
            self._finish(job, "cancelled", message=str(stop))
        except GraftError as error:
            self._finish(job, "failed", message=str(error))
        except Exception as error:
            traceback.print_exc()
            self._finish(job, "failed", message=_plain_words(error), traceback=traceback.format_exc())

    def _finish(self, job: queue.Job, state: str, **values: Any) -> None:
        """Write how a job ended, and try again while the database cannot be used: its end must not get lost."""
        while self.workspace.db_path.exists():
            try:
                return queue.finish(self.workspace, job, state, **values)
            except WorkspaceError:
                traceback.print_exc()
                time.sleep(RETRY_S)


def _handler(kind: str) -> Callable[[Context, queue.Job], dict[str, Any]]:
    module, _, name = HANDLERS[kind].partition(":")
    handler: Callable[[Context, queue.Job], dict[str, Any]] = getattr(importlib.import_module(module), name)
    return handler


def _plain_words(error: Exception) -> str:
    name, text = type(error).__name__, str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk of the workspace is full. Free some space, then start it again: what is finished is kept."
    if any(sign in name or sign in text for sign in _OUT_OF_MEMORY):
        return (
            "The memory of the device was not enough. Choose a smaller batch size, a smaller image size or a "
            "smaller backbone, or press Release to free what other work holds."
        )
    first_line = text.splitlines()[0] if text else "no message"
    return f"Something unexpected happened ({name}: {first_line}). The technical details are in the log."
