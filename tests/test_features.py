from __future__ import annotations

import dataclasses
import hashlib
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core import backbones, engines, feature_store, features, images
from core.augmentation import Augmentation
from core.backbones import Backbone
from core.engines import litert
from core.errors import Cancelled, WorkspaceError
from core.features import Decoded, View
from core.workspace import Workspace
from tests.networks import with_limited_memory


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return backbones.build(Workspace(tmp_path_factory.mktemp("graft")), "tiny")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Forty different pictures."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
    return paths


def extract(
    workspace: Workspace, backbone: Backbone, paths: Sequence[Path], **options: Any
) -> features.Features:
    return features.extract(workspace, backbone, paths, [sha256(path) for path in paths], **options)


def expected(backbone: Backbone, paths: Sequence[Path], resize: str = "stretch") -> np.ndarray:
    pixels = [images.decode(path.read_bytes(), backbone.image_size, resize) for path in paths]
    return engines.forward(backbone)(np.stack(pixels))


# --- extracting ---------------------------------------------------------------------------------------------------


def test_features_are_those_of_the_network_on_the_decoded_pictures(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    for resize in images.RESIZE_RULES:
        extracted = extract(workspace, tiny, photos, resize=resize)
        assert extracted.matrix.dtype == np.float32
        np.testing.assert_allclose(extracted.matrix, expected(tiny, photos, resize), atol=1e-5)


def test_features_are_computed_once(workspace: Workspace, tiny: Backbone, photos: list[Path]) -> None:
    first = extract(workspace, tiny, photos)
    again = extract(workspace, tiny, photos[::-1])
    assert (first.num_computed, first.num_cached) == (40, 0)
    assert (again.num_computed, again.num_cached) == (0, 40)
    np.testing.assert_array_equal(again.matrix, first.matrix[::-1])


def test_only_new_files_are_computed(workspace: Workspace, tiny: Backbone, photos: list[Path]) -> None:
    extract(workspace, tiny, photos[:30])
    extracted = extract(workspace, tiny, photos)
    assert (extracted.num_computed, extracted.num_cached) == (10, 30)


def test_ten_new_files_cost_ten_though_a_faster_engine_would_pay_by_now(
    workspace: Workspace, tiny: Backbone, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "CONVERT_FROM_GMACS", 0.0)
    monkeypatch.setattr(engines, "CONVERT_FROM", 35)
    assert extract(workspace, tiny, photos[:30]).engine.precision == engines.precision()
    extracted = extract(workspace, tiny, photos)
    assert (extracted.num_computed, extracted.num_cached) == (10, 30)
    assert "has computed most of these pictures before" in extracted.engine.reason
    monkeypatch.setattr(engines, "CONVERT_FROM", 10)  # now what is new is enough by itself
    extracted = extract(workspace, tiny, photos[5:], pooling="max")
    assert (extracted.num_computed, extracted.engine.precision) == (35, "litert-float32")


def test_few_pictures_are_worth_a_conversion_where_more_will_follow(
    workspace: Workspace, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "CONVERT_FROM_GMACS", 0.0)
    backbone = backbones.build(workspace, "tiny")
    few = photos[:5]
    assert "too few pictures" in extract(workspace, backbone, few, num_expected=199).engine.reason
    assert extract(workspace, backbone, photos[5:10], num_expected=200).engine.precision == litert.PRECISION


def test_the_same_file_twice_is_computed_once(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    copy = photos[0].with_name("copy.png")
    copy.write_bytes(photos[0].read_bytes())
    extracted = extract(workspace, tiny, [photos[0], photos[1], copy, photos[0]])
    assert (extracted.num_computed, extracted.num_cached) == (2, 2)
    np.testing.assert_array_equal(extracted.matrix[[2, 3]], extracted.matrix[[0, 0]])


def test_nothing_to_do_is_done(workspace: Workspace, tiny: Backbone) -> None:
    extracted = extract(workspace, tiny, [])
    assert extracted.matrix.shape == (0, 64)


def test_an_unreadable_file_is_reported_and_costs_only_itself(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    photos[3].write_bytes(b"not a picture")
    extracted = extract(workspace, tiny, [*photos, photos[3]])
    assert set(extracted.unreadable) == {3, 40}
    assert np.isnan(extracted.matrix[[3, 40]]).all()
    assert not np.isnan(np.delete(extracted.matrix, [3, 40], axis=0)).any()
    assert (extracted.num_computed, extracted.num_cached) == (39, 0)


def test_a_file_that_changed_since_the_audit_is_not_kept_under_its_old_name(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    hashes = [sha256(path) for path in photos]
    photos[0].write_bytes(photos[1].read_bytes())
    extracted = features.extract(workspace, tiny, photos, hashes)
    assert extracted.unreadable == {0: "It has changed since it was audited. Audit the folder again."}


def test_of_identical_files_one_that_can_be_read_is_enough(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    digest = sha256(photos[0])
    gone = photos[0].with_name("gone.png")
    extracted = features.extract(workspace, tiny, [gone, photos[0]], [digest, digest])
    assert extracted.unreadable == {}
    np.testing.assert_array_equal(extracted.matrix[0], extracted.matrix[1])


def test_progress_counts_files_up_to_all(workspace: Workspace, tiny: Backbone, photos: list[Path]) -> None:
    photos[3].write_bytes(b"not a picture")
    seen: list[tuple[int, int]] = []
    extract(workspace, tiny, [*photos, photos[5]], batch_size=8, progress=lambda *step: seen.append(step))
    assert seen[0] == (0, 41) and seen[-1] == (41, 41)
    assert seen == sorted(seen) and len(seen) > 4


def test_what_was_computed_before_cancelling_is_kept(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    def cancel(done: int, total: int) -> None:
        if done >= 16:
            raise Cancelled

    with pytest.raises(Cancelled):
        extract(workspace, tiny, photos, batch_size=8, progress=cancel)
    assert extract(workspace, tiny, photos).num_cached in (16, 24)  # the next batch may have been on its way


def test_the_features_of_a_fine_tuned_network_are_never_kept(
    workspace: Workspace, photos: list[Path]
) -> None:
    backbone = backbones.build(workspace, "tiny")
    backbone.model.set_weights([array * 1.01 for array in backbone.model.get_weights()])
    with pytest.raises(ValueError, match="whose weights were changed"):
        extract(workspace, backbone, photos)
    assert feature_store.list_spaces(workspace) == []


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_each_pooling_has_features_of_its_own(
    workspace: Workspace, tiny: Backbone, photos: list[Path], pooling: str
) -> None:
    extract(workspace, tiny, photos)
    extracted = extract(workspace, tiny, photos, pooling=pooling)
    assert extracted.num_computed == 40
    assert extracted.matrix.shape == (40, backbones.num_features(tiny, pooling))
    pixels = [images.decode(path.read_bytes(), tiny.image_size) for path in photos]
    np.testing.assert_allclose(extracted.matrix, engines.forward(tiny, pooling)(np.stack(pixels)), atol=1e-5)
    assert extract(workspace, tiny, photos, pooling=pooling).num_cached == 40


def test_a_network_cut_short_has_features_of_its_own(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    extract(workspace, tiny, photos)
    cut = backbones.build(workspace, "tiny", depth=0.5)
    extracted = extract(workspace, cut, photos)
    assert extracted.num_computed == 40
    np.testing.assert_allclose(extracted.matrix, expected(cut, photos), atol=1e-5)
    assert extracted.matrix.shape == (40, 16)


def test_on_a_small_device_batches_are_halved_and_nothing_is_lost(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    assert extract(workspace, tiny, photos[:1]).engine.batch_size == engines.BATCH_SIZE
    extracted = extract(workspace, with_limited_memory(tiny, 9), photos)
    assert (extracted.num_computed, extracted.num_cached, extracted.engine.batch_size) == (39, 1, 8)
    np.testing.assert_allclose(extracted.matrix, expected(tiny, photos), atol=1e-5)


# --- views --------------------------------------------------------------------------------------------------------

LIGHT = Augmentation(horizontal_flip=True, crop=0.2)


def test_views_differ_from_the_pictures_and_from_each_other(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    views: list[View | None] = [None, View(LIGHT, 0, 7), View(LIGHT, 1, 7), View(LIGHT, 0, 8)]
    matrices = [extract(workspace, tiny, photos, view=view).matrix for view in views]
    for position, one in enumerate(matrices):
        for other in matrices[:position]:
            assert (np.abs(one - other).max(axis=1) > 1e-4).mean() > 0.9


def test_a_view_is_the_same_again_whatever_else_is_asked_for(
    workspace: Workspace, tmp_path: Path, tiny: Backbone, photos: list[Path]
) -> None:
    view = View(LIGHT, 2, 7)
    all_at_once = extract(workspace, tiny, photos, view=view).matrix
    elsewhere = Workspace(tmp_path / "another")
    one_by_one = [extract(elsewhere, tiny, [path], view=view).matrix[0] for path in photos[7:3:-1]]
    np.testing.assert_allclose(one_by_one, all_at_once[7:3:-1], atol=1e-5)
    assert extract(workspace, tiny, photos, view=view).num_cached == 40


def test_the_features_of_a_view_are_those_of_the_varied_picture(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    view = View(LIGHT, 0, 7)
    varied = [
        view.of(images.decode(path.read_bytes(), tiny.image_size, "pad"), sha256(path)) for path in photos
    ]
    extracted = extract(workspace, tiny, photos, resize="pad", view=view)
    np.testing.assert_allclose(extracted.matrix, engines.forward(tiny)(np.stack(varied)), atol=1e-5)


def test_a_file_is_decoded_once_for_itself_and_its_variations_as_far_as_there_is_room(
    workspace: Workspace, tiny: Backbone, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[View | None] = [None, View(LIGHT, 0, 7), View(LIGHT, 1, 7)]
    each = [extract(workspace, tiny, photos, view=view).matrix for view in ways]
    num_read = itertools.count()

    def read_bytes(path: Path) -> bytes:
        next(num_read)
        return path.read_bytes()

    monkeypatch.setattr(images, "read_bytes", read_bytes)
    of_one = 3 * tiny.image_size[0] * tiny.image_size[1]
    wanted = [sha256(path) for path in photos[:30]]  # as those of train among all
    for room, expected_reads in ((30 * of_one, 40), (20 * of_one, 40 + 2 * 10), (0, 40 + 2 * 30)):
        elsewhere = Workspace(tmp_path / f"room {room}")
        decoded, before = Decoded(wanted, room), next(num_read)
        extract(elsewhere, tiny, photos, decoded=decoded)
        for view, matrix in zip(ways[1:], each[1:], strict=True):
            found = extract(elsewhere, tiny, photos[:30], view=view, decoded=decoded).matrix
            np.testing.assert_array_equal(found, matrix[:30])
        assert next(num_read) - before - 1 == expected_reads


def test_each_file_is_varied_in_its_own_way() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    view = View(LIGHT, 0, 7)
    variations = {
        view.of(picture, hashlib.sha256(bytes([number])).hexdigest()).tobytes() for number in range(20)
    }
    assert len(variations) > 15


def test_what_mixes_batches_makes_no_other_view(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    extract(workspace, tiny, photos, view=View(LIGHT, 0, 7))
    mixing = dataclasses.replace(LIGHT, mixup=0.2, cutmix=1.0)
    assert extract(workspace, tiny, photos, view=View(mixing, 0, 7)).num_cached == 40


# --- the key ------------------------------------------------------------------------------------------------------


def test_whatever_changes_the_numbers_changes_the_key(workspace: Workspace, tiny: Backbone) -> None:
    description = features.describe_space(tiny)
    keys = {feature_store.space_key(description)}
    for name, value in description.items():
        keys.add(feature_store.space_key({**description, name: f"not {value}"}))
    assert len(keys) == len(description) + 1
    others = [
        features.describe_space(tiny, "crop"),
        features.describe_space(tiny, pooling="max"),
        features.describe_space(tiny, pooling="flatten"),
        features.describe_space(backbones.build(workspace, "tiny", 48)),
        features.describe_space(backbones.build(workspace, "tiny", depth=0.5)),
        features.describe_space(backbones.build(workspace, "tiny", depth=0.2)),
        features.describe_space(backbones.build(workspace, "tiny", random_seed=0)),
        features.describe_space(backbones.build(workspace, "tiny", random_seed=1)),
        features.describe_space(tiny, view=View(LIGHT, 0, 0)),
        features.describe_space(tiny, view=View(LIGHT, 1, 0)),
        features.describe_space(tiny, view=View(LIGHT, 0, 1)),
        features.describe_space(tiny, view=View(dataclasses.replace(LIGHT, crop=0.3), 0, 0)),
    ]
    assert len({feature_store.space_key(other) for other in [description, *others]}) == 1 + len(others)


def test_features_of_an_earlier_graft_stay_valid(tiny: Backbone) -> None:
    assert features.describe_space(tiny) == {
        "format": 1,
        "backbone": "tiny",
        "weights_sha256": tiny.weights_sha256,
        "image_size": [32, 32],
        "resize": "stretch",
        "preprocessing": "tf",
        "cut_layer": "last feature map",
        "pooling": "global average",
        "view_seed": None,
        "engine": engines.precision(),
        "decode_version": images.DECODE_VERSION,
        "num_features": 64,
    }


# --- the store's care ---------------------------------------------------------------------------------------------


def test_what_was_known_and_what_was_computed_is_counted(
    workspace: Workspace, tiny: Backbone, photos: list[Path]
) -> None:
    extract(workspace, tiny, photos[:30])
    extract(workspace, tiny, photos)
    usage = feature_store.usage(workspace)
    assert (usage.num_hits, usage.num_computed, usage.num_spaces) == (30, 40, 1)

    def cancel(done: int, total: int) -> None:
        if done >= 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        extract(workspace, tiny, photos, resize="pad", batch_size=8, progress=cancel)
    assert feature_store.usage(workspace).num_computed in (48, 56)  # the next batch may have been on its way


def test_what_all_is_kept_needs_no_conversion(
    workspace: Workspace, tiny: Backbone, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "pays", lambda backbone, num_images: True)
    expected = extract(workspace, backbones.build(workspace, "tiny"), photos)
    assert expected.engine.precision == litert.PRECISION
    (conversion,) = (workspace.backbones_dir / "litert").iterdir()
    conversion.unlink()
    again = extract(workspace, backbones.build(workspace, "tiny"), photos)
    assert (again.num_computed, again.num_cached, conversion.exists()) == (0, 40, False)
    np.testing.assert_array_equal(again.matrix, expected.matrix)
    for shard in workspace.features_dir.rglob("*.npy"):
        shard.write_bytes(shard.read_bytes()[:-1])
    anew = extract(workspace, backbones.build(workspace, "tiny"), photos)
    assert (anew.num_computed, anew.engine.precision) == (40, litert.PRECISION)
    np.testing.assert_array_equal(anew.matrix, expected.matrix)


def test_what_lent_weights_saw_is_found_by_whoever_has_these_weights_and_nothing_is_converted_twice(
    workspace: Workspace, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "pays", lambda backbone, num_images: True)
    backbone = backbones.build(workspace, "tiny")
    plain = extract(workspace, backbone, photos[:5]).matrix
    weights = [np.float32(1.1) * values for values in backbone.model.get_weights()]
    with backbones.lend(backbone, weights) as lent:
        seen = extract(workspace, lent, photos[:20])
        assert (seen.num_computed, seen.engine.precision) == (20, litert.PRECISION)
        assert not np.allclose(seen.matrix[:5], plain, atol=1e-3)
    assert backbone.is_pristine()
    monkeypatch.setattr(litert, "convert", None)
    with pytest.raises(RuntimeError), backbones.lend(backbone, weights) as again:
        assert again is lent and again.is_pristine()
        assert extract(workspace, again, photos[:25]).num_cached == 20
        raise RuntimeError
    assert backbone.is_pristine()
    other = backbones.build(workspace, "tiny", random_seed=0)
    other = backbones.adopt(other, weights, backbones.hash_arrays(weights))  # as a run's model is loaded
    found = extract(workspace, other, photos)
    assert (found.num_cached, found.num_computed, found.engine.precision) == (25, 15, litert.PRECISION)
    np.testing.assert_array_equal(found.matrix[:20], seen.matrix)


def test_what_two_batches_had_when_one_failed_is_kept(
    workspace: Workspace, tiny: Backbone, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "pays", lambda backbone, num_images: True)
    engines.fastest(workspace, tiny, num_images=40)  # converted with the real one
    compute, calls = litert.LiteRt.__call__, itertools.count()

    def fail_third(self: litert.LiteRt, pictures: np.ndarray) -> np.ndarray:
        if next(calls) == 2:
            raise RuntimeError("the device is gone")
        return compute(self, pictures)

    with monkeypatch.context() as patch:
        patch.setattr(litert.LiteRt, "__call__", fail_third)
        with pytest.raises(RuntimeError, match="the device is gone"):
            extract(workspace, tiny, photos, batch_size=8)
    assert 16 <= extract(workspace, tiny, photos).num_cached <= 32


def test_after_an_extraction_the_oldest_spaces_go_but_never_the_one_in_use(
    workspace: Workspace, tiny: Backbone, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(workspace, tiny, photos)
    extract(workspace, tiny, photos, resize="crop")
    monkeypatch.setenv("GRAFT_FEATURES_GB", "0.00003")  # 30 kB; a space takes some 14 kB
    extract(workspace, tiny, photos, resize="pad")
    kept = {space.description["resize"] for space in feature_store.list_spaces(workspace)}
    assert kept == {"crop", "pad"}
    monkeypatch.setenv("GRAFT_FEATURES_GB", "0")
    extract(workspace, tiny, photos, resize="crop")
    assert [space.description["resize"] for space in feature_store.list_spaces(workspace)] == ["crop"]


def test_a_limit_that_is_no_number_is_refused_before_anything_is_computed(
    workspace: Workspace, tiny: Backbone, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_FEATURES_GB", "ten")
    with pytest.raises(WorkspaceError, match='GRAFT_FEATURES_GB is "ten". Expected how many gigabytes'):
        extract(workspace, tiny, photos)
    assert feature_store.list_spaces(workspace) == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "empty", "pickle", "zip"])
def test_a_damaged_shard_is_dropped_and_computed_again(
    workspace: Workspace, tiny: Backbone, photos: list[Path], damage: str
) -> None:
    good = extract(workspace, tiny, photos[:20])
    (shard,) = workspace.features_dir.glob("*/*.npy")
    data = shard.read_bytes()
    extract(workspace, tiny, photos)
    if damage == "missing":
        shard.unlink()
    elif damage == "pickle":
        np.save(shard, np.array([{}] * 20), allow_pickle=True)
    else:
        spoilt = {
            "truncated": data[:-100],
            "flipped": data[:-1] + bytes([data[-1] ^ 1]),
            "empty": b"",
            "zip": b"PK\x03\x04",
        }
        shard.write_bytes(spoilt[damage])
    extracted = extract(workspace, tiny, photos)
    assert (extracted.num_computed, extracted.num_cached) == (20, 20)
    np.testing.assert_allclose(extracted.matrix[:20], good.matrix, atol=1e-5)
    assert extract(workspace, tiny, photos).num_cached == 40


def test_two_extractions_at_once_agree(workspace: Workspace, tiny: Backbone, photos: list[Path]) -> None:
    results: list[features.Features] = []
    threads = [
        threading.Thread(target=lambda: results.append(extract(workspace, tiny, photos, batch_size=8)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results[0].matrix, results[1].matrix, atol=1e-5)
    assert extract(workspace, tiny, photos).num_cached == 40
