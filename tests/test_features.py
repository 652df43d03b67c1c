from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core import backbones, engines, features, images
from core.backbones import Backbone
from core.errors import Cancelled, WorkspaceError
from core.features.store import FeatureSpace
from core.workspace import Workspace


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
    assert extract(workspace, tiny, photos).num_cached == 16


def test_the_features_of_a_fine_tuned_network_are_never_kept(
    workspace: Workspace, photos: list[Path]
) -> None:
    backbone = backbones.build(workspace, "tiny")
    backbone.model.set_weights([array * 1.01 for array in backbone.model.get_weights()])
    with pytest.raises(ValueError, match="whose weights were changed"):
        extract(workspace, backbone, photos)
    assert features.list_spaces(workspace) == []


def test_whatever_changes_the_numbers_changes_the_key(workspace: Workspace, tiny: Backbone) -> None:
    description = features.describe_space(tiny)
    keys = {features.space_key(description)}
    for name, value in description.items():
        keys.add(features.space_key({**description, name: f"not {value}"}))
    assert len(keys) == len(description) + 1
    needed = {"backbone", "weights_sha256", "image_size", "resize", "preprocessing", "cut_layer", "pooling"}
    assert needed | {"view_seed", "engine", "decode_version"} <= set(description)
    assert features.describe_space(backbones.build(workspace, "tiny", 48)) != description
    assert features.describe_space(tiny, "crop") != description


# --- the store ----------------------------------------------------------------------------------------------------

SPACE = {"backbone": "test", "num_features": 4}


def digests(*numbers: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def matrix(*numbers: int) -> np.ndarray:
    return np.array([[n, n / 3, -n, 0] for n in numbers], np.float32)


def known(space: FeatureSpace, *numbers: int) -> set[int]:
    """Return which numbers' rows are known, after comparing them with what they have to be."""
    by_digest = dict(zip(digests(*numbers), numbers, strict=True))
    found: set[int] = set()
    for keys, rows in space.read(by_digest):
        numbers_found = [by_digest[key] for key in keys]
        np.testing.assert_array_equal(rows, matrix(*numbers_found))
        assert not found & set(numbers_found), "a key comes once"
        found |= set(numbers_found)
    return found


@settings(deadline=None, max_examples=30)
@given(batches=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True), max_size=5))
def test_the_store_gives_back_what_it_was_given(
    batches: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("graft"))
    for batch in batches:
        FeatureSpace(workspace, SPACE).append(digests(*batch), matrix(*batch))
    assert known(FeatureSpace(workspace, SPACE), *range(31)) == {n for batch in batches for n in batch}


def test_a_writer_killed_between_shard_and_index_leaves_nothing_behind(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1, 2), matrix(1, 2))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(FeatureSpace, "_append_line", kill)
        FeatureSpace(workspace, SPACE).append(digests(3), matrix(3))
    assert len(list(space.directory.glob("*.npy"))) == 2
    assert known(FeatureSpace(workspace, SPACE), 1, 2, 3) == {1, 2}
    FeatureSpace(workspace, SPACE).append(digests(4), matrix(4))
    assert len(list(space.directory.glob("*.npy"))) == 2, "the orphan is gone"
    assert known(FeatureSpace(workspace, SPACE), 1, 2, 3, 4) == {1, 2, 4}


def test_a_writer_killed_in_the_middle_of_its_line_costs_only_that_line(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1), matrix(1))
    space.append(digests(2), matrix(2))
    index = space.directory / "index.txt"
    index.write_bytes(index.read_bytes()[:-20])
    assert known(space, 1, 2) == {1}
    FeatureSpace(workspace, SPACE).append(digests(3), matrix(3))
    assert known(space, 1, 2, 3) == {1, 3}


@settings(deadline=None, max_examples=40)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_index_never_gives_wrong_rows(
    position: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    space = FeatureSpace(Workspace(tmp_path_factory.mktemp("graft")), SPACE)
    for number in range(4):
        space.append(digests(number), matrix(number))
    index = space.directory / "index.txt"
    data = bytearray(index.read_bytes())
    data[position % len(data)] = byte
    index.write_bytes(data)
    assert len(known(space, *range(4))) >= 2  # the damaged line, and the next if the line's end was hit
    space.append(digests(*range(4)), matrix(*range(4)))
    assert known(space, *range(4)) == set(range(4))


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


def test_many_writers_lose_nothing(workspace: Workspace) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 100, 5):
            numbers = range(number, number + 5)
            FeatureSpace(workspace, SPACE).append(digests(*numbers), matrix(*numbers))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 150, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert known(FeatureSpace(workspace, SPACE), *range(300)) == set(range(300))


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


def test_a_cache_that_cannot_be_written_is_reported(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.directory.write_text("a file where the folder should be")
    with pytest.raises(
        WorkspaceError, match=r"Features could not be saved in .* Check that the disk has room"
    ):
        space.append(digests(1), matrix(1))


def test_a_full_disk_leaves_no_half_shard(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Any, array: np.ndarray, **_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    space = FeatureSpace(workspace, SPACE)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        space.append(digests(1), matrix(1))
    assert list(space.directory.glob("*.npy")) == []


def test_the_space_used_longest_ago_is_evicted_first_and_whole(workspace: Workspace) -> None:
    spaces = [FeatureSpace(workspace, {**SPACE, "resize": rule}) for rule in ("stretch", "crop", "pad")]
    for age, space in enumerate(spaces):
        space.append(digests(1), matrix(1))
        os.utime(space.directory / "space.json", (1000 - age, 1000 - age))
    assert known(spaces[2], 1) == {1}  # used just now
    listed = features.list_spaces(workspace)
    assert [space.key for space in listed] == [spaces[1].key, spaces[0].key, spaces[2].key]
    assert listed[0].description["resize"] == "crop"
    total = sum(space.num_bytes for space in listed)
    assert features.evict(workspace, total) == 0
    assert features.evict(workspace, total - 1) == listed[0].num_bytes
    assert [space.key for space in features.list_spaces(workspace)] == [spaces[0].key, spaces[2].key]
    features.evict(workspace, 0)
    assert features.list_spaces(workspace) == []


def test_an_evicted_space_can_be_written_again(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1), matrix(1))
    features.evict(workspace, 0)
    assert known(space, 1) == set()
    space.append(digests(2), matrix(2))
    assert known(space, 1, 2) == {2}
