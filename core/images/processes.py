"""Very many pictures at once: processes, for work that spends much of its time under Python's lock."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from core.images.threads import available_processors, map_in_threads

MANY = 1000
"""Items from which processes pay for their start, about half a second."""

_CHUNK = 32
"""Items sent to a process at once: some 50 ms of work, so that a stop is soon heard."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_processes(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int | None = None
) -> Generator[_Result, None, None]:
    """Yield ``function(item)`` for each item in order, computed in processes at most a few chunks ahead.

    Few items, fewer than :data:`MANY`, are computed in threads. So is what is left when a process dies, as it does
    where memory is short. Not for a page: a process begins by importing the main module, and would run the app.

    Args:
        function: A function of a module, which the processes import.
        items: The items; they and the results travel between processes.
        workers: Processes; one for each processor when not given, at most 8.
    """
    workers = workers or available_processors()
    if len(items) < MANY or workers == 1:
        yield from map_in_threads(function, items)
        return
    num_done = 0
    try:
        for results in _in_chunks(function, items, workers):
            yield from results
            num_done += len(results)
    except BrokenProcessPool:
        yield from map_in_threads(function, items[num_done:])


def _in_chunks(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Generator[list[_Result], None, None]:
    # Not forked: a fork of a process with threads, such as TensorFlow's, may wait for ever.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_follow_the_parent)
    waiting: collections.deque[Future[list[_Result]]] = collections.deque()
    try:
        for start in range(0, len(items), _CHUNK):
            waiting.append(pool.submit(_apply, function, items[start : start + _CHUNK]))
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _apply(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    return [function(item) for item in items]


def _follow_the_parent() -> None:
    """End this process when its parent has ended, however it did; Ctrl-C is for the parent to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
