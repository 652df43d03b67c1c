"""What a run is made from: which images, under which labels, in which split, and what had to be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import audit, curation, datasets, runs, splits, training
from core.datasets import Dataset, Pictures
from core.errors import JobError, NotFound
from core.features import Features
from core.queue import Job
from core.recipes import Recipe
from core.session.context import Context
from core.session.data_jobs import audit_dataset
from core.session.learnt import Learnt, learnt_before
from core.words import MAX_NAMED, Sentence, listed, quoted, sentence


@dataclass(frozen=True, eq=False)
class Material:
    """The images of a run.

    Args:
        dataset_id: Where they come from.
        pictures: Where the dataset's pictures are.
        table: One row per image: ``path`` (in the dataset's table), ``sha256``, ``label``, ``split``, ``group`` and
            ``given_label``, that of the folder.
        class_names: What the model learns to tell apart; the labels of all rows are among them.
        notes: What was left out and what bears on the scores.
        targets: What the training images are told to be, where it is something else than their labels: float32, shape
            (training images, classes), in their order.
        curation_fingerprint: Hash of the decisions that were obeyed; ``""`` where there were none.
        num_excluded: Pictures that a decision took out, by the split that they would be in.
    """

    dataset_id: str
    pictures: Pictures
    table: pd.DataFrame
    class_names: list[str]
    notes: list[Sentence] = field(default_factory=list)
    curation_fingerprint: str = ""
    targets: np.ndarray | None = None
    num_excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [self.pictures / path for path in self.table["path"]]

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of each file's bytes, as it was audited."""
        return list(self.table["sha256"])

    @property
    def y_true(self) -> np.ndarray:
        """Class index of every image: int64, shape (images,)."""
        index = {name: number for number, name in enumerate(self.class_names)}
        return self.table["label"].map(index).to_numpy(dtype=np.int64)

    def rows(self, split: str) -> np.ndarray:
        """Which images are in a split: bool, shape (images,)."""
        return (self.table["split"] == split).to_numpy()

    def images(self, split: str) -> training.Images:
        """Return files and true classes of a split, and what those of train are told to be."""
        rows = self.rows(split)
        paths = [self.pictures / path for path in self.table["path"][rows]]
        return training.Images(paths, self.y_true[rows], self.targets if split == "train" else None)

    def original_scores(self, split: str, logits: np.ndarray) -> dict[str, Any]:
        """Return :func:`core.runs.original_scores` of answers about a split: float, shape (images, classes)."""
        said = runs.Predictions(self.table[self.rows(split)], self.y_true[self.rows(split)], logits)
        return runs.original_scores(said, self.class_names, self.num_excluded.get(split, 0))

    def fingerprint(self) -> str:
        """Return the hash of which image is in which split under which label."""
        return splits.fingerprint(self.table, self.table["split"])

    def only(self, kept: np.ndarray) -> Material:
        """Return the material with only some of its images; ``kept``: bool, shape (images,)."""
        targets = None if self.targets is None else self.targets[kept[self.rows("train")]]
        return replace(self, table=self.table[kept].reset_index(drop=True), targets=targets)


def gather(context: Context, job: Job, recipe: Recipe) -> Material:
    """Bring the dataset's audit up to date and return the images to train on and to judge by.

    What the backbone has learnt from in an earlier run, where it goes on from one, is learnt from again and judges
    nothing.
    """
    dataset = _dataset(context, job)
    audit_dataset(context, dataset)
    table = audit.load_decided(context.workspace, dataset.id)
    if table is None:
        raise NotFound(f'The dataset "{dataset.name}" has not been audited. Open it on the Data page first.')
    table = splits.without_given(table, keep=recipe.keep_given)
    sides = splits.sides(table, recipe.fractions, recipe.seed)
    table = table.assign(split=splits.assign(table, recipe.fractions, recipe.seed, sides))
    excluded = pd.Series(sides, index=table.index)[table["excluded"] & table["found_usable"]]
    learnt = learnt_before(context.workspace, dataset.id, recipe)
    table, told = _judged_fairly(table, learnt)
    columns = ["path", "sha256", "label", "split", "group", "given_label"]
    used = table.loc[table["split"] != "", columns].sort_values("path", ignore_index=True)
    class_names = sorted(used["label"].unique())
    decided = curation.fingerprint(curation.made(table))
    return Material(
        dataset.id,
        dataset.pictures,
        used,
        class_names,
        [*_notes(table, dataset), *told],
        decided,
        num_excluded={split: int((excluded == split).sum()) for split in runs.SPLITS},
    )


def _judged_fairly(table: pd.DataFrame, learnt: Learnt) -> tuple[pd.DataFrame, list[Sentence]]:
    """Give what the network has learnt from before to train, and say so.

    Raises:
        JobError: Nothing is left to judge by.
    """
    notes = []
    spoilt = learnt.spoilt(table)
    if spoilt.any():
        fair = table.assign(split=table["split"].mask(spoilt, "train"))
        for split in ("val", "test"):
            if not (fair["split"] == split).any():
                raise JobError(
                    f"Of the {int((table['split'] == split).sum())} {split} pictures none is left to judge by: the "
                    "network has learnt from all of them, or near-duplicates of them, in "
                    f"{', '.join(learnt.run_ids)}. Choose the seed and the shares of that run, which keep its test "
                    "pictures apart, or begin with published weights."
                )
        notes.append(sentence("note.known_before", n=int(spoilt.sum()), runs=listed(learnt.run_ids)))
        table = fair
    if learnt.elsewhere:
        notes.append(sentence("note.known_elsewhere", runs=listed(learnt.elsewhere)))
    if learnt.gone:
        notes.append(sentence("note.known_by_nobody", runs=listed(learnt.gone)))
    if learnt.from_file:
        notes.append(sentence("note.known_from_file"))
    return table, notes


def _dataset(context: Context, job: Job) -> Dataset:
    """Return the dataset to train on; a sample that is not there yet is made."""
    try:
        return datasets.get(context.workspace, job.dataset_id)
    except NotFound:
        if not job.args.get("sample"):
            raise
        context.stage("sample")
        return datasets.add_sample(context.workspace, job.args["sample"], context.progress)


def _notes(table: pd.DataFrame, dataset: Dataset) -> list[Sentence]:
    """Return what was left out and what else bears on the scores."""
    notes = splits.notes(table, table["split"])
    has_own_note = splits.left_out(table, table["split"]) == "unseen"
    there = set(table["label"][(table["split"] != "") | has_own_note])
    if empty := sorted(set(datasets.read_layout(dataset.root).class_names) - there):
        notes.append(sentence("note.empty", names=quoted(empty)))
    if unusable := int((table["problem"] != "").sum()):
        notes.append(sentence("note.unusable", files=sentence("count.files", n=unusable)))
    if excluded := int((table["excluded"] & table["found_usable"]).sum()):
        notes.append(sentence("note.excluded", n=excluded))
    if added := int((datasets.added_rows(table) & (table["split"] == "train")).sum()):
        notes.append(sentence("note.added", n=added))
    if relabelled := int((table["usable"] & (table["label"] != table["given_label"])).sum()):
        notes.append(sentence("note.relabelled", n=relabelled))
    return notes


def without_lost(material: Material, extracted: Features) -> tuple[Material, np.ndarray]:
    """Leave out the files that could be read by the audit but not any more; also classes lost with them.

    Returns:
        The material, and the features of its images.

    Raises:
        JobError: What is left cannot be trained on.
    """
    kept = np.ones(len(material.table), dtype=bool)
    kept[sorted(extracted.unreadable)] = False
    lost = list(material.table["path"][~kept])
    material.notes.extend(sentence("note.lost", path=path) for path in lost[:MAX_NAMED])
    if len(lost) > MAX_NAMED:
        material.notes.append(sentence("note.lost_more", n=len(lost) - MAX_NAMED))
    material, matrix = material.only(kept), extracted.matrix[kept]
    kept = _learnable(material)
    material, matrix = material.only(kept), matrix[kept]
    material = replace(material, class_names=sorted(material.table["label"][material.rows("train")].unique()))
    for split in runs.SPLITS:
        if not material.rows(split).any():
            raise JobError(
                f"No picture of {split} could be read any more. Look at the Data page, then train again."
            )
    return material, matrix


def _learnable(material: Material) -> np.ndarray:
    """Return which images are of a class that still has training images."""
    left = set(material.table["label"][material.rows("train")])
    if len(left) < 2:
        raise JobError(
            f"Only {len(left)} of {len(material.class_names)} classes have training pictures that can still be "
            "read. Is the folder still there? Look at it again, then train again."
        )
    if lost := sorted(set(material.class_names) - left):
        material.notes.append(sentence("note.unlearnt", names=quoted(lost)))
    return material.table["label"].isin(left).to_numpy()
