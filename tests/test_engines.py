from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import backbones, engines, recipes
from core.backbones import Backbone
from core.errors import JobError
from core.workspace import Workspace
from tests.networks import with_limited_memory


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return backbones.build(Workspace(tmp_path_factory.mktemp("graft")), "tiny")


def pictures(n: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, side, side, 3)).astype(np.uint8)


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 70))
def test_features_are_the_mean_of_the_last_feature_map(tiny: Backbone, n: int) -> None:
    images = pictures(n)
    expected = np.asarray(tiny.model(images.astype(np.float32), training=False)).mean(axis=(1, 2))
    received = engines.forward(tiny)(images)
    assert received.dtype == np.float32 and received.shape == (n, 64)
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_no_pictures_have_no_features(tiny: Backbone) -> None:
    received = engines.forward(tiny)(pictures(0))
    assert received.dtype == np.float32 and received.shape == (0, 64)


@pytest.mark.parametrize("pooling", recipes.POOLINGS)
def test_features_are_what_the_classifier_pools(tiny: Backbone, pooling: str) -> None:
    model = backbones.classifier(tiny, 2, pooling)
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    images = pictures(5)
    received = engines.forward(tiny, pooling)(images)
    assert received.shape == (5, backbones.num_features(tiny, pooling))
    np.testing.assert_allclose(received, pooled(images.astype(np.float32)), atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, 40), max_size=6).map(sorted))
def test_features_do_not_depend_on_the_batch(tiny: Backbone, cuts: list[int]) -> None:
    images = pictures(40)
    forward = engines.forward(tiny)
    parts = [forward(part) for part in np.split(images, cuts)]
    np.testing.assert_allclose(np.concatenate(parts), forward(images), atol=1e-5)


def test_features_of_a_real_network_do_not_depend_on_the_batch(workspace: Workspace) -> None:
    forward = engines.forward(backbones.build(workspace, "efficientnet-lite0", 96))
    images = pictures(33, 96)
    alone = np.concatenate([forward(images[i : i + 1]) for i in range(33)])
    np.testing.assert_allclose(forward(images), alone, atol=1e-5)


def test_a_backbone_is_traced_once_and_forgotten_with_it(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny")
    assert engines.forward(backbone) is engines.forward(backbone)
    assert engines.forward(backbone, "max") is engines.forward(backbone, "max")
    assert engines.forward(backbone, "max") is not engines.forward(backbone)
    engines.forward(backbone)(pictures(1))
    model = weakref.ref(backbone.model)
    del backbone
    gc.collect()
    assert model() is None


def test_a_network_that_is_lent_is_not_traced_again(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny")
    before = engines.forward(backbone)(pictures(2))
    with backbones.lend(backbone, [2 * array for array in backbone.model.get_weights()]) as lent:
        assert engines.forward(lent) is engines.forward(backbone)
        assert not np.allclose(engines.forward(lent)(pictures(2)), before)
    np.testing.assert_array_equal(engines.forward(backbone)(pictures(2)), before)
    with backbones.lend(backbone, None) as same:
        assert same is backbone


def test_new_weights_are_used_from_the_next_call(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny")
    forward = engines.forward(backbone)
    before = forward(pictures(2))
    weights = backbone.model.get_weights()
    backbone.model.set_weights([2 * array for array in weights])
    assert not np.allclose(forward(pictures(2)), before)
    backbone.model.set_weights(weights)
    np.testing.assert_array_equal(forward(pictures(2)), before)


def test_threads_get_their_own_answers(tiny: Backbone) -> None:
    forward = engines.forward(tiny)
    expected = {n: forward(pictures(n)) for n in (1, 5, 40)}
    wrong: list[int] = []

    def ask(n: int) -> None:
        for _ in range(10):
            if not np.allclose(forward(pictures(n)), expected[n], atol=1e-5):
                wrong.append(n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_pictures_of_another_size_or_type_are_refused(tiny: Backbone, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"Received uint8 images \(16, 16, 3\). Expected uint8 \(32, 32, 3\)"
    ):
        engines.forward(tiny)(pictures(1, 16))
    with pytest.raises(ValueError, match="Received float32 images"):
        engines.forward(tiny)(pictures(1).astype(np.float32))


# --- too little memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_pictures", "batch_size"), [(1, 1), (5, 4), (8, 8), (31, 16), (32, 32)])
def test_batches_are_halved_until_they_fit(tiny: Backbone, max_pictures: int, batch_size: int) -> None:
    forward = engines.forward(with_limited_memory(tiny, max_pictures))
    images = pictures(40)
    np.testing.assert_allclose(forward(images), engines.forward(tiny)(images), atol=1e-5)
    assert forward.batch_size == batch_size


def test_a_device_too_small_for_one_picture_is_reported_with_what_to_do(tiny: Backbone) -> None:
    forward = engines.forward(with_limited_memory(tiny, 0))
    with pytest.raises(
        JobError,
        match="A single picture of 32 × 32 pixels is too much .* with Tiny. Choose a smaller image size",
    ):
        forward(pictures(2))
