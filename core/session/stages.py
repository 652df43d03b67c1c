"""What the two stages of a training job share: the model they hand on, how they are heard, stopped and taken up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import training
from core.backbones import Backbone
from core.heads import Head
from core.recipes import Recipe
from core.session.context import Context
from core.session.material import Material
from core.words import Sentence, sentence


@dataclass(frozen=True, eq=False)
class Model:
    """What a training ends with.

    Args:
        head: The classifier.
        weights: All weights of the backbone where they are not those it began with.
        logits: Per split: float32, shape (images, classes); NaN rows for files that could not be read any more. After
            fine-tuning only those of val, until :func:`core.session.stage_2.with_predictions` adds others.
    """

    head: Head
    weights: list[np.ndarray] | None
    logits: Mapping[str, np.ndarray]


class Course:
    """Hears a stage, tells it on, and knows how long epochs took that an earlier process has finished."""

    def __init__(self, listen: training.Listen) -> None:
        self._listen = listen
        self.earlier_s = 0.0

    def listen(self, kind: str, **values: Any) -> None:
        """Hear one event."""
        if kind == "resumed":
            self.earlier_s = sum(epoch["seconds"] for epoch in values["history"])
        self._listen(kind, **values)


def note_stop(context: Context, material: Material, stopped: str) -> None:
    """Note why a stage ended before its time; after the user's wish to stop, what is left is done all the same."""
    if stopped == "cancelled":
        context.finish_anyway()
        material.notes.append(sentence("note.cancelled"))
    if stopped == "time":
        material.notes.append(sentence("note.time_limit"))


def fingerprint(recipe: Recipe, material: Material, backbone: Backbone) -> str:
    """Return a hash of all that must be the same for a stage to go on where it was."""
    parts = [recipe.to_json(), material.fingerprint(), backbone.weights_sha256]
    if material.targets is not None:
        parts.append(hashlib.sha256(material.targets.tobytes()).hexdigest())
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def listener(
    context: Context, notes: list[Sentence] | None = None, epoch_seconds: list[float] | None = None
) -> training.Listen:
    """Return what hears a stage: progress goes to the job, all else to the run's events.

    Args:
        context: Of the job.
        notes: Where it is noted that the batch had to be halved.
        epoch_seconds: Where the seconds of each epoch are added.
    """

    def listen(kind: str, **values: Any) -> None:
        if kind == "progress":
            context.progress(**values)
            return
        context.emit(kind, **values)
        if kind == "epoch" and "seconds" in values and epoch_seconds is not None:
            epoch_seconds.append(values["seconds"])
        if kind == "batch_halved" and notes is not None:
            notes.append(sentence("note.batch_halved", batch_size=values["batch_size"]))

    return listen
