"""Rows that were computed once are kept, found again, and never mistaken; the store stays within its limit."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import feature_store
from core.errors import WorkspaceError
from core.feature_store import FeatureSpace, Usage
from core.workspace import Workspace

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
    listed = feature_store.list_spaces(workspace)
    assert [space.key for space in listed] == [spaces[1].key, spaces[0].key, spaces[2].key]
    assert listed[0].description["resize"] == "crop"
    total = sum(space.num_bytes for space in listed)
    assert feature_store.evict(workspace, total) == 0
    assert feature_store.evict(workspace, total - 1) == listed[0].num_bytes
    assert [space.key for space in feature_store.list_spaces(workspace)] == [spaces[0].key, spaces[2].key]
    feature_store.evict(workspace, 0)
    assert feature_store.list_spaces(workspace) == []


def test_an_evicted_space_can_be_written_again(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1), matrix(1))
    feature_store.evict(workspace, 0)
    assert known(space, 1) == set()
    space.append(digests(2), matrix(2))
    assert known(space, 1, 2) == {2}


def test_a_space_in_use_is_never_evicted(workspace: Workspace) -> None:
    spaces = [FeatureSpace(workspace, {**SPACE, "resize": rule}) for rule in ("stretch", "crop")]
    for age, space in enumerate(spaces):
        space.append(digests(1), matrix(1))
        os.utime(space.directory / "space.json", (1000 + age, 1000 + age))
    feature_store.evict(workspace, 0, in_use=(spaces[0].key,))
    assert [space.key for space in feature_store.list_spaces(workspace)] == [spaces[0].key]


def test_writing_counts_as_use(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1), matrix(1))
    os.utime(space.directory / "space.json", (1000, 1000))
    space.append(digests(2), matrix(2))
    assert feature_store.list_spaces(workspace)[0].last_used > 1000


# --- what it takes and how often it was of use ----------------------------------------------------------------------


def test_usage_says_what_is_kept_and_how_often_it_was_of_use(workspace: Workspace) -> None:
    assert feature_store.usage(workspace) == Usage(0, 0, 0, 0)
    assert feature_store.usage(workspace).hit_rate is None
    FeatureSpace(workspace, SPACE).append(digests(1, 2), matrix(1, 2))
    feature_store.count(workspace, 0, 10)
    feature_store.count(workspace, 30, 0)
    usage = feature_store.usage(workspace)
    assert usage.num_bytes == sum(space.num_bytes for space in feature_store.list_spaces(workspace)) > 32
    assert (usage.num_spaces, usage.num_hits, usage.num_computed, usage.hit_rate) == (1, 30, 10, 0.75)


def test_counts_of_many_writers_add_up(workspace: Workspace) -> None:
    def write() -> None:
        for _ in range(20):
            feature_store.count(workspace, 1, 2)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    usage = feature_store.usage(workspace)
    assert (usage.num_hits, usage.num_computed) == (80, 160)


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b'{"num_hits": 1}', b'{"num_hits": "x", "num_computed": 1}']
)
def test_damaged_counts_begin_anew(workspace: Workspace, damaged: bytes) -> None:
    (workspace.features_dir / "usage.json").write_bytes(damaged)
    assert feature_store.usage(workspace).hit_rate is None
    feature_store.count(workspace, 3, 4)
    assert feature_store.usage(workspace).num_computed == 4


def test_counts_that_cannot_be_kept_stop_nothing(workspace: Workspace) -> None:
    (workspace.features_dir / "usage.json").mkdir()
    feature_store.count(workspace, 3, 4)
    assert feature_store.usage(workspace).hit_rate is None


def test_clearing_removes_all_features_and_what_an_interrupted_deletion_left(workspace: Workspace) -> None:
    FeatureSpace(workspace, SPACE).append(digests(1), matrix(1))
    feature_store.count(workspace, 1, 1)
    leftover = workspace.features_dir / ".test-0.1234.deleted"
    leftover.mkdir()
    (leftover / "shard.npy").write_bytes(b"12345")
    num_bytes = feature_store.usage(workspace).num_bytes
    assert feature_store.clear(workspace) == num_bytes + 5
    assert feature_store.usage(workspace) == Usage(0, 0, 0, 0)
    assert not leftover.exists()
    assert feature_store.clear(workspace) == 0


def test_a_cleared_space_can_be_written_again(workspace: Workspace) -> None:
    space = FeatureSpace(workspace, SPACE)
    space.append(digests(1), matrix(1))
    feature_store.clear(workspace)
    space.append(digests(2), matrix(2))
    assert known(space, 1, 2) == {2}


def test_the_limit_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAFT_FEATURES_GB", raising=False)
    assert feature_store.limit_bytes() == 10 * 10**9
    for value, expected in ((" ", 10 * 10**9), ("0", 0), ("2.5", 2_500_000_000)):
        monkeypatch.setenv("GRAFT_FEATURES_GB", value)
        assert feature_store.limit_bytes() == expected


@pytest.mark.parametrize("given", ["ten", "-1", "nan", "inf", "10 GB"])
def test_a_limit_that_is_no_number_of_gigabytes_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_FEATURES_GB", given)
    with pytest.raises(WorkspaceError, match=f'GRAFT_FEATURES_GB is "{given}". Expected .* such as 10'):
        feature_store.limit_bytes()
