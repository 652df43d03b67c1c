"""Every stage obeys what was decided: checks, verdict, the audit of the command line, a training and its record."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import audit, curation, datasets, recipes
from core.audit import Check, Thresholds
from core.audit.checks import _imbalance, _missing_in_split
from core.command_line import main
from core.datasets import Dataset
from core.evaluation import wilson_interval
from core.queue import Job
from core.recipes import Recipe
from core.session.context import Context
from core.session.material import Material, gather
from core.workspace import Workspace, write_json
from tests.pictures import write, write_classes

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    root = write_classes(tmp_path / "birds", {"owl": 12, "wren": 12})
    shutil.copy(root / "owl" / "000.png", root / "wren" / "again.png")
    (root / "owl" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    dataset = datasets.add_folder(workspace, root)
    audit.audit(workspace, dataset)
    return dataset


def decide(workspace: Workspace, dataset: Dataset, path: str, kind: str, value: str = "") -> None:
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    curation.decide(workspace, dataset.id, curation.decide_on(table, [path], kind, value))


def decided(workspace: Workspace, dataset: Dataset) -> pd.DataFrame:
    table = audit.load_decided(workspace, dataset.id)
    assert table is not None
    return table


def found(workspace: Workspace, dataset: Dataset) -> dict[str, Check]:
    table = decided(workspace, dataset)
    return {check.name: check for check in audit.checks(table, ["owl", "wren"], "classes")}


def test_what_is_excluded_is_flagged_by_no_check_and_frees_its_twin(
    workspace: Workspace, birds: Dataset
) -> None:
    assert found(workspace, birds)["label_conflict"].num_flagged == 2
    decide(workspace, birds, "wren/again.png", "exclude")
    decide(workspace, birds, "owl/broken.jpg", "exclude")
    assert not [name for name, check in found(workspace, birds).items() if check.num_flagged]


def test_what_gets_the_class_of_its_twin_contradicts_it_no_more(workspace: Workspace, birds: Dataset) -> None:
    decide(workspace, birds, "wren/again.png", "relabel", "owl")
    now = found(workspace, birds)
    assert now["label_conflict"].num_flagged == 0
    assert now["exact_duplicate"].paths == ("owl/000.png", "wren/again.png")


def test_what_is_kept_is_no_issue_of_that_check_only(workspace: Workspace, birds: Dataset) -> None:
    decide(workspace, birds, "wren/again.png", "keep", "exact_duplicate")
    now = found(workspace, birds)
    assert now["exact_duplicate"].paths == ("owl/000.png",)
    assert now["label_conflict"].num_flagged == 2


def test_the_verdict_counts_what_was_excluded_apart(workspace: Workspace, birds: Dataset) -> None:
    for path in ("owl/broken.jpg", "wren/again.png"):
        decide(workspace, birds, path, "exclude")
    table = decided(workspace, birds)
    said = " ".join(map(str, audit.verdict(table, audit.checks(table, ["owl", "wren"], "classes"))))
    assert said.startswith("All 24 pictures in 2 classes can be used. You excluded 2 more.")


def test_scores_do_not_depend_on_decisions_of_keeping(workspace: Workspace, birds: Dataset) -> None:
    before = audit.judge(decided(workspace, birds))
    decide(workspace, birds, "owl/000.png", "keep", "blurry")
    after = audit.judge(decided(workspace, birds))
    scores = [name for name in before.columns if name.endswith("_score")]
    pd.testing.assert_frame_equal(before[scores], after[scores])


# --- the classes


def _of_classes(counts: dict[tuple[str, str], int]) -> pd.DataFrame:
    rows = [(label, split) for (label, split), count in counts.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "path": [f"{split}/{label}/{i}.png" for i, (label, split) in enumerate(rows)],
            "label": [label for label, _ in rows],
            "given_split": [split for _, split in rows],
            "problem": "",
            "usable": True,
        }
    )


def test_a_class_without_pictures_in_a_given_split_is_missing_there() -> None:
    table = _of_classes({("owl", "train"): 3, ("owl", "test"): 2, ("wren", "train"): 3, ("kite", "test"): 1})
    missing = _missing_in_split(table, ["kite", "owl", "wren", "empty"], Thresholds())
    assert sorted(missing) == ["kite", "wren"]
    unsplit = table.assign(given_split="")
    assert not list(_missing_in_split(unsplit, ["kite", "owl", "wren"], Thresholds()))


def test_a_class_is_uneven_beyond_the_threshold_and_not_at_it() -> None:
    table = _of_classes({("owl", ""): 20, ("wren", ""): 2, ("kite", ""): 1})
    assert list(_imbalance(table, ["kite", "owl", "wren", "empty"], Thresholds(imbalance=10))) == ["kite"]
    assert list(_imbalance(table, ["kite", "owl", "wren"], Thresholds(imbalance=20))) == []


def test_every_check_belongs_to_one_group() -> None:
    groups = {Check(name, "note", 0, ()).group for name in audit.CHECK_NAMES}
    assert groups == set(audit.GROUPS)


# --- thresholds


def test_thresholds_are_kept_for_a_dataset_and_only_where_they_differ(workspace: Workspace) -> None:
    assert audit.load_thresholds(workspace, "birds") == Thresholds()
    chosen = Thresholds(blurry=0.5, tiny_class=7)
    audit.save_thresholds(workspace, "birds", chosen)
    assert audit.load_thresholds(workspace, "birds") == chosen
    assert audit.load_thresholds(workspace, "others") == Thresholds()
    audit.save_thresholds(workspace, "birds", Thresholds())
    assert audit.load_thresholds(workspace, "birds") == Thresholds()


@pytest.mark.parametrize("kept", [[1], {"blurry": "much"}, {"blurry": -1}, {"blurry": None}, "x"])
def test_damaged_thresholds_are_the_usual_ones(workspace: Workspace, kept: object) -> None:
    audit.save_thresholds(workspace, "birds", Thresholds(dark=0.5))
    write_json(workspace.datasets_dir / "birds" / "thresholds.json", kept)
    assert audit.load_thresholds(workspace, "birds") == Thresholds()


def test_thresholds_of_another_graft_are_passed_over(workspace: Workspace) -> None:
    audit.save_thresholds(workspace, "birds", Thresholds(dark=0.5))
    write_json(
        workspace.datasets_dir / "birds" / "thresholds.json", asdict(Thresholds(dark=0.3)) | {"new": 1}
    )
    assert audit.load_thresholds(workspace, "birds") == Thresholds(dark=0.3)


# --- the command line


def test_the_audit_of_the_command_line_obeys_decisions_and_thresholds(
    workspace: Workspace, birds: Dataset, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    decide(workspace, birds, "owl/broken.jpg", "exclude")
    decide(workspace, birds, "wren/again.png", "relabel", "owl")
    audit.save_thresholds(workspace, birds.id, Thresholds(tiny_class=13))
    assert main(["audit", "--json", str(birds.root)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["num_images"], told["num_excluded"], told["num_relabelled"]) == (25, 1, 1)
    assert told["checks"]["unreadable"]["num_flagged"] == 0
    assert told["checks"]["label_conflict"]["num_flagged"] == 0
    assert told["checks"]["tiny_class"]["paths"] == ["wren"]


# --- a training


class _Quiet(Context):
    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def stage(self, name: str) -> None:
        """Nobody asks how far it is."""

    def progress(self, done: int, total: int) -> None:
        """Nobody asks how far it is."""


def material(workspace: Workspace, dataset: Dataset) -> Material:
    job = Job(1, "train", "running", "cpu", {}, "", dataset.id, 0, 0, None, {}, {}, {})
    return gather(_Quiet(workspace), job, recipes.validate(Recipe(backbone="tiny")))


def test_a_training_obeys_decisions_and_says_by_which_it_was_made(
    workspace: Workspace, birds: Dataset
) -> None:
    before = material(workspace, birds)
    decide(workspace, birds, "owl/001.png", "exclude")
    decide(workspace, birds, "wren/again.png", "relabel", "owl")
    decide(workspace, birds, "owl/002.png", "note", "odd")
    after = material(workspace, birds)
    assert before.curation_fingerprint == ""
    holding = [d for d in curation.load(workspace, birds.id).decisions if d.kind != "note"]
    assert after.curation_fingerprint == curation.fingerprint(holding)
    labels = dict(zip(after.table["path"], after.table["label"], strict=True))
    assert "owl/001.png" not in labels
    assert labels["wren/again.png"] == "owl"
    told = " ".join(map(str, after.notes))
    assert "Left out 1 picture that you excluded." in told
    assert "1 picture counts for the class that you gave it." in told


def test_a_training_after_a_review_of_test_keeps_what_the_original_labels_say_of_it(
    workspace: Workspace, birds: Dataset
) -> None:
    before = material(workspace, birds)
    tested = before.table[before.rows("test")]
    names = ["owl", "wren"]
    says = dict(zip(tested["path"], tested["label"], strict=True))  # all right, by the folder's labels
    assert before.original_scores("test", np.eye(2)[[names.index(label) for label in says.values()]]) == {}
    relabelled, excluded = (next(path for path in says if path.startswith(name)) for name in names)
    decide(workspace, birds, relabelled, "relabel", "wren")
    decide(workspace, birds, excluded, "exclude")
    after = material(workspace, birds)
    left = after.table[after.rows("test")]
    assert after.num_excluded == {"train": 0, "val": 0, "test": 1}
    found = after.original_scores("test", np.eye(2)[[names.index(says[path]) for path in left["path"]]])
    assert (found["num_relabelled"], found["num_excluded"], found["accuracy"]) == (1, 1, 1.0)
    assert found["accuracy_interval"] == list(wilson_interval(len(left), len(left)))[1:]


def test_a_training_learns_from_added_photos_and_says_so(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    data = write(tmp_path / "asked.png", 9_000).read_bytes()
    path = datasets.put_photo(birds.pictures, data, "wren", ".png")
    found = material(workspace, birds)
    (row,) = found.table[found.table["path"] == path].to_dict("records")
    assert (row["label"], row["split"]) == ("wren", "train")
    assert data in [file.read_bytes() for file in found.images("train").paths]
    assert "Learnt from 1 photo that you added on the Predict page." in map(str, found.notes)
    assert found.curation_fingerprint == curation.fingerprint(curation.made(decided(workspace, birds))) != ""


def test_a_file_that_changed_is_trained_on_as_if_nothing_had_been_decided(
    workspace: Workspace, birds: Dataset
) -> None:
    decide(workspace, birds, "owl/001.png", "exclude")
    write(birds.root / "owl" / "001.png", 777)
    after = material(workspace, birds)
    assert "owl/001.png" in set(after.table["path"])
    assert after.curation_fingerprint == ""
