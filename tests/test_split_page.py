"""The split on the Data page: kept or made, named by its hash, and what twins in train would have been worth."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import audit, datasets, leakage, queue, runs, splits
from core.datasets import Dataset
from core.recipes import from_json
from core.workspace import Workspace
from tests.pictures import write_classes
from tests.worlds import add_dataset, finished_run, has_button, metrics, visit, words


@pytest.fixture
def given(served: None, workspace: Workspace, tmp_path: Path) -> Dataset:
    """A dataset with a split of its own, in which two test pictures are in train too."""
    st.cache_data.clear()
    root = tmp_path / "birds"
    write_classes(root / "train", {"owl": 12, "wren": 12})
    write_classes(root / "val", {"owl": 3, "wren": 3}, first_seed=100)
    write_classes(root / "test", {"owl": 4, "wren": 4}, first_seed=200)
    for label in ("owl", "wren"):
        shutil.copy(root / "train" / label / "000.png", root / "test" / label / "twin.png")
    dataset = datasets.add_folder(workspace, root)
    audit.audit(workspace, dataset)
    return dataset


def open_split(dataset: Dataset) -> AppTest:
    app = visit("data", dataset=dataset.id)
    app.session_state["data_tab"] = "Classes and split"
    app.run()
    assert not app.exception
    return app


def test_the_folders_own_split_is_kept_until_a_new_one_is_asked_for(
    given: Dataset, workspace: Workspace
) -> None:
    app = open_split(given)
    assert metrics(app)["Test"] == "10"
    before = next(line for line in words(app).splitlines() if line.startswith("This is split"))
    app.radio(key=f"data_keep_given_{given.id}").set_value(False).run()
    assert not app.exception
    assert "70 % to learn from" in words(app)
    assert before not in words(app)
    assert metrics(app)["Test"] != "10"
    training = visit("training", dataset=given.id)
    training.button(key="start_training").click().run()
    (run,) = runs.list_runs(workspace)
    assert not from_json(run.recipe).keep_given
    app = open_split(given)
    app.radio(key=f"data_keep_given_{given.id}").set_value(True).run()
    assert before in words(app)


def test_twins_in_the_given_train_are_counted_and_their_worth_measured_by_a_job(
    given: Dataset, workspace: Workspace
) -> None:
    app = open_split(given)
    assert "**2 of 10 test pictures had a twin in train** as the folder splits them" in words(app)
    app.button(key="leak_measure").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace)
    assert (job.kind, job.dataset_id, from_json(job.args["recipe"]).backbone) == (
        "leak",
        given.id,
        "efficientnet-lite0",
    )
    assert not has_button(app, "leak_measure") and has_button(app, f"cancel_{job.id}")

    table = audit.load_decided(workspace, given.id)
    assert table is not None
    worth = {
        "fingerprint": splits.fingerprint(table, leakage.unguarded(table)),
        "backbone": "EfficientNet-Lite0",
        "num_train": 24,
        "num_left_out": 2,
        "num_test": 10,
        "num_twins": 2,
        "with_twins": 0.9,
        "without_twins": 0.7,
        "twins_with": 1.0,
        "twins_without": 0.5,
        "difference": {"value": 0.2, "low": -0.1, "high": 0.45},
    }
    leakage.save(workspace, given.id, worth)
    claimed = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert claimed is not None
    queue.finish(workspace, claimed, "done", result={})
    app.run()
    assert "worth **+20.0 points** (95 % interval -10.0 to +45.0)" in words(app)
    assert not has_button(app, "leak_measure")
    leakage.save(workspace, given.id, worth | {"fingerprint": "of another split"})
    app.run()
    assert "have changed since this was measured" in words(app)
    assert has_button(app, "leak_measure")


def test_a_failed_measurement_says_why_and_can_be_tried_again(given: Dataset, workspace: Workspace) -> None:
    app = open_split(given)
    app.button(key="leak_measure").click().run()
    claimed = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert claimed is not None
    queue.finish(workspace, claimed, "failed", message="The weights are gone.")
    app.run()
    assert "The weights are gone" in words(app)
    app.button(key=f"retry_{claimed.id}").click().run()
    assert [job.state for job in queue.list_jobs(workspace)] == ["queued", "failed"]


def test_pictures_without_twins_are_told_so(served: None, workspace: Workspace, tmp_path: Path) -> None:
    st.cache_data.clear()
    app = open_split(add_dataset(workspace, tmp_path / "birds"))
    assert "would have put no twin of a test picture into train either" in words(app)
    assert not has_button(app, "leak_measure")


def test_a_run_names_its_split_and_whether_it_is_still_the_chosen_one(
    served: None, workspace: Workspace, tmp_path: Path
) -> None:
    st.cache_data.clear()
    dataset = add_dataset(workspace, tmp_path / "birds")
    table = audit.load_decided(workspace, dataset.id)
    assert table is not None
    split = splits.fingerprint(table, splits.assign(table))
    run = finished_run(workspace, dataset)
    runs.save(workspace, replace(run, split_fingerprint=split))
    for page in ("evaluation", "training"):
        assert f"split `{split[:8]}`, the one that is chosen now" in words(visit(page, run=run.id))
    app = open_split(dataset)
    app.number_input(key=f"data_seed_{dataset.id}").set_value(7).run()
    said = words(visit("evaluation", run=run.id))
    assert f"split `{split[:8]}`. The pictures or the split have changed since" in said
