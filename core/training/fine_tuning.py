"""Stage 2: the upper blocks of the backbone learn together with the head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from core import backbones, engines
from core.backbones import Backbone
from core.engines import Engine
from core.errors import Cancelled, DataError, JobError
from core.heads import Head, check_converges, scores
from core.recipes import Recipe
from core.training import boundary_plan, checkpoints
from core.training.batches import Images, iterate_batches, varied_anew
from core.training.boundary import Boundary
from core.training.checkpoints import Best, Checkpoint, Record
from core.training.events import Listen, TimeIsUp, brought_forward, check_time
from core.training.learner import Learner, trained_blocks
from core.training.optimizers import learning_rate
from core.training.prediction import logits_of


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What stage 2 made.

    Args:
        weights: All weights of the backbone, in the order of ``backbone.model.weights``.
        head: The head trained with them.
        val_logits: float32, shape (images, classes); NaN for a file that could not be read any more.
        val_loss: Loss on val of the best epoch; see :func:`core.heads.scores`.
        epoch: The best epoch, from 1.
        num_epochs: Finished epochs.
        stopped: Why it ended before its last epoch: ``"patience"``, ``"time"`` or ``"cancelled"``; else empty.
        batch_size: Images per step at the end.
    """

    weights: list[np.ndarray]
    head: Head
    val_logits: np.ndarray
    val_loss: float
    epoch: int
    num_epochs: int
    stopped: str
    batch_size: int


def fine_tune(
    backbone: Backbone,
    head: Head | None,
    images: Mapping[str, Images],
    num_classes: int,
    recipe: Recipe,
    listen: Listen,
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    deadline: float | None = None,
    scratch: Path | None = None,
    engine_of: Callable[[Backbone, str, int], Engine] = engines.current,
) -> FineTuned:
    """Train the upper blocks together with the head and keep the epoch with the lowest loss on val.

    BatchNormalization stays as it was pretrained, statistics and parameters, unless the recipe lets it learn. The
    backbone is as before, bit for bit, when this returns or raises. Cancelled, or out of time, it returns the best
    finished epoch.

    Args:
        backbone: A pristine backbone.
        head: Where the classifier begins: the head of stage 1; None for a random one.
        images: The images of ``"train"`` and ``"val"``; only train is learnt from, only val chooses.
        num_classes: Number of classes.
        recipe: Everything about the head and stage 2.
        listen: Told of every step and epoch; see :mod:`core.training.events`.
        checkpoint: File that keeps what is needed to go on after a kill; it stays when this returns.
        fingerprint: Of all that the training depends on; a checkpoint with another one is not taken up.
        deadline: When to stop, of the clock :func:`time.monotonic`.
        scratch: Folder in which what enters the first block that learns may take room while this goes on; see
            :mod:`core.training.boundary`. None: every epoch begins with the pixels.
        engine_of: Gives what computes that, for the frozen part, a pooling and how many pictures there will be.

    Raises:
        Cancelled: ``listen`` raised it before any epoch had finished; :class:`core.training.TimeIsUp` if the
            deadline passed before that.
        DataError: None of the images of a split can be read any more.
        JobError: Not even a single image fits into the device's memory, or training diverged.
        WorkspaceError: The checkpoint cannot be written.
    """
    pristine, nodes = backbone.model.get_weights(), backbones.nodes_after(backbone)
    num_nodes = len(nodes)
    try:
        num_blocks = trained_blocks(backbone, recipe)
        begun = checkpoints.load_record(checkpoint, fingerprint) if checkpoint else None
        as_before = begun.num_variants if begun else None
        kept = boundary_plan.keep(backbone, num_blocks, recipe, images, listen, scratch, engine_of, as_before)
        learner = Learner(kept.upper if kept else backbone, head, num_classes, recipe, num_blocks)
        stage = _Stage(backbone, learner, images, num_classes, recipe, listen, deadline)
        stage.keep_in(checkpoint, fingerprint)
        if kept:
            stage.learn_from(kept.boundary)
        return stage.run()
    finally:
        backbone.model.set_weights(pristine)
        backbones.unfreeze(backbone.model, backbone.blocks, 0)
        del nodes[num_nodes:]  # else every head that a warm backbone has had would stay with it


class _Stage:
    """The course of one stage 2."""

    def __init__(
        self,
        backbone: Backbone,
        learner: Learner,
        images: Mapping[str, Images],
        num_classes: int,
        recipe: Recipe,
        listen: Listen,
        deadline: float | None,
    ) -> None:
        self._backbone, self._learner, self._recipe = backbone, learner, recipe
        self._train, self._val, self._num_classes = images["train"], images["val"], num_classes
        self._listen, self._deadline = listen, deadline
        self._record = Record(batch_size=min(recipe.batch_size, len(self._train)), num_variants=0)
        self._best: Best | None = None
        self._checkpoint: Path | None = None
        self._fingerprint = ""
        self._boundary: Boundary | None = None
        self._num_wanted = 0
        self._done = 0
        self._has_learnt = False

    def keep_in(self, checkpoint: Path | None, fingerprint: str) -> None:
        """Say where the state is kept after each epoch."""
        self._checkpoint, self._fingerprint = checkpoint, fingerprint

    def learn_from(self, kept: Boundary) -> None:
        """Say where the learner, one of the upper blocks alone, gets from what enters them."""
        self._boundary = kept
        self._record.num_variants = kept.num_variants

    def run(self) -> FineTuned:
        """Go through the epochs that are left and return the best of all."""
        try:
            self._resume()
            if self._boundary:
                record = self._record
                self._num_wanted = self._boundary.num_wanted(record.epoch + 1, record.batch_size)
            stopped = self._epochs()
        except Cancelled as error:
            if self._best is None:
                raise
            stopped = "time" if isinstance(error, TimeIsUp) else "cancelled"
        finally:
            self._boundary = None  # its file takes room until nobody holds it
        assert self._best is not None  # the recipe has at least one epoch
        self._learner.set_weights(self._best.weights)
        self._learner.publish()
        return FineTuned(
            weights=self._backbone.model.get_weights(),
            head=self._learner.head(),
            val_logits=self._best.val_logits,
            val_loss=self._record.best_loss,
            epoch=self._record.best_epoch,
            num_epochs=self._record.epoch,
            stopped=stopped,
            batch_size=self._record.batch_size,
        )

    def _resume(self) -> None:
        found = checkpoints.load(self._checkpoint, self._fingerprint) if self._checkpoint else None
        if found is None or not self._learner.accepts(found.state):
            return
        self._learner.restore(found.state)
        self._record, self._best = replace(found.record, num_variants=self._record.num_variants), found.best
        self._deadline = brought_forward(self._deadline, found.record.history)
        self._listen("resumed", epoch=found.record.epoch, history=list(found.record.history))

    def _epochs(self) -> str:
        """Take the epochs that are left; return why it ended early, if it did."""
        record = self._record
        while record.epoch < self._recipe.fine_tune_epochs:
            if self._recipe.patience and record.epoch - record.best_epoch >= self._recipe.patience:
                return "patience"
            self._epoch(record.epoch + 1)
        return ""

    def _epoch(self, epoch: int) -> None:
        began = time.monotonic()
        seen = self._learn(epoch)
        head = self._learner.head()
        check_converges(head, "learning_rate", self._recipe.learning_rate)
        self._learner.publish()
        logits = self._judge(head)
        val = scores(logits, self._val.y_true)
        told = {
            "stage": "fine_tune",
            "epoch": epoch,
            "epochs": self._recipe.fine_tune_epochs,
            "loss": seen["log_loss"],
            "accuracy": seen["accuracy"],
            "val_loss": val.loss,
            "val_accuracy": val.accuracy,
            "learning_rate": seen["learning_rate"],
            "seconds": time.monotonic() - began,
        }
        self._finish(epoch, val.loss, logits, told)
        self._listen("epoch", **told)

    def _judge(self, head: Head) -> np.ndarray:
        """Return the logits of val: float32, shape (images, classes), NaN for what cannot be read any more."""

        def tell(done: int, total: int) -> None:
            self._tell(len(self._train) + done)

        if self._boundary is None:
            engine = Engine(engines.forward(self._backbone, self._recipe.pooling))
            return logits_of(engine, self._backbone, head, self._val, self._recipe, tell)
        logits = np.full((len(self._val), self._num_classes), np.nan, dtype=np.float32)
        for rows, inputs in self._boundary.val(self._tell):
            logits[rows] = self._learner.logits(inputs)
            tell(int(rows[-1]) + 1, len(self._val))
        tell(len(self._val), len(self._val))
        return logits

    def _finish(self, epoch: int, loss: float, logits: np.ndarray, told: dict[str, object]) -> None:
        """Note a finished epoch, and keep it in the checkpoint before anybody hears of it."""
        record, state = self._record, self._learner.state()
        record.epoch = epoch
        record.history.append(told)
        if self._best is None or loss < record.best_loss:
            record.best_epoch, record.best_loss = epoch, loss
            self._best = Best(state.weights, logits)
        if self._checkpoint:
            checkpoints.save(self._checkpoint, self._fingerprint, Checkpoint(record, state, self._best))

    def _learn(self, epoch: int) -> dict[str, float]:
        """Take the steps of an epoch, from its beginning again with half the batch where memory does not do."""
        beginning = self._learner.state()
        while True:
            try:
                return self._steps(epoch)
            except tf.errors.ResourceExhaustedError as error:
                self._halve(error)
                self._learner.restore(beginning)

    def _halve(self, error: Exception) -> None:
        if self._record.batch_size == 1:
            height, width = self._backbone.image_size
            raise JobError(
                f"Training on a single picture of {height} × {width} pixels is too much for this device's memory with "
                f"{self._backbone.spec.title}. Choose a smaller image size, a smaller backbone or fewer blocks to "
                "train, or end what else uses the device."
            ) from error
        self._record.batch_size //= 2
        self._listen("batch_halved", batch_size=self._record.batch_size)

    def _steps(self, epoch: int) -> dict[str, float]:
        """Take the steps of one epoch; return the means of what they saw, and the last learning rate."""
        recipe, batch_size = self._recipe, self._record.batch_size
        num_steps = math.ceil(len(self._train) / batch_size)
        self._learner.seed(recipe.seed, epoch)
        self._done = 0
        if self._boundary is None:
            inputs_of = varied_anew(self._train, recipe, self._backbone.image_size, epoch)
        else:
            inputs_of = self._boundary.train(epoch, self._tell)
        batches = iterate_batches(self._train, self._num_classes, recipe, batch_size, epoch, inputs_of)
        seen: list[dict[str, float]] = []
        rate = 0.0
        for step, batch in enumerate(batches):
            # The middle of the step: the very first one then is not wasted on a rate of zero.
            share = (epoch - 1 + (step + 0.5) / num_steps) / recipe.fine_tune_epochs
            rate = learning_rate(recipe, share)
            if not self._has_learnt:
                self._listen("compiling")
            seen.append(self._learner.step(batch, rate))
            self._has_learnt = True
            self._tell(min((step + 1) * batch_size, len(self._train)))
        if not seen:
            raise DataError(
                "No training picture could be read any more. Look at the Data page, then train again."
            )
        means = {name: float(np.mean([step[name] for step in seen])) for name in seen[0]}
        return means | {"learning_rate": rate}

    def _tell(self, done: int | None = None) -> None:
        """Tell how far the stage is, and stop if the time is up.

        Nothing counts before the first step: it was compiled until then, which is no measure of what is to come.

        Args:
            done: Images of this epoch learnt from and judged by so far; None for as many as before.
        """
        if done is not None:
            self._done = done
        per_epoch = len(self._train) + len(self._val)
        computed = 0
        if self._boundary and self._has_learnt:
            computed = min(self._boundary.num_computed, self._num_wanted)
        self._listen(
            "progress",
            done=self._record.epoch * per_epoch + self._done + computed,
            total=self._recipe.fine_tune_epochs * per_epoch + self._num_wanted,
            epoch=min(self._record.epoch + 1, self._recipe.fine_tune_epochs),
            epochs=self._recipe.fine_tune_epochs,
            compiling=not self._has_learnt,
        )
        check_time(self._deadline)
