"""What a training is to do: one frozen dataclass, kept as JSON with every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from core import catalog
from core.catalog import BackboneSpec
from core.errors import RecipeError
from core.images import RESIZE_RULES

AUGMENTATIONS = ("none", "shift", "light")
"""``shift``: small random crops; ``light``: small random crops and horizontal flips. Training images only."""

MAX_IMAGE_SIZE = 1024
"""Pixels a side; beyond it the memory of one batch of any catalog network leaves a laptop's."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one training.

    Args:
        backbone: Name in :data:`core.catalog.CATALOG`.
        weights: Path of a weights file for the backbone; empty for its ImageNet weights.
        image_size: Side of the square input in pixels; 0 for the backbone's own.
        resize: How a picture becomes square: ``"stretch"``, ``"crop"`` (centre) or ``"pad"``.
        fractions: Shares of train, val and test where the folder has no split; they add up to 1.
        seed: Seed of the split, of shuffling and of augmentation.
        head_epochs: Most passes over all features in stage 1; it stops earlier once converged.
        head_strength: Inverse strength of the head's L2 penalty (scikit-learn's ``C``).
        fine_tune_epochs: Epochs of stage 2; 0 leaves it out.
        fine_tune_blocks: Share of the backbone's blocks that stage 2 trains, counted from the top, in 0…1.
        learning_rate: Peak learning rate of stage 2.
        weight_decay: Weight decay of stage 2 (AdamW).
        label_smoothing: Share of each one-hot target spread over all classes in stage 2, in 0…1.
        batch_size: Images per step in stage 2.
        augment: One of :data:`AUGMENTATIONS`.
    """

    backbone: str = catalog.DEFAULT_BACKBONE
    weights: str = ""
    image_size: int = 0
    resize: str = "stretch"
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: int = 0
    head_epochs: int = 100
    head_strength: float = 1.0
    fine_tune_epochs: int = 5
    fine_tune_blocks: float = 0.34
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    batch_size: int = 32
    augment: str = "light"

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Preset:
    """A named recipe to begin with."""

    name: str
    recipe: Recipe


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("two-stages", Recipe()),
        Preset("linear-probe", Recipe(fine_tune_epochs=0)),
    )
}
DEFAULT_PRESET = "two-stages"

SAMPLE_CHANGES: Mapping[str, Mapping[str, Any]] = {
    # 8×8 digits gain nothing from 224 px, and a mirrored digit is another sign.
    "digits": {"image_size": 96, "fine_tune_epochs": 3, "augment": "shift"},
}
"""What the recipes of a sample dataset do differently."""


def preset(name: str, sample: str = "") -> Recipe:
    """Return the recipe of a preset, fitted to a sample dataset where it has needs of its own.

    Raises:
        RecipeError: There is no such preset.
    """
    if name not in PRESETS:
        raise RecipeError(f'There is no recipe "{name}". Choose one of: {", ".join(PRESETS)}.')
    recipe = PRESETS[name].recipe
    changes = dict(SAMPLE_CHANGES.get(sample, {}))
    if not recipe.fine_tune_epochs:
        changes.pop("fine_tune_epochs", None)
    return replace(recipe, **changes)


def differences(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """Return the names of the fields in which two recipes differ, in the order of :class:`Recipe`."""
    return tuple(
        field.name for field in fields(Recipe) if getattr(recipe, field.name) != getattr(other, field.name)
    )


def from_json(values: Mapping[str, Any]) -> Recipe:
    """Rebuild a recipe from its JSON object; fields of a newer Graft are refused.

    Raises:
        RecipeError: A field is unknown.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := set(values) - known:
        raise RecipeError(
            f"The recipe has fields this Graft does not know: {', '.join(sorted(unknown))}. "
            "It was written by a newer Graft; update this one."
        )
    values = dict(values)
    if "fractions" in values:
        values["fractions"] = tuple(values["fractions"])
    return Recipe(**values)


def validate(recipe: Recipe) -> Recipe:
    """Return the recipe with its backbone's catalog name and image size filled in.

    Raises:
        RecipeError: The first field that cannot be used, with what was received and what is expected.
    """
    spec = catalog.get(recipe.backbone)
    size = recipe.image_size or spec.image_size
    validate_image_size(size, spec)
    _one_of("resize", recipe.resize, RESIZE_RULES)
    _one_of("augment", recipe.augment, AUGMENTATIONS)
    _between("head_epochs", recipe.head_epochs, 1, 10_000, "epochs")
    _between("head_strength", recipe.head_strength, 1e-6, 1e6)
    _between("fine_tune_epochs", recipe.fine_tune_epochs, 0, 1_000, "epochs")
    _between("fine_tune_blocks", recipe.fine_tune_blocks, 0.0, 1.0, "(share of the blocks)")
    _between("learning_rate", recipe.learning_rate, 1e-7, 1.0)
    _between("weight_decay", recipe.weight_decay, 0.0, 1.0)
    _between("label_smoothing", recipe.label_smoothing, 0.0, 0.5)
    _between("batch_size", recipe.batch_size, 1, 1_024, "images")
    _between("seed", recipe.seed, 0, 2**31 - 1)
    if recipe.fine_tune_epochs and not recipe.fine_tune_blocks:
        raise RecipeError(
            f"fine_tune_epochs is {recipe.fine_tune_epochs} but fine_tune_blocks is 0, so stage 2 would train "
            "no block of the backbone. Raise fine_tune_blocks, or set fine_tune_epochs to 0."
        )
    validate_fractions(recipe.fractions)
    return replace(recipe, backbone=spec.name, image_size=size, weights=_weights_file(recipe.weights))


def validate_image_size(image_size: int, spec: BackboneSpec) -> None:
    """Check the side of a network's input in pixels.

    Raises:
        RecipeError: It is smaller than the network takes, or larger than :data:`MAX_IMAGE_SIZE`.
    """
    _between("image_size", image_size, spec.min_size, MAX_IMAGE_SIZE, f"pixels for {spec.title}")


def validate_fractions(fractions: tuple[float, ...]) -> None:
    """Check the shares of train, val and test.

    Raises:
        RecipeError: They are not three numbers above 0 that add up to 1.
    """
    if len(fractions) != 3 or not min(fractions) > 0 or not abs(sum(fractions) - 1) <= 1e-6:
        shown = ", ".join(f"{share:g}" for share in fractions)
        raise RecipeError(
            f"The split is {shown}. Expected three shares above 0 for train, val and test that add up to 1, "
            "for example 0.7, 0.15, 0.15."
        )


def _weights_file(given: str) -> str:
    """Return the absolute path of a weights file; the session that reads it works in another folder."""
    if not given:
        return ""
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise RecipeError(
            f'There is no weights file "{given}". Expected the path of a file on this computer. Check it, or '
            "leave it out to use the ImageNet weights."
        )
    return str(path)


def _between(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    if isinstance(value, bool) or not low <= value <= high:
        raise RecipeError(f"{name} is {value!r}. Expected {low:.10g} to {high:.10g} {unit}".rstrip() + ".")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f'{name} is "{value}". Expected one of: {", ".join(allowed)}.')
