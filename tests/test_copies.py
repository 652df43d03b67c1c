"""A cleaned copy: what is used, in the class that was decided, whole or not at all, never over anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core import audit, curation, datasets, metadata, queue
from core.datasets import Pictures
from core.errors import Cancelled, DataError
from core.session.data_jobs import do_clean_copy
from core.workspace import Workspace
from tests.pictures import write, write_classes
from tests.test_curated_stages import _Quiet
from tests.worlds import add_dataset


def decided(workspace: Workspace, root: Path, *decisions: tuple[str, str, str]) -> pd.DataFrame:
    """Return the table of a folder as decisions (path, kind, value) make it."""
    dataset = datasets.add_folder(workspace, root)
    table = audit.audit(workspace, dataset)
    for path, kind, value in decisions:
        curation.decide_about(workspace, dataset.id, table, [path], kind, value)
    found = audit.load_decided(workspace, dataset.id)
    assert found is not None
    return found


def of(folder: Path) -> Pictures:
    return Pictures(folder, folder.parent / "no photos were added")


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        name: ((folder / name).read_bytes(), (folder / name).stat().st_mtime_ns) for name in listing(folder)
    }


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    root = write_classes(tmp_path / "birds", {"owl": 3, "wren": 3})
    (root / "owl" / "broken.jpg").write_bytes(b"broken")
    (root / "notes.txt").write_text("x")
    return root


@pytest.mark.parametrize("way", curation.WAYS)
def test_a_copy_holds_what_is_used_where_it_was_decided(
    workspace: Workspace, birds: Path, tmp_path: Path, way: str
) -> None:
    before = snapshot(birds)
    table = decided(workspace, birds, ("owl/000.png", "exclude", ""), ("owl/001.png", "relabel", "wren"))
    seen: list[tuple[int, int]] = []
    target = tmp_path / "clean"
    written = curation.write_copy(
        table, of(birds), target, way, lambda done, total: seen.append((done, total))
    )
    assert written == 5
    assert listing(target) == [
        "metadata.csv",
        "owl/002.png",
        "wren/000.png",
        "wren/001-2.png",
        "wren/001.png",
        "wren/002.png",
    ]
    assert (target / "wren" / "001-2.png").read_bytes() == (birds / "owl" / "001.png").read_bytes()
    assert os.path.samefile(target / "owl" / "002.png", birds / "owl" / "002.png") == (way == "link")
    assert seen[-1] == (5, 5)
    assert snapshot(birds) == before
    told = pd.read_csv(target / "metadata.csv").set_index("path")
    assert told.loc["wren/001-2.png"].to_dict() == {"original_path": "owl/001.png", "original_class": "owl"}


METADATA = "path,camera,age\ntrain/owl/000.png,A,7\nvalid/wren/001.png,B,31\n"


@pytest.mark.parametrize(
    "written",
    [
        METADATA.encode(),
        METADATA.replace(",", ";").encode("utf-16"),
        METADATA.replace("path", "Path").replace("valid/", "./valid/").encode(),
        METADATA.replace("valid/wren/", "valid\\wren\\").encode(),
    ],
    ids=["as usual", "of a spreadsheet", "of a listing", "of Windows"],
)
def test_a_copy_is_a_dataset_of_its_own_with_the_split_and_the_metadata_of_the_first(
    workspace: Workspace, tmp_path: Path, written: bytes
) -> None:
    for seed, split in enumerate(("train", "valid")):
        write_classes(tmp_path / "set" / split, {"owl": 2, "wren": 2}, first_seed=10 * seed)
    (tmp_path / "set" / "metadata.csv").write_bytes(written)
    table = decided(workspace, tmp_path / "set", ("valid/wren/001.png", "relabel", "owl"))
    found = metadata.read(tmp_path / "set", list(table["path"]))
    assert found is not None
    curation.write_copy(table, of(tmp_path / "set"), tmp_path / "clean", known=found.columns)
    again = decided(workspace, tmp_path / "clean").set_index("path")
    assert again.loc["valid/owl/001-2.png", ["label", "given_split"]].tolist() == ["owl", "val"]
    told = pd.read_csv(tmp_path / "clean" / "metadata.csv", keep_default_na=False).set_index("path")
    assert told["camera"].to_dict()["valid/owl/001-2.png"] == "B"
    assert told["camera"].to_dict()["train/owl/001.png"] == ""
    assert str(told["age"].to_dict()["valid/owl/001-2.png"]) == "31"


def test_the_table_of_a_copy_is_harmless_and_is_read_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "set", {"=owl": 2, "wren": 1})
    (folder / "metadata.csv").write_text("path,age,note\n=owl/000.png,-3,=1+1\n=owl/001.png,-4.5,\n")
    table = decided(workspace, folder)
    before = metadata.read(folder, list(table["path"]))
    assert before is not None
    curation.write_copy(table, of(folder), tmp_path / "clean", known=before.columns)
    lines = (tmp_path / "clean" / "metadata.csv").read_text("utf-8").splitlines()
    assert lines[1] == "'=owl/000.png,'=owl/000.png,'=owl,-3,'=1+1"
    after = metadata.read(tmp_path / "clean", list(table["path"]))
    assert after is not None and after.notes == ()
    pd.testing.assert_frame_equal(after.columns[["age", "note"]].iloc[:2], before.columns)


def test_a_copy_that_is_stopped_or_fails_leaves_nothing(
    workspace: Workspace, birds: Path, tmp_path: Path
) -> None:
    table = decided(workspace, birds)
    places = sorted(os.listdir(tmp_path))

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        curation.write_copy(table, of(birds), tmp_path / "clean", progress=stop)
    assert sorted(os.listdir(tmp_path)) == places
    write(birds / "wren" / "002.png", 99)
    for way in curation.WAYS:
        with pytest.raises(DataError, match=r'002\.png" has changed or is gone'):
            curation.write_copy(table, of(birds), tmp_path / "clean", way)
    (birds / "wren" / "002.png").unlink()
    with pytest.raises(DataError, match="has changed or is gone"):
        curation.write_copy(table, of(birds), tmp_path / "clean")
    assert sorted(os.listdir(tmp_path)) == places


@pytest.mark.parametrize(
    "make", [Path.mkdir, Path.touch, lambda path: path.symlink_to(path.parent / "birds")]
)
def test_nothing_is_ever_written_over(
    workspace: Workspace, birds: Path, tmp_path: Path, make: object
) -> None:
    table = decided(workspace, birds)
    make(tmp_path / "clean")  # type: ignore[operator]
    with pytest.raises(DataError, match="exists already"):
        curation.write_copy(table, of(birds), tmp_path / "clean")
    with pytest.raises(DataError, match="exists already|lies among the pictures"):
        curation.copy_target(tmp_path / "clean", [tmp_path], birds, workspace.home)


def test_a_copy_of_nothing_is_refused(workspace: Workspace, birds: Path, tmp_path: Path) -> None:
    table = decided(workspace, birds).assign(usable=False)
    with pytest.raises(DataError, match="No picture is left to copy"):
        curation.write_copy(table, of(birds), tmp_path / "clean")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "Expected the whole path of a new folder"),
        ("clean", "Expected the whole path of a new folder"),
        ("{tmp}/birds/clean", "lies among the pictures themselves"),
        ("{tmp}/graft/clean", "lies among Graft's own files"),
        ("{tmp}/none/clean", "There is no folder"),
        ("{tmp}/../clean", "outside of the folders that may be chosen"),
        ("{tmp}/out/clean", "outside of the folders that may be chosen"),
    ],
)
def test_where_a_copy_may_not_go_is_explained(
    workspace: Workspace, birds: Path, tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "out").symlink_to("/")
    with pytest.raises(DataError, match=message):
        curation.copy_target(path.format(tmp=tmp_path), [tmp_path], birds, workspace.home)


def test_a_place_where_nothing_is_yet_is_suggested(birds: Path, tmp_path: Path) -> None:
    assert curation.suggest_target(birds) == tmp_path / "birds-clean"
    (tmp_path / "birds-clean").mkdir()
    (tmp_path / "birds-clean-2").symlink_to("nowhere")
    assert curation.suggest_target(birds) == tmp_path / "birds-clean-3"


def test_where_a_copy_may_go_is_told_with_links_followed(
    workspace: Workspace, birds: Path, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    target = curation.copy_target(f" {tmp_path}/link/clean ", [tmp_path], birds, workspace.home)
    assert target == tmp_path / "real" / "clean"


def test_the_job_looks_at_the_files_again_and_tells_what_it_wrote(
    workspace: Workspace, tmp_path: Path
) -> None:

    with queue.hold_device(workspace, queue.default_device().id) as held:
        assert held
        dataset = add_dataset(workspace, tmp_path / "set", audited=False)
        shutil.copy(dataset.root / "owl" / "000.png", dataset.root / "owl" / "new.png")
        args = {"dataset_id": dataset.id, "target": str(tmp_path / "clean"), "way": "copy"}
        job = queue.submit(workspace, "clean_copy", args, dataset_id=dataset.id)
    result = do_clean_copy(_Quiet(workspace), job)
    assert result == {"target": str(tmp_path / "clean"), "num_images": 31}
    assert json.loads(json.dumps(result)) == result
    assert (tmp_path / "clean" / "owl" / "new.png").exists()


# --- what a killed process leaves

_KILLED = """
import os, signal, sys
from pathlib import Path
from core.curation import leftovers

part = leftovers.part_path(Path(sys.argv[1]))
with leftovers.making(part, Path(sys.argv[2])):
    (part / "owl").mkdir()
    (part / "owl" / "000.png").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_part_of_a_killed_copy_is_cleared_away_and_nothing_else(
    workspace: Workspace, birds: Path, tmp_path: Path
) -> None:
    places, records = sorted(os.listdir(tmp_path)), curation.records_dir(workspace)
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "clean"), str(records)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = set(os.listdir(tmp_path)) - set(places)
    other = tmp_path / ".clean.0123abcd.part"  # named like ours, but nobody wrote down that it is
    other.mkdir()
    seen = []

    def clear(done: int, total: int) -> None:
        seen.append(os.listdir(records))
        curation.clear_leftovers(records)  # a copy that is being written is left alone

    curation.clear_leftovers(records)
    assert left not in os.listdir(tmp_path)
    written = curation.write_copy(
        decided(workspace, birds), of(birds), tmp_path / "clean", "copy", clear, records
    )
    assert written == 6
    assert all(len(names) == 1 for names in seen)
    assert sorted(os.listdir(tmp_path)) == sorted([*places, "clean", other.name])
    assert os.listdir(records) == []


@pytest.mark.parametrize(
    ("make", "inode", "stays"),
    [
        (lambda part: part.mkdir(), None, False),
        (lambda part: (part / "mine").mkdir(parents=True), None, True),
        (lambda part: (part / "mine").mkdir(parents=True), 0, True),
        (lambda part: part.touch(), 0, True),
        (lambda part: part.symlink_to(part.parent / "birds"), 0, True),
    ],
    ids=["made, empty", "not ours, not empty", "another folder", "a file", "a link"],
)
def test_only_what_was_made_by_us_is_removed(
    birds: Path, tmp_path: Path, make: Callable[[Path], None], inode: int | None, stays: bool
) -> None:
    part, records = tmp_path / ".clean.0123abcd.part", tmp_path / "records"
    make(part)
    records.mkdir()
    said = json.dumps({"part": str(part)}) + ("" if inode is None else "\n" + json.dumps({"inode": inode}))
    (records / "1.json").write_text(said)
    (records / "2.json").write_text("{torn")
    before = listing(birds)
    curation.clear_leftovers(records)
    assert os.path.lexists(part) == stays
    assert listing(birds) == before
    assert os.listdir(records) == []


def test_a_part_on_a_disk_that_is_away_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps({"part": str(tmp_path / "away" / ".clean.0123abcd.part")}))
    curation.clear_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["1.json"]
