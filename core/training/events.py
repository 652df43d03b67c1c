"""What a training tells while it goes on, and how it is told to stop.

- ``progress``: ``done``, ``total`` say how far the stage is; ``epoch`` (from 1) of at most ``epochs`` is under way.
  Before the first step of stage 2, which is compiled, nothing counts as done but what an earlier process did, and
  ``compiling`` is true.
  ``ends_early`` is told of a stage that ends where it has converged.
- ``epoch``: ``stage`` (``"head"`` or ``"fine_tune"``), ``epoch`` (from 1), ``epochs``, ``loss``, ``accuracy``,
  ``val_loss``, ``val_accuracy``, ``seconds``; where a stage goes in batches also ``learning_rate``.
- ``resumed``: ``epoch`` is the last one of the stage that had been finished before; ``history`` are the values of its
  ``epoch`` events so far.
- ``compiling``: the first step follows, which cannot hear that it should stop until it is compiled.
- ``log``: ``text`` is a line for the run's log.
- ``batch_halved``: ``batch_size`` is what is tried now, as the device's memory did not do; the epoch begins again.

``loss`` is a log loss without label smoothing and class weights. In stage 1 it is that of the head on the training
images; in stage 2 that of the steps as they were taken, so with augmentation, dropout, mixed targets and what a
teacher says. ``val_loss`` is that of :func:`core.heads.scores`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from core.errors import Cancelled


class Listen(Protocol):
    """Hears what happens; may raise :class:`core.errors.Cancelled` to stop."""

    def __call__(self, kind: str, **values: Any) -> None: ...


class TimeIsUp(Cancelled):
    """The time that the recipe gives ended."""

    def __init__(self) -> None:
        super().__init__(
            "The time limit ended before the first epoch did, so there is nothing to keep. Raise max_minutes, or "
            "choose a smaller backbone or image size."
        )


def brought_forward(deadline: float | None, history: Iterable[Mapping[str, Any]]) -> float | None:
    """Return a deadline less what the epochs took that an earlier process has finished.

    Args:
        deadline: Of the clock :func:`time.monotonic`; None for no limit.
        history: The values of their ``epoch`` events.
    """
    return None if deadline is None else deadline - sum(epoch["seconds"] for epoch in history)


def check_time(deadline: float | None) -> None:
    """Stop when the time is up.

    Args:
        deadline: Of the clock :func:`time.monotonic`; None for no limit.

    Raises:
        TimeIsUp: It has passed.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise TimeIsUp
