"""The command line: what people and machines are told, and which calls are refused; nothing here needs TensorFlow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import audit, curation, datasets, queue, recipes, runs
from core.command_line import main, output
from core.errors import JobError
from core.recipes import Recipe
from core.workspace import Workspace
from tests.pictures import write_classes
from tests.worlds import add_dataset, finished_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    monkeypatch.setenv("GRAFT_DEVICE", "cpu")


@pytest.fixture
def held(workspace: Workspace) -> Iterator[None]:
    """Hold the device as a living session would, so that no process is started."""
    with queue.hold_device(workspace, "cpu") as held:
        assert held
        yield


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "birds", {"owl": 10, "wren": 10})


def training(workspace: Workspace, folder: Path) -> queue.Job:
    dataset = datasets.add_folder(workspace, folder)
    return queue.submit_training(workspace, dataset.id, dataset.name, Recipe(backbone="tiny"))


def test_the_version_is_that_of_the_project(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    version = capsys.readouterr().out.strip().removeprefix("Graft ")
    assert left.value.code == 0
    assert f'version = "{version}"' in (queue.PROJECT_DIR / "pyproject.toml").read_text("utf-8").splitlines()


def test_an_audit_counts_the_pictures_of_each_class(birds: Path, capsys: Capture) -> None:
    (birds / "crow").mkdir()
    (birds / "owl" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    assert main(["audit", str(birds)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines.index("class  pictures")
    assert lines[table + 1 : table + 4] == ["crow          0", "owl          10", "wren         10"]
    (used,) = [line for line in lines if line.startswith("Of these, a training uses")]
    assert used == "Of these, a training uses 12 for train, 4 for val, 4 for test."


def test_an_audit_counts_per_split_where_the_folder_has_one(tmp_path: Path, capsys: Capture) -> None:
    write_classes(tmp_path / "birds" / "train", {"owl": 6, "wren": 5})
    write_classes(tmp_path / "birds" / "test", {"owl": 2})
    assert main(["audit", str(tmp_path / "birds")]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines.index("class  pictures   train    test")
    assert [line.split() for line in lines[table + 1 : table + 3]] == [
        ["owl", "8", "6", "2"],
        ["wren", "5", "5", "0"],
    ]


def test_an_audit_says_why_a_folder_cannot_be_split(tmp_path: Path, birds: Path, capsys: Capture) -> None:
    write_classes(tmp_path / "owls", {"owl": 5})
    assert main(["audit", str(tmp_path / "owls"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] is None
    assert "A classifier needs at least 2" in told["split_problem"]
    assert main(["audit", str(tmp_path / "owls")]) == 0
    assert f"It cannot be trained on yet. {told['split_problem']}" in capsys.readouterr().out
    assert main(["audit", str(birds), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["splits"].values()) == 20 and told["split_problem"] is None


def test_an_audit_tells_of_metadata_and_decisions_that_do_not_hold(
    workspace: Workspace, birds: Path, capsys: Capture
) -> None:
    dataset = datasets.add_folder(workspace, birds)
    table = audit.audit(workspace, dataset)
    curation.decide_about(workspace, dataset.id, table, ["owl/000.png"], "exclude", "")
    (birds / "owl" / "000.png").write_bytes((birds / "owl" / "001.png").read_bytes())
    (birds / "metadata.csv").write_text("camera,age\nA,7\n")
    assert main(["audit", str(birds), "--json"]) == 0
    problem, suspended = json.loads(capsys.readouterr().out)["remarks"]
    assert "metadata.csv" in problem and suspended.startswith("1 decision does not hold")
    assert main(["audit", str(birds)]) == 0
    assert suspended in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "0"], "image_size is 0. Expected a whole number from 16 to 1024 pixels for Tiny."),
        (
            ["--image-size", "-5"],
            "image_size is -5. Expected a whole number from 16 to 1024 pixels for Tiny.",
        ),
        (["--head-epochs", "-1"], "head_epochs is -1. Expected a whole number from 0 to 10000 epochs."),
        (
            ["--fine-tune-epochs", "-1"],
            "fine_tune_epochs is -1. Expected a whole number from 0 to 1000 epochs.",
        ),
        (["--seed", "-1"], "seed is -1. Expected a whole number from 0 to 2147483647."),
        (["--split", "1,0,0"], "Expected three shares above 0"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_range(
    workspace: Workspace, birds: Path, held: None, capsys: Capture, arguments: list[str], message: str
) -> None:
    assert main(["train", str(birds), "--backbone", "tiny", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert runs.list_runs(workspace) == []


@pytest.mark.parametrize(("option", "kept"), [([], True), (["--new-split"], False)])
def test_the_split_of_the_folder_is_kept_unless_a_new_one_is_asked_for(
    workspace: Workspace,
    birds: Path,
    held: None,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    kept: bool,
) -> None:
    def stop(*_: object) -> None:
        raise JobError("asked for")

    monkeypatch.setattr("core.command_line.training.follow", stop)
    main(["train", str(birds), "--backbone", "tiny", *option])
    (run,) = runs.list_runs(workspace)
    assert run.recipe["keep_given"] is kept


def test_a_training_tells_those_behind_it_about_how_long_it_takes(
    workspace: Workspace, birds: Path, held: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise JobError("asked for")

    monkeypatch.setattr("core.command_line.training.follow", stop)
    main(["train", str(birds), "--backbone", "tiny"])
    main(["audit", str(birds)])
    main(["train", str(birds), "--backbone", "tiny"])
    audited, unread = (job.args["forecast_s"] for job in queue.list_jobs(workspace, kind="train"))
    assert audited == unread > 0


def test_a_training_that_ended_badly_goes_on_as_the_same_run(
    workspace: Workspace, birds: Path, held: None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    job = training(workspace, birds)
    assert main(["go-on", job.run_id]) == 2
    assert "is queued. Only a run that failed" in capsys.readouterr().err
    queue.cancel(workspace, job.id)
    followed: list[queue.Job] = []

    def follow(workspace: Workspace, again: queue.Job) -> None:
        followed.append(again)
        runs.save(workspace, replace(runs.get(workspace, again.run_id), state="done"))

    monkeypatch.setattr("core.command_line.training.follow", follow)
    assert main(["go-on", job.run_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == job.run_id
    assert main(["go-on", job.run_id]) == 2
    assert "is done. Only a run that failed" in capsys.readouterr().err
    (again,) = followed
    assert (again.kind, again.run_id, again.state) == ("train", job.run_id, "queued")


def test_a_training_whose_dataset_was_removed_cannot_go_on(
    workspace: Workspace, birds: Path, held: None, capsys: Capture
) -> None:
    job = training(workspace, birds)
    queue.cancel(workspace, job.id)
    datasets.remove(workspace, job.dataset_id)
    assert main(["go-on", job.run_id]) == 2
    assert "dataset" in capsys.readouterr().err
    assert runs.get(workspace, job.run_id).state == "cancelled"


@pytest.mark.parametrize(
    "arguments",
    [["train", "birds", "--weights", ""], ["audit", " "], ["predict", "20200101-000000-abcd", ""]],
)
def test_an_empty_path_is_never_this_very_folder(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "an empty path" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused_and_leaves_no_run(
    workspace: Workspace, birds: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("GRAFT_DEVICE", "tpu")
    assert main(["train", str(birds), "--backbone", "tiny"]) == 2
    assert 'GRAFT_DEVICE is "tpu". Expected a device of this machine: ' in capsys.readouterr().err
    assert runs.list_runs(workspace) == []
    assert main(["release"]) == 2
    assert 'GRAFT_DEVICE is "tpu"' in capsys.readouterr().err


def test_a_training_that_waits_is_cancelled_once(
    workspace: Workspace, birds: Path, held: None, capsys: Capture
) -> None:
    run_id = training(workspace, birds).run_id
    assert main(["cancel", run_id]) == 0
    assert capsys.readouterr().out == f"Run {run_id} is cancelled.\n"
    assert runs.get(workspace, run_id).state == "cancelled"
    assert main(["cancel", run_id]) == 0
    assert capsys.readouterr().out == f"Nothing to cancel: run {run_id} is cancelled.\n"
    assert main(["cancel", run_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "run_id": run_id,
        "state": "cancelled",
        "cancelled": False,
    }


@pytest.mark.parametrize(("state", "cancelled"), [("cancelled", True), ("done", False)])
def test_a_running_training_is_cancelled_when_it_has_stopped(
    workspace: Workspace, birds: Path, held: None, capsys: Capture, state: str, cancelled: bool
) -> None:
    job = training(workspace, birds)
    assert queue.claim(workspace, "cpu", "train", "a session of the tests") is not None

    def end() -> None:  # as a session does, also when it was ready just before it could be stopped
        while queue.get(workspace, job.id).state != "cancelling":
            time.sleep(0.01)
        if state == "done":
            runs.save(workspace, replace(runs.get(workspace, job.run_id), state="done"))
        queue.finish(workspace, job, state, message="" if state == "done" else "Cancelled.")

    session = threading.Thread(target=end)
    session.start()
    assert main(["cancel", job.run_id, "--json"]) == 0
    session.join()
    assert json.loads(capsys.readouterr().out) == {
        "run_id": job.run_id,
        "state": state,
        "cancelled": cancelled,
    }


def test_a_run_that_is_not_there_cannot_be_cancelled(capsys: Capture) -> None:
    assert main(["cancel", "20200101-000000-abcd"]) == 2
    assert 'There is no run "20200101-000000-abcd"' in capsys.readouterr().err


def test_a_run_left_without_a_job_is_told_as_interrupted(workspace: Workspace, capsys: Capture) -> None:
    run = runs.create(workspace, "birds", "Birds", recipes.preset("linear-probe").to_json())
    runs.save(workspace, replace(run, created=run.created - 120))
    assert main(["runs", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["state"] == "interrupted" and "Start it again" in told["error"]


def test_the_list_of_runs_tells_scores_on_validation_and_looking_at_test_is_counted(
    workspace: Workspace, tmp_path: Path, capsys: Capture
) -> None:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "zoo"), [("owl", "wren")])
    assert main(["runs"]) == 0
    said = capsys.readouterr().out
    assert "  val accuracy 100.0 %" in said and "83.3 %" not in said
    assert main(["runs", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["metrics"].keys() == {"train", "val"}
    assert main(["evaluate", run.id, "--split", "val"]) == 0
    assert runs.num_looks(workspace, run) == (0, 0)
    assert main(["evaluate", run.id]) == 0
    assert runs.num_looks(workspace, run) == (1, 1)


def test_a_class_without_pictures_has_a_dash_where_no_score_is_defined(
    workspace: Workspace, tmp_path: Path, capsys: Capture
) -> None:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "zoo"), without=["wren"])
    assert main(["evaluate", run.id]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["wren", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}", "0"] in lines
    assert ["owl", "1.000", "1.000", "1.000", "2"] in [
        [*line[:4], "2"] for line in lines if line[:1] == ["owl"]
    ]


def test_an_audit_tells_what_a_training_would_leave_out(tmp_path: Path, capsys: Capture) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        write_classes(tmp_path / "birds" / split, {"owl": 4, "wren": 4}, first_seed=100 * seed)
    shutil.copytree(tmp_path / "birds" / "val" / "owl", tmp_path / "birds" / "test" / "kite")
    assert main(["audit", str(tmp_path / "birds"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] == {"train": 8, "val": 4, "test": 8}
    assert [note.split(":")[0] for note in told["split_notes"]] == [
        "Left out because the same bytes stand in more than one class and in a split that judges"
    ]
    assert main(["audit", str(tmp_path / "birds")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  " + told["split_notes"][0] in lines


def test_an_audit_refuses_what_a_training_would_refuse(tmp_path: Path, capsys: Capture) -> None:
    write_classes(tmp_path / "birds" / "train", {"owl": 6, "wren": 6})
    write_classes(tmp_path / "birds" / "val", {"owl": 3}, first_seed=100)
    write_classes(tmp_path / "birds" / "test", {"kite": 3}, first_seed=200)
    assert main(["audit", str(tmp_path / "birds"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] is None and told["split_notes"] == []
    assert '(3: no training picture shows their class ("kite"))' in told["split_problem"]


def test_a_workspace_is_not_made_among_the_pictures(
    birds: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(birds / "graft"))
    for command in ("audit", "train"):
        assert main([command, str(birds)]) == 2
    assert "set GRAFT_HOME to a folder outside of it" in capsys.readouterr().err
    assert not (birds / "graft").exists()


def test_a_failure_is_json_too_where_that_is_asked_for(capsys: Capture) -> None:
    assert main(["evaluate", "20200101-000000-abcd", "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out) == {"error": told.err.rstrip("\n")}
    assert main(["evaluate", "20200101-000000-abcd"]) == 2
    assert capsys.readouterr().out == ""


def test_a_run_that_is_not_done_says_its_state(
    workspace: Workspace, birds: Path, held: None, capsys: Capture
) -> None:
    assert main(["evaluate", training(workspace, birds).run_id]) == 2
    assert "is queued, so it has no model to evaluate. Wait until it is done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("left_out", "words"), [(0, "0.500, 9"), (1, ", 1 class without"), (2, ", 2 classes without")]
)
def test_classes_left_out_of_a_score_are_counted_in_good_english(left_out: int, words: str) -> None:
    metrics = {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "macro_f1": 0.5, "num_images": 9}
    assert words in output.scores_line(metrics | {"num_classes_left_out": left_out})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_full_disk_behind_the_output_is_told_in_words(json_too: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "core", "runs", *json_too],
            cwd=queue.PROJECT_DIR,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert answer.returncode == 1
    assert answer.stderr == (
        "The result could not be written to standard output (No space left on device). "
        "Check that there is room where it goes, then ask again.\n"
    )


def test_a_training_that_was_ready_when_it_was_stopped_says_so(
    workspace: Workspace, birds: Path, held: None, capsys: Capture
) -> None:
    job = training(workspace, birds)
    assert queue.claim(workspace, "cpu", "train", "a session of the tests") is not None

    def end() -> None:
        while queue.get(workspace, job.id).state != "cancelling":
            time.sleep(0.01)
        runs.save(workspace, replace(runs.get(workspace, job.run_id), state="done"))
        queue.finish(workspace, job, "done")

    session = threading.Thread(target=end)
    session.start()
    assert main(["cancel", job.run_id]) == 0
    session.join()
    assert capsys.readouterr().out == f"The training of run {job.run_id} has stopped; the run is done.\n"


def test_a_terminal_that_is_not_utf8_is_told_what_to_set(workspace: Workspace, birds: Path) -> None:
    """Python would otherwise not find again what was written down with another encoding."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answer = subprocess.run(
        [sys.executable, "-m", "core", "audit", str(birds)],
        env=os.environ | ascii_only,
        cwd=queue.PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Python reads the names of files as ascii here. Expected UTF-8" in answer.stderr
    assert "Set PYTHONUTF8=1" in answer.stderr


def test_progress_in_a_file_is_a_line_a_stage_and_then_one_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = output.ProgressLine()
    for done in (1, 2, 3):
        show("features", done, 9, 4.0)
    monkeypatch.setattr(output, "REPORT_EVERY_S", 0.0)
    show("features", 4, 9)
    assert capsys.readouterr().err.splitlines() == ["features 1/9, 4 s left", "features 4/9"]


def test_a_student_takes_the_split_of_its_teacher_and_no_other(birds: Path, capsys: Capture) -> None:
    for more in (["--seed", "3"], ["--split", "0.6,0.2,0.2"]):
        assert main(["train", str(birds), "--teacher", "20200101-000000-abcd", *more]) == 2
        assert "cannot be given with --teacher" in capsys.readouterr().err
    assert main(["train", str(birds), "--teacher", "20200101-000000-abcd"]) != 0
    assert 'There is no run "20200101-000000-abcd"' in capsys.readouterr().err
    assert main(["train", str(birds), "--recipe", "distil"]) == 2
    assert "names no run" in capsys.readouterr().err
