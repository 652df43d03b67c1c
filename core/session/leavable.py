"""Work that can be left behind: TensorFlow cannot be stopped while it is imported, or compiles a training step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import Cancelled

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
) -> Result:
    """Do work in a thread of its own and wait for it, but not when the user asks to stop and it cannot hear.

    Args:
        work: What to do. Once it may not be left any more it has to hear of the wish to stop by itself.
        is_stop_asked: Whether the user has asked to stop.
        may_be_left: Whether the work cannot hear, and may be left behind: nobody needs what it holds.

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
        waited = asked_at is not None and time.monotonic() - asked_at > PATIENCE_S
        if waited and may_be_left() and thread.is_alive():
            raise LeftBehind
    if errors:
        raise errors[0]
    return results[0]
