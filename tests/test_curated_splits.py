"""Splits obey decisions, and no decision brings a picture over to train."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import curation, splits
from core.curation import Decision
from core.errors import DataError

CLASSES = ("a", "b", "c", "d")
# Classes that can be shared out and stand in every given split, so that few tables are refused.
ENOUGH = [
    (label, 1000 + i, 1000 + i, ("train", "val", "test")[i % 3]) for i, label in enumerate("aaaaaabbbbbb")
]


def make_table(rows: list[tuple[str, int, int, str]]) -> pd.DataFrame:
    """Return an audited table of rows (label, content, group, given split)."""
    return pd.DataFrame(
        {
            "path": [f"{label}/{index}.png" for index, (label, *_) in enumerate(rows)],
            "label": [row[0] for row in rows],
            "sha256": [f"{row[1]:064x}" for row in rows],
            "group": [f"{row[2]:064x}" for row in rows],
            "given_split": [row[3] for row in rows],
            "usable": [True] * len(rows),
        }
    )


def split_of(table: pd.DataFrame) -> pd.Series[str] | None:
    with contextlib.suppress(DataError):
        return splits.assign(table, seed=3)
    return None


def _rows(drawn: list[tuple[str, int, int, str]], splits_given: bool) -> list[tuple[str, int, int, str]]:
    # The same bytes are always in the same group.
    return [(row[0], row[1], row[1] // 3, row[3] if splits_given else "") for row in [*ENOUGH, *drawn]]


rows = st.lists(
    st.tuples(
        st.sampled_from(CLASSES), st.integers(0, 15), st.just(0), st.sampled_from(("train", "val", "test"))
    ),
    max_size=30,
)
choices = st.lists(st.tuples(st.integers(0, 41), st.sampled_from(("exclude", *CLASSES))), max_size=12)


def _decisions(table: pd.DataFrame, chosen: list[tuple[int, str]]) -> list[Decision]:
    made = []
    for row, what in chosen:
        path = [str(table["path"].iloc[row % len(table)])]
        made += curation.decide_on(table, path, *(("exclude",) if what == "exclude" else ("relabel", what)))
    return made


@settings(deadline=None, max_examples=150)
@given(rows, st.booleans(), choices)
def test_no_decision_brings_a_picture_over_to_train_or_moves_one_that_is_used(
    drawn: list[tuple[str, int, int, str]], splits_given: bool, chosen: list[tuple[int, str]]
) -> None:
    table = make_table(_rows(drawn, splits_given))
    decided = curation.apply(table, _decisions(table, chosen), CLASSES)
    before, after = split_of(table), split_of(decided)
    if before is None or after is None:
        return
    kept = (before != "") & (after != "")
    assert (before[kept] == after[kept]).all()
    assert (before[after == "train"] == "train").all()
    assert not (after[decided["excluded"]] != "").any()


@settings(deadline=None, max_examples=150)
@given(rows, st.booleans(), choices)
def test_a_near_duplicate_of_a_test_picture_is_never_learnt_from_whatever_is_decided(
    drawn: list[tuple[str, int, int, str]], splits_given: bool, chosen: list[tuple[int, str]]
) -> None:
    table = make_table(_rows(drawn, splits_given))
    before = split_of(table)
    after = split_of(curation.apply(table, _decisions(table, chosen), CLASSES))
    if before is None or after is None:
        return
    judging = set(table["group"][before.isin(["val", "test"])])
    assert not (table["group"].isin(judging) & (after == "train")).any()
    sides = after[after != ""].groupby(table["group"]).agg(set)
    assert not [names for names in sides if "train" in names and len(names) > 1]


def _of(table: pd.DataFrame, *decisions: Decision) -> dict[str, str]:
    decided = curation.apply(table, decisions, CLASSES)
    return dict(zip(table["path"], splits.assign(decided), strict=True))


def test_a_copy_in_train_stays_out_when_its_twin_in_test_is_excluded() -> None:
    table = make_table([*ENOUGH, ("a", 1, 1, "test"), ("a", 2, 1, "train")])
    twin, copy = table["path"].tolist()[-2:]
    assert _of(table)[twin] == "test"
    found = _of(table, *curation.decide_on(table, [twin], "exclude"))
    assert (found[twin], found[copy]) == ("", "")


def test_a_test_picture_that_gets_another_class_stays_in_test() -> None:
    table = make_table([(label, content, group, "") for label, content, group, _ in ENOUGH])
    before = _of(table)
    tested = [path for path, split in before.items() if split == "test"]
    after = _of(table, *curation.decide_on(table, tested[:1], "relabel", "b"))
    assert after == before


def test_a_conflict_that_a_decision_ends_judges_where_the_folder_put_it() -> None:
    table = make_table([*ENOUGH, ("a", 1, 1, "test"), ("b", 1, 1, "test")])
    one, other = table["path"].tolist()[-2:]
    assert {_of(table)[one], _of(table)[other]} == {""}
    found = _of(table, *curation.decide_on(table, [other], "relabel", "a"))
    assert (found[one], found[other]) == ("test", "test")


def test_a_conflict_that_a_decision_makes_judges_nothing_and_is_told() -> None:
    table = make_table([*ENOUGH, ("a", 1, 1, "test"), ("a", 1, 1, "test")])
    other = table["path"].tolist()[-1]
    decided = curation.apply(table, curation.decide_on(table, [other], "relabel", "b"), CLASSES)
    split = splits.assign(decided)
    assert split.tolist()[-2:] == ["", ""]
    assert splits.left_out(decided, split).tolist()[-2:] == ["conflict", "conflict"]


def test_where_all_that_would_judge_is_excluded_the_error_says_so() -> None:
    table = make_table(ENOUGH)
    tested = table["path"][table["given_split"] == "test"]
    decided = curation.apply(table, curation.decide_on(table, tested, "exclude"), CLASSES)
    with pytest.raises(
        DataError, match="all 4 that it would have are excluded.*Take some of these decisions back"
    ):
        splits.assign(decided)
