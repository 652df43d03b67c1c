"""The record of a run: what is known of one training, read and written whole."""

from __future__ import annotations

import contextlib
import math
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core import words
from core.errors import GraftError, NotFound, WorkspaceError
from core.evaluation import Estimate
from core.workspace import Workspace, read_json, remove_directory, write_json

ACTIVE_STATES = ("queued", "running")
FINAL_STATES = ("done", "failed", "cancelled", "interrupted")
SPLITS = ("train", "val", "test")
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
        metrics: Per split: ``accuracy``, ``macro_f1``, their intervals, ``log_loss``. Where decisions changed labels of
            the split or excluded pictures of it before the training, also ``original``
            (:func:`core.runs.original_scores`).
        split_fingerprint: Hash of which image is in which split under which label.
        curation_fingerprint: Hash of the decisions that were obeyed (:func:`core.curation.fingerprint`); ``""`` where
            there were none.
        temperature: Divides the logits before the softmax; fitted on val.
        fine_tuned: Whether stage 2 was kept.
        weights_sha256: Hash of the weights that the backbone began with.
        stage_1: How stage 1 went, where there was one: ``epochs`` (done), ``planned``, ``stopped`` (``""``,
            ``"time"`` or ``"cancelled"``), ``earlier_s`` (seconds of epochs from before an interruption;
            ``seconds`` holds them too) and, by L-BFGS, ``strength`` (scikit-learn's ``C`` of the head).
        stage_2: How stage 2 went, where there was one: ``epochs`` (done), ``planned``, ``best_epoch``,
            ``stopped`` (``""``, ``"patience"``, ``"time"`` or ``"cancelled"``), ``batch_size``, ``earlier_s``
            (seconds of epochs from before an interruption; ``seconds`` holds them too); on val: ``head_accuracy``,
            ``accuracy``, their ``…_interval``, ``head_loss``, ``loss`` (calibrated), and ``difference`` (``value``,
            ``low``, ``high``) of the accuracies, after minus before. An older Graft kept no intervals.
        controls: The same probe on other features of the same images, on val: ``num_train``, ``num_val`` and
            accuracies ``pretrained``, ``random`` (an untrained network), ``pixels`` (32 × 32) and ``majority``,
            each with its ``…_interval``; ``over_random`` and ``over_pixels`` are differences like that of ``stage_2``.
        forgetting: On the test images of the run that this one goes on from: ``run_id``, ``num_images``; where that is
            not 0, accuracy ``before`` and ``after``, and their ``difference`` like that of ``stage_2``.
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
    curation_fingerprint: str = ""
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


def estimate(scores: Mapping[str, Any], measure: str) -> Estimate:
    """Return a measure of one split in :attr:`Run.metrics` with its interval; its ends are NaN where none was kept."""
    low, high = scores.get(f"{measure}_interval", (math.nan, math.nan))
    return Estimate(scores[measure], low, high)


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
    try:
        return from_json(values)
    except (TypeError, KeyError, AttributeError) as error:
        raise WorkspaceError(
            f'The record "{path}" is damaged ({error}). Delete the run, or train it again.'
        ) from error


def from_json(values: Mapping[str, Any]) -> Run:
    """Rebuild a record from what :func:`save` wrote; what this Graft does not know is left out.

    Raises:
        TypeError, KeyError, AttributeError: It is not the record of a run.
    """
    known = {item.name for item in fields(Run)}
    kept = {name: value for name, value in values.items() if name in known}
    kept["class_names"] = tuple(kept["class_names"])
    kept["notes"] = tuple(words.from_json(note) for note in kept["notes"])
    return Run(**kept)


def is_id(text: str) -> bool:
    """Return whether a text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


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
