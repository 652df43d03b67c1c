"""A real session on a tiny network: from a folder to a run, warm, killed, and asked from the command line."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import (
    audit,
    augmentation,
    catalog,
    conclusions,
    curation,
    datasets,
    engines,
    explain,
    feature_store,
    queue,
    ranking,
    recipes,
    runs,
)
from core.__main__ import main
from core.backbones import Backbone
from core.datasets import Dataset
from core.errors import JobError, NotFound, WorkspaceError
from core.evaluation import evaluate
from core.heads import Head
from core.queue import Job
from core.recipes import Recipe
from core.session import executor, explain_job, predict_job
from core.session.context import Context, Warm
from core.workspace import BUSY_TIMEOUT_S, Workspace
from tests.worlds import add_dataset, finished_run

RECIPE = Recipe(
    backbone="tiny", head_epochs=10, fine_tune_epochs=1, fine_tune_blocks=0.5, batch_size=8, head_search=False
)


def eventually(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One workspace whose session all tests of this module share, so that TensorFlow starts once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_DEVICE", "cpu")
        workspace = Workspace(tmp_path_factory.mktemp("shared") / "graft")
        patch.setenv("GRAFT_HOME", str(workspace.home))
        yield workspace
        status = queue.session_status(workspace)
        if status.pid:
            os.kill(status.pid, signal.SIGKILL)
            eventually(lambda: not queue.is_alive(workspace, "cpu"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and bright noise in two class folders, and one file that is no picture."""
    root = tmp_path_factory.mktemp("photos") / "sky"
    rng = np.random.default_rng(0)
    for name, (low, high) in {"night": (0, 100), "day ☀": (155, 255)}.items():
        (root / name).mkdir(parents=True)
        for number in range(14):
            pixels = rng.integers(low, high, (36, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    (root / "night" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    return root


@pytest.fixture(scope="module")
def dataset(home: Workspace, photos: Path) -> Dataset:
    return datasets.add_folder(home, photos)


def train(workspace: Workspace, dataset: Dataset, recipe: Recipe = RECIPE) -> Job:
    return queue.wait(workspace, queue.submit_training(workspace, dataset.id, dataset.name, recipe).id)


def fine_tuned_epochs(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    events = runs.events(workspace, run_id)
    return [event for event in events if event["kind"] == "epoch" and event["stage"] == "fine_tune"]


@pytest.fixture(scope="module")
def run(home: Workspace, dataset: Dataset) -> runs.Run:
    return runs.get(home, train(home, dataset).run_id)


def test_a_folder_becomes_a_run_and_one_bad_file_stops_nothing(home: Workspace, run: runs.Run) -> None:
    assert run.state == "done"
    assert run.class_names == ("day ☀", "night")
    assert sum(run.num_images.values()) == 28
    assert list(run.seconds) == ["audit", "prepare", "features", "head", "fine_tune", "controls", "evaluate"]
    assert run.metrics["test"]["accuracy"] == 1.0
    assert len(run.split_fingerprint) == 64
    stages = [event["name"] for event in runs.events(home, run.id) if event["kind"] == "stage"]
    assert stages[:6] == ["startup", "audit", "prepare", "features", "head", "fine_tune"]
    assert stages[-2:] == ["controls", "evaluate"]
    chosen = runs.head_chosen(home, run.id)
    assert chosen is not None and chosen["strength"] == run.stage_1["strength"]
    assert chosen["val_loss"] == pytest.approx(run.stage_2["head_loss"])
    assert chosen["val_accuracy"] == run.stage_2["head_accuracy"]
    notes = [str(note) for note in run.notes]
    assert [note for note in notes if note.startswith("Fine-tuning was")]
    assert "Left out because they cannot be used: 1 file. The audit says why." in notes
    assert run.stage_2["epochs"] == run.stage_2["planned"] == 1


def test_what_bears_on_the_scores_stands_in_the_runs_notes(home: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def write(path: str) -> None:
        (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (36, 36, 3), dtype=np.uint8)).save(tmp_path / "set" / path)

    for name in ("owl", "wren"):
        for number in range(8):
            write(f"train/{name}/{number}.png")
            write(f"test/{name}/{number}.png")
    write("train/kite/0.png")
    (tmp_path / "set" / "train" / "crow").mkdir()
    shutil.copy(tmp_path / "set" / "test" / "owl" / "0.png", tmp_path / "set" / "train" / "owl" / "copy.png")
    dataset = datasets.add_folder(home, tmp_path / "set")
    decided = curation.decide_on(audit.audit(home, dataset), ["train/owl/7.png"], "exclude")
    curation.decide(home, dataset.id, decided)
    run = runs.get(home, train(home, dataset, replace(RECIPE, fine_tune_epochs=0)).run_id)
    told = " ".join(map(str, run.notes))
    assert 'Only learnt from, because none of their pictures is in validation or test: "kite".' in told
    assert 'Left out, because they have no usable picture: "crow".' in told
    assert "Left out because the same bytes stand in a split that judges: 1 file." in told
    assert run.metrics["test"]["num_classes_left_out"] == 1
    assert run.seconds["fine_tune"] == 0.0
    used = runs.load_split(home, run.id)
    assert used["sha256"].is_unique
    assert "train/owl/7.png" not in set(used["path"])
    assert run.curation_fingerprint == curation.fingerprint(decided)


def test_the_record_holds_what_its_predictions_say(home: Workspace, run: runs.Run) -> None:
    for split in runs.SPLITS:
        said = runs.predictions(home, run.id, split)
        groups = runs.groups_of(said.images)
        scores = evaluate(said.y_true, said.y_prob, run.class_names, groups=groups).to_json()
        assert len(said.y_true) == run.num_images[split]
        assert {name: scores[name] for name in run.metrics[split]} == dict(run.metrics[split])


def test_a_second_training_is_warm_and_computes_no_feature_twice(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    before = queue.session_status(home)
    again = runs.get(home, train(home, dataset).run_id)
    assert queue.session_status(home).pid == before.pid
    log = [event["text"] for event in runs.events(home, again.id) if event["kind"] == "log"]
    assert "Features: 0 computed, 28 taken from the cache." in log
    assert again.metrics == run.metrics
    assert "features" not in again.images_per_s


def test_another_seed_splits_otherwise_and_still_computes_nothing_twice(
    home: Workspace, dataset: Dataset
) -> None:
    other = runs.get(home, train(home, dataset, replace(RECIPE, seed=5, fine_tune_epochs=0)).run_id)
    assert other.fine_tuned is False
    assert other.seconds["fine_tune"] == 0.0
    assert "features" not in other.images_per_s


@pytest.mark.parametrize("fine_tuned", [True, False])
def test_a_prediction_says_what_the_evaluation_said(
    home: Workspace, dataset: Dataset, fine_tuned: bool
) -> None:
    # A large rate on one seed is kept, a tiny second stage is not there: either way the model outside must agree.
    recipe = replace(RECIPE, fine_tune_epochs=3 if fine_tuned else 0, learning_rate=1e-3)
    run = runs.get(home, train(home, dataset, recipe).run_id)
    assert run.fine_tuned is fine_tuned
    said = runs.predictions(home, run.id, "test")
    paths = [dataset.root / path for path in said.images["path"]]
    before = feature_store.usage(home).num_computed
    job = queue.wait(
        home, queue.submit_prediction(home, run, [*paths, dataset.root / "night" / "broken.jpg"]).id
    )
    # What is familiar is measured by what stage 1, or the evaluation, has computed; val is judged without its pixels.
    of_val = run.num_images["val"] if fine_tuned else 0
    assert feature_store.usage(home).num_computed - before == of_val
    *answers, broken = job.result["predictions"]
    for answer, y_prob in zip(answers, said.y_prob, strict=True):
        assert answer["predicted"] == run.class_names[y_prob.argmax()]
        assert answer["probability"] == pytest.approx(y_prob.max(), abs=1e-5)
        assert sum(entry["probability"] for entry in answer["top"]) == pytest.approx(1.0)
    assert "predicted" not in broken and broken["error"]


def test_an_explanation_says_where_the_model_looked_and_what_the_picture_resembles(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    said = runs.predictions(home, run.id, "test")
    path = dataset.root / said.images["path"].iloc[0]
    job = queue.wait(home, queue.submit_explanation(home, run, path, run.class_names).id)
    found = job.result
    assert found["classes"] == list(run.class_names)
    np.testing.assert_allclose(found["probabilities"], said.y_prob[0], atol=1e-3)
    head = Head.from_arrays(runs.load_arrays(home, run.id, "head"))
    logits = np.array(found["maps"]).sum(axis=(1, 2)) + head.bias
    expected = runs.load_arrays(home, run.id, "predictions-test")["logits"][0]
    np.testing.assert_allclose(logits, expected, atol=0.02)
    table = runs.load_split(home, run.id)
    learnt = table[table["split"] == "train"].set_index("path")["label"]
    assert found["compares"] == "features"
    for name, neighbours in zip(found["classes"], found["neighbours"], strict=True):
        assert neighbours
        assert {learnt[neighbour["path"]] for neighbour in neighbours} == {name}
        likeness = [neighbour["likeness"] for neighbour in neighbours]
        assert likeness == sorted(likeness, reverse=True)


def test_where_no_more_is_kept_pictures_are_compared_as_the_network_saw_them_before_fine_tuning(
    home: Workspace, dataset: Dataset, run: runs.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_features = explain.known_features

    def of_before(workspace: Workspace, backbone: Backbone, *how: Any) -> np.ndarray:
        matrix = known_features(workspace, backbone, *how)
        return matrix if backbone.weights_sha256 == run.weights_sha256 else np.full_like(matrix, np.nan)

    monkeypatch.setattr(explain, "known_features", of_before)
    asked = queue.submit_explanation(home, run, dataset.root / "night" / "3.png", run.class_names)
    context = Context(home, "cpu", Warm(), asked)
    context.finish_anyway()  # the session answers the same meanwhile
    found = explain_job.do_explain(context, asked)
    assert found["compares"] == ("before" if run.fine_tuned else "features")
    assert all(found["neighbours"])


def test_a_runs_network_is_traced_when_it_is_loaded_for_answers_and_maps_at_once(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    path = dataset.root / "night" / "3.png"
    asked = queue.submit_explanation(home, run, path, run.class_names)
    context = Context(home, "cpu", Warm(), asked)
    context.finish_anyway()  # the session answers the same meanwhile
    predictor = predict_job.warm_predictor(context, run, asked)
    assert engines.forward(predictor.backbone, "flatten")._traced.experimental_get_tracing_count() == 1

    def traces() -> int:
        known = engines._traced[predictor.backbone].values()
        return sum(one._traced.experimental_get_tracing_count() for one in known)

    before = traces()
    explain_job.do_explain(context, asked)
    predict_job.do_predict(context, replace(asked, args={**asked.args, "paths": [str(path)]}))
    assert traces() == before


def test_a_class_or_a_picture_that_is_not_there_is_not_explained(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    path = next((dataset.root).rglob("*.png"))
    for job in (
        queue.submit_explanation(home, run, path, ["penguin"]),
        queue.submit_explanation(home, run, dataset.root / "gone.png", run.class_names),
    ):
        with pytest.raises(JobError):
            queue.wait(home, job.id)
    assert 'does not know the class "penguin"' in queue.list_jobs(home, kind="explain")[1].error["message"]


def test_a_training_that_cannot_be_is_failed_with_the_reason(home: Workspace, tmp_path: Path) -> None:
    (tmp_path / "one" / "cat").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "one" / "cat" / "a.png")
    (tmp_path / "one" / "dog").mkdir()
    dataset = datasets.add_folder(home, tmp_path / "one")
    job = queue.submit_training(home, dataset.id, dataset.name, RECIPE)
    with pytest.raises(JobError, match="1 class has training pictures: .cat.. A classifier needs at least 2"):
        queue.wait(home, job.id)
    run = runs.get(home, job.run_id)
    assert run.state == "failed" and "cat" in run.error


def test_weights_are_looked_for_where_the_asker_keeps_them_not_where_the_session_does(
    home: Workspace, dataset: Dataset, run: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalog.get("mobilenet-v3-small")
    path = tmp_path / "keras" / "models" / spec.weights_file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut off")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # the session is running already, without it
    with pytest.raises(JobError) as caught:
        train(home, dataset, replace(RECIPE, backbone=spec.name))
    assert str(caught.value).startswith(f'"{path}" is damaged or another file')


def test_a_cancelled_training_stops_at_once_keeps_its_best_model_and_the_session_goes_on(
    home: Workspace, dataset: Dataset
) -> None:
    job = queue.submit_training(
        home, dataset.id, dataset.name, replace(RECIPE, fine_tune_epochs=1000, patience=0)
    )
    eventually(lambda: len(fine_tuned_epochs(home, job.run_id)) > 0)
    asked = time.monotonic()
    queue.cancel(home, job.id)
    eventually(lambda: queue.get(home, job.id).progress.get("stage") != "fine_tune")
    heard = time.monotonic() - asked
    assert queue.wait(home, job.id).state == "done"
    ended = time.monotonic() - asked
    # 2 s is what is promised; the rest is for a machine on which other tests run.
    assert heard < 5 and ended < 10, f"heard after {heard:.1f} s, ended after {ended:.1f} s"
    run = runs.get(home, job.run_id)
    assert run.state == "done" and run.metrics["test"]["accuracy"] > 0
    assert run.stage_2["stopped"] == "cancelled" and 0 < run.stage_2["epochs"] < 1000
    assert "note.cancelled" in [note.key for note in run.notes]
    assert not runs.has_checkpoint(home, run.id)
    assert train(home, dataset).state == "done"


def test_a_training_cancelled_before_its_first_epoch_keeps_the_head(
    home: Workspace, dataset: Dataset
) -> None:
    job = queue.submit_training(
        home, dataset.id, dataset.name, replace(RECIPE, fine_tune_epochs=1000, patience=0)
    )
    eventually(lambda: queue.get(home, job.id).progress.get("stage") == "fine_tune")
    queue.cancel(home, job.id)
    queue.wait(home, job.id)
    run = runs.get(home, job.run_id)
    assert run.state == "done" and run.stage_2["stopped"] == "cancelled"
    assert run.metrics.keys() == {"train", "val", "test"}  # of the head: its features are there


def test_a_fine_tuned_model_that_was_cancelled_is_judged_but_not_by_what_it_has_learnt_from(
    home: Workspace, dataset: Dataset
) -> None:
    recipe = replace(RECIPE, head_epochs=0, fine_tune_epochs=1000, patience=0)
    job = queue.submit_training(home, dataset.id, dataset.name, recipe)
    eventually(lambda: len(fine_tuned_epochs(home, job.run_id)) >= 2)
    queue.cancel(home, job.id)
    assert queue.wait(home, job.id).state == "done"
    run = runs.get(home, job.run_id)
    assert run.fine_tuned and run.metrics.keys() == {"val", "test"}
    assert "note.train_not_judged" in [note.key for note in run.notes]
    assert len(runs.predictions(home, run.id, "test").y_true) == run.num_images["test"]
    with pytest.raises(NotFound, match="was not asked about train. Choose one of: val, test"):
        runs.predictions(home, run.id, "train")


def test_what_the_head_alone_says_is_kept_beside_the_fine_tuned_model(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    poor = replace(RECIPE, head_solver="adam", head_epochs=1, head_learning_rate=1e-6)
    recipe = replace(poor, learning_rate=1e-3, fine_tune_epochs=8)
    tuned = runs.get(home, train(home, dataset, recipe).run_id)
    assert tuned.fine_tuned
    alone = runs.head_alone(home, tuned, "val")
    assert alone is not None
    said = runs.predictions(home, tuned.id, "val")
    np.testing.assert_array_equal(alone.y_true, said.y_true)
    right = (alone.y_prob.argmax(axis=1) == alone.y_true).mean()
    assert right == pytest.approx(tuned.stage_2["head_accuracy"])
    assert not np.allclose(alone.y_prob, said.y_prob)
    if not run.fine_tuned:
        assert runs.head_alone(home, run, "val") is None


def test_a_head_that_is_cancelled_is_kept_and_fine_tuning_left_out(home: Workspace, dataset: Dataset) -> None:
    recipe = replace(RECIPE, head_solver="adam", head_epochs=10_000, patience=0, max_minutes=0)
    job = queue.submit_training(home, dataset.id, dataset.name, recipe)
    eventually(lambda: not runs.epochs(home, job.run_id).empty)
    queue.cancel(home, job.id)
    assert queue.wait(home, job.id).state == "done"
    run = runs.get(home, job.run_id)
    assert (run.state, run.stopped, run.stage_2, run.fine_tuned) == ("done", "cancelled", {}, False)
    assert 0 < run.stage_1["epochs"] < 10_000 and run.metrics["test"]["accuracy"] > 0
    assert not runs.has_checkpoint(home, run.id)
    assert "conclusion.head_stopped_cancelled" in [one.sentence.key for one in conclusions.conclude(run)]


def test_a_time_limit_ends_a_head_in_batches_too(home: Workspace, dataset: Dataset) -> None:
    recipe = replace(RECIPE, head_solver="adam", head_epochs=10_000, patience=0, max_minutes=0.02)
    run = runs.get(home, train(home, dataset, recipe).run_id)
    assert (run.stopped, run.stage_1["stopped"], run.stage_2) == ("time", "time", {})


def test_the_session_says_what_it_keeps_without_a_path(home: Workspace, run: runs.Run) -> None:
    assert [name for name in queue.session_status(home).loaded if os.sep in name] == []
    assert "Tiny, 32 px" in queue.session_status(home).loaded


def test_a_time_limit_ends_stage_2_and_keeps_the_best(home: Workspace, dataset: Dataset) -> None:
    recipe = replace(RECIPE, fine_tune_epochs=1000, patience=0, max_minutes=0.05)
    run = runs.get(home, train(home, dataset, recipe).run_id)
    assert run.state == "done" and run.stage_2["stopped"] == "time"
    assert run.stage_2["epochs"] < 1000


@pytest.mark.parametrize("name", recipes.PRESETS)
def test_every_preset_trains_and_predicts_what_it_was_judged_by(
    home: Workspace, dataset: Dataset, run: runs.Run, name: str
) -> None:
    preset = recipes.preset(name)
    recipe = replace(
        preset,
        teacher=f"run:{run.id}" if preset.teacher else "",
        backbone="tiny",
        head_epochs=min(2, preset.head_epochs),
        fine_tune_epochs=min(1, preset.fine_tune_epochs),
        views=min(1, preset.views),
        dense_units=min(8, preset.dense_units),
        batch_size=8,
    )
    run = runs.get(home, train(home, dataset, recipe).run_id)
    assert run.state == "done"
    said = runs.predictions(home, run.id, "test")
    paths = [dataset.root / path for path in said.images["path"]]
    answers = queue.wait(home, queue.submit_prediction(home, run, paths).id).result["predictions"]
    for answer, y_prob in zip(answers, said.y_prob, strict=True):
        assert answer["probability"] == pytest.approx(y_prob.max(), abs=1e-4)


def test_a_student_says_what_it_learnt_from_and_one_whose_teacher_was_deleted_why_it_cannot(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    student = replace(RECIPE, teacher=f"run:{run.id}", seed=7, fine_tune_epochs=0)
    taught = runs.get(home, train(home, dataset, student).run_id)
    assert taught.recipe["seed"] == run.recipe["seed"], "the split is the teacher's"
    assert taught.split_fingerprint == run.split_fingerprint
    stages = [event["name"] for event in runs.events(home, taught.id) if event["kind"] == "stage"]
    assert stages[stages.index("features") :][:3] == ["features", "teacher", "head"]
    notes = [str(note) for note in taught.notes]
    assert [note for note in notes if note.startswith(f"Learnt from the run {run.id} as its teacher")]
    waiting = runs.create(
        home, dataset.id, dataset.name, taught.recipe | {"teacher": "run:20200101-000000-abcd"}
    )
    args = {"keras_home": ""}
    job = queue.submit(home, "train", args, run_id=waiting.id, dataset_id=dataset.id)
    with pytest.raises(JobError, match=r'There is no run "20200101-000000-abcd"'):
        queue.wait(home, job.id)


def test_controls_stand_beside_every_run_on_a_pretrained_network(home: Workspace, run: runs.Run) -> None:
    controls = run.controls
    assert (controls["num_train"], controls["num_val"]) == (run.num_images["train"], run.num_images["val"])
    assert controls["pixels"] == 1.0  # dark and bright noise needs no network
    assert controls["over_pixels"]["low"] <= 0
    assert {"conclusion.no_better_than_pixels", "conclusion.few_test_images"} <= {
        conclusion.sentence.key for conclusion in conclusions.conclude(run)
    }


def test_the_controls_scale_features_to_one_spread_however_small_they_are() -> None:
    from core.session.controls import _like

    rng = np.random.default_rng(0)
    wanted = rng.normal(scale=3.0, size=(50, 8)).astype(np.float32)
    tiny = (1e-20 * rng.normal(size=(50, 30))).astype(np.float32)
    scaled = _like(tiny, wanted)
    assert scaled.var(axis=0).sum() == pytest.approx(wanted.var(axis=0).sum(), rel=1e-3)
    np.testing.assert_array_equal(_like(np.zeros((50, 3), np.float32), wanted), np.zeros((50, 3)))


def test_a_pace_counts_what_is_done_now_and_not_what_was_found_done() -> None:
    from core.session.context import Pace

    pace = Pace()
    assert [pace.rate(0, 0.0), pace.rate(900, 10.0)] == [0.0, 0.0]
    assert pace.rate(920, 14.0) == 5.0


def test_a_run_goes_on_from_an_earlier_one_with_a_new_class_and_says_what_it_forgot(
    home: Workspace, dataset: Dataset, run: runs.Run, photos: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(photos, tmp_path / "more")
    (root / "dusk").mkdir()
    for number in range(14):
        Image.new("RGB", (36, 36), (100 + number, 128, 20)).save(root / "dusk" / f"{number}.png")
    bigger = datasets.add_folder(home, root)
    recipe = replace(RECIPE, weights=f"run:{run.id}")
    later = runs.get(home, train(home, bigger, recipe).run_id)
    assert later.class_names == ("day ☀", "dusk", "night")
    assert later.forgetting["run_id"] == run.id
    assert 0 < later.forgetting["num_images"] <= run.num_images["test"]
    assert later.forgetting["before"] == 1.0 and 0 <= later.forgetting["after"] <= 1
    assert later.forgetting["difference"]["low"] < 0 < later.forgetting["difference"]["high"]
    # It stands on its own: without the run it came from it still answers.
    job = queue.submit_prediction(home, later, [root / "dusk" / "3.png"])
    assert queue.wait(home, job.id).result["predictions"][0]["predicted"] == "dusk"


def test_a_run_needs_the_weights_file_it_was_trained_with_no_more(
    home: Workspace, dataset: Dataset, tmp_path: Path
) -> None:
    weights = tmp_path / "own.h5"
    weights.write_bytes(b"The tiny network has its weights from a seed; what counts is that the file goes.")
    recipe = replace(RECIPE, weights=str(weights), fine_tune_epochs=0)
    run = runs.get(home, train(home, dataset, recipe).run_id)
    weights.unlink()
    picture = dataset.root / "night" / "3.png"
    (answer,) = queue.wait(home, queue.submit_prediction(home, run, [picture]).id).result["predictions"]
    assert answer["predicted"] == "night"


@pytest.mark.usefixtures("served")
def test_a_run_whose_pictures_are_gone_still_knows_when_it_is_not_sure(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))
    datasets.remove(workspace, run.dataset_id)
    nobody: Any = None
    head = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    model = predict_job.Predictor(run, recipes.from_json(run.recipe), nobody, head)
    monkeypatch.setattr(predict_job, "_traced_predictor", lambda *_: model)
    monkeypatch.setattr(predict_job.Predictor, "features", lambda self, pixels: pixels)
    job = queue.submit_familiarity(workspace, run)
    predictor = predict_job.warm_predictor(Context(workspace, "cpu", Warm(), job), run, job)
    assert predictor.familiarity is None
    sure = runs.predictions(workspace, run.id, "val").y_prob.max(axis=1)
    assert predictor.min_confidence == np.quantile(sure, 0.05)
    answers = predict_job._answers(predictor, np.array([[0, 9, 0], [1, 1, 1]], np.float32))
    assert [answer["unsure"] for answer in answers] == [False, True]
    assert "unlike" not in answers[0]


def test_a_head_is_cross_validated_by_all_images(home: Workspace, run: runs.Run) -> None:
    queue.wait(home, queue.submit_cross_validation(home, run).id)
    found = runs.cross_validation(home, run.id)
    assert found is not None
    assert found["num_images"] == sum(run.num_images.values())
    assert len(found["fold_accuracies"]) == found["num_folds"] == 5
    each = runs.out_of_fold(home, run)
    assert sorted(each["path"]) == sorted(runs.load_split(home, run.id)["path"])
    assert found["accuracy"] == pytest.approx(1 - each["wrong"].mean())
    assert each.groupby("sha256")["fold"].nunique().eq(1).all() and set(each["fold"]) == set(range(5))


def test_cross_validation_learns_from_variations_as_the_run_did(home: Workspace, dataset: Dataset) -> None:
    recipe = replace(RECIPE, views=2, fine_tune_epochs=0)
    varied = runs.get(home, train(home, dataset, recipe).run_id)
    before = feature_store.usage(home).num_computed
    queue.wait(home, queue.submit_cross_validation(home, varied).id)
    missing = 2 * (varied.num_images["val"] + varied.num_images["test"])
    assert feature_store.usage(home).num_computed - before == missing


def test_the_command_line_tells_the_same(
    home: Workspace, photos: Path, run: runs.Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def said() -> str:
        return capsys.readouterr().out

    assert main(["train", str(photos), "--backbone", "tiny", "--fine-tune-epochs", "0", "--json"]) == 0
    trained = json.loads(said())
    assert set(trained) >= {"run_id", "backbone", "recipe", "class_names", "num_images", "seconds", "metrics"}
    assert trained["recipe"] == "two-stages" and trained["settings"]["fine_tune_epochs"] == 0
    assert trained["metrics"]["val"].keys() >= {"accuracy", "macro_f1"}
    assert set(trained["seconds"]) >= {"prepare", "features", "head", "evaluate"}

    assert main(["evaluate", trained["run_id"], "--json"]) == 0
    evaluated = json.loads(said())
    assert evaluated["metrics"]["test"] == trained["metrics"]["test"]
    assert sum(map(sum, evaluated["confusion_matrix"])) == len(evaluated["predictions"])
    assert set(evaluated["predictions"][0]) == {"path", "true", "predicted", "probability"}
    assert set(evaluated["per_class"][0]) >= {"name", "precision", "recall", "f1", "support"}

    # Nobody has asked it about a photo yet: what is familiar to it is measured when it is packed.
    assert main(["bundle", trained["run_id"], "--to", str(tmp_path / "out"), "--json"]) == 0
    with zipfile.ZipFile(json.loads(said())["bundle"]) as archive:
        assert "familiarity.npz" in archive.namelist()

    picture = str(photos / "night" / "3.png")
    assert main(["predict", trained["run_id"], picture]) == 0
    assert said().startswith(f"{picture}  night (")
    assert main(["predict", trained["run_id"], picture, str(photos / "night" / "broken.jpg"), "--json"]) == 1
    assert [sorted(answer) for answer in json.loads(said())] == [
        ["distance", "path", "predicted", "probabilities", "probability", "top", "unlike", "unsure"],
        ["error", "path"],
    ]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(photos)
        assert main(["predict", trained["run_id"], "night/3.png", "missing.png"]) == 1
    first, second = said().splitlines()
    assert re.fullmatch(
        r"night/3\.png  night \(\d+\.\d\d %\)(  not sure|  unlike anything it was trained on)?", first
    )
    assert second.startswith("missing.png  ")

    assert main(["runs", "--json"]) == 0
    assert trained["run_id"] in [entry["run_id"] for entry in json.loads(said())]
    assert main(["audit", str(photos), "--json"]) == 0
    audited = json.loads(said())
    assert (audited["num_files"], audited["num_images"], audited["class_names"]) == (
        29,
        28,
        ["day ☀", "night"],
    )
    assert sum(audited["splits"].values()) == 28
    assert audited["checks"]["truncated"]["num_flagged"] + audited["checks"]["unreadable"]["num_flagged"] == 1


def test_a_speed_leaves_out_what_only_starting_costs() -> None:
    from core.forecast import MIN_MEASURED
    from core.session.train_job import Clock, _speeds

    clock = Clock({"features": 4.0, "fine_tune": 39.0})
    compiling = 30.0
    assert _speeds(clock, 400, [compiling, 2.0, 4.0, 3.0], 90) == {"features": 100.0, "fine_tune": 30.0}
    assert _speeds(clock, MIN_MEASURED, [compiling, 2.0], 90).keys() == {"features", "fine_tune"}
    assert _speeds(clock, MIN_MEASURED - 1, [compiling], 90) == {}
    assert _speeds(clock, 0, [], 90) == {}


def test_a_class_that_lost_its_training_images_leaves_the_model(tmp_path: Path) -> None:
    from core.features import Features
    from core.session.material import Material, without_lost

    def left(labels: str, lost: list[int]) -> tuple[Material, np.ndarray]:
        # Of each class one image in train, and "a" and "b" judge too.
        rows = [(label, "train") for label in labels] + [("a", "val"), ("b", "test")]
        table = pd.DataFrame(rows, columns=["label", "split"]).assign(
            path=list(map(str, range(len(rows)))), sha256=""
        )
        unreadable = dict.fromkeys(lost, "gone")
        return without_lost(
            Material("d", tmp_path, table, sorted(labels)), Features(np.eye(len(rows)), 0, 0, unreadable, 32)
        )

    material, matrix = left("abc", [2])
    assert (list(material.table["label"]), material.class_names) == (["a", "b", "a", "b"], ["a", "b"])
    np.testing.assert_array_equal(matrix, np.eye(5)[[0, 1, 3, 4]])
    assert [note.key for note in material.notes] == ["note.lost", "note.unlearnt"]
    assert '"c"' in str(material.notes[1])
    with pytest.raises(JobError, match="Only 1 of 2 classes have training pictures that can still be read"):
        left("ab", [1])
    with pytest.raises(JobError, match="No picture of val could be read any more"):
        left("ab", [2])


def test_a_pipe_that_is_closed_early_is_no_error(home: Workspace, run: runs.Run) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "evaluate", run.id, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=queue.PROJECT_DIR,
        env={**os.environ, "GRAFT_HOME": str(home.home)},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), told) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{photos}", "--split", "nan,nan,nan"], "Expected three shares"),
        (["train", "{tmp}/missing"], "missing"),
        (["train", "{photos}", "--backbone", "resnet5000"], 'Unknown backbone "resnet5000"'),
        (["train", "{photos}", "--recipe", "magic"], 'There is no recipe "magic"'),
        (["train", "{photos}", "--split", "0.9,0.2,0.1"], "add up to 1"),
        (["evaluate", "20200101-000000-abcd"], "There is no run"),
        (["predict", "../../etc", "x.png"], "is not the id of a run"),
        (["audit", "{photos}/night/1.png"], "1.png"),
    ],
)
def test_a_wrong_call_is_told_what_to_change(
    home: Workspace,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main([part.format(tmp=tmp_path, photos=photos) for part in arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


def test_a_killed_training_goes_on_after_its_last_epoch_and_ends_as_if_nothing_had_happened(
    home: Workspace, dataset: Dataset
) -> None:
    recipe = replace(RECIPE, fine_tune_epochs=8, patience=0, learning_rate=1e-3)
    whole = runs.get(home, train(home, dataset, recipe).run_id)
    job = queue.submit_training(home, dataset.id, dataset.name, recipe)
    eventually(lambda: len(fine_tuned_epochs(home, job.run_id)) >= 2)
    killed = queue.session_status(home).pid
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(JobError, match="The device session ended while it worked"):
        queue.wait(home, job.id)
    assert runs.get(home, job.run_id).state == "interrupted"

    again = queue.wait(home, queue.retry_training(home, job.run_id).id)
    assert queue.session_status(home).pid not in (0, killed)
    assert again.run_id == job.run_id
    resumed = [event for event in runs.events(home, job.run_id) if event["kind"] == "resumed"]
    assert [event["history"][0]["stage"] for event in resumed] == ["head", "fine_tune"]
    assert resumed[1]["epoch"] >= 2
    log = [event.get("text") for event in runs.events(home, job.run_id)]
    assert "Features: 0 computed, 28 taken from the cache." in log
    for split in runs.SPLITS:
        np.testing.assert_allclose(
            runs.load_arrays(home, job.run_id, f"predictions-{split}")["logits"],
            runs.load_arrays(home, whole.id, f"predictions-{split}")["logits"],
            atol=1e-5,
        )
    done = runs.get(home, job.run_id)
    for told, stage in ((done.stage_1, "head"), (done.stage_2, "fine_tune")):
        assert 0 < told["earlier_s"] < done.seconds[stage]
    epochs = runs.epochs(home, job.run_id)
    assert list(epochs["epoch"][epochs["stage"] == "fine_tune"]) == list(range(1, 9))


def test_ten_trainings_of_two_askers_are_done_one_by_one_in_the_order_they_came(
    home: Workspace, dataset: Dataset
) -> None:
    recipe = replace(RECIPE, fine_tune_epochs=0)
    jobs: list[Job] = []

    def ask() -> None:
        for _ in range(5):
            jobs.append(queue.submit_training(home, dataset.id, dataset.name, recipe))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    done = [queue.wait(home, job.id) for job in sorted(jobs, key=lambda job: job.id)]
    assert [job.state for job in done] == ["done"] * 10
    spans = [(job.started or 0.0, job.ended or 0.0) for job in done]
    assert all(ended <= started for (_, ended), (started, _) in itertools.pairwise(spans))


def test_a_sample_is_made_audited_and_known(home: Workspace) -> None:
    job = queue.wait(home, queue.submit(home, "sample", {"sample": "digits"}).id)
    assert job.result["num_images"] == 1797
    assert datasets.get(home, job.result["dataset_id"]).sample == "digits"
    assert augmentation.preset_name(recipes.preset("two-stages", "digits").augment) == "shift"


def test_a_session_that_finds_the_database_locked_begins_when_it_is_free(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, times = executor.Session(workspace, "cpu", idle_s=0), itertools.count(1)
    register = session._register

    def locked_twice() -> None:
        if next(times) <= 2:
            raise WorkspaceError("database is locked")
        register()

    monkeypatch.setattr(session, "_register", locked_twice)
    monkeypatch.setattr(executor, "RETRY_S", 0.01)
    with queue.hold_device(workspace, "cpu") as held:
        assert held and not session.run()
    assert next(times) == 4


@pytest.mark.slow
def test_a_database_locked_for_long_ends_neither_session_nor_job(home: Workspace, dataset: Dataset) -> None:
    job = queue.submit_training(home, dataset.id, dataset.name, replace(RECIPE, fine_tune_epochs=0))
    with home.transaction() as db:  # nobody else can write meanwhile
        db.execute("SELECT 1")
        time.sleep(BUSY_TIMEOUT_S + 1)
    assert queue.wait(home, job.id).state in ("done", "failed")
    assert train(home, dataset).state == "done"


def test_backbones_are_ranked_without_test_pictures_and_one_that_cannot_be_had_stops_nothing(
    home: Workspace, dataset: Dataset, run: runs.Run
) -> None:
    names = ["tiny", "vgg16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(home.home / "no-weights"))
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        job = queue.submit_ranking(home, dataset.id, names, (0.7, 0.15, 0.15), 0)
    assert queue.wait(home, job.id).result == {"num_judged": 1}
    found = ranking.load(home, dataset.id)
    assert found is not None
    assert found.num_images == found.num_available == run.num_images["train"] + run.num_images["val"]
    tiny, vgg = found.entries
    assert (tiny.backbone, tiny.accuracy, tiny.behind) == ("tiny", 1.0, None)
    assert 0.5 < tiny.low < tiny.high == 1.0 and tiny.ms_per_image > 0
    assert vgg.backbone == "vgg16" and "weights" in vgg.error
    assert found.missing == ()


def test_a_ranking_that_is_cancelled_ends_and_keeps_what_it_has_found(
    home: Workspace, dataset: Dataset
) -> None:
    job = queue.submit_ranking(home, dataset.id, ["tiny"] * 500, (0.7, 0.15, 0.15), 0)
    eventually(lambda: queue.get(home, job.id).progress.get("stage") == "rank")
    eventually(lambda: (found := ranking.load(home, dataset.id)) is not None and bool(found.missing))
    queue.cancel(home, job.id)
    with pytest.raises(JobError, match="Cancelled"):
        queue.wait(home, job.id)
    assert queue.get(home, job.id).state == "cancelled"
    found = ranking.load(home, dataset.id)
    assert found is not None and found.missing
    assert [(entry.backbone, entry.error) for entry in found.entries] == [("tiny", "")]
