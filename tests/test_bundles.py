"""A run arrives elsewhere as it left; what was changed on the way or could be run is refused, and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core import bundles, runs
from core.command_line import main
from core.errors import DataError
from core.runs import Run
from core.workspace import Workspace
from tests.worlds import add_dataset, finished_run

Files = dict[str, bytes]


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))
    shape = (4, len(run.class_names))
    runs.save_arrays(workspace, run.id, "head", kernel=np.ones(shape, np.float32), bias=np.zeros(shape[1]))
    return run


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elsewhere")


@pytest.fixture
def bundle(workspace: Workspace, run: Run, tmp_path: Path) -> Path:
    path = tmp_path / bundles.name_of(run)
    bundles.pack(workspace, run, path)
    return path


def repacked(path: Path, change: Callable[[Files], None], honest: bool = True) -> Path:
    """Change a bundle's files; an honest forger also writes their hashes down."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    if honest and "bundle.json" in files:
        manifest = json.loads(files["bundle.json"])
        manifest["files"] = {
            name: {"num_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
            if name != "bundle.json"
        }
        files["bundle.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, kernel=np.array([print], dtype=object), bias=np.zeros(3))
    return buffer.getvalue()


def compressed() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, logits=np.zeros((1000, 1000)))
    return buffer.getvalue()


def test_a_run_arrives_as_it_left(workspace: Workspace, run: Run, bundle: Path, elsewhere: Workspace) -> None:
    arrived = bundles.unpack(elsewhere, bundle)
    assert arrived == runs.get(elsewhere, run.id) == runs.get(workspace, run.id)
    here, there = (runs.predictions(place, run.id, "test") for place in (workspace, elsewhere))
    np.testing.assert_array_equal(here.y_prob, there.y_prob)
    pd.testing.assert_frame_equal(here.images, there.images)


def test_the_path_of_a_weights_file_stays_at_home(
    workspace: Workspace, run: Run, tmp_path: Path, elsewhere: Workspace
) -> None:
    values = json.loads((runs.folder(workspace, run.id) / "run.json").read_bytes())
    values["recipe"]["weights"] = "/home/somebody/mine.h5"
    (runs.folder(workspace, run.id) / "run.json").write_text(json.dumps(values))
    bundles.pack(workspace, runs.get(workspace, run.id), tmp_path / "b.zip")
    assert b"somebody" not in (tmp_path / "b.zip").read_bytes()
    assert bundles.unpack(elsewhere, tmp_path / "b.zip").recipe["weights"] == "mine.h5"


def test_a_run_that_is_here_already_is_not_replaced(workspace: Workspace, run: Run, bundle: Path) -> None:
    with pytest.raises(DataError, match="in this workspace already"):
        bundles.unpack(workspace, bundle)
    assert runs.get(workspace, run.id).state == "done"


def _flip(files: Files) -> None:
    files["head.npz"] = files["head.npz"][:-1] + b"x"


def _record(**changes: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files["run.json"] = json.dumps(json.loads(files["run.json"]) | changes).encode()

    return change


def _path(path: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        table = pd.read_parquet(io.BytesIO(files["split.parquet"]))
        table.loc[0, "path"] = path
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        files["split.parquet"] = buffer.getvalue()

    return change


def _manifest(**changes: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files["bundle.json"] = json.dumps(json.loads(files["bundle.json"]) | changes).encode()

    return change


@pytest.mark.parametrize(
    ("change", "honest", "message"),
    [
        (_flip, False, '"head.npz" of this bundle is not as it was packed'),
        (lambda files: files.update({"extra.json": b"{}"}), False, "its list of files"),
        (lambda files: files.update({"../evil.json": b"{}"}), True, "which no bundle has"),
        (lambda files: files.update({"evil.py": b"print()"}), True, "which no bundle has"),
        (lambda files: files.update({"head.npz": pickled()}), True, "other than plain arrays"),
        (lambda files: files.update({"predictions-val.npz": compressed()}), True, "packed as no array"),
        (lambda files: files.pop("split.parquet"), True, 'lacks "split.parquet"'),
        (lambda files: files.pop("bundle.json"), True, "so it is no bundle"),
        (lambda files: files.update({"run.json": b"[]"}), True, "cannot be used by this Graft"),
        (_record(created=1e300), True, "its record says what cannot be"),
        (_record(metrics={}), True, "its record says what cannot be"),
        (_record(seconds={"head": "x"}), True, "a number of its record is none"),
        (_record(dataset_name=3), True, "a name of its record is none"),
        (_path("../../secret.png"), True, "leads out of the dataset's folder"),
        (_path("/etc/secret.png"), True, "leads out of the dataset's folder"),
        (_record(state="running"), True, '"run.json" of this bundle is not as it was packed'),
        (_manifest(format=99), False, "written by a newer Graft"),
        (_manifest(files=3), False, '"bundle.json" of this bundle'),
        (_manifest(run_id="20200101-000000-abcd"), False, '"run.json" of this bundle'),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_and_leaves_nothing(
    bundle: Path, elsewhere: Workspace, change: Callable[[Files], None], honest: bool, message: str
) -> None:
    with pytest.raises(DataError) as refused:
        bundles.unpack(elsewhere, repacked(bundle, change, honest))
    assert message in str(refused.value)
    assert list(elsewhere.runs_dir.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"no zip at all"])
def test_what_is_no_zip_is_refused(elsewhere: Workspace, data: bytes) -> None:
    with pytest.raises(DataError, match="no bundle of a run, or it is damaged"):
        bundles.unpack(elsewhere, io.BytesIO(data))


def test_a_run_that_is_not_done_cannot_be_taken_along(workspace: Workspace, tmp_path: Path) -> None:
    run = runs.create(workspace, "birds", "Birds", {})
    with pytest.raises(DataError, match="is queued, so there is nothing to take along"):
        bundles.pack(workspace, run, tmp_path / "b.zip")


def test_a_run_moves_by_the_command_line(
    workspace: Workspace,
    run: Run,
    elsewhere: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    assert main(["bundle", run.id, "--to", str(tmp_path / "out"), "--json"]) == 0
    packed = json.loads(capsys.readouterr().out)["bundle"]
    monkeypatch.setenv("GRAFT_HOME", str(elsewhere.home))
    assert main(["import", packed]) == 0
    assert f"Run {run.id}" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "gone.zip")]) == 2
    assert "There is no file" in capsys.readouterr().err
