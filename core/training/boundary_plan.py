"""Stage 2 prepares to keep what enters the first block that learns, if that can be done and pays."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
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
    as_before: int | None = None,
) -> Kept | None:
    """Prepare to keep what enters the first block that learns, if that can be done and pays; say which it is.

    Args:
        backbone: A pristine backbone.
        num_blocks: How many of its last blocks learn.
        recipe: What stage 2 is to do.
        images: Those of ``"train"`` and ``"val"``.
        listen: Hears which it is, and why.
        scratch: Folder that has the room; None if nothing is to be kept.
        engine_of: Returns what computes the features of a network by a pooling, for so many images.
        as_before: Of how many variants of each image a training that is taken up again has kept it so far, 0 for none:
            with more or fewer an epoch would draw others, and it would end elsewhere than without interruption. None
            for a training that begins.
    """
    if scratch is None:
        return None
    if as_before == 0:
        listen(
            "log", text="Fine-tuning: every epoch begins with the pixels, as those before the interruption."
        )
        return None
    if as_before is not None:
        recipe = replace(recipe, views=as_before - 1)
    kept = _keep(backbone, num_blocks, recipe, images, listen, scratch, engine_of)
    if as_before is not None and (kept is None or kept.boundary.num_variants != as_before):
        listen(
            "log",
            text=f"Fine-tuning: before the interruption an epoch drew 1 of {as_before} kept variations of a picture. "
            "It will not end exactly as it would have without the interruption.",
        )
    return kept


def _keep(
    backbone: Backbone,
    num_blocks: int,
    recipe: Recipe,
    images: Mapping[str, Images],
    listen: Listen,
    scratch: Path,
    engine_of: Callable[[Backbone, str, int], Engine],
) -> Kept | None:
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
