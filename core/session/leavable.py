"""Work that can be left behind: TensorFlow cannot be stopped while it is imported, compiles a step or converts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import Cancelled
from core.progress import Progress

POLL_S = 0.1
PATIENCE_S = 1.0
"""How long work that was asked to stop is given to do so by itself."""

Result = TypeVar("Result")


class LeftBehind(Cancelled):
    """The user asked to stop, and the work was left behind; it ends by itself later."""


def run_leavable(
    work: Callable[[], Result],
    is_stop_asked: Callable[[], bool],
    may_be_left: Callable[[], bool] = lambda: True,
    patience_s: float = PATIENCE_S,
) -> Result:
    """Do work in a thread of its own and wait for it, but not when the user asks to stop and it cannot hear.

    Args:
        work: What to do. Once it may not be left any more it has to hear of the wish to stop by itself.
        is_stop_asked: Whether the user has asked to stop.
        may_be_left: Whether the work cannot hear, and may be left behind: nobody needs what it holds.
        patience_s: How long it is given to stop by itself.

    Returns:
        What ``work`` returns; what it raises is raised here.

    Raises:
        LeftBehind: The work was left behind. Whatever it uses must not be used again.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=body, name="leavable", daemon=True)
    thread.start()
    asked_at: float | None = None
    while thread.is_alive():
        thread.join(POLL_S)
        if asked_at is None and is_stop_asked():
            asked_at = time.monotonic()
        waited = asked_at is not None and time.monotonic() - asked_at > patience_s
        if waited and may_be_left() and thread.is_alive():
            raise LeftBehind
    if errors:
        error = errors.pop()
        try:
            raise error
        finally:
            del error  # its traceback holds this frame, and with it whatever the work had in hand
    return results[0]


def run_hearing(
    work: Callable[[Progress], Result], progress: Progress, is_stop_asked: Callable[[], bool]
) -> Result:
    """Do work that can be left behind and tells how far it is; left behind, it ends at the next thing that it tells.

    Args:
        work: What to do; it is given what it has to tell its progress to.
        progress: Hears that, as long as the work was not left behind.
        is_stop_asked: Whether the user has asked to stop.

    Raises:
        LeftBehind: The work was left behind. Whatever it uses must not be used again, unless nobody changes it.
    """
    left = threading.Event()

    def tell(done: int, total: int) -> None:
        if left.is_set():
            raise Cancelled
        progress(done, total)

    try:
        return run_leavable(lambda: work(tell), is_stop_asked)
    except LeftBehind:
        left.set()
        raise
