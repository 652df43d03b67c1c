"""Class maps add up to the logit they explain; neighbours are the most alike, and duplicates are marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.explain import Neighbours, class_maps
from core.heads import Head

RNG = np.random.default_rng(0)
FEATURE_MAP = RNG.normal(size=(3, 4, 5)).astype(np.float32)


def pooled(pooling: str) -> np.ndarray:
    if pooling == "flatten":
        return FEATURE_MAP.reshape(-1)
    return FEATURE_MAP.mean(axis=(0, 1)) if pooling == "average" else FEATURE_MAP.max(axis=(0, 1))


def head(num_features: int, hidden: int = 0) -> Head:
    def kernel(*shape: int) -> np.ndarray:
        return RNG.normal(size=shape).astype(np.float32)

    if not hidden:
        return Head(kernel(num_features, 6), kernel(6))
    return Head(kernel(hidden, 6), kernel(6), kernel(num_features, hidden), np.zeros(hidden, np.float32))


@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
@pytest.mark.parametrize("hidden", [0, 8])
def test_the_map_of_a_class_adds_up_to_its_logit_without_the_bias(pooling: str, hidden: int) -> None:
    features = pooled(pooling)
    model = head(len(features), hidden)
    found = class_maps(FEATURE_MAP, model, pooling, [4, 1])
    assert found.maps.shape == (2, 3, 4)
    expected = model.logits(features[None])[0] - model.bias
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), expected[[4, 1]], rtol=1e-4, atol=1e-4)
    assert found.is_exact == (hidden == 0)


def test_a_place_that_holds_all_there_is_of_a_class_is_where_it_was_seen() -> None:
    feature_map = np.zeros((4, 4, 2), np.float32)
    feature_map[1, 2, 0] = 5.0
    found = class_maps(
        feature_map, Head(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)), "average", [0, 1]
    )
    assert np.unravel_index(found.maps[0].argmax(), (4, 4)) == (1, 2)
    assert np.count_nonzero(found.maps[0]) == 1
    assert not found.maps[1].any()


def world() -> Neighbours:
    images = pd.DataFrame(
        {
            "path": ["a/1", "a/2", "a/3", "b/1", "b/2", "a/0"],
            "sha256": ["s1", "s2", "s3", "s4", "s5", "s0"],
            "label": ["a", "a", "a", "b", "b", "a"],
            "split": ["train", "train", "val", "train", "train", "test"],
            "group": ["", "g", "", "", "", "g"],
        }
    )
    matrix = np.array([[1, 0], [0.9, 0.1], [1, 1], [0, 2], [np.nan, np.nan], [2, 0.2]], np.float32)
    return Neighbours(images, matrix)


def test_the_nearest_training_pictures_of_a_class_come_first_and_duplicates_are_marked() -> None:
    found = world().nearest(np.array([2.0, 0.0], np.float32), "a", 5, sha256="s0")
    assert [neighbour.path for neighbour in found] == ["a/1", "a/2"]  # a/3 judges, it was not learnt from
    assert found[0].likeness == pytest.approx(1.0)
    assert [neighbour.is_duplicate for neighbour in found] == [False, True]


def test_pictures_whose_features_are_not_kept_are_left_out() -> None:
    neighbours = world()
    assert [n.path for n in neighbours.nearest(np.ones(2, np.float32), "b", 5)] == ["b/1"]
    assert neighbours.features_of("s5") is None
    assert neighbours.features_of("unknown") is None
    assert neighbours.nearest(np.ones(2, np.float32), "no such class", 5) == []
