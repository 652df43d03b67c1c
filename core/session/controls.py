"""Controls: does what the network has learnt elsewhere help here at all?

The same probe is fitted on the same few hundred images three times: on the features of the pretrained network, on those
of the same network with random weights, and on 32 × 32 pixels. A pretrained network that does not beat the others is
of no use for these pictures, however good the scores look.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones, evaluation, features, runs
from core.backbones import Backbone
from core.errors import UnreadableImage, WorkspaceError
from core.features import Features
from core.heads import fit_probe
from core.images import iterate_decoded
from core.progress import Progress, part
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.leavable import run_hearing
from core.session.material import Material
from core.workspace import Workspace, read_json, write_json

MAX_TRAIN, MAX_VAL = 400, 400
"""Images that the controls use at most: enough to tell a useful network from a useless one, in seconds."""
PIXELS = 32
"""Side of the small pictures of the pixel control."""
RANDOM_SEED = 0
POOLING = "average"


def control(
    context: Context, job: Job, recipe: Recipe, backbone: Backbone, material: Material
) -> dict[str, Any]:
    """Measure the controls of a run; those of the same images and network are taken from an earlier run.

    Args:
        context: Progress and workspace.
        job: The job.
        recipe: The run's.
        backbone: What it began with.
        material: Its images.

    Returns:
        As ``runs.Run.controls``.

    Raises:
        Cancelled: The user asked to stop; the backbone may not be warm any more (:func:`networks.extract`).
    """
    chosen = material.only(_some(material, "train", MAX_TRAIN) | _some(material, "val", MAX_VAL))
    path = context.workspace.datasets_dir / material.dataset_id / "controls.json"
    key = _key(recipe, backbone, chosen)
    found = _known(path).get(key)
    if found is None:
        found = _measure(context, job, recipe, backbone, chosen)
        # Read once more: another session may have measured others meanwhile. The dataset may also be gone by now.
        with contextlib.suppress(WorkspaceError):
            write_json(path, _known(path) | {key: found})
    return found


def _known(path: Path) -> dict[str, dict[str, Any]]:
    """Return the controls that were measured on a dataset; none if their file is missing or damaged."""
    try:
        known = read_json(path)
    except WorkspaceError:
        return {}
    return known if isinstance(known, dict) else {}


def _some(material: Material, split: str, limit: int) -> np.ndarray:
    """Choose up to ``limit`` images of a split by chance, but always the same: bool, shape (images,)."""
    rows = np.flatnonzero(material.rows(split))
    chosen = np.zeros(len(material.table), dtype=bool)
    chosen[np.random.default_rng(RANDOM_SEED).permutation(rows)[:limit]] = True
    return chosen


def _key(recipe: Recipe, backbone: Backbone, chosen: Material) -> str:
    parts = [
        chosen.fingerprint(),
        backbone.spec.name,
        backbone.weights_sha256,
        recipe.image_size,
        recipe.resize,
        recipe.depth,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _measure(
    context: Context, job: Job, recipe: Recipe, backbone: Backbone, chosen: Material
) -> dict[str, Any]:
    num_images = len(chosen.table)
    extracted = networks.extract(
        context,
        recipe,
        job,
        backbone,
        chosen.paths,
        chosen.hashes,
        part(context.progress, 0, 2 * num_images),
        pooling=POOLING,
    )
    matrix = _matrix(extracted)
    # Of its own network and in its own time: nobody else needs what it holds.
    right = run_hearing(
        lambda tell: _compare(context.workspace, recipe, chosen, matrix, tell),
        part(context.progress, num_images, 2 * num_images),
        context.is_stop_asked,
    )
    y_true, train, val = chosen.y_true, chosen.rows("train"), chosen.rows("val")
    most_common = np.bincount(y_true[train]).argmax()
    groups = runs.groups_of(chosen.table[val])
    together = evaluation.Groups(groups, y_true[val])
    right_of = {**right, "majority": y_true[val] == most_common}
    return {
        "num_train": int(train.sum()),
        "num_val": int(val.sum()),
        **{name: float(answers.mean()) for name, answers in right_of.items()},
        **{f"{name}_interval": list(together.share(answers)[1:]) for name, answers in right_of.items()},
        **{
            f"over_{name}": evaluation.paired_difference(right[name], right["pretrained"], groups)._asdict()
            for name in ("random", "pixels")
        },
    }


def _compare(
    workspace: Workspace, recipe: Recipe, chosen: Material, matrix: np.ndarray, progress: Progress
) -> dict[str, np.ndarray]:
    """Return on which images of val the probe is right: on the pretrained network's features, and on the others."""
    random = backbones.build(
        workspace, recipe.backbone, recipe.image_size, depth=recipe.depth, random_seed=RANDOM_SEED
    )
    untrained = features.extract(
        workspace,
        random,
        chosen.paths,
        chosen.hashes,
        resize=recipe.resize,
        progress=progress,
        pooling=POOLING,
    )
    pixels = _pixels(chosen, recipe.resize)
    return {
        "pretrained": _right(chosen, matrix),
        "random": _right(chosen, _like(_matrix(untrained), matrix)),
        "pixels": _right(chosen, _like(pixels, matrix)),
    }


def _matrix(extracted: Features) -> np.ndarray:
    """Return features; zeros of an image that cannot be read any more."""
    found: np.ndarray = np.nan_to_num(extracted.matrix)
    return found


def _right(chosen: Material, matrix: np.ndarray) -> np.ndarray:
    """Fit the probe on train; return whether it is right on each image of val."""
    train, val, y_true = chosen.rows("train"), chosen.rows("val"), chosen.y_true
    head = fit_probe(matrix[train], y_true[train], len(chosen.class_names))
    answers: np.ndarray = head.logits(matrix[val]).argmax(axis=1) == y_true[val]
    return answers


def _like(matrix: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scale features to the spread of others, so that the penalty of the probe weighs the same on both."""
    # In double precision: what a random network gives can be so small that its square is 0 in single.
    spread, wanted = (
        float(np.sqrt(values.var(axis=0, dtype=np.float64).sum())) for values in (matrix, other)
    )
    scaled: np.ndarray = (matrix * (wanted / spread)).astype(np.float32) if spread > 0 else matrix
    return scaled


def _pixels(chosen: Material, resize: str) -> np.ndarray:
    """Return the pixels of small pictures, float32 in 0…1, shape (images, 3072); grey where one cannot be read."""
    small = np.full((len(chosen.table), PIXELS * PIXELS * 3), 0.5, dtype=np.float32)
    for row, image in enumerate(iterate_decoded(chosen.paths, (PIXELS, PIXELS), resize)):
        if not isinstance(image, UnreadableImage):
            small[row] = image.reshape(-1) / np.float32(255)
    return small
