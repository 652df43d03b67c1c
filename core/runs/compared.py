"""Two or more runs on the same images: which is better, what changed, and by what recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFound
from core.evaluation import (
    Difference,
    Evaluation,
    confusion_matrix,
    evaluate,
    holm,
    mcnemar,
    paired_difference,
)
from core.runs.judging import groups_of, judged
from core.runs.record import SPLITS, Run, get
from core.runs.said import Predictions, answers, predictions
from core.splits import SPLIT_WORDS
from core.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Compared:
    """Runs on the images that all of them have judged.

    Attributes:
        runs: In the order asked for; the others are held against the first.
        num_images: Images that all have judged, under the same label.
        num_left_out: Per run, images of its split that not all have, or that have other labels elsewhere.
        class_names: All classes that a run knows, sorted.
        scores: Per run, on these images, with intervals by its groups of near-duplicates.
        answers: Per run, one row per image in the same order, as of :func:`core.runs.answers` (sorted by the worst of
            the first run); ``row`` is the row in the run's own predictions. Those of further runs have also
            ``before`` and ``before_probability``: the class that the first run said, and how sure it was.
        said: Per run, its own predictions.
        differences: Of the accuracy of each further run from the first; each interval stands for itself.
        p_values: Of McNemar's exact test of each further run against the first, after Holm. Both of these by the
            groups of the further run.
        confusions: Per run, counts over ``class_names``, int64, shape (classes, classes).
    """

    runs: tuple[Run, ...]
    num_images: int
    num_left_out: tuple[int, ...]
    class_names: tuple[str, ...]
    scores: tuple[Evaluation, ...]
    answers: tuple[pd.DataFrame, ...]
    said: tuple[Predictions, ...]
    differences: tuple[Difference, ...]
    p_values: tuple[float, ...]
    confusions: tuple[np.ndarray, ...]

    def changed(self, number: int, *, fixed: bool) -> pd.DataFrame:
        """Return the answers of a further run to images on which it and the first differ in being right.

        Args:
            number: Of the run in :attr:`runs`, from 1.
            fixed: Those that the first got wrong and it gets right; else those that it broke.
        """
        first, second = self.answers[0]["wrong"], self.answers[number]["wrong"]
        return self.answers[number][first & ~second if fixed else ~first & second]


def match(tables: Sequence[pd.DataFrame]) -> list[np.ndarray]:
    """Return, for each table, the rows of the images that are in all of them, in the same order.

    Images are known by the hash of their bytes and their label; of files with the same bytes the first goes with the
    first.

    Args:
        tables: Columns ``sha256`` and ``label``.
    """
    keyed = [
        table[["sha256", "label"]].assign(
            copy=table.groupby(["sha256", "label"]).cumcount(), row=np.arange(len(table))
        )
        for table in tables
    ]
    common = keyed[0].rename(columns={"row": "row_0"})
    for number, table in enumerate(keyed[1:], start=1):
        common = common.merge(
            table.rename(columns={"row": f"row_{number}"}), on=["sha256", "label", "copy"], how="inner"
        )
    return [common[f"row_{number}"].to_numpy(dtype=np.int64) for number in range(len(tables))]


def compare(workspace: Workspace, run_ids: Sequence[str], split: str) -> Compared:
    """Hold runs against the first of them, on the images of a split that all have judged.

    Raises:
        NotFound: A run or its split is not there, its training is not done, or they have no image in common.
        WorkspaceError: The files of one are damaged.
    """
    found = [get(workspace, run_id) for run_id in run_ids]
    said = [predictions(workspace, run_id, split) for run_id in run_ids]
    rows = match([one.images for one in said])
    if not len(rows[0]):
        raise _nothing_in_common(found, said, split)
    class_names = tuple(sorted({name for run in found for name in run.class_names}))
    tables = [_answers(run, one, at) for run, one, at in zip(found, said, rows, strict=True)]
    order = tables[0]["true_probability"].argsort(kind="stable")
    tables = [table.iloc[order].reset_index(drop=True) for table in tables]
    before = {"before": tables[0]["predicted"], "before_probability": tables[0]["probability"]}
    tables[1:] = [table.assign(**before) for table in tables[1:]]
    right = [one.y_prob[at].argmax(axis=1) == one.y_true[at] for one, at in zip(said, rows, strict=True)]
    groups = [pd.factorize(groups_of(one.images)[at])[0] for one, at in zip(said, rows, strict=True)]
    held = list(zip(right[1:], groups[1:], strict=True))
    return Compared(
        runs=tuple(found),
        num_images=len(rows[0]),
        num_left_out=tuple(len(one.y_true) - len(rows[0]) for one in said),
        class_names=class_names,
        scores=tuple(
            _scores(workspace, run, split, one, at) for run, one, at in zip(found, said, rows, strict=True)
        ),
        answers=tuple(tables),
        said=tuple(said),
        differences=tuple(paired_difference(right[0], other, together) for other, together in held),
        p_values=tuple(holm([mcnemar(right[0], other, together) for other, together in held])),
        confusions=tuple(_confusion(table, class_names) for table in tables),
    )


def _scores(workspace: Workspace, run: Run, split: str, said: Predictions, rows: np.ndarray) -> Evaluation:
    if len(rows) == len(said.y_true):  # as the run was judged, which is kept
        return judged(workspace, run, split).scores
    return evaluate(
        said.y_true[rows], said.y_prob[rows], run.class_names, groups=groups_of(said.images)[rows]
    )


def _nothing_in_common(found: Sequence[Run], said: Sequence[Predictions], split: str) -> NotFound:
    """Return why there is nothing to compare by: other pictures, or the same under other labels."""
    name = SPLIT_WORDS.get(split, "training")
    rows = match([one.images.assign(label="") for one in said])
    if not len(rows[0]):
        return NotFound(
            f"These runs have no {name} picture in common, so they cannot be compared. Choose runs on the same dataset "
            "and split."
        )
    labels = [str(one.images["label"].iloc[at[0]]) for one, at in zip(said, rows, strict=True)]
    first = ", ".join(f'"{label}" in the run {run.id}' for run, label in zip(found, labels, strict=True))
    return NotFound(
        f"These runs have {len(rows[0])} {name} pictures in common, but under other labels: the first of them is "
        f"{first}. Only a picture that all know by the same label is compared. Call the classes the same, then train "
        "again."
    )


def _answers(run: Run, said: Predictions, rows: np.ndarray) -> pd.DataFrame:
    return answers(run, said).set_index("row", drop=False).loc[rows].reset_index(drop=True)


def _confusion(table: pd.DataFrame, class_names: Sequence[str]) -> np.ndarray:
    index = {name: number for number, name in enumerate(class_names)}
    return confusion_matrix(table["true"].map(index), table["predicted"].map(index), len(class_names))


def confusion_changes(found: Compared, number: int) -> pd.DataFrame:
    """Return the cells of the matrix that changed from the first run to another, the largest change first.

    Returns:
        ``true`` and ``predicted`` (class names), images ``before`` and ``after``, and ``change``, after minus before.
    """
    before, after = found.confusions[0], found.confusions[number]
    true, predicted = np.nonzero(before != after)
    names = np.array(found.class_names, dtype=object)
    table = pd.DataFrame(
        {
            "true": names[true],
            "predicted": names[predicted],
            "before": before[true, predicted],
            "after": after[true, predicted],
            "change": (after - before)[true, predicted],
        }
    )
    return table.sort_values("change", key=lambda change: -change.abs(), kind="stable", ignore_index=True)


DATA_FACTS = ("dataset", "split", "classes", *SPLITS, "decisions", "relabelled", "excluded")
"""Facts of runs beside their recipe's."""


def differing_settings(found: Sequence[Run]) -> pd.DataFrame:
    """Return the facts in which runs differ, one row each: recipe, data and split; a column per run, in order.

    Returns:
        Column ``fact`` (one of :data:`DATA_FACTS`, a name of the recipe's fields, or one such as ``augment.crop``),
        then ``run_0``, ``run_1``, …, as their records have it; ``""`` where one does not say.
    """
    facts = [_facts(run) for run in found]
    names = dict.fromkeys(name for table in facts for name in table)
    rows = [
        {"fact": name} | {f"run_{number}": table.get(name, "") for number, table in enumerate(facts)}
        for name in names
        if len({str(table.get(name, "")) for table in facts}) > 1
    ]
    return pd.DataFrame(rows, columns=["fact", *(f"run_{number}" for number in range(len(facts)))])


def _facts(run: Run) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "dataset": run.dataset_name,
        "split": run.split_fingerprint[:8],
        "classes": len(run.class_names),
        **run.num_images,
        "decisions": run.curation_fingerprint[:8],
    }
    original = [run.metrics.get(split, {}).get("original", {}) for split in ("val", "test")]
    for kind in ("relabelled", "excluded"):
        facts[kind] = sum(found.get(f"num_{kind}", 0) for found in original)
    for name, value in run.recipe.items():
        if isinstance(value, dict):
            facts |= {f"{name}.{inner}": nested for inner, nested in value.items()}
        else:
            facts[name] = value
    return facts
