"""The training page in every state of a dataset and of a run."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import audit, datasets, queue, recipes, runs
from core.datasets import Dataset
from core.evaluation import wilson_interval
from core.queue import DeviceMemory
from core.recipes import Recipe
from core.words import say
from core.workspace import Workspace
from pages.components import shell, training_fields, training_result, training_run
from tests.worlds import (
    RECIPE,
    STAGE_2,
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


def test_a_page_that_waits_for_the_sample_runs_once_more_when_it_is_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("training")
    app.button(key="train_sample").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    run = runs.get(workspace, job.run_id)
    monkeypatch.setattr(shell, "workspace", lambda: workspace)
    assert training_run._what_is_there(run) == (False, False)
    sample = datasets.add_sample(
        workspace, "digits", build=lambda root, _scratch, _progress: _two_classes(root)
    )
    assert training_run._what_is_there(run) == (True, False)
    audit.audit(workspace, sample)
    assert training_run._what_is_there(run) == (True, True)


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
    links = [link.proto.label for link in app.get("page_link")]
    assert "Open it on the Data page" in links and "Choose pictures" not in links


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
    assert "EfficientNet-Lite0" in str(app.selectbox(key=f"training_backbone_{birds.id}").options)
    assert "tiny" not in app.selectbox(key=f"training_backbone_{birds.id}").options


def test_a_recipe_that_cannot_be_is_told_by_the_titles_of_its_settings(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    for label in ("Head: most epochs", "Fine-tuning: epochs"):
        next(widget for widget in app.number_input if widget.label == label).set_value(0)
    app.run()
    assert not app.exception
    (error,) = app.error
    assert error.value.startswith("`Head: most epochs` and `Fine-tuning: epochs` are both 0")
    (changed,) = [caption.value for caption in app.caption if caption.value.startswith("Changed: ")]
    assert "Head: most epochs" in changed and "Fine-tuning: epochs" in changed


def test_only_what_is_said_of_a_setting_becomes_its_title() -> None:
    said = 'weights is "views is" and head_epochs is 0. Choose pretrained weights, or set views to 0.'
    assert training_fields.titled(said) == (
        '"The network begins with" is "views is" and "Head: most epochs" is 0. Choose pretrained weights, or set '
        '"Variations in stage 1" to 0.'
    )
    for field in fields(Recipe):
        if field.name not in training_fields.ELSEWHERE:
            assert field.name not in training_fields.titled(f"{field.name} is 0.")


def test_the_settings_reach_the_run(workspace: Workspace, birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    changes = {
        "Picture size (pixels a side)": 64,
        "Head: most epochs": 3,
        "Fine-tuning: epochs": 1,
        "Batch size": 8,
    }
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
    app.selectbox(key=f"training_backbone_{birds.id}").set_value("mobilenet-v2").run()
    for name, value in chosen.items():
        _field(app, name).set_value(value)
    app.run()
    again = visit("training", dataset=birds.id)
    assert not again.exception
    backbone = again.selectbox(key=f"training_backbone_{birds.id}")
    assert backbone.value == "mobilenet-v2"
    # What the browser falls back to where it draws the choice anew, as when a run begins or ends.
    assert "MobileNetV2" in backbone.options[backbone.proto.default]
    assert {name: _field(again, name).value for name in chosen} == chosen
    assert _field(again, "fine_tune_epochs").value == 5
    assert f"Changed: {', '.join(say(f'field.{name}') for name in chosen)}." in words(again)


def test_the_choice_is_each_datasets_own(workspace: Workspace, birds: Dataset, tmp_path: Path) -> None:
    fish = add_dataset(workspace, tmp_path / "fish")
    app = visit("training", dataset=birds.id)
    app.selectbox(key=f"training_recipe_{birds.id}").set_value("linear-probe").run()
    app.query_params["dataset"] = fish.id
    app.run()
    assert app.selectbox(key=f"training_recipe_{fish.id}").value == "two-stages"
    app.query_params["dataset"] = birds.id
    app.run()
    assert app.selectbox(key=f"training_recipe_{birds.id}").value == "linear-probe"


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
    app.selectbox(key=f"training_recipe_{birds.id}").set_value("linear-probe").run()
    assert _settings(app)["Fine-tuning: epochs"] == 0
    assert "Learning rate" not in _settings(app)
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
    app.selectbox(key=f"training_recipe_{birds.id}").set_value("linear-probe").run()
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
    assert "Cancelled." in words(app)
    assert "Begins again; features that were extracted are not computed twice." in words(app)


def test_a_training_that_waits_says_when_it_will_begin_if_that_is_known(
    workspace: Workspace, birds: Dataset
) -> None:
    first = queue.submit_training(workspace, birds.id, birds.name, RECIPE, forecast_s=300)
    known = queue.submit_training(workspace, birds.id, birds.name, RECIPE)
    unknown = queue.submit_training(workspace, birds.id, birds.name, RECIPE)
    lines = [visit("training", run=job.run_id).get("progress")[0].text for job in (first, known, unknown)]
    assert lines == [
        "Starting",
        "Waiting for 1 job before it · starts in about 5 min",
        "Waiting for 2 jobs before it · when it starts is not known yet",
    ]


def test_the_forecast_goes_with_the_training_into_the_queue(workspace: Workspace, birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    app.button(key="start_training").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    assert job.args["forecast_s"] > 0


def test_a_running_training_shows_stage_progress_speed_curves_and_log(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds)
    for stage in ("startup", "audit", "features", "head"):
        runs.emit(workspace, job.run_id, "stage", name=stage)
    emit_epochs(workspace, job.run_id, "head", 5)
    runs.emit(workspace, job.run_id, "stage", name="fine_tune")
    emit_epochs(workspace, job.run_id, "fine_tune", 2)
    queue.report(
        workspace,
        job.id,
        {"stage": "fine_tune", "done": 30, "total": 40, "epoch": 2, "epochs": 5, "rate": 20.4, "eta_s": 12.0},
    )
    app = visit("training", run=job.run_id)
    assert not app.exception
    shown = app.get("progress")[0]
    assert shown.value == 75
    assert shown.text == "Fine-tuning · epoch 2 of 5 · 20 images/s · about 12 s left"
    assert ":blue-badge[:material/pending: Fine-tuning]" in words(app)
    assert ":green-badge[:material/check_circle: Training the head]" in words(app)
    for stage in ("Controls", "Evaluating"):
        assert f":gray-badge[:material/circle: {stage}]" in words(app)
    assert "5/5  loss 0.2000  accuracy 90.0\u00a0%" in _log(app)
    assert len(app.get("plotly_chart")) == 3
    assert has_button(app, "start_training")
    assert "GB in use on this computer" in words(app)
    (cancel,) = [button for button in app.button if button.key == f"cancel_{job.id}"]
    assert "the best model so far is kept" in cancel.help


def test_an_epoch_of_a_head_that_may_end_before_its_last_one_is_told_as_such(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds)
    told = {"stage": "head", "done": 7, "total": 100, "epoch": 7, "epochs": 100, "ends_early": True}
    queue.report(workspace, job.id, {**told, "rate": 3.0, "eta_s": None})
    shown = visit("training", run=job.run_id).get("progress")[0]
    assert shown.text == "Training the head · epoch 7 of at most 100"


def _figures(app: AppTest) -> list[str]:
    """Return what the figures say, as JSON."""
    return [chart.proto.spec for chart in app.get("plotly_chart")]


def test_in_fine_tuning_the_head_alone_is_what_is_to_be_beaten(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    emit_epochs(workspace, job.run_id, "head", 5)
    assert not any("head, validation" in figure for figure in _figures(visit("training", run=job.run_id)))
    emit_epochs(workspace, job.run_id, "fine_tune", 2)
    app = visit("training", run=job.run_id)
    loss, accuracy, rate = _figures(app)
    assert '"y0":0.24,"y1":0.24' in loss and '"y0":0.88,"y1":0.88' in accuracy
    assert "head, validation" not in rate
    assert "The head alone reached 88.0\u00a0% on validation." in app.get("plotly_chart")[1].proto.alt


def test_what_is_to_be_beaten_is_the_head_that_validation_chose_not_the_one_whose_curves_are_shown(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds, replace(RECIPE, head_strength=0.03))
    emit_epochs(workspace, job.run_id, "head", 5)
    emit_epochs(workspace, job.run_id, "fine_tune", 1)
    before = _figures(visit("training", run=job.run_id))
    assert not any("head, validation" in figure for figure in before), (
        "an older run does not tell which it is"
    )
    chosen = {"strength": 1.0, "val_loss": 0.125, "val_accuracy": 0.95}
    runs.emit(workspace, job.run_id, "head_chosen", **chosen)
    app = visit("training", run=job.run_id)
    loss, accuracy = _figures(app)
    assert '"y0":0.125,"y1":0.125' in loss and '"y0":0.95,"y1":0.95' in accuracy
    assert "val loss 0.1250, val accuracy 95.0\u00a0%." in app.code[-1].value
    assert "These are the curves of the head" not in words(app)
    app.segmented_control(key=f"curves_{job.run_id}").set_value("head").run()
    said = words(app)
    assert "the head with C = 0.03, which fine-tuning begins with" in said
    assert "has to beat is the one with C = 1, whose" in said
    done = replace(runs.get(workspace, job.run_id), stage_1={"strength": 0.03})
    runs.emit(workspace, job.run_id, "head_chosen", **chosen | {"strength": 0.03})
    runs.save(workspace, done)
    assert "These are the curves of the head" not in words(app.run())


def test_stages_done_before_an_interruption_count_only_once_they_are_done_again(
    workspace: Workspace, birds: Dataset
) -> None:
    job = begin_training(workspace, birds)
    for stage in ("startup", "audit", "prepare", "features", "head", "fine_tune", "startup", "audit"):
        runs.emit(workspace, job.run_id, "stage", name=stage)
    queue.report(workspace, job.id, {"stage": "prepare", "done": 0, "total": 0})
    said = words(visit("training", run=job.run_id))
    assert ":green-badge[:material/check_circle: Looking at the files]" in said
    assert ":gray-badge[:material/circle: Extracting features]" in said


def test_a_training_from_scratch_has_no_step_for_a_head_or_controls(
    workspace: Workspace, birds: Dataset
) -> None:
    scratch = replace(recipes.PRESETS["from-scratch"], backbone="tiny", image_size=32)
    job = begin_training(workspace, birds, scratch)
    queue.report(workspace, job.id, {"stage": "fine_tune", "done": 1, "total": 4})
    said = words(visit("training", run=job.run_id))
    assert "Training the head" not in said and "Controls" not in said and "Fine-tuning" in said


def test_the_log_says_in_words_what_was_resumed_and_halved(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    runs.emit(workspace, job.run_id, "resumed", epoch=3, history=[])
    runs.emit(workspace, job.run_id, "batch_halved", batch_size=8)
    runs.emit(workspace, job.run_id, "log", text="Features: 4 computed.")
    log = _log(visit("training", run=job.run_id))
    assert "Goes on after epoch 3, the last one that was finished." in log
    assert "begins again with 8 pictures a step" in log
    assert "Features: 4 computed." in log


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
    assert app.get("progress")[0].text == "Extracting features · being stopped"
    queue.report(workspace, job.id, {"stage": "evaluate", "done": 1, "total": 4, "eta_s": 20.0})
    shown = visit("training", run=job.run_id).get("progress")[0]
    assert shown.text == "Evaluating · stopped; what is kept is being judged"


def test_another_browser_sees_the_same_training(workspace: Workspace, birds: Dataset) -> None:
    job = begin_training(workspace, birds)
    queue.report(workspace, job.id, {"stage": "features", "done": 1, "total": 4})
    texts = [visit("training", run=job.run_id).get("progress")[0].text for _ in range(2)]
    assert texts == ["Extracting features · 1 of 4"] * 2


# --- after a training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "message", "said"),
    [
        ("cancelled", "", "Cancelled."),
        ("interrupted", queue.INTERRUPTED, "The device session ended while it worked on this"),
        ("failed", "The disk is full.", "The disk is full\\."),
    ],
)
def test_a_training_that_ended_badly_says_so_and_goes_on_as_the_same_run(
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
    assert again.run_id == job.run_id == current(app)["run"]
    assert runs.get(workspace, job.run_id).state == "queued"
    assert has_button(app, f"cancel_{again.id}")


@pytest.mark.parametrize("stage", runs.STAGES)
def test_where_an_epoch_was_finished_it_goes_on_after_it(
    workspace: Workspace, birds: Dataset, stage: str
) -> None:
    job = begin_training(workspace, birds)
    queue.finish(workspace, job, "interrupted", message=queue.INTERRUPTED)
    app = visit("training", run=job.run_id)
    assert app.button(key=f"retry_{job.id}").label == "Try again"
    runs.checkpoint_path(workspace, job.run_id, stage).write_bytes(b"")
    app.run()
    assert app.button(key=f"retry_{job.id}").label == "Go on"
    assert "Goes on after the last finished epoch." in words(app)


def test_a_run_without_a_job_goes_on_too(workspace: Workspace, birds: Dataset) -> None:
    run = runs.create(workspace, birds.id, birds.name, RECIPE.to_json())
    runs.set_state(workspace, run.id, "interrupted", "The queue was lost.")
    app = visit("training", run=run.id)
    assert "The queue was lost\\." in words(app)
    app.button(key=f"retry_{run.id}").click().run()
    assert not app.exception
    job = queue.latest(workspace, kind="train")
    assert job is not None and job.run_id == run.id


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
    assert metrics(app)["Training time"] == "12 s"
    assert "Fine\\-tuning was kept, from epoch 2\\: validation loss 0\\.200 after" in words(app)
    assert has_button(app, "start_training")


def _against(app: AppTest) -> list[list[str]]:
    (table,) = app.table
    return [[str(cell) for cell in row] for row in table.value.to_numpy()]


def _of_6(share: float) -> str:
    """Return a share of 6 pictures with Wilson's interval."""
    value, low, high = (f"{100 * number:.1f}\u00a0%" for number in wilson_interval(6 * share, 6))
    return f"{value} ({low} to {high})"


def test_a_finished_run_stands_against_the_head_alone_and_the_controls(
    workspace: Workspace, birds: Dataset
) -> None:
    app = visit("training", run=finished_run(workspace, birds).id)
    assert not app.exception
    assert _against(app) == [
        ["**This model**", "100.0\u00a0% (61.0\u00a0% to 100.0\u00a0%)", "6", "–"],
        ["Its head alone, before fine-tuning", _of_6(0.925), "6", "+2.5 (\u22125.0 to +10.0)"],
        ["*Control:* a quick head on this network", _of_6(0.9), "6", "–"],
        ["*Control:* the same on an untrained network", _of_6(0.5), "6", "+40.0 (+20.0 to +60.0)"],
        ["*Control:* the same on 32 × 32 pixels", _of_6(0.4), "6", "+50.0 (+30.0 to +70.0)"],
        ["*Control:* always the largest class", _of_6(0.3), "6", "–"],
    ]
    assert "The controls use 18 training and 6 validation pictures" in words(app)


def test_fine_tuning_that_was_not_kept_is_what_the_model_is_held_against(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    kept = {**run.stage_2, "accuracy_interval": [0.6, 1.0]}
    runs.save(workspace, replace(run, fine_tuned=False, controls={}, stage_2=kept))
    app = visit("training", run=run.id)
    assert _against(app)[1:] == [
        [
            "Fine-tuned, not kept",
            "95.0\u00a0% (60.0\u00a0% to 100.0\u00a0%)",
            "6",
            "\u22122.5 (\u221210.0 to +5.0)",
        ]
    ]
    assert "The controls use" not in words(app)


def test_what_the_numbers_say_is_told_by_its_kind(workspace: Workspace, birds: Dataset) -> None:
    harmed = {**STAGE_2, "difference": {"value": -0.2, "low": -0.3, "high": -0.1}}
    run = finished_run(workspace, birds)
    run = replace(run, stage_2=harmed, recipe={**run.recipe, "schedule": "constant"})
    runs.save(workspace, run)
    app = visit("training", run=run.id)
    assert [warning.value.split(":")[0] for warning in app.warning] == ["Fine\\-tuning harmed\\"]
    assert not app.success
    _, following = words(app).split("**What to try next**\n\n")
    assert following.startswith("- Validation was best in the last of 2 epochs")
    assert "\n- 6 test pictures say little" in following
    helped = {**STAGE_2, "difference": {"value": 0.2, "low": 0.1, "high": 0.3}}
    runs.save(workspace, replace(run, stage_2=helped))
    app.run()
    assert not app.warning
    assert [good.value.split(":")[0] for good in app.success] == ["Fine\\-tuning helped\\"]


@pytest.mark.parametrize(
    ("stopped", "badge", "state"),
    [
        ("patience", "Stopped early", "done"),
        ("time", "Stopped by the time limit", "done, stopped"),
        ("cancelled", "Stopped by you", "done, stopped"),
        ("", "", "done"),
    ],
)
def test_a_run_that_was_stopped_is_marked(
    workspace: Workspace, birds: Dataset, stopped: str, badge: str, state: str
) -> None:
    run = finished_run(workspace, birds)
    runs.save(workspace, replace(run, stage_2={**STAGE_2, "stopped": stopped}))
    app = visit("training", run=run.id)
    assert not app.exception
    assert ("badge[:material/" in words(app)) == bool(stopped)
    assert badge in words(app)
    assert list(visit("runs").dataframe[0].value["state"]) == [state]


OLD_TEST = {"run_id": "20261122-194512-3fa9", "num_images": 40, "before": 0.95, "after": 0.9}
"""What a run says of the test pictures of the run it goes on from, in a Graft that measured no interval."""


def test_how_a_run_does_on_the_test_pictures_of_its_parent_is_said(
    workspace: Workspace, birds: Dataset
) -> None:
    forgetting = {**OLD_TEST, "difference": {"value": -0.05, "low": -0.09, "high": -0.01}}
    run = replace(finished_run(workspace, birds), forgetting=forgetting)
    runs.save(workspace, run)
    said = words(visit("training", run=run.id))
    assert "**On the old test pictures.** Of 40 test pictures of the run `20261122-194512-3fa9`" in said
    assert "95.0\u00a0% right before, 90.0\u00a0% now. The difference is" in said
    assert "is \u22125.0 (\u22129.0 to \u22121.0) points (95 % interval)." in said


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"num_images": 0},
            "none is still there that this model has neither learnt from nor been chosen by.",
        ),
        ({}, "90.0\u00a0% now."),
        (
            {"difference": {"value": -0.05, "low": -0.15, "high": 0.06}},
            "whether it has become better or worse.",
        ),
    ],
)
def test_where_the_old_test_pictures_do_not_tell_that_is_said(told: dict[str, Any], expected: str) -> None:
    said = training_result._on_old_test(OLD_TEST | told)
    assert said.startswith("**On the old test pictures.** ") and said.endswith(expected)


def test_a_run_of_an_older_graft_is_still_shown(workspace: Workspace, birds: Dataset) -> None:
    run = replace(finished_run(workspace, birds), stage_2={}, controls={}, fine_tuned=False)
    runs.save(workspace, run)
    app = visit("training", run=run.id)
    assert not app.exception
    assert "right 6 times of 6" in words(app)
    assert not app.table


# --- cross-validation ---------------------------------------------------------------------------------------------


def test_a_small_test_set_brings_the_offer_of_cross_validation_a_large_one_does_not(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    assert has_button(visit("training", run=run.id), "cross_validate")
    runs.save(workspace, replace(run, num_images={**run.num_images, "test": 100}))
    assert not has_button(visit("training", run=run.id), "cross_validate")


def test_without_stage_1_there_is_no_head_to_cross_validate(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    runs.save(workspace, replace(run, recipe={**run.recipe, "head_epochs": 0}))
    assert not has_button(visit("training", run=run.id), "cross_validate")


def test_cross_validation_is_asked_for_watched_and_shown_also_after_a_reload(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    app = visit("training", run=run.id)
    app.button(key="cross_validate").click().run()
    assert not app.exception
    job = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert job is not None and (job.kind, job.args["run_id"]) == ("cross_validate", run.id)
    queue.report(workspace, job.id, {"stage": "cross_validate", "done": 2, "total": 5})
    app = visit("training", run=run.id)
    assert not has_button(app, "cross_validate")
    assert app.get("progress")[0].text == "Cross-validating · 2 of 5"
    found = {
        "num_folds": 5,
        "num_images": 30,
        "accuracy": 0.9,
        "accuracy_interval": [0.74, 0.97],
        "macro_f1": 0.9,
        "fold_accuracies": [0.8, 1.0, 0.9, 0.9, 0.9],
    }
    runs.save_cross_validation(workspace, run.id, found)
    num_images = sum(run.num_images.values())
    y_prob = np.full((num_images, 3), 1 / 3)
    runs.save_out_of_fold(
        workspace, run.id, rows=np.arange(num_images), fold=np.arange(num_images) % 5, y_prob=y_prob
    )
    queue.finish(workspace, job, "done")
    for _ in range(2):
        app = visit("training", run=run.id)
        said = words(app)
        assert "**90.0\u00a0% right over all 30 pictures**" in said
        assert "(95\u00a0% interval 74.0\u00a0% to 97.0\u00a0%)" in said
        assert "The 5 folds lie between 80.0\u00a0% and 100.0\u00a0%." in said
        assert "without fine-tuning" in said and "It used the test pictures too" in said
        assert not has_button(app, "cross_validate")
        assert "Every picture's answer (CSV)" in [button.label for button in app.get("download_button")]
    each = runs.out_of_fold(workspace, run)
    assert len(each) == num_images and set(each["fold"]) == set(range(5))


def test_a_cross_validation_that_failed_says_why_and_can_be_tried_again(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    failed = queue.submit_cross_validation(workspace, run)
    assert queue.claim(workspace, "cpu", "train", "a session of the tests") is not None
    queue.finish(workspace, failed, "failed", message="The disk is full.")
    app = visit("training", run=run.id)
    assert "The disk is full\\." in words(app)
    assert "right 6 times of 6" in words(app), "how it ended is not how the run ended"
    app.button(key=f"retry_{failed.id}").click().run()
    assert not app.exception
    assert len(queue.list_jobs(workspace, kind="cross_validate")) == 2


# --- the list of runs ---------------------------------------------------------------------------------------------


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
    table = visit("runs", dataset=birds.id).dataframe[0].value
    assert list(table["state"]) == ["done", "interrupted"]


def test_runs_of_the_same_minute_are_told_apart_by_what_they_did(
    workspace: Workspace, birds: Dataset
) -> None:
    default = replace(recipes.preset("two-stages"), backbone="tiny", image_size=64)
    tried = [
        default,
        replace(default, fine_tune_epochs=9),
        replace(default, learning_rate=1e-3),
        replace(recipes.preset("textbook"), backbone="tiny", image_size=64),
        replace(recipes.preset("linear-probe"), backbone="tiny", image_size=64),
    ]
    for recipe in tried:
        run = runs.create(workspace, birds.id, birds.name, recipe.to_json())
        runs.save(workspace, replace(run, state="failed", created=1_800_000_000))
    table = visit("runs", dataset=birds.id).dataframe[0].value
    told = sorted(zip(table["recipe"], table["image_size"], table["planned"].fillna(0), strict=True))
    assert told == [
        ("Careful two stages", 64, 5),
        ("Careful two stages", 64, 9),
        ("Head only", 64, 0),
        ("Textbook", 64, 10),
        ("Two stages, changed", 64, 5),
    ]


def test_losses_before_the_temperature_are_told_from_those_after_it(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    assert "raw outputs" not in words(visit("training", run=run.id))
    runs.save(workspace, replace(run, temperature=1.25))
    assert "divided by the temperature 1.25, fitted on validation" in words(visit("training", run=run.id))


def _select_run(app: AppTest, row: int) -> None:
    (key,) = [element.proto.id for element in app.dataframe if "all_runs_" in element.proto.id]
    name = key[key.index("all_runs_") :]
    app.session_state[name] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    app.run()


def test_a_chosen_run_becomes_the_current_one(workspace: Workspace, birds: Dataset) -> None:
    old = finished_run(workspace, birds)
    newer = finished_run(workspace, birds)
    runs.save(workspace, replace(newer, created=newer.created + 60))
    app = visit("runs", dataset=birds.id)
    assert current(app)["run"] == newer.id
    _select_run(app, 1)
    app.button(key="show_run").click().run()
    assert not app.exception
    assert current(app)["run"] == old.id


def test_a_run_is_deleted_after_a_question(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    app = visit("runs", run=run.id)
    _select_run(app, 0)
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
    app = visit("runs", run=job.run_id)
    _select_run(app, 0)
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
    app = visit("runs", dataset=birds.id, run=damaged.id)
    assert not app.exception
    assert list(app.dataframe[0].value["state"]) == ["failed"]
    _select_run(app, 0)
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


def test_a_run_whose_sample_is_still_being_made_is_not_one_of_a_removed_dataset(workspace: Workspace) -> None:
    queue.submit_training(workspace, "digits-0000", "Handwritten digits", RECIPE, sample="digits")
    app = visit("training")
    assert not app.exception
    assert "Runs on datasets that were removed" not in [header.value for header in app.header]


def test_a_training_that_needs_more_memory_than_there_is_is_warned_of(
    workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This is more memory" not in words(visit("training", dataset=birds.id))
    monkeypatch.setattr(queue, "device_memory", lambda device: DeviceMemory(used_mb=100.0, total_mb=512.0))
    assert "This is more memory than the 0.5 GB of this computer." in words(
        visit("training", dataset=birds.id)
    )


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
    assert "cannot be reached now, so there is nothing to learn from" in words(app)
    assert not has_button(app, "start_training")
