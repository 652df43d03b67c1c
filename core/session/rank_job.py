"""The ranking job: the same head on the features of several backbones, judged on the same pictures and folds."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from core import catalog, evaluation, ranking, recipes, runs, splits
from core.backbones import Backbone
from core.errors import JobError, RecipeError, WeightsError
from core.heads import Head, fit_probe
from core.progress import part
from core.queue import Job
from core.ranking import Ranked, Ranking
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.material import Material, gather
from core.session.predict_job import feature_maps, pooled

NUM_FOLDS = 5
MAX_IMAGES = 2_000
"""Pictures that judge at most: with so many an interval is 2 points wide to either side at worst, and each backbone
takes a minute or so on two cores."""
WARM_UP, NUM_TIMED = 3, 15
"""Single pictures sent through a network before and while it is timed."""
SEED = 0


def do_rank(context: Context, job: Job) -> dict[str, Any]:
    """Judge the backbones that the job names, and keep what was found after each.

    One that cannot be had is noted with the reason and stops none of the others.
    """
    recipe = recipes.preset("linear-probe")
    fractions = tuple(job.args["fractions"])
    keep_given = job.args.get("keep_given", True)  # jobs of an older Graft do not say
    split = Recipe(fractions=fractions, seed=job.args["seed"], keep_given=keep_given)
    material = gather(context, job, split)
    judged_on = ranking.fingerprint(material.table, material.table["split"])
    material, num_available = _judging(material)
    fold = splits.folds(material.table, NUM_FOLDS, SEED).to_numpy()
    names = list(job.args["backbones"])
    judged: dict[str, tuple[Ranked, np.ndarray]] = {}
    failed: list[Ranked] = []
    total = len(names) * len(material.table)
    context.stage("rank")
    for number, name in enumerate(names):
        try:
            mine = recipes.validate(
                Recipe(backbone=name, head_strength=recipe.head_strength, augment=recipe.augment)
            )
            judged[name] = _judge(context, job, mine, material, fold, number * len(material.table), total)
        except (WeightsError, RecipeError, JobError) as error:
            failed.append(Ranked(name, error=str(error)))
        found = Ranking(
            [*_compared(judged, runs.groups_of(material.table), material.y_true), *failed],
            num_images=len(material.table),
            num_available=num_available,
            num_folds=NUM_FOLDS,
            missing=tuple(names[number + 1 :]),
            fingerprint=judged_on,
        )
        ranking.save(context.workspace, material.dataset_id, found)
    if not judged:
        raise JobError(f"None of the backbones could be judged. {failed[0].error}")
    return {"num_judged": len(judged)}


def _judging(material: Material) -> tuple[Material, int]:
    """Return the pictures of train and val that judge, and how many there would be."""
    rows = np.flatnonzero(~material.rows("test"))
    chosen = np.zeros(len(material.table), dtype=bool)
    chosen[np.random.default_rng(SEED).permutation(rows)[:MAX_IMAGES]] = True
    return material.only(chosen), len(rows)


def _judge(
    context: Context, job: Job, recipe: Recipe, material: Material, fold: np.ndarray, before: int, total: int
) -> tuple[Ranked, np.ndarray]:
    """Return what a backbone costs, and on which pictures the head is right: bool, shape (images,)."""
    backbone = networks.warm_backbone(context, recipe, job)
    progress = part(context.progress, before, total)
    extracted = networks.extract(context, recipe, job, backbone, material.paths, material.hashes, progress)
    right = np.zeros(len(material.table), dtype=bool)
    read = ~np.isnan(extracted.matrix).any(axis=1)  # one that vanished is a picture that nobody is right on
    y_true = material.y_true
    for number in range(NUM_FOLDS):
        context.check()
        train, judged = (fold != number) & read, (fold == number) & read
        head = fit_probe(
            extracted.matrix[train], y_true[train], len(material.class_names), recipe.head_strength
        )
        right[judged] = head.logits(extracted.matrix[judged]).argmax(axis=1) == y_true[judged]
    entry = Ranked(
        recipe.backbone,
        ms_per_image=_milliseconds(backbone, head, recipe.pooling),
        size_mb=4 * catalog.get(recipe.backbone).num_parameters / 1e6,
    )
    return entry, right


def _milliseconds(backbone: Backbone, head: Head, pooling: str) -> float:
    """Return the median time for one picture alone, from its pixels to its logits, as a run's model predicts it."""
    picture = np.random.default_rng(SEED).integers(0, 255, (1, *backbone.image_size, 3), dtype=np.uint8)
    seconds = []
    for _ in range(WARM_UP + NUM_TIMED):
        began = time.perf_counter()
        head.logits(pooled(feature_maps(backbone, picture), pooling))
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[WARM_UP:])


def _compared(
    judged: dict[str, tuple[Ranked, np.ndarray]], labels: np.ndarray, y_true: np.ndarray
) -> list[Ranked]:
    """Return the judged backbones with their accuracies, the most accurate first, and how far each is behind that one.

    Args:
        judged: Each with whether it is right on each picture, bool, shape (images,).
        labels: The same for pictures that hang together, shape (images,).
        y_true: True class indices, shape (images,).
    """
    if not judged:
        return []
    groups, scored = evaluation.Groups(labels, y_true), []
    for entry, right in judged.values():
        accuracy = groups.share(right)
        found = replace(entry, accuracy=accuracy.value, low=accuracy.low, high=accuracy.high)
        scored.append((found, right))
    scored.sort(key=lambda item: (-item[0].accuracy, item[0].ms_per_image))
    first, first_right = scored[0]
    compared = [first]
    for entry, right in scored[1:]:
        behind = evaluation.paired_difference(right, first_right, labels)
        compared.append(replace(entry, behind=(behind.value, behind.low, behind.high)))
    return compared
