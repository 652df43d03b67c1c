"""The probe is scikit-learn's logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from core.errors import Cancelled
from core.heads import Head, fit_probe


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
    reference = LogisticRegression(C=strength, max_iter=2000, tol=1e-6).fit(features, y_true)
    logits = head.logits(features).astype(np.float64)
    y_prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if num_classes == 2:  # two columns share the penalty that scikit-learn puts on one
        assert (y_prob.argmax(axis=1) == reference.predict(features)).mean() > 0.98
    else:
        np.testing.assert_allclose(y_prob, reference.predict_proba(features), atol=1e-2)


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
