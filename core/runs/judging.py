"""How a run was judged: its scores on a split, computed once."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd

from core.errors import WorkspaceError
from core.evaluation import Judgement, judge
from core.runs.artefacts import load_arrays
from core.runs.record import Run, folder
from core.runs.said import predictions
from core.workspace import Workspace, read_json, write_json


def groups_of(images: pd.DataFrame) -> np.ndarray:
    """Return what is the same for images that hang together: their group, or their bytes where none is known."""
    if "group" not in images.columns:
        return images["sha256"].to_numpy()
    return images["group"].where(images["group"].fillna("") != "", images["sha256"]).to_numpy()


def judged(workspace: Workspace, run: Run, split: str) -> Judgement:
    """Return how a run was judged on a split; a run of an older Graft is judged now, and that is kept.

    Raises:
        NotFound: There is no such split, or its training is not done.
        WorkspaceError: Its files are damaged.
    """
    path = folder(workspace, run.id) / f"scores-{split}.json"
    with contextlib.suppress(WorkspaceError, KeyError, TypeError):
        if path.exists() and (kept := Judgement.from_json(read_json(path))):
            return kept
    said = predictions(workspace, run.id, split)
    logits = load_arrays(workspace, run.id, f"predictions-{split}")["logits"]
    found = judge(said.y_true, logits, run.temperature, run.class_names, groups_of(said.images))
    with contextlib.suppress(WorkspaceError):  # a full disk must not hide the scores
        save_judgement(workspace, run.id, split, found)
    return found


def save_judgement(workspace: Workspace, run_id: str, split: str, judgement: Judgement) -> None:
    """Keep how a run was judged on a split."""
    write_json(folder(workspace, run_id) / f"scores-{split}.json", judgement.to_json())
