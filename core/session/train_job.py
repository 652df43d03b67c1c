"""The training job: where dataset, features, both stages and the run's record come together."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core import backbones, evaluation, recipes, runs
from core.backbones import Backbone
from core.errors import Cancelled
from core.forecast import MIN_MEASURED
from core.progress import Progress
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.controls import control
from core.session.forgetting import measure_forgetting
from core.session.material import Material, gather
from core.session.stage_1 import extract, train_head
from core.session.stage_2 import fine_tune, with_predictions
from core.session.stages import Model
from core.session.teacher import taught
from core.words import listed, sentence


@dataclass
class Clock:
    """Wall seconds per stage of a training."""

    seconds: dict[str, float]

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)


def do_train(context: Context, job: Job) -> dict[str, Any]:
    """Train a run from its dataset to its predictions; one that was interrupted goes on where it was."""
    workspace, clock = context.workspace, Clock({})
    run = replace(runs.get(workspace, job.run_id), state="running", error="", notes=())
    runs.save(workspace, run)
    recipe = recipes.validate(recipes.from_json(run.recipe))
    deadline = time.monotonic() + 60 * recipe.max_minutes if recipe.max_minutes else None

    with clock.measure("audit"):
        material = gather(context, job, recipe)
    if unused := recipes.without_effect(recipe):
        material.notes.append(
            sentence("note.without_effect", names=listed([recipes.title(name) for name in unused]))
        )
    with clock.measure("prepare"):
        context.stage("prepare")
        backbone = networks.warm_backbone(context, recipe, job)
    model, start, head_alone, extracted, num_computed = None, None, None, None, 0
    if recipe.head_epochs:
        with clock.measure("features"):
            material, extracted = extract(context, job, recipe, backbone, material)
            num_computed = extracted.num_computed
    if recipe.teacher:
        with clock.measure("teacher"):
            material = taught(context, job, recipe, material)
    if extracted is not None:
        with clock.measure("head"):
            model, start, told = train_head(context, run, recipe, backbone, material, extracted, deadline)
        clock.seconds["head"] += told["earlier_s"]
        deadline = deadline and deadline - told["earlier_s"]
        head_alone, run = model, replace(run, stage_1=told)
    epoch_seconds: list[float] = []
    if recipe.fine_tune_epochs and not run.stopped:
        with clock.measure("fine_tune"):
            model, told = fine_tune(
                context, job, run, recipe, backbone, material, model, start, deadline, epoch_seconds
            )
        clock.seconds["fine_tune"] += told.get("earlier_s", 0.0)
        run = replace(run, stage_2=told)
    assert model is not None  # a recipe without any stage is refused, and stage 2 alone is always kept

    with clock.measure("controls"):
        run = replace(run, controls=_controls(context, job, run, recipe, backbone, material))
    with clock.measure("evaluate"):
        context.finish_anyway()
        context.stage("evaluate")
        if model.weights is not None or recipe.weights:  # else nothing goes through the network any more
            # Another one, where stage 2 or the controls were left behind.
            backbone = networks.warm_backbone(context, recipe, job)
        model = with_predictions(context, recipe, backbone, material, model, ("val", "test"))
        forgotten = measure_forgetting(context, recipe, backbone, material, model.head, model.weights)
        run = replace(run, forgetting=forgotten)
        model = _with_train(context, job, recipe, backbone, material, model)
        backbones.take_back(backbone)
        if "train" not in model.logits:
            material.notes.append(sentence("note.train_not_judged"))
        material, model, head_alone = _without_unread(material, model, head_alone)
        run = _evaluated(context, run, recipe, material, model)
        _save_artefacts(context, run, recipe, backbone, material, model)
        _save_head_alone(context, run, material, model, head_alone)
    run = replace(
        run,
        state="done",
        seconds=clock.seconds if "fine_tune" in clock.seconds else {**clock.seconds, "fine_tune": 0.0},
        images_per_s=_speeds(clock, num_computed, epoch_seconds, int(material.rows("train").sum())),
        fine_tuned=model.weights is not None,
        weights_sha256=backbone.weights_sha256,
        notes=tuple(material.notes),
    )
    runs.save(workspace, run)
    runs.remove_checkpoints(workspace, run.id)
    return {"run_id": run.id}


def _with_train(
    context: Context, job: Job, recipe: Recipe, backbone: Backbone, material: Material, model: Model
) -> Model:
    """Return the model with what it says of the images it has learnt from, unless the user has asked to stop.

    Most images are among them, and nobody who wants to stop wants to wait for them. The backbone must not be used
    afterwards.
    """

    def hear(done: int, total: int) -> None:
        context.progress(done, total)
        if context.is_hurried():
            raise Cancelled

    def predict(progress: Progress) -> Model:
        return with_predictions(context, recipe, backbone, material, model, progress=progress)

    if "train" in model.logits or context.is_hurried():
        return model
    try:
        return networks.leaving(context, recipe, job, predict, hear, context.is_hurried)
    except Cancelled:
        return model


def _controls(
    context: Context, job: Job, run: runs.Run, recipe: Recipe, backbone: Backbone, material: Material
) -> dict[str, Any]:
    """Measure the controls, unless there is nothing to control or the user has asked to stop."""
    if recipe.weights == recipes.RANDOM_WEIGHTS:
        return {}
    try:
        context.stage("controls")
        if run.stopped:  # the user's wish, or the time
            raise Cancelled
        return control(context, job, recipe, backbone, material)
    except Cancelled:
        material.notes.append(sentence("note.controls_skipped"))
        return {}


def _without_unread(
    material: Material, model: Model, head_alone: Model | None
) -> tuple[Material, Model, Model | None]:
    """Leave out the images that vanished during stage 2."""
    read = np.ones(len(material.table), dtype=bool)
    for split, values in model.logits.items():
        read[material.rows(split)] = ~np.isnan(values).any(axis=1)
    if read.all():
        return material, model, head_alone
    material.notes.append(sentence("note.lost_later", n=int((~read).sum())))
    kept = {split: read[material.rows(split)] for split in runs.SPLITS}

    def without(model: Model) -> Model:
        return replace(model, logits={split: values[kept[split]] for split, values in model.logits.items()})

    return material.only(read), without(model), head_alone and without(head_alone)


def _evaluated(context: Context, run: runs.Run, recipe: Recipe, material: Material, model: Model) -> runs.Run:
    """Return the run with its temperature, fitted on val, and its scores; keep how it was judged."""
    temperature = _temperature(material, model)
    metrics = {}
    for split, logits in model.logits.items():
        images = material.table[material.rows(split)]
        truth = material.y_true[material.rows(split)]
        judgement = evaluation.judge(truth, logits, temperature, material.class_names, runs.groups_of(images))
        runs.save_judgement(context.workspace, run.id, split, judgement)
        left_out = ("per_class", "confusion_matrix", "class_names")
        scores = judgement.scores.to_json()
        metrics[split] = {name: value for name, value in scores.items() if name not in left_out}
        if original := material.original_scores(split, logits):
            metrics[split]["original"] = original
    return replace(
        run,
        recipe=recipe.to_json(),
        class_names=tuple(material.class_names),
        num_images={split: int(material.rows(split).sum()) for split in runs.SPLITS},
        metrics=metrics,
        split_fingerprint=material.fingerprint(),
        curation_fingerprint=material.curation_fingerprint,
        temperature=temperature,
    )


def _save_artefacts(
    context: Context, run: runs.Run, recipe: Recipe, backbone: Backbone, material: Material, model: Model
) -> None:
    workspace = context.workspace
    runs.save_split(workspace, run.id, material.table)
    runs.save_arrays(workspace, run.id, "head", **model.head.to_arrays())
    weights = model.weights
    if weights is None and recipe.weights:
        weights = backbone.model.get_weights()  # a run must not need a file or another run, which may go
    if weights is not None:
        named = {f"weight_{index:05d}": values for index, values in enumerate(weights)}
        runs.save_arrays(workspace, run.id, "backbone", **named)
    for split, logits in model.logits.items():
        runs.save_arrays(workspace, run.id, f"predictions-{split}", logits=logits)


def _save_head_alone(
    context: Context, run: runs.Run, material: Material, model: Model, head_alone: Model | None
) -> None:
    if head_alone is not None and model.weights is not None:
        temperature = _temperature(material, head_alone)
        runs.save_head_alone(context.workspace, run.id, head_alone.logits, temperature)


def _temperature(material: Material, model: Model) -> float:
    return evaluation.fit_temperature(model.logits["val"], material.y_true[material.rows("val")])


def _speeds(clock: Clock, num_computed: int, epoch_seconds: list[float], num_train: int) -> dict[str, float]:
    """Return images per second of the stages in which images went through the network, the first step left out."""
    speeds = {}
    if num_computed >= MIN_MEASURED:
        speeds["features"] = round(num_computed / clock.seconds["features"], 2)
    if len(epoch_seconds) > 1:  # the first epoch holds the compiling
        speeds["fine_tune"] = round(num_train / statistics.median(epoch_seconds[1:]), 2)
    return speeds
