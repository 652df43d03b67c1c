"""Both stages on a tiny network: what learns, what stays as it was, what is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core import backbones, engines, recipes, training
from core.backbones import Backbone
from core.errors import Cancelled, DataError
from core.heads import Head
from core.images import iterate_decoded
from core.recipes import AUGMENTATIONS, Recipe
from core.training import Images
from core.workspace import Workspace

RECIPE = recipes.validate(
    Recipe(
        backbone="tiny",
        fine_tune_epochs=2,
        fine_tune_blocks=0.5,
        batch_size=8,
        head_epochs=20,
        learning_rate=1e-3,
        augment="none",
    )
)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, **values: Any) -> None:
        self.events.append((kind, values))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [values for name, values in self.events if name == kind]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return backbones.build(Workspace(tmp_path_factory.mktemp("graft")), "tiny")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    """Dark and bright noise: two classes that any network can tell apart."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)

    def write(split: str, number: int) -> Path:
        low, high = ((0, 120), (135, 255))[number % 2]
        path = folder / f"{split}-{number}.png"
        Image.fromarray(rng.integers(low, high, (40, 40, 3), dtype=np.uint8)).save(path)
        return path

    counts = {"train": 20, "val": 8, "test": 6}
    return {
        split: Images([write(split, number) for number in range(count)], np.arange(count) % 2)
        for split, count in counts.items()
    }


@pytest.fixture(scope="module")
def head(backbone: Backbone, images: dict[str, Images]) -> Head:
    return training.train_head(features_of(backbone, images), truth_of(images), 2, RECIPE, Heard())


def features_of(backbone: Backbone, images: Mapping[str, Images]) -> dict[str, np.ndarray]:
    forward = engines.forward(backbone)
    return {
        split: forward(np.stack(list(iterate_decoded(part.paths, backbone.image_size, RECIPE.resize))))
        for split, part in images.items()
    }


def truth_of(images: Mapping[str, Images]) -> dict[str, np.ndarray]:
    return {split: part.y_true for split, part in images.items()}


def test_stage_1_learns_and_tells_every_epoch(backbone: Backbone, images: dict[str, Images]) -> None:
    heard = Heard()
    features = features_of(backbone, images)
    head = training.train_head(features, truth_of(images), 2, RECIPE, heard)
    assert (head.logits(features["test"]).argmax(axis=1) == images["test"].y_true).all()
    epochs = heard.of("epoch")
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(epochs[0])
    assert epochs[-1]["loss"] < epochs[0]["loss"]


def test_stage_2_changes_what_it_returns_and_leaves_the_backbone_as_it_was(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    before = features_of(backbone, images)
    tuned = training.fine_tune(backbone, head, images, RECIPE, Heard())
    after = features_of(backbone, images)
    for split in before:
        np.testing.assert_array_equal(after[split], before[split])  # equal bits
    assert backbone.is_pristine()
    assert not any(variable.trainable for variable in backbone.model.trainable_weights)

    pristine = backbone.model.get_weights()
    changed = [not np.array_equal(old, new) for old, new in zip(pristine, tuned.weights, strict=True)]
    of_batch_norm = ["batch" in weight.path or "bn" in weight.path for weight in backbone.model.weights]
    assert any(changed)
    assert not any(change and norm for change, norm in zip(changed, of_batch_norm, strict=True))
    assert not np.array_equal(tuned.head.kernel, head.kernel)


def test_the_returned_weights_give_the_returned_logits(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    tuned = training.fine_tune(backbone, head, images, RECIPE, Heard())
    pristine = backbone.model.get_weights()
    backbone.model.set_weights(tuned.weights)
    try:
        for split, features in features_of(backbone, images).items():
            np.testing.assert_allclose(tuned.head.logits(features), tuned.logits[split], atol=1e-5)
    finally:
        backbone.model.set_weights(pristine)
    loss, _ = training.scores(tuned.logits["val"], images["val"].y_true)
    assert tuned.val_loss == pytest.approx(loss)


def test_the_best_epoch_on_validation_is_kept(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    heard = Heard()
    tuned = training.fine_tune(backbone, head, images, replace(RECIPE, fine_tune_epochs=4), heard)
    losses = [epoch["val_loss"] for epoch in heard.of("epoch")]
    assert len(losses) == 4
    assert tuned.val_loss == min(losses)
    assert tuned.epoch == losses.index(min(losses)) + 1


def test_two_trainings_of_one_seed_are_equal_and_of_two_are_not(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    recipe = replace(RECIPE, augment="light")
    first, again = (training.fine_tune(backbone, head, images, recipe, Heard()) for _ in range(2))
    other = training.fine_tune(backbone, head, images, replace(recipe, seed=1), Heard())
    np.testing.assert_array_equal(first.logits["test"], again.logits["test"])
    assert not np.array_equal(first.logits["test"], other.logits["test"])


def test_the_loss_of_an_epoch_is_that_of_all_its_images(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    recipe = replace(RECIPE, batch_size=4, fine_tune_epochs=1, learning_rate=1e-9, weight_decay=0.0)
    unsure = Head(head.kernel * 0.1, head.bias)
    heard = Heard()
    tuned = training.fine_tune(backbone, unsure, images, recipe, heard)
    (epoch,) = heard.of("epoch")
    loss, accuracy = training.scores(tuned.logits["train"], images["train"].y_true)
    assert epoch["loss"] == pytest.approx(loss, rel=1e-3)
    assert epoch["accuracy"] == pytest.approx(accuracy)


def test_progress_counts_images_and_never_goes_back(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    heard = Heard()
    training.fine_tune(backbone, head, images, RECIPE, heard)
    done = [values["done"] for values in heard.of("progress")]
    assert done == sorted(done)
    assert done[-1] == heard.of("progress")[-1]["total"] == 40


def test_a_cancelled_stage_2_leaves_the_backbone_as_it_was(
    backbone: Backbone, images: dict[str, Images], head: Head
) -> None:
    steps = 0

    def stop_at_the_third_step(kind: str, **values: Any) -> None:
        nonlocal steps
        steps += kind == "progress"
        if steps == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        training.fine_tune(backbone, head, images, RECIPE, stop_at_the_third_step)
    assert backbone.is_pristine()


def test_a_file_that_vanished_costs_its_own_row_only(
    backbone: Backbone, images: dict[str, Images], head: Head, tmp_path: Path
) -> None:
    paths = list(images["test"].paths)
    lost = dict(images) | {"test": Images([tmp_path / "gone.png", *paths[1:]], images["test"].y_true)}
    lost["train"] = Images([tmp_path / "gone too.png", *images["train"].paths[1:]], images["train"].y_true)
    tuned = training.fine_tune(backbone, head, lost, RECIPE, Heard())
    assert np.isnan(tuned.logits["test"][0]).all()
    assert not np.isnan(tuned.logits["test"][1:]).any()
    loss, accuracy = training.scores(tuned.logits["test"], images["test"].y_true)
    assert np.isfinite(loss) and 0 <= accuracy <= 1


def test_training_goes_on_with_the_images_that_are_left_and_ends_where_none_is(
    backbone: Backbone, images: dict[str, Images], head: Head, tmp_path: Path
) -> None:
    train = images["train"]
    one_left = Images([train.paths[0]] + [tmp_path / "gone.png"] * (len(train.paths) - 1), train.y_true)
    tuned = training.fine_tune(backbone, head, images | {"train": one_left}, RECIPE, Heard())
    assert np.isfinite(tuned.val_loss)
    none_left = Images([tmp_path / "gone.png"] * len(train.paths), train.y_true)
    with pytest.raises(DataError, match="No training image could be read any more"):
        training.fine_tune(backbone, head, images | {"train": none_left}, RECIPE, Heard())
    assert backbone.is_pristine()


@given(seed=st.integers(0, 1000), strength=st.sampled_from(AUGMENTATIONS), height=st.integers(8, 40))
def test_an_augmented_image_keeps_its_shape_and_its_colours(seed: int, strength: str, height: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, 24, 3), dtype=np.uint8)
    varied = training.augment(image, strength, rng)
    assert varied.shape == image.shape and varied.dtype == np.uint8
    assert set(map(tuple, varied.reshape(-1, 3))) <= set(map(tuple, image.reshape(-1, 3)))
    if strength == "none":
        np.testing.assert_array_equal(varied, image)


def test_only_light_augmentation_mirrors() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:, 24:] = 255  # the bright side stays on the right unless mirrored
    sides = {
        strength: {
            bool(training.augment(image, strength, np.random.default_rng(seed))[:, :4].mean() > 100)
            for seed in range(30)
        }
        for strength in ("shift", "light")
    }
    assert sides == {"shift": {False}, "light": {False, True}}


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    schedule = training._schedule(RECIPE, 100)
    rates = [float(schedule(step)) for step in range(101)]
    assert max(rates) == pytest.approx(RECIPE.learning_rate, rel=1e-3)
    assert rates.index(max(rates)) == 10
    assert rates[0] < rates[5] < rates[10] > rates[50] > rates[99]
    assert rates[100] == pytest.approx(0.0, abs=1e-8)
