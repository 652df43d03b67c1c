"""What leaves the frozen blocks is computed once, and stage 2 is otherwise as it was."""

from __future__ import annotations

import errno
import gc
import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from core import augmentation, backbones, engines, recipes, training
from core.backbones import Backbone
from core.engines import Engine
from core.errors import Cancelled
from core.forecast import kept_boundary
from core.recipes import Recipe
from core.training import FineTuned, Images, boundary, checkpoints
from core.training.batches import Batch
from core.training.learner import Learner
from tests.training_worlds import RECIPE, Heard, Killed, Until, head_of, make_backbone, make_images, predict

VIEWS = replace(RECIPE, fine_tune_epochs=4, views=2, augment=augmentation.PRESETS["light"])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    return make_images(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return make_backbone(tmp_path / "graft")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def fine_tune(
    backbone: Backbone,
    images: dict[str, Images],
    recipe: Recipe,
    listen: training.Listen,
    scratch: Path | None,
    **settings: Any,
) -> FineTuned:
    head = head_of(backbone, images, RECIPE)
    return training.fine_tune(backbone, head, images, 2, recipe, listen, scratch=scratch, **settings)


def counting(counts: list[int]) -> Callable[[Backbone, str, int], Engine]:
    """Engines that note how many pictures they are given."""

    class Counted:
        batch_size, precision = 32, "counted"

        def __init__(self, engine: Engine) -> None:
            self._engine = engine

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            counts.append(len(pixels))
            return self._engine(pixels)

    return lambda *asked: Engine(Counted(engines.current(*asked)))  # type: ignore[arg-type]


def assert_equal(one: FineTuned, other: FineTuned, atol: float = 1e-5) -> None:
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)
    for name, values in one.head.to_arrays().items():
        np.testing.assert_allclose(values, other.head.to_arrays()[name], atol=atol)
    np.testing.assert_allclose(one.val_logits, other.val_logits, atol=10 * atol)
    assert (one.epoch, one.num_epochs, one.stopped) == (other.epoch, other.num_epochs, other.stopped)


# --- splitting a network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_upper", [1, 2])
def test_the_parts_of_a_network_make_the_whole(backbone: Backbone, num_upper: int) -> None:
    parts = backbones.split(backbone, num_upper)
    assert parts is not None
    lower, upper = parts
    assert [block.name for block in (*lower.blocks, *upper.blocks)] == [
        block.name for block in backbone.blocks
    ]
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(upper.model(lower.model(pixels)), backbone.model(pixels), atol=1e-5)
    assert lower.is_pristine() and upper.is_pristine()
    assert backbones.split(backbone, num_upper) is parts


def test_without_a_frozen_block_there_are_no_parts(backbone: Backbone) -> None:
    assert backbones.split(backbone, 3) is None


def test_a_network_that_looks_back_further_has_no_parts(backbone: Backbone, tmp_path: Path) -> None:
    block1 = backbone.model.get_layer("block1_relu").output
    block2 = backbone.model.get_layer("block2_relu").output
    back = keras.layers.Conv2D(32, 1, 4, padding="same", name="block3_back")(block1)
    end = keras.layers.Add(name="block3_add")([backbone.model.get_layer("block3_relu").output, back])
    model = keras.Model(backbone.model.input, end)
    strange = replace(backbone, model=model, blocks=backbones.find_blocks(model, r"(block\d)_"))
    assert block2.shape[1] == 8 and backbones.split(strange, 1) is None


# --- when it is done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"augment": augmentation.PRESETS["light"], "views": 4}, ""),
        ({"augment": augmentation.PRESETS["light"]}, "views is 0"),
        ({"augment": augmentation.PRESETS["medium"], "views": 4}, "stronger than a few kept variations"),
        ({"augment": augmentation.Augmentation(crop=0.3), "views": 4}, "stronger"),
        ({"augment": augmentation.Augmentation(mixup=0.2)}, "MixUp and CutMix mix pixels"),
        ({"fine_tune_blocks": 1.0}, "no part of the network stays frozen"),
        ({"mixed_precision": True}, "16 bits"),
    ],
)
def test_the_log_says_which_way_was_taken_and_why(
    backbone: Backbone, images: dict[str, Images], scratch: Path, changes: dict[str, Any], reason: str
) -> None:
    heard = Until("progress", 1, Cancelled)
    recipe = recipes.validate(replace(RECIPE, **changes))
    with pytest.raises(Cancelled):
        fine_tune(backbone, images, recipe, heard, scratch)
    (line,) = heard.of("log")
    if reason:
        assert (
            f"every epoch begins with the pixels, since {line['text'].partition('since ')[2]}" in line["text"]
        )
        assert reason in line["text"]
    else:
        assert "what leaves the last frozen block is computed once" in line["text"]


def test_the_log_says_that_fewer_variations_are_kept_and_an_epoch_draws_of_these(
    backbone: Backbone, images: dict[str, Images], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_boundary, "MAX_BYTES", 16 * 16 * 8 * (20 * 3 * 2 + 8 * 4))
    heard, fewer = Heard(), Heard()
    tuned = fine_tune(backbone, images, replace(VIEWS, views=4), heard, scratch)
    assert_equal(tuned, fine_tune(backbone, images, VIEWS, fewer, scratch), atol=0)
    assert "(1 of 3 a picture, not more since keeping it would take 0.0 GB" in heard.of("log")[0]["text"]
    assert "(1 of 3 a picture)" in fewer.of("log")[0]["text"]


# --- what it does -------------------------------------------------------------------------------------------------


def test_in_32_bits_it_learns_what_the_pixels_teach(
    backbone: Backbone, images: dict[str, Images], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "TRAIN_TYPE", np.float32)
    assert_equal(
        fine_tune(backbone, images, RECIPE, Heard(), scratch),
        fine_tune(backbone, images, RECIPE, Heard(), None),
        atol=1e-4,
    )


def test_in_16_bits_the_loss_is_nearly_the_same(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    kept = fine_tune(backbone, images, RECIPE, Heard(), scratch)
    anew = fine_tune(backbone, images, RECIPE, Heard(), None)
    assert kept.val_loss == pytest.approx(anew.val_loss, rel=0.01)


def test_each_picture_and_variation_is_computed_once(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    counts: list[int] = []
    recipe = replace(VIEWS, fine_tune_epochs=20, patience=0)
    fine_tune(backbone, images, recipe, Heard(), scratch, engine_of=counting(counts))
    assert sum(counts) == 20 * 3 + 8


def test_epochs_draw_pictures_and_variations(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    parts = backbones.split(backbone, 2)
    assert parts is not None
    engine = engines.current(parts[0], "flatten", 1)
    kept = boundary.Boundary(parts[0], engine, images, VIEWS, 3, scratch)
    order = np.arange(20)
    epochs = [
        np.stack([row for row in kept.train(epoch, lambda: None)(order) if row is not None])
        for epoch in (1, 1, 2)
    ]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    differs = (epochs[0] != epochs[2]).any(axis=(1, 2, 3))
    assert 5 < differs.sum() < 20
    assert kept.num_computed == 20 + differs.sum()


def test_the_logits_of_val_are_those_of_the_whole_network(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    tuned = fine_tune(backbone, images, VIEWS, Heard(), scratch)
    logits = predict(backbone, tuned.weights, tuned.head, images["val"], VIEWS)
    np.testing.assert_allclose(logits, tuned.val_logits, atol=1e-5)


def test_a_backbone_that_stays_warm_does_not_keep_the_heads_it_has_had(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    made: list[weakref.ref[Any]] = []
    dense = keras.layers.Dense

    class Noted(dense):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            made.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.layers, "Dense", Noted)
        for folder in (scratch, None):
            fine_tune(backbone, images, replace(VIEWS, fine_tune_epochs=1), Heard(), folder)
    gc.collect()
    assert made and not any(layer() for layer in made)


def test_the_backbone_is_pristine_afterwards_and_normalisation_as_it_was(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    before = backbone.model.get_weights()
    tuned = fine_tune(backbone, images, VIEWS, Heard(), scratch)
    assert backbone.is_pristine()
    moved = {
        weight.path
        for weight, old, new in zip(backbone.model.weights, before, tuned.weights, strict=True)
        if not np.array_equal(old, new)
    }
    assert moved == {"block2_conv/kernel", "block3_conv/kernel", "top_conv/kernel"}


def test_the_first_step_waits_for_its_own_batch_only(
    backbone: Backbone, images: dict[str, Images], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "_BATCH_SIZE", 4)
    counts: list[int] = []
    before_step: list[int] = []
    real = Learner.step

    def step(self: Learner, batch: Batch, learning_rate: float) -> dict[str, float]:
        before_step.append(sum(counts))
        return real(self, batch, learning_rate)

    heard, recipe = Heard(), replace(VIEWS, batch_size=4, fine_tune_epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", step)
        tuned = fine_tune(backbone, images, recipe, heard, scratch, engine_of=counting(counts))
    assert before_step == [4, 8, 12, 16, 20]
    # What counts as done begins with the first step, which was compiled until then.
    kinds = [kind for kind, _ in heard.events]
    told = [values.get("done", 0) for _, values in heard.events]
    compiling = kinds.index("compiling")
    assert not any(told[:compiling]) and told[compiling + 1] == 4 + 4
    monkeypatch.setattr(boundary, "_BATCH_SIZE", 32)
    assert_equal(tuned, fine_tune(backbone, images, recipe, Heard(), scratch))


def test_progress_only_rises_and_ends_at_its_total(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    heard = Heard()
    fine_tune(backbone, images, VIEWS, heard, scratch)
    told = [(event["done"], event["total"]) for event in heard.of("progress")]
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] and len({total for _, total in told}) == 1


def test_files_that_vanish_are_left_out(backbone: Backbone, tmp_path: Path, scratch: Path) -> None:
    images = make_images(tmp_path / "own")
    head = head_of(backbone, images, RECIPE)
    images["train"].paths[3].unlink()
    images["val"].paths[2].write_bytes(b"not a picture")
    tuned = training.fine_tune(backbone, head, images, 2, VIEWS, Heard(), scratch=scratch)
    assert np.flatnonzero(np.isnan(tuned.val_logits).any(axis=1)).tolist() == [2]


def test_a_batch_too_large_is_halved_here_too(
    backbone: Backbone, images: dict[str, Images], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Learner.step

    def small_memory(self: Learner, batch: Batch, learning_rate: float) -> dict[str, float]:
        if len(batch.inputs) > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return real(self, batch, learning_rate)

    heard = Heard()
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", small_memory)
        tuned = fine_tune(backbone, images, VIEWS, heard, scratch)
    assert heard.of("batch_halved") == [{"batch_size": 4}]
    assert_equal(tuned, fine_tune(backbone, images, replace(VIEWS, batch_size=4), Heard(), scratch))


# --- stopping and going on ----------------------------------------------------------------------------------------


def test_killed_and_resumed_it_ends_where_an_uninterrupted_one_does(
    images: dict[str, Images], scratch: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.npz"

    def process(listen: training.Listen, checkpoint: Path | None) -> FineTuned:
        """Begin from nothing, as another process would."""
        backbone = make_backbone(tmp_path / "graft")
        return fine_tune(backbone, images, VIEWS, listen, scratch, checkpoint=checkpoint)

    expected = process(Heard(), None)
    with pytest.raises(Killed):
        process(Until("epoch", 2, Killed), checkpoint)
    heard = Heard()
    assert_equal(process(heard, checkpoint), expected)
    assert heard.of("resumed")[0]["epoch"] == 2


def test_a_checkpoint_of_one_way_is_good_for_the_other(
    backbone: Backbone, images: dict[str, Images], scratch: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.npz"
    expected = fine_tune(backbone, images, RECIPE, Heard(), None)
    with pytest.raises(Killed):
        fine_tune(backbone, images, RECIPE, Until("epoch", 1, Killed), scratch, checkpoint=checkpoint)
    heard = Heard()
    tuned = fine_tune(backbone, images, RECIPE, heard, None, checkpoint=checkpoint)
    assert heard.of("resumed")[0]["epoch"] == 1
    assert tuned.val_loss == pytest.approx(expected.val_loss, rel=0.01)


@pytest.mark.parametrize(
    ("before", "now", "goes_on_with", "said"),
    [
        (3, 5, 3, ""),  # there is more room by now
        (0, 5, 0, "begins with the pixels, as those before the interruption"),
        (5, 3, 3, "drew 1 of 5 kept variations of a picture. It will not end exactly"),
        (5, 0, 0, "drew 1 of 5 kept variations of a picture. It will not end exactly"),
    ],
)
def test_taken_up_again_it_draws_of_as_many_variations_as_before_or_says_why_not(
    backbone: Backbone,
    images: dict[str, Images],
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    now: int,
    goes_on_with: int,
    said: str,
) -> None:
    checkpoint, recipe = tmp_path / "checkpoint.npz", replace(VIEWS, views=4)

    def room_for(num_variants: int) -> None:
        monkeypatch.setattr(kept_boundary, "MAX_BYTES", 16 * 16 * 8 * (20 * num_variants * 2 + 8 * 4))

    room_for(before)
    with pytest.raises(Killed):
        fine_tune(backbone, images, recipe, Until("epoch", 1, Killed), scratch, checkpoint=checkpoint)
    room_for(now)
    heard = Until("epoch", 1, Killed)
    with pytest.raises(Killed):
        fine_tune(backbone, images, recipe, heard, scratch, checkpoint=checkpoint)
    assert heard.of("resumed")[0]["epoch"] == 1
    record = checkpoints.load_record(checkpoint, "")
    assert record is not None and (record.epoch, record.num_variants) == (2, goes_on_with)
    log = " ".join(line["text"] for line in heard.of("log"))
    assert said in log and ("interruption" in log) == bool(said)


@pytest.mark.parametrize("events", [1, 5])
def test_cancelled_while_it_fills_or_later_it_stops_and_leaves_nothing(
    backbone: Backbone, images: dict[str, Images], scratch: Path, events: int
) -> None:
    recipe = replace(VIEWS, batch_size=4)
    with pytest.raises(Cancelled):
        fine_tune(backbone, images, recipe, Until("progress", events, Cancelled), scratch)
    assert backbone.is_pristine()
    assert os.listdir(scratch) == []


def test_its_file_has_no_name_so_that_a_kill_leaves_none(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    seen: list[list[str]] = []

    def look(kind: str, **values: Any) -> None:
        seen.append(os.listdir(scratch))

    fine_tune(backbone, images, RECIPE, look, scratch)
    assert len(seen) > 4 and not any(seen)


def test_with_a_disk_that_is_full_after_all_it_begins_with_the_pixels(
    backbone: Backbone, images: dict[str, Images], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(boundary, "_reserve", full)
    heard = Heard()
    fine_tune(backbone, images, RECIPE, heard, scratch)
    (line,) = heard.of("log")
    assert line["text"].endswith(
        "every epoch begins with the pixels, since the disk has no room (No space left on device)."
    )


def test_the_first_step_is_announced_since_it_cannot_hear(
    backbone: Backbone, images: dict[str, Images], scratch: Path
) -> None:
    heard = Heard()
    fine_tune(backbone, images, VIEWS, heard, scratch)
    kinds = [kind for kind, _ in heard.events]
    assert kinds.count("compiling") == 1
    assert kinds[: kinds.index("compiling")] == ["log", "progress"]
