"""Two stages: a head on cached features, then the upper blocks of the backbone with it.

Knows nothing of stores or pages: what happens is told to a ``listen(kind, **values)`` callback, which may raise
:class:`core.errors.Cancelled` to stop. Kinds: ``progress`` (done, total) and ``epoch`` (stage, epoch, epochs, loss,
accuracy, val_loss, val_accuracy, and in stage 2 learning_rate and seconds).

Reference: probe first, then fine-tune from it (LP-FT), Kumar et al., ICLR 2022, arXiv:2202.10054.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.special import logsumexp

from core import backbones, engines
from core.backbones import Backbone
from core.errors import DataError, UnreadableImage
from core.heads import Head, fit_probe
from core.images import iterate_decoded
from core.recipes import Recipe

WARM_UP_SHARE = 0.1
"""Share of the steps of stage 2 in which the learning rate rises to its peak."""
CLIP_NORM = 1.0
"""Global gradient norm above which a step of stage 2 is scaled down."""
SHIFT_SHARE = 0.0625
"""Largest shift of the light augmentation, as a share of the side: a crop of 7/8 on average."""
FINE_TUNE_SEED = 2
"""Keeps the random numbers of stage 2 apart from those of other uses of the recipe's seed."""


class Listen(Protocol):
    """Hears what happens."""

    def __call__(self, kind: str, **values: Any) -> None: ...


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Args:
        paths: Files.
        y_true: int, shape (images,), in 0…classes−1.
    """

    paths: Sequence[Path]
    y_true: np.ndarray


@dataclass(frozen=True)
class FineTuned:
    """What stage 2 made.

    Args:
        weights: All weights of the backbone, in the order of ``backbone.model.weights``.
        head: The head trained with them.
        logits: Per split: float32, shape (images, classes); NaN for a file that could not be read any more.
        val_loss: Mean log loss on val of the best epoch.
        epoch: The best epoch, from 1.
    """

    weights: list[np.ndarray]
    head: Head
    logits: Mapping[str, np.ndarray]
    val_loss: float
    epoch: int


def train_head(
    features: Mapping[str, np.ndarray],
    y_true: Mapping[str, np.ndarray],
    num_classes: int,
    recipe: Recipe,
    listen: Listen,
) -> Head:
    """Fit the head on the features of train (stage 1), watching those of val.

    Args:
        features: float32 of shape (images, features) for ``"train"`` and ``"val"``.
        y_true: int of shape (images,) for the same.
        num_classes: Number of classes.
        recipe: ``head_epochs`` and ``head_strength`` are used.
        listen: Told of every epoch.

    Returns:
        The fitted head; val chooses nothing here.
    """

    def on_epoch(epoch: int, head: Head) -> None:
        listen("progress", done=epoch, total=recipe.head_epochs)
        said: dict[str, float] = {}
        for prefix, split in (("", "train"), ("val_", "val")):
            loss, accuracy = scores(head.logits(features[split]), y_true[split])
            said |= {f"{prefix}loss": loss, f"{prefix}accuracy": accuracy}
        listen("epoch", stage="head", epoch=epoch, epochs=recipe.head_epochs, **said)

    return fit_probe(
        features["train"], y_true["train"], num_classes, recipe.head_strength, recipe.head_epochs, on_epoch
    )


def fine_tune(
    backbone: Backbone, head: Head, images: Mapping[str, Images], recipe: Recipe, listen: Listen
) -> FineTuned:
    """Train the upper blocks together with the head (stage 2) and keep the epoch with the lowest loss on val.

    BatchNormalization stays as it was pretrained, statistics and parameters. The backbone is as before when this
    returns or raises.

    Args:
        backbone: A pristine backbone.
        head: Where the classifier begins: the head of stage 1.
        images: The images of ``"train"``, ``"val"`` and ``"test"``; only train is learnt from, only val chooses.
        recipe: Everything about stage 2.
        listen: Told of every step (progress counts images) and epoch.

    Returns:
        The best epoch's weights and what they say about all images.
    """
    model = backbones.classifier(backbone, head.kernel.shape[1])
    pristine = backbone.model.get_weights()
    try:
        return _fine_tune(model, backbone, head, images, recipe, listen)
    finally:
        backbone.model.set_weights(pristine)
        backbones.unfreeze(model, backbone.blocks, 0)


def _fine_tune(
    model: Any, backbone: Backbone, head: Head, images: Mapping[str, Images], recipe: Recipe, listen: Listen
) -> FineTuned:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    dense = model.get_layer("head")
    dense.set_weights([head.kernel, head.bias])
    backbones.unfreeze(model, backbone.blocks, math.ceil(recipe.fine_tune_blocks * len(backbone.blocks)))
    train = images["train"]
    batch_size = min(recipe.batch_size, len(train.paths))
    steps = math.ceil(len(train.paths) / batch_size)
    schedule = _schedule(recipe, steps * recipe.fine_tune_epochs)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, global_clipnorm=CLIP_NORM, epsilon=1e-7
        ),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        # The loss carries label smoothing, that of val does not; this one compares with it.
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(from_logits=True, name="log_loss")],
    )
    forward = engines.forward(backbone)

    def current_head() -> Head:
        return Head(*(np.array(values) for values in dense.get_weights()))

    best: tuple[float, int, list[np.ndarray], Head, np.ndarray] | None = None
    for epoch in range(1, recipe.fine_tune_epochs + 1):
        began = time.monotonic()
        seen = _train_epoch(model, train, recipe, backbone.image_size, batch_size, epoch, listen)
        logits = _predict(forward, images["val"], current_head(), recipe, backbone.image_size, listen)
        val_loss, val_accuracy = scores(logits, images["val"].y_true)
        if best is None or val_loss < best[0]:
            best = (val_loss, epoch, backbone.model.get_weights(), current_head(), logits)
        listen(
            "epoch",
            stage="fine_tune",
            epoch=epoch,
            epochs=recipe.fine_tune_epochs,
            loss=seen["log_loss"],
            accuracy=seen["accuracy"],
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=float(schedule(epoch * steps - 1)),
            seconds=time.monotonic() - began,
        )
    assert best is not None
    val_loss, epoch, weights, best_head, val_logits = best
    backbone.model.set_weights(weights)
    logits_of = {"val": val_logits}
    for split in ("train", "test"):
        logits_of[split] = _predict(forward, images[split], best_head, recipe, backbone.image_size, listen)
    return FineTuned(weights, best_head, logits_of, val_loss, epoch)


def _train_epoch(
    model: Any,
    images: Images,
    recipe: Recipe,
    image_size: tuple[int, int],
    batch_size: int,
    epoch: int,
    listen: Listen,
) -> dict[str, float]:
    """Take the steps of one epoch; return the means of their metrics."""
    num_classes = model.output_shape[-1]
    total = recipe.fine_tune_epochs * len(images.paths)
    done = (epoch - 1) * len(images.paths)
    # Keras forgets its running means before each train_on_batch, so what it returns is about that batch alone.
    seen: list[dict[str, float]] = []
    for pixels, y_true in _batches(images, recipe, image_size, batch_size, epoch):
        one_hot = np.eye(num_classes, dtype=np.float32)[y_true]
        seen.append(model.train_on_batch(pixels.astype(np.float32), one_hot, return_dict=True))
        done = min(done + len(pixels), epoch * len(images.paths))
        listen("progress", done=done, total=total)
    if not seen:
        raise DataError("No training image could be read any more. Look at the Data page, then train again.")
    return {name: float(np.mean([step[name] for step in seen])) for name in seen[0]}


def _batches(
    images: Images, recipe: Recipe, image_size: tuple[int, int], batch_size: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the training images of an epoch, shuffled and augmented, in batches of one and the same size."""
    rng = np.random.default_rng((recipe.seed, FINE_TUNE_SEED, epoch))
    order = rng.permutation(len(images.paths))
    # A last batch of another size would have TensorFlow trace the step again; it is filled up from the first ones.
    order = np.resize(order, math.ceil(len(order) / batch_size) * batch_size)
    pixels: list[np.ndarray] = []
    labels: list[int] = []
    decoded = iterate_decoded([images.paths[int(index)] for index in order], image_size, recipe.resize)
    for index, image in zip(order, decoded, strict=True):
        if isinstance(image, UnreadableImage):
            continue
        pixels.append(augment(image, recipe.augment, rng))
        labels.append(images.y_true[index])
        if len(pixels) == batch_size:
            yield np.stack(pixels), np.array(labels)
            pixels, labels = [], []
    if pixels:  # only where files could not be read any more
        again = np.resize(np.arange(len(pixels)), batch_size)
        yield np.stack(pixels)[again], np.array(labels)[again]


def augment(image: np.ndarray, strength: str, rng: np.random.Generator) -> np.ndarray:
    """Return a variation of a training image.

    Args:
        image: uint8, shape (height, width, 3).
        strength: One of :data:`core.recipes.AUGMENTATIONS`.
        rng: Where the chance comes from.

    Returns:
        uint8 of the same shape; the same pixels for ``"none"``.
    """
    if strength == "none":
        return image
    if strength == "light" and rng.random() < 0.5:
        image = image[:, ::-1]
    reach = [round(side * SHIFT_SHARE) for side in image.shape[:2]]
    padded = np.pad(image, ((reach[0], reach[0]), (reach[1], reach[1]), (0, 0)), mode="reflect")
    top, left = (int(rng.integers(0, 2 * side + 1)) for side in reach)
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


def _predict(
    forward: engines.Forward,
    images: Images,
    head: Head,
    recipe: Recipe,
    image_size: tuple[int, int],
    listen: Listen,
) -> np.ndarray:
    """Return float32 logits of shape (images, classes); NaN for files that cannot be read (any more)."""
    logits = np.full((len(images.paths), head.kernel.shape[1]), np.nan, dtype=np.float32)
    rows: list[int] = []
    pixels: list[np.ndarray] = []

    def flush() -> None:
        if rows:
            logits[rows] = head.logits(forward(np.stack(pixels)))
            rows.clear()
            pixels.clear()

    for row, image in enumerate(iterate_decoded(images.paths, image_size, recipe.resize)):
        if not isinstance(image, UnreadableImage):
            rows.append(row)
            pixels.append(image)
        if len(rows) == engines.BATCH_SIZE:
            flush()
    flush()
    return logits


def scores(logits: np.ndarray, y_true: np.ndarray) -> tuple[float, float]:
    """Return how good logits are over the images that could be read.

    Args:
        logits: float, shape (images, classes); rows with NaN are left out.
        y_true: int, shape (images,).

    Returns:
        The mean log loss in nats, and the accuracy in 0…1.
    """
    read = ~np.isnan(logits).any(axis=1)
    logits, y_true = logits[read].astype(np.float64), y_true[read]
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(logits)), y_true]
    return float(losses.mean()), float((logits.argmax(axis=1) == y_true).mean())


def _schedule(recipe: Recipe, steps: int) -> Any:
    """Return a warm-up to the peak rate and a cosine down to zero over all steps of stage 2."""
    import keras

    warm_up = max(1, round(WARM_UP_SHARE * steps))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
