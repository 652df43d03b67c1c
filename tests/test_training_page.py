"""The training page in every state of a dataset and of a run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, queue, recipes, runs
from core.datasets import Dataset
from core.words import say
from core.workspace import Workspace
from tests.worlds import (
    RECIPE,
    add_dataset,
    begin_training,
    current,
    emit_epochs,
    finished_run,
    has_button,
    metrics,
    visit,
    words,
)

pytestmark = pytest.mark.usefixtures("served")

HOSTILE = "![x](https://evil.example/x.png) <img src=x>"


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def _settings(app: AppTest) -> dict[str, object]:
    return {widget.label: widget.value for widget in (*app.number_input, *app.selectbox, *app.slider)}


def _log(app: AppTest) -> str:
    return "\n".join(block.value for block in app.code)


# --- before a training --------------------------------------------------------------------------------------------


def test_without_a_dataset_the_sample_is_offered() -> None:
    app = visit("training")
    assert not app.exception
    assert "Training needs pictures." in words(app)
    assert has_button(app, "train_sample")
    assert not has_button(app, "start_training")


def test_a_training_of_the_sample_is_shown_while_the_sample_is_still_being_made(workspace: Workspace) -> None:
    app = visit("training")
    app.button(key="train_sample").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="train")
    assert has_button(app, f"cancel_{job.id}")
    assert not has_button(app, "train_sample")
    datasets.add_sample(workspace, "digits", build=lambda root, _scratch, _progress: _two_classes(root))
    app.run()
    assert current(app) == {"dataset": "digits", "run": job.run_id}


def _two_classes(root: Path) -> None:
    for label in "01":
        (root / label).mkdir()


def test_a_dataset_that_was_not_looked_at_leads_to_the_data_page(
    workspace: Workspace, tmp_path: Path
) -> None:
    unread = add_dataset(workspace, tmp_path / "birds", audited=False)
    app = visit("training", dataset=unread.id)
    assert not app.exception
    assert "have not been looked at yet" in words(app)
    assert not has_button(app, "start_training")


def test_a_dataset_that_cannot_be_split_is_refused_with_the_reason(
    workspace: Workspace, tmp_path: Path
) -> None:
    one_class = add_dataset(workspace, tmp_path / "birds", {"owl": 9})
    app = visit("training", dataset=one_class.id)
    assert not app.exception
    (error,) = app.error
    assert "A classifier needs at least 2" in error.value
    assert not has_button(app, "start_training")


def test_before_the_start_it_says_what_will_happen_and_what_it_will_take(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    assert not app.exception
    assert set(metrics(app)) == {"Time", "Memory", "Disk"}
    assert "Learns from 18 pictures, decides by 6 (validation), is judged on 6 (test)." in words(app)
    assert "A rough estimate" in words(app)
    settings = _settings(app)
    assert settings["Picture size (pixels a side)"] == 224
    assert "EfficientNet-Lite0" in str(app.selectbox(key="training_backbone").options)
    assert "tiny" not in app.selectbox(key="training_backbone").options


def test_the_settings_reach_the_run(workspace: Workspace, birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    changes = {"Picture size (pixels a side)": 64, "Most epochs": 3, "Epochs": 1, "Batch size": 8}
    for label, value in changes.items():
        next(widget for widget in app.number_input if widget.label == label).set_value(value)
    app.run()
    app.button(key="start_training").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="train")
    recipe = runs.get(workspace, job.run_id).recipe
    chosen = (recipe["image_size"], recipe["head_epochs"], recipe["fine_tune_epochs"], recipe["batch_size"])
    assert chosen == (64, 3, 1, 8)
    assert current(app) == {"dataset": birds.id, "run": job.run_id}
    assert has_button(app, f"cancel_{job.id}")


def _field(app: AppTest, name: str) -> Any:
    widgets = (*app.number_input, *app.selectbox, *app.slider, *app.text_input)
    return next(widget for widget in widgets if widget.key.startswith(f"{name}_"))


def test_what_was_chosen_for_a_dataset_is_there_again_in_another_browser(birds: Dataset) -> None:
    chosen = {"image_size": 96, "fine_tune_blocks": 50, "learning_rate": 3e-4}
    app = visit("training", dataset=birds.id)
    app.selectbox(key="training_backbone").set_value("mobilenet-v2").run()
    for name, value in chosen.items():
        _field(app, name).set_value(value)
    app.run()
    again = visit("training", dataset=birds.id)
    assert not again.exception
    assert again.selectbox(key="training_backbone").value == "mobilenet-v2"
    assert {name: _field(again, name).value for name in chosen} == chosen
    assert _field(again, "fine_tune_epochs").value == 5
    assert f"Changed: {', '.join(say(f'field.{name}') for name in chosen)}." in words(again)


def test_the_choice_is_each_datasets_own(workspace: Workspace, birds: Dataset, tmp_path: Path) -> None:
    fish = add_dataset(workspace, tmp_path / "fish")
    app = visit("training", dataset=birds.id)
    app.segmented_control(key="training_recipe").set_value("linear-probe").run()
    app.query_params["dataset"] = fish.id
    app.run()
    assert app.segmented_control(key="training_recipe").value == "two-stages"
    app.query_params["dataset"] = birds.id
    app.run()
    assert app.segmented_control(key="training_recipe").value == "linear-probe"


def test_one_click_leads_back_to_the_defaults(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    assert not has_button(app, "defaults")
    _field(app, "batch_size").set_value(8).run()
    app.button(key="defaults").click().run()
    assert not app.exception
    assert _settings(app)["Batch size"] == 32
    assert not has_button(app, "defaults")
    assert _settings(visit("training", dataset=birds.id))["Batch size"] == 32


@pytest.mark.parametrize(
    "written",
    [
        "{half",
        "[]",
        '{"preset": "two-stages"}',
        '{"preset": "of-tomorrow", "recipe": {}}',
        '{"preset": "two-stages", "recipe": {"batch_size": 8, "of_tomorrow": 1}}',
        '{"preset": "two-stages", "recipe": {"batch_size": "8"}}',
        '{"preset": "two-stages", "recipe": {"batch_size": 8, "backbone": "no-such"}}',
    ],
)
def test_a_file_of_settings_that_is_damaged_or_of_another_version_is_ignored(
    workspace: Workspace, birds: Dataset, written: str
) -> None:
    (workspace.datasets_dir / birds.id / "recipe.json").write_text(written)
    app = visit("training", dataset=birds.id)
    assert not app.exception
    assert not app.error
    assert _settings(app)["Batch size"] == 32
    assert not has_button(app, "defaults")


def test_the_head_alone_has_no_settings_for_fine_tuning(workspace: Workspace, birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    app.segmented_control(key="training_recipe").set_value("linear-probe").run()
    assert "Epochs" not in _settings(app)
    app.button(key="start_training").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    assert runs.get(workspace, job.run_id).recipe["fine_tune_epochs"] == 0


def test_the_same_training_started_twice_is_one_and_another_waits_in_line(
    workspace: Workspace, birds: Dataset
) -> None:
    app = visit("training", dataset=birds.id)
    for _ in range(2):
        app.button(key="start_training").click().run()
    assert len(queue.list_jobs(workspace, kind="train")) == 1
    app.segmented_control(key="training_recipe").set_value("linear-probe").run()
    app.button(key="start_training").click().run()
    assert "Waiting for 1 job before it" in app.get("progress")[0].text


# --- a training under way -----------------------------------------------------------------------------------------


def test_a_waiting_training_is_cancelled_with_one_click(workspace: Workspace, birds: Dataset) -> None:
    job = queue.submit_training(workspace, birds.id, birds.name, RECIPE)
    app = visit("training", run=job.run_id)
    assert app.get("progress")[0].text == "Starting"
    app.button(key=f"cancel_{job.id}").click().run()
    assert not app.exception
    assert queue.get(workspace, job.id).state == "cancelled"
    assert "Cancelled. The features that were extracted are kept for next time" in words(app)


def test_a_running_training_shows_stage_progress_speed_curves_and_log(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds)
    runs.emit(workspace, job.run_id, "stage", name="head")
    emit_epochs(workspace, job.run_id, "head", 5)
    runs.emit(workspace, job.run_id, "stage", name="fine_tune")
    emit_epochs(workspace, job.run_id, "fine_tune", 1)
    queue.report(
        workspace, job.id, {"stage": "fine_tune", "done": 30, "total": 40, "rate": 20.4, "eta_s": 12.0}
    )
    app = visit("training", run=job.run_id)
    assert not app.exception
    shown = app.get("progress")[0]
    assert shown.value == 75
    assert shown.text == "Fine-tuning · 30 of 40 · 20 images/s · about 12 s left"
    assert ":blue-badge[:material/pending: Fine-tuning]" in words(app)
    assert ":green-badge[:material/check_circle: Training the head]" in words(app)
    assert ":gray-badge[:material/circle: Evaluating]" in words(app)
    assert "5/5  loss 0.2000  accuracy 90.0\u00a0%" in _log(app)
    assert len(app.get("plotly_chart")) == 2
    assert has_button(app, "start_training")


def test_a_training_of_the_head_alone_has_no_step_for_fine_tuning(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds, replace(RECIPE, fine_tune_epochs=0))
    queue.report(workspace, job.id, {"stage": "features", "done": 1, "total": 4})
    app = visit("training", run=job.run_id)
    assert "Extracting features" in words(app)
    assert "circle: Fine-tuning" not in words(app)


def test_cancelling_a_running_training_is_asked_for_once(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    queue.report(workspace, job.id, {"stage": "features", "done": 1, "total": 4})
    app = visit("training", run=job.run_id)
    app.button(key=f"cancel_{job.id}").click().run()
    assert not app.exception
    assert queue.get(workspace, job.id).state == "cancelling"
    (button,) = [button for button in app.button if button.key == f"cancel_{job.id}"]
    assert (button.label, button.disabled) == ("Stopping", True)


def test_another_browser_sees_the_same_training(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    queue.report(workspace, job.id, {"stage": "features", "done": 1, "total": 4})
    texts = [visit("training", run=job.run_id).get("progress")[0].text for _ in range(2)]
    assert texts == ["Extracting features · 1 of 4"] * 2


# --- after a training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "message", "said"),
    [
        ("cancelled", "", "Cancelled. The features that were extracted are kept for next time"),
        ("interrupted", queue.INTERRUPTED, "The device session ended while it worked on this"),
        ("failed", "The disk is full.", "The disk is full\\."),
    ],
)
def test_a_training_that_ended_badly_says_so_and_can_be_tried_again(
    workspace: Workspace, birds: Dataset, state: str, message: str, said: str
) -> None:
    job = begin_training(workspace, birds)
    emit_epochs(workspace, job.run_id, "head", 2)
    queue.finish(workspace, job, state, message=message)
    app = visit("training", run=job.run_id)
    assert not app.exception
    assert said in words(app)
    assert len(app.get("plotly_chart")) == 2
    app.button(key=f"retry_{job.id}").click().run()
    assert not app.exception
    again = queue.latest(workspace, kind="train")
    assert again is not None and again.id != job.id
    assert runs.get(workspace, again.run_id).recipe == runs.get(workspace, job.run_id).recipe
    assert current(app)["run"] == again.run_id
    assert has_button(app, f"cancel_{again.id}")


def test_a_failed_training_keeps_its_traceback_for_those_who_want_it(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds)
    message = f'No file "{HOSTILE}".'
    queue.finish(workspace, job, "failed", message=message, traceback="Traceback\n  ValueError: x")
    app = visit("training", run=job.run_id)
    assert app.error[0].value == f"No file `{HOSTILE}`\\."
    assert "ValueError: x" in _log(app)


def test_a_sample_that_was_never_made_is_made_when_it_is_tried_again(workspace: Workspace) -> None:
    app = visit("training")
    app.button(key="train_sample").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    app.button(key=f"cancel_{job.id}").click().run()
    app.button(key=f"retry_{job.id}").click().run()
    assert not app.exception
    assert not app.error
    again = queue.latest(workspace, kind="train")
    assert again is not None and again.id != job.id
    assert again.args["sample"] == "digits"


def test_a_finished_run_shows_its_verdict_and_what_was_decided(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("training", run=run.id)
    assert not app.exception
    assert "**On pictures it has never seen it was right 5 times of 6.**" in words(app)
    assert metrics(app)["Accuracy on test"] == "83.3\u00a0%"
    assert metrics(app)["Accuracy on validation"] == "100.0\u00a0%"
    assert metrics(app)["Took"] == "12 s"
    assert "Fine\\-tuning was kept, from epoch 2\\: validation loss 0\\.200 after" in words(app)
    assert has_button(app, "start_training")


def test_either_stage_of_a_finished_run_can_be_shown(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    emit_epochs(workspace, run.id, "head", 7)
    emit_epochs(workspace, run.id, "fine_tune", 2)
    app = visit("training", run=run.id)
    assert "The upper blocks are trained with the head." in words(app)
    app.segmented_control(key=f"curves_{run.id}").set_value("head").run()
    assert not app.exception
    assert "The head is fitted to stored features." in words(app)


def test_all_runs_on_the_dataset_are_listed_newest_first(workspace: Workspace, birds: Dataset) -> None:
    done = finished_run(workspace, birds)
    old = replace(done, id="20200101-000000-0000", state="interrupted", metrics={})
    runs.folder(workspace, old.id).mkdir()
    runs.save(workspace, old)
    app = visit("training", dataset=birds.id)
    table = app.dataframe[0].value
    assert list(table["state"]) == ["done", "interrupted"]
    assert list(table["shown"]) == ["●", ""]


def test_runs_of_the_same_minute_are_told_apart_by_what_they_did(
    workspace: Workspace, birds: Dataset
) -> None:
    default = replace(recipes.Recipe(), backbone="tiny", image_size=64)
    tried = [
        default,
        replace(default, fine_tune_epochs=9),
        replace(default, learning_rate=1e-3),
        replace(default, fine_tune_epochs=0),
    ]
    for recipe in tried:
        run = runs.create(workspace, birds.id, birds.name, recipe.to_json())
        runs.save(workspace, replace(run, state="failed", created=1_800_000_000))
    app = visit("training", dataset=birds.id)
    table = app.dataframe[0].value
    told = sorted(zip(table["recipe"], table["image_size"], table["epochs"].fillna(0), strict=True))
    assert told == [
        ("head only", 64, 0),
        ("two stages", 64, 5),
        ("two stages", 64, 9),
        ("two stages, changed", 64, 5),
    ]
    assert list(table["shown"]).count("●") == 1


def test_losses_before_the_temperature_are_told_from_those_after_it(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    assert "raw outputs" not in words(visit("training", run=run.id))
    runs.save(workspace, replace(run, temperature=1.25))
    assert "divided by the temperature 1.25, fitted on validation" in words(visit("training", run=run.id))


def _select_run(app: AppTest, workspace: Workspace, row: int) -> None:
    found = runs.list_runs(workspace)
    app.session_state[f"runs_table_{found[0].id}_{len(found)}"] = {
        "selection": {"rows": [row], "columns": [], "cells": []}
    }
    app.run()


def test_a_chosen_run_becomes_the_current_one(workspace: Workspace, birds: Dataset) -> None:
    old = finished_run(workspace, birds)
    newer = finished_run(workspace, birds)
    runs.save(workspace, replace(newer, created=newer.created + 60))
    app = visit("training", dataset=birds.id)
    assert current(app)["run"] == newer.id
    _select_run(app, workspace, 1)
    app.button(key="show_run").click().run()
    assert not app.exception
    assert current(app)["run"] == old.id


def test_a_run_is_deleted_after_a_question(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    app = visit("training", run=run.id)
    _select_run(app, workspace, 0)
    app.button(key="delete_run").click().run()
    assert not app.exception
    assert "Your pictures are not touched." in words(app)
    assert [found.id for found in runs.list_runs(workspace)] == [run.id]
    app.button(key="delete_run_yes").click().run()
    assert not app.exception
    assert runs.list_runs(workspace) == []
    assert "run" not in current(app)
    assert birds.root.is_dir()


def test_a_run_under_way_cannot_be_deleted(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    app = visit("training", run=job.run_id)
    _select_run(app, workspace, 0)
    assert not has_button(app, "delete_run")


# --- things that are broken ---------------------------------------------------------------------------------------


def test_a_run_that_does_not_exist_is_not_shown(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id, run="20260101-000000-abcd")
    assert not app.exception
    assert not app.error
    assert current(app) == {"dataset": birds.id}
    assert has_button(app, "start_training")


def test_a_damaged_record_is_listed_with_the_reason_and_can_be_deleted(
    workspace: Workspace, birds: Dataset
) -> None:
    damaged = finished_run(workspace, birds)
    (runs.folder(workspace, damaged.id) / "run.json").write_text("{half")
    app = visit("training", dataset=birds.id, run=damaged.id)
    assert not app.exception
    assert list(app.dataframe[0].value["state"]) == ["failed"]
    _select_run(app, workspace, 0)
    assert "damaged" in words(app)
    assert not has_button(app, "show_run")
    app.button(key="delete_run").click().run()
    app.button(key="delete_run_yes").click().run()
    assert not app.exception
    assert runs.list_runs(workspace) == []


def test_a_run_whose_dataset_was_removed_can_still_be_looked_at(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    datasets.remove(workspace, birds.id)
    app = visit("training", run=run.id)
    assert not app.exception
    assert "right 6 times of 6" in words(app)


def test_trying_again_without_the_dataset_says_what_is_missing(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    queue.finish(workspace, job, "interrupted", message=queue.INTERRUPTED)
    datasets.remove(workspace, birds.id)
    app = visit("training", run=job.run_id)
    app.button(key=f"retry_{job.id}").click().run()
    assert not app.exception
    assert "There is no dataset" in words(app)
    assert len(queue.list_jobs(workspace, kind="train")) == 1


def test_a_folder_that_is_gone_does_not_block_the_page(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    shutil.rmtree(birds.root)
    app = visit("training", run=run.id)
    assert not app.exception
    assert "right 6 times of 6" in words(app)
