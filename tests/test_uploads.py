"""Uploads: what a zip brings goes into a folder of its own, whole or not at all, whatever the zip is made to do."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import datasets
from core.datasets import Limits, archives
from core.errors import Cancelled, DataError, NotFound
from core.progress import no_progress
from core.workspace import Workspace
from tests.pictures import encode, noise

PICTURES = {
    f"pics/{label}/{index}.png": encode(noise(index)) for label in ("owl", "wren") for index in (1, 2)
}


def make_zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_link(entries: dict[str, bytes], name: str, target: str) -> bytes:
    buffer = io.BytesIO(make_zip(entries))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo(name)
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    return buffer.getvalue()


def encrypted(data: bytes) -> bytes:
    """Set the bit that says that an entry has a password, in each header of a zip."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


def overlapping(data: bytes, copies: int) -> bytes:
    """Let the list of a zip name its only entry again and again, under other names of the same length."""
    at, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    entry, tail = data[at:end], bytearray(data[end:])
    name_at = entry.find(b"1.png")
    listed = b"".join(entry[:name_at] + b"%d.png" % number + entry[name_at + 5 :] for number in range(copies))
    struct.pack_into("<HHII", tail, 8, copies, copies, len(listed), at)
    return data[:at] + listed + bytes(tail)


def upload(
    workspace: Workspace, data: bytes, name: str = "birds.zip", limits: Limits | None = None
) -> object:
    token = datasets.stage_zip(workspace, io.BytesIO(data))
    return datasets.add_upload(workspace, token, name, limits=limits or Limits())[0]


def named(name: str, data: bytes) -> io.BytesIO:
    """Return an open file as the browser's upload gives it."""
    file = io.BytesIO(data)
    file.name = name
    return file


def left_behind(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.uploads_dir.iterdir())


def test_a_zip_becomes_a_dataset_in_the_workspace_without_the_folder_around_everything(
    workspace: Workspace,
) -> None:
    token = datasets.stage_zip(workspace, io.BytesIO(make_zip(PICTURES)))
    told: list[tuple[int, int]] = []
    dataset, unpacked = datasets.add_upload(
        workspace, token, "My birds.zip", lambda done, total: told.append((done, total))
    )
    assert (dataset.name, dataset.root.parent) == ("My birds", workspace.uploads_dir)
    assert list(datasets.read_layout(dataset.root).class_names) == ["owl", "wren"]
    assert unpacked == archives.Unpacked(4, 0, 0)
    total = sum(map(len, PICTURES.values()))
    assert told[-1] == (total, total)
    assert (dataset.root / "owl" / "1.png").read_bytes() == PICTURES["pics/owl/1.png"]
    assert left_behind(workspace) == [dataset.root.name]


def test_a_zip_may_name_the_folder_that_was_packed(workspace: Workspace) -> None:
    dataset = upload(
        workspace, make_zip({"./": b""} | {f"./{name}": data for name, data in PICTURES.items()})
    )
    assert list(datasets.read_layout(dataset.root).class_names) == ["owl", "wren"]


def test_deleting_an_uploaded_dataset_deletes_its_pictures(workspace: Workspace) -> None:
    dataset = upload(workspace, make_zip(PICTURES))
    datasets.remove(workspace, dataset.id)  # type: ignore[attr-defined]
    assert left_behind(workspace) == []


def test_a_folder_uploaded_file_by_file_is_the_same_as_its_zip(workspace: Workspace) -> None:
    token = datasets.stage_files(workspace, [named(name, data) for name, data in PICTURES.items()])
    dataset, _ = datasets.add_upload(workspace, token, "pics/owl/1.png")
    assert dataset.name == "pics"
    found = {path.relative_to(dataset.root).as_posix() for path in dataset.root.rglob("*.png")}
    assert found == {name.removeprefix("pics/") for name in PICTURES}


def test_a_killed_unpacking_leaves_no_dataset_and_can_be_done_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = datasets.stage_zip(workspace, io.BytesIO(make_zip(PICTURES)))

    def die(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        datasets.add_upload(workspace, token, "birds", die)
    assert datasets.list_datasets(workspace) == []
    assert left_behind(workspace) == [f".{token}.zip"]
    dataset, _ = datasets.add_upload(workspace, token, "birds")
    assert datasets.list_datasets(workspace) == [dataset]
    # A job that was killed between the last file and its end is done once more.
    assert datasets.add_upload(workspace, token, "birds") == (dataset, None)


def test_what_nobody_unpacked_for_a_day_is_cleared_away(workspace: Workspace) -> None:
    token = datasets.stage_zip(workspace, io.BytesIO(b"x"))
    half = workspace.uploads_dir / ".birds.1234.part"
    half.mkdir()
    for path in (half, workspace.uploads_dir / f".{token}.zip"):
        os.utime(path, (1, 1))
    newer = datasets.stage_zip(workspace, io.BytesIO(b"y"))
    assert left_behind(workspace) == [f".{newer}.zip"]
    with pytest.raises(NotFound, match="Upload the pictures again"):
        datasets.add_upload(workspace, token, "birds")


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "A" * 32, "0" * 31])
def test_a_token_that_is_none_is_refused(workspace: Workspace, token: str) -> None:
    with pytest.raises(NotFound, match="is not the name of an upload"):
        datasets.add_upload(workspace, token, "birds")


def damaged(method: int) -> bytes:
    """Return a zip whose first picture is packed by a method and altered."""
    data = bytearray(make_zip(PICTURES, method))
    data[60:100] = bytes(range(40))
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "up": (lambda: make_zip(PICTURES | {"../../evil.png": b"x"}), "leads out of the folder"),
    "up inside": (lambda: make_zip(PICTURES | {"pics/../../evil.png": b"x"}), "leads out of the folder"),
    "absolute": (lambda: make_zip(PICTURES | {"/etc/evil.png": b"x"}), "leads out of the folder"),
    "backslashes": (lambda: make_zip(PICTURES | {"..\\..\\evil.png": b"x"}), "leads out of the folder"),
    "drive": (lambda: make_zip(PICTURES | {"C:\\evil.png": b"x"}), "leads out of the folder"),
    "control": (lambda: make_zip(PICTURES | {"pics/owl/\x1b[2J.png": b"x"}), "signs that cannot be shown"),
    "long": (lambda: make_zip(PICTURES | {f"pics/owl/{'猫' * 90}.png": b"x"}), "too long"),
    "deep": (lambda: make_zip(PICTURES | {"a/" * 30 + "1.png": b"x"}), "too deep"),
    "empty part": (lambda: make_zip(PICTURES | {"pics//1.png": b"x"}), "is empty, too long"),
    "capitals": (lambda: make_zip(PICTURES | {"pics/owl/1.PNG": b"x"}), "one and the same on many systems"),
    "folders": (lambda: make_zip(PICTURES | {"pics/Owl/9.png": b"x"}), "one and the same on many systems"),
    "accents": (
        lambda: make_zip({"a/e\u0301/1.png": b"x", "a/\u00e9/1.png": b"y", "a/b/1.png": b"z"}),
        "one and the same on many systems",
    ),
    "file and folder": (lambda: make_zip(PICTURES | {"pics/owl": b"x"}), "one and the same on many systems"),
    "password": (lambda: encrypted(make_zip(PICTURES)), "protected by a password"),
    "no zip": (lambda: b"<html>not found</html>", "is damaged or no zip"),
    "bzip2": (lambda: damaged(zipfile.ZIP_BZIP2), "is damaged or no zip"),
    "lzma": (lambda: damaged(zipfile.ZIP_LZMA), "is damaged or no zip"),
    "no Unicode": (
        lambda: make_zip(PICTURES | {"pics/owl/é.png": b"x"}).replace("é".encode(), b"\xff\xfe"),
        "is damaged or no zip",
    ),
    "cut off": (lambda: make_zip(PICTURES)[:-60], "is damaged or no zip"),
    "damaged": (lambda: make_zip(PICTURES, 0).replace(b"IDAT", b"IDAX", 1), "is damaged or no zip"),
    "bomb": (lambda: make_zip(PICTURES | {"pics/owl/0.bmp": bytes(30_000_000)}), "times as large"),
    "shared bytes": (
        lambda: overlapping(make_zip({"owl/1.png": encode(noise(1))}), 9),
        "entries that overlap",
    ),
    "no class": (lambda: make_zip({"1.png": encode(noise(1))}), "directly in it"),
    "no picture": (lambda: make_zip({"docs/a.txt": b"hello"}), 'No picture was found in "birds"'),
    "empty": (lambda: make_zip({}), '"birds" is empty'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_explained_and_leaves_nothing(workspace: Workspace, name: str) -> None:
    make, message = HOSTILE[name]
    around = sorted(workspace.home.rglob("*"))
    with pytest.raises(DataError, match=message):
        upload(workspace, make())
    assert datasets.list_datasets(workspace) == []
    assert sorted(workspace.home.rglob("*")) == around


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_files=3), r"has 4 entries\. Expected at most 3"),
        (Limits(max_bytes=100), r"Expected at most 0\.0 GB"),
    ],
)
def test_more_than_the_limits_allow_is_refused(workspace: Workspace, limits: Limits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        upload(workspace, make_zip(PICTURES), limits=limits)


def test_more_than_the_disk_holds_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SPARE_BYTES", 1 << 62)
    with pytest.raises(DataError, match="Free some space"):
        upload(workspace, make_zip(PICTURES))


def test_the_environment_sets_the_limits() -> None:
    chosen = {"GRAFT_UPLOAD_FILES": "5", "GRAFT_UPLOAD_GB": "0.5", "GRAFT_UPLOAD_RATIO": "10"}
    assert datasets.limits(chosen) == Limits(5, 500_000_000, 10.0)
    assert datasets.limits({}) == Limits()
    for text in ("0", "-1", "many", "nan"):
        with pytest.raises(DataError, match=f'GRAFT_UPLOAD_GB is "{text}"'):
            datasets.limits({"GRAFT_UPLOAD_GB": text})


def test_too_many_single_files_are_refused_before_they_are_all_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_UPLOAD_FILES", "2")
    with pytest.raises(DataError, match="more than 2 files"):
        datasets.stage_files(workspace, [named(name, data) for name, data in PICTURES.items()])
    assert left_behind(workspace) == []


def test_hostile_names_of_single_files_are_refused_too(workspace: Workspace) -> None:
    for name in ("../evil/1.png", "a/b\0/1.png"):
        token = datasets.stage_files(workspace, [named(name, encode(noise(1)))])
        with pytest.raises(DataError, match="leads out|cannot be shown"):
            datasets.add_upload(workspace, token, "birds")


def test_links_and_hidden_files_are_left_out_and_counted(workspace: Workspace) -> None:
    extra = {"__MACOSX/pics/owl/._1.png": b"x", "pics/.DS_Store": b"x", "pics/owl/Thumbs.db": b"x"}
    data = with_link(PICTURES | extra, "pics/owl/passwd.png", "/etc/passwd")
    token = datasets.stage_zip(workspace, io.BytesIO(data))
    dataset, unpacked = datasets.add_upload(workspace, token, "birds")
    assert unpacked == archives.Unpacked(num_files=4, num_links=1, num_hidden=3)
    assert not any(path.is_symlink() for path in dataset.root.rglob("*"))
    assert len([path for path in dataset.root.rglob("*") if path.is_file()]) == 4


def test_names_of_every_script_and_of_screenshots_are_kept(workspace: Workspace) -> None:
    names = [
        "猫/写真 1.png",
        "犬/Schnappschuss 9.41\u202fAM.png",
        "犬/![x](evil).png",
        "👩\u200d🌾/1.png",
    ]
    dataset = upload(workspace, make_zip({name: encode(noise(1)) for name in names}))
    found = datasets.list_files(dataset.root)  # type: ignore[attr-defined]
    assert sorted(found["path"]) == sorted(names)


@pytest.mark.parametrize(
    ("names", "depth"),
    [
        (["a/owl/1.png", "a/wren/1.png"], 1),
        (["a/b/owl/1.png", "a/b/wren/1.png", "a/b/metadata.csv"], 2),
        (["owl/1.png", "wren/1.png"], 0),
        (["owl/1.png"], 0),
        (["train/owl/1.png", "train/wren/1.png"], 0),
        (["a/train/owl/1.png", "a/test/owl/1.png"], 1),
        (["a/owl/1.png", "a/2.png"], 0),
        (["a/owl/1.png", "readme.txt"], 0),
        (["notes/a.txt"], 0),
    ],
)
def test_a_folder_around_everything_is_told_from_classes_and_splits(names: list[str], depth: int) -> None:
    assert archives.num_wrapping([tuple(name.split("/")) for name in names]) == depth


@given(st.text(max_size=40))
def test_every_name_is_either_refused_or_stays_below_the_folder(name: str) -> None:
    try:
        parts = archives._parts(name, "The archive")
    except DataError:
        return
    inside = os.path.normpath(os.path.join("/somewhere/safe", *parts))
    assert inside.startswith("/somewhere/safe/")
    assert not {"", ".", ".."} & set(parts)


def test_a_name_that_lies_about_its_size_writes_no_more_than_it_says(tmp_path: Path) -> None:
    data = bytearray(make_zip({"owl/1.png": b"a" * 5000}, zipfile.ZIP_STORED))
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 10)  # the unpacked size in the list
    path, folder = tmp_path / "a.zip", tmp_path / "out"
    path.write_bytes(bytes(data))
    folder.mkdir()
    with pytest.raises(DataError, match="damaged"):
        archives.unpack(path, folder, no_progress, Limits())
    assert sum(found.stat().st_size for found in folder.rglob("*.png")) <= 10
