"""What a teacher may not have seen, and that a training which goes on learns the same targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import recipes
from core.errors import JobError
from core.recipes import Recipe
from core.runs import Run
from core.session.learnt import Learnt
from core.session.material import Material
from core.session.stages import fingerprint
from core.session.teacher import _require_same_classes, _require_unseen
from tests.training_worlds import make_backbone

TEACHER = Run("20261122-194512-3fa9", "d", "D", "done", 0.0, {}, class_names=("owl", "wren"))


def material(splits: str, groups: str = "", hashes: str = "") -> Material:
    """Pictures, a letter each: their split (t, v, e for test), near-duplicates by letter (. for none), their bytes."""
    number = len(splits)
    names = {"t": "train", "v": "val", "e": "test"}
    table = pd.DataFrame(
        {
            "path": [f"{at}.jpg" for at in range(number)],
            "sha256": list(hashes or "abcdefghij"[:number]),
            "label": ["owl", "wren"] * (number // 2),
            "split": [names[letter] for letter in splits],
            "group": ["" if letter == "." else letter for letter in groups or "." * number],
        }
    )
    return Material("d", Path("/photos"), table, ["owl", "wren"])


def learnt(its: Material) -> Learnt:
    """What a teacher with these pictures has learnt from."""
    hashes = its.table["sha256"]
    return Learnt(frozenset(hashes[its.rows("train")]), frozenset(hashes[its.rows("val")]))


def test_a_teacher_that_learnt_from_the_same_split_may_teach() -> None:
    ours = material("ttvvee", "xx....")
    _require_unseen(TEACHER, learnt(ours), ours)


@pytest.mark.parametrize(
    ("its", "ours", "groups", "said"),
    [
        ("ttvvte", "ttvvee", "", r'Of the 2 test pictures 1 are .*"4\.jpg"'),  # learnt from
        ("ttvvve", "ttvvee", "", r'Of the 2 test pictures 1 are .*"4\.jpg"'),  # chosen by
        ("tttvee", "ttvvee", "", r'Of the 2 val pictures 1 are .*"2\.jpg"'),
        ("ttvvee", "ttvvee", "x....x", r'Of the 2 test pictures 1 are .*"5\.jpg"'),  # near-duplicates since
    ],
)
def test_a_teacher_that_has_seen_what_judges_its_student_is_refused(
    its: str, ours: str, groups: str, said: str
) -> None:
    with pytest.raises(JobError, match=said):
        _require_unseen(TEACHER, learnt(material(its)), material(ours, groups))


def test_what_the_teacher_kept_to_judge_itself_may_be_learnt_from() -> None:
    _require_unseen(TEACHER, learnt(material("ttvveeee")), material("ttvvttee"))
    _require_unseen(TEACHER, learnt(material("ttvvve")), material("ttvvve"))


def test_a_teacher_of_other_classes_is_refused() -> None:
    ours = material("ttvvee")
    _require_same_classes(TEACHER, ours)
    with pytest.raises(JobError, match=r'only one of both has "kite"'):
        _require_same_classes(TEACHER, replace(ours, class_names=["kite", "owl", "wren"]))
    with pytest.raises(JobError, match=r"knows 3 classes, the pictures to learn from are of 2"):
        _require_same_classes(replace(TEACHER, class_names=("kite", "owl", "wren")), ours)


def test_a_stage_goes_on_only_with_the_same_targets_and_leaving_pictures_out_takes_theirs_along(
    tmp_path: Path,
) -> None:
    backbone, recipe = make_backbone(tmp_path), recipes.validate(Recipe(backbone="tiny"))
    plain = material("tvtvee")
    targets = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    taught = replace(plain, targets=targets)
    found = [
        fingerprint(recipe, one, backbone) for one in (plain, taught, replace(plain, targets=targets[::-1]))
    ]
    assert len(set(found)) == 3
    assert found[1] == fingerprint(recipe, replace(plain, targets=targets.copy()), backbone)
    fewer = taught.only(np.array([False, True, True, True, True, True]))
    np.testing.assert_array_equal(fewer.images("train").targets, targets[1:])
    assert fewer.images("val").targets is None
