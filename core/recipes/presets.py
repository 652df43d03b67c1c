"""Named recipes to begin with: ours, and what textbooks and courses do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core import augmentation
from core.augmentation import Augmentation
from core.errors import RecipeError
from core.recipes.recipe import RANDOM_WEIGHTS, RUN_PREFIX, Recipe

SOFT_START = 0.03
"""Freedom (C) of a head that fine-tuning goes on from: one fitted to the end has nothing left to learn from."""

_NONE = augmentation.PRESETS["none"]
_DENSE_1024 = Recipe(
    dense_units=1024,
    head_solver="adam",
    head_epochs=10,
    fine_tune_epochs=0,
    augment=_NONE,
    label_smoothing=0.0,
    patience=0,
)

PRESETS: Mapping[str, Recipe] = {
    "two-stages": Recipe(views=4, head_strength=SOFT_START),
    "linear-probe": Recipe(fine_tune_epochs=0, augment=_NONE),
    "frozen-dense": _DENSE_1024,
    "frozen-flatten": replace(_DENSE_1024, pooling="flatten"),
    "textbook": Recipe(
        head_solver="adam",
        head_epochs=10,
        fine_tune_epochs=10,
        optimizer="sgd",
        learning_rate=1e-4,
        layer_decay=1.0,
        schedule="constant",
        label_smoothing=0.0,
        augment=Augmentation(rotation=20.0, shift=0.2, horizontal_flip=True),
        views=4,
        patience=0,
    ),
    "mixed": Recipe(
        depth=0.73,
        pooling="flatten",
        dense_units=1024,
        dropout=0.2,
        head_solver="adam",
        head_epochs=20,
        head_learning_rate=1e-4,
        fine_tune_epochs=0,
        label_smoothing=0.0,
        augment=Augmentation(rotation=40.0, shift=0.2, shear=11.0, zoom=0.2, horizontal_flip=True),
        views=4,
        patience=0,
    ),
    "linear-adam": Recipe(
        head_solver="adam", head_epochs=20, fine_tune_epochs=0, augment=_NONE, label_smoothing=0.0, patience=0
    ),
    "full": Recipe(
        fine_tune_blocks=1.0, fine_tune_epochs=10, layer_decay=0.7, views=4, head_strength=SOFT_START
    ),
    "distil": Recipe(
        backbone="mobilenet-v2-0.35",
        teacher=RUN_PREFIX,
        views=4,
        head_strength=SOFT_START,
        label_smoothing=0.0,  # the teacher's doubts say more than the same doubt everywhere
    ),
    "from-scratch": Recipe(
        weights=RANDOM_WEIGHTS,
        head_epochs=0,
        fine_tune_epochs=30,
        fine_tune_blocks=1.0,
        train_batch_norm=True,
        learning_rate=1e-3,
        layer_decay=1.0,
        augment=augmentation.PRESETS["medium"],
        patience=0,
    ),
}
"""``mixed`` cuts the network at 8 of 11 blocks, where courses cut InceptionV3 (its layer ``mixed7``)."""

DEFAULT_PRESET = "two-stages"

SET_ELSEWHERE = ("backbone", "image_size", "resize", "fractions", "keep_given", "seed")
"""Fields in which a recipe may differ from a preset and still be that preset."""

SAMPLE_CHANGES: Mapping[str, Mapping[str, Any]] = {
    # 8×8 digits gain nothing from 224 px, and a mirrored digit is another sign.
    "digits": {"image_size": 96, "fine_tune_epochs": 3, "views": 0, "augment": augmentation.PRESETS["shift"]},
}
"""What the recipes of a sample dataset do differently."""


def preset(name: str, sample: str = "") -> Recipe:
    """Return the recipe of a preset, fitted to a sample dataset where it has needs of its own.

    Raises:
        RecipeError: There is no such preset.
    """
    if name not in PRESETS:
        raise RecipeError(f'There is no recipe "{name}". Choose one of: {", ".join(PRESETS)}.')
    recipe = PRESETS[name]
    changes = dict(SAMPLE_CHANGES.get(sample, {}))
    if not recipe.fine_tune_epochs:
        changes.pop("fine_tune_epochs", None)
    if not recipe.augment.changes_pixels:
        changes.pop("augment", None)
    return replace(recipe, **changes)


def preset_name(recipe: Recipe) -> str:
    """Return the preset that a recipe is, whatever its backbone, image size, split and seed; else an empty string."""
    plain = Recipe()
    own = {name: getattr(plain, name) for name in SET_ELSEWHERE}
    own["teacher"] = RUN_PREFIX if recipe.teacher else ""  # which one is chosen with the dataset
    bare = replace(recipe, **own)
    del own["teacher"]
    return next((name for name, known in PRESETS.items() if replace(known, **own) == bare), "")
