"""Random variations of training pictures; never of validation or test."""

from __future__ import annotations

from core.augmentation.batches import mix
from core.augmentation.pictures import VARIATION_VERSION, apply
from core.augmentation.settings import (
    BATCH_KINDS,
    LIMITS,
    PRESETS,
    Augmentation,
    from_json,
    preset_name,
    validate,
)

__all__ = [
    "BATCH_KINDS",
    "LIMITS",
    "PRESETS",
    "VARIATION_VERSION",
    "Augmentation",
    "apply",
    "from_json",
    "mix",
    "preset_name",
    "validate",
]
