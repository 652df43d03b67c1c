"""Which settings of a recipe do nothing, because no stage that it has uses them."""

from __future__ import annotations

from dataclasses import fields

from core import augmentation
from core.recipes.recipe import Recipe

_STAGE_1 = ("views", "head_solver", "head_strength", "head_search", "head_learning_rate")
_STAGE_2 = (
    "fine_tune_blocks",
    "train_batch_norm",
    "optimizer",
    "learning_rate",
    "layer_decay",
    "schedule",
    "weight_decay",
    "mixed_precision",
)
_OF_THE_TEACHER = ("teacher_weight", "teacher_temperature")
_IN_BATCHES = ("label_smoothing", "batch_size", "patience")

_DEFAULTS = Recipe()
_NONE = augmentation.PRESETS["none"]


def without_effect(recipe: Recipe) -> tuple[str, ...]:
    """Return the fields that were set but change nothing, in their order.

    What is at its default, or turned off (0, none), was not set to do anything. Where only a part of the augmentation
    is without effect, it is named like ``augment.mixup``.
    """
    unused: set[str] = set()
    by_adam = bool(recipe.head_epochs) and recipe.head_solver == "adam"
    unused |= set() if recipe.head_epochs else set(_STAGE_1)
    unused |= set() if recipe.fine_tune_epochs else set(_STAGE_2)
    unused |= set() if by_adam else {"head_learning_rate"}
    unused |= {"head_strength", "head_search"} if by_adam else set()
    unused |= set() if by_adam or recipe.fine_tune_epochs else set(_IN_BATCHES)
    unused |= set() if recipe.views or recipe.fine_tune_epochs else {"augment"}
    unused |= set() if recipe.teacher else set(_OF_THE_TEACHER)
    unused |= set() if recipe.optimizer == "adamw" else {"weight_decay"}
    named: list[str] = []
    for field in fields(Recipe):
        value = getattr(recipe, field.name)
        if field.name in unused:
            named += [] if value in (getattr(_DEFAULTS, field.name), 0, _NONE) else [field.name]
        elif field.name == "augment" and not recipe.fine_tune_epochs:
            # Views are of one picture each; only the batches of stage 2 are mixed.
            named += [f"augment.{kind}" for kind in augmentation.BATCH_KINDS if getattr(value, kind)]
    return tuple(named)
