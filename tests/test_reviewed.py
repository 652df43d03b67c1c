"""After labels were reviewed both scores stand, and what the review did for the model is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from core import audit, curation, evaluation, runs
from core.command_line import main
from core.curation import Decision
from core.datasets import Dataset
from core.runs import Predictions, Reviewed, Run
from core.workspace import Workspace
from tests.worlds import add_dataset, finished_run, visit, words


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def review(workspace: Workspace, run: Run, *decided: Decision) -> Reviewed | None:
    curation.decide(workspace, run.dataset_id, decided)
    table = audit.load_decided(workspace, run.dataset_id)
    assert table is not None
    return runs.reviewed(run, runs.predictions(workspace, run.id, "test"), table)


def about(said: Predictions, label: str, place: int, kind: str, value: str = "") -> Decision:
    row = said.images[said.images["label"] == label].iloc[place]
    return Decision(row["path"], kind, value, row["sha256"])


def test_without_a_change_of_this_split_there_is_nothing_to_say(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    train = runs.predictions(workspace, run.id, "train")
    said = runs.predictions(workspace, run.id, "test")
    elsewhere = about(train, "owl", 0, "exclude")
    assert review(workspace, run, elsewhere, about(said, "owl", 0, "note", "blurred")) is None


def test_changes_are_counted_by_whom_they_favour_and_both_scores_equal_scikit_learns(
    workspace: Workspace, birds: Dataset
) -> None:
    # In test, two of each class: the first owl is taken for a wren, the first kite for an owl.
    run = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    said = runs.predictions(workspace, run.id, "test")
    found = review(
        workspace,
        run,
        about(said, "owl", 0, "relabel", "wren"),  # was wrong, is right
        about(said, "kite", 0, "exclude"),  # was wrong, is gone
        about(said, "wren", 0, "relabel", "kite"),  # was right, is wrong
    )
    assert found is not None
    assert (found.num_changed, found.num_relabelled, found.num_excluded) == (3, 2, 1)
    assert (found.num_were_wrong, found.in_favour, found.against) == (2, 2, 1)
    y_pred = said.y_prob.argmax(axis=1)
    assert found.original.accuracy.value == accuracy_score(said.y_true, y_pred)
    assert found.original.macro_f1.value == pytest.approx(f1_score(said.y_true, y_pred, average="macro"))
    after = list(said.images["label"])
    after[after.index("owl")] = "wren"
    after[list(said.images["label"]).index("wren")] = "kite"
    kept = np.arange(len(after)) != list(said.images["label"]).index("kite")
    y_after = np.array([run.class_names.index(label) for label in after])[kept]
    assert found.after is not None and found.after.num_images == 5
    assert found.after.accuracy.value == accuracy_score(y_after, y_pred[kept])
    assert found.after.macro_f1.value == pytest.approx(f1_score(y_after, y_pred[kept], average="macro"))


def test_a_run_that_learnt_the_reviewed_labels_is_still_held_against_the_original_ones(
    workspace: Workspace, birds: Dataset
) -> None:
    before = finished_run(workspace, birds)
    said = runs.predictions(workspace, before.id, "test")
    changed = about(said, "owl", 0, "relabel", "wren")
    images = runs.load_split(workspace, before.id)
    images.loc[images["path"] == changed.path, "label"] = "wren"
    runs.save_split(workspace, before.id, images)
    found = review(workspace, before, changed)
    assert found is not None and found.after is not None
    assert found.original.accuracy.value == 1.0  # it says owl, as the folder does
    assert found.after.accuracy.value == pytest.approx(5 / 6)
    assert (found.in_favour, found.against) == (0, 1)


def test_a_class_that_the_run_does_not_know_is_never_right(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    said = runs.predictions(workspace, run.id, "test")
    knows_two = replace(run, class_names=("owl", "wren"))
    two = replace(said, y_prob=np.tile([0.9, 0.1], (len(said.y_true), 1)))
    curation.decide(workspace, birds.id, [about(said, "owl", 0, "relabel", "kite")])
    table = audit.load_decided(workspace, birds.id)
    assert table is not None
    found = runs.reviewed(knows_two, two, table)
    assert found is not None and found.after is not None
    assert (found.original.accuracy.value, found.after.accuracy.value) == (2 / 6, 1 / 6)


def test_where_all_of_a_split_is_excluded_only_the_original_score_stands(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    images = runs.predictions(workspace, run.id, "test").images
    decided = [Decision(row.path, "exclude", "", row.sha256) for row in images.itertuples()]
    found = review(workspace, run, *decided)
    assert found is not None and found.after is None
    assert (found.num_excluded, found.against) == (6, 6)


def test_the_two_scores_are_those_of_all_measures() -> None:
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 4, 60)
    y_prob = rng.dirichlet(np.ones(5), 60)
    groups = rng.integers(0, 40, 60)
    for given in (None, groups):
        scores = evaluation.evaluate(y_true, y_prob, list("abcde"), groups=given)
        found = evaluation.headline(y_true, y_prob.argmax(axis=1), 5, groups=given)
        assert (found.num_images, found.accuracy, found.macro_f1) == (60, scores.accuracy, scores.macro_f1)


ORIGINAL = {"num_relabelled": 2, "num_excluded": 1, "accuracy": 0.5, "accuracy_interval": [0.2, 0.8]}
ORIGINAL |= {"macro_f1": 0.45, "macro_f1_interval": [0.1, 0.7]}


def reviewed_before(workspace: Workspace, birds: Dataset) -> Run:
    """A run before whose training labels of test and of validation were changed."""
    run = finished_run(workspace, birds)
    metrics = {split: {**run.metrics[split], "original": ORIGINAL} for split in ("val", "test")}
    run = replace(run, metrics={**run.metrics, **metrics})
    runs.save(workspace, run)
    return run


@pytest.mark.usefixtures("served")
def test_a_run_trained_after_a_review_has_the_original_score_beside_every_headline(
    workspace: Workspace, birds: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    run = reviewed_before(workspace, birds)
    app, pages = visit("home", run=run.id), []
    pages.append(words(app))
    for page in ("training", "evaluation"):
        app.switch_page(f"pages/{page}.py").run()
        pages.append(words(app))
    assert not app.exception
    shown = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert shown["Accuracy, after review"][0] == "100.0\u00a0%"
    assert shown["Accuracy, original labels"] == ("50.0\u00a0%", "20.0\u00a0% to 80.0\u00a0%")
    assert shown["Macro F1, original labels"] == ("0.450", "0.100 to 0.700")
    plainly = "by labels after review, which flatters: the labels of 2 test pictures were changed"
    for page in pages:
        said = page.replace("\\", "")
        assert plainly in said
        assert "By the original labels accuracy is 50.0 % (95 % interval 20.0 to 80.0 %)" in said
        assert "1 test picture was excluded before this training" in said
    other = finished_run(workspace, birds)
    app.query_params["compared"], app.query_params["compare_split"] = f"{run.id},{other.id}", "test"
    app.switch_page("pages/runs.py").run()
    assert plainly in words(app).replace("\\", "")
    listed = app.dataframe[0].value.set_index("id")
    assert listed.loc[run.id, "original"] == 50.0 and np.isnan(listed.loc[other.id, "original"])
    assert main(["evaluate", run.id]) == 0
    assert plainly in capsys.readouterr().out
    assert main(["evaluate", run.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["test"]["original"] == ORIGINAL


@pytest.mark.usefixtures("served")
def test_both_scores_stand_on_the_page_with_why_the_second_flatters(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    assert "flatters" not in words(visit("evaluation", run=run.id))
    said = runs.predictions(workspace, run.id, "test")
    curation.decide(workspace, birds.id, [about(said, "owl", 0, "relabel", "wren")])
    app = visit("evaluation", run=run.id)
    assert not app.exception
    shown = words(app)
    assert "**1 picture of this split was changed by review**: 1 relabelled, 0 excluded." in shown
    assert "1 change was in the model's favour, 0 against it." in shown
    assert "The original labels, as the folder gives them | 83.3\u00a0% (43.6\u00a0% to 97.0\u00a0%)" in shown
    assert "The labels after review | 100.0\u00a0%" in shown
    assert "1 of the 1 changed pictures was an error by its original label" in shown
    assert "flatters" not in words(visit("evaluation", run=run.id, split="train"))
