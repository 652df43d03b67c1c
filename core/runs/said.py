"""What a run says about images: those of a split, and all of them by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFound, WorkspaceError
from core.evaluation import margins, softmax, top_losses
from core.runs.artefacts import load_arrays, load_split, save_arrays
from core.runs.record import ACTIVE_STATES, SPLITS, Run, folder, get
from core.workspace import Workspace, read_json, write_json


@dataclass(frozen=True)
class Predictions:
    """What a run says about the images of one split.

    Args:
        images: One row per image: ``path``, ``sha256``, ``label``.
        y_true: int, shape (images,).
        y_prob: float, shape (images, classes), calibrated, rows add up to 1.
    """

    images: pd.DataFrame
    y_true: np.ndarray
    y_prob: np.ndarray


def predictions(workspace: Workspace, run_id: str, split: str) -> Predictions:
    """Return what a run says about the images of one split.

    Raises:
        NotFound: There is no such run or split, or its training is not done.
        WorkspaceError: Its files are damaged.
    """
    run = get(workspace, run_id)
    if split not in SPLITS:
        raise NotFound(f'There is no split "{split}". Choose one of: {", ".join(SPLITS)}.')
    if run.state != "done":
        remedy = "Wait until it is done" if run.state in ACTIVE_STATES else "Train it again"
        raise NotFound(
            f"The run {run_id} is {run.state}, so it has no model to evaluate. {remedy}, or choose a finished run."
        )
    if split not in run.metrics:
        judged = ", ".join(name for name in SPLITS if name in run.metrics)
        raise NotFound(
            f"The training of the run {run_id} was stopped, so its model was not asked about {split}. Choose one of: "
            f"{judged}."
        )
    logits = load_arrays(workspace, run_id, f"predictions-{split}")["logits"]
    return Predictions(*_images(workspace, run, split, len(logits)), softmax(logits, run.temperature))


def save_head_alone(
    workspace: Workspace, run_id: str, logits: Mapping[str, np.ndarray], temperature: float
) -> None:
    """Keep what the head of stage 1 says, where the run's model is the fine-tuned one.

    Args:
        workspace: Where to.
        run_id: The run.
        logits: Per split: float32, shape (images, classes).
        temperature: By which they are calibrated.
    """
    save_arrays(workspace, run_id, "head-alone", temperature=np.array(temperature), **logits)


def head_alone(workspace: Workspace, run: Run, split: str) -> Predictions | None:
    """Return what the head of stage 1 says about the images of a split, or None where the run's model is that head.

    Also None for a run without stage 1, or of an older Graft.

    Raises:
        WorkspaceError: Its files are damaged.
    """
    try:
        kept = load_arrays(workspace, run.id, "head-alone")
    except NotFound:
        return None
    images, y_true = _images(workspace, run, split, len(kept[split]))
    return Predictions(images, y_true, softmax(kept[split], float(kept["temperature"])))


def _images(
    workspace: Workspace, run: Run, split: str, num_predictions: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the images of a split and their true classes."""
    images = load_split(workspace, run.id)
    images = images[images["split"] == split].drop(columns="split").reset_index(drop=True)
    if len(images) != num_predictions:
        raise WorkspaceError(
            f"The run {run.id} has {num_predictions} predictions for {len(images)} images of {split}: "
            "its files are damaged. Train it again."
        )
    return images, _indices(run, images)


def _indices(run: Run, images: pd.DataFrame) -> np.ndarray:
    index = {name: number for number, name in enumerate(run.class_names)}
    return images["label"].map(index).to_numpy(dtype=np.int64)


def answers(run: Run, said: Predictions) -> pd.DataFrame:
    """Return one row per image, the least expected truth first.

    Returns:
        ``path``, ``sha256``, ``true``, ``predicted`` (class names), ``true_index``, ``predicted_index``,
        ``probability`` (of the predicted class), ``true_probability`` (of the true class) and
        ``margin`` (lead of the predicted class over the next), all in 0…1, ``wrong``, and ``row``, the image's row
        in ``said``.
    """
    rows = np.arange(len(said.y_true))
    predicted = said.y_prob.argmax(axis=1)
    names = np.array(run.class_names, dtype=object)
    table = pd.DataFrame(
        {
            "path": said.images["path"],
            "sha256": said.images["sha256"],
            "true": names[said.y_true],
            "predicted": names[predicted],
            "true_index": said.y_true,
            "predicted_index": predicted,
            "probability": said.y_prob[rows, predicted],
            "true_probability": said.y_prob[rows, said.y_true],
            "margin": margins(said.y_prob),
            "wrong": predicted != said.y_true,
            "row": rows,
        }
    )
    return table.iloc[top_losses(said.y_true, said.y_prob)].reset_index(drop=True)


def save_cross_validation(workspace: Workspace, run_id: str, summary: Mapping[str, Any]) -> None:
    """Keep what a cross-validation of a run's head found, as JSON."""
    write_json(folder(workspace, run_id) / "cross-validation.json", dict(summary))


def cross_validation(workspace: Workspace, run_id: str) -> dict[str, Any] | None:
    """Return what a cross-validation of a run's head found, or None where there was none.

    Returns:
        ``num_folds``, ``num_images``, ``accuracy`` and ``accuracy_interval`` over all out-of-fold answers,
        ``macro_f1``, and ``fold_accuracies``.
    """
    try:
        found: dict[str, Any] = read_json(folder(workspace, run_id) / "cross-validation.json")
    except WorkspaceError:
        return None
    return found


def save_out_of_fold(
    workspace: Workspace, run_id: str, *, rows: np.ndarray, fold: np.ndarray, y_prob: np.ndarray
) -> None:
    """Keep what cross-validation says of each image.

    Args:
        workspace: Where to.
        run_id: Whose head it is.
        rows: Which images: positions in the run's split, shape (images,).
        fold: In which fold each was judged, shape (images,).
        y_prob: Calibrated probabilities, shape (images, classes).
    """
    save_arrays(workspace, run_id, "out-of-fold", rows=rows, fold=fold, y_prob=y_prob)


def has_out_of_fold(workspace: Workspace, run_id: str) -> bool:
    """Return whether :func:`out_of_fold` has something to return; a run of an older Graft may not."""
    return (folder(workspace, run_id) / "out-of-fold.npz").exists()


def out_of_fold(workspace: Workspace, run: Run) -> pd.DataFrame:
    """Return what cross-validation says of each image, by heads that have not seen it, the least expected truth first.

    Returns:
        The columns of :func:`answers` without ``row``, then ``fold``.

    Raises:
        NotFound: The run was not cross-validated.
        WorkspaceError: The files are damaged.
    """
    kept = load_arrays(workspace, run.id, "out-of-fold")
    images = load_split(workspace, run.id).iloc[kept["rows"]].reset_index(drop=True)
    said = Predictions(images, _indices(run, images), kept["y_prob"])
    table = answers(run, said)
    return table.assign(fold=kept["fold"][table["row"]]).drop(columns="row")
