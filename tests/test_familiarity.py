"""Pictures unlike any of the training are found, and validation is turned away no more often than was said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from core import familiarity
from core.familiarity import NEIGHBOURS, Familiarity


def _features(seed: int, centre: float, num: int) -> np.ndarray:
    features = np.random.default_rng(seed).normal(0, 0.3, (num, 16))
    features[:, 0] += centre
    features[:, 1] += 3 - centre
    return features.astype(np.float32)


@pytest.fixture
def known() -> Familiarity:
    val_prob = np.random.default_rng(2).dirichlet([8, 1, 1], 200)
    return familiarity.measure(_features(0, 3.0, 300), _features(1, 3.0, 200), val_prob)


def test_a_twentieth_of_validation_is_turned_away(known: Familiarity) -> None:
    distances = known.distances(_features(1, 3.0, 200))
    assert (distances > known.max_distance).mean() == pytest.approx(0.05, abs=0.005)
    confidences = np.random.default_rng(2).dirichlet([8, 1, 1], 200).max(axis=1)
    assert (confidences < known.min_confidence).mean() == pytest.approx(0.05, abs=0.005)


def test_what_was_never_seen_is_turned_away(known: Familiarity) -> None:
    assert (known.distances(_features(3, 0.0, 100)) > known.max_distance).all()


def test_the_distance_is_that_to_the_fifth_neighbour_as_scikit_learn_finds_it(known: Familiarity) -> None:
    asked = _features(4, 2.0, 30)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine").fit(_features(0, 3.0, 300))
    expected = nearest.kneighbors(asked)[0][:, -1]
    np.testing.assert_allclose(known.distances(asked), expected, atol=1e-5)


def test_few_training_pictures_are_enough() -> None:
    known = familiarity.measure(_features(0, 3.0, 2), _features(1, 3.0, 1), [[0.6, 0.4]])
    assert known.distances(_features(5, 3.0, 4)).shape == (4,)


def test_many_training_pictures_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiarity, "MAX_REFERENCE", 50)
    known = familiarity.measure(_features(0, 3.0, 300), _features(1, 3.0, 20), np.eye(20))
    assert known.reference.shape == (50, 16)


def test_what_is_kept_comes_back_within_half_precision(known: Familiarity) -> None:
    again = Familiarity.from_arrays(known.to_arrays())
    assert (again.max_distance, again.min_confidence) == (known.max_distance, known.min_confidence)
    asked = _features(6, 1.0, 20)
    np.testing.assert_allclose(again.distances(asked), known.distances(asked), atol=2e-3)


def test_a_picture_without_any_feature_has_a_distance(known: Familiarity) -> None:
    assert known.distances(np.zeros((1, 16))) == pytest.approx(1.0)
