"""What a run is held against: on the same pictures, by groups of near-duplicates, in words that follow from numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from core import runs
from core.datasets import Dataset
from core.evaluation import Difference, Estimate, evaluate, paired_difference, wilson_interval
from core.runs import Reference, Run
from core.workspace import Workspace
from pages.components.class_scores import classes_as_table, verdict_in_words
from pages.components.evaluation_against import against_as_table, difference_in_words
from pages.components.evaluation_scores import calibration_in_words
from tests.worlds import CONTROLS, add_dataset, finished_run, visit, words


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def in_pairs(workspace: Workspace, run: Run) -> np.ndarray:
    """Make near-duplicates of each two pictures of a class; return the groups of test."""
    table = runs.load_split(workspace, run.id)
    place = table.groupby(["split", "label"]).cumcount() // 2
    runs.save_split(workspace, run.id, table.assign(group=table["label"] + place.astype(str)))
    groups: np.ndarray = runs.groups_of(runs.predictions(workspace, run.id, "test").images)
    assert len(set(groups)) == 3
    return groups


def right(workspace: Workspace, run: Run) -> np.ndarray:
    said = runs.predictions(workspace, run.id, "test")
    found: np.ndarray = said.y_prob.argmax(axis=1) == said.y_true
    return found


# --- numbers ------------------------------------------------------------------------------------------------------


def test_a_comparison_counts_near_duplicates_as_evaluation_does(workspace: Workspace, birds: Dataset) -> None:
    first = finished_run(workspace, birds, [("owl", "wren"), ("owl", "wren")])
    second = finished_run(workspace, birds)
    groups = in_pairs(workspace, first)
    in_pairs(workspace, second)
    both = runs.compare(workspace, [first.id, second.id], "test")
    for run, scores in zip((first, second), both.scores, strict=True):
        assert scores.to_json() == runs.judged(workspace, run, "test").scores.to_json()
        assert scores.num_groups == 3
    answers = right(workspace, first), right(workspace, second)
    assert both.differences == (paired_difference(*answers, groups),)
    assert both.differences[0] != paired_difference(*answers)
    assert both.p_values == (1.0,)  # one group that differs, not two pictures: their p is 0.5
    _, before = runs.references(workspace, second, "test")
    assert (before.lead, before.p_value) == (both.differences[0], 1.0)
    assert before.own == wilson_interval(3, 3)
    fewer = finished_run(workspace, birds, without=["kite"])
    restricted = runs.compare(workspace, [second.id, fewer.id], "test").scores[0]
    assert (restricted.num_images, restricted.num_groups) == (4, 2)


def test_beside_the_run_before_stands_the_score_on_the_same_pictures(
    workspace: Workspace, birds: Dataset
) -> None:
    finished_run(workspace, birds, without=["kite"])
    run = finished_run(workspace, birds, [("kite", "owl")])
    majority, before = runs.references(workspace, run, "test")
    assert (majority.num_images, majority.own) == (6, wilson_interval(5, 6))
    assert (before.num_images, before.accuracy, before.own) == (
        4,
        wilson_interval(4, 4),
        wilson_interval(4, 4),
    )


def test_the_table_of_references_has_the_controls_with_their_own_pictures() -> None:
    run = Run("r", "d", "D", "done", created=0.0, recipe={}, controls=CONTROLS)
    half = Estimate(0.5, 0.2, 0.8)
    one = Reference("majority", half, wilson_interval(5, 6), 6, Difference(1 / 3, -0.1, 0.6), 0.5, "owl")
    table = against_as_table(run, [one], "test").set_index("against")
    assert table.loc["majority", ["split", "pictures", "lead_of", "this_model"]].tolist() == [
        "test",
        6,
        "r",
        5 / 6,
    ]
    assert table.loc["control_random", ["split", "pictures", "accuracy"]].tolist() == ["val", 6, 0.5]
    low, high = table.loc["control_random", ["accuracy_low", "accuracy_high"]]
    assert (low, high) == wilson_interval(3, 6)[1:]
    assert table.loc["control_pixels", ["lead_of", "lead", "lead_low"]].tolist() == [
        "control_pretrained",
        0.5,
        0.3,
    ]
    assert pd.isna(table.loc["control_pretrained", "lead"])


def test_a_class_without_pictures_has_a_precision_if_it_was_said_and_screen_and_file_agree() -> None:
    y_pred = [0, 2, 1, 1]
    scores = evaluate([0, 0, 1, 1], np.eye(4)[y_pred], ["a", "b", "said", "never"])
    assert scores.of_class(2, "precision") == wilson_interval(0, 1)
    table = classes_as_table(scores).set_index("class")
    assert table["predicted"].tolist() == [1, 2, 1, 0]
    assert table.loc["said", ["precision", "precision_high"]].tolist() == list(wilson_interval(0, 1)[::2])
    for name in ("recall", "recall_low", "f1", "f1_high", "average_precision"):
        assert table.loc[["said", "never"], name].isna().all(), name
    assert np.isnan(table.loc["never", "precision"])
    assert table.loc["a", ["recall", "f1"]].tolist() == [0.5, pytest.approx(2 / 3)]
    assert table.loc["never", "specificity"] == 1.0


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead", "p_value", "said"),
    [
        (Difference(5 / 36, 0.002, 0.262), 0.0625, "not clear, since test and interval disagree (p = 0.062)"),
        (Difference(0.0, -0.308, 0.308), 1.0, "cannot be told on so few pictures (p = 1.000)"),
        (
            Difference(0.004, -0.011, 0.024),
            0.7,
            "probably no real difference, 2.4 points at most (p = 0.700)",
        ),
        (Difference(0.1, 0.05, 0.15), 0.0001, "better (p < 0.001)"),
        (Difference(-0.1, -0.15, -0.05), 0.01, "worse (p = 0.010)"),
        (Difference(0.1, -0.01, 0.2), 0.04, "not clear, since test and interval disagree (p = 0.040)"),
    ],
)
def test_what_is_said_of_a_lead_follows_from_the_test_and_the_interval(
    lead: Difference, p_value: float, said: str
) -> None:
    assert difference_in_words(lead, p_value) == said
    assert difference_in_words(lead, p_value, adjusted=True) == said[:-1] + " after Holm)"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((0.02, 0.01, 0.03), (0.08, 0.05, 0.1), "**Here calibration made it worse:** "),
        ((0.08, 0.05, 0.1), (0.02, 0.01, 0.03), "brought confidence and accuracy closer"),
        ((0.0812, 0.05, 0.1), (0.0809, 0.05, 0.1), "Calibration changed next to nothing here"),
    ],
)
def test_it_is_said_whether_calibration_helped(before: Any, after: Any, said: str) -> None:
    told = calibration_in_words(Estimate(*before), Estimate(*after), 1.2)
    assert said in told
    assert "overlap" not in told


def test_where_the_intervals_of_calibration_overlap_it_may_be_chance() -> None:
    told = calibration_in_words(Estimate(0.05, 0.01, 0.1), Estimate(0.07, 0.04, 0.12), 1.2)
    assert "made it worse" in told
    assert told.endswith("The two intervals overlap, so that may be chance.")


@pytest.mark.parametrize(
    ("y_pred", "said"),
    [
        ([0, 0, 1, 1], "All 2 classes have the same F1: 1.000."),
        ([0, 1, 1, 1], "The hardest class is `a`, with an F1 of 0.667."),
        ([0, 1, 0, 1], "All 2 classes have the same F1: 0.500."),
    ],
)
def test_no_class_is_called_the_hardest_where_all_are_as_hard(y_pred: list[int], said: str) -> None:
    scores = evaluate([0, 0, 1, 1], np.eye(2)[y_pred], ["a", "b"])
    assert verdict_in_words(scores.per_class) == said


def test_of_classes_with_few_pictures_it_is_said_that_chance_may_have_made_them_the_hardest() -> None:
    y_true = [0, 1, 2, 2, 2, 2, 2, 2]
    verdict = verdict_in_words(evaluate(y_true, np.eye(3)[[2, 2, *y_true[2:]]], ["a", "b", "c"]).per_class)
    assert "shared by 2 of 3 classes. Each of them has a single picture in this split" in verdict
    many = [0] * 6 + [1] * 6 + [2]
    verdict = verdict_in_words(evaluate(many, np.eye(3)[[2] * 13], ["a", "b", "c"]).per_class)
    assert "chance" not in verdict


def test_a_single_class_is_not_compared_with_others() -> None:
    scores = evaluate([0, 0], np.eye(2)[[0, 1]], ["a", "b"]).per_class[:1]
    assert verdict_in_words(scores) == "Only `a` has pictures in this split; its F1 is 0.667."


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("served")
def test_three_runs_are_compared_after_holm_and_every_file_names_its_split(
    workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [finished_run(workspace, birds, mistakes) for mistakes in ([("owl", "wren")], [], [])]
    runs.save(workspace, replace(found[2], recipe={**found[2].recipe, "seed": 5}))
    files: list[str] = []
    monkeypatch.setattr(st, "download_button", lambda *_, file_name, **__: files.append(Path(file_name).stem))
    app = visit(
        "runs", compared=",".join(run.id for run in found), compare_split="test", runs_archived="shown"
    )
    assert not app.exception
    assert "cannot be told on so few pictures (p = 1.000 after Holm)" in words(app)
    assert "2 runs are held against the first, so each p is raised by Holm's method" in words(app)
    assert {name for name in files if "test" not in name} == {"runs", "what-differs"}
    files.clear()
    app = visit("evaluation", run=found[0].id)
    assert not app.exception
    assert [name for name in files if "-test" not in name] == []
    assert {name.split("-")[0] for name in files} == {
        *("measures", "matrix", "pairs", "classes", "photos", "against", "reliability")
    }


@pytest.mark.usefixtures("served")
def test_long_names_of_confused_classes_are_cut_in_their_middle_and_whole_on_demand(
    workspace: Workspace, tmp_path: Path
) -> None:
    name = "a name that is so long that it would take many lines beside the matrix"
    dataset = add_dataset(workspace, tmp_path / "long", {name: 10, "owl": 10})
    app = visit("evaluation", run=finished_run(workspace, dataset, [(name, "owl")]).id)
    assert not app.exception
    button = app.button(key="pair_0")
    assert button.label == "1 (100\u00a0%) `a name tha…he matrix` → `owl`"
    assert button.help == f"`{name}` → `owl`"
