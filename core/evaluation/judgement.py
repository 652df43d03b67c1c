"""All that is computed once of a model on a split: its scores, and how honest its probabilities are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from core.evaluation.calibration import softmax
from core.evaluation.reliability import Reliability, reliability
from core.evaluation.scores import Evaluation, evaluate

FORMAT = 1
"""Of what is kept; judged anew where it is another one."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """A model on a split.

    Attributes:
        scores: Of the calibrated probabilities.
        before: How honest the probabilities were before the temperature.
        after: How honest they are.
    """

    scores: Evaluation
    before: Reliability
    after: Reliability

    def to_json(self) -> dict[str, Any]:
        """The same as plain values for ``json.dumps``."""
        return {
            "format": FORMAT,
            "scores": self.scores.to_json(),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Judgement | None:
        """Rebuild it from what :meth:`to_json` returned; None where that was another Graft's."""
        if stored.get("format") != FORMAT:
            return None
        return cls(
            Evaluation.from_json(stored["scores"]),
            Reliability.from_json(stored["before"]),
            Reliability.from_json(stored["after"]),
        )


def judge(
    y_true: npt.ArrayLike,
    logits: npt.ArrayLike,
    temperature: float,
    class_names: Sequence[str],
    groups: npt.ArrayLike | None = None,
) -> Judgement:
    """How good is a model on a split, and how honest?

    Args:
        y_true: True class indices, integer, shape (images,).
        logits: Raw scores, float, shape (images, classes).
        temperature: Fitted on validation.
        class_names: In the order of the columns.
        groups: The same for images that hang together, shape (images,); None if each stands alone.

    Raises:
        DataError: There is no image, or a score is not a number.
    """
    y_prob = softmax(logits, temperature)
    return Judgement(
        evaluate(y_true, y_prob, class_names, groups=groups),
        reliability(y_true, softmax(logits), groups),
        reliability(y_true, y_prob, groups),
    )
