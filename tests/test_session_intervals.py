"""Near-duplicates count as fewer pictures in the intervals of the jobs that judge heads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from core import evaluation
from core.ranking import Ranked
from core.recipes import Recipe
from core.session import cross_validate_job, rank_job
from core.session.context import Context
from core.workspace import Workspace
from tests.worlds import add_dataset, finished_run


def test_a_ranking_counts_near_duplicates_as_fewer_in_each_interval() -> None:
    y_true, labels = np.repeat([0, 1], 50), np.repeat(np.arange(20), 5)
    right = np.repeat(np.arange(20) % 5 > 0, 5)
    better = right | (np.arange(100) < 20)
    judged = {"tiny": (Ranked("tiny", ms_per_image=2.0), right), "wide": (Ranked("wide"), better)}
    first, second = rank_job._compared(judged, labels, y_true)
    assert (first.backbone, second.backbone) == ("wide", "tiny") and first.behind is None
    apart = evaluation.wilson_interval(int(right.sum()), 100)
    assert second.accuracy == apart.value == 0.8
    assert second.low < apart.low - 0.05 and second.high > apart.high + 0.04
    assert second.behind is not None and second.behind[0] == pytest.approx(float(better.mean()) - 0.8)


def test_cross_validation_counts_near_duplicates_as_fewer_in_its_interval(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))
    names, count = np.array(run.class_names), 100
    table = pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(count)],
            "sha256": [str(row) for row in range(count)],
            "label": names[np.arange(count) // 5 % len(names)],
            "group": [f"g{row // 5}" for row in range(count)],
            "split": "train",
        }
    )
    # Five of each that look alike; what they look like is chance, so that many are wrong.
    matrix = np.repeat(np.random.default_rng(0).normal(size=(20, 4)), 5, axis=0).astype(np.float32)
    context: Any = SimpleNamespace(workspace=workspace, progress=lambda *_: None, check=lambda: None)
    recipe = Recipe(backbone="tiny", head_solver="lbfgs", fine_tune_epochs=0)
    found = cross_validate_job._cross_validate(cast(Context, context), recipe, run, table, matrix, [])
    apart = evaluation.wilson_interval(round(found["accuracy"] * count), count)
    assert found["accuracy"] == pytest.approx(apart.value)
    low, high = found["accuracy_interval"]
    assert high - low > 1.5 * (apart.high - apart.low)
