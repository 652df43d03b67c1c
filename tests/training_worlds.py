"""What the tests of the training share: a tiny network, pictures that any network can tell apart, a listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import augmentation, backbones, engines, recipes, training
from core.backbones import Backbone
from core.heads import Head
from core.images import iterate_decoded
from core.progress import Progress, no_progress
from core.recipes import Recipe
from core.training import Images
from core.training.prediction import logits_of
from core.workspace import Workspace

RECIPE = recipes.validate(
    Recipe(
        backbone="tiny",
        image_size=32,
        fine_tune_epochs=2,
        fine_tune_blocks=0.5,
        batch_size=8,
        head_epochs=20,
        learning_rate=1e-3,
        augment=augmentation.PRESETS["none"],
        patience=0,
    )
)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, **values: Any) -> None:
        self.events.append((kind, values))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [values for name, values in self.events if name == kind]


class Killed(BaseException):
    """What ends a process, as far as a test in the same process can tell."""


class Until(Heard):
    """A listener that raises at the ``count``-th event of a kind."""

    def __init__(self, kind: str, count: int, error: type[BaseException]) -> None:
        super().__init__()
        self._kind, self._count, self._error = kind, count, error

    def __call__(self, kind: str, **values: Any) -> None:
        super().__call__(kind, **values)
        if len(self.of(self._kind)) == self._count and kind == self._kind:
            raise self._error


def make_backbone(folder: Path, **settings: Any) -> Backbone:
    return backbones.build(Workspace(folder), "tiny", RECIPE.image_size, **settings)


def make_images(folder: Path, seed: int = 0) -> dict[str, Images]:
    """Dark and bright noise in two classes."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)

    def write(split: str, number: int) -> Path:
        low, high = ((0, 150), (105, 255))[number % 2]
        path = folder / f"{split}-{number}.png"
        Image.fromarray(rng.integers(low, high, (40, 40, 3), dtype=np.uint8)).save(path)
        return path

    counts = {"train": 20, "val": 8}
    return {
        split: Images([write(split, number) for number in range(count)], np.arange(count) % 2)
        for split, count in counts.items()
    }


def features_of(
    backbone: Backbone, images: Mapping[str, Images], recipe: Recipe = RECIPE
) -> dict[str, np.ndarray]:
    forward = engines.forward(backbone, recipe.pooling)
    return {
        split: forward(np.stack(list(iterate_decoded(part.paths, backbone.image_size, recipe.resize))))
        for split, part in images.items()
    }


def predict(
    backbone: Backbone,
    weights: Sequence[np.ndarray] | None,
    head: Head,
    images: Images,
    recipe: Recipe,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Return the logits of images by the whole network, with a run's weights where there are some."""
    with backbones.lend(backbone, weights) as lent:
        engine = engines.by_tensorflow(lent, recipe.pooling)
        return logits_of(engine, lent, head, images, recipe, progress)


def truth_of(images: Mapping[str, Images]) -> dict[str, np.ndarray]:
    return {split: part.y_true for split, part in images.items()}


def head_of(backbone: Backbone, images: Mapping[str, Images], recipe: Recipe = RECIPE) -> Head:
    features = features_of(backbone, images, recipe)
    noise = np.random.default_rng(1).normal(size=features["train"].shape).astype(np.float32)
    views = [features["train"] + 0.01 * noise] if recipe.views else []
    return training.train_head(features, truth_of(images), 2, recipe, Heard(), views).head
