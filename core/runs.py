"""What was done: one folder per run, its record written last and always whole.

runs/<run_id>/
├── run.json                 the record (:class:`Run`)
├── events.jsonl             stages, epochs and log lines, one JSON object a line
├── split.parquet            path, sha256, label, split and group of every image used
├── head.npz                 kernel (features, classes) and bias (classes,) of the head
├── backbone.npz             all weights of the backbone, where they are not its pretrained ones
├── checkpoint-<stage>.npz   while the training is under way: where to go on after an interruption
├── cross-validation.json    where it was asked for (:func:`cross_validation`); its answers in out-of-fold.npz
└── predictions-<split>.npz  logits (images, classes), in the order of split.parquet
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import words
from core.errors import GraftError, NotFound, WorkspaceError
from core.evaluation import softmax, top_losses
from core.workspace import Workspace, read_json, remove_directory, replacing, write_json

ACTIVE_STATES = ("queued", "running")
FINAL_STATES = ("done", "failed", "cancelled", "interrupted")
SPLITS = ("train", "val", "test")
STAGES = ("head", "fine_tune")
STOPPED = ("time", "cancelled")
"""Why a training may end before it is done and still keep a model."""

_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class Run:
    """The record of one training.

    Args:
        id: ``YYYYMMDD-hhmmss-xxxx``; sorts by time.
        dataset_id: Id of the dataset trained on.
        dataset_name: Its name at that time.
        state: One of :data:`ACTIVE_STATES` and :data:`FINAL_STATES`.
        created: Seconds since the epoch.
        recipe: The validated recipe as JSON.
        class_names: In the order of the model's outputs.
        num_images: Images per split.
        seconds: Wall time per stage.
        images_per_s: Speed of ``features`` and ``fine_tune`` where images went through the network.
        metrics: Per split: ``accuracy``, ``macro_f1``, their intervals, ``log_loss``.
        split_fingerprint: Hash of which image is in which split under which label.
        temperature: Divides the logits before the softmax; fitted on val.
        fine_tuned: Whether stage 2 was kept.
        weights_sha256: Hash of the weights that the backbone began with.
        stage_1: How stage 1 went, where there was one: ``epochs`` (done), ``planned``, ``stopped`` (``""``,
            ``"time"`` or ``"cancelled"``) and ``earlier_s`` (seconds of epochs from before an interruption;
            ``seconds`` holds them too).
        stage_2: How stage 2 went, where there was one: ``epochs`` (done), ``planned``, ``best_epoch``,
            ``stopped`` (``""``, ``"patience"``, ``"time"`` or ``"cancelled"``), ``batch_size``, ``earlier_s``
            (seconds of epochs from before an interruption; ``seconds`` holds them too); on val: ``head_accuracy``,
            ``accuracy``, ``head_loss``, ``loss`` (calibrated), and ``difference`` (``value``, ``low``, ``high``)
            of the accuracies, after minus before.
        controls: The same probe on other features of the same images, on val: ``num_train``, ``num_val`` and
            accuracies ``pretrained``, ``random`` (an untrained network), ``pixels`` (32 × 32) and ``majority``;
            ``over_random`` and ``over_pixels`` are differences like that of ``stage_2``.
        forgetting: On the test images of the run that this one goes on from: ``run_id``, ``num_images``, accuracy
            ``before`` and ``after``.
        notes: What the training decided and why, and what bears on the scores.
        error: Why it ended, where it did not end well.
    """

    id: str
    dataset_id: str
    dataset_name: str
    state: str
    created: float
    recipe: Mapping[str, Any]
    class_names: tuple[str, ...] = ()
    num_images: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    images_per_s: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    split_fingerprint: str = ""
    temperature: float = 1.0
    fine_tuned: bool = False
    weights_sha256: str = ""
    stage_1: Mapping[str, Any] = field(default_factory=dict)
    stage_2: Mapping[str, Any] = field(default_factory=dict)
    controls: Mapping[str, Any] = field(default_factory=dict)
    forgetting: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[words.Sentence, ...] = ()
    error: str = ""

    @property
    def stopped(self) -> str:
        """Why the training ended before it was done: ``"time"``, ``"cancelled"``, or ``""``."""
        reasons = (told.get("stopped", "") for told in (self.stage_1, self.stage_2))
        return next((reason for reason in reasons if reason in STOPPED), "")


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


def folder(workspace: Workspace, run_id: str) -> Path:
    """Return the folder of a run, which need not exist.

    Raises:
        NotFound: ``run_id`` does not have the form of one; it may come from a URL.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise NotFound(f'"{run_id}" is not the id of a run. Expected one like 20261122-194512-3fa9.')
    return workspace.runs_dir / run_id


def create(workspace: Workspace, dataset_id: str, dataset_name: str, recipe: Mapping[str, Any]) -> Run:
    """Make the record of a run that waits to be trained."""
    now = time.time()
    run_id = time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + uuid.uuid4().hex[:4]
    try:
        folder(workspace, run_id).mkdir()
    except OSError as error:
        raise WorkspaceError(
            f'"{workspace.runs_dir}" cannot be written ({error.strerror}). Check its permissions and the disk.'
        ) from error
    run = Run(run_id, dataset_id, dataset_name, "queued", now, dict(recipe))
    save(workspace, run)
    return run


def save(workspace: Workspace, run: Run) -> None:
    """Write the record of a run."""
    values = asdict(run) | {"notes": [note.to_json() for note in run.notes]}
    write_json(folder(workspace, run.id) / "run.json", values)


def get(workspace: Workspace, run_id: str) -> Run:
    """Read the record of a run.

    Raises:
        NotFound: There is no such run.
        WorkspaceError: Its record is damaged or may not be read.
    """
    path = folder(workspace, run_id) / "run.json"
    with contextlib.suppress(PermissionError):  # a closed folder is told when the record is read
        if not path.exists():
            raise NotFound(f'There is no run "{run_id}" in this workspace. It may have been deleted.')
    values = read_json(path)
    known = {item.name for item in fields(Run)}
    try:
        values = {name: value for name, value in values.items() if name in known}
        values["class_names"] = tuple(values["class_names"])
        values["notes"] = tuple(words.from_json(note) for note in values["notes"])
        return Run(**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise WorkspaceError(
            f'The record "{path}" is damaged ({error}). Delete the run, or train it again.'
        ) from error


def list_runs(workspace: Workspace, dataset_id: str = "") -> list[Run]:
    """Return all runs, newest first; a damaged record is listed as a failed run."""
    found = []
    for path in workspace.runs_dir.iterdir():
        if not _RUN_ID.fullmatch(path.name):
            continue
        try:
            run = get(workspace, path.name)
        except NotFound:
            continue
        except GraftError as error:
            run = Run(path.name, "", "", "failed", path.stat().st_mtime, {}, error=str(error))
        if not dataset_id or run.dataset_id == dataset_id:
            found.append(run)
    return sorted(found, key=lambda run: (run.created, run.id), reverse=True)


def set_state(workspace: Workspace, run_id: str, state: str, error: str = "") -> None:
    """Move a run to another state, unless it ended well already."""
    run = get(workspace, run_id)
    if run.state != "done":
        save(workspace, replace(run, state=state, error=error))


def delete(workspace: Workspace, run_id: str) -> None:
    """Delete a run with all its files.

    Raises:
        WorkspaceError: It is still queued or running.
    """
    if get_state(workspace, run_id) in ACTIVE_STATES:
        raise WorkspaceError(f"The run {run_id} is still under way. Cancel it first, then delete it.")
    remove_directory(folder(workspace, run_id))


def get_state(workspace: Workspace, run_id: str) -> str:
    """Return the state of a run; a damaged record counts as failed."""
    try:
        return get(workspace, run_id).state
    except WorkspaceError:
        return "failed"


def emit(workspace: Workspace, run_id: str, kind: str, **values: Any) -> None:
    """Append one event to a run's ``events.jsonl``."""
    line = json.dumps({"time": time.time(), "kind": kind, **values}, ensure_ascii=False)
    with (folder(workspace, run_id) / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def events(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    """Return a run's events in order; a line torn by a killed process is left out."""
    path = folder(workspace, run_id) / "events.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def epochs(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Return one row per finished epoch, by stage: ``stage``, ``epoch``, ``epochs``, ``loss``, ``accuracy``, ….

    An epoch that was done again after an interruption counts once, as it was done last.
    """
    found: list[dict[str, Any]] = []
    for event in events(workspace, run_id):
        if event["kind"] == "epoch":
            found.append(event)
        elif event["kind"] == "resumed":  # an epoch may have been kept by one that died before it could tell
            found += event["history"]
    told = pd.DataFrame(found)
    if told.empty:
        return told
    told = told.drop_duplicates(["stage", "epoch"], keep="last")
    # Of the two names of stages that of the first, "head", comes later in the alphabet.
    return told.sort_values(["stage", "epoch"], ascending=[False, True], ignore_index=True)


def checkpoint_path(workspace: Workspace, run_id: str, stage: str) -> Path:
    """Return where a stage, one of :data:`STAGES`, keeps how far it is."""
    return folder(workspace, run_id) / f"checkpoint-{stage}.npz"


def has_checkpoint(workspace: Workspace, run_id: str) -> bool:
    """Return whether a training that is taken up again goes on after its last finished epoch."""
    return any(checkpoint_path(workspace, run_id, stage).exists() for stage in STAGES)


def remove_checkpoints(workspace: Workspace, run_id: str) -> None:
    """Forget how far a training is, once it is done."""
    for stage in STAGES:
        checkpoint_path(workspace, run_id, stage).unlink(missing_ok=True)


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


def save_split(workspace: Workspace, run_id: str, table: pd.DataFrame) -> None:
    """Keep which images were used: columns ``path``, ``sha256``, ``label``, ``split``, and ``group`` if it is there."""
    with replacing(folder(workspace, run_id) / "split.parquet") as temporary:
        columns = [name for name in ("path", "sha256", "label", "split", "group") if name in table.columns]
        table[columns].to_parquet(temporary, index=False)


def load_split(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Return which images were used: columns ``path``, ``sha256``, ``label``, ``split``.

    Runs of a Graft that knows near-duplicates also have ``group``.

    Raises:
        NotFound: The run has not got that far.
    """
    path = folder(workspace, run_id) / "split.parquet"
    if not path.exists():
        raise NotFound(f"The run {run_id} has no split yet: its training ended before the images were read.")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise WorkspaceError(f'"{path}" is damaged ({error}). Train the run again.') from error


def save_arrays(workspace: Workspace, run_id: str, name: str, **arrays: np.ndarray) -> None:
    """Keep arrays as ``<name>.npz``."""
    with replacing(folder(workspace, run_id) / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(workspace: Workspace, run_id: str, name: str) -> dict[str, np.ndarray]:
    """Read arrays kept by :func:`save_arrays`.

    Raises:
        NotFound: They are missing.
        WorkspaceError: They are damaged.
    """
    path = folder(workspace, run_id) / f"{name}.npz"
    if not path.exists():
        raise NotFound(
            f'The run {run_id} has no "{path.name}", which a training that ends well leaves. Train it again.'
        )
    try:
        # Opened here, since numpy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WorkspaceError(f'"{path}" is damaged ({error}). Train the run again.') from error


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
    logits = load_arrays(workspace, run_id, f"predictions-{split}")["logits"]
    images = load_split(workspace, run_id)
    images = images[images["split"] == split].drop(columns="split").reset_index(drop=True)
    if len(images) != len(logits):
        raise WorkspaceError(
            f"The run {run_id} has {len(logits)} predictions for {len(images)} images of {split}: "
            "its files are damaged. Train it again."
        )
    return Predictions(images, _indices(run, images), softmax(logits, run.temperature))


def _indices(run: Run, images: pd.DataFrame) -> np.ndarray:
    index = {name: number for number, name in enumerate(run.class_names)}
    return images["label"].map(index).to_numpy(dtype=np.int64)


def answers(run: Run, said: Predictions) -> pd.DataFrame:
    """Return one row per image, the least expected truth first.

    Returns:
        ``path``, ``sha256``, ``true``, ``predicted`` (class names), ``true_index``, ``predicted_index``,
        ``probability`` (of the predicted class), ``true_probability`` (of the true class), both in 0…1, ``wrong``,
        and ``row``, the image's row in ``said``.
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
            "wrong": predicted != said.y_true,
            "row": rows,
        }
    )
    return table.iloc[top_losses(said.y_true, said.y_prob)].reset_index(drop=True)
