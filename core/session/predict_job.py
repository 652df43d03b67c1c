"""The prediction job: what a run's model sees in some files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core import catalog, engines, evaluation, familiarity, images, recipes, runs
from core.backbones import Backbone
from core.engines import Engine
from core.errors import JobError, UnreadableImage
from core.familiarity import Familiarity
from core.heads import Head
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.familiar import familiarity_of
from core.session.leavable import run_leavable


@dataclass(frozen=True)
class Predictor:
    """A run's model, ready to answer.

    Args:
        run: Whose model it is.
        recipe: Its recipe.
        backbone: Its network.
        head: Its head.
        familiarity: None where its pictures are not here and it was not measured while they were.
        min_confidence: Probability of the first answer, 0…1, below which it is not sure.
    """

    run: runs.Run
    recipe: Recipe
    backbone: Backbone
    head: Head
    familiarity: Familiarity | None = None
    min_confidence: float = 0.0

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities of shape (images, classes) for uint8 pixels."""
        return self.probabilities(self.features(pixels))

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the head stands on, shape (images, features), for uint8 pixels."""
        return self.pool(self.feature_maps(pixels))

    def feature_maps(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the network gives last, shape (images, height, width, channels), for uint8 pixels.

        Answers and class maps rest on the same: it is traced once for both.
        """
        return feature_maps(self.backbone, pixels)

    def pool(self, feature_maps: np.ndarray) -> np.ndarray:
        """Return what the head stands on, shape (images, features), for what :meth:`feature_maps` gives."""
        return pooled(feature_maps, self.recipe.pooling)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities of shape (images, classes) for features."""
        return evaluation.softmax(self.head.logits(features), self.run.temperature)


def feature_maps(backbone: Backbone, pixels: np.ndarray) -> np.ndarray:
    """Return what a network gives last, shape (images, height, width, channels), for uint8 pixels."""
    flat = engines.forward(backbone, "flatten")(pixels)
    return flat.reshape(len(flat), *backbone.model.output.shape[1:])


def pooled(feature_maps: np.ndarray, pooling: str) -> np.ndarray:
    """Return what a head stands on, shape (images, features), for what :func:`feature_maps` gives."""
    if pooling == "flatten":
        return feature_maps.reshape(len(feature_maps), -1)
    reduce = np.mean if pooling == "average" else np.max
    features: np.ndarray = reduce(feature_maps, axis=(1, 2))
    return features


def do_predict(context: Context, job: Job) -> dict[str, Any]:
    """Say what a run's model sees in some files; a bad file gets an error of its own."""
    run = runs.get(context.workspace, job.args["run_id"])
    if run.state != "done":
        raise JobError(
            f"The run {run.id} is {run.state}, so it has no model to predict with. Choose a finished run."
        )
    predictor = warm_predictor(context, run, job)
    paths = [Path(path) for path in job.args["paths"]]
    recipe, backbone = predictor.recipe, predictor.backbone
    context.stage("predict")
    engine = run_leavable(lambda: _engine_of(context, predictor, len(paths)), context.is_stop_asked)
    decoded = images.iterate_decoded(paths, backbone.image_size, recipe.resize, ahead=engines.BATCH_SIZE)
    answers: list[dict[str, Any]] = []
    for begin in range(0, len(paths), engines.BATCH_SIZE):
        batch = paths[begin : begin + engines.BATCH_SIZE]
        answers += _predict_batch(predictor, engine, batch, list(itertools.islice(decoded, len(batch))))
        context.progress(len(answers), len(paths))
    return {"predictions": answers}


def _engine_of(context: Context, predictor: Predictor, num_images: int) -> Engine | None:
    """Return what is faster for so many pictures than the function that was traced at load; None if nothing is.

    The one that evaluation and familiarity have converted the network for.
    """
    backbone, pooling = predictor.backbone, predictor.recipe.pooling
    if engines.has_gpu() or not engines.pays(backbone, num_images):
        return None
    engine = engines.fastest(context.workspace, backbone, pooling, num_images)
    networks.say_engine(context, f"Predictions, run {predictor.run.id}", engine)
    return None if engine.reason else engine


def title(run: runs.Run) -> str:
    """Return what people know a run's model as."""
    return f"{catalog.get(recipes.from_json(run.recipe).backbone).title}, trained"


def warm_predictor(context: Context, run: runs.Run, job: Job) -> Predictor:
    """Return the model of a finished run, and how familiar pictures are to it, from those kept warm if it is there."""
    # A run that came without its pictures may have found them since.
    key = f"run {run.id} on {run.dataset_id}"
    num_bytes = networks.num_bytes(recipes.from_json(run.recipe))
    return context.warm.get(
        key, lambda: _ready_predictor(context, run, job), num_bytes, title(run), _bytes_since
    )


def _bytes_since(predictor: Predictor) -> int:
    """Return about how much memory a model takes beside its network: LiteRT's, and what it takes for familiar."""
    known = predictor.familiarity
    return engines.num_bytes(predictor.backbone) + (known.reference.nbytes if known else 0)


def _ready_predictor(context: Context, run: runs.Run, job: Job) -> Predictor:
    context.stage("prepare")
    predictor = run_leavable(lambda: _traced_predictor(context, run, job), context.is_stop_asked)
    known = familiarity_of(context, run, predictor.recipe, predictor.backbone)
    # That needs the answers to validation only, which go with a run wherever it goes.
    sure_from = familiarity.min_confidence(runs.predictions(context.workspace, run.id, "val").y_prob)
    return replace(predictor, familiarity=known, min_confidence=known.min_confidence if known else sure_from)


def _traced_predictor(context: Context, run: runs.Run, job: Job) -> Predictor:
    """Build the model of a finished run and trace it, so that its first answer is as fast as any other."""
    predictor = load_predictor(context, run, job)
    predictor.feature_maps(np.zeros((1, *predictor.backbone.image_size, 3), np.uint8))
    return predictor


def load_predictor(context: Context, run: runs.Run, job: Job) -> Predictor:
    """Build the model of a finished run.

    Raises:
        JobError: Its weights are not those that it was trained with.
    """
    recipe = recipes.from_json(run.recipe)
    weights = networks.own_weights(context, run)
    if weights is not None:
        backbone = networks.with_arrays(context, recipe, weights, run.id)
    else:
        backbone = networks.build_backbone(context, recipe, job)
        if backbone.weights_sha256 != run.weights_sha256:
            raise JobError(
                f"The run {run.id} was trained with other pretrained weights of "
                f"{catalog.get(recipe.backbone).title} than this machine has now. Put the old weights file back, or "
                "train again."
            )
    head = Head.from_arrays(runs.load_arrays(context.workspace, run.id, "head"))
    return Predictor(run, recipe, backbone, head)


def _predict_batch(
    predictor: Predictor,
    engine: Engine | None,
    paths: list[Path],
    decoded: list[np.ndarray | UnreadableImage],
) -> list[dict[str, Any]]:
    readable = [image for image in decoded if not isinstance(image, UnreadableImage)]
    rows: Iterator[dict[str, Any]] = iter(())
    if readable:
        rows = iter(_answers(predictor, (engine or predictor.features)(np.stack(readable))))
    return [
        {"path": str(path)} | ({"error": str(image)} if isinstance(image, UnreadableImage) else next(rows))
        for path, image in zip(paths, decoded, strict=True)
    ]


def _answers(predictor: Predictor, features: np.ndarray) -> list[dict[str, Any]]:
    """Return what the run says of some pictures, and whether it had better say nothing."""
    y_prob, known = predictor.probabilities(features), predictor.familiarity
    answers = []
    for row, probabilities in enumerate(y_prob):
        ranked = evaluation.top_classes(probabilities, predictor.run.class_names)
        top = [{"class": name, "probability": probability} for name, probability in ranked]
        answer = {"predicted": top[0]["class"], "probability": top[0]["probability"], "top": top}
        answer["probabilities"] = [round(float(value), 6) for value in probabilities]
        answer["unsure"] = float(probabilities.max()) < predictor.min_confidence
        if known is not None:
            distance = float(known.distances(features[row : row + 1])[0])
            answer |= {"distance": round(distance, 6), "unlike": distance > known.max_distance}
        answers.append(answer)
    return answers
