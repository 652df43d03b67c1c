"""The explanation job: where a run's model looked in a picture, and which training pictures that resembles."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core import explain, images, runs
from core.backbones import num_features
from core.errors import JobError
from core.explain import Neighbours
from core.queue import Job
from core.session.context import Context
from core.session.predict_job import Predictor, title, warm_predictor

NUM_NEIGHBOURS = 4
"""Training pictures of each class: a row beside the photo."""
DIGITS = 4


def do_explain(context: Context, job: Job) -> dict[str, Any]:
    """Say where a run's model looked for some classes, and which training pictures of them resemble the picture.

    Returns:
        ``maps`` (per class: rows of numbers), ``is_exact``, ``probabilities`` (per class), ``classes``, ``neighbours``
        (per class: a list of :class:`core.explain.Neighbour`) and ``compares``: ``"features"`` (of this network),
        ``"before"`` (of the network before fine-tuning) or ``""`` where no features are kept.

    Raises:
        JobError: The run has no model, or does not know a class.
        UnreadableImage: The picture cannot be read.
    """
    run = runs.get(context.workspace, job.args["run_id"])
    if run.state != "done":
        raise JobError(f"The run {run.id} is {run.state}, so it has no model to ask. Choose a finished run.")
    labels = [_label(run, name) for name in job.args["classes"]]
    predictor = warm_predictor(context, run, job)
    recipe, backbone = predictor.recipe, predictor.backbone
    data = images.read_bytes(Path(job.args["path"]))
    pixels = images.decode(data, backbone.image_size, recipe.resize)
    context.stage("explain")
    feature_maps = predictor.feature_maps(pixels[None])
    found = explain.class_maps(feature_maps[0], predictor.head, recipe.pooling, labels)
    pooled = predictor.pool(feature_maps)
    y_prob = predictor.probabilities(pooled)[0]
    return {
        "classes": [run.class_names[label] for label in labels],
        "maps": [np.round(rows.astype(float), DIGITS).tolist() for rows in found.maps],
        "is_exact": found.is_exact,
        "probabilities": [float(y_prob[label]) for label in labels],
        **_resembles(
            predictor,
            _warm_neighbours(context, predictor),
            pooled[0],
            hashlib.sha256(data).hexdigest(),
            labels,
        ),
    }


def _label(run: runs.Run, name: str) -> int:
    if name not in run.class_names:
        raise JobError(
            f'The run {run.id} does not know the class "{name}". Choose one that it was trained on.'
        )
    return run.class_names.index(name)


class _Compared(NamedTuple):
    """Training pictures that a picture is compared with, and by which features: see :func:`do_explain`."""

    neighbours: Neighbours
    by: str


def _warm_neighbours(context: Context, predictor: Predictor) -> _Compared:
    run = predictor.run
    num_bytes = 4 * sum(run.num_images.values()) * num_features(predictor.backbone, predictor.recipe.pooling)
    key = f"neighbours {run.id} on {run.dataset_id}"
    return context.warm.get(key, lambda: _neighbours(context, predictor), num_bytes, title(run))


def _neighbours(context: Context, predictor: Predictor) -> _Compared:
    """Gather what is kept of the run's pictures: of the network as it is, or as it was before, where that is more."""
    run, recipe = predictor.run, predictor.recipe
    ways = {"features": predictor.backbone}
    if run.fine_tuned:
        ways["before"] = replace(predictor.backbone, weights_sha256=run.weights_sha256)
    table = runs.load_split(context.workspace, run.id)
    matrices = {
        by: explain.known_features(
            context.workspace, backbone, list(table["sha256"]), recipe.resize, recipe.pooling
        )
        for by, backbone in ways.items()
    }
    learnt = (table["split"] == "train").to_numpy()
    num_known = {by: int((~np.isnan(matrix[learnt]).any(axis=1)).sum()) for by, matrix in matrices.items()}
    best = max(num_known, key=lambda by: num_known[by])
    return _Compared(Neighbours(table, matrices[best]), best)


def _resembles(
    predictor: Predictor, compared: _Compared, pooled: np.ndarray, sha256: str, labels: list[int]
) -> dict[str, Any]:
    neighbours, names = compared.neighbours, predictor.run.class_names
    query = pooled if compared.by == "features" else neighbours.features_of(sha256)
    if query is None:
        return {"compares": "", "neighbours": [[] for _ in labels]}
    found = [neighbours.nearest(query, names[label], NUM_NEIGHBOURS, sha256) for label in labels]
    return {
        "compares": compared.by if any(found) else "",
        "neighbours": [[asdict(neighbour) for neighbour in of_class] for of_class in found],
    }
