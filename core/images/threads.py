"""Many pictures at once: threads, in order, with a bounded number in memory."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.errors import UnreadableImage
from core.images.decoding import decode
from core.images.files import read_bytes

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def iterate_decoded(
    paths: Sequence[Path],
    image_size: tuple[int, int],
    resize: str = "stretch",
    workers: int | None = None,
    ahead: int = 0,
) -> Iterator[npt.NDArray[np.uint8] | UnreadableImage]:
    """Decode files in threads and yield one result per path, in order; a bad file yields its error.

    Args:
        paths: The files.
        image_size: ``(height, width)`` in pixels.
        resize: See :func:`decode`.
        workers: Threads; :func:`default_workers` when not given.
        ahead: Pictures that may be decoded before they are asked for; at least two for each thread.

    Returns:
        An iterator of RGB uint8 arrays ``(height, width, 3)`` and errors. It holds no more pictures than that.
    """

    def decode_path(path: Path) -> npt.NDArray[np.uint8] | UnreadableImage:
        try:
            return decode(read_bytes(path), image_size, resize)
        except UnreadableImage as error:
            return error

    return map_in_threads(decode_path, paths, workers, ahead)


def map_in_threads(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    workers: int | None = None,
    ahead: int = 0,
) -> Generator[_Result, None, None]:
    """Yield ``function(item)`` for each item in order, computed in threads at most a few items ahead.

    Args:
        function: Called in the threads.
        items: What it is called with.
        workers: Threads; :func:`default_workers` when not given.
        ahead: Items that may be computed before they are asked for; at least two for each thread.
    """
    workers = workers or default_workers()
    ahead = max(ahead, 2 * workers)
    waiting: collections.deque[Future[_Result]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def default_workers() -> int:
    """Return how many threads decode at once: one more than this process may use processors, at most 8.

    The one more keeps the processors busy while another thread waits for the disk or for Python's lock.
    """
    return min(8, available_processors() + 1)


def available_processors() -> int:
    """Return how many processors this process may use, at most 8."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)
