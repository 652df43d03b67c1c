"""What a stage leaves behind after each epoch, so that a killed one goes on from there."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.training.learner import State
from core.workspace import replacing

_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a missing, cut or altered file raises."""


@dataclass
class Record:
    """How far a stage is and what it has reached.

    Args:
        batch_size: Images per step, which shrinks where memory does not do.
        epoch: The last finished one, from 1; 0 before the first.
        best_epoch: The one with the lowest loss on val so far.
        best_loss: That loss, nats.
        history: The values of the ``epoch`` events so far.
        num_variants: Of how many variants of each training image stage 2 keeps what enters the first block that learns;
            0 where every epoch begins with the pixels, None where that is not known.
    """

    batch_size: int
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[dict[str, Any]] = field(default_factory=list)
    num_variants: int | None = None


@dataclass(frozen=True, eq=False)
class Best:
    """The best epoch so far.

    Args:
        weights: Of what learns.
        val_logits: float32, shape (images, classes); no rows in stage 1, where they are computed in no time.
    """

    weights: list[np.ndarray]
    val_logits: np.ndarray


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the next epoch needs."""

    record: Record
    state: State
    best: Best


def save(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written.
    """
    record, state, best = checkpoint.record, checkpoint.state, checkpoint.best
    arrays: dict[str, Any] = {"val_logits": best.val_logits}
    arrays |= {"about": np.array(json.dumps({"fingerprint": fingerprint, "record": asdict(record)}))}
    arrays |= _numbered("weight", state.weights) | _numbered("optimizer", state.optimizer)
    if record.best_epoch != record.epoch:  # else they are the weights above
        arrays |= _numbered("best", best.weights)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load(path: Path, fingerprint: str) -> Checkpoint | None:
    """Read a checkpoint; None if there is none, it is damaged, or it belongs to another training."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            record = _record(archive, fingerprint)
            if record is None:
                return None
            state = State(_listed(archive, "weight"), _listed(archive, "optimizer"))
            best_weights = state.weights if record.best_epoch == record.epoch else _listed(archive, "best")
            return Checkpoint(record, state, Best(best_weights, archive["val_logits"]))
    except _DAMAGE:
        return None


def load_record(path: Path, fingerprint: str) -> Record | None:
    """Read how far the training is that :func:`load` would take up; no more of the file is looked at."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _record(archive, fingerprint)
    except _DAMAGE:
        return None


def _record(archive: Any, fingerprint: str) -> Record | None:
    about = json.loads(str(archive["about"]))
    return Record(**about["record"]) if about["fingerprint"] == fingerprint else None


def _numbered(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}_{number:05d}": values for number, values in enumerate(arrays)}


def _listed(archive: Any, name: str) -> list[np.ndarray]:
    return [archive[key] for key in sorted(archive.files) if key.startswith(f"{name}_")]
