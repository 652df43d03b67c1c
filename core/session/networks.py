"""What the jobs that need TensorFlow share."""

from __future__ import annotations

from pathlib import Path

from core import backbones
from core.backbones import Backbone
from core.queue import Job
from core.recipes import Recipe
from core.session.executor import Context


def build_backbone(context: Context, recipe: Recipe, job: Job) -> Backbone:
    """Build the recipe's pretrained network, with the weights file that the job's sender saw."""
    weights = recipe.weights or job.args.get("weights", "")
    path = Path(weights) if weights else None
    return backbones.build(context.workspace, recipe.backbone, recipe.image_size, path, context.progress)
