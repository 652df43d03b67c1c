"""Which settings bear on a training, given the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from core import recipes
from core.recipes import Recipe
from pages.components.text import said


def _tunes(recipe: Recipe) -> bool:
    return recipe.fine_tune_epochs > 0


def _head_in_batches(recipe: Recipe) -> bool:
    return recipe.head_epochs > 0 and recipe.head_solver == "adam"


def _in_batches(recipe: Recipe) -> bool:
    return _tunes(recipe) or _head_in_batches(recipe)


def _may_be_deep(recipe: Recipe) -> bool:
    """Whether the head may have a hidden layer and dropout: L-BFGS fits a single layer only."""
    return not recipe.head_epochs or recipe.head_solver == "adam"


_CONDITIONS: Mapping[str, Callable[[Recipe], bool]] = {
    "views": lambda recipe: recipe.head_epochs > 0 and recipe.augment.changes_pixels,
    "head_solver": lambda recipe: recipe.head_epochs > 0,
    "head_strength": lambda recipe: recipe.head_epochs > 0 and recipe.head_solver == "lbfgs",
    "head_search": lambda recipe: recipe.head_epochs > 0 and recipe.head_solver == "lbfgs",
    "head_learning_rate": _head_in_batches,
    "dense_units": _may_be_deep,
    "dropout": _may_be_deep,
    "fine_tune_blocks": _tunes,
    "train_batch_norm": lambda recipe: _tunes(recipe) and recipe.weights == recipes.RANDOM_WEIGHTS,
    "optimizer": _tunes,
    "learning_rate": _tunes,
    "layer_decay": _tunes,
    "schedule": _tunes,
    "teacher_weight": lambda recipe: bool(recipe.teacher),
    "teacher_temperature": lambda recipe: bool(recipe.teacher),
    "weight_decay": lambda recipe: _tunes(recipe) and recipe.optimizer == "adamw",
    "batch_size": _in_batches,
    "label_smoothing": _in_batches,
    "patience": _in_batches,
    "mixed_precision": _tunes,
}
"""Fields that bear on some trainings only; all others bear on each."""

_UNUSED: Mapping[str, Any] = {
    "views": 0,
    "dense_units": 0,
    "dropout": 0.0,
    "train_batch_norm": False,
    "mixed_precision": False,
}
"""What a field is where it does not apply and its value would be refused; the others keep theirs unseen."""


def applies(name: str, recipe: Recipe, on_gpu: bool) -> bool:
    """Return whether a field bears on a training with this recipe on this device.

    Args:
        name: Of a field of :class:`core.recipes.Recipe`.
        recipe: The other settings.
        on_gpu: Whether the device is a graphics card.
    """
    if name == "mixed_precision" and not on_gpu:
        return False
    return name not in _CONDITIONS or _CONDITIONS[name](recipe)


def unused(name: str, recipe: Recipe) -> Recipe:
    """Return the recipe with a field that does not apply as it must be then."""
    return replace(recipe, **{name: _UNUSED[name]}) if name in _UNUSED else recipe


def with_defaults(recipe: Recipe, default: Recipe, on_gpu: bool) -> Recipe:
    """Return the recipe with the default's values where a field does not apply.

    A field that comes into play later then begins with a value that makes sense, not with "unused".
    """
    idle = [name for name in _UNUSED if not applies(name, recipe, on_gpu)]
    return replace(recipe, **{name: getattr(default, name) for name in idle})


ELSEWHERE = {"backbone", "fractions", "keep_given", "seed"}
"""Fields that are not among the settings of a training: their titles stand elsewhere."""
_NAMES = "|".join(field.name for field in fields(Recipe) if field.name not in ELSEWHERE)
_SAID = re.compile(rf'"[^"]*"|\b(?:(?=\w*_)(?:{_NAMES})\b|(?:{_NAMES})(?= (?:is|to) ))')
"""What is quoted, which stays as it is; or the name of a field. One without an underscore may be a common word, so it
counts only where something is said of it."""


def titled(message: str) -> str:
    """Return the message of an error about a recipe with the titles of the fields, quoted, in place of their names."""
    return _SAID.sub(
        lambda found: found[0] if found[0].startswith('"') else f'"{said(recipes.title(found[0]))}"', message
    )
