"""How a long function tells where it is, and how it is told to stop: one callback for both."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``; raises :class:`core.errors.Cancelled` to stop the caller."""


def no_progress(done: int, total: int) -> None:
    """Listen to nothing and never stop."""
