"""What the jobs that need TensorFlow share."""

from __future__ import annotations

from pathlib import Path

from core import backbones
from core.backbones import Backbone
from core.queue import Job
from core.recipes import Recipe
from core.session.executor import Context


def build_backbone(context: Context, recipe: Recipe, job: Job) -> Backbone:
    """Build the recipe's pretrained network; its weights are looked for where the job's sender keeps them."""
    return backbones.build(
        context.workspace,
        recipe.backbone,
        recipe.image_size,
        weights=Path(recipe.weights) if recipe.weights else None,
        keras_home=Path(job.args["keras_home"]),
        progress=context.progress,
    )
