"""Runs: whole records, torn lines left out, damage told and listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core import runs
from core.errors import NotFound, WorkspaceError
from core.runs import Run
from core.words import sentence
from core.workspace import Workspace, read_json, write_json
from tests.users import open_folder, unprivileged

NOTES = (
    sentence("note.empty", names='"owl"'),
    sentence("note.unusable", files=sentence("count.files", n=1)),
)


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return runs.create(workspace, "pets", "Pets", {"backbone": "tiny"})


def test_a_record_comes_back_as_it_was(workspace: Workspace, run: Run) -> None:
    done = replace(
        run, state="done", class_names=("cat", "狗"), metrics={"test": {"accuracy": 0.5}}, notes=NOTES
    )
    runs.save(workspace, done)
    assert runs.get(workspace, run.id) == done


def test_notes_of_an_older_and_of_a_newer_graft_can_be_read(workspace: Workspace, run: Run) -> None:
    path = runs.folder(workspace, run.id) / "run.json"
    notes = ["Fine-tuning was kept.", {"key": "note.of_the_future", "values": {}}]
    write_json(path, read_json(path) | {"notes": notes})
    old, new = runs.get(workspace, run.id).notes
    assert str(old) == "Fine-tuning was kept."
    assert "note.of_the_future" in str(new)


def test_runs_are_listed_newest_first_and_by_dataset(workspace: Workspace, run: Run) -> None:
    other = runs.create(workspace, "cars", "Cars", {})
    assert [item.id for item in runs.list_runs(workspace, "pets")] == [run.id]
    assert [item.id for item in runs.list_runs(workspace)] == [other.id, run.id]


@pytest.mark.parametrize("run_id", ["", "..", "../../etc", "20261122-194512-3fa9/..", "nonsense"])
def test_an_id_that_is_none_never_reaches_the_disk(workspace: Workspace, run_id: str) -> None:
    with pytest.raises(NotFound, match="is not the id of a run"):
        runs.get(workspace, run_id)


def test_a_damaged_record_is_told_and_still_listed(workspace: Workspace, run: Run) -> None:
    for damage in ("{half", "[]", '{"id": "x"}'):
        (runs.folder(workspace, run.id) / "run.json").write_text(damage)
        with pytest.raises(WorkspaceError, match="damaged"):
            runs.get(workspace, run.id)
        (listed,) = runs.list_runs(workspace)
        assert (listed.id, listed.state) == (run.id, "failed")
        assert "damaged" in listed.error
    runs.delete(workspace, run.id)
    assert runs.list_runs(workspace) == []


@pytest.mark.parametrize("closed", ["run.json", "."])
def test_a_record_that_may_not_be_read_is_not_called_damaged(closed: str) -> None:
    with open_folder() as folder:
        workspace = Workspace(folder / "graft")
        run_id = runs.create(workspace, "pets", "Pets", {}).id
        (runs.folder(workspace, run_id) / closed).chmod(0)
        with unprivileged():
            with pytest.raises(WorkspaceError, match="may not be read .*Give yourself permission") as caught:
                runs.get(workspace, run_id)
            (listed,) = runs.list_runs(workspace)
        assert "damaged" not in str(caught.value)
        assert (listed.state, listed.error) == ("failed", str(caught.value))
        (runs.folder(workspace, run_id) / closed).chmod(0o700)


def test_a_torn_event_is_left_out(workspace: Workspace, run: Run) -> None:
    runs.emit(workspace, run.id, "epoch", epoch=1, note="grün")
    with (runs.folder(workspace, run.id) / "events.jsonl").open("a") as file:
        file.write('{"kind": "epo')
    events = runs.events(workspace, run.id)
    assert [(event["kind"], event["epoch"], event["note"]) for event in events] == [("epoch", 1, "grün")]


def test_a_finished_run_is_never_unfinished(workspace: Workspace, run: Run) -> None:
    runs.set_state(workspace, run.id, "interrupted", "power")
    assert runs.get(workspace, run.id).error == "power"
    runs.save(workspace, replace(run, state="done"))
    runs.set_state(workspace, run.id, "interrupted", "power")
    assert runs.get(workspace, run.id).state == "done"


def test_a_run_under_way_is_not_deleted(workspace: Workspace, run: Run) -> None:
    with pytest.raises(WorkspaceError, match="Cancel it first"):
        runs.delete(workspace, run.id)
    runs.set_state(workspace, run.id, "cancelled")
    runs.delete(workspace, run.id)
    with pytest.raises(NotFound, match="may have been deleted"):
        runs.get(workspace, run.id)


def test_predictions_belong_to_the_images_of_their_split(workspace: Workspace, run: Run) -> None:
    runs.save(
        workspace, replace(run, state="done", class_names=("a", "b"), temperature=2.0, metrics={"test": {}})
    )
    images = pd.DataFrame(
        {"path": ["a/1", "b/1", "a/2"], "sha256": ["1", "2", "3"], "label": ["a", "b", "a"]}
        | {"split": ["test", "train", "test"]}
    )
    runs.save_split(workspace, run.id, images)
    runs.save_arrays(
        workspace, run.id, "predictions-test", logits=np.array([[2.0, 0.0], [0.0, 2.0]], np.float32)
    )
    said = runs.predictions(workspace, run.id, "test")
    assert list(said.images["path"]) == ["a/1", "a/2"]
    assert said.y_true.tolist() == [0, 0]
    np.testing.assert_allclose(said.y_prob[0], [np.e / (np.e + 1), 1 / (np.e + 1)])

    runs.save_arrays(workspace, run.id, "predictions-test", logits=np.zeros((5, 2), np.float32))
    with pytest.raises(WorkspaceError, match="5 predictions for 2 images of test"):
        runs.predictions(workspace, run.id, "test")


def test_files_that_were_cut_short_are_told_as_damaged(workspace: Workspace, run: Run) -> None:
    runs.save_arrays(workspace, run.id, "head", kernel=np.zeros((100, 100), np.float32))
    runs.save_split(
        workspace, run.id, pd.DataFrame({"path": ["a"], "sha256": ["1"], "label": ["a"], "split": ["test"]})
    )
    for name in ("head.npz", "split.parquet"):
        path = runs.folder(workspace, run.id) / name
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WorkspaceError, match="damaged"):
        runs.load_arrays(workspace, run.id, "head")
    with pytest.raises(WorkspaceError, match="damaged"):
        runs.load_split(workspace, run.id)


def test_missing_and_damaged_arrays_are_told_apart(workspace: Workspace, run: Run) -> None:
    with pytest.raises(NotFound, match="a training that ends well leaves"):
        runs.load_arrays(workspace, run.id, "head")
    (runs.folder(workspace, run.id) / "head.npz").write_bytes(b"PK but not a zip")
    with pytest.raises(WorkspaceError, match="damaged"):
        runs.load_arrays(workspace, run.id, "head")
    with pytest.raises(NotFound, match="train, val, test"):
        runs.predictions(workspace, run.id, "everything")


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("queued", "Wait until it is done"),
        ("running", "Wait until it is done"),
        ("cancelled", "Train it again"),
    ],
)
def test_a_run_that_is_not_done_is_not_evaluated_and_says_its_state(
    workspace: Workspace, run: Run, state: str, remedy: str
) -> None:
    runs.save(workspace, replace(run, state=state))
    with pytest.raises(NotFound, match=f"is {state}, so it has no model to evaluate. {remedy}"):
        runs.predictions(workspace, run.id, "test")


def test_an_epoch_done_again_after_an_interruption_counts_once(workspace: Workspace, run: Run) -> None:
    for stage, epoch, loss in [
        ("head", 1, 3.0),
        ("fine_tune", 1, 2.0),
        ("fine_tune", 2, 1.5),
        ("fine_tune", 2, 1.0),
    ]:
        runs.emit(workspace, run.id, "epoch", stage=stage, epoch=epoch, loss=loss)
    told = runs.epochs(workspace, run.id)
    assert list(zip(told["stage"], told["epoch"], told["loss"], strict=True)) == [
        ("head", 1, 3.0),
        ("fine_tune", 1, 2.0),
        ("fine_tune", 2, 1.0),
    ]
    assert runs.epochs(workspace, runs.create(workspace, "d", "D", {}).id).empty


def test_a_cross_validation_comes_back_and_none_is_none(workspace: Workspace, run: Run) -> None:
    assert runs.cross_validation(workspace, run.id) is None
    runs.save_cross_validation(workspace, run.id, {"accuracy": 0.5})
    assert runs.cross_validation(workspace, run.id) == {"accuracy": 0.5}
