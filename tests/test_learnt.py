"""What a network has learnt from in an earlier run judges nothing in the next, however its pictures are shared out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core import evaluation, queue, recipes, runs
from core.datasets import Dataset
from core.errors import JobError
from core.recipes import Recipe
from core.runs import Run
from core.session import forgetting
from core.session.context import Context, Warm
from core.session.cross_validate_job import do_cross_validate
from core.session.forgetting import measure_forgetting
from core.session.leak_job import do_leak
from core.session.learnt import Learnt, learnt_before, learnt_by
from core.session.material import Material, gather
from core.workspace import Workspace
from tests.worlds import RECIPE, add_dataset, begin_training, finished_run

GONE = "20200101-000000-abcd"


@pytest.fixture
def birds(served: None, workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds", {"owl": 20, "wren": 20})


def made(workspace: Workspace, dataset: Dataset, *, fine_tuned: bool = True, **settings: Any) -> Run:
    """Write a finished run on seed 0 with some settings."""
    run = finished_run(workspace, dataset)
    run = replace(run, fine_tuned=fine_tuned, recipe={**run.recipe, **settings})
    runs.save(workspace, run)
    return run


def gathered(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> Material:
    job = begin_training(workspace, dataset, recipe)
    return gather(Context(workspace, "cpu", Warm(), job), job, recipe)


def sides(material: Material) -> dict[str, set[str]]:
    table = material.table
    return {name: set(table["sha256"][table["split"] == name]) for name in runs.SPLITS}


def split_of(workspace: Workspace, run: Run) -> Mapping[str, set[str]]:
    table = runs.load_split(workspace, run.id)
    return {name: set(table["sha256"][table["split"] == name]) for name in runs.SPLITS}


def said(material: Material, key: str) -> list[Mapping[str, Any]]:
    return [note.values for note in material.notes if note.key == key]


def test_that_a_file_of_weights_does_not_tell_what_it_has_learnt_from_is_said_of_all_that_comes_from_it(
    workspace: Workspace, birds: Dataset
) -> None:
    from_file = made(workspace, birds, fine_tuned=False, weights="/elsewhere/weights.h5")
    material = gathered(workspace, birds, replace(RECIPE, weights=f"run:{from_file.id}"))
    assert said(material, "note.known_from_file") == [{}]
    published = made(workspace, birds, fine_tuned=False)
    material = gathered(workspace, birds, replace(RECIPE, weights=f"run:{published.id}"))
    assert said(material, "note.known_from_file") == []


def test_on_another_seed_what_the_parent_has_learnt_from_goes_to_train(
    workspace: Workspace, birds: Dataset
) -> None:
    parent = made(workspace, birds)
    plain = sides(gathered(workspace, birds, replace(RECIPE, seed=11)))
    material = gathered(workspace, birds, replace(RECIPE, seed=11, weights=f"run:{parent.id}"))
    ours, theirs = sides(material), split_of(workspace, parent)
    assert ours["test"] and ours["test"] == plain["test"] & theirs["test"] < plain["test"]
    assert ours["val"] and ours["val"] == plain["val"] - theirs["train"]
    assert set.union(*ours.values()) == set.union(*plain.values()), "nothing is lost"
    (told,) = said(material, "note.known_before")
    assert told == {"n": len(ours["train"]) - len(plain["train"]), "runs": parent.id}


def test_on_the_same_seed_nothing_changes(workspace: Workspace, birds: Dataset) -> None:
    parent = made(workspace, birds)
    material = gathered(workspace, birds, replace(RECIPE, weights=f"run:{parent.id}"))
    assert sides(material) == split_of(workspace, parent)
    assert not said(material, "note.known_before")


def test_a_parent_with_a_published_backbone_has_taught_nothing_but_its_own_parent_may_have(
    workspace: Workspace, birds: Dataset
) -> None:
    untouched = made(workspace, birds, fine_tuned=False)
    onto = replace(RECIPE, seed=2, weights=f"run:{untouched.id}")
    assert learnt_before(workspace, birds.id, onto) == Learnt()
    first = made(workspace, birds)
    between = made(workspace, birds, fine_tuned=False, weights=f"run:{first.id}")
    found = learnt_before(workspace, birds.id, replace(RECIPE, weights=f"run:{between.id}"))
    assert found.train == split_of(workspace, first)["train"]
    assert (found.run_ids, found.elsewhere, found.gone) == ((first.id,), (), ())
    assert learnt_before(workspace, "another", replace(RECIPE, weights=f"run:{first.id}")).elsewhere == (
        first.id,
    )


def test_what_a_teacher_passed_on_and_what_it_began_with_counts_too(
    workspace: Workspace, birds: Dataset
) -> None:
    first = made(workspace, birds)
    teacher = made(workspace, birds, fine_tuned=False, weights=f"run:{first.id}")
    student = made(workspace, birds, teacher=f"run:{teacher.id}")
    assert learnt_by(workspace, teacher).run_ids == (teacher.id, first.id)
    # The student has the split of the teacher, who had to leave out what the first has learnt from.
    taught = replace(RECIPE, teacher=f"run:{teacher.id}")
    assert learnt_before(workspace, birds.id, taught).run_ids == (first.id,)
    onto = replace(RECIPE, weights=f"run:{student.id}")
    assert learnt_before(workspace, birds.id, onto).run_ids == (student.id, teacher.id, first.id)


def test_a_run_that_is_gone_is_said_and_records_that_name_each_other_end(
    workspace: Workspace, birds: Dataset
) -> None:
    parent = made(workspace, birds, weights=f"run:{GONE}")
    material = gathered(workspace, birds, replace(RECIPE, weights=f"run:{parent.id}"))
    assert said(material, "note.known_by_nobody") == [{"runs": GONE}]
    (runs.folder(workspace, parent.id) / "split.parquet").unlink()
    found = learnt_before(workspace, birds.id, replace(RECIPE, weights=f"run:{parent.id}"))
    assert found == Learnt(gone=(parent.id, GONE))
    itself = made(workspace, birds)
    runs.save(workspace, replace(itself, recipe={**itself.recipe, "weights": f"run:{itself.id}"}))
    found = learnt_before(workspace, birds.id, replace(RECIPE, weights=f"run:{itself.id}"))
    assert found.run_ids == (itself.id,)


def test_where_nothing_is_left_to_judge_by_the_training_is_refused(
    workspace: Workspace, birds: Dataset
) -> None:
    parent = made(workspace, birds)
    everything = runs.load_split(workspace, parent.id).assign(split="train")
    runs.save_split(workspace, parent.id, everything)
    with pytest.raises(JobError, match=r"Of the \d+ val pictures none is left .*Choose the seed"):
        gathered(workspace, birds, replace(RECIPE, weights=f"run:{parent.id}"))


@pytest.mark.parametrize(
    ("split", "groups", "spoilt"),
    [
        ("test", "x..x", [False, False, False, True]),
        ("test", ".x.x", [False, False, False, True]),
        ("val", "x..x", [False, False, False, True]),
        ("val", ".x.x", [False] * 4),  # what an earlier run was chosen by may choose again
        ("test", "..xx", [False] * 4),
    ],
)
def test_near_duplicates_of_what_was_learnt_from_judge_nothing(
    split: str, groups: str, spoilt: list[bool]
) -> None:
    table = pd.DataFrame({"sha256": list("abcd"), "split": ["train", "train", "train", split]})
    table["group"] = ["" if letter == "." else letter for letter in groups]
    learnt = Learnt(train=frozenset("a"), val=frozenset("b"))
    assert learnt.spoilt(table).tolist() == spoilt


@pytest.mark.parametrize("gone", [False, True])
def test_a_head_on_a_network_that_has_learnt_from_the_pictures_is_not_cross_validated(
    workspace: Workspace, birds: Dataset, gone: bool
) -> None:
    parent = GONE if gone else made(workspace, birds).id
    run = made(workspace, birds, fine_tuned=False, weights=f"run:{parent}")
    job = queue.submit_cross_validation(workspace, run)
    said = "nobody knows" if gone else rf"has learnt from \d+ of these 40 pictures.*{parent}.*For cross-valid"
    with pytest.raises(JobError, match=said):
        do_cross_validate(Context(workspace, "cpu", Warm(), job), job)


def test_twins_are_not_measured_on_such_a_network_and_the_page_takes_the_published_one(
    workspace: Workspace, birds: Dataset
) -> None:
    recipe = replace(RECIPE, weights=f"run:{made(workspace, birds).id}")
    job = queue.submit_leak(workspace, birds.id, recipe)
    with pytest.raises(JobError, match=r"has learnt from \d+ of these .*For this measurement"):
        do_leak(Context(workspace, "cpu", Warm(), job), job)
    probe = recipes.for_probe(recipe, fractions=recipe.fractions, seed=0, keep_given=True)
    assert probe.weights == ""


def test_on_the_old_test_pictures_the_difference_has_its_interval_and_what_was_learnt_from_is_left_out(
    workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = made(workspace, birds)
    table = runs.load_split(workspace, parent.id)
    first, second, *others = table.index[table["split"] == "test"]
    table.loc[[first, second], "group"] = "twins"
    runs.save_split(workspace, parent.id, table)
    job = begin_training(workspace, birds, recipe := replace(RECIPE, weights=f"run:{parent.id}"))
    context = Context(workspace, "cpu", Warm(), job)
    ours = table.assign(split="train").loc[[first, *table.index[table["split"] == "train"]]]
    material = Material(birds.id, birds.pictures, ours, ["owl", "wren"])
    nobody: Any = None
    class_of = {birds.pictures / row.path: ["owl", "wren"].index(row.label) for row in table.itertuples()}
    hash_of = {birds.pictures / row.path: row.sha256 for row in table.itertuples()}

    def logits_of(*asked: Any) -> np.ndarray:
        *_, paths, hashes, _ = asked
        assert hashes == [hash_of[path] for path in paths]
        truth = np.array([class_of[path] for path in paths])
        return np.eye(2, dtype=np.float32)[np.where(np.arange(len(truth)) == 0, 1 - truth, truth)]

    monkeypatch.setattr(forgetting, "logits_of", logits_of)
    told = measure_forgetting(context, recipe, nobody, material, nobody, nobody)
    right = np.ones(len(others), dtype=bool)
    after = np.arange(len(others)) > 0
    assert (told["num_images"], told["before"]) == (len(others), 1.0)
    assert told["difference"] == evaluation.paired_difference(right, after)._asdict()
    everything = replace(material, table=table.assign(split="train"))
    told = measure_forgetting(context, recipe, nobody, everything, nobody, nobody)
    assert told == {"run_id": parent.id, "num_images": 0}
