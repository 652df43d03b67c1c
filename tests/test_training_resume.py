"""A killed stage 2 goes on from its last finished epoch as if nothing had happened."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core import augmentation, recipes, training
from core.backbones import Backbone
from core.errors import Cancelled, WorkspaceError
from core.heads import Head
from core.recipes import Recipe
from core.training import FineTuned, Images
from core.training.batches import Batch
from core.training.learner import Learner
from tests.training_worlds import RECIPE, Heard, Killed, Until, head_of, make_backbone, make_images, predict

EPOCHS = 4
HARD = replace(
    RECIPE,
    fine_tune_epochs=EPOCHS,
    views=1,
    dense_units=6,
    dropout=0.3,
    head_solver="adam",
    head_epochs=3,
    augment=augmentation.PRESETS["strong"],
)
RECIPES = {
    "dropout views mixup": HARD,
    "sgd sampling cutmix": replace(
        RECIPE,
        fine_tune_epochs=EPOCHS,
        optimizer="sgd",
        balance="sampling",
        augment=replace(augmentation.PRESETS["medium"], cutmix=1.0),
    ),
    "16 bits": replace(RECIPE, fine_tune_epochs=EPOCHS, mixed_precision=True),
    "scratch": replace(
        RECIPE, fine_tune_epochs=EPOCHS, weights="random", train_batch_norm=True, fine_tune_blocks=1.0
    ),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    return make_images(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return make_backbone(tmp_path / "graft")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "fine-tune.npz"


def fine_tune(
    backbone: Backbone,
    head: Head | None,
    images: dict[str, Images],
    recipe: Recipe,
    listen: training.Listen,
    checkpoint: Path | None = None,
    fingerprint: str = "one training",
) -> FineTuned:
    return training.fine_tune(
        backbone, head, images, 2, recipe, listen, checkpoint=checkpoint, fingerprint=fingerprint
    )


def assert_equal(one: FineTuned, other: FineTuned) -> None:
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for name, values in one.head.to_arrays().items():
        np.testing.assert_allclose(values, other.head.to_arrays()[name], atol=1e-5)
    np.testing.assert_allclose(one.val_logits, other.val_logits, atol=1e-5)
    assert (one.epoch, one.num_epochs, one.stopped) == (other.epoch, other.num_epochs, other.stopped)
    assert one.val_loss == pytest.approx(other.val_loss, abs=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_killed_and_resumed_it_ends_where_an_uninterrupted_one_does(
    images: dict[str, Images], checkpoint: Path, tmp_path: Path, name: str
) -> None:
    recipe = recipes.validate(RECIPES[name])
    seed = 3 if recipe.weights else None
    killed_after = 2

    def process(listen: training.Listen, checkpoint: Path | None) -> FineTuned:
        """Do both stages from nothing, as another process would."""
        backbone = make_backbone(tmp_path / "graft", random_seed=seed)
        head = None if seed else head_of(backbone, images, recipe)
        return fine_tune(backbone, head, images, recipe, listen, checkpoint)

    whole = Heard()
    expected = process(whole, None)
    with pytest.raises(Killed):
        process(Until("epoch", killed_after, Killed), checkpoint)
    heard = Heard()
    resumed = process(heard, checkpoint)
    assert_equal(resumed, expected)
    (told,) = heard.of("resumed")
    assert told["epoch"] == killed_after
    assert [epoch["epoch"] for epoch in told["history"]] == list(range(1, killed_after + 1))
    epochs = told["history"] + heard.of("epoch")
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, EPOCHS + 1))
    for ours, theirs in zip(epochs, whole.of("epoch"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
        assert ours["learning_rate"] == pytest.approx(theirs["learning_rate"])


def test_killed_twice_and_within_an_epoch_it_still_ends_there(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    head = head_of(backbone, images, HARD)
    expected = fine_tune(backbone, head, images, HARD, Heard())
    for events in (6, 7):  # of four or so in an epoch
        with pytest.raises(Killed):
            fine_tune(backbone, head, images, HARD, Until("progress", events, Killed), checkpoint)
        assert backbone.is_pristine()
    heard = Heard()
    assert_equal(fine_tune(backbone, head, images, HARD, heard, checkpoint), expected)
    assert heard.of("resumed")[0]["epoch"] == 2


def test_the_best_epoch_and_the_patience_survive_a_kill(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    wrong = {**images, "val": Images(images["val"].paths, 1 - images["val"].y_true)}
    recipe = replace(RECIPE, fine_tune_epochs=20, patience=3, fine_tune_blocks=1.0)
    expected = fine_tune(backbone, None, wrong, recipe, Heard())
    assert expected.stopped == "patience"
    killed_after = expected.epoch + 2  # the best one is not the last one
    with pytest.raises(Killed):
        fine_tune(backbone, None, wrong, recipe, Until("epoch", killed_after, Killed), checkpoint)
    resumed = fine_tune(backbone, None, wrong, recipe, Heard(), checkpoint)
    assert_equal(resumed, expected)


def test_a_finished_training_is_not_trained_again(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    head = head_of(backbone, images)
    first = fine_tune(backbone, head, images, RECIPE, Heard(), checkpoint)
    heard = Heard()
    assert_equal(fine_tune(backbone, head, images, RECIPE, heard, checkpoint), first)
    assert [kind for kind, _ in heard.events] == ["resumed"]


def test_cancelled_right_after_it_resumed_it_keeps_what_it_had(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    head = head_of(backbone, images)
    with pytest.raises(Killed):
        fine_tune(backbone, head, images, RECIPE, Until("epoch", 1, Killed), checkpoint)
    tuned = fine_tune(backbone, head, images, RECIPE, Until("resumed", 1, Cancelled), checkpoint)
    assert (tuned.stopped, tuned.num_epochs) == ("cancelled", 1)
    logits = predict(backbone, tuned.weights, tuned.head, images["val"], RECIPE)
    np.testing.assert_allclose(logits, tuned.val_logits, atol=1e-5)


def test_the_best_epoch_is_had_from_the_checkpoint_without_a_step_also_by_another_network(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path, tmp_path: Path
) -> None:
    head = head_of(backbone, images)
    with pytest.raises(Killed):
        training.fine_tune(
            backbone,
            head,
            images,
            2,
            replace(RECIPE, fine_tune_epochs=9),
            Until("epoch", 2, Killed),
            checkpoint=checkpoint,
            fingerprint="one training",
            scratch=tmp_path,
        )
    another = make_backbone(tmp_path / "graft")
    heard = Until("compiling", 1, Cancelled)
    tuned = fine_tune(another, head, images, replace(RECIPE, fine_tune_epochs=9), heard, checkpoint)
    assert (tuned.stopped, tuned.num_epochs) == ("cancelled", 2)
    assert heard.of("epoch") == []
    logits = predict(another, tuned.weights, tuned.head, images["val"], RECIPE)
    np.testing.assert_allclose(logits, tuned.val_logits, atol=1e-4)


def test_the_time_of_epochs_before_a_kill_counts_for_the_limit(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    head, recipe = head_of(backbone, images), replace(RECIPE, fine_tune_epochs=9)
    first = Until("epoch", 2, Killed)
    with pytest.raises(Killed):
        fine_tune(backbone, head, images, recipe, first, checkpoint)
    spent = sum(epoch["seconds"] for epoch in first.of("epoch"))
    tuned = training.fine_tune(
        backbone,
        head,
        images,
        2,
        recipe,
        Heard(),
        checkpoint=checkpoint,
        fingerprint="one training",
        deadline=time.monotonic() + spent,
    )
    assert (tuned.stopped, tuned.num_epochs) == ("time", 2)


def test_a_halved_batch_stays_halved_after_a_kill(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = head_of(backbone, images)
    real = Learner.step

    def small_memory(self: Learner, batch: Batch, learning_rate: float) -> dict[str, float]:
        if len(batch.inputs) > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return real(self, batch, learning_rate)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Learner, "step", small_memory)
        fine_tune(backbone, head, images, RECIPE, Until("epoch", 1, Killed), checkpoint)
    tuned = fine_tune(backbone, head, images, RECIPE, Heard(), checkpoint)
    assert tuned.batch_size == 4
    assert_equal(tuned, fine_tune(backbone, head, images, replace(RECIPE, batch_size=4), Heard()))


@pytest.mark.parametrize("damage", ["cut short", "a byte altered", "empty", "no archive", "another network"])
def test_a_damaged_or_foreign_checkpoint_is_left_aside(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path, damage: str
) -> None:
    head = head_of(backbone, images)
    other = replace(RECIPE, fine_tune_blocks=1.0) if damage == "another network" else RECIPE
    with pytest.raises(Killed):
        fine_tune(backbone, head, images, other, Until("epoch", 1, Killed), checkpoint)
    written = checkpoint.read_bytes()
    middle = len(written) // 2
    checkpoint.write_bytes(
        {
            "cut short": written[:middle],
            "a byte altered": written[:middle] + bytes([written[middle] ^ 255]) + written[middle + 1 :],
            "empty": b"",
            "no archive": b"\x00" * 100,
            "another network": written,
        }[damage]
    )
    heard = Heard()
    tuned = fine_tune(backbone, head, images, RECIPE, heard, checkpoint)
    assert heard.of("resumed") == []
    assert tuned.num_epochs == 2
    again = Heard()
    fine_tune(backbone, head, images, RECIPE, again, checkpoint)
    assert again.of("resumed")[0]["epoch"] == 2, "it has been replaced by a good one"


def test_a_checkpoint_of_another_training_is_left_aside(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path
) -> None:
    head = head_of(backbone, images)
    fine_tune(backbone, head, images, RECIPE, Heard(), checkpoint, fingerprint="this")
    heard = Heard()
    fine_tune(backbone, head, images, RECIPE, heard, checkpoint, fingerprint="that")
    assert heard.of("resumed") == [] and len(heard.of("epoch")) == 2


def test_a_full_disk_ends_the_training_in_plain_words_and_leaves_the_last_checkpoint(
    backbone: Backbone, images: dict[str, Images], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = head_of(backbone, images)
    with pytest.raises(Killed):
        fine_tune(backbone, head, images, RECIPE, Until("epoch", 1, Killed), checkpoint)
    before = checkpoint.read_bytes()

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(WorkspaceError, match="No space left on device.*has room"),
    ):
        patch.setattr(np, "savez", full)
        fine_tune(backbone, head, images, RECIPE, Heard(), checkpoint)
    assert backbone.is_pristine()
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.glob(".*part")) == []
