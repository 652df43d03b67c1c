"""How strongly training pictures are varied: one number per kind of change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import RecipeError


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training pictures, each by its own strength; 0 leaves it out.

    Args:
        rotation: Largest turn to either side, degrees, 0…180.
        shift: Largest shift in each direction, share of the side, 0…0.5.
        zoom: Largest change of scale either way, 0…0.9.
        shear: Largest shear angle to either side, degrees, 0…45.
        crop: Largest share of the area that a random crop takes away, 0…0.9; the rest is scaled up.
        horizontal_flip: Mirrored left to right in half of the cases.
        vertical_flip: Mirrored top to bottom in half of the cases.
        brightness: Largest change of brightness either way, 0…1.
        contrast: Largest change of contrast either way, 0…1.
        colour: Largest change of saturation either way, and of hue as that share of half the colour circle, 0…1.
        erasing: Probability that a rectangle of 2 to 25 % of the area is replaced by noise, 0…1.
        randaugment: Magnitude of RandAugment, two operations a picture, 0…10.
        mixup: Alpha of MixUp, which blends pairs of pictures and their targets, 0…2.
        cutmix: Alpha of CutMix, which puts a rectangle of one picture into another, 0…2.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    crop: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    colour: float = 0.0
    erasing: float = 0.0
    randaugment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return asdict(self)

    @property
    def changes_pixels(self) -> bool:
        """Whether any single picture is changed; MixUp and CutMix work on a batch."""
        return any(value for name, value in asdict(self).items() if name not in BATCH_KINDS)

    @property
    def mixes(self) -> bool:
        """Whether pictures and targets of a batch are mixed."""
        return bool(self.mixup or self.cutmix)


BATCH_KINDS = ("mixup", "cutmix")

LIMITS: Mapping[str, float] = {
    "rotation": 180.0,
    "shift": 0.5,
    "zoom": 0.9,
    "shear": 45.0,
    "crop": 0.9,
    "brightness": 1.0,
    "contrast": 1.0,
    "colour": 1.0,
    "erasing": 1.0,
    "randaugment": 10.0,
    "mixup": 2.0,
    "cutmix": 2.0,
}
"""The largest strength of each kind that has one."""

PRESETS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(horizontal_flip=True, crop=0.2),
    "medium": Augmentation(
        horizontal_flip=True, crop=0.35, rotation=10.0, brightness=0.15, contrast=0.15, colour=0.1
    ),
    "strong": Augmentation(horizontal_flip=True, crop=0.5, randaugment=7.0, erasing=0.25, mixup=0.2),
    "shift": Augmentation(shift=0.0625),
}
"""``shift`` is for pictures in which a mirrored or cropped one is another thing, such as digits."""


def preset_name(augmentation: Augmentation) -> str:
    """Return the name of the preset that has exactly these settings, else an empty string."""
    return next((name for name, preset in PRESETS.items() if preset == augmentation), "")


def from_json(stored: Mapping[str, Any] | str) -> Augmentation:
    """Rebuild the settings from their JSON object, or from the name of a preset.

    Raises:
        RecipeError: A field or a name is unknown.
    """
    if isinstance(stored, str):
        if stored not in PRESETS:
            raise RecipeError(f'There is no augmentation "{stored}". Choose one of: {", ".join(PRESETS)}.')
        return PRESETS[stored]
    known = {field.name for field in fields(Augmentation)}
    if unknown := set(stored) - known:
        raise RecipeError(
            f"The augmentation has kinds this Graft does not know: {', '.join(sorted(unknown))}. "
            "It was written by a newer Graft; update this one."
        )
    return Augmentation(**stored)


def validate(augmentation: Augmentation) -> Augmentation:
    """Return the settings if every strength is within its limits.

    Raises:
        RecipeError: The first that is not, with what was received and what is expected.
    """
    for name, limit in LIMITS.items():
        value = getattr(augmentation, name)
        if isinstance(value, bool) or not 0 <= value <= limit:
            raise RecipeError(f"The augmentation {name} is {value!r}. Expected 0 (off) to {limit:g}.")
    return augmentation
