"""Whether stage 2 keeps what enters the first block that learns, of how many variants, and in how much room."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core import augmentation
from core.augmentation import Augmentation
from core.recipes import Recipe

TRAIN_TYPE, VAL_TYPE = np.float16, np.float32
"""What is kept of train and of val. Of val there is little, and its logits have to be those of the whole network."""
MAX_BYTES = 4 * 10**9
"""More would not stay in the memory of a common laptop, and be read from its disk in every epoch."""
DISK_SHARE = 0.5
"""Share of the free disk that may be taken."""
LEAST_VARIANTS = 3
"""Of a picture that the recipe varies, itself among them: fewer would have an epoch look much like the one before."""


class Plan(NamedTuple):
    """What is kept.

    Args:
        num_variants: Of each training image, of which an epoch draws one; the first is the image itself. 0: nothing is
            kept, and every epoch has to begin with the pixels.
        num_bytes: How much room that takes.
        reason: Why it is not more; empty if that is all that the recipe asks for.
    """

    num_variants: int
    num_bytes: int
    reason: str = ""


def plan_boundary(recipe: Recipe, width: int, num_train: int, num_val: int, free_bytes: float) -> Plan:
    """Say of how many variants it is kept: as many as the recipe asks for, or fewer where these take too much.

    Args:
        recipe: What stage 2 is to do.
        width: Numbers that leave the last frozen block for one picture; 0 if no part of the network stays frozen by
            itself.
        num_train: Training images.
        num_val: Validation images.
        free_bytes: Of the disk.
    """
    reason = _why_not(recipe, width)
    if reason:
        return Plan(0, 0, reason)
    wanted = 1 + recipe.views if recipe.augment.changes_pixels else 1
    limit = min(MAX_BYTES, DISK_SHARE * free_bytes)
    sizes = {number: _num_bytes(width, num_train * number, num_val) for number in range(wanted, 0, -1)}
    reason = f"keeping it would take {sizes[wanted] / 1e9:.1f} GB, more than {limit / 1e9:.1f} GB"
    fitting = next((number for number, size in sizes.items() if size <= limit), 0)
    if fitting < min(wanted, LEAST_VARIANTS):
        return Plan(0, 0, reason)
    return Plan(fitting, sizes[fitting], reason if fitting < wanted else "")


def _why_not(recipe: Recipe, width: int) -> str:
    if not width:
        return "no part of the network stays frozen by itself"
    if recipe.mixed_precision:
        return "it computes in 16 bits"
    if recipe.augment.mixes:
        return "MixUp and CutMix mix pixels"
    if recipe.augment.changes_pixels and not recipe.views:
        return "each epoch varies the pictures anew (views is 0)"
    if not _is_light(recipe.augment):
        return "the augmentation is stronger than a few kept variations can stand for"
    return ""


def _is_light(augment: Augmentation) -> bool:
    light = augmentation.PRESETS["light"].to_json()
    return all(strength <= light[name] for name, strength in augment.to_json().items())


def _num_bytes(width: int, num_train: int, num_val: int) -> int:
    return width * (num_train * np.dtype(TRAIN_TYPE).itemsize + num_val * np.dtype(VAL_TYPE).itemsize)
