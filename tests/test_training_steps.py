"""What one step of stage 2 learns from, how far each layer moves, and how the learning rate goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core import augmentation
from core.backbones import Backbone
from core.recipes import OPTIMIZERS, Recipe
from core.training import Images
from core.training.batches import Batch, iterate_batches, varied_anew
from core.training.learner import Learner, layer_factors, trained_blocks
from core.training.optimizers import learning_rate
from tests.training_worlds import RECIPE, make_backbone, make_images

SIZE = (32, 32)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    return make_images(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return make_backbone(tmp_path)


# --- batches ------------------------------------------------------------------------------------------------------


def batches(images: Images, recipe: Recipe, epoch: int = 1, batch_size: int = 8) -> list[Batch]:
    inputs_of = varied_anew(images, recipe, SIZE, epoch)
    return list(iterate_batches(images, 2, recipe, batch_size, epoch, inputs_of))


def test_an_epoch_holds_every_image_once_and_batches_of_one_size(images: dict[str, Images]) -> None:
    made = batches(images["train"], RECIPE)
    assert [batch.inputs.shape for batch in made] == [
        (8, 32, 32, 3)
    ] * 3  # 20 images, the last batch filled up
    seen = [pixels.tobytes() for batch in made for pixels in batch.inputs]
    assert len(set(seen)) == len(set(seen[:20])) == 20
    assert made[0].inputs.dtype == made[0].targets.dtype == np.float32
    assert 100 < np.concatenate([batch.inputs for batch in made]).max() <= 255


def test_what_a_teacher_says_is_learnt_and_mixed_like_labels(images: dict[str, Images]) -> None:
    train = images["train"]
    says = np.stack([1 - 0.01 * np.arange(20), 0.01 * np.arange(20)], axis=1).astype(np.float32)
    taught = replace(train, targets=says)
    shown = {row.tobytes() for row in says}
    for batch in batches(taught, RECIPE):
        assert {row.tobytes() for row in batch.targets} <= shown
    rare = batches(taught, replace(RECIPE, balance="class_weights"))[0]
    np.testing.assert_allclose(rare.weights, 1, atol=1e-6)  # both classes have ten pictures
    mixed = batches(taught, replace(RECIPE, augment=augmentation.Augmentation(mixup=0.4)))[0]
    np.testing.assert_allclose(mixed.targets.sum(axis=1), 1, atol=1e-6)
    assert not {row.tobytes() for row in mixed.targets} <= shown


def test_the_targets_are_those_of_the_pictures(images: dict[str, Images]) -> None:
    for batch in batches(images["train"], RECIPE):
        np.testing.assert_array_equal(batch.targets.argmax(axis=1), batch.inputs.mean(axis=(1, 2, 3)) > 128)
        np.testing.assert_array_equal(batch.weights, 1)


def test_epochs_differ_and_each_is_the_same_again(images: dict[str, Images]) -> None:
    recipe = replace(RECIPE, augment=augmentation.PRESETS["strong"])
    first, again, second = (batches(images["train"], recipe, epoch) for epoch in (1, 1, 2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.targets, other.targets)
    assert not np.array_equal(first[0].inputs, second[0].inputs)


def test_mixed_pictures_have_mixed_targets_and_weights(images: dict[str, Images]) -> None:
    skewed = Images(images["train"].paths[:9], np.array([0, 1, 0, 0, 1, 0, 0, 1, 0]))
    recipe = replace(
        RECIPE, balance="class_weights", augment=replace(augmentation.PRESETS["none"], mixup=1.0)
    )
    (batch,) = batches(skewed, recipe, batch_size=9)
    np.testing.assert_allclose(batch.targets.sum(axis=1), 1, rtol=1e-6)
    assert ((batch.targets > 0) & (batch.targets < 1)).any()
    np.testing.assert_allclose(batch.weights, batch.targets @ [9 / 12, 9 / 6], rtol=1e-6)
    assert batch.weights.mean() == pytest.approx(1, abs=1e-6)


def test_sampling_draws_the_classes_equally_often(images: dict[str, Images]) -> None:
    skewed = Images(images["train"].paths[:12], np.array([1] + [0] * 11))
    made = batches(skewed, replace(RECIPE, balance="sampling"), batch_size=4)
    assert sum(batch.targets[:, 1].sum() for batch in made) == 6
    np.testing.assert_array_equal(made[0].weights, 1)


# --- how far each layer moves -------------------------------------------------------------------------------------


@pytest.fixture
def batch() -> Batch:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, *SIZE, 3)).astype(np.float32)
    return Batch(pixels, np.eye(2, dtype=np.float32)[np.arange(8) % 2], np.ones(8, np.float32))


def learner_of(backbone: Backbone, recipe: Recipe) -> Learner:
    return Learner(backbone, None, 2, recipe, trained_blocks(backbone, recipe))


def moved(backbone: Backbone, recipe: Recipe, batch: Batch, rate: float = 1e-3) -> dict[str, np.ndarray]:
    """Return how far one step moves each weight of the backbone and the head."""
    learner = learner_of(backbone, recipe)
    before, head = backbone.model.get_weights(), learner.head()
    learner.step(batch, rate)
    after = {"head/kernel": learner.head().kernel - head.kernel}
    for weight, old, new in zip(backbone.model.weights, before, backbone.model.get_weights(), strict=True):
        after[weight.path] = new - old
    backbone.model.set_weights(before)
    return after


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_lower_blocks_take_smaller_steps_with_every_optimizer(
    backbone: Backbone, batch: Batch, optimizer: str
) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, fine_tune_blocks=1.0, weight_decay=0.0, layer_decay=1.0)
    full = moved(backbone, recipe, batch)
    decayed = moved(backbone, replace(recipe, layer_decay=0.5), batch)
    for path, factor in {
        "head/kernel": 1,
        "top_conv/kernel": 1,
        "block3_conv/kernel": 1,
        "block2_conv/kernel": 0.5,
        "block1_conv/kernel": 0.25,
    }.items():
        assert np.abs(full[path]).max() > 0
        np.testing.assert_allclose(decayed[path], factor * full[path], rtol=1e-2, atol=1e-7)
        assert np.linalg.norm(decayed[path]) == pytest.approx(factor * np.linalg.norm(full[path]), rel=1e-3)


def test_the_rate_is_the_one_of_the_step(backbone: Backbone, batch: Batch) -> None:
    recipe = replace(RECIPE, optimizer="sgd", weight_decay=0.0)
    once, thrice = (moved(backbone, recipe, batch, rate)["head/kernel"] for rate in (1e-3, 3e-3))
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-2, atol=1e-8)


def test_decay_pulls_kernels_by_the_rate_of_their_layer(backbone: Backbone, batch: Batch) -> None:
    recipe = replace(RECIPE, fine_tune_blocks=1.0, layer_decay=0.5, train_batch_norm=True)
    kernels = {weight.path: weight.value.numpy() for weight in backbone.model.weights}
    plain = moved(backbone, replace(recipe, weight_decay=0.0), batch)
    pulled = moved(backbone, replace(recipe, weight_decay=1.0), batch)
    for path, factor in (("block3_conv/kernel", 1), ("block1_conv/kernel", 0.25)):
        expected = -1e-3 * factor * kernels[path]
        np.testing.assert_allclose(pulled[path] - plain[path], expected, atol=1e-6)
    np.testing.assert_allclose(pulled["block3_bn/gamma"], plain["block3_bn/gamma"], atol=1e-8)
    adam = moved(backbone, replace(recipe, weight_decay=1.0, optimizer="adam"), batch)
    np.testing.assert_allclose(adam["block3_conv/kernel"], plain["block3_conv/kernel"], atol=1e-8)


def test_only_the_asked_blocks_move_and_normalisation_never_does(backbone: Backbone, batch: Batch) -> None:
    changes = moved(backbone, replace(RECIPE, fine_tune_blocks=0.34), batch)
    assert {path for path, change in changes.items() if change.any()} == {
        "head/kernel",
        "block3_conv/kernel",
        "block2_conv/kernel",
        "top_conv/kernel",
    }


def test_a_gradient_that_is_too_long_is_shortened(backbone: Backbone, batch: Batch) -> None:
    recipe = replace(RECIPE, optimizer="sgd", fine_tune_blocks=1.0, layer_decay=1.0)
    heavy = batch._replace(weights=np.full(8, 1e4, np.float32))
    changes = moved(backbone, recipe, heavy, rate=1.0)
    length = np.sqrt(sum((change**2).sum() for change in changes.values()))
    assert 0.9 < length <= 1.01  # the bias of the head is the only one that is not counted


def test_class_weights_count_in_the_loss(backbone: Backbone, batch: Batch) -> None:
    recipe = replace(RECIPE, optimizer="sgd")
    first = batch._replace(weights=np.array([2, 0] * 4, np.float32))
    only = Batch(batch.inputs[::2], batch.targets[::2], np.ones(4, np.float32))
    np.testing.assert_allclose(
        moved(backbone, recipe, first)["head/kernel"],
        moved(backbone, recipe, only)["head/kernel"],
        rtol=1e-3,
        atol=1e-8,
    )


def test_the_topmost_trained_block_has_the_whole_rate(backbone: Backbone) -> None:
    factors = layer_factors(backbone.blocks, 2, 0.5)
    assert factors["block3_conv"] == factors["top_conv"] == 1
    assert factors["block2_conv"] == 0.5
    assert "block1_conv" not in factors


# --- 16 bits ------------------------------------------------------------------------------------------------------


def test_in_16_bits_the_network_computes_in_16_and_keeps_weights_and_logits_in_32(
    backbone: Backbone, batch: Batch
) -> None:
    pristine = backbone.model.get_weights()
    learner = learner_of(backbone, replace(RECIPE, mixed_precision=True))
    twin = learner._learning
    assert twin.get_layer("block2_conv").compute_dtype == "float16"
    assert twin.get_layer("head").compute_dtype == "float32"
    assert {weight.dtype for weight in twin.weights} == {"float32"}
    learner.step(batch, 1e-3)
    for before, now in zip(pristine, backbone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)  # the backbone hears of it at the end of the epoch
    learner.publish()
    assert not backbone.is_pristine()


def test_16_bits_learn_what_32_do(backbone: Backbone, batch: Batch) -> None:
    ends = []
    for mixed_precision in (False, True):
        learner = learner_of(backbone, replace(RECIPE, mixed_precision=mixed_precision))
        pristine = backbone.model.get_weights()
        ends.append([learner.step(batch, 1e-2)["log_loss"] for _ in range(30)])
        backbone.model.set_weights(pristine)
    assert ends[0][-1] < 0.5 * ends[0][0]
    assert ends[1][-1] < 0.5 * ends[1][0]
    assert ends[1][0] == pytest.approx(ends[0][0], rel=0.02)


# --- the state ----------------------------------------------------------------------------------------------------


def test_a_restored_state_goes_on_as_it_did(backbone: Backbone, batch: Batch) -> None:
    recipe = replace(RECIPE, dropout=0.5, dense_units=4, head_solver="adam")
    learner = learner_of(backbone, recipe)

    def go_on() -> Iterator[Any]:
        learner.seed(recipe.seed, 2)
        yield from (learner.step(batch, 1e-2)["log_loss"] for _ in range(3))

    learner.step(batch, 1e-2)
    state = learner.state()
    first = list(go_on())
    learner.restore(state)
    np.testing.assert_allclose(list(go_on()), first, atol=1e-6)
    assert learner.accepts(state)
    narrow = learner_of(backbone, replace(recipe, dense_units=3))
    assert not narrow.accepts(state)


def test_dropout_differs_from_epoch_to_epoch(backbone: Backbone, batch: Batch) -> None:
    learner = learner_of(backbone, replace(RECIPE, dropout=0.5, head_solver="adam"))
    seen = []
    for epoch in (1, 1, 2):
        learner.seed(0, epoch)
        seen.append(learner.step(batch, 0.0)["log_loss"])
    assert seen[0] == pytest.approx(seen[1], abs=1e-6)
    assert abs(seen[0] - seen[2]) > 1e-4


# --- the learning rate --------------------------------------------------------------------------------------------


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [learning_rate(RECIPE, step / 100) for step in range(101)]
    assert max(rates) == pytest.approx(RECIPE.learning_rate)
    assert rates.index(max(rates)) == 10
    assert rates[0] == 0 < rates[5] < rates[10] > rates[50] > rates[99]
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    keras_schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 90, warmup_target=RECIPE.learning_rate, warmup_steps=10
    )
    np.testing.assert_allclose(rates, [float(keras_schedule(step)) for step in range(101)], atol=1e-9)


def test_a_constant_rate_stays() -> None:
    constant = replace(RECIPE, schedule="constant")
    assert {learning_rate(constant, share / 10) for share in range(11)} == {RECIPE.learning_rate}
