"""Whether stage 2 keeps what enters the first block that learns, and of how many variants of a picture."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from core import augmentation, backbones
from core.augmentation import Augmentation
from core.backbones import Backbone
from core.engines import Engine
from core.recipes import Recipe
from core.training.batches import Images
from core.training.boundary import Boundary, num_bytes
from core.training.events import Listen

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
        reason: Why it is not more; empty if that is all that the recipe asks for.
    """

    num_variants: int
    reason: str = ""


class Kept(NamedTuple):
    """The part of the backbone that learns, and what enters it."""

    upper: Backbone
    boundary: Boundary


def keep(
    backbone: Backbone,
    num_blocks: int,
    recipe: Recipe,
    images: Mapping[str, Images],
    listen: Listen,
    scratch: Path | None,
    engine_of: Callable[[Backbone, str, int], Engine],
) -> Kept | None:
    """Prepare to keep what enters the first block that learns, if that can be done and pays; say which it is."""
    if scratch is None:
        return None
    parts = backbones.split(backbone, num_blocks)
    num_variants, reason = plan(recipe, parts[0] if parts else None, images, scratch)
    if parts and num_variants:
        lower, upper = parts
        try:
            engine = engine_of(lower, "flatten", len(images["train"]) * num_variants + len(images["val"]))
            kept = Kept(upper, Boundary(lower, engine, images, recipe, num_variants, scratch))
        except OSError as error:
            reason = f"the disk has no room ({error.strerror or error})"
        else:
            megabytes = num_bytes(lower, images, num_variants) / 1e6
            fewer = f", not more since {reason}" if reason else ""
            listen(
                "log",
                text=f"Fine-tuning: what leaves the last frozen block is computed once ({engine.precision}) for each "
                f"picture and variation that an epoch draws (1 of {num_variants} a picture{fewer}), and kept until "
                f"the end ({megabytes:,.0f} MB).",
            )
            return kept
    listen("log", text=f"Fine-tuning: every epoch begins with the pixels, since {reason}.")
    return None


def plan(recipe: Recipe, lower: Backbone | None, images: Mapping[str, Images], folder: Path) -> Plan:
    """Say of how many variants it is kept: as many as the recipe asks for, or fewer where these take too much.

    Args:
        recipe: What stage 2 is to do.
        lower: The frozen part of the backbone; None if there is none of its own.
        images: Those of ``"train"`` and ``"val"``.
        folder: Where the file would be.
    """
    if lower is None:
        return Plan(0, "no part of the network stays frozen by itself")
    if recipe.mixed_precision:
        return Plan(0, "it computes in 16 bits")
    if recipe.augment.mixes:
        return Plan(0, "MixUp and CutMix mix pixels")
    if recipe.augment.changes_pixels and not recipe.views:
        return Plan(0, "each epoch varies the pictures anew (views is 0)")
    if not _is_light(recipe.augment):
        return Plan(0, "the augmentation is stronger than a few kept variations can stand for")
    wanted = 1 + recipe.views if recipe.augment.changes_pixels else 1
    limit = min(MAX_BYTES, DISK_SHARE * shutil.disk_usage(folder).free)
    sizes = {number: num_bytes(lower, images, number) for number in range(wanted, 0, -1)}
    reason = f"keeping it would take {sizes[wanted] / 1e9:.1f} GB, more than {limit / 1e9:.1f} GB"
    fitting = [number for number, size in sizes.items() if size <= limit]
    if not fitting or fitting[0] < min(wanted, LEAST_VARIANTS):
        return Plan(0, reason)
    return Plan(fitting[0], reason if fitting[0] < wanted else "")


def _is_light(augment: Augmentation) -> bool:
    light = augmentation.PRESETS["light"].to_json()
    return all(strength <= light[name] for name, strength in augment.to_json().items())
