"""What a training is to do: one frozen dataclass, kept as JSON with every run, and named recipes to begin with."""

from __future__ import annotations

from core.recipes.effects import without_effect
from core.recipes.presets import DEFAULT_PRESET, PRESETS, SAMPLE_CHANGES, preset, preset_name
from core.recipes.recipe import (
    BALANCES,
    HEAD_STRENGTHS,
    MAX_IMAGE_SIZE,
    OPTIMIZERS,
    POOLINGS,
    RANDOM_WEIGHTS,
    RUN_PREFIX,
    SCHEDULES,
    SOLVERS,
    Recipe,
    differences,
    for_probe,
    from_json,
    in_split_of,
    parent_run,
    teacher_run,
    validate,
    validate_fractions,
    validate_image_size,
    weights_file,
)
from core.recipes.titles import title

__all__ = [
    "BALANCES",
    "DEFAULT_PRESET",
    "HEAD_STRENGTHS",
    "MAX_IMAGE_SIZE",
    "OPTIMIZERS",
    "POOLINGS",
    "PRESETS",
    "RANDOM_WEIGHTS",
    "RUN_PREFIX",
    "SAMPLE_CHANGES",
    "SCHEDULES",
    "SOLVERS",
    "Recipe",
    "differences",
    "for_probe",
    "from_json",
    "in_split_of",
    "parent_run",
    "preset",
    "preset_name",
    "teacher_run",
    "title",
    "validate",
    "validate_fractions",
    "validate_image_size",
    "weights_file",
    "without_effect",
]
