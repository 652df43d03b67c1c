"""What twins in train are worth: the same probe fitted with them and without, judged on the same test pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core import audit, catalog, datasets, evaluation, leakage, recipes, runs, splits
from core.errors import JobError, NotFound
from core.heads import fit_probe
from core.queue import Job
from core.session import networks
from core.session.context import Context
from core.session.learnt import require_unlearnt
from core.session.leavable import run_leavable


@dataclass(frozen=True, eq=False)
class _Rows:
    """Which rows of a table are learnt from and judged on: bool, shape (rows,)."""

    train: np.ndarray
    twins_in_train: np.ndarray
    test: np.ndarray
    twins_in_test: np.ndarray


def do_leak(context: Context, job: Job) -> dict[str, Any]:
    """Measure the worth of the twins that a split without regard to duplicates puts into train.

    Raises:
        NotFound: The dataset is not there, or was not audited.
        JobError: No test picture has a twin in train, or the network has learnt from the pictures.
    """
    recipe = recipes.from_json(job.args["recipe"])
    dataset = datasets.get(context.workspace, job.dataset_id)
    table = audit.load_decided(context.workspace, dataset.id)
    if table is None:
        raise NotFound(f'The dataset "{dataset.name}" has not been audited. Open it on the Data page first.')
    table = splits.without_given(table, keep=recipe.keep_given)
    split = leakage.unguarded(table, recipe.fractions, recipe.seed)
    fingerprint = splits.fingerprint(table, split)
    used = split.isin(["train", "test"])
    table, split = table[used], split[used]
    require_unlearnt(context.workspace, dataset.id, recipe, table, "this measurement")
    context.stage("prepare")
    backbone = networks.warm_backbone(context, recipe, job)
    context.stage("features")
    paths = [dataset.pictures / path for path in table["path"]]
    extracted = networks.extract(
        context, recipe, job, backbone, paths, list(table["sha256"]), context.progress
    )
    read = np.ones(len(table), dtype=bool)
    read[sorted(extracted.unreadable)] = False
    context.stage("leak")
    measured = run_leavable(
        lambda: measure(extracted.matrix[read], table[read], split[read]), context.is_stop_asked
    )
    title = catalog.get(recipe.backbone).title
    leakage.save(context.workspace, dataset.id, measured | {"fingerprint": fingerprint, "backbone": title})
    return {"dataset_id": dataset.id}


def measure(matrix: np.ndarray, table: pd.DataFrame, split: pd.Series[str]) -> dict[str, Any]:
    """Return what :func:`core.leakage.load` does, but for ``fingerprint`` and ``backbone``.

    Args:
        matrix: Features, float32, shape (rows, features).
        table: Columns ``sha256``, ``group`` and ``label`` of the same rows.
        split: ``"train"`` or ``"test"`` of each row.

    Raises:
        JobError: No test picture has a twin in train.
    """
    labels, y_true = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    rows = _rows(table, split)
    if not rows.twins_in_test.any():
        raise JobError("No test picture has a twin in train, so there is nothing to measure.")
    with_all = _right(matrix, y_true, len(labels), rows.train, rows.test)
    without = _right(matrix, y_true, len(labels), rows.train & ~rows.twins_in_train, rows.test)
    twins = rows.twins_in_test[rows.test]
    return {
        "num_train": int(rows.train.sum()),
        "num_left_out": int(rows.twins_in_train.sum()),
        "num_test": int(rows.test.sum()),
        "num_twins": int(twins.sum()),
        "with_twins": float(with_all.mean()),
        "without_twins": float(without.mean()),
        "twins_with": float(with_all[twins].mean()),
        "twins_without": float(without[twins].mean()),
        "difference": evaluation.paired_difference(
            without, with_all, runs.groups_of(table[rows.test])
        )._asdict(),
    }


def _rows(table: pd.DataFrame, split: pd.Series[str]) -> _Rows:
    return _Rows(
        train=(split == "train").to_numpy(),
        twins_in_train=leakage.with_twins(table, split, of="train", among="test").to_numpy(),
        test=(split == "test").to_numpy(),
        twins_in_test=leakage.with_twins(table, split).to_numpy(),
    )


def _right(
    matrix: np.ndarray, y_true: np.ndarray, num_classes: int, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Fit the probe on some rows; return whether it is right on each of others."""
    head = fit_probe(matrix[train], y_true[train], num_classes)
    right: np.ndarray = head.logits(matrix[test]).argmax(axis=1) == y_true[test]
    return right
