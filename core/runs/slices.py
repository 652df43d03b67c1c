"""How good a run is on the parts of a split: by camera, by site, by what the audit found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation import Headline, headline
from core.metadata import Part
from core.runs.judging import groups_of
from core.runs.record import Run
from core.runs.said import Predictions

FEW = 30
"""Pictures below which a part is too small to judge: Wilson's interval of 80 % of 29 is 28 points wide."""


@dataclass(frozen=True)
class Slice:
    """A run on a part of a split.

    Args:
        part: Which images.
        scores: Accuracy and macro F1 on them.
    """

    part: Part
    scores: Headline

    @property
    def is_small(self) -> bool:
        """Whether there are too few images to judge by."""
        return self.scores.num_images < FEW


def slices(run: Run, said: Predictions, parts: Sequence[Part]) -> list[Slice]:
    """Return how good a run is on each part of a split.

    Args:
        run: A finished run.
        said: What it says about the split.
        parts: As :func:`core.metadata.parts` returns them of a column with one entry per image of the split, or
            :func:`flagged_parts` of its paths.
    """
    y_pred, groups = said.y_prob.argmax(axis=1), groups_of(said.images)
    return [
        Slice(
            part,
            headline(
                said.y_true[part.rows],
                y_pred[part.rows],
                len(run.class_names),
                groups=groups[part.rows],
            ),
        )
        for part in parts
    ]


def flagged_parts(paths: Sequence[str], flags: Mapping[str, Collection[str]]) -> list[Part]:
    """Part pictures by the checks of the audit that flag them; one that several flag is in several parts.

    Args:
        paths: Of the pictures.
        flags: The paths that each check flags, as :func:`core.audit.flagged_paths` returns them.

    Returns:
        A part of kind ``"flag"`` for each check that flags any of the pictures, its name as the value, in the order
        of the checks; then those that none flags, of kind ``"unflagged"``.
    """
    members = {
        check: np.fromiter((path in flagged for path in paths), dtype=bool, count=len(paths))
        for check, flagged in flags.items()
    }
    found = [Part("flag", np.flatnonzero(at), check) for check, at in members.items() if at.any()]
    rest = np.flatnonzero(~np.any(list(members.values()), axis=0)) if members else np.arange(len(paths))
    return [*found, Part("unflagged", rest)] if len(rest) else found
