"""How good a run is on the parts of a split that metadata names: by camera, by site, by how bright it was."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from core import metadata
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


def slices(run: Run, said: Predictions, column: pd.Series) -> list[Slice]:
    """Return how good a run is on each part of a split.

    Args:
        run: A finished run.
        said: What it says about the split.
        column: Of metadata, one entry per image of the split (:func:`core.metadata.of_pictures`).
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
        for part in metadata.parts(column)
    ]
