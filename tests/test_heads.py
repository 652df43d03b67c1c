"""The probe is scikit-learn's logistic regression; dense layers are Keras'; scores are those of calibrated logits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.utils.class_weight import compute_class_weight

from core.errors import Cancelled, DataError, JobError
from core.evaluation import fit_temperature, softmax
from core.heads import (
    DenseProgress,
    Head,
    class_weights,
    epoch_rows,
    fit_dense,
    fit_probe,
    generator,
    log_loss,
    random_head,
    read_head,
    scores,
    write_head,
)


def blobs(
    num_classes: int, num_images: int = 120, width: int = 12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = np.arange(num_images) % num_classes
    centres = rng.normal(size=(num_classes, width)) + 3
    return (centres[y_true] + rng.normal(size=(num_images, width))).astype(np.float32), y_true


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_the_probe_gives_the_probabilities_of_scikit_learn(num_classes: int, strength: float) -> None:
    features, y_true = blobs(num_classes)
    head = fit_probe(features, y_true, num_classes, strength, max_epochs=500)
    # In double precision and to its very end: in single it stops short, by more on some processors than on others.
    exact = features.astype(np.float64)
    reference = LogisticRegression(C=strength, max_iter=10_000, tol=1e-10).fit(exact, y_true)
    logits = head.logits(features).astype(np.float64)
    y_prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if num_classes == 2:  # two columns share the penalty that scikit-learn puts on one
        assert (y_prob.argmax(axis=1) == reference.predict(exact)).mean() > 0.98
    else:
        np.testing.assert_allclose(y_prob, reference.predict_proba(exact), atol=5e-3)


def test_a_class_without_images_is_never_predicted() -> None:
    features, y_true = blobs(3)
    head = fit_probe(features, y_true, num_classes=4)
    assert 3 not in head.logits(features).argmax(axis=1)


def test_every_epoch_is_told_and_its_head_is_better() -> None:
    features, y_true = blobs(5)
    losses = []

    def on_epoch(epoch: int, head: Head) -> None:
        assert epoch == len(losses) + 1
        logits = head.logits(features).astype(np.float64)
        losses.append(-(logits[np.arange(len(y_true)), y_true] - np.log(np.exp(logits).sum(axis=1))).mean())

    fit_probe(features, y_true, 5, max_epochs=15, on_epoch=on_epoch)
    assert 2 <= len(losses) <= 15
    assert losses[-1] < losses[0]


def test_the_listener_can_stop_the_fit() -> None:
    features, y_true = blobs(3)

    def stop(epoch: int, head: Head) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fit_probe(features, y_true, 3, on_epoch=stop)


# --- weights and views --------------------------------------------------------------------------------------------


def test_weights_of_rows_are_those_of_scikit_learn() -> None:
    features, y_true = blobs(3)
    weights = np.random.default_rng(1).uniform(0.1, 4, len(y_true))
    head = fit_probe(features, y_true, 3, 0.5, max_epochs=500, sample_weight=weights)
    reference = LogisticRegression(C=0.5, max_iter=2000, tol=1e-6).fit(features, y_true, weights)
    np.testing.assert_allclose(softmax(head.logits(features)), reference.predict_proba(features), atol=1e-2)


def soft(y_true: np.ndarray, num_classes: int, seed: int = 1) -> np.ndarray:
    """Targets that lean to the given classes, as a teacher's do."""
    noise = np.random.default_rng(seed).dirichlet(np.ones(num_classes), len(y_true))
    return (0.6 * np.eye(num_classes)[y_true] + 0.4 * noise).astype(np.float32)


def test_targets_in_shares_are_scikit_learns_rows_of_each_class_with_such_weights() -> None:
    features, y_true = blobs(3)
    targets = soft(y_true, 3)
    head = fit_probe(features, y_true, 3, 0.5, max_epochs=500, targets=targets)
    rows, classes = np.repeat(features, 3, axis=0).astype(np.float64), np.tile(np.arange(3), len(y_true))
    reference = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-10).fit(rows, classes, targets.ravel())
    expected = reference.predict_proba(features.astype(np.float64))
    np.testing.assert_allclose(softmax(head.logits(features)), expected, atol=5e-3)
    same = fit_probe(features, y_true, 3, targets=np.eye(3, dtype=np.float32)[y_true])
    np.testing.assert_allclose(same.kernel, fit_probe(features, y_true, 3).kernel, atol=1e-5)


def test_the_same_image_in_several_views_counts_once_in_the_penalty() -> None:
    features, y_true = blobs(4, num_images=40)
    plain = fit_probe(features, y_true, 4, 0.1, max_epochs=500)
    tripled = np.concatenate([features] * 3), np.tile(y_true, 3)
    seen = fit_probe(*tripled, 4, 0.1, max_epochs=500, num_images=40)
    np.testing.assert_allclose(seen.logits(features), plain.logits(features), atol=0.02)
    weaker = fit_probe(*tripled, 4, 0.1, max_epochs=500)  # three times the images: a third of the penalty
    assert np.linalg.norm(weaker.kernel) > 1.1 * np.linalg.norm(plain.kernel)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_class_weights_are_scikit_learns_balanced_ones(labels: list[int]) -> None:
    y_true = np.array(labels)
    weights = class_weights(y_true, 6)
    present = np.unique(y_true)
    expected = compute_class_weight("balanced", classes=present, y=y_true)
    np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
    assert weights[y_true].mean() == pytest.approx(1, rel=1e-5)
    assert weights[5] == 0


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.integers(1, 20),
    st.sampled_from(["none", "sampling"]),
)
def test_an_epoch_draws_every_image_or_every_class_equally(
    labels: list[int], batch_size: int, balance: str
) -> None:
    y_true = np.array(labels)
    rows = epoch_rows(y_true, batch_size, balance, np.random.default_rng(0))
    assert len(rows) % batch_size == 0 and 0 <= len(rows) - len(y_true) < batch_size
    drawn = rows[: len(y_true)]
    if balance == "none":
        assert sorted(drawn) == list(range(len(y_true)))
    else:
        counts = np.unique(y_true[drawn], return_counts=True)[1]
        assert len(counts) == len(np.unique(y_true)) or len(y_true) < len(np.unique(y_true))
        assert counts.max() - counts.min() <= 1
        for label in np.unique(y_true):  # no image a second time before each has come once
            times = np.bincount(drawn, minlength=len(y_true))[y_true == label]
            assert times.max() - times.min() <= 1


# --- dense layers -------------------------------------------------------------------------------------------------


def keras_head(width: int, num_classes: int, units: int) -> Any:
    hidden = [keras.layers.Dense(units, activation="relu", name="hidden")] if units else []
    return keras.Sequential([keras.Input((width,)), *hidden, keras.layers.Dense(num_classes, name="head")])


@pytest.mark.parametrize("units", [0, 5])
def test_a_head_computes_what_its_keras_layers_do_and_survives_its_file(units: int) -> None:
    features, _ = blobs(3)
    head = random_head(12, 3, units, np.random.default_rng(0))
    model = keras_head(12, 3, units)
    write_head(model, head)
    expected = model(features).numpy()
    np.testing.assert_allclose(head.logits(features), expected, atol=1e-5)
    for same in (read_head(model), Head.from_arrays(head.to_arrays())):
        np.testing.assert_array_equal(same.logits(features), head.logits(features))
    assert set(head.to_arrays()) == {"kernel", "bias"} | (
        {"hidden_kernel", "hidden_bias"} if units else set()
    )
    assert {values.dtype for values in head.to_arrays().values()} == {np.dtype("float32")}


def test_a_random_head_spreads_as_glorot_says() -> None:
    kernel = random_head(300, 50, 0, np.random.default_rng(0)).kernel
    assert np.abs(kernel).max() <= np.sqrt(6 / 350)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 350), rel=0.02)
    assert not random_head(4, 3, 2, np.random.default_rng(0)).bias.any()


def test_a_head_without_an_array_is_refused() -> None:
    with pytest.raises(KeyError, match="bias"):
        Head.from_arrays({"kernel": np.zeros((2, 2))})


def dense(**settings: Any) -> tuple[Head, np.ndarray, np.ndarray]:
    features, y_true = blobs(3, num_images=180)
    head = fit_dense(
        features[:120], y_true[:120], features[120:], y_true[120:], 3, **{"epochs": 8, "seed": 0} | settings
    )
    return head, features[120:], y_true[120:]


@pytest.mark.parametrize("units", [0, 16])
def test_dense_layers_learn_to_tell_classes_apart(units: int) -> None:
    head, features, y_true = dense(dense_units=units, dropout=0.2, learning_rate=0.05, epochs=20)
    assert scores(head.logits(features), y_true).accuracy > 0.9


def test_the_best_epoch_on_validation_is_the_one_returned() -> None:
    heads: list[Head] = []
    best, features, y_true = dense(
        dense_units=32, learning_rate=0.05, epochs=25, on_epoch=lambda progress: heads.append(progress.head)
    )
    losses = [scores(head.logits(features), y_true).loss for head in heads]
    assert len(losses) == 25
    assert int(np.argmin(losses)) != 24, "else this could not fail"
    np.testing.assert_array_equal(best.kernel, heads[int(np.argmin(losses))].kernel)


def test_dense_layers_stop_when_validation_does_not_improve() -> None:
    heads: list[Head] = []
    _, features, y_true = dense(
        learning_rate=0.5, epochs=40, patience=2, on_epoch=lambda progress: heads.append(progress.head)
    )
    losses = [scores(head.logits(features), y_true).loss for head in heads]
    assert len(losses) == int(np.argmin(losses)) + 3 < 40


def test_dense_layers_hang_on_their_seed_alone() -> None:
    settings = {"dense_units": 8, "dropout": 0.5, "epochs": 2}
    first, again, other = (dense(**settings, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_allclose(first.kernel, again.kernel, atol=1e-6)
    assert np.abs(first.kernel - other.kernel).max() > 0.01


def test_dense_layers_go_on_from_any_epoch_as_if_nothing_had_happened() -> None:
    told: list[DenseProgress] = []
    settings = {"dense_units": 8, "dropout": 0.4, "epochs": 9, "patience": 4, "learning_rate": 0.05}
    whole, _, _ = dense(**settings, on_epoch=told.append)
    for progress in told:
        rest: list[DenseProgress] = []
        head, _, _ = dense(**settings, begin=progress, on_epoch=rest.append)
        assert [one.epoch for one in rest] == [one.epoch for one in told if one.epoch > progress.epoch]
        np.testing.assert_allclose(head.kernel, whole.kernel, atol=1e-6)
        np.testing.assert_allclose(head.hidden_kernel, whole.hidden_kernel, atol=1e-6)


def test_every_step_is_told_and_can_be_the_last() -> None:
    told: list[tuple[int, int]] = []
    dense(epochs=2, batch_size=50, on_step=lambda done, total: told.append((done, total)))
    assert told == [(done, 300) for done in range(50, 301, 50)]  # the third batch of 50 is filled up from 120

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        dense(on_step=stop)


@pytest.mark.parametrize("balance", ["class_weights", "sampling"])
def test_balance_gives_the_rare_class_its_part(balance: str) -> None:
    rng = np.random.default_rng(0)
    y_true = np.array([0] * 95 + [1] * 5)
    features = (rng.normal(size=(100, 2)) + y_true[:, None]).astype(np.float32)

    def recall(balance: str) -> float:
        head = fit_dense(
            features, y_true, features, y_true, 2, epochs=30, learning_rate=0.02, balance=balance
        )
        return float(head.logits(features)[95:].argmax(axis=1).mean())

    assert recall("none") < 0.5 < recall(balance)


def test_label_smoothing_keeps_the_logits_small() -> None:
    plain, features, _ = dense(learning_rate=0.05, epochs=20)
    smooth, _, _ = dense(learning_rate=0.05, epochs=20, label_smoothing=0.3)
    assert np.ptp(smooth.logits(features)) < 0.7 * np.ptp(plain.logits(features))


def test_dense_layers_learn_the_targets_instead_of_the_classes() -> None:
    features, y_true = blobs(3)
    turned = np.eye(3, dtype=np.float32)[(y_true + 1) % 3]
    head = fit_dense(
        features, y_true, features, (y_true + 1) % 3, 3, learning_rate=0.03, epochs=8, targets=turned
    )
    assert (head.logits(features).argmax(axis=1) == (y_true + 1) % 3).mean() > 0.8  # 0 by the classes


def test_steps_that_are_too_large_are_said_to_be() -> None:
    features, y_true = blobs(3)
    with pytest.raises(JobError, match="diverged.*head_learning_rate is 0.001"):
        fit_dense(features * np.float32(np.inf), y_true, features, y_true, 3)


# --- scores -------------------------------------------------------------------------------------------------------


def test_the_loss_is_that_after_temperature_scaling() -> None:
    rng = np.random.default_rng(0)
    y_true = np.arange(60) % 3
    logits = rng.normal(size=(60, 3)) + 1.5 * np.eye(3)[y_true]
    found = scores(logits, y_true)
    calibrated = softmax(logits, fit_temperature(logits, y_true))
    assert found.loss == pytest.approx(sklearn_log_loss(y_true, calibrated))
    assert found.accuracy == (logits.argmax(axis=1) == y_true).mean()
    for factor in (0.2, 5.0):  # certainty is no merit, modesty no fault
        assert scores(factor * logits, y_true).loss == pytest.approx(found.loss, abs=1e-4)
    assert log_loss(5 * logits, y_true) == pytest.approx(sklearn_log_loss(y_true, softmax(5 * logits)))
    assert log_loss(5 * logits, y_true) > found.loss


def test_images_that_could_not_be_read_are_left_out_of_the_scores() -> None:
    logits = np.array([[2.0, 0.0], [np.nan, np.nan], [0.0, 1.0]], np.float32)
    y_true = np.array([0, 0, 0])
    kept = [0, 2]
    assert scores(logits, y_true) == scores(logits[kept], y_true[kept])
    with pytest.raises(DataError, match="None of 1 pictures could be read"):
        scores(logits[1:2], y_true[1:2])


def test_random_numbers_differ_by_seed_stage_epoch_and_place() -> None:
    drawn = [
        generator(*place).random() for place in [(0, 1, 1), (1, 1, 1), (0, 2, 1), (0, 1, 2), (0, 1, 1, 0)]
    ]
    assert len(set(drawn)) == 5
    assert generator(0, 1, 1).random() == drawn[0]
