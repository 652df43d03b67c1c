"""The two scores that are asked for most, for parts of a split or under other labels: cheaper than all measures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.evaluation import counted
from core.evaluation.confusion import confusion_matrix
from core.evaluation.intervals import Estimate, Groups


class Headline(NamedTuple):
    """Accuracy and macro F1 on some images, with the intervals that :func:`core.evaluation.evaluate` gives.

    Args:
        num_images: Images judged, at least 1.
        accuracy: Share of right answers.
        macro_f1: Mean F1 of the classes that have images among these.
    """

    num_images: int
    accuracy: Estimate
    macro_f1: Estimate


def headline(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    num_classes: int,
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
) -> Headline:
    """How good are these answers?

    Args:
        y_true: True class indices, integer, shape (images,), at least 1 image.
        y_pred: Predicted class indices, integer, shape (images,).
        num_classes: Number of classes; all indices are below it.
        seed: Of the bootstrap.
        groups: The same for images that hang together, shape (images,); None if each stands alone.
    """
    truth, said = np.asarray(y_true, dtype=np.int64), np.asarray(y_pred, dtype=np.int64)
    together = Groups(groups, truth)
    confusion = confusion_matrix(truth, said, num_classes)
    accuracy = together.share(said == truth)
    by_group = None if together.are_single else counted.draw_groups(truth, said, num_classes, together, seed)
    found = counted.estimates(confusion, counted.draw(confusion, seed), accuracy, by_group, together)
    return Headline(len(truth), accuracy, found["macro_f1"])
