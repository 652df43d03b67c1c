"""What the command line says, and where: results on standard output, progress on standard error."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from core import runs
from core.errors import JobError

MAX_LISTED = 5
"""Paths shown per check, and errors shown per evaluation, where a person reads."""

REPORT_EVERY_S = 10.0
"""Seconds between two lines of progress of one stage in a file."""


class OutputError(JobError):
    """Standard output cannot be written, for example because the disk is full."""


def tell(text: str) -> None:
    """Print a line of the result.

    Raises:
        BrokenPipeError: Whoever reads it has gone.
        OutputError: It cannot be written.
    """
    with _writing():
        print(text)


def tell_json(value: Any) -> None:
    """Print the whole result as JSON; raises as :func:`tell`."""
    tell(json.dumps(value, ensure_ascii=True, indent=1))


def flush() -> None:
    """Write what has been said so far; raises as :func:`tell`."""
    with _writing():
        sys.stdout.flush()


def discard() -> None:
    """Throw away what could not be written, or Python would try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"The result could not be written to standard output ({error.strerror or error}). "
            "Check that there is room where it goes, then ask again."
        ) from error


def printable(text: object) -> str:
    """Keep control characters and broken Unicode of file names away from the terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))
    return shown.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8")


def scores_line(metrics: Any) -> str:
    """Return the scores of one split in a line, ``metrics`` as in the record of a run."""
    low, high = metrics["accuracy_interval"]
    macro_f1 = runs.estimate(metrics, "macro_f1")
    between = "" if math.isnan(macro_f1.low) else f" ({macro_f1.low:.3f} to {macro_f1.high:.3f})"
    left_out = metrics["num_classes_left_out"]
    classes = "class" if left_out == 1 else "classes"
    without = f", {left_out} {classes} without pictures left out of it" if left_out else ""
    return (
        f"accuracy {100 * metrics['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %), "
        f"macro F1 {macro_f1.value:.3f}{between}{without}, {metrics['num_images']} pictures"
    )


class ProgressLine:
    """One line on standard error that says how far a long thing is; where that is a file, now and then a new line."""

    def __init__(self) -> None:
        self._stage = ""
        self._said = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, stage: str, done: int, total: int, eta_s: float | None = None) -> None:
        """Show the state of a stage."""
        share = f" {done}/{total}" if total else ""
        rest = f", {eta_s:.0f} s left" if eta_s else ""
        now = time.monotonic()
        if self._live:
            sys.stderr.write(f"\r\x1b[K{stage}{share}{rest}")
        elif stage != self._stage or now - self._said >= REPORT_EVERY_S:
            sys.stderr.write(f"{stage}{share}{rest}\n")
            self._said = now
        self._stage = stage
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
