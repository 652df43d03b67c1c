"""How a run that goes on from an earlier one does on that one's test pictures: what has it forgotten, or learnt?"""

from __future__ import annotations

from typing import Any

import numpy as np

from core import datasets, evaluation, recipes, runs
from core.backbones import Backbone
from core.errors import NotFound
from core.heads import Head
from core.recipes import Recipe
from core.session.context import Context
from core.session.judged import logits_of
from core.session.learnt import near
from core.session.material import Material


def measure_forgetting(
    context: Context,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    head: Head,
    weights: list[np.ndarray] | None,
) -> dict[str, Any]:
    """Judge the new model on the test images of the run it goes on from.

    Images that the new run has learnt from or chosen by, and near-duplicates of these, are left out, since they could
    not judge it. A class that the new model does not know is always wrong.

    Args:
        context: Workspace and progress.
        recipe: The new run's.
        backbone: What it began with.
        material: The new run's images.
        head: Its classifier.
        weights: Its fine-tuned backbone, or None.

    Returns:
        As ``runs.Run.forgetting``; empty where it goes on from no run.
    """
    parent = recipes.parent_run(recipe)
    if not parent:
        return {}
    nothing = {"run_id": parent, "num_images": 0}
    try:
        earlier = runs.get(context.workspace, parent)
        said = runs.predictions(context.workspace, parent, "test")
        pictures = datasets.get(context.workspace, earlier.dataset_id).pictures
    except NotFound:
        return nothing
    table = material.table
    seen = set(table["sha256"][table["split"].isin(["train", "val"])])
    fair = ~near(said.images, seen)
    names = np.array(earlier.class_names, dtype=object)[said.y_true]
    index = {name: number for number, name in enumerate(material.class_names)}
    y_true = np.array([index.get(name, -1) for name in names[fair]], dtype=np.int64)
    paths = [pictures / path for path in said.images["path"][fair]]
    if not paths:
        return nothing
    hashes = list(said.images["sha256"][fair])
    logits = logits_of(context, recipe, backbone, weights, head, paths, hashes, context.progress)
    read = ~np.isnan(logits).any(axis=1)
    if not read.any():
        return nothing
    before = (said.y_prob.argmax(axis=1) == said.y_true)[fair][read]
    after = logits[read].argmax(axis=1) == y_true[read]
    return {
        "run_id": parent,
        "num_images": int(read.sum()),
        "before": float(before.mean()),
        "after": float(after.mean()),
        "difference": evaluation.paired_difference(
            before, after, runs.groups_of(said.images)[fair][read]
        )._asdict(),
    }
