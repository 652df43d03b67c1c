"""What counts as too small, too dark, too blurred: numbers that a person may move without opening a file again."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from core.audit.near_duplicates import MIN_LIKENESS, MIN_LINK
from core.audit.shortcuts import MIN_GAIN
from core.errors import DataError, WorkspaceError
from core.workspace import Workspace, read_json, write_json


@dataclass(frozen=True)
class Thresholds:
    """Where a measure becomes a finding.

    Args:
        too_small: Pixels of the shorter side; smaller is flagged. 32 is the least that the networks of the catalog
            take, so anything below is mostly made up.
        too_large: Megapixels; larger is flagged. Reading such pictures takes longer than all the rest.
        odd_aspect: Longer side divided by the shorter; more is flagged, since a network sees a square.
        near_duplicate: Likeness, :data:`~core.audit.near_duplicates.MIN_LINK`…1; two pictures that are at least as
            alike are near-duplicates. It moves what is shown only: the split keeps together by the usual one, since
            no picture may change sides because somebody looks for twins.
        blank: Contrast, 0…1; below, there is nothing on the picture.
        dark: Brightness of the lightest parts, 0…1; below, next to nothing can be seen.
        bright: Brightness of the darkest parts, 0…1; above, the picture is washed out.
        blurry: Sharpness, 0…1; photos have 0.5 to 0.85, and 0.2 to 0.42 after a blur (sigma) of 1 % of the width.
        greyscale: Colourfulness, 0…1; below, a picture is grey. Compression alone makes 0.02.
        tiny_class: Pictures of a class; with fewer it cannot be learnt from, tuned on and judged at the same time.
        imbalance: How many times as many pictures the largest class has; more is flagged. Beyond 10 the smaller one
            hardly counts in accuracy, and common losses learn it last.
        shortcut: Share of what naming the commonest class gets wrong that a property alone gets right, 0…1; from here
            on it is found, unless chance explains it.

    Raises:
        DataError: A threshold is not a number, or negative.
    """

    too_small: float = 32
    too_large: float = 50
    odd_aspect: float = 4
    near_duplicate: float = MIN_LIKENESS
    blank: float = 0.04
    dark: float = 0.2
    bright: float = 0.9
    blurry: float = 0.42
    greyscale: float = 0.03
    tiny_class: int = 3
    imbalance: float = 10
    shortcut: float = MIN_GAIN

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise DataError(
                    f'Received the threshold {value} for "{field.name}". Expected a number of at least 0. Change it.'
                )
        if self.near_duplicate < MIN_LINK:
            raise DataError(
                f'Received the threshold {self.near_duplicate} for "near_duplicate". Expected at least {MIN_LINK}: '
                "of pictures that are less alike nothing is kept. Change it."
            )


RANGES = {
    "too_small": (0, 512, 1),
    "too_large": (1, 100, 1),
    "odd_aspect": (1, 10, 0.1),
    "near_duplicate": (MIN_LINK, 0.99, 0.01),
    "blank": (0, 0.5, 0.01),
    "dark": (0, 1, 0.01),
    "bright": (0, 1, 0.01),
    "blurry": (0, 1, 0.01),
    "greyscale": (0, 0.5, 0.01),
    "tiny_class": (1, 100, 1),
    "imbalance": (1, 50, 1),
    "shortcut": (0.01, 1, 0.01),
}
"""Of each threshold the least and the most that make sense, and a step; the check of the same name uses it."""

_SHARED = {"near_leak": "near_duplicate", "near_label_conflict": "near_duplicate"}


def threshold_of(check: str) -> str | None:
    """Return the threshold that moves what a check finds, or None where it has none."""
    name = _SHARED.get(check, check)
    return name if name in RANGES else None


def load_thresholds(workspace: Workspace, dataset_id: str) -> Thresholds:
    """Return the thresholds that a person set for a dataset, the usual ones where nobody did."""
    path = _path(workspace, dataset_id)
    if not path.exists():
        return Thresholds()
    try:
        kept = read_json(path)
        usual = dataclasses.asdict(Thresholds())
        return Thresholds(**{name: type(usual[name])(value) for name, value in kept.items() if name in usual})
    except (WorkspaceError, DataError, AttributeError, TypeError, ValueError):  # damaged: as if none were set
        return Thresholds()


def save_thresholds(workspace: Workspace, dataset_id: str, thresholds: Thresholds) -> None:
    """Keep thresholds for a dataset; only those that differ from the usual ones are written down."""
    usual, path = Thresholds(), _path(workspace, dataset_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = dataclasses.asdict(thresholds).items()
    write_json(path, {name: value for name, value in chosen if value != getattr(usual, name)})


def _path(workspace: Workspace, dataset_id: str) -> Path:
    return workspace.datasets_dir / dataset_id / "thresholds.json"
