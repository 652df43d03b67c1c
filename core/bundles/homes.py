"""A run that came without its pictures finds them: the dataset of this workspace that has the same ones."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from core import audit, datasets, runs
from core.datasets import Dataset
from core.errors import GraftError
from core.workspace import Workspace

MIN_SHARE = 0.5
"""Share of a run's pictures, same bytes at the same path, that a dataset must have before it counts as the same."""


def home_of(workspace: Workspace, dataset_id: str, split: pd.DataFrame) -> Dataset | None:
    """Return the dataset that has a run's pictures, or None where no audited one has at least half of them.

    Args:
        workspace: Where to look.
        dataset_id: Looked at first: an id tells the path of a folder, which elsewhere may hold other pictures.
        split: Columns ``path`` and ``sha256`` of the run's pictures.
    """
    known = sorted(datasets.list_datasets(workspace), key=lambda dataset: dataset.id != dataset_id)
    return next((dataset for dataset in known if _has(workspace, dataset, split)), None)


def adopt(workspace: Workspace, dataset: Dataset) -> list[str]:
    """Make runs whose dataset is not here those of one that has their pictures; return their ids.

    Raises:
        WorkspaceError: A record cannot be written.
    """
    here = {one.id for one in datasets.list_datasets(workspace)}
    adopted = []
    for run in runs.list_runs(workspace):
        if run.state == "done" and run.dataset_id not in here and _is_of(workspace, run.id, dataset):
            runs.save(workspace, replace(run, dataset_id=dataset.id))
            adopted.append(run.id)
    return adopted


def _is_of(workspace: Workspace, run_id: str, dataset: Dataset) -> bool:
    try:
        split = runs.load_split(workspace, run_id)
    except GraftError:  # a damaged run is told of where it is opened
        return False
    return _has(workspace, dataset, split)


def _has(workspace: Workspace, dataset: Dataset, split: pd.DataFrame) -> bool:
    table = audit.load_table(workspace, dataset.id)
    if table is None or not len(split):
        return False
    there = set(zip(table["path"], table["sha256"], strict=True))
    num_there = sum(picture in there for picture in zip(split["path"], split["sha256"], strict=True))
    return num_there >= MIN_SHARE * len(split)
