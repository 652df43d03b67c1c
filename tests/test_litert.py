"""On processors LiteRT computes features: converted once, and only where its numbers agree."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import backbones, catalog, engines, recipes
from core.backbones import Backbone
from core.engines import conversions, litert
from core.workspace import Workspace
from tests.networks import with_limited_memory


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return backbones.build(Workspace(tmp_path_factory.mktemp("graft")), "tiny")


def pictures(n: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, side, side, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def no_graphics_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "CONVERT_FROM_GMACS", 0.0)  # a tiny network never has enough to do


def converted_files(workspace: Workspace) -> list[Path]:
    return sorted((workspace.backbones_dir / "litert").glob("*"))


def fastest(workspace: Workspace, pooling: str = "average", **settings: Any) -> engines.Engine:
    """What another process would use."""
    backbone = backbones.build(workspace, "tiny", **settings)
    return engines.fastest(workspace, backbone, pooling, engines.CONVERT_FROM)


@pytest.mark.parametrize("pooling", recipes.POOLINGS)
def test_litert_computes_what_tensorflow_does(workspace: Workspace, tiny: Backbone, pooling: str) -> None:
    engine = fastest(workspace, pooling)
    assert (engine.precision, engine.reason) == ("litert-float32", "")
    images = pictures(40)
    np.testing.assert_allclose(engine(images), engines.forward(tiny, pooling)(images), atol=1e-5)


def test_litert_computes_a_real_network_and_one_cut_short(workspace: Workspace) -> None:
    images = pictures(5, 96)
    for depth in (1.0, 0.5):
        backbone = backbones.build(workspace, "efficientnet-lite0", 96, depth=depth)
        engine = engines.fastest(workspace, backbone, num_images=engines.CONVERT_FROM)
        assert engine.precision == "litert-float32"
        np.testing.assert_allclose(engine(images), engines.forward(backbone)(images), rtol=1e-3, atol=1e-4)


def test_with_litert_a_picture_has_the_same_bits_in_any_company(workspace: Workspace) -> None:
    engine, images = fastest(workspace), pictures(40)
    whole = engine(images)
    np.testing.assert_array_equal(np.concatenate([engine(images[:7]), engine(images[7:])]), whole)
    np.testing.assert_array_equal(engine(images[::-1]), whole[::-1])
    assert engine(images[:0]).shape == (0, 64)


def test_litert_answers_several_threads(workspace: Workspace) -> None:
    engine = fastest(workspace)
    expected = {n: engine(pictures(n)) for n in (1, 5, 40)}
    with ThreadPoolExecutor(6) as threads:
        for n, received in threads.map(lambda n: (n, engine(pictures(n))), [1, 5, 40] * 10):
            np.testing.assert_array_equal(received, expected[n])


def test_litert_refuses_pictures_of_another_size(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"Expected uint8 \(32, 32, 3\)"):
        fastest(workspace)(pictures(1, 16))


def test_few_pictures_are_not_worth_a_conversion_but_use_one_that_is_there(
    workspace: Workspace, tiny: Backbone
) -> None:
    few = engines.fastest(workspace, tiny, num_images=engines.CONVERT_FROM - 1)
    assert few.precision == engines.precision() and "too few pictures" in few.reason
    assert converted_files(workspace) == []
    fastest(workspace)
    assert engines.fastest(workspace, tiny, num_images=1).precision == "litert-float32"


@pytest.mark.parametrize(("side", "converts"), [(224, True), (32, False)])
def test_small_pictures_are_done_before_a_network_is_converted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, side: int, converts: bool
) -> None:
    monkeypatch.setattr(engines, "CONVERT_FROM_GMACS", 60.0)
    lite = catalog.get("efficientnet-lite0")
    backbone = replace(backbones.build(workspace, "tiny"), spec=lite, image_size=(side, side))
    assert engines.pays(backbone, 1_000) == converts
    assert not engines.pays(backbone, engines.CONVERT_FROM - 1)


def test_a_network_is_converted_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fastest(workspace)
    (path,) = converted_files(workspace)
    before = path.read_bytes()
    again = fastest(workspace)
    assert path.read_bytes() == before
    np.testing.assert_array_equal(again(pictures(3)), first(pictures(3)))
    backbone = backbones.build(workspace, "tiny")
    one, other = (engines.fastest(workspace, backbone, num_images=1) for _ in range(2))
    assert one is other


def test_other_weights_sizes_cuts_and_poolings_have_conversions_of_their_own(workspace: Workspace) -> None:
    fastest(workspace)
    for number, changes in enumerate(({"random_seed": 3}, {"image_size": 48}, {"depth": 0.5})):
        fastest(workspace, **changes)
        assert len(converted_files(workspace)) == 2 + number
    fastest(workspace, "max")
    assert len(converted_files(workspace)) == 5


@pytest.mark.parametrize("damage", ["cut short", "a byte altered", "empty", "no JSON"])
def test_a_damaged_conversion_is_made_anew(workspace: Workspace, damage: str) -> None:
    expected = fastest(workspace)(pictures(3))
    (path,) = converted_files(workspace)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut short": whole[:middle],
            "a byte altered": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "empty": b"",
            "no JSON": b"\x00" * 100 + whole,
        }[damage]
    )
    np.testing.assert_array_equal(fastest(workspace)(pictures(3)), expected)
    assert len(path.read_bytes()) == pytest.approx(len(whole), rel=0.1)


def test_a_conversion_that_does_not_agree_is_not_used_and_not_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(litert, "MAX_DISTANCE", 0.0)
        engine = fastest(workspace)
    assert engine.precision == engines.precision()
    assert "LiteRT's features differ from TensorFlow's by" in engine.reason
    assert fastest(workspace).reason == engine.reason
    engine(pictures(1))


def test_a_conversion_that_failed_for_want_of_memory_is_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(model: bytes) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(litert, "_interpreter", fails)
        engine = fastest(workspace)
    assert (engine.precision, converted_files(workspace)) == (engines.precision(), [])
    assert engine.reason == "LiteRT cannot run this network (MemoryError)"
    assert fastest(workspace).precision == "litert-float32"


def test_another_keras_converts_anew(
    workspace: Workspace, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = conversions.path_of(workspace, tiny, "average")
    monkeypatch.setattr(conversions.keras, "__version__", "99")
    assert conversions.path_of(workspace, tiny, "average") != before


def test_a_network_that_litert_cannot_run_stays_with_tensorflow(workspace: Workspace, tiny: Backbone) -> None:
    strange = with_limited_memory(tiny, 40)
    strange = replace(strange, checksum=backbones_checksum(strange))
    engine = engines.fastest(workspace, strange, num_images=engines.CONVERT_FROM)
    assert "LiteRT cannot run this network" in engine.reason
    np.testing.assert_allclose(engine(pictures(3)), engines.forward(tiny)(pictures(3)), atol=1e-5)


def backbones_checksum(backbone: Backbone) -> int:
    checksum = 0
    for array in backbone.model.get_weights():
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def test_a_trained_backbone_is_never_kept_as_a_pristine_one(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny")
    backbone.model.set_weights([2 * array for array in backbone.model.get_weights()])
    with pytest.raises(ValueError, match="whose weights were changed"):
        engines.fastest(workspace, backbone, num_images=engines.CONVERT_FROM)
    assert converted_files(workspace) == []
    engine = engines.current(backbone, "average", engines.CONVERT_FROM)
    assert engine.precision == "litert-float32"
    np.testing.assert_allclose(engine(pictures(3)), engines.forward(backbone)(pictures(3)), rtol=1e-4)
    assert converted_files(workspace) == []


def test_the_least_recently_used_conversions_go_where_they_take_too_much(
    workspace: Workspace, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "MAX_BYTES", 3_500)

    def path_of(number: int) -> Path:
        return conversions.path_of(workspace, replace(tiny, weights_sha256=str(number)), "average")

    def save(number: int, num_bytes: int) -> None:
        conversions.save(path_of(number), litert.Conversion(bytes(num_bytes)))
        os.utime(path_of(number), (number, number))

    def kept() -> list[int]:
        return [number for number in range(9) if path_of(number).exists()]

    for number in range(3):
        save(number, 1_000)
    assert kept() == [0, 1, 2]
    assert conversions.load(path_of(0)) == litert.Conversion(bytes(1_000))  # of use now
    save(3, 1_000)
    assert kept() == [0, 2, 3]
    save(4, 9_000)
    assert kept() == [4], "the newest stays however large it is"


def test_what_litert_takes_is_counted_with_all_that_shares_a_networks_layers(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny")
    parts = backbones.split(backbone, 1)
    assert parts is not None and engines.num_bytes(backbone) == 0

    def grows(one: Backbone) -> int:
        before = engines.num_bytes(backbone)
        engine = engines.fastest(workspace, one, num_images=engines.CONVERT_FROM)
        converted = engines.num_bytes(backbone)
        engine(pictures(1))  # by one interpreter
        assert engines.num_bytes(backbone) > converted > before
        return engines.num_bytes(backbone)

    grows(backbone)
    before = grows(parts[0])
    with backbones.lend(
        backbone, [np.float32(1.1) * values for values in backbone.model.get_weights()]
    ) as it:
        grows(it)
    backbones.take_back(backbone)
    del it
    assert engines.num_bytes(backbone) == before


def test_with_a_graphics_card_tensorflow_computes(
    workspace: Workspace, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: True)
    engine = engines.fastest(workspace, tiny, num_images=engines.CONVERT_FROM)
    assert (engine.function, engine.reason) == (engines.forward(tiny), "")
    assert converted_files(workspace) == []
