"""What the record of a bundle's run must say for pages and jobs to work with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import recipes, runs
from core.bundles.forms import (
    AMOUNT,
    AT_LEAST_ONE,
    COUNT,
    DIFFERENCE,
    MAX_NAME_CHARS,
    NUMBER,
    SHARE,
    TIME,
    Number,
    fit,
    fit_estimate,
)
from core.evaluation.counted import BOUNDS
from core.recipes import Recipe
from core.runs import Run

_DATASET_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SPEED = Number(0.01)
"""What Graft rounds to: a forecast divides by it."""
_TEMPERATURE = Number(1e-3, 1e3)
_HEADLINE = {"accuracy": SHARE, "macro_f1": SHARE}
"""What pages show of every split, always with an interval."""
_MEASURES = {name: Number(*bounds) for name, bounds in BOUNDS.items()} | {"log_loss": AMOUNT}
_METRICS = {"num_images": AT_LEAST_ONE, "num_classes_left_out": COUNT, "log_loss": AMOUNT}
_STAGE = {"epochs": COUNT, "planned": COUNT, "stopped": str}
_AGAINST_HEAD = {
    **{"head_accuracy": SHARE, "accuracy": SHARE, "head_loss": AMOUNT, "loss": AMOUNT},
    "difference": DIFFERENCE,
}
_CONTROLS = {
    **{"num_train": AT_LEAST_ONE, "num_val": AT_LEAST_ONE},
    **{"pretrained": SHARE, "random": SHARE, "pixels": SHARE, "majority": SHARE},
    **{"over_random": DIFFERENCE, "over_pixels": DIFFERENCE},
}
_FORGOTTEN = {"before": SHARE, "after": SHARE, "difference": DIFFERENCE}


def require_record(run: Run) -> None:
    names = run.class_names
    if len(names) < 2 or len(set(names)) != len(names) or not all(map(_is_name, names)):
        raise ValueError("the classes of its record are none")
    if not _is_name(run.dataset_name) or not _DATASET_ID.fullmatch(run.dataset_id):
        raise ValueError("a name of its record is none")
    fit("created", run.created, TIME)
    fit("temperature", run.temperature, _TEMPERATURE)
    fit("num_images", run.num_images, dict.fromkeys(runs.SPLITS, COUNT))
    if set(run.num_images) != set(runs.SPLITS):
        raise ValueError("its record says what cannot be")
    fit("seconds", run.seconds, dict.fromkeys(run.seconds, AMOUNT))
    fit("images_per_s", run.images_per_s, dict.fromkeys(run.images_per_s, _SPEED))
    for name in ("split_fingerprint", "curation_fingerprint", "weights_sha256", "error"):
        fit(name, getattr(run, name), str)
    fit("fine_tuned", run.fine_tuned, bool)
    _require_metrics(run)
    _require_course(run)


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME_CHARS


def _require_metrics(run: Run) -> None:
    if not {"val", "test"} <= set(run.metrics) <= set(runs.SPLITS):
        raise ValueError("its record says what cannot be")
    for split, metrics in run.metrics.items():
        name = f"metrics of {split}"
        fit(name, metrics, _METRICS)
        for measure, bounds in _HEADLINE.items():
            fit_estimate(name, metrics, measure, bounds)
        for measure in {key.removesuffix("_interval") for key in metrics if key.endswith("_interval")}:
            if metrics.get(measure) is not None:  # one that is not defined is None
                fit_estimate(measure, metrics, measure, _MEASURES.get(measure, NUMBER))
        if "original" in metrics:
            _require_original(f"{name} by the original labels", metrics["original"])


def _require_original(name: str, scores: Any) -> None:
    """Refuse what is not as :func:`core.runs.original_scores` returns it."""
    fit(name, scores, {"num_relabelled": COUNT, "num_excluded": COUNT} if scores else {})
    if scores and (scores["num_relabelled"] or not set(_HEADLINE).isdisjoint(scores)):
        for measure, bounds in _HEADLINE.items():
            fit_estimate(name, scores, measure, bounds)


def _require_course(run: Run) -> None:
    for name in ("stage_1", "stage_2"):
        told = getattr(run, name)
        fit(name, told, _STAGE if told else {})
        optional = {"strength", "earlier_s", "best_epoch", "batch_size"} & set(told)
        fit(name, told, dict.fromkeys(optional, AMOUNT))
    if run.stage_2.get("stopped") == "patience":
        fit("stage_2", run.stage_2, {"best_epoch": COUNT})
    if "difference" in run.stage_2 or "head_accuracy" in run.stage_2:
        fit("stage_2", run.stage_2, _AGAINST_HEAD)
    fit("controls", run.controls, _CONTROLS if run.controls else {})
    for name, told in (("stage_2", run.stage_2), ("controls", run.controls)):
        for measure in {key.removesuffix("_interval") for key in told if key.endswith("_interval")}:
            fit_estimate(name, told, measure, SHARE)
    fit("forgetting", run.forgetting, {"run_id": str, "num_images": COUNT} if run.forgetting else {})
    if run.forgetting.get("num_images"):
        fit("forgetting", run.forgetting, _FORGOTTEN)
    if run.forgetting and not runs.is_id(run.forgetting["run_id"]):
        raise ValueError("forgetting names a run that is none")


def require_recipe(recipe: Recipe, run: Run, *, has_weights: bool) -> None:
    weights, teacher = recipe.weights, recipe.teacher
    is_named = weights in ("", recipes.RANDOM_WEIGHTS) or bool(recipes.parent_run(recipe))
    if not is_named and weights != Path(weights).name:
        raise ValueError("its recipe names a file of a folder, which no bundle does")
    named = [name.removeprefix(recipes.RUN_PREFIX) for name in (weights, teacher) if ":" in name]
    if not all(map(runs.is_id, named)):
        raise ValueError("its recipe names a run that is none")
    recipes.validate(recipe if is_named else replace(recipe, weights=""))
    if (run.fine_tuned or weights) and not has_weights:
        raise ValueError("backbone.npz is missing")
