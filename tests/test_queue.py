"""The queue: first come first served, nothing lost, and the dead are told from the living."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core import queue, recipes, runs
from core.errors import DeviceError, JobError, NotFound, RecipeError, WorkspaceError
from core.queue import Device
from core.recipes import Recipe
from core.session.executor import HANDLERS
from core.words import sentence
from core.workspace import Workspace

RECIPE = recipes.validate(Recipe(backbone="tiny"))


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_DEVICE", "cpu")


@pytest.fixture
def held(workspace: Workspace) -> Iterator[None]:
    """Hold the device as a living session would, so that no process is started."""
    with queue.hold_device(workspace, "cpu") as held:
        assert held
        yield


def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that lists two graphics cards."""
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho '0, Big Card'\necho '1, Small Card'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(driver.parent), prepend=os.pathsep)
    monkeypatch.setattr(
        sys.modules[Device.__module__], "_gpu_names", None
    )  # asked once per process otherwise


@pytest.mark.parametrize(
    ("wanted", "device"),
    [("", "gpu:0"), (" ", "gpu:0"), ("gpu:1", "gpu:1"), (" gpu:0 ", "gpu:0"), ("cpu", "cpu")],
)
def test_jobs_go_to_the_device_that_was_asked_for_or_to_the_first(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch, wanted: str, device: str
) -> None:
    monkeypatch.setenv("GRAFT_DEVICE", wanted)
    assert queue.default_device().id == device


def test_the_memory_of_the_computer_is_told_in_megabytes() -> None:
    memory = queue.device_memory("cpu")
    assert memory is not None
    assert 100 < memory.used_mb < memory.total_mb


def test_the_memory_of_a_graphics_card_is_what_its_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text('#!/bin/sh\ncase "$*" in *--id=1*) echo "1000, 8000" ;; *) exit 6 ;; esac\n')
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    memory = queue.device_memory("gpu:1")
    assert memory is not None
    assert (round(memory.used_mb), round(memory.total_mb)) == (1049, 8389)
    assert queue.device_memory("gpu:7") is None, "there is no such card"


@pytest.mark.parametrize("wanted", ["tpu", "gpu", "gpu:x", "gpu:7", "CPU0"])
def test_a_device_that_is_not_there_is_refused(
    workspace: Workspace, two_gpus: None, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("GRAFT_DEVICE", wanted)
    expected = (
        f'GRAFT_DEVICE is "{wanted}". Expected a device of this machine: gpu:0, gpu:1, cpu .*Set it to one'
    )
    with pytest.raises(DeviceError, match=expected):
        queue.session_status(workspace)
    with pytest.raises(DeviceError, match=expected):
        queue.submit_training(workspace, "d", "D", Recipe(backbone="tiny"))
    assert runs.list_runs(workspace) == []


def test_a_job_takes_along_where_its_sender_keeps_weights(
    workspace: Workspace, held: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", "mine")
    run = runs.create(workspace, "d", "D", recipes.validate(Recipe(backbone="vgg16")).to_json())
    jobs = [
        queue.submit_training(workspace, "d", "D", Recipe(backbone="vgg16")),
        queue.submit_prediction(workspace, run, [tmp_path / "a.png"]),
    ]
    assert [job.args["keras_home"] for job in jobs] == [str(tmp_path / "mine")] * 2


def test_jobs_of_a_lane_are_taken_in_order_and_lanes_do_not_wait_for_each_other(
    workspace: Workspace, held: None
) -> None:
    first = queue.submit(workspace, "train", {})
    second = queue.submit(workspace, "train", {})
    audit = queue.submit(workspace, "audit", {})
    assert (queue.position(workspace, first), queue.position(workspace, second)) == (0, 1)
    assert queue.position(workspace, audit) == 0
    claimed = queue.claim(workspace, "cpu", "train", "me")
    assert claimed is not None
    assert (claimed.id, claimed.state) == (first.id, "running")
    data = queue.claim(workspace, "cpu", "data", "me")
    assert data is not None
    assert data.id == audit.id
    assert queue.claim(workspace, "gpu:0", "train", "other") is None


def test_one_photo_does_not_wait_for_a_folder(workspace: Workspace, held: None, tmp_path: Path) -> None:
    run = runs.create(workspace, "d", "D", recipes.validate(Recipe(backbone="tiny")).to_json())
    photos = [tmp_path / f"{number}.png" for number in range(33)]
    folder, one = (queue.submit_prediction(workspace, run, asked) for asked in (photos, photos[:32]))
    lanes = [queue.LANES[job.kind] for job in (folder, one)]
    assert len(set(lanes)) == 2 and queue.position(workspace, one) == 0
    for job, lane in zip((folder, one), lanes, strict=True):
        claimed = queue.claim(workspace, "cpu", lane, "me")
        assert claimed is not None and claimed.id == job.id
    assert set(queue.LANES) == set(HANDLERS), "each kind of job has somebody who does it"


def test_of_many_takers_one_gets_the_job(workspace: Workspace, held: None) -> None:
    queue.submit(workspace, "train", {})
    taken = []

    def take(name: str) -> None:
        job = queue.claim(workspace, "cpu", "train", name)
        if job:
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_a_waiting_job_is_cancelled_at_once_with_its_run(workspace: Workspace, held: None) -> None:
    run = runs.create(workspace, "d", "D", {})
    job = queue.submit(workspace, "train", {}, run_id=run.id)
    queue.cancel(workspace, job.id)
    assert queue.get(workspace, job.id).state == "cancelled"
    assert runs.get(workspace, run.id).state == "cancelled"
    assert queue.claim(workspace, "cpu", "train", "me") is None


def test_a_running_job_hears_that_it_is_to_stop(workspace: Workspace, held: None) -> None:
    job = queue.submit(workspace, "train", {})
    queue.claim(workspace, "cpu", "train", "me")
    assert queue.report(workspace, job.id, {"done": 1}) == "running"
    queue.cancel(workspace, job.id)
    assert queue.report(workspace, job.id, {"done": 2}) == "cancelling"
    queue.finish(workspace, queue.get(workspace, job.id), "cancelled", message="Cancelled.")
    queue.cancel(workspace, job.id)
    assert queue.get(workspace, job.id).state == "cancelled"
    with pytest.raises(JobError, match="Cancelled"):
        queue.wait(workspace, job.id)


def test_whoever_waits_bears_a_database_that_is_locked_for_a_while_but_not_for_good(
    workspace: Workspace, held: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.workspace.BUSY_TIMEOUT_S", 0.05)
    job = queue.submit(workspace, "predict", {"paths": ["a"]})
    queue.claim(workspace, "cpu", "answer", "me")
    queue.finish(workspace, job, "done", result={"predictions": []})
    locked = threading.Event()

    def lock(seconds: float) -> None:
        with workspace.db() as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # shuts out readers too
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE jobs SET created = created")
            locked.set()
            time.sleep(seconds)
            db.execute("ROLLBACK")

    other = threading.Thread(target=lock, args=(0.5,))
    other.start()
    assert locked.wait(10)
    with pytest.raises(WorkspaceError, match="database is locked"):
        queue.get(workspace, job.id)
    assert queue.wait(workspace, job.id).state == "done"
    other.join()
    locked.clear()
    monkeypatch.setattr("core.queue.jobs.LOST_S", 0.1)
    other = threading.Thread(target=lock, args=(0.5,))
    other.start()
    assert locked.wait(10)
    with pytest.raises(WorkspaceError, match="database is locked"):
        queue.wait(workspace, job.id)
    other.join()


def test_a_finished_job_keeps_its_result(workspace: Workspace, held: None) -> None:
    job = queue.submit(workspace, "predict", {"paths": ["a"]})
    queue.claim(workspace, "cpu", "answer", "me")
    queue.finish(workspace, job, "done", result={"predictions": []})
    queue.finish(workspace, job, "failed", message="too late")
    assert queue.wait(workspace, job.id).result == {"predictions": []}
    assert queue.latest(workspace, kind="predict") == queue.get(workspace, job.id)
    with pytest.raises(NotFound, match="no job 999"):
        queue.get(workspace, 999)


def test_a_dead_sessions_job_is_interrupted_and_a_living_ones_is_not(workspace: Workspace) -> None:
    run = runs.create(workspace, "d", "D", {})
    with queue.hold_device(workspace, "cpu"):
        job = queue.submit(workspace, "train", {}, run_id=run.id)
        queue.claim(workspace, "cpu", "train", "me")
        queue.tend(workspace)
        assert queue.get(workspace, job.id).state == "running"
    queue.tend(workspace)
    found = queue.get(workspace, job.id)
    assert found.state == "interrupted"
    assert "Start it again" in found.error["message"]
    assert runs.get(workspace, run.id).state == "interrupted"


def old_run(workspace: Workspace, state: str) -> str:
    """Make a run that was begun two minutes ago."""
    run = runs.create(workspace, "d", "D", {})
    runs.save(workspace, replace(run, state=state, created=run.created - 120))
    return run.id


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_no_job_will_ever_end_is_interrupted(workspace: Workspace, state: str) -> None:
    lost, fresh = old_run(workspace, state), runs.create(workspace, "d", "D", {}).id
    queue.tend(workspace)
    found = runs.get(workspace, lost)
    assert found.state == "interrupted" and "Start it again" in found.error
    assert runs.get(workspace, fresh).state == "queued"


def test_a_run_whose_job_waits_or_has_just_ended_is_left_alone(workspace: Workspace, held: None) -> None:
    ended = old_run(workspace, "running")
    job = queue.submit(workspace, "train", {}, run_id=ended)
    assert queue.claim(workspace, "cpu", "train", "me") is not None
    queue.finish(workspace, job, "done")  # but whoever did it has not told the run yet
    waiting = old_run(workspace, "running")
    queue.submit(workspace, "train", {}, run_id=waiting)
    assert [runs.get(workspace, run_id).state for run_id in (waiting, ended)] == ["running", "running"]
    with workspace.db() as db:
        db.execute("UPDATE jobs SET ended = ended - 120 WHERE run_id = ?", (ended,))
    queue.tend(workspace)
    assert [runs.get(workspace, run_id).state for run_id in (waiting, ended)] == ["running", "interrupted"]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_was_not_told_how_its_job_ended_is_told_the_truth(
    workspace: Workspace, held: None, state: str
) -> None:
    """Whoever cancels may be killed between the two writes."""
    run = runs.create(workspace, "d", "D", {})
    job = queue.submit(workspace, "train", {}, run_id=run.id)
    if state == "running":
        queue.claim(workspace, "cpu", "train", "me")
        queue.finish(workspace, job, "cancelled", message="Cancelled.")
    else:
        queue.cancel(workspace, job.id)
    runs.save(workspace, replace(run, state=state))
    queue.tend(workspace)
    told = runs.get(workspace, run.id)
    assert told.state == "cancelled"
    assert told.error == ("Cancelled." if state == "running" else "Cancelled before it began.")


def test_a_run_that_goes_on_is_not_ended_by_its_earlier_job(workspace: Workspace, held: None) -> None:
    run = runs.create(workspace, "d", "D", RECIPE.to_json())
    queue.cancel(workspace, queue.submit(workspace, "train", {}, run_id=run.id).id)
    again = queue.retry_training(workspace, run.id)
    queue.tend(workspace)
    assert runs.get(workspace, run.id).state == queue.get(workspace, again.id).state == "queued"


def test_whoever_only_looks_does_not_keep_a_session_from_starting(workspace: Workspace) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            queue.is_alive(workspace, "cpu")

    with queue.hold_device(workspace, "cpu"):
        pass
    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(20):
            with queue.hold_device(workspace, "cpu") as held:
                assert held
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_a_busy_session_is_not_released(workspace: Workspace, held: None) -> None:
    queue.submit(workspace, "train", {})
    with pytest.raises(JobError, match=r"working on 1 job\(s\)\. Cancel them"):
        queue.release(workspace)


def test_two_sessions_started_at_once_are_one(workspace: Workspace) -> None:
    command = [
        sys.executable,
        "-m",
        "core.session",
        "--home",
        str(workspace.home),
        "--device",
        "cpu",
        "--idle",
        "60",
    ]
    processes = [subprocess.Popen(command, cwd=queue.PROJECT_DIR) for _ in range(3)]
    try:
        eventually(lambda: sum(process.poll() is not None for process in processes) == 2)
        assert sorted(process.poll() is None for process in processes) == [False, False, True]
        assert all(process.returncode == 0 for process in processes if process.poll() is not None)
        eventually(lambda: queue.session_status(workspace).state == "idle")
        queue.release(workspace)
        eventually(lambda: all(process.poll() == 0 for process in processes))
        assert queue.session_status(workspace).state == "off"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_killed_session_interrupts_its_job_and_the_next_job_starts_a_fresh_one(
    workspace: Workspace, tmp_path: Path
) -> None:
    # A job that waits on a pipe nobody writes to: the session is truly in the middle of it when it is killed.
    folder = tmp_path / "photos" / "cat"
    folder.mkdir(parents=True)
    job = queue.submit(workspace, "audit", {"dataset_id": "missing"})
    with pytest.raises(JobError, match="missing"):
        queue.wait(workspace, job.id)
    pid = queue.session_status(workspace).pid
    with workspace.db() as db:  # as if it were running this now
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job.id,))
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not queue.is_alive(workspace, "cpu"))
    queue.tend(workspace)
    assert queue.get(workspace, job.id).state == "interrupted"

    again = queue.submit(workspace, "audit", {"dataset_id": "missing"})
    with pytest.raises(JobError):
        queue.wait(workspace, again.id)
    fresh = queue.session_status(workspace).pid
    assert fresh != pid
    psutil.Process(fresh).terminate()
    eventually(lambda: not queue.is_alive(workspace, "cpu"))


def test_a_session_that_cannot_start_fails_its_jobs_with_the_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    job = queue.submit(workspace, "audit", {"dataset_id": "x"})
    with pytest.raises(JobError, match=r"could not start: .*The whole story is in"):
        queue.wait(workspace, job.id)


def test_a_session_that_the_system_does_not_start_fails_its_jobs_in_words_and_is_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    run = runs.create(workspace, "d", "D", {})
    for _ in range(2):
        job = queue.submit(workspace, "train", {}, run_id=run.id)
        assert job.state == "failed"
        assert "could not be started ([Errno 2] No such file" in job.error["message"]
    assert runs.get(workspace, run.id).state == "failed"
    with pytest.raises(JobError, match="Free memory and disk, or end other programs"):
        queue.start_session(workspace, "cpu")


def test_a_run_that_ended_badly_goes_on_under_its_own_id_and_one_that_did_not_is_left_alone(
    workspace: Workspace, held: None
) -> None:
    run = runs.create(workspace, "d", "D", RECIPE.to_json())
    runs.set_state(workspace, run.id, "interrupted", "killed")
    job = queue.retry_training(workspace, run.id)
    assert (job.kind, job.run_id, job.dataset_id) == ("train", run.id, "d")
    again = runs.get(workspace, run.id)
    assert (again.state, again.error) == ("queued", "")
    with pytest.raises(RecipeError, match="is queued. Only a run that failed"):
        queue.retry_training(workspace, run.id)


def test_who_waits_hears_when_it_begins_if_those_before_have_a_forecast(
    workspace: Workspace, held: None
) -> None:
    first = queue.submit(workspace, "train", {"forecast_s": 60.0})
    second = queue.submit(workspace, "train", {})
    third = queue.submit(workspace, "train", {"forecast_s": 5.0})
    assert queue.starts_in(workspace, first) == 0.0
    assert queue.starts_in(workspace, second) == 60.0
    assert queue.starts_in(workspace, third) is None
    queue.claim(workspace, "cpu", "train", "me")
    assert 0 < (queue.starts_in(workspace, second) or 0) <= 60.0
    queue.report(
        workspace, first.id, {"stage": "fine_tune", "eta_s": 500.0}
    )  # it takes longer than was thought
    assert queue.starts_in(workspace, second) == 500.0
    queue.cancel(workspace, first.id)
    assert queue.starts_in(workspace, second) == 0.0


def test_who_waits_behind_a_job_without_a_forecast_hears_what_earlier_ones_took(
    workspace: Workspace, held: None
) -> None:
    for dataset_id, took_s in (("other", 90.0), ("mine", 10.0), ("mine", 30.0), ("mine", 20.0)):
        queue.submit(workspace, "export", {}, dataset_id=dataset_id)
        done = queue.claim(workspace, "cpu", "train", "me")
        assert done is not None
        queue.finish(workspace, done, "done")
        with workspace.db() as db:
            db.execute("UPDATE jobs SET ended = started + ? WHERE id = ?", (took_s, done.id))
    queue.submit(workspace, "export", {}, dataset_id="mine")
    behind_mine = queue.submit(workspace, "export", {}, dataset_id="new")
    behind_new = queue.submit(workspace, "rank", {})
    behind_rank = queue.submit(workspace, "train", {})
    assert queue.starts_in(workspace, behind_mine) == 20.0
    assert (
        queue.starts_in(workspace, behind_new) == 20.0 + 25.0
    )  # of all exports, where none was of its dataset
    assert queue.starts_in(workspace, behind_rank) is None


def test_a_job_that_nothing_is_known_of_tells_itself_when_it_will_end(
    workspace: Workspace, held: None
) -> None:
    queue.submit(workspace, "cross_validate", {})
    behind = queue.submit(workspace, "train", {})
    running = queue.claim(workspace, "cpu", "train", "me")
    assert running is not None
    queue.report(workspace, running.id, {"stage": "features", "eta_s": 40.0})  # the folds come after it
    assert queue.starts_in(workspace, behind) is None
    queue.report(workspace, running.id, {"stage": "cross_validate", "eta_s": 7.0})
    assert queue.starts_in(workspace, behind) == 7.0


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (sentence("session.no_gpu").to_json(), "TensorFlow does not see the GPU"),
        ("A note of an older Graft.", "A note of an older Graft."),
    ],
)
def test_what_a_session_notes_can_be_said(workspace: Workspace, stored: object, said: str) -> None:
    with workspace.db() as db:
        db.execute(
            "INSERT INTO sessions (device, session_id, pid, started, status) VALUES ('cpu', 's', 1, 0, ?)",
            (json.dumps({"state": "idle", "note": stored}),),
        )
    assert str(queue.session_status(workspace).note).startswith(said)


def test_a_training_that_cannot_go_on_from_a_run_is_refused_at_once(workspace: Workspace, held: None) -> None:
    unfinished = runs.create(workspace, "d", "D", RECIPE.to_json())
    done = replace(runs.create(workspace, "d", "D", RECIPE.to_json()), state="done")
    runs.save(workspace, done)
    refused = {
        "run:nothing": (NotFound, "is not the id of a run"),
        "run:20200101-000000-abcd": (NotFound, "There is no run"),
        f"run:{unfinished.id}": (RecipeError, "is queued, so there is nothing to go on from"),
    }
    for weights, (kind, message) in refused.items():
        with pytest.raises(kind, match=message):
            queue.submit_training(workspace, "d", "D", replace(RECIPE, weights=weights))
    other = Recipe(backbone="mobilenet-v2", weights=f"run:{done.id}")
    with pytest.raises(RecipeError, match="has the backbone tiny .*Choose the same for both"):
        queue.submit_training(workspace, "d", "D", other)
    students = {
        "run:20200101-000000-abcd": (NotFound, "There is no run"),
        f"run:{unfinished.id}": (RecipeError, "is queued, so it has nothing to teach"),
    }
    for teacher, (kind, message) in students.items():
        with pytest.raises(kind, match=message):
            queue.submit_training(workspace, "d", "D", replace(RECIPE, teacher=teacher))
    with pytest.raises(RecipeError, match='was trained on another dataset, "D"'):
        queue.submit_training(workspace, "e", "E", replace(RECIPE, teacher=f"run:{done.id}"))
    assert queue.list_jobs(workspace) == []
    assert (
        queue.submit_training(workspace, "d", "D", replace(RECIPE, weights=f"run:{done.id}")).state
        == "queued"
    )
