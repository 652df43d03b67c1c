"""How often test was looked at. Every look leads to choices, and what is chosen by test fits test."""

from __future__ import annotations

import contextlib
import functools
import time

from core.errors import GraftError
from core.runs.artefacts import load_split
from core.runs.record import Run, folder, list_runs
from core.workspace import Workspace

ONE_LOOK_S = 3600.0
"""Seconds within which looks at one run count as one: who loads a page again has seen its scores already."""


def note_look(workspace: Workspace, run_id: str, now: float | None = None) -> None:
    """Note that a run's scores on test are shown, unless they were within the last hour.

    Where that cannot be written, it is not counted: a full disk must not hide the scores.

    Args:
        workspace: Where the run is.
        run_id: The run.
        now: Seconds since the epoch; by default those of the clock.
    """
    now = time.time() if now is None else now
    times = _looks(workspace, run_id)
    if times and 0 <= now - times[-1] < ONE_LOOK_S:
        return
    with contextlib.suppress(OSError), (folder(workspace, run_id) / "looks.txt").open("a") as file:
        file.write(f"{int(now)}\n")  # never rounded up, or the next look would be before this one


def num_looks(workspace: Workspace, run: Run) -> tuple[int, int]:
    """Return how often test pictures of a run were looked at, and by how many runs.

    Looks at other runs of its dataset count where they were judged by some of the same pictures, under whatever label:
    other decisions make another split of almost the same pictures.
    """
    counts = [
        len(times)
        for other in list_runs(workspace, run.dataset_id)
        if (times := _looks(workspace, other.id)) and _share(workspace, run, other)
    ]
    return sum(counts), len(counts)


def _looks(workspace: Workspace, run_id: str) -> list[float]:
    """Return when a run was looked at, oldest first; what does not read as a time is left out."""
    times = []
    with contextlib.suppress(OSError):
        for line in (folder(workspace, run_id) / "looks.txt").read_text("ascii", "replace").splitlines():
            with contextlib.suppress(ValueError):
                times.append(float(line))
    return times


def _share(workspace: Workspace, run: Run, other: Run) -> bool:
    if run.id == other.id or (run.split_fingerprint and run.split_fingerprint == other.split_fingerprint):
        return True
    try:
        return _overlap(workspace, run.id, other.id)
    except GraftError:  # the files of one are damaged or not there
        return False


@functools.lru_cache(maxsize=4096)
def _overlap(workspace: Workspace, run_id: str, other_id: str) -> bool:
    """Return whether any picture judges both; what is in a finished run's split never changes."""
    return not _test_pictures(workspace, run_id).isdisjoint(_test_pictures(workspace, other_id))


@functools.lru_cache(maxsize=4)
def _test_pictures(workspace: Workspace, run_id: str) -> frozenset[str]:
    images = load_split(workspace, run_id)
    return frozenset(images.loc[images["split"] == "test", "sha256"])
