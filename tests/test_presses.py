"""What is pressed twice, or in two tabs at once, happens once; what cannot be done any more is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import curation, datasets, queue, runs
from core.curation import Decision
from core.datasets import Dataset
from core.workspace import Workspace
from tests.worlds import RECIPE, add_dataset, begin_training, finished_run, has_button, visit, words


@pytest.fixture(autouse=True)
def _served(served: None) -> None:
    """Whatever is asked for waits."""


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def _asked_about(dataset: Dataset) -> AppTest:
    """Return the Data page with the question whether a dataset is to be deleted."""
    app = visit("data", dataset=dataset.id)
    app.button(key="data_another").click().run()
    return app.button(key=f"data_delete_{dataset.id}").click().run()


def test_to_delete_a_dataset_that_is_gone_already_is_no_failure(workspace: Workspace, birds: Dataset) -> None:
    app = _asked_about(birds)
    app.button(key="data_delete_yes").click()
    datasets.remove(workspace, birds.id)
    app.run()
    assert not app.exception and not app.error


def test_to_delete_a_run_that_is_gone_already_is_no_failure(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    app = visit("runs", compared=run.id)
    app.button(key="delete_run").click().run()
    app.button(key="delete_run_yes").click()
    runs.delete(workspace, run.id)
    app.run()
    assert not app.exception and not app.error


def test_a_dataset_that_is_worked_on_since_the_question_was_asked_stays(
    workspace: Workspace, birds: Dataset
) -> None:
    app = _asked_about(birds)
    app.button(key="data_delete_yes").click()
    queue.submit_audit(workspace, birds.id)
    app.run()
    assert "It is being worked on" in words(app)
    assert datasets.list_datasets(workspace) == [birds]


def test_a_run_that_goes_on_already_is_not_begun_twice(workspace: Workspace, birds: Dataset) -> None:
    failed = begin_training(workspace, birds)
    queue.finish(workspace, failed, "failed", message="It broke.")
    app = visit("training", run=failed.run_id)
    app.button(key=f"retry_{failed.id}").click()
    again = queue.retry_training(workspace, failed.run_id)
    app.run()
    assert not app.exception and not app.error
    assert [job.id for job in queue.list_jobs(workspace, active=True)] == [again.id]
    assert has_button(app, f"cancel_{again.id}")


def test_no_training_begins_on_a_dataset_that_was_deleted_meanwhile(
    workspace: Workspace, birds: Dataset
) -> None:
    app = visit("training", dataset=birds.id)
    app.button(key="start_training").click()
    datasets.remove(workspace, birds.id)
    app.run()
    assert "There is no dataset" in words(app)
    assert runs.list_runs(workspace) == []


def test_what_was_taken_back_already_is_not_refused(workspace: Workspace, birds: Dataset) -> None:
    excluded = Decision("owl/000.png", "exclude", "", "0" * 64)
    action = curation.decide(workspace, birds.id, [excluded]).undoable
    assert action is not None
    app = visit("data", dataset=birds.id)
    app.button(key="data_undo").click()
    curation.undo(workspace, birds.id, action.id)
    app.run()
    assert not app.exception and not app.error
    assert curation.load(workspace, birds.id).decisions == ()


def test_what_is_asked_for_twice_at_once_is_done_once(workspace: Workspace) -> None:
    args = {"sample": "digits"}
    first = queue.submit(workspace, "sample", args, dataset_id="digits")
    assert queue.submit(workspace, "sample", args, dataset_id="digits").id == first.id
    assert queue.submit(workspace, "sample", {"sample": "flowers"}, dataset_id="flowers").id != first.id
    queue.cancel(workspace, first.id)
    assert queue.submit(workspace, "sample", args, dataset_id="digits").id != first.id


def test_a_photo_may_be_asked_about_again(workspace: Workspace, birds: Dataset) -> None:
    """Its file may have changed since."""
    run = runs.create(workspace, birds.id, birds.name, RECIPE.to_json())
    asked = [queue.submit_prediction(workspace, run, [Path("a.png")]).id for _ in range(2)]
    assert asked[0] != asked[1]
