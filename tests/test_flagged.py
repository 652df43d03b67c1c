"""What a check flagged, in order and in groups, what of a group can be spared, and how groups of checks stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import audit
from core.audit import Check, Thresholds


def rows(*files: tuple[int, str, str, int, int]) -> pd.DataFrame:
    """Return flagged files (group, class, given split, side in pixels, bytes)."""
    return pd.DataFrame(
        {
            "path": [f"{label}/{index}.jpg" for index, (_, label, *_) in enumerate(files)],
            "group": [file[0] for file in files],
            "label": [file[1] for file in files],
            "given_split": [file[2] for file in files],
            "width": [file[3] for file in files],
            "height": [file[3] for file in files],
            "size": [file[4] for file in files],
        }
    )


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ([(1, "a", "", 100, 9), (1, "a", "", 200, 5)], 1),
        ([(1, "a", "", 100, 5), (1, "a", "", 100, 9)], 1),
        ([(1, "a", "", 100, 9), (1, "a", "", 100, 9)], 0),
        ([(1, "a", "train", 200, 9), (1, "a", "test", 100, 9)], 1),
        ([(1, "a", "val", 200, 9), (1, "a", "test", 100, 9)], 1),
    ],
    ids=["pixels", "bytes", "path", "test before train", "test before val"],
)
def test_the_best_of_a_group_is_not_spared(files: list[tuple[int, str, str, int, int]], kept: int) -> None:
    table = rows(*files)
    assert audit.spare(table) == [path for row, path in enumerate(table["path"]) if row != kept]


files = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from("ab"),
        st.sampled_from(["", "test"]),
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(files)
def test_every_group_keeps_one_and_a_contradictory_one_all(
    found: list[tuple[int, str, str, int, int]],
) -> None:
    table = rows(*found)
    left = table[~table["path"].isin(audit.spare(table))]
    for number, group in table.groupby("group"):
        assert (left["group"] == number).sum() == (1 if group["label"].nunique() == 1 else len(group))


def test_flagged_files_come_worst_first_and_groups_together() -> None:
    names = ["sharp", "soft", "blurred"]
    table = pd.DataFrame(
        {
            "path": [f"a/{name}.jpg" for name in names],
            "sha256": ["1", "2", "2"],
            "group": ["1", "2", "2"],
            "sharpness": [0.8, 0.4, 0.1],
            "contrast": 1.0,
            "usable": True,
            "label": "a",
            "given_split": "",
            "width": 9,
            "height": 9,
            "format": "JPEG",
            "size": 9,
            "why": "",
        }
    )
    blurry = audit.flagged(table, "blurry", Thresholds())
    assert blurry["path"].tolist() == ["a/blurred.jpg", "a/soft.jpg"]
    assert blurry["score"].tolist() == pytest.approx([0.1, 0.4])
    assert blurry["group"].tolist() == [0, 0]
    copies = audit.flagged(table, "exact_duplicate", Thresholds())
    assert copies["path"].tolist() == ["a/blurred.jpg", "a/soft.jpg"]
    assert copies["group"].tolist() == [1, 1]
    decided = table.assign(excluded=False, kept=np.array(["", "blurry", ""], dtype=object))
    assert audit.flagged(decided, "blurry", Thresholds())["path"].tolist() == ["a/blurred.jpg"]


def test_the_worst_group_of_checks_comes_first_and_clear_ones_last() -> None:
    found = [
        Check("near_leak", "error", 2, ("a", "b")),
        Check("dark", "note", 1, ("c",)),
        Check("blank", "warning", 0, ()),
    ]
    lines = audit.health(found)
    assert [(line.group, line.severity) for line in lines[:2]] == [
        ("duplicates", "error"),
        ("pictures", "note"),
    ]
    assert {line.group for line in lines} == set(audit.GROUPS)
    assert all(not line.flagged and not line.severity for line in lines[2:])


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 5))
def test_a_page_ends_where_a_group_does_unless_the_group_is_larger_than_a_page(
    sizes: list[int], per_page: int
) -> None:
    group = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    found = audit.pages(pd.DataFrame({"group": group}), per_page)
    assert [row for start, end in found for row in range(start, end)] == list(range(len(group)))
    for start, end in found:
        assert end - start <= per_page
        if 0 < end < len(group) and group[end - 1] == group[end]:
            assert end - start == per_page and sizes[group[end] - 1] > per_page


def test_pages_of_files_that_are_in_no_group_are_full() -> None:
    assert audit.pages(pd.DataFrame({"group": [0] * 5}), 2) == [(0, 2), (2, 4), (4, 5)]
    assert audit.pages(pd.DataFrame({"group": []}), 2) == [(0, 0)]
