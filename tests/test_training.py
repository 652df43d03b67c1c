"""Both stages on a tiny network: what learns, what stays as it was, what is told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from core import augmentation, backbones, recipes, training
from core.backbones import Backbone
from core.errors import Cancelled, DataError, JobError
from core.heads import Head, class_weights, fit_probe, scores
from core.recipes import Recipe
from core.training import Images
from core.training.batches import Batch
from core.training.events import TimeIsUp
from core.training.learner import Learner
from tests.training_worlds import (
    RECIPE,
    Heard,
    Until,
    features_of,
    head_of,
    make_backbone,
    make_images,
    predict,
    truth_of,
)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return make_backbone(tmp_path_factory.mktemp("graft"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    return make_images(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def head(backbone: Backbone, images: dict[str, Images]) -> Head:
    return head_of(backbone, images)


# --- stage 1 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_stage_1_learns_and_tells_every_epoch(
    backbone: Backbone, images: dict[str, Images], solver: str
) -> None:
    recipe = replace(RECIPE, head_solver=solver, head_learning_rate=0.01)
    heard = Heard()
    features = features_of(backbone, images)
    head = training.train_head(features, truth_of(images), 2, recipe, heard).head
    assert (head.logits(features["val"]).argmax(axis=1) == images["val"].y_true).all()
    epochs = heard.of("epoch")
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert {"stage", "epochs", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(epochs[0])
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    done = [told["done"] for told in heard.of("progress")]
    assert done == sorted(done) and done[-1] <= heard.of("progress")[-1]["total"]


def test_stage_1_gets_all_that_the_recipe_says_of_the_head(
    backbone: Backbone, images: dict[str, Images]
) -> None:
    recipe = replace(RECIPE, head_solver="adam", dense_units=5, head_epochs=2, dropout=0.5)
    heard = Heard()
    features, y_true = features_of(backbone, images), truth_of(images)
    head = training.train_head(features, y_true, 2, recipe, heard).head
    assert head.hidden_kernel is not None
    assert head.hidden_kernel.shape == (64, 5) and head.kernel.shape == (5, 2)
    assert [epoch["learning_rate"] for epoch in heard.of("epoch")] == [recipe.head_learning_rate] * 2
    other = training.train_head(features, y_true, 2, replace(recipe, seed=1), Heard()).head
    assert not np.array_equal(head.kernel, other.kernel)


@pytest.mark.parametrize(("spread", "expected"), [(0.05, 10.0), (3.0, 0.01)])
@pytest.mark.parametrize("fine_tune_epochs", [0, 1])
def test_validation_chooses_the_freedom_of_the_head_whichever_fine_tuning_begins_with(
    spread: float, expected: float, fine_tune_epochs: int
) -> None:
    rng = np.random.default_rng(3)
    y_true = {"train": np.arange(90) % 30, "val": np.arange(60) % 30}
    centres = rng.normal(size=(30, 40))
    features = {
        split: (centres[truth] + spread * rng.normal(size=(len(truth), 40))).astype(np.float32)
        for split, truth in y_true.items()
    }
    recipe = replace(RECIPE, head_strength=0.3, head_epochs=200, fine_tune_epochs=fine_tune_epochs)
    trained = training.train_head(features, y_true, 30, recipe, Heard())
    alone = {
        strength: training.train_head(
            features, y_true, 30, replace(recipe, head_strength=strength, head_search=False), Heard()
        )
        for strength in recipes.HEAD_STRENGTHS
    }
    losses = {C: scores(one.head.logits(features["val"]), y_true["val"]).loss for C, one in alone.items()}
    assert trained.strength == expected == min(losses, key=lambda strength: losses[strength])
    reached = scores(trained.head.logits(features["val"]), y_true["val"]).loss
    assert reached == pytest.approx(losses[expected], rel=0.1)
    assert trained.start is not None
    np.testing.assert_array_equal(trained.start.kernel, alone[0.3].head.kernel)
    assert alone[0.3].start is None and alone[0.3].strength == 0.3


@pytest.mark.parametrize(("ends", "reason"), [(Cancelled, "cancelled"), (TimeIsUp, "time")])
def test_stopped_while_further_heads_are_fitted_it_keeps_the_one_it_has(
    ends: type[Cancelled], reason: str
) -> None:
    rng = np.random.default_rng(3)
    y_true = {"train": np.arange(40) % 2, "val": np.arange(20) % 2}
    features = {split: rng.normal(size=(len(truth), 6)).astype(np.float32) for split, truth in y_true.items()}
    recipe = replace(RECIPE, head_strength=0.01, head_epochs=100)
    first = Heard()
    alone = training.train_head(features, y_true, 2, replace(recipe, head_search=False), first)
    listen = Until("progress", len(first.of("progress")) + 1, ends)
    trained = training.train_head(features, y_true, 2, recipe, listen)
    assert (trained.stopped, trained.start, trained.strength) == (reason, None, 0.01)
    np.testing.assert_array_equal(trained.head.kernel, alone.head.kernel)


def test_views_that_are_the_pictures_themselves_change_nothing(
    backbone: Backbone, images: dict[str, Images]
) -> None:
    features, y_true = features_of(backbone, images), truth_of(images)
    recipe = replace(RECIPE, head_epochs=200)
    plain = training.train_head(features, y_true, 2, recipe, Heard()).head
    seen = training.train_head(features, y_true, 2, recipe, Heard(), [features["train"]] * 2).head
    np.testing.assert_allclose(
        seen.logits(features["val"]), plain.logits(features["val"]), rtol=0.02, atol=0.02
    )


def test_stage_1_learns_from_the_views_and_leaves_out_what_could_not_be_read() -> None:
    features = {
        "train": np.array([[1.0], [-1.0]], np.float32),
        "val": np.array([[1.0], [-1.0]], np.float32),
    }
    y_true = {split: np.array([0, 1]) for split in features}
    view = np.array([[-5.0], [np.nan]], np.float32)  # speaks against the picture itself, and louder
    plain = training.train_head(features, y_true, 2, RECIPE, Heard()).head
    seen = training.train_head(features, y_true, 2, RECIPE, Heard(), [view]).head
    assert plain.kernel[0, 0] > plain.kernel[0, 1]
    assert seen.kernel[0, 0] < seen.kernel[0, 1] and np.isfinite(seen.kernel).all()


@pytest.mark.parametrize("balance", ["class_weights", "sampling"])
def test_both_kinds_of_balance_weigh_the_classes_in_l_bfgs(balance: str) -> None:
    rng = np.random.default_rng(0)
    y_true = np.array([0] * 30 + [1] * 6)
    rows = (rng.normal(size=(36, 3)) + y_true[:, None]).astype(np.float32)
    splits = {"train": rows, "val": rows}
    recipe = replace(RECIPE, balance=balance, head_search=False)
    head = training.train_head(splits, dict.fromkeys(splits, y_true), 2, recipe, Heard()).head
    weights = class_weights(y_true, 2)[y_true]
    expected = fit_probe(rows, y_true, 2, 1.0, RECIPE.head_epochs, sample_weight=weights)
    np.testing.assert_allclose(head.kernel, expected.kernel, atol=1e-4)


# --- stage 2 ------------------------------------------------------------------------------------------------------


def fine_tune(
    backbone: Backbone,
    head: Head | None,
    images: dict[str, Images],
    recipe: Recipe = RECIPE,
    listen: training.Listen | None = None,
    **further: Any,
) -> training.FineTuned:
    return training.fine_tune(backbone, head, images, 2, recipe, listen or Heard(), **further)


def test_stage_2_changes_what_it_returns_and_leaves_the_backbone_as_it_was(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    before = features_of(backbone, images)
    tuned = fine_tune(backbone, head, images)
    after = features_of(backbone, images)
    for split in before:
        np.testing.assert_array_equal(after[split], before[split])  # equal bits
    assert backbone.is_pristine()
    assert not any(variable.trainable for variable in backbone.model.trainable_weights)

    pristine = backbone.model.get_weights()
    changed = [not np.array_equal(old, new) for old, new in zip(pristine, tuned.weights, strict=True)]
    blocks_of = {name: block.name for block in backbone.blocks for name in block.layer_names}
    moved = {
        blocks_of[weight.path.split("/")[0]]
        for weight, change in zip(backbone.model.weights, changed, strict=True)
        if change
    }
    of_batch_norm = ["bn" in weight.path for weight in backbone.model.weights]
    assert moved == {block.name for block in backbone.blocks[1:]}  # half of three blocks, rounded up
    assert not any(change and norm for change, norm in zip(changed, of_batch_norm, strict=True))
    assert not np.array_equal(tuned.head.kernel, head.kernel)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pooling": "max", "optimizer": "sgd", "schedule": "constant"},
        {"pooling": "flatten", "optimizer": "rmsprop", "balance": "sampling"},
        {"dense_units": 6, "dropout": 0.3, "head_solver": "adam", "balance": "class_weights"},
        {"augment": augmentation.PRESETS["strong"], "optimizer": "adam"},
        {"mixed_precision": True},
    ],
    ids=["default", "max sgd", "flatten rmsprop", "hidden", "strong adam", "16 bits"],
)
def test_the_returned_weights_give_the_returned_logits(
    backbone: Backbone, images: dict[str, Images], changes: dict[str, Any]
) -> None:
    recipe = recipes.validate(replace(RECIPE, **changes))
    tuned = fine_tune(backbone, head_of(backbone, images, recipe), images, recipe)
    assert backbone.is_pristine()
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(backbone.model.get_weights(), tuned.weights, strict=True)
    )
    logits = predict(backbone, tuned.weights, tuned.head, images["val"], recipe)
    np.testing.assert_allclose(logits, tuned.val_logits, atol=1e-5)
    assert backbone.is_pristine()
    assert tuned.val_loss == pytest.approx(training.scores(logits, images["val"].y_true).loss, abs=1e-5)
    assert (tuned.num_epochs, tuned.stopped, tuned.batch_size) == (2, "", 8)


def test_without_epochs_worth_of_rate_stage_2_says_what_stage_1_said(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    recipe = replace(RECIPE, fine_tune_epochs=1, learning_rate=1e-7, weight_decay=0.0)
    before = predict(backbone, None, head, images["val"], recipe)
    tuned = fine_tune(backbone, head, images, recipe)
    np.testing.assert_allclose(tuned.val_logits, before, atol=1e-3)


def test_a_random_backbone_learns_from_scratch_with_its_normalisation(
    images: dict[str, Images], tmp_path: Path
) -> None:
    backbone = make_backbone(tmp_path, random_seed=3)
    recipe = recipes.validate(
        replace(
            RECIPE,
            weights="random",
            train_batch_norm=True,
            head_epochs=0,
            fine_tune_blocks=1.0,
            fine_tune_epochs=3,
        )
    )
    heard = Heard()
    tuned = fine_tune(backbone, None, images, recipe, heard)
    assert backbone.is_pristine()
    changed = {
        weight.path
        for weight, old, new in zip(
            backbone.model.weights, backbone.model.get_weights(), tuned.weights, strict=True
        )
        if not np.array_equal(old, new)
    }
    assert {"block1_bn/moving_mean", "block1_bn/gamma", "block1_conv/kernel", "top_conv/kernel"} <= changed
    again = fine_tune(backbone, None, images, recipe)
    np.testing.assert_allclose(again.val_logits, tuned.val_logits, atol=1e-5)


def test_the_best_epoch_on_validation_is_kept(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    heard = Heard()
    tuned = fine_tune(
        backbone, head, images, replace(RECIPE, fine_tune_epochs=4, optimizer="sgd", learning_rate=0.5), heard
    )
    losses = [epoch["val_loss"] for epoch in heard.of("epoch")]
    assert len(losses) == tuned.num_epochs == 4
    assert tuned.val_loss == min(losses)
    assert tuned.epoch == losses.index(min(losses)) + 1
    assert training.scores(tuned.val_logits, images["val"].y_true).loss == min(losses)


def test_it_stops_when_validation_has_not_improved_for_so_many_epochs(
    backbone: Backbone, images: dict[str, Images]
) -> None:
    wrong = {**images, "val": Images(images["val"].paths, 1 - images["val"].y_true)}
    recipe = replace(RECIPE, fine_tune_epochs=20, patience=2, fine_tune_blocks=1.0)
    heard = Heard()
    tuned = fine_tune(backbone, None, wrong, recipe, heard)  # the better it learns, the worse it does on val
    assert tuned.stopped == "patience"
    assert tuned.num_epochs == len(heard.of("epoch")) == tuned.epoch + 2 < 20


def test_two_trainings_of_one_seed_are_equal_and_of_two_are_not(
    backbone: Backbone, images: dict[str, Images]
) -> None:
    recipe = replace(
        RECIPE, augment=augmentation.PRESETS["strong"], dropout=0.2, dense_units=4, head_solver="adam"
    )
    first = fine_tune(backbone, None, images, recipe)
    keras.utils.set_random_seed(5)  # the state of the process has no part in it
    again = fine_tune(backbone, None, images, recipe)
    other = fine_tune(backbone, None, images, replace(recipe, seed=1))
    np.testing.assert_allclose(first.val_logits, again.val_logits, atol=1e-6)
    assert not np.allclose(first.val_logits, other.val_logits, atol=1e-3)


def test_the_loss_of_an_epoch_is_that_of_all_its_images(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    recipe = replace(RECIPE, batch_size=4, fine_tune_epochs=1, learning_rate=1e-7, weight_decay=0.0)
    unsure = Head(head.kernel * 0.1, head.bias)
    heard = Heard()
    fine_tune(backbone, unsure, images, recipe, heard)
    (epoch,) = heard.of("epoch")
    logits = predict(backbone, None, unsure, images["train"], recipe)
    losses = -np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert epoch["loss"] == pytest.approx(losses[np.arange(20), images["train"].y_true].mean(), rel=1e-3)
    assert epoch["accuracy"] == pytest.approx((logits.argmax(axis=1) == images["train"].y_true).mean())


def test_progress_counts_images_and_never_goes_back(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    heard = Heard()
    fine_tune(backbone, head, images, RECIPE, heard)
    done = [values["done"] for values in heard.of("progress")]
    assert done == sorted(done)
    assert done[-1] == heard.of("progress")[-1]["total"] == 2 * (20 + 8)


# --- the end before the end ---------------------------------------------------------------------------------------


def test_cancelled_before_an_epoch_has_finished_it_has_nothing_to_keep(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    with pytest.raises(Cancelled):
        fine_tune(backbone, head, images, RECIPE, Until("progress", 2, Cancelled))
    assert backbone.is_pristine()


@pytest.mark.parametrize(("kind", "count"), [("progress", 6), ("epoch", 1)])
def test_cancelled_later_it_keeps_the_best_finished_epoch(
    backbone: Backbone, images: dict[str, Images], head: Head, kind: str, count: int
) -> None:
    whole = Heard()
    one = replace(RECIPE, fine_tune_epochs=3)
    fine_tune(backbone, head, images, one, whole)
    tuned = fine_tune(backbone, head, images, one, Until(kind, count, Cancelled))
    assert (tuned.stopped, tuned.num_epochs, tuned.epoch) == ("cancelled", 1, 1)
    assert tuned.val_loss == pytest.approx(whole.of("epoch")[0]["val_loss"], abs=1e-5)
    logits = predict(backbone, tuned.weights, tuned.head, images["val"], RECIPE)
    np.testing.assert_allclose(logits, tuned.val_logits, atol=1e-5)
    assert backbone.is_pristine()


def test_a_deadline_in_the_past_leaves_nothing_to_keep_and_says_so(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    with pytest.raises(training.TimeIsUp, match="time limit ended before the first epoch did.*max_minutes"):
        fine_tune(backbone, head, images, deadline=time.monotonic())
    assert backbone.is_pristine()


def test_when_the_time_is_up_the_best_finished_epoch_is_kept(
    backbone: Backbone, images: dict[str, Images], head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def listen(kind: str, **values: Any) -> None:
        nonlocal now
        now += kind == "epoch"

    monkeypatch.setattr("time.monotonic", lambda: now)
    recipe = replace(RECIPE, fine_tune_epochs=50)
    tuned = fine_tune(backbone, head, images, recipe, listen, deadline=3.0)
    assert (tuned.stopped, tuned.num_epochs) == ("time", 3)


# --- what goes wrong ----------------------------------------------------------------------------------------------


def out_of_memory_above(monkeypatch: pytest.MonkeyPatch, batch_size: int, at_step: int = 1) -> None:
    """Let the device refuse larger batches from a step on."""
    steps = 0
    real = Learner.step

    def step(self: Learner, batch: Batch, learning_rate: float) -> dict[str, float]:
        nonlocal steps
        steps += 1
        if len(batch.inputs) > batch_size and steps >= at_step:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return real(self, batch, learning_rate)

    monkeypatch.setattr(Learner, "step", step)


def test_out_of_memory_halves_the_batch_and_begins_the_epoch_again(
    backbone: Backbone, images: dict[str, Images], head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fine_tune(backbone, head, images, replace(RECIPE, batch_size=2))
    heard = Heard()
    with monkeypatch.context() as patch:
        out_of_memory_above(patch, 2, at_step=2)  # the first step has moved the weights already
        tuned = fine_tune(backbone, head, images, RECIPE, heard)
    assert [told["batch_size"] for told in heard.of("batch_halved")] == [4, 2]
    assert tuned.batch_size == 2
    for one, other in zip(tuned.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(tuned.head.kernel, expected.head.kernel, atol=1e-5)


def test_not_even_one_picture_fits_is_said_in_plain_words(
    backbone: Backbone, images: dict[str, Images], head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_memory_above(monkeypatch, 0)
    heard = Heard()
    with pytest.raises(JobError, match="single picture of 32 × 32 pixels is too much.*smaller image size"):
        fine_tune(backbone, head, images, RECIPE, heard)
    assert [told["batch_size"] for told in heard.of("batch_halved")] == [4, 2, 1]
    assert backbone.is_pristine()


def test_steps_that_are_too_large_are_said_to_be(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    broken = Head(head.kernel, np.array([np.inf, 0], np.float32))
    with pytest.raises(JobError, match="diverged.*learning_rate is 0.001"):
        fine_tune(backbone, broken, images)
    assert backbone.is_pristine()


def test_a_file_that_vanished_costs_its_own_row_only(
    backbone: Backbone, images: dict[str, Images], head: Head, tmp_path: Path
) -> None:
    lost = {
        split: Images([tmp_path / "gone.png", *part.paths[1:]], part.y_true) for split, part in images.items()
    }
    tuned = fine_tune(backbone, head, lost)
    assert np.isnan(tuned.val_logits[0]).all()
    assert not np.isnan(tuned.val_logits[1:]).any()
    assert np.isfinite(tuned.val_loss)


def test_training_goes_on_with_the_images_that_are_left_and_ends_where_none_is(
    backbone: Backbone, images: dict[str, Images], head: Head, tmp_path: Path
) -> None:
    train = images["train"]
    one_left = Images([train.paths[0]] + [tmp_path / "gone.png"] * (len(train.paths) - 1), train.y_true)
    tuned = fine_tune(backbone, head, images | {"train": one_left})
    assert np.isfinite(tuned.val_loss)
    none_left = Images([tmp_path / "gone.png"] * len(train.paths), train.y_true)
    with pytest.raises(DataError, match="No training picture could be read any more"):
        fine_tune(backbone, head, images | {"train": none_left})
    assert backbone.is_pristine()
    gone = Images([tmp_path / "gone.png"] * 8, images["val"].y_true)
    with pytest.raises(DataError, match="None of 8 pictures could be read any more"):
        fine_tune(backbone, head, images | {"val": gone})
    assert backbone.is_pristine()


# --- prediction ---------------------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_flat_classifier(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    told: list[tuple[int, int]] = []
    logits = predict(
        backbone, None, head, images["val"], RECIPE, lambda done, total: told.append((done, total))
    )
    assert logits.dtype == np.float32 and told[-1] == (8, 8)
    features = features_of(backbone, images)
    np.testing.assert_allclose(logits, head.logits(features["val"]), atol=1e-5)


def test_a_cancelled_prediction_leaves_the_backbone_as_it_was(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled

    shifted = [values + 1 for values in backbone.model.get_weights()]
    with pytest.raises(Cancelled):
        predict(backbone, shifted, head, images["val"], RECIPE, stop)
    assert backbone.is_pristine()


def test_a_random_head_has_the_width_of_every_pooling(backbone: Backbone, images: dict[str, Images]) -> None:
    for pooling in recipes.POOLINGS:
        recipe = replace(RECIPE, pooling=pooling, fine_tune_epochs=1)
        tuned = fine_tune(backbone, None, images, recipe)
        assert tuned.head.kernel.shape == (backbones.num_features(backbone, pooling), 2)
