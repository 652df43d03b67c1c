"""The scores of one model on one split, over all and per class, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation import counted, curves
from core.evaluation.calibration import FloatArray, IntArray, checked
from core.evaluation.confusion import confusion_matrix
from core.evaluation.intervals import UNDEFINED, Estimate, Groups, around, num_resamples
from core.evaluation.reliability import plain, rebuilt

TOP_COUNTS = (3, 5)
"""The k of top-k accuracy; one is left out where there are not more classes."""
CLASS_MEASURES = ("precision", "recall", "f1", "specificity", "average_precision", "roc_auc")


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found. A ratio whose denominator is zero counts as 0.0; NaN is what is not defined.

    Attributes:
        name: The class.
        precision: Of the images given this class, the share that belongs to it, in [0, 1].
        recall: Of the images of this class, the share that was given it, in [0, 1].
        f1: Harmonic mean of precision and recall, in [0, 1].
        support: Number of images of this class in the split.
        specificity: Of the images of other classes, the share that was not given this one, in [0, 1]; NaN if none.
        average_precision: Area under precision over recall as the probability falls, in [0, 1]; NaN without images.
        roc_auc: How often an image of the class has a higher probability of it than one of another, in [0, 1]; NaN
            where there are none of either kind.
        intervals: The 95 % interval of each of :data:`CLASS_MEASURES`, low and high.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    specificity: float = float("nan")
    average_precision: float = float("nan")
    roc_auc: float = float("nan")
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def estimate(self, measure: str) -> Estimate:
        """Return one of :data:`CLASS_MEASURES` with its interval."""
        return Estimate(getattr(self, measure), *self.intervals[measure])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one model on one split.

    Attributes:
        num_images: Images judged, at least 1.
        measures: By name: ``accuracy``, ``top_3_accuracy`` and ``top_5_accuracy`` (shares, with Wilson's interval),
            the measures of :data:`core.evaluation.counted.BOUNDS` and ``log_loss`` (mean negative log-probability of
            the true class in nats, 0 is perfect), with bootstrap intervals. Means over classes leave out those
            without images.
        num_classes_left_out: Classes without an image in this split.
        per_class: One entry per class, in the order of the class names.
        confusion_matrix: Counts, int64, shape (classes, classes); rows are true, columns predicted.
        num_groups: Groups of near-duplicates, one image counting as a group too.
    """

    num_images: int
    measures: Mapping[str, Estimate]
    num_classes_left_out: int
    per_class: tuple[ClassScores, ...]
    confusion_matrix: IntArray
    num_groups: int

    @property
    def accuracy(self) -> Estimate:
        """Share of right answers."""
        return self.measures["accuracy"]

    @property
    def macro_f1(self) -> Estimate:
        """Mean F1 of the classes that have images."""
        return self.measures["macro_f1"]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of rows and columns of the confusion matrix."""
        return tuple(scores.name for scores in self.per_class)

    @property
    def num_predicted(self) -> IntArray:
        """Images that were given each class, shape (classes,)."""
        found: IntArray = self.confusion_matrix.sum(axis=0)
        return found

    def of_class(self, number: int, measure: str) -> Estimate:
        """Return one of :data:`CLASS_MEASURES` of a class with its interval; NaN where only convention makes it 0.

        Precision is not defined where no image was given the class; recall and F1 are not where it has none.
        """
        scores = self.per_class[number]
        among = self.num_predicted[number] if measure == "precision" else scores.support
        if measure in ("precision", "recall", "f1") and not among:
            return UNDEFINED
        return scores.estimate(measure)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values for ``json.dumps``; intervals are ``[low, high]`` beside their measure."""
        stored: dict[str, Any] = {"num_images": self.num_images, "num_groups": self.num_groups}
        for name, estimate in self.measures.items():
            value, *interval = plain(estimate)
            stored |= {name: value, f"{name}_interval": interval}
        return stored | {
            "num_classes_left_out": self.num_classes_left_out,
            "class_names": list(self.class_names),
            "per_class": [_plain_class(scores) for scores in self.per_class],
            "confusion_matrix": self.confusion_matrix.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Evaluation:
        """Rebuild it from what :meth:`to_json` returned.

        Raises:
            KeyError: It is that of an older Graft, which knew fewer measures.
        """
        names = [name.removesuffix("_interval") for name in stored if name.endswith("_interval")]
        return cls(
            num_images=stored["num_images"],
            measures={name: rebuilt([stored[name], *stored[f"{name}_interval"]]) for name in names},
            num_classes_left_out=stored["num_classes_left_out"],
            per_class=tuple(_rebuilt_class(scores) for scores in stored["per_class"]),
            confusion_matrix=np.array(stored["confusion_matrix"], dtype=np.int64),
            num_groups=stored["num_groups"],
        )


def _plain_class(scores: ClassScores) -> dict[str, Any]:
    stored: dict[str, Any] = {"name": scores.name, "support": scores.support}
    for measure in CLASS_MEASURES:
        value, *interval = plain(scores.estimate(measure))
        stored |= {measure: value, f"{measure}_interval": interval}
    return stored


def _rebuilt_class(stored: Mapping[str, Any]) -> ClassScores:
    found = {
        measure: rebuilt([stored[measure], *stored[f"{measure}_interval"]]) for measure in CLASS_MEASURES
    }
    return _class_scores(stored["name"], stored["support"], found)


def _class_scores(name: str, support: int, found: Mapping[str, Estimate]) -> ClassScores:
    values = {measure: estimate.value for measure, estimate in found.items()}
    intervals = {measure: (estimate.low, estimate.high) for measure, estimate in found.items()}
    return ClassScores(name=name, support=support, intervals=intervals, **values)


def evaluate(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    class_names: Sequence[str],
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
) -> Evaluation:
    """How good are these predictions?

    The predicted class is the most probable one; where several are equally probable, the first.

    Args:
        y_true: True class indices, integer, shape (images,), each in 0 … classes − 1.
        y_prob: Probabilities, float, shape (images, classes), in [0, 1], rows summing to 1.
        class_names: Names in the order of the columns of ``y_prob``.
        seed: Of the bootstrap.
        groups: The same for images that hang together, such as near-duplicates, shape (images,); None if each stands
            alone. Where there are such groups the intervals are wider.

    Raises:
        DataError: There is no image, or a probability is not a number.
        ValueError: The shapes do not fit each other, or a class index is out of range.
    """
    truth, prob = checked(y_true, y_prob)
    if prob.shape[1] != len(class_names):
        raise ValueError(
            f"Received probabilities for {prob.shape[1]} classes and {len(class_names)} class names. "
            "Expected one name per class. Pass the class names the model was trained on."
        )
    together, y_pred = Groups(groups, truth), prob.argmax(axis=1)
    confusion = confusion_matrix(truth, y_pred, len(class_names))
    drawn = counted.draw(confusion, seed)
    accuracy = together.share(y_pred == truth)
    by_group = (
        None if together.are_single else counted.draw_groups(truth, y_pred, len(class_names), together, seed)
    )
    return Evaluation(
        num_images=len(truth),
        measures={
            "accuracy": accuracy,
            **_top_accuracies(truth, prob, together),
            **counted.estimates(confusion, drawn, accuracy, by_group, together),
            "log_loss": _log_loss(truth, prob, together, seed),
        },
        num_classes_left_out=int((confusion.sum(axis=1) == 0).sum()),
        per_class=_per_class(truth, prob, class_names, confusion, drawn, together, seed),
        confusion_matrix=confusion,
        num_groups=together.num_groups,
    )


def _top_accuracies(truth: IntArray, prob: FloatArray, groups: Groups) -> dict[str, Estimate]:
    """Of equally probable classes the first comes first, as among predictions."""
    true_prob = prob[np.arange(len(truth)), truth][:, None]
    before = np.arange(prob.shape[1]) < truth[:, None]
    rank = ((prob > true_prob) | ((prob == true_prob) & before)).sum(axis=1)
    return {
        f"top_{count}_accuracy": groups.share(rank < count) for count in TOP_COUNTS if count < prob.shape[1]
    }


def _log_loss(truth: IntArray, prob: FloatArray, groups: Groups, seed: int) -> Estimate:
    # scikit-learn cuts probabilities at the same epsilon: one certain error must not make the mean infinite.
    losses = -np.log(prob[np.arange(len(truth)), truth].clip(np.finfo(np.float64).eps, 1.0))
    drawn = [
        weights @ losses / weights.sum(axis=1)
        for weights in groups.resamples(num_resamples(len(truth)), seed)
    ]
    return around(float(losses.mean()), np.concatenate(drawn), groups.spread, (0.0, math.inf))


def _per_class(
    truth: IntArray,
    prob: FloatArray,
    class_names: Sequence[str],
    confusion: IntArray,
    drawn: counted.Drawn,
    groups: Groups,
    seed: int,
) -> tuple[ClassScores, ...]:
    y_pred = prob.argmax(axis=1)
    ratios = np.transpose(counted.class_ratios(counted.counts_of(confusion)))
    f1_draws, f1_expected = (counted.class_ratios(counts)[2] for counts in (drawn.counts, drawn.expected))
    ranked = curves.estimates(truth, prob, groups, seed)
    found = []
    for label, name in enumerate(class_names):
        is_true, is_said = truth == label, y_pred == label
        precision, recall, f1 = map(float, ratios[label])
        recalled = groups.share(is_said, is_true)
        estimates = {
            "precision": _or(groups.share(is_true, is_said), precision),
            "recall": _or(recalled, recall),
            "f1": _or(UNDEFINED, f1)
            if math.isnan(recalled.value)
            else counted.estimate(
                f1, f1_draws[:, label], float(f1_expected[label]), drawn.spread, (0.0, 1.0), recalled
            ),
            "specificity": groups.share(~is_said, ~is_true),
            **ranked[label]._asdict(),
        }
        found.append(_class_scores(name, int(is_true.sum()), estimates))
    return tuple(found)


def _or(found: Estimate, value: float) -> Estimate:
    """Return the estimate; a value that only convention gives may as well be any other."""
    return Estimate(value, 0.0, 1.0) if math.isnan(found.value) else found
