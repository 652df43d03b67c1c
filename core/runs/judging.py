"""How a run was judged: its scores on a split, computed once; what they are held against."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import WorkspaceError
from core.evaluation import (
    Difference,
    Estimate,
    Judgement,
    judge,
    mcnemar,
    paired_difference,
    wilson_interval,
)
from core.runs.artefacts import load_arrays, load_split
from core.runs.compared import match
from core.runs.record import Run, folder, list_runs
from core.runs.said import head_alone, predictions
from core.workspace import Workspace, read_json, write_json


@dataclass(frozen=True)
class Reference:
    """Something that a run is held against, on the same images of a split.

    Args:
        kind: ``"majority"`` (always the commonest class of train), ``"head_alone"`` (before fine-tuning) or
            ``"before"`` (the run before on the same dataset).
        accuracy: Its accuracy on these images.
        num_images: Images that both have judged.
        lead: Accuracy of the run minus its accuracy.
        p_value: Of McNemar's exact test.
        name: The class, or the id of the run.
    """

    kind: str
    accuracy: Estimate
    num_images: int
    lead: Difference
    p_value: float
    name: str = ""


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


def references(workspace: Workspace, run: Run, split: str) -> list[Reference]:
    """Return what a run's accuracy on a split is held against, the simplest first.

    Raises:
        NotFound: There is no such split, or its training is not done.
        WorkspaceError: Its files are damaged.
    """
    said = predictions(workspace, run.id, split)
    right = said.y_prob.argmax(axis=1) == said.y_true
    images = load_split(workspace, run.id)
    commonest = str(images["label"][images["split"] == "train"].value_counts().sort_index().idxmax())
    is_commonest = (said.images["label"] == commonest).to_numpy()
    found = [_reference("majority", is_commonest, right, commonest)]
    alone = head_alone(workspace, run, split)
    if alone is not None:
        found.append(_reference("head_alone", alone.y_prob.argmax(axis=1) == alone.y_true, right))
    earlier = _before(workspace, run, split)
    if earlier is not None:
        others = predictions(workspace, earlier.id, split)
        ours, theirs = match([said.images, others.images])
        if len(ours):
            was_right = others.y_prob.argmax(axis=1) == others.y_true
            found.append(_reference("before", was_right[theirs], right[ours], earlier.id))
    return found


def _reference(kind: str, theirs: np.ndarray, ours: np.ndarray, name: str = "") -> Reference:
    return Reference(
        kind,
        wilson_interval(int(theirs.sum()), len(theirs)),
        len(theirs),
        paired_difference(theirs, ours),
        mcnemar(theirs, ours),
        name,
    )


def _before(workspace: Workspace, run: Run, split: str) -> Run | None:
    earlier = (
        other
        for other in list_runs(workspace, run.dataset_id)
        if other.state == "done"
        and split in other.metrics
        and (other.created, other.id) < (run.created, run.id)
    )
    return next(earlier, None)
