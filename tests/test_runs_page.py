"""The Runs page: lists, filters, names and tags, deletes, and compares; in every state of a workspace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import runs
from core.datasets import Dataset
from core.runs import Run
from core.workspace import Workspace
from pages.components import shell
from pages.components.csv_file import as_csv
from tests.worlds import add_dataset, begin_training, current, finished_run, has_button, visit, words

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
    shown = listed.set_index("id").loc[done.id]
    assert shown["val"] == 100.0
    low, high = runs.judged(workspace, done, "val").scores.macro_f1[1:]
    assert shown["macro_f1_interval"] == f"{low:.3f} – {high:.3f}"


def test_a_run_shows_the_epochs_that_were_done_not_those_that_were_planned(
    workspace: Workspace, birds: Dataset
) -> None:
    done = finished_run(workspace, birds)
    runs.save(workspace, replace(done, stage_2={**done.stage_2, "epochs": 1}))
    running = begin_training(workspace, birds)
    listed = table(visit("runs")).set_index("id")
    assert (listed.loc[done.id, "epochs"], listed.loc[done.id, "planned"]) == (1, 2)
    assert pd.isna(listed.loc[running.run_id, "epochs"])


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


def test_another_filter_chooses_no_other_run(workspace: Workspace, birds: Dataset) -> None:
    newest, first, second = (finished_run(workspace, birds) for _ in range(3))
    for number, (run, tags) in enumerate(((second, "qqq"), (first, "ppp"), (newest, "ppp qqq"))):
        runs.save(workspace, replace(run, created=run.created + 60 * number))
        runs.set_labels(workspace, run.id, name=f"The {tags}", tags=tags.split())
    app = visit("runs", runs_search="ppp", compared=f"{first.id}")
    assert list(table(app)["id"]) == [newest.id, first.id]
    # As long a list, which begins with the same run.
    app.text_input(key="runs_search").set_value("qqq").run()
    assert list(table(app)["id"]) == [newest.id, second.id]
    assert "compared" not in current(app)
    assert not has_button(app, "delete_run")


def test_a_run_is_called_by_its_name_wherever_it_is_named(workspace: Workspace, birds: Dataset) -> None:
    first, second = two(workspace, birds)
    runs.save(workspace, replace(second, recipe={**second.recipe, "seed": 5}))
    runs.set_labels(workspace, first.id, name="Base *line*")
    app = visit("runs", compared=first.id)
    app.button(key="delete_run").click().run()
    assert "The run `Base *line*` with its model" in words(app)
    app.query_params["compared"] = f"{first.id},{second.id}"
    app.run()
    (facts,) = [element for element in app.dataframe if "fact" in element.value]
    assert "Base *line*" in facts.proto.columns
    assert "| `Base *line*` |" in words(app)
    app.query_params["run"] = first.id
    app.switch_page("pages/training.py").run()
    assert app.header[0].value == "Run `Base *line*`"
    runs.set_labels(workspace, second.id, name="Base *line*")
    assert shell.run_names([first, second]) == {run.id: f"Base *line* · {run.id}" for run in (first, second)}


def test_what_a_comparison_leaves_out_is_named(workspace: Workspace, birds: Dataset) -> None:
    found = [finished_run(workspace, birds, without=["kite"] if number == 6 else []) for number in range(7)]
    for number, run in enumerate(found):
        runs.save(workspace, replace(run, created=run.created + number))
        runs.set_labels(workspace, run.id, name=f"Number {number}")
    running = begin_training(workspace, birds)
    ids = [*(run.id for run in found), running.run_id]
    app = visit("runs", compared=",".join(ids), compare_split="test")
    assert not app.exception
    said = words(app)
    assert "At most 6 runs are compared: left out are the older ones, `Number 0`." in said
    assert (
        f"Not compared, because they are not done: `{shell.run_name(runs.get(workspace, running.run_id))}`."
        in said
    )
    assert "`Number 1`: 2 of its 6 pictures are left out." in said
    assert "`Number 6`:" not in said
    assert "Without `Number 6` the others have 6 pictures in common." in said
    assert [runs.num_looks(workspace, run)[1] for run in found[1:]] == [6] * 6


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
    assert "cannot be told on so few pictures (p = 1.000)" in words(app)
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
    changes = {"seed": 5, "weights": "random", "fine_tune_blocks": 0.5, "schedule": "constant", "newer": 3}
    recipe = {**first.recipe, **changes, "augment": {**first.recipe["augment"], "crop": 0.4}}
    runs.save(workspace, replace(second, recipe=recipe))
    app = visit("runs")
    choose(app, 0, 1)
    app.segmented_control(key="compare_split").set_value("test").run()
    assert not app.exception
    assert "compared is what they have in common, 4 pictures." in app.warning[0].value
    (facts,) = [element.value for element in app.dataframe if "fact" in element.value]
    assert dict(zip(facts["fact"], facts["run_1"], strict=True)) == {
        "Pictures of test": "4",
        "The network begins with": "Random weights",
        "Seed": "5",
        "Variations: Random crop": "40\u00a0%",
        "Blocks unfrozen, from the top": "50\u00a0%",
        "Learning rate over time": "Constant",
        "newer": "3",
    }


def test_a_link_brings_back_the_chosen_runs_the_filters_and_the_cell(
    workspace: Workspace, birds: Dataset
) -> None:
    first, second = two(workspace, birds)
    link = {"compared": f"{second.id},{first.id}", "compare_split": "test", "compare_cell": "0-1"}
    filters = {"runs_search": "tiny", "runs_dataset": "birds", "runs_state": "done", "runs_archived": "shown"}
    app = visit("runs", **link, **filters)
    assert not app.exception
    assert {name: current(app)[name] for name in (*link, *filters)} == {**link, **filters}
    assert "Fixed: 1 picture" in words(app)
    assert "**1 picture of `kite` has left**, no more taken for `owl`:" in words(app)
    assert app.selectbox(key="runs_state").value == "done"
    assert app.toggle(key="runs_archived").value
    app.text_input(key="runs_search").set_value("nothing like it").run()
    assert "Fixed: 1 picture" not in words(app)
    app.text_input(key="runs_search").set_value("tiny").run()
    assert "Fixed: 1 picture" in words(app), "a search without a result forgets no choice"
    app.query_params["compared"] = first.id
    app.run()
    assert "Choose two or more finished runs" in words(app)
    app.switch_page("pages/home.py").run()
    assert not {*link, *filters} & current(app).keys()


def test_a_photo_that_is_open_in_a_comparison_stands_in_the_url_among_those_of_its_list(
    workspace: Workspace, birds: Dataset
) -> None:
    first = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    second = finished_run(workspace, birds)
    answers = runs.answers(second, runs.predictions(workspace, second.id, "test"))
    row = int(answers.loc[answers["true"] == "kite", "row"].min())
    link = {"compared": f"{second.id},{first.id}", "compare_split": "test", "compare_photo": str(row)}
    app = visit("runs", **link)
    assert not app.exception
    assert "This is `kite`." in words(app)
    assert "The first run says `owl`, " in words(app)
    assert "of 2" in words(app)
    assert {name: current(app)[name] for name in link} == link
    other = "photo_right" if app.button(key="photo_left").disabled else "photo_left"
    app.button(key=other).click().run()
    assert "This is `owl`." in words(app)
    assert current(app)["compare_photo"] not in ("", str(row))
    for query in ({**link, "compare_photo": "99"}, {**link, "compared": first.id}):
        app = visit("runs", **query)
        assert not app.exception
        assert "compare_photo" not in current(app)


def test_what_a_link_to_runs_says_that_cannot_be_is_ignored(workspace: Workspace, birds: Dataset) -> None:
    first, second = two(workspace, birds)
    link = {"compared": f"../x,{first.id},{second.id}", "compare_cell": "7-7", "compare_with": first.id}
    link |= {"compare_photo": "9" * 5000, "fixed_page": "9" * 5000}
    app = visit("runs", **link, runs_state="asleep", runs_dataset="x", compare_split="train")
    assert not app.exception
    assert "Fixed: 0 pictures" in words(app)
    assert current(app).keys() == {"dataset", "run", "compared"}
    app = visit("runs", **{**link, "compare_cell": f"{'9' * 5000}-1"})
    assert not app.exception


def test_the_difference_of_the_matrices_is_a_picture_with_signs_and_colours(
    workspace: Workspace, birds: Dataset
) -> None:
    first, second = two(workspace, birds)
    app = visit("runs", compared=f"{first.id},{second.id}", compare_split="test")
    (sent,) = [
        json.loads(element.proto.json)
        for element in app.get("bidi_component")
        if element.proto.component_name == "graft_matrix"
    ]
    assert sent["counts"] == [["+1", "\N{MINUS SIGN}1", "0"], ["0"] * 3, ["0"] * 3]
    assert sent["shares"][0] == ["1 → 2", "1 → 0", "0 → 0"]
    assert sent["shades"] == [[511, 511, -1], [-1] * 3, [-1] * 3]
    assert sent["right"][0] == "{true}, recognised: {n} ({share} pictures)"
    downloads = "".join(element.proto.id for element in app.get("download_button"))
    for name in ("compared_csv", "facts_csv", "change_csv", "fixed_csv"):
        assert (name in downloads) == (name != "facts_csv")  # both have the same recipe, data and split


def test_one_run_alone_is_not_compared(workspace: Workspace, birds: Dataset) -> None:
    two(workspace, birds)
    app = visit("runs")
    choose(app, 1)
    assert "Choose two or more finished runs" in words(app)


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    written = as_csv(pd.DataFrame({"class": ["=1+1", "owl"], "images": [-1, 2]})).decode("utf-8-sig")
    assert written.splitlines() == ["class,images", "'=1+1,-1", "owl,2"]
