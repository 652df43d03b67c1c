"""Stage 1, killed, stopped or out of time: what was reached is kept, and a killed one goes on from there."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import training
from core.errors import Cancelled
from core.recipes import Recipe
from core.training import TrainedHead
from tests.training_worlds import RECIPE, Heard, Killed, Until

LBFGS = replace(RECIPE, head_search=False)
ADAM = replace(RECIPE, head_solver="adam", dense_units=6, dropout=0.3, head_epochs=6, head_learning_rate=0.02)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "head.npz"


def train(recipe: Recipe, listen: training.Listen, **settings: Any) -> TrainedHead:
    """Train a head on two clouds of points that lie within each other a little."""
    rng = np.random.default_rng(0)
    y_true = {"train": np.arange(60) % 2, "val": np.arange(20) % 2}
    features = {
        split: (rng.normal(size=(len(truth), 8)) + 0.7 * truth[:, None]).astype(np.float32)
        for split, truth in y_true.items()
    }
    return training.train_head(features, y_true, 2, recipe, listen, **settings)


def assert_equal(one: TrainedHead, other: TrainedHead) -> None:
    assert (one.num_epochs, one.stopped) == (other.num_epochs, other.stopped)
    for name, values in one.head.to_arrays().items():
        np.testing.assert_allclose(values, other.head.to_arrays()[name], atol=1e-5)


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("killed_after", [1, 4])
def test_killed_and_resumed_it_ends_where_an_uninterrupted_one_does(
    checkpoint: Path, killed_after: int, patience: int
) -> None:
    recipe = replace(ADAM, patience=patience, head_epochs=30 if patience else 6)
    whole, heard = Heard(), Heard()
    expected = train(recipe, whole)
    assert not patience or expected.num_epochs < recipe.head_epochs, "else patience is not tried"
    with pytest.raises(Killed):
        train(recipe, Until("epoch", killed_after, Killed), checkpoint=checkpoint)
    assert_equal(train(recipe, heard, checkpoint=checkpoint), expected)
    (told,) = heard.of("resumed")
    assert told["epoch"] == killed_after
    epochs = told["history"] + heard.of("epoch")
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, expected.num_epochs + 1))
    for ours, theirs in zip(epochs, whole.of("epoch"), strict=True):
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], abs=1e-5)


@pytest.mark.parametrize("recipe", [LBFGS, ADAM], ids=["lbfgs", "adam"])
def test_a_finished_head_is_not_fitted_again(checkpoint: Path, recipe: Recipe) -> None:
    expected = train(recipe, Heard(), checkpoint=checkpoint)
    heard = Heard()
    assert_equal(train(recipe, heard, checkpoint=checkpoint), expected)
    assert [kind for kind, _ in heard.events] == ["resumed"]
    assert len(heard.of("resumed")[0]["history"]) == expected.num_epochs


def test_a_fit_by_l_bfgs_that_was_killed_begins_again(checkpoint: Path) -> None:
    with pytest.raises(Killed):
        train(RECIPE, Until("epoch", 2, Killed), checkpoint=checkpoint)
    heard = Heard()
    assert_equal(train(RECIPE, heard, checkpoint=checkpoint), train(RECIPE, Heard()))
    assert heard.of("resumed") == [] and heard.of("epoch")[0]["epoch"] == 1


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"cut"), lambda path: None])
def test_a_checkpoint_that_is_damaged_or_of_another_training_is_left_aside(
    checkpoint: Path, spoil: Any
) -> None:
    train(ADAM, Heard(), checkpoint=checkpoint, fingerprint="this")
    spoil(checkpoint)
    heard = Heard()
    train(ADAM, heard, checkpoint=checkpoint, fingerprint="that")
    assert heard.of("resumed") == [] and len(heard.of("epoch")) == ADAM.head_epochs


@pytest.mark.parametrize("recipe", [RECIPE, ADAM], ids=["lbfgs", "adam"])
def test_cancelled_after_an_epoch_it_keeps_the_best_head_so_far(recipe: Recipe) -> None:
    listen = Until("epoch", 3, Cancelled)
    trained = train(recipe, listen)
    assert (trained.num_epochs, trained.stopped) == (3, "cancelled")
    assert trained.head.is_finite


def test_cancelled_before_an_epoch_has_finished_there_is_nothing_to_keep() -> None:
    with pytest.raises(Cancelled):
        train(ADAM, Until("progress", 1, Cancelled))


def test_out_of_time_it_keeps_the_first_epoch_and_l_bfgs_is_fitted_to_its_end() -> None:
    past = time.monotonic() - 1
    trained = train(ADAM, Heard(), deadline=past)
    assert (trained.num_epochs, trained.stopped) == (1, "time")
    assert_equal(train(LBFGS, Heard(), deadline=past), train(LBFGS, Heard()))
