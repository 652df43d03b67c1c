"""What a stage 2 that is taken up again keeps of its pictures: as much as it began with, where that can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from core.backbones import Backbone
from core.engines import Engine
from core.recipes import Recipe
from core.training import boundary_plan
from core.training.batches import Images
from core.training.boundary_plan import Kept
from core.training.events import Listen


def keep(
    backbone: Backbone,
    num_blocks: int,
    recipe: Recipe,
    images: Mapping[str, Images],
    listen: Listen,
    scratch: Path | None,
    engine_of: Callable[[Backbone, str, int], Engine],
    num_variants: int | None,
) -> Kept | None:
    """Do what :func:`core.training.boundary_plan.keep` does, of as many variants as an earlier process.

    With more or fewer an epoch would draw others, and the training would end elsewhere than without interruption:
    where the disk has no room for as many any more, the log says so.

    Args:
        num_variants: Of each training image, as the checkpoint says; None if there is none to go on from.
        For the others see there.
    """
    if num_variants is None or scratch is None:
        return boundary_plan.keep(backbone, num_blocks, recipe, images, listen, scratch, engine_of)
    if num_variants == 0:
        listen(
            "log", text="Fine-tuning: every epoch begins with the pixels, as those before the interruption."
        )
        return None
    as_before = replace(recipe, views=num_variants - 1)
    kept = boundary_plan.keep(backbone, num_blocks, as_before, images, listen, scratch, engine_of)
    if kept is None or kept.boundary.num_variants != num_variants:
        listen(
            "log",
            text=f"Fine-tuning: before the interruption an epoch drew 1 of {num_variants} kept variations of a "
            "picture. It will not end exactly as it would have without the interruption.",
        )
    return kept
