"""How a long function tells where it is, and how it is told to stop: one callback for both."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``; raises :class:`core.errors.Cancelled` to stop the caller."""


def no_progress(done: int, total: int) -> None:
    """Listen to nothing and never stop."""


def part(progress: Progress, before: int, total: int) -> Progress:
    """Return what a part of a larger count tells: ``before`` are done when it begins, ``total`` at the very end."""
    return lambda done, _: progress(before + done, total)
