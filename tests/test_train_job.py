"""The training job at its seams: a stage left out, and a wish to stop that comes between two stages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import datasets, queue, runs
from core.datasets import Dataset
from core.errors import Cancelled
from core.queue import Job
from core.recipes import Recipe
from core.runs import Run
from core.session import controls, train_job
from core.session.context import Context, Warm
from core.session.executor import _plain_words
from core.training import TimeIsUp
from core.workspace import Workspace, read_json, write_json
from pages.components import job as page_job
from tests.pictures import write_classes
from tests.worlds import RECIPE, begin_training


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    """Pictures that leave nothing to be noted: all can be read, and there are no others of their kind."""
    write_classes(tmp_path / "birds", {"owl": 10, "wren": 10})
    return datasets.add_folder(workspace, tmp_path / "birds")


def trained(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> tuple[Run, Job]:
    queue.submit_training(workspace, dataset.id, dataset.name, recipe)
    job = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert job is not None
    train_job.do_train(Context(workspace, "cpu", Warm(), job), job)
    return runs.get(workspace, job.run_id), job


def after(function: Callable[..., Any], then: Callable[[], object]) -> Callable[..., Any]:
    def both(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        then()
        return result

    return both


def stop(workspace: Workspace) -> None:
    (job,) = queue.list_jobs(workspace, active=True)
    queue.cancel(workspace, job.id)


def test_stage_2_alone_ends_well_where_nothing_has_to_be_noted(
    served: None, workspace: Workspace, birds: Dataset
) -> None:
    run, _ = trained(workspace, birds, replace(RECIPE, head_epochs=0, fine_tune_epochs=1))
    assert (run.state, run.fine_tuned) == ("done", True)
    assert not [note for note in run.notes if note.key.startswith("note.kept")]  # against what?


def test_a_stop_during_the_controls_leaves_out_only_them(
    served: None, workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any) -> Any:
        stop(workspace)
        raise Cancelled

    monkeypatch.setattr(train_job, "control", stopped)
    run, _ = trained(workspace, birds, replace(RECIPE, fine_tune_epochs=0))
    assert run.state == "done" and run.metrics["test"]["accuracy"] >= 0
    assert "note.controls_skipped" in [note.key for note in run.notes]


def test_controls_that_another_session_measures_meanwhile_are_kept_and_a_damaged_file_is_none(
    served: None, workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace.datasets_dir / birds.id / "controls.json"

    def measure(context: Context, job: Job, *_: Any) -> dict[str, Any]:
        write_json(path, {"of another": {"majority": 0.5}})
        return {"majority": 0.25}

    monkeypatch.setattr(controls, "_measure", measure)
    path.parent.mkdir()
    path.write_text("[]")
    run, _ = trained(workspace, birds, replace(RECIPE, fine_tune_epochs=0))
    assert run.controls == {"majority": 0.25}
    known = read_json(path)
    assert len(known) == 2 and known["of another"] == {"majority": 0.5}


def test_the_end_of_a_run_takes_what_a_killed_process_was_writing_with_it(
    served: None, workspace: Workspace, birds: Dataset
) -> None:
    run = begin_training(workspace, birds).run_id
    checkpoint = runs.checkpoint_path(workspace, run, "fine_tune")
    checkpoint.write_bytes(b"whole")
    checkpoint.with_name(f".{checkpoint.name}.0123abcd.part").write_bytes(b"cut o")
    runs.remove_checkpoints(workspace, run)
    assert [path.name for path in runs.folder(workspace, run).iterdir() if "checkpoint" in path.name] == []


def test_a_stop_between_the_stages_keeps_the_head(
    served: None, workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_head = after(train_job.train_head, lambda: stop(workspace))
    monkeypatch.setattr(train_job, "train_head", train_head)
    run, _ = trained(workspace, birds, replace(RECIPE, fine_tune_epochs=1))
    assert (run.state, run.fine_tuned) == ("done", False)
    assert run.stage_2["stopped"] == "cancelled"
    assert "note.cancelled" in [note.key for note in run.notes]


def test_a_stop_while_the_pictures_it_learnt_from_are_judged_keeps_the_model_and_waits_for_none_of_them(
    served: None, workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, whole = threading.Event(), train_job.with_predictions

    def with_predictions(*args: Any, **kwargs: Any) -> Any:
        if "progress" not in kwargs:
            return whole(*args, **kwargs)  # of val and test, which are waited for
        stop(workspace)
        end.wait(30)  # as a conversion does
        raise Cancelled

    monkeypatch.setattr(train_job, "with_predictions", with_predictions)
    began = time.monotonic()
    run, _ = trained(workspace, birds, replace(RECIPE, head_epochs=0, fine_tune_epochs=1))
    end.set()
    assert time.monotonic() - began < 30
    assert (run.state, run.fine_tuned) == ("done", True)
    assert run.metrics.keys() == {"val", "test"}
    assert "note.train_not_judged" in [note.key for note in run.notes]


def test_a_full_disk_is_said_in_plain_words() -> None:
    assert _plain_words(OSError(28, "No space left on device")).startswith(
        "The disk of the workspace is full."
    )


@pytest.mark.parametrize(
    ("error", "shown"), [(Cancelled(), "Cancelled."), (TimeIsUp(), "The time limit ended")]
)
def test_what_ended_a_training_without_a_result_is_shown(
    workspace: Workspace,
    served: None,
    birds: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    error: Cancelled,
    shown: str,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(page_job.st, "info", lambda text, **_: said.append(text))
    job = queue.submit_training(workspace, birds.id, birds.name, RECIPE)
    page_job.outcome(replace(job, state="cancelled", error={"message": str(error)}))
    assert said[0].startswith(shown)
