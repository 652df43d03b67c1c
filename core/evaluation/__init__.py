"""Numbers from what was true and what was predicted, and how sure they are.

Everything is computed from class indices and probabilities with numpy alone, and equals
scikit-learn wherever scikit-learn has the measure (the tests hold it to that).
"""

from __future__ import annotations

from core.evaluation.calibration import TEMPERATURE_RANGE, fit_temperature, softmax
from core.evaluation.comparison import Difference, paired_difference
from core.evaluation.scores import (
    NUM_RESAMPLES,
    ClassScores,
    Confusion,
    Estimate,
    Evaluation,
    confusion_matrix,
    evaluate,
    most_confused,
    top_classes,
    top_losses,
    wilson_interval,
)

__all__ = [
    "NUM_RESAMPLES",
    "TEMPERATURE_RANGE",
    "ClassScores",
    "Confusion",
    "Difference",
    "Estimate",
    "Evaluation",
    "confusion_matrix",
    "evaluate",
    "fit_temperature",
    "most_confused",
    "paired_difference",
    "softmax",
    "top_classes",
    "top_losses",
    "wilson_interval",
]
