"""The Runs page: lists, filters, names and tags, deletes, and compares; in every state of a workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import runs
from core.datasets import Dataset
from core.runs import Run
from core.workspace import Workspace
from pages.components.csv_file import as_csv
from tests.worlds import add_dataset, begin_training, finished_run, has_button, visit, words

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def choose(app: AppTest, *rows: int) -> None:
    (key,) = [element.proto.id for element in app.dataframe if "seconds" in element.value]
    name = key[key.index("all_runs_") :]
    app.session_state[name] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    app.run()
    assert not app.exception


def table(app: AppTest) -> pd.DataFrame:
    (found,) = [element.value for element in app.dataframe if "seconds" in element.value]
    return found


def two(workspace: Workspace, birds: Dataset) -> tuple[Run, Run]:
    first = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    return first, finished_run(workspace, birds, [("owl", "wren")])


def test_without_a_run_the_sample_is_offered() -> None:
    app = visit("runs")
    assert not app.exception
    assert "There is no run yet." in words(app)
    assert has_button(app, "train_sample")


def test_runs_of_every_state_are_listed_newest_first(workspace: Workspace, birds: Dataset) -> None:
    done = finished_run(workspace, birds)
    running = begin_training(workspace, birds)
    (runs.folder(workspace, runs.create(workspace, "x", "X", {}).id) / "run.json").write_text("{")
    app = visit("runs")
    assert not app.exception
    listed = table(app)
    assert sorted(listed["state"]) == ["done", "failed", "running"]
    assert {done.id, running.run_id} <= set(listed["id"])
    assert listed.set_index("id").loc[done.id, "val"] == 100.0


def test_the_list_is_filtered_by_words_dataset_and_state(workspace: Workspace, birds: Dataset) -> None:
    first, second = two(workspace, birds)
    runs.set_labels(workspace, first.id, name="Baseline", tags=["paper"])
    app = visit("runs")
    app.text_input(key="runs_search").set_value("PAPER base").run()
    assert list(table(app)["id"]) == [first.id]
    app.text_input(key="runs_search").set_value("nothing like it").run()
    assert "No run fits these filters." in words(app)
    runs.set_labels(workspace, second.id, archived=True)
    app.text_input(key="runs_search").set_value("").run()
    assert list(table(app)["id"]) == [first.id]
    app.toggle(key="runs_archived").set_value(True).run()
    assert list(table(app)["id"]) == [second.id, first.id]


def test_a_chosen_run_can_be_put_aside_and_deleted_after_a_question(
    workspace: Workspace, birds: Dataset
) -> None:
    _, second = two(workspace, birds)
    app = visit("runs")
    choose(app, 0)
    app.button(key="archive_run").click().run()
    assert runs.labels(workspace, second.id).archived
    choose(app, 0)
    app.button(key="delete_run").click().run()
    app.button(key="delete_run_yes").click().run()
    assert not app.exception
    assert [run.id for run in runs.list_runs(workspace)] == [second.id]


def test_two_runs_are_compared_in_words_with_what_was_fixed_and_broken(
    workspace: Workspace, birds: Dataset
) -> None:
    two(workspace, birds)
    app = visit("runs")
    choose(app, 0, 1)
    app.segmented_control(key="compare_split").set_value("test").run()
    assert not app.exception
    assert "All were judged by the same 6 pictures." in words(app)
    assert "probably no real difference (p = 1.000)" in words(app)
    assert "Fixed: 1 picture" in words(app)
    assert "Broken: 0 pictures" in words(app)
    (changes,) = [element.value for element in app.dataframe if "change" in element.value]
    assert set(zip(changes["true"], changes["predicted"], changes["change"], strict=True)) == {
        ("kite", "kite", 1),
        ("kite", "owl", -1),
    }
    assert "Nothing: same recipe, data and split." in words(app)


def test_runs_with_other_test_sets_are_compared_on_what_is_common_and_it_is_said(
    workspace: Workspace, birds: Dataset
) -> None:
    first = finished_run(workspace, birds)
    second = finished_run(workspace, birds, without=["kite"])
    runs.save(workspace, replace(second, recipe={**first.recipe, "seed": 5}))
    app = visit("runs")
    choose(app, 0, 1)
    app.segmented_control(key="compare_split").set_value("test").run()
    assert not app.exception
    assert "compared is what they have in common, 4 pictures." in app.warning[0].value
    (facts,) = [element.value for element in app.dataframe if "fact" in element.value]
    assert {"seed", "test"} <= set(facts["fact"])


def test_one_run_alone_is_not_compared(workspace: Workspace, birds: Dataset) -> None:
    two(workspace, birds)
    app = visit("runs")
    choose(app, 1)
    assert "Choose two or more finished runs" in words(app)


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    written = as_csv(pd.DataFrame({"class": ["=1+1", "owl"], "images": [-1, 2]})).decode("utf-8-sig")
    assert written.splitlines() == ["class,images", "'=1+1,-1", "owl,2"]
