"""A run after the labels that judge it were reviewed: the score on the original ones, and on those after review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation import Headline, headline
from core.runs.judging import groups_of
from core.runs.record import Run, estimate
from core.runs.said import Predictions
from core.splits import SPLIT_WORDS
from core.words import Sentence, sentence


@dataclass(frozen=True)
class Reviewed:
    """What a review of the labels of a split does to a run's score; its predictions stay what they were.

    Args:
        original: By the labels that the folder gives.
        after: By the labels as they are decided now, without what was excluded; None where nothing is left.
        num_relabelled: Images of the split that have another label than the folder's.
        num_excluded: Images of the split that were excluded.
        num_were_wrong: Of the changed ones, those that the run had wrong by the original labels.
        in_favour: Changes by which the run gained: a wrong answer became right, or was excluded.
        against: Changes by which it lost: a right answer became wrong, or was excluded.
    """

    original: Headline
    after: Headline | None
    num_relabelled: int
    num_excluded: int
    num_were_wrong: int
    in_favour: int
    against: int

    @property
    def num_changed(self) -> int:
        """Images whose label was changed, or that were excluded."""
        return self.num_relabelled + self.num_excluded


def reviewed(run: Run, said: Predictions, files: pd.DataFrame) -> Reviewed | None:
    """Return what the review of a split's labels does to a run's score; None where none was changed.

    Args:
        run: A finished run.
        said: What it says about the split.
        files: The dataset's files with the decisions laid over them, as :func:`core.curation.apply` returns them. Of
            one that is not there any more, or has other bytes, the label that the run was judged by stands.
    """
    given, now, excluded = _labels(said.images, files)
    relabelled = (given != now) & ~excluded
    changed = relabelled | excluded
    if not changed.any():
        return None
    # A class that the run does not know can be right all the same; it only never says so.
    names = [*run.class_names, *sorted({*given, *now} - {*run.class_names})]
    index = {name: number for number, name in enumerate(names)}
    before, after = (np.array([index[name] for name in labels], dtype=np.int64) for labels in (given, now))
    y_pred, groups = said.y_prob.argmax(axis=1), groups_of(said.images)
    was_right, kept = y_pred == before, ~excluded
    is_right = (y_pred == after) & kept
    return Reviewed(
        original=headline(before, y_pred, len(names), groups=groups),
        after=headline(after[kept], y_pred[kept], len(names), groups=groups[kept]) if kept.any() else None,
        num_relabelled=int(relabelled.sum()),
        num_excluded=int(excluded.sum()),
        num_were_wrong=int((changed & ~was_right).sum()),
        in_favour=int((changed & ~was_right & (is_right | excluded)).sum()),
        against=int((changed & was_right & ~is_right).sum()),
    )


def original_scores(said: Predictions, class_names: Sequence[str], num_excluded: int = 0) -> dict[str, Any]:
    """Return how a new run does by the original labels, for its record; empty where no decision changed its split.

    Args:
        said: What it says about a split; ``given_label`` in its images is the label of the folder.
        class_names: What the run tells apart.
        num_excluded: Pictures that were excluded before and would have been in the split.

    Returns:
        ``num_relabelled``, ``num_excluded`` and, where a label was changed, ``accuracy`` and ``macro_f1`` with their
        intervals, all on the pictures that are left.
    """
    given, now = (said.images.get(name, said.images["label"]).to_numpy() for name in ("given_label", "label"))
    num_relabelled = int((given != now).sum())
    if not num_relabelled:
        return {"num_relabelled": 0, "num_excluded": num_excluded} if num_excluded else {}
    names = [*class_names, *sorted({*given} - {*class_names})]
    y_given = np.array([names.index(label) for label in given], dtype=np.int64)
    found = headline(y_given, said.y_prob.argmax(axis=1), len(names), groups=groups_of(said.images))
    return {
        "num_relabelled": num_relabelled,
        "num_excluded": num_excluded,
        "accuracy": found.accuracy.value,
        "accuracy_interval": [found.accuracy.low, found.accuracy.high],
        "macro_f1": found.macro_f1.value,
        "macro_f1_interval": [found.macro_f1.low, found.macro_f1.high],
    }


def review_notes(run: Run, split: str) -> list[Sentence]:
    """Return what is to be said beside the scores of a run whose split was reviewed before it was trained."""
    original = run.metrics.get(split, {}).get("original", {})
    notes = []
    if original.get("num_relabelled"):
        low, high = original["accuracy_interval"]
        macro_f1 = estimate(original, "macro_f1")
        scores = {"accuracy": 100 * original["accuracy"], "low": 100 * low, "high": 100 * high}
        notes.append(
            sentence(
                "review.relabelled_before",
                n=original["num_relabelled"],
                split=SPLIT_WORDS.get(split, "training"),
                macro_f1=macro_f1.value,
                macro_f1_low=macro_f1.low,
                macro_f1_high=macro_f1.high,
                **scores,
            )
        )
    if original.get("num_excluded"):
        words = {"n": original["num_excluded"], "split": SPLIT_WORDS.get(split, "training")}
        notes.append(sentence("review.excluded_before", **words))
    return notes


def _labels(images: pd.DataFrame, files: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each image, the folder's label, the label as decided, and whether it is excluded."""
    columns = files.set_index("path")[["sha256", "given_label", "label", "excluded"]]
    found = columns.reindex(images["path"])
    same = (found["sha256"] == images["sha256"].to_numpy()).to_numpy(dtype=bool)
    own = images["label"].to_numpy(dtype=object)
    given, now = (
        np.where(same, found[name].to_numpy(dtype=object), own) for name in ("given_label", "label")
    )
    return given, now, same & found["excluded"].eq(True).to_numpy(dtype=bool)
