"""Which backbone suits a dataset: what a ranking found, and what follows from it.

A ranking fits the same head on the features of each backbone and judges it by cross-validation, on the same pictures
and folds. It uses those of train and val only: a network chosen by test pictures would look better there than it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from core import splits
from core.errors import WorkspaceError
from core.words import Sentence, Value, sentence
from core.workspace import Workspace, read_json, write_json

FILE = "ranking.json"
CLEARLY_FASTER = 0.8
"""Share of another's time from which on a backbone is called faster: smaller differences come and go with the load."""


@dataclass(frozen=True)
class Ranked:
    """How one backbone did.

    Args:
        backbone: Its name in the catalog.
        accuracy: Share of the pictures that the head is right on, each while it was not learnt from, 0…1.
        low: Lower end of its 95 % interval (Wilson's; near-duplicates count as fewer).
        high: Upper end.
        behind: How much less accurate it is than the first, on the same pictures (0…1, positive is worse), and the
            95 % interval of that; None for the first itself.
        ms_per_image: Milliseconds for one picture alone, from its pixels to its logits, median.
        size_mb: Megabytes of its weights in 32 bits.
        error: Why it could not be judged; all numbers are 0 then.
    """

    backbone: str
    accuracy: float = 0.0
    low: float = 0.0
    high: float = 0.0
    behind: tuple[float, float, float] | None = None
    ms_per_image: float = 0.0
    size_mb: float = 0.0
    error: str = ""

    @property
    def is_as_good(self) -> bool:
        """Whether it cannot be told from the first: the interval of the difference holds 0."""
        return not self.error and (self.behind is None or self.behind[1] <= 0)


@dataclass(frozen=True)
class Ranking:
    """What a ranking found.

    Args:
        entries: The most accurate first, then those that could not be judged.
        num_images: Pictures that judged.
        num_available: Pictures of train and val that there were; where there are more, some were drawn by chance.
        num_folds: Of the cross-validation.
        created: Seconds since the epoch.
        missing: Names of backbones that were asked for but not reached, as it was stopped.
        fingerprint: Of the pictures that were there to judge (:func:`fingerprint`); ``""`` in one of an older Graft.
    """

    entries: Sequence[Ranked]
    num_images: int
    num_available: int
    num_folds: int
    created: float = field(default_factory=time.time)
    missing: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def judged(self) -> list[Ranked]:
        """Those with numbers."""
        return [entry for entry in self.entries if not entry.error]


def fingerprint(table: pd.DataFrame, split: pd.Series[str]) -> str:
    """Return :func:`core.splits.fingerprint` of train and val alone: what test holds changes no ranking."""
    return splits.fingerprint(table, split.where(split != "test", ""))


def save(workspace: Workspace, dataset_id: str, ranking: Ranking) -> None:
    """Keep what a ranking of a dataset's backbones has found so far."""
    write_json(_path(workspace, dataset_id), asdict(ranking))


def load(workspace: Workspace, dataset_id: str) -> Ranking | None:
    """Return the last ranking of a dataset's backbones, or None where there is none that can be read."""
    try:
        kept: dict[str, Any] = read_json(_path(workspace, dataset_id))
        entries = [Ranked(**{**entry, "behind": _triple(entry["behind"])}) for entry in kept.pop("entries")]
        return Ranking(entries, **{**kept, "missing": tuple(kept["missing"])})
    except (WorkspaceError, KeyError, TypeError, ValueError):
        return None


def _triple(values: Sequence[float] | None) -> tuple[float, float, float] | None:
    if values is None:
        return None
    value, low, high = values
    return value, low, high


def _path(workspace: Workspace, dataset_id: str) -> Path:
    return workspace.datasets_dir / dataset_id / FILE


def advice(ranking: Ranking, titles: dict[str, str]) -> Sentence | None:
    """Return which backbone to take, or None where fewer than two were judged.

    Args:
        ranking: What was found.
        titles: What people call the backbones, by name.
    """
    judged = ranking.judged
    if len(judged) < 2:
        return None
    best = judged[0]
    as_good = [entry for entry in judged if entry.is_as_good]
    quickest = min(as_good, key=lambda entry: entry.ms_per_image)
    numbers: dict[str, Value] = {
        "best": titles[best.backbone],
        "accuracy": 100 * best.accuracy,
        "ms": best.ms_per_image,
    }
    if len(as_good) == 1:
        return sentence("ranking.one", second=titles[judged[1].backbone], **numbers)
    if quickest.ms_per_image > CLEARLY_FASTER * best.ms_per_image:
        return sentence("ranking.best_is_quick", n=len(as_good) - 1, **numbers)
    return sentence(
        "ranking.quicker",
        quickest=titles[quickest.backbone],
        quick_accuracy=100 * quickest.accuracy,
        quick_ms=quickest.ms_per_image,
        **numbers,
    )
