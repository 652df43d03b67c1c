"""Numbers from what was true and what was predicted, and how sure they are.

Everything is computed from class indices and probabilities with numpy alone, and equals
scikit-learn wherever scikit-learn has the measure (the tests hold it to that).
"""

from __future__ import annotations

from core.evaluation.calibration import TEMPERATURE_RANGE, fit_temperature, softmax
from core.evaluation.comparison import (
    NEGLIGIBLE,
    Difference,
    Verdict,
    holm,
    mcnemar,
    paired_difference,
    verdict,
)
from core.evaluation.confusion import (
    ORDERS,
    Confusion,
    class_order,
    confused_classes,
    confusion_matrix,
    most_confused,
)
from core.evaluation.curves import ranked
from core.evaluation.intervals import NUM_RESAMPLES, UNDEFINED, Estimate, Groups, wilson_interval
from core.evaluation.judgement import Judgement, judge
from core.evaluation.reliability import NUM_BINS, Bin, Reliability, reliability
from core.evaluation.scores import CLASS_MEASURES, TOP_COUNTS, ClassScores, Evaluation, evaluate
from core.evaluation.subsets import Headline, headline
from core.evaluation.worst import margins, top_classes, top_losses

__all__ = [
    "CLASS_MEASURES",
    "NEGLIGIBLE",
    "NUM_BINS",
    "NUM_RESAMPLES",
    "ORDERS",
    "TEMPERATURE_RANGE",
    "TOP_COUNTS",
    "UNDEFINED",
    "Bin",
    "ClassScores",
    "Confusion",
    "Difference",
    "Estimate",
    "Evaluation",
    "Groups",
    "Headline",
    "Judgement",
    "Reliability",
    "Verdict",
    "class_order",
    "confused_classes",
    "confusion_matrix",
    "evaluate",
    "fit_temperature",
    "headline",
    "holm",
    "judge",
    "margins",
    "mcnemar",
    "most_confused",
    "paired_difference",
    "ranked",
    "reliability",
    "softmax",
    "top_classes",
    "top_losses",
    "verdict",
    "wilson_interval",
]
