"""What a job's handler works with: the workspace, networks kept warm, and a way to tell how far it is."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from core import queue, runs
from core.errors import Cancelled
from core.workspace import Workspace

REPORT_EVERY_S = 0.25
"""How often a job writes its progress and looks whether it was asked to stop."""
WARM_BYTES = 10**9
"""Most that a lane keeps warm: by size and not by number, since many small networks weigh less than two large ones, and
two runs that are asked in turn must not push each other out."""

Item = TypeVar("Item")

_logged: set[tuple[str, str]] = set()
"""What this session has said once: the run, if any, and the line."""


class Warm:
    """Things that are slow to make, kept while they are in use: least recently used goes first.

    Args:
        max_bytes: What they may take together. The two that were asked for last stay however large they are: an
            explanation needs a run's network and its pictures' features, which must not push each other out.
    """

    def __init__(self, max_bytes: float = WARM_BYTES) -> None:
        self._max_bytes = max_bytes
        self._items: OrderedDict[str, Any] = OrderedDict()
        self._names: dict[str, str] = {}
        self._sizes: dict[str, Callable[[], int]] = {}

    def get(
        self,
        key: str,
        make: Callable[[], Item],
        num_bytes: int,
        name: str = "",
        further_bytes: Callable[[Item], int] = lambda item: 0,
    ) -> Item:
        """Return an item, made if it is not there; others go first where there is no room for it.

        Args:
            key: Of the item.
            make: Makes it.
            num_bytes: About how much memory it takes when it is made.
            name: What people know it as; its key if empty.
            further_bytes: Returns how much more it takes by now, as it grows while it is used.
        """
        if key not in self._items:
            while len(self._items) > 1 and self._num_bytes() + num_bytes > self._max_bytes:
                self.forget(next(iter(self._items)))
            made = self._items[key] = make()
            self._names[key], self._sizes[key] = name or key, lambda: num_bytes + further_bytes(made)
        self._items.move_to_end(key)
        item: Item = self._items[key]
        return item

    def _num_bytes(self) -> int:
        return sum(size() for size in self._sizes.values())

    def forget(self, key: str) -> None:
        """Let an item go, for example one that may no longer be as it was made."""
        self._items.pop(key, None)
        self._names.pop(key, None)
        self._sizes.pop(key, None)

    def names(self) -> list[str]:
        """Return what people know the items as, oldest first."""
        # Another thread may be adding or letting go of one.
        return [self._names.get(key, key) for key in tuple(self._items)]


class Pace:
    """How fast a stage is, from the first thing that it did now: what it found done does not count."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def rate(self, done: int, now: float) -> float:
        """Return how many are done a second, 0 if not known yet.

        Args:
            done: Done so far, with what was done before the stage began.
            now: Seconds of any one clock.
        """
        if not done:
            return 0.0
        if self._first is None:
            self._first = done, now
        first, began = self._first
        return (done - first) / (now - began) if now > began else 0.0


class Context:
    """What a job's handler works with: the workspace, warm things, and a way to tell how far it is."""

    def __init__(self, workspace: Workspace, device: str, warm: Warm, job: queue.Job) -> None:
        self.workspace = workspace
        self.device = device
        self.warm = warm
        self._job = job
        self._stage = ""
        self._pace = Pace()
        self._reported = 0.0
        self._finishing = False

    def finish_anyway(self) -> None:
        """From now on go through to the end although the user asks, or has asked, to stop.

        For what has to be done to keep a result: after a cancelled stage the best model so far is still judged.
        """
        self._finishing = True

    def stage(self, name: str) -> None:
        """Say that another part of the job begins."""
        self._stage, self._pace, self._reported = name, Pace(), 0.0
        if self._job.run_id:
            self.emit("stage", name=name)
        self.progress(0, 0)

    def progress(self, done: int, total: int, **told: Any) -> None:
        """Say how far the stage is.

        Args:
            done: Done so far.
            total: Done at the end; 0 if that is not known.
            told: What else people may want to know; ``ends_early=True`` if the end may come sooner than at ``total``,
                so that there is no telling when; ``compiling=True`` while what takes its time is no measure of what
                is to come.

        Raises:
            Cancelled: The user asked to stop (but see :meth:`finish_anyway`).
        """
        now = time.monotonic()
        if told.get("compiling"):
            self._pace = Pace()
        rate = 0.0 if told.get("compiling") else self._pace.rate(done, now)
        if now - self._reported < REPORT_EVERY_S and not done == total != 0:
            return
        self._reported = now
        knows_end = rate and not told.get("ends_early")
        now_is = {
            "stage": self._stage,
            "done": done,
            "total": total,
            "rate": rate,
            "eta_s": (total - done) / rate if knows_end else None,
            **told,
        }
        state = queue.report(self.workspace, self._job.id, now_is)
        # Work that was left behind ends here too, when its job is over.
        if state not in ("queued", "running") and not self._finishing:
            raise Cancelled

    def is_stop_asked(self) -> bool:
        """Return whether the user has asked to stop (but see :meth:`finish_anyway`)."""
        return not self._finishing and self.is_hurried()

    def is_hurried(self) -> bool:
        """Return whether the user has asked to stop, and so wants no more than what has to be done."""
        return queue.get(self.workspace, self._job.id).state == "cancelling"

    def check(self) -> None:
        """Let the user stop without saying anything new.

        Raises:
            Cancelled: The user asked to stop.
        """
        if self.is_stop_asked():
            raise Cancelled

    def emit(self, kind: str, **values: Any) -> None:
        """Write an event of the job's run."""
        runs.emit(self.workspace, self._job.run_id, kind, **values)

    def log(self, text: str) -> None:
        """Write a line of the run's log."""
        self.emit("log", text=text)

    def log_once(self, text: str) -> None:
        """Write a line of the run's log, or of the session's where the job makes no run; once for all of its jobs."""
        key = self._job.run_id, text
        if key in _logged:
            return
        _logged.add(key)
        if self._job.run_id:
            self.log(text)
        else:
            print(text, flush=True)  # a session's output is its log
