"""Stage 2 prepares to keep what enters the first block that learns, if that can be done and pays."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core import backbones
from core.backbones import Backbone
from core.engines import Engine
from core.forecast import plan_boundary
from core.recipes import Recipe
from core.training.batches import Images
from core.training.boundary import Boundary
from core.training.events import Listen


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
    width = int(np.prod(parts[0].model.output.shape[1:])) if parts else 0
    free = shutil.disk_usage(scratch).free
    plan = plan_boundary(recipe, width, len(images["train"]), len(images["val"]), free)
    reason = plan.reason
    if parts and plan.num_variants:
        lower, upper = parts
        try:
            engine = engine_of(
                lower, "flatten", len(images["train"]) * plan.num_variants + len(images["val"])
            )
            kept = Kept(upper, Boundary(lower, engine, images, recipe, plan.num_variants, scratch))
        except OSError as error:
            reason = f"the disk has no room ({error.strerror or error})"
        else:
            fewer = f", not more since {reason}" if reason else ""
            listen(
                "log",
                text=f"Fine-tuning: what leaves the last frozen block is computed once ({engine.precision}) for each "
                f"picture and variation that an epoch draws (1 of {plan.num_variants} a picture{fewer}), and kept "
                f"until the end ({plan.num_bytes / 1e6:,.0f} MB).",
            )
            return kept
    listen("log", text=f"Fine-tuning: every epoch begins with the pixels, since {reason}.")
    return None
