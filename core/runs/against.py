"""What a run's accuracy is held against: the commonest class, its own head before fine-tuning, the run before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.evaluation import Difference, Estimate, Groups, mcnemar, paired_difference
from core.runs.artefacts import load_split
from core.runs.compared import match
from core.runs.judging import groups_of
from core.runs.record import Run, list_runs
from core.runs.said import Predictions, head_alone, predictions
from core.workspace import Workspace


@dataclass(frozen=True)
class Reference:
    """Something that a run is held against, on the same images of a split; images of a group count as fewer.

    Args:
        kind: ``"majority"`` (always the commonest class of train), ``"head_alone"`` (before fine-tuning) or
            ``"before"`` (the run before on the same dataset).
        accuracy: Its accuracy on these images.
        own: The accuracy of the run on these images.
        num_images: Images that both have judged.
        lead: Accuracy of the run minus its accuracy.
        p_value: Of McNemar's exact test.
        name: The class, or the id of the run.
    """

    kind: str
    accuracy: Estimate
    own: Estimate
    num_images: int
    lead: Difference
    p_value: float
    name: str = ""


def references(workspace: Workspace, run: Run, split: str) -> list[Reference]:
    """Return what a run's accuracy on a split is held against, the simplest first.

    Raises:
        NotFound: There is no such split, or its training is not done.
        WorkspaceError: Its files are damaged.
    """
    said = predictions(workspace, run.id, split)
    every = np.arange(len(said.y_true))
    images = load_split(workspace, run.id)
    commonest = str(images["label"][images["split"] == "train"].value_counts().sort_index().idxmax())
    is_commonest = (said.images["label"] == commonest).to_numpy()
    found = [_reference("majority", is_commonest, said, every, commonest)]
    alone = head_alone(workspace, run, split)
    if alone is not None:
        found.append(_reference("head_alone", _right(alone), said, every))
    earlier = _before(workspace, run, split)
    if earlier is not None:
        others = predictions(workspace, earlier.id, split)
        ours, theirs = match([said.images, others.images])
        if len(ours):
            found.append(_reference("before", _right(others)[theirs], said, ours, earlier.id))
    return found


def _reference(
    kind: str, theirs: np.ndarray, said: Predictions, rows: np.ndarray, name: str = ""
) -> Reference:
    """Hold a run against something.

    Args:
        kind: Of :class:`Reference`.
        theirs: Whether it is right, bool, shape (images,).
        said: What the run says about the split.
        rows: Which of its images these are, shape (images,).
        name: Of :class:`Reference`.
    """
    ours, groups = _right(said)[rows], pd.factorize(groups_of(said.images)[rows])[0]
    together = Groups(groups, said.y_true[rows])
    return Reference(
        kind,
        accuracy=together.share(theirs),
        own=together.share(ours),
        num_images=len(rows),
        lead=paired_difference(theirs, ours, groups),
        p_value=mcnemar(theirs, ours, groups),
        name=name,
    )


def _right(said: Predictions) -> np.ndarray:
    right: np.ndarray = said.y_prob.argmax(axis=1) == said.y_true
    return right


def _before(workspace: Workspace, run: Run, split: str) -> Run | None:
    earlier = (
        other
        for other in list_runs(workspace, run.dataset_id)
        if other.state == "done"
        and split in other.metrics
        and (other.created, other.id) < (run.created, run.id)
    )
    return next(earlier, None)
