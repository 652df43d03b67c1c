from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import splits
from core.errors import DataError
from core.splits.reasons import MIN_CLASS_IMAGES
from core.words import sentence


def make_table(rows: list[tuple[str, int]], given_split: list[str] | None = None) -> pd.DataFrame:
    """Return an audited table of (label, content) rows; rows of the same content are duplicates."""
    return pd.DataFrame(
        {
            "path": [f"{label}/{index}.png" for index, (label, _) in enumerate(rows)],
            "label": [label for label, _ in rows],
            "given_split": given_split or [""] * len(rows),
            "sha256": [hashlib.sha256(str(content).encode()).hexdigest() for _, content in rows],
            "usable": [True] * len(rows),
        }
    )


def distinct(counts: dict[str, int]) -> pd.DataFrame:
    """Return a table of classes, each with so many different pictures."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    return make_table(list(zip(labels, range(len(labels)), strict=True)))


def per_class(table: pd.DataFrame, split: pd.Series[str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, name in zip(table["label"], split, strict=True):
        counts[label][name] += 1
    return counts


# Two classes that can be shared out, so that no table is refused, and anything beside them.
ENOUGH = [(label, 1000 + index) for index, label in enumerate("aaabbb")]
anything = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40)), max_size=40).map(
    lambda rows: ENOUGH + rows
)
fractions = st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4)).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)


@settings(deadline=None, max_examples=50)
@given(anything, fractions, st.integers(0, 5), st.data())
def test_splits_partition_the_usable_pictures(
    rows: list[tuple[str, int]], shares: tuple[float, ...], seed: int, data: st.DataObject
) -> None:
    table = make_table(rows)
    others = len(rows) - len(ENOUGH)
    drawn = data.draw(st.lists(st.booleans(), min_size=others, max_size=others))
    table["usable"] = [True] * len(ENOUGH) + drawn
    split = splits.assign(table, shares, seed)
    assert split.index.equals(table.index)
    assert (split != "").tolist() == table["usable"].tolist()
    assert set(split) <= {"train", "val", "test", ""}


@settings(deadline=None, max_examples=50)
@given(anything, fractions, st.integers(0, 5))
def test_duplicates_never_straddle_a_split(
    rows: list[tuple[str, int]], shares: tuple[float, ...], seed: int
) -> None:
    table = make_table(rows)
    split = splits.assign(table, shares, seed)
    assert (split.groupby(table["sha256"]).nunique() == 1).all()


@settings(deadline=None, max_examples=50)
@given(anything, st.integers(0, 99))
def test_the_order_of_rows_and_other_classes_make_no_difference(
    rows: list[tuple[str, int]], order: int
) -> None:
    table = make_table(rows)
    split = splits.assign(table, seed=3)
    shuffled = table.sample(frac=1, random_state=order)
    again = splits.assign(shuffled, seed=3)
    assert again.sort_index().equals(split)
    assert splits.fingerprint(shuffled, again) == splits.fingerprint(table, split)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(10, 80), min_size=2),
    fractions,
    st.integers(0, 5),
)
def test_every_class_has_the_fractions_within_rounding(
    counts: dict[str, int], shares: tuple[float, ...], seed: int
) -> None:
    table = distinct(counts)
    for label, found in per_class(table, splits.assign(table, shares, seed)).items():
        for name, share in zip(splits.SPLITS, shares, strict=True):
            assert abs(found[name] - share * counts[label]) <= 1
            assert found[name] >= 1


@settings(deadline=None, max_examples=50)
@given(anything, st.data())
def test_a_given_split_is_kept(rows: list[tuple[str, int]], data: st.DataObject) -> None:
    missing = data.draw(st.sampled_from([set(), {"val"}, {"test"}, {"val", "test"}]))
    there = sorted({"train", "val", "test"} - missing)
    others = len(rows) - len(ENOUGH)
    drawn = data.draw(st.lists(st.sampled_from(there), min_size=others, max_size=others))
    complete = ["train"] * len(ENOUGH) + there + drawn
    table = make_table(
        [*ENOUGH, *[("c", 2000 + index) for index in range(len(there))], *rows[len(ENOUGH) :]], complete
    )
    judging: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, set[str]] = defaultdict(set)
    for sha256, label, before in zip(table["sha256"], table["label"], complete, strict=True):
        judging[sha256].add(before)
        labels[sha256].add(label)
    split = splits.assign(table)
    learnt = set(table["label"][split == "train"])
    reasons = splits.left_out(table, split)
    rows = zip(table["sha256"], table["label"], complete, split, reasons, strict=True)
    for sha256, label, before, after, reason in rows:
        side = next((name for name in ("test", "val") if name in judging[sha256]), "")
        if side and len(labels[sha256]) > 1:  # it cannot be told of which class they are
            assert (after, reason) == ("", "conflict")
        elif side and before != side:  # a copy is used on the side that judges only
            assert (after, reason) == ("", "copy")
        elif label not in learnt:
            assert (after, reason) == ("", "unseen")
        else:
            assert reason == ""
            assert after == before or (before == "train" and after in missing)


def test_the_seed_chooses_and_the_default_is_70_15_15() -> None:
    table = distinct({"a": 200, "b": 100})
    first, again, other = (splits.assign(table, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    assert first.value_counts().to_dict() == {"train": 210, "val": 45, "test": 45}


def test_adding_pictures_moves_few_of_those_there_were() -> None:
    table = distinct({"a": 100, "b": 100})
    more = pd.concat([table, make_table([("a", 1000 + index) for index in range(10)])], ignore_index=True)
    kept = splits.assign(more).iloc[: len(table)] == splits.assign(table)
    assert kept.mean() > 0.9


def test_a_missing_val_is_carved_from_train_in_proportion() -> None:
    rows = [(label, index + 1000 * (label == "b")) for label in "ab" for index in range(100)]
    table = make_table(rows, (["train"] * 80 + ["test"] * 20) * 2)
    counts = Counter(splits.assign(table, (0.6, 0.2, 0.2)))
    assert counts == {"train": 120, "val": 40, "test": 40}


def test_a_missing_test_is_carved_from_train_in_proportion() -> None:
    rows = [(label, index + 1000 * (label == "b")) for label in "ab" for index in range(100)]
    table = make_table(rows, (["train"] * 90 + ["val"] * 10) * 2)
    counts = Counter(splits.assign(table, (0.6, 0.1, 0.3)))
    assert counts == {"train": 120, "val": 20, "test": 60}


def test_classes_with_fewer_than_three_different_pictures_are_only_trained_on() -> None:
    table = make_table(
        [("big", index) for index in range(20)] + [("two", 100), ("two", 101)] + [("copies", 200)] * 5
    )
    counts = per_class(table, splits.assign(table))
    assert counts["two"] == {"train": 2}
    assert counts["copies"] == {"train": 5}
    (note,) = splits.notes(table, splits.assign(table))
    assert str(note).startswith("Only learnt from, because none of their pictures is in validation or test")
    assert '"copies", "two".' in str(note)


def test_three_pictures_give_one_to_each_split() -> None:
    table = distinct({"a": 3, "b": 4})
    counts = per_class(table, splits.assign(table, (0.98, 0.01, 0.01)))
    assert counts == {"a": {"train": 1, "val": 1, "test": 1}, "b": {"train": 2, "val": 1, "test": 1}}


def test_pictures_with_contradicting_classes_never_judge() -> None:
    table = make_table([("a", 0), ("b", 0)] + [(label, index) for label in "ab" for index in range(1, 9)])
    table["sha256"] = [
        f"{sha256}{label}" if index > 1 else sha256
        for index, (sha256, label) in enumerate(zip(table["sha256"], table["label"], strict=True))
    ]
    for seed in range(20):
        assert splits.assign(table, (0.4, 0.3, 0.3), seed).tolist()[:2] == ["train", "train"]


def in_folders(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    """Return the table of a folder with its own split: (given split, label, content)."""
    return make_table([row[1:] for row in rows], [row[0] for row in rows])


def two_classes(**counts: int) -> list[tuple[str, str, int]]:
    """Return rows of a given split that has so many pictures of "a" and "b" each."""
    return [
        (split, label, 1000 * place + 100 * (label == "b") + index)
        for place, (split, count) in enumerate(counts.items(), start=1)
        for label in "ab"
        for index in range(count)
    ]


@pytest.mark.parametrize("other", ["test", "val", "train"])
def test_contradicting_copies_do_not_judge_in_a_given_split_either(other: str) -> None:
    rows = two_classes(train=4, val=2, test=2)
    table = in_folders([*rows, ("test", "a", 7), (other, "b", 7), ("train", "a", 8), ("train", "b", 8)])
    split = splits.assign(table)
    assert split.tolist() == [row[0] for row in rows] + ["", "", "train", "train"]
    assert Counter(splits.left_out(table, split)) == {"": len(rows) + 2, "conflict": 2}
    assert [str(note) for note in splits.notes(table, split)] == [
        "Left out because the same bytes stand in more than one class and in a split that judges: 2 files."
    ]


def test_only_learnt_from_is_said_of_the_classes_that_really_are() -> None:
    rows = two_classes(train=4, val=2, test=2)
    judged_by_one = [("train", "c", 1), ("test", "c", 2)]
    not_in_test = [("train", "d", 3), ("val", "d", 4), ("val", "d", 5)]
    learnt_only = [("train", "e", content) for content in range(10, 20)]
    never_learnt = [("test", "f", 30), ("val", "f", 31), ("test", "f", 32)]
    table = in_folders([*rows, *judged_by_one, *not_in_test, *learnt_only, *never_learnt])
    split = splits.assign(table)
    assert split.tolist()[: -len(never_learnt)] == table["given_split"].tolist()[: -len(never_learnt)]
    assert set(split[-len(never_learnt) :]) == {""}
    unseen, small, barely = map(str, splits.notes(table, split))
    assert unseen.startswith('Left out 3 pictures of "f": none of the pictures that are learnt from')
    assert small.startswith("Only learnt from, because") and 'validation or test: "e".' in small
    assert barely.startswith("Judged by a single test picture or none") and barely.endswith(': "c", "d".')


def test_a_sound_split_has_nothing_to_be_noted() -> None:
    table = distinct({"a": 20, "b": 20})
    assert splits.notes(table, splits.assign(table)) == []


def test_a_given_split_without_anything_to_judge_is_refused_with_the_reason() -> None:
    learnt = two_classes(train=4, val=2)
    with pytest.raises(DataError, match=r"left for test of the 3 .* \(3: no training picture shows .*\"c\""):
        splits.assign(in_folders([*learnt, *(("test", "c", content) for content in range(3))]))
    with pytest.raises(
        DataError, match=r"left for test of the 2 .* \(2: the same bytes stand in another class"
    ):
        splits.assign(in_folders([*learnt, ("test", "a", 7), ("test", "b", 7)]))
    copies = [("val", "a", 7), ("test", "a", 7), ("test", "b", 8)]
    with pytest.raises(
        DataError, match=r"left for validation of the 1 .* \(1: the same bytes stand in test too"
    ):
        splits.assign(in_folders([*two_classes(train=4), *copies]))


def test_a_class_whose_only_training_picture_judges_is_left_out() -> None:
    table = in_folders([*two_classes(train=4, val=2, test=2), ("train", "c", 7), ("test", "c", 7)])
    split = splits.assign(table)
    assert split.tolist()[-2:] == ["", ""]
    assert splits.left_out(table, split).tolist()[-2:] == ["copy", "unseen"]


def test_a_copy_of_a_given_test_image_is_never_learnt_from() -> None:
    rows = [("a", index) for index in range(10)] + [("b", 100 + index) for index in range(10)] + [("a", 0)]
    table = make_table(rows, ["train"] * 20 + ["test"])
    table = pd.concat([table, make_table([("b", 500)], ["test"])], ignore_index=True)
    for seed in range(10):
        split = splits.assign(table, (0.4, 0.5, 0.1), seed)
        assert split[0] == ""
        assert split[20] == "test"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (distinct({"owl": 9}), '1 class has training pictures: "owl". A classifier needs at least 2'),
        (distinct({}), "0 classes have training pictures. A classifier needs at least 2. Add pictures"),
        (distinct({"a": 2, "b": 2}), "No picture is left for validation: 4 usable pictures in 2 classes"),
        (make_table([("a", 1), ("b", 2)], ["val", "test"]), "0 classes have training pictures"),
    ],
)
def test_only_hopeless_datasets_are_refused(table: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError) as caught:
        splits.assign(table)
    assert words in str(caught.value)


def test_a_share_of_nothing_is_refused_only_where_it_leaves_a_split_empty() -> None:
    table = distinct({"a": 10, "b": 10})
    with pytest.raises(DataError, match="No picture is left for test: .* a share of 0 %"):
        splits.assign(table, (0.8, 0.2, 0.0))
    table["given_split"] = (["train"] * 8 + ["test"] * 2) * 2
    assert Counter(splits.assign(table, (0.8, 0.2, 0.0))) == {"train": 12, "val": 4, "test": 4}


@pytest.mark.parametrize(
    "shares", [(0.7, 0.3), (0.7, 0.2, 0.2), (0, 0.5, 0.5), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5), ()]
)
def test_impossible_fractions_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="Expected three shares for train, val and test that add up to 1"):
        splits.assign(distinct({"a": 9, "b": 9}), shares)


def test_the_fingerprint_knows_pictures_labels_and_splits() -> None:
    table = distinct({"a": 5, "b": 5})
    split = splits.assign(table)
    first = splits.fingerprint(table, split)
    unused = pd.concat([table, make_table([("c", 99)])], ignore_index=True)
    assert splits.fingerprint(unused, pd.Series([*split, ""])) == first
    assert len(first) == 64
    for column, value in (("path", "x"), ("sha256", "x"), ("label", "x")):
        changed = table.copy()
        changed.loc[0, column] = value
        assert splits.fingerprint(changed, split) != first
    moved = split.copy()
    moved[0] = "val" if split[0] != "val" else "train"
    assert splits.fingerprint(table, moved) != first


@settings(deadline=None)
@given(rows=anything, num_folds=st.integers(2, 6), seed=st.integers(0, 5))
def test_folds_deal_every_image_once_and_never_part_duplicates(
    rows: list[tuple[str, int]], num_folds: int, seed: int
) -> None:
    table = make_table(rows)
    fold = splits.folds(table, num_folds, seed)
    assert list(fold.index) == list(table.index)
    assert set(fold) <= set(range(num_folds))
    assert fold.groupby(table["sha256"]).nunique().max() == 1


def in_groups(rows: list[tuple[str, int, int]], given_split: list[str] | None = None) -> pd.DataFrame:
    """Return an audited table of (label, content, group) rows; content c of group g has other bytes in another g."""
    table = make_table([(label, 100 * group + content) for label, content, group in rows], given_split)
    groups = [f"group {group}" for _, _, group in rows]
    return table.assign(group=table["sha256"].groupby(groups).transform("min").to_numpy())


# Few contents in few groups, so that most have copies and near-duplicates, also in other classes.
grouped = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.integers(0, 15)), max_size=40
).map(lambda rows: [(label, 0, content) for label, content in ENOUGH] + rows)


@settings(deadline=None, max_examples=50)
@given(grouped, fractions, st.integers(0, 5))
def test_near_duplicates_never_straddle_a_split(
    rows: list[tuple[str, int, int]], shares: tuple[float, ...], seed: int
) -> None:
    table = in_groups(rows)
    split = splits.assign(table, shares, seed)
    assert (split.groupby(table["group"]).nunique() == 1).all()
    assert set(split) <= set(splits.SPLITS)


@settings(deadline=None, max_examples=50)
@given(grouped, st.integers(2, 6), st.integers(0, 5))
def test_near_duplicates_share_a_fold(rows: list[tuple[str, int, int]], num_folds: int, seed: int) -> None:
    table = in_groups(rows)
    assert splits.folds(table, num_folds, seed).groupby(table["group"]).nunique().max() == 1


@settings(deadline=None, max_examples=50)
@given(grouped, st.data())
def test_of_near_duplicates_in_a_given_split_only_those_that_judge_are_used(
    rows: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    judges = [("a", 0, 2000), ("b", 0, 2001)]
    others = len(rows) - len(ENOUGH)
    drawn = data.draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=others, max_size=others))
    table = in_groups(rows + judges, ["train"] * len(ENOUGH) + drawn + ["test", "val"])
    split = splits.assign(table)
    assert (split[split != ""].groupby(table["group"]).nunique() == 1).all()
    used = split != ""
    assert (split[used] == table["given_split"][used]).all()
    reasons = splits.left_out(table, split)
    assert ((reasons == "") == used).all()
    for row in table.index[reasons.isin(["copy", "near_copy"])]:
        together = "sha256" if reasons[row] == "copy" else "group"
        others_of_it = table["given_split"][table[together] == table.loc[row, together]]
        assert set(others_of_it) & {"val", "test"} - {table.loc[row, "given_split"]}


@settings(deadline=None, max_examples=50)
@given(anything, st.integers(0, 5))
def test_without_near_duplicates_the_split_is_by_bytes_as_it_always_was(
    rows: list[tuple[str, int]], seed: int
) -> None:
    table = make_table(rows)
    alone = table.assign(group=table["sha256"])
    assert splits.assign(alone, seed=seed).equals(splits.assign(table, seed=seed))
    assert splits.folds(alone, 3, seed).equals(splits.folds(table, 3, seed))


def test_copies_and_near_copies_of_what_judges_are_told_apart() -> None:
    rows = [("a", 0, 1), ("a", 0, 1), ("a", 1, 1), ("a", 2, 1)]
    table = in_groups(
        [(label, 0, content) for label, content in ENOUGH] + rows + [("b", 0, 2), ("a", 0, 3)],
        ["train"] * len(ENOUGH) + ["test", "train", "train", "val", "val", "val"],
    )
    split = splits.assign(table)
    assert split.tolist()[len(ENOUGH) :] == ["test", "", "", "", "val", "val"]
    assert splits.left_out(table, split).tolist()[len(ENOUGH) :] == [
        "",
        "copy",
        "near_copy",
        "near_copy",
        "",
        "",
    ]
    said = [str(note) for note in splits.notes(table, split)]
    assert "Left out because the same bytes stand in a split that judges: 1 file." in said
    assert "Left out because a near-duplicate stands in a split that judges: 2 files." in said


def test_near_duplicates_of_several_classes_may_judge_as_one() -> None:
    rows = [(label, index, group) for group in range(60) for index, label in enumerate("ab")]
    split = splits.assign(in_groups(rows), (0.4, 0.3, 0.3))
    assert set(split) == set(splits.SPLITS)
    assert (split.to_numpy().reshape(-1, 2)[:, 0] == split.to_numpy().reshape(-1, 2)[:, 1]).all()


def test_folds_share_out_each_class_and_are_of_one_size() -> None:
    table = distinct({"a": 21, "b": 10, "c": 4})
    fold = splits.folds(table, 5)
    per_fold = table.groupby([table["label"], fold]).size()
    assert per_fold["a"].max() - per_fold["a"].min() <= 1
    assert per_fold["b"].tolist() == [2] * 5
    assert fold.value_counts().tolist() == [7] * 5
    assert not fold.equals(splits.folds(table, 5, seed=1))


def test_the_sentence_about_tiny_classes_says_what_the_split_does() -> None:
    told = str(sentence("audit.why.tiny_class", tiny_class="50"))
    assert f"fewer than {('', 'one', 'two', 'three', 'four')[MIN_CLASS_IMAGES]} different pictures" in told
