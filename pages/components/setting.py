"""What a setting of a training is called and what it was set to, in the words of the form that it is chosen in."""

from __future__ import annotations

from typing import Any

from core import recipes
from pages.components.text import percent, said, t
from pages.components.training_augmentation import strength

SHARES = {"depth", "dropout", "fine_tune_blocks", "label_smoothing", "layer_decay", "teacher_weight"}
"""Fields that the form shows in percent."""
CHOICES = {"balance", "head_solver", "optimizer", "pooling", "resize", "schedule"}
"""Fields whose values have names."""
WEIGHTS = {"": "imagenet", recipes.RANDOM_WEIGHTS: "random"}


def setting_name(name: str) -> str:
    """Return what a setting is called: a field of a recipe, or a kind of augmentation such as ``augment.crop``."""
    try:
        return said(recipes.title(name))
    except KeyError:  # of a newer Graft
        return name


def setting_value(name: str, value: Any) -> str:
    """Return what a setting was set to, as it stands in the record of a run; not to be read as Markdown."""
    if name.startswith("augment.") and value != "":
        return strength(name.partition(".")[2], value)
    if isinstance(value, bool):
        return t("option.on" if value else "option.off")
    if name in SHARES and isinstance(value, float | int):
        return percent(value, 0)
    if isinstance(value, list | tuple):
        return " / ".join(percent(share, 0) for share in value)
    if name == "weights" and value in WEIGHTS:
        return t(f"option.weights.{WEIGHTS[value]}")
    if name == "teacher" and not value:
        return t("augment.none")
    try:
        return t(f"option.{name}.{value}") if name in CHOICES else str(value)
    except KeyError:  # of a newer Graft
        return str(value)
