"""What a session tells while it works: how long it will take, and why it is not faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import backbones, engines, queue, recipes, runs
from core.backbones import Backbone
from core.engines import Engine, conversions, litert
from core.heads import Head
from core.queue import Job
from core.recipes import Recipe
from core.runs import Run
from core.session import networks, predict_job, rank_job
from core.session.context import Context, Warm
from core.session.predict_job import Predictor
from core.workspace import Workspace
from pages.components import job as page_job
from tests.worlds import add_dataset, begin_training

SAID = "Evaluation: computed by tensorflow-float32 (LiteRT cannot run this network (no such layer))."


@pytest.fixture
def tiny(workspace: Workspace) -> Backbone:
    return backbones.build(workspace, "tiny")


@pytest.fixture
def training(served: None, workspace: Workspace, tmp_path: Path) -> Job:
    return begin_training(workspace, add_dataset(workspace, tmp_path / "birds"))


def test_a_training_taken_up_again_counts_its_speed_from_the_first_step_after_compiling(
    workspace: Workspace, training: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("core.session.context.time.monotonic", lambda: now[0])
    context = Context(workspace, "cpu", Warm(), training)
    context.stage("fine_tune")

    def told(seconds: float, done: int, compiling: bool) -> tuple[float, str]:
        now[0] += seconds
        context.progress(done, 1000, epoch=3, epochs=5, compiling=compiling)
        job = queue.get(workspace, training.id)
        return job.progress["rate"], page_job._line(job)

    compiling = "Fine-tuning · compiling the first step, which takes a moment"
    # What an earlier process did counts as done, but says nothing of the speed, as does the compiling.
    assert told(1, 400, True) == (0.0, compiling)
    assert told(1, 400, True) == (0.0, compiling)
    assert told(30, 432, False) == (0.0, "Fine-tuning · epoch 3 of 5")
    assert told(2, 496, False) == (32.0, "Fine-tuning · epoch 3 of 5 · 32 images/s · about 16 s left")


def test_why_litert_is_not_used_stands_once_in_a_runs_log_and_once_in_the_sessions(
    workspace: Workspace, training: Job, tiny: Backbone, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engines.by_tensorflow(tiny, "average", "LiteRT cannot run this network (no such layer)")
    for _ in range(2):
        networks.say_engine(Context(workspace, "cpu", Warm(), training), "Evaluation", engine)
        networks.say_engine(
            Context(workspace, "cpu", Warm(), training), "Evaluation", Engine(engine.function)
        )
    assert [event["text"] for event in runs.events(workspace, training.run_id)] == [SAID]
    assert capsys.readouterr().out == ""
    asked = replace(training, run_id="")
    for _ in range(2):
        networks.say_engine(Context(workspace, "cpu", Warm(), asked), "Evaluation", engine)
    assert capsys.readouterr().out == f"{SAID}\n"


def _head(backbone: Backbone, pooling: str = "average") -> Head:
    width = backbones.num_features(backbone, pooling)
    return Head(np.ones((width, 2), np.float32), np.zeros(2, np.float32))


def test_many_predictions_use_the_conversion_that_the_evaluation_made_and_few_what_is_traced(
    workspace: Workspace, training: Job, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "CONVERT_FROM_GMACS", 0.0)
    weights = [np.float32(1.1) * values for values in tiny.model.get_weights()]
    with backbones.lend(tiny, weights) as lent:
        engines.fastest(workspace, lent, num_images=engines.CONVERT_FROM)
    own = backbones.adopt(backbones.build(workspace, "tiny"), weights, backbones.hash_arrays(weights))
    monkeypatch.setattr(litert, "convert", None)  # not once more
    context = Context(workspace, "cpu", Warm(), training)
    recipe = recipes.validate(Recipe(backbone="tiny"))
    predictor = Predictor(Run("r", "d", "D", "done", 0.0, {}), recipe, own, _head(own))
    engine = predict_job._engine_of(context, predictor, engines.CONVERT_FROM)
    assert engine is not None and engine.precision == litert.PRECISION
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_allclose(engine(pixels), predictor.features(pixels), rtol=1e-4)
    assert predict_job._engine_of(context, predictor, engines.CONVERT_FROM - 1) is None
    assert predict_job._bytes_since(predictor) >= len(litert_model(workspace, own))


def litert_model(workspace: Workspace, backbone: Backbone) -> bytes:
    found = conversions.load(conversions.path_of(workspace, backbone, "average"))
    assert found is not None
    return found.model


@pytest.mark.parametrize("pooling", recipes.POOLINGS)
def test_a_ranking_times_what_a_prediction_runs(tiny: Backbone, pooling: str) -> None:
    heard: list[tuple[int, ...]] = []

    class Heard(Head):
        def logits(self, features: Any) -> np.ndarray:
            heard.append(features.shape)
            return super().logits(features)

    head = Heard(**_head(tiny, pooling).to_arrays())
    assert rank_job._milliseconds(tiny, head, pooling) > 0
    assert heard == [(1, backbones.num_features(tiny, pooling))] * (rank_job.WARM_UP + rank_job.NUM_TIMED)
    assert list(engines._traced[tiny]) == ["flatten"]  # what a run's model has traced too
