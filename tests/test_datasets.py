from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import datasets
from core.datasets import layouts
from core.errors import DataError, NotFound
from core.workspace import Workspace
from tests.pictures import encode, noise, write, write_classes
from tests.users import open_folder, unprivileged

AWKWARD_NAMES = [
    "<script>alert(1)</script>",
    "![x](https:__example.org)",
    "**bold** | `code` $x$",
    "line\nbreak",
    "裤子 🧦",
    "with space ",
    "train",
    "'; DROP TABLE datasets; --",
    "-rf",
    "%2e%2e",
]


def kinds(root: Path) -> dict[str, str]:
    table = datasets.list_files(root)
    return dict(zip(table["path"], table["kind"], strict=True))


def test_class_folders_become_labels_and_rows_come_sorted(tmp_path: Path) -> None:
    write_classes(tmp_path, {"owl": 2, "ant": 3, "empty": 0})
    table = datasets.list_files(tmp_path)
    assert table["path"].tolist() == sorted(table["path"])
    assert table["label"].value_counts().to_dict() == {"ant": 3, "owl": 2}
    assert set(table["given_split"]) == {""}
    assert list(datasets.read_layout(tmp_path).class_names) == ["ant", "empty", "owl"]
    status = (tmp_path / "owl/000.png").stat()
    row = table[table["path"] == "owl/000.png"].iloc[0]
    assert (row["size"], row["mtime_ns"], row["inode"]) == (status.st_size, status.st_mtime_ns, status.st_ino)


@pytest.mark.parametrize("val_name", ["val", "valid", "validation", "Val"])
def test_split_folders_become_given_splits(tmp_path: Path, val_name: str) -> None:
    for folder in ("train", val_name, "TEST"):
        write_classes(tmp_path / folder, {"a": 1, "b": 1})
    write_classes(tmp_path / "train", {"only in train": 1})
    table = datasets.list_files(tmp_path)
    assert datasets.read_layout(tmp_path) == datasets.Layout("splits", ("a", "b", "only in train"))
    assert table["given_split"].value_counts().to_dict() == {"train": 3, "val": 2, "test": 2}
    assert set(table["kind"]) == {"image"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path, {"train": 2, "ship": 2})
    assert datasets.read_layout(tmp_path) == datasets.Layout("classes", ("ship", "train"))


def test_split_names_without_class_folders_inside_are_classes(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 1})
    write_classes(tmp_path, {"test": 1})
    assert datasets.read_layout(tmp_path).kind == "classes"
    assert kinds(tmp_path) == {"test/000.png": "image", "train/a/000.png": "nested"}


def test_hidden_and_system_folders_do_not_change_the_layout(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 1})
    write_classes(tmp_path, {".ipynb_checkpoints": 1, "__MACOSX": 1})
    write(tmp_path / "train/.cache/x.png", 1)
    assert datasets.read_layout(tmp_path) == datasets.Layout("splits", ("a",))
    assert [path for path, kind in kinds(tmp_path).items() if kind == "hidden"] == [
        ".ipynb_checkpoints/000.png",
        "__MACOSX/000.png",
        "train/.cache/x.png",
    ]


def test_every_file_gets_the_kind_that_says_what_becomes_of_it(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "data", {"a": 1})
    outside = write(tmp_path / "elsewhere.png", 9)
    write(root / "a/deep/deeper/photo.jpg", 2, "JPEG")
    write(root / "a/._photo.jpg", 3)
    write(root / "stray.png", 4)
    write(root / "a/photo.jpg_1088w", 5, "JPEG")
    (root / "a/notes.txt").write_text("BM is how this text begins")
    (root / "README").write_text("hello")
    (root / "a/link.png").symlink_to("000.png")
    (root / "a/broken.png").symlink_to("nothing.png")
    (root / "a/loop.png").symlink_to("loop.png")
    (root / "a/outside.png").symlink_to(outside)
    (root / "folder link").symlink_to(root / "a")
    (root / "a/up").symlink_to("..")
    os.mkfifo(root / "a/pipe.jpg")
    assert kinds(root) == {
        "README": "other",
        "a/._photo.jpg": "hidden",
        "a/000.png": "image",
        "a/broken.png": "symlink_broken",
        "a/deep/deeper/photo.jpg": "nested",
        "a/link.png": "symlink",
        "a/loop.png": "symlink_broken",
        "a/notes.txt": "other",
        "a/outside.png": "symlink_outside",
        "a/photo.jpg_1088w": "image",
        "a/pipe.jpg": "other",
        "a/up": "symlink",
        "folder link": "symlink",
        "stray.png": "outside_class",
    }
    assert list(datasets.read_layout(root).class_names) == ["a"]
    labels = datasets.list_files(root).set_index("path")["label"]
    assert labels["a/deep/deeper/photo.jpg"] == "a"
    assert labels["stray.png"] == labels["README"] == ""


def test_a_picture_beside_the_class_folders_of_a_split_is_outside_of_a_class(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 1})
    write(tmp_path / "train/stray.png", 1)
    write(tmp_path / "stray.png", 2)
    assert kinds(tmp_path) == {
        "stray.png": "outside_class",
        "train/a/000.png": "image",
        "train/stray.png": "outside_class",
    }


def test_awkward_class_names_are_kept_as_they_are(tmp_path: Path, workspace: Workspace) -> None:
    names = [name.replace("/", "_") for name in AWKWARD_NAMES]
    write_classes(tmp_path / "data", dict.fromkeys(names, 1))
    assert list(datasets.read_layout(tmp_path / "data").class_names) == sorted(names)
    table = datasets.list_files(tmp_path / "data")
    assert sorted(table["label"]) == sorted(names)
    assert all((tmp_path / "data" / path).is_file() for path in table["path"])
    assert datasets.add_folder(workspace, tmp_path / "data").name == "data"


def test_names_that_look_the_same_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    write_classes(tmp_path / "train", {composed: 1})
    write_classes(tmp_path / "test", {decomposed: 1})
    table = datasets.list_files(tmp_path)
    assert list(datasets.read_layout(tmp_path).class_names) == [composed]
    assert table["label"].tolist() == [composed, composed]
    assert all((tmp_path / path).is_file() for path in table["path"])


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="macOS writes no such names")
def test_names_that_are_no_text_are_told_and_not_used(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 1})
    folder = os.fsencode(tmp_path)
    with open(folder + b"/a/caf\xe9.png", "wb") as file:
        file.write(encode(noise(1)))
    os.mkdir(folder + b"/n\xe9")
    assert kinds(tmp_path) == {"a/000.png": "image", "a/caf\\xe9.png": "bad_name", "n\\xe9": "bad_name"}
    assert list(datasets.read_layout(tmp_path).class_names) == ["a"]
    write(tmp_path / "a" / "caf\\xe9.png", 2)  # what the other one is shown as
    found = kinds(tmp_path)
    assert (found["a/caf\\xe9.png"], found["a/caf\\xe9.png (2)"]) == ("image", "bad_name")
    assert len(datasets.list_files(tmp_path)) == len(found) == 4


def test_a_folder_without_permission_is_a_row_and_not_an_end() -> None:
    with open_folder() as root:
        write_classes(root, {"a": 1, "locked": 1})
        (root / "locked").chmod(0)
        with unprivileged():
            table = datasets.list_files(root)
        assert table["kind"].tolist() == ["image", "no_permission"]
        assert table["label"].tolist() == ["a", "locked"]
        (root / "locked").chmod(0o755)


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "MAX_FILES", 5)
    write_classes(tmp_path, {"a": 6})
    with pytest.raises(DataError, match="holds more than 5 files"):
        datasets.list_files(tmp_path)


def test_a_vanished_folder_is_a_clear_error(tmp_path: Path) -> None:
    for look in (datasets.list_files, datasets.read_layout):
        with pytest.raises(DataError, match="Put it back, connect its disk"):
            look(tmp_path / "gone")


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\0"), min_size=1, max_size=12),
        max_size=6,
        unique=True,
    )
)
def test_any_folder_names_give_one_row_per_file_and_known_labels(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    num_files = 0
    for name in names:
        if name in (".", ".."):
            continue
        (root / name).mkdir(exist_ok=True)
        (root / name / "x.png").touch()
        num_files = sum(1 for _ in root.rglob("*.png"))
    table = datasets.list_files(root)
    classes = list(datasets.read_layout(root).class_names)
    assert len(table) == num_files
    assert set(table.loc[table["kind"] == "image", "label"]) == set(classes)


def test_a_folder_is_one_dataset_however_it_is_written(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_classes(tmp_path / "My Photos", {"a": 1, "b": 1})
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    first = datasets.add_folder(workspace, root, name="  Holidays  ")
    ways = [str(root), "My Photos", "~/My Photos", tmp_path / "link", root / "a" / "..", f"{root}/"]
    assert {datasets.add_folder(workspace, way) for way in ways} == {first}
    assert datasets.list_datasets(workspace) == [first]
    assert (first.name, first.root, first.sample) == ("Holidays", root.resolve(), "")
    assert first.id.startswith("my-photos-")
    assert datasets.get(workspace, first.id) == first


def test_folders_of_the_same_name_are_different_datasets(tmp_path: Path, workspace: Workspace) -> None:
    roots = [write_classes(tmp_path / place / "照片", {"a": 1}) for place in ("x", "y")]
    added = [datasets.add_folder(workspace, root) for root in roots]
    assert len({dataset.id for dataset in added}) == 2
    assert [dataset.name for dataset in added] == ["照片", "照片"]
    assert all(dataset.id.startswith("folder-") for dataset in added)
    assert datasets.list_datasets(workspace) == added[::-1]


def test_nothing_is_written_to_the_users_folder(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 2})
    before = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}
    datasets.list_files(datasets.add_folder(workspace, root).root)
    datasets.remove(workspace, datasets.list_datasets(workspace)[0].id)
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


def test_removing_a_dataset_forgets_it_and_its_files_in_the_workspace_only(
    tmp_path: Path, workspace: Workspace
) -> None:
    root = write_classes(tmp_path / "data", {"a": 1})
    dataset = datasets.add_folder(workspace, root)
    (workspace.datasets_dir / dataset.id).mkdir()
    datasets.remove(workspace, dataset.id)
    assert datasets.list_datasets(workspace) == []
    assert list(workspace.datasets_dir.iterdir()) == []
    assert (root / "a/000.png").is_file()
    for act in (datasets.get, datasets.remove):
        with pytest.raises(NotFound, match=f'There is no dataset "{dataset.id}"'):
            act(workspace, dataset.id)


def test_every_wrong_folder_is_refused_with_what_to_do(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.zip").write_bytes(b"PK")
    write(tmp_path / "flat/1.png", 1)
    write_classes(tmp_path / "hollow", {"a": 0, "b": 0})
    (tmp_path / "hollow/a/notes.txt").write_text("nothing to see")
    pool = write_classes(tmp_path / "pool", {"a": 1})
    (tmp_path / "farm/a").mkdir(parents=True)
    (tmp_path / "farm/a/1.png").symlink_to(pool / "a/000.png")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/.DS_Store").touch()
    expected = {
        "": "No folder was given",
        tmp_path / "gone": "There is no folder",
        tmp_path / "photo.zip": "is a file of 2 bytes.*unpack it first",
        tmp_path / "photo.zip/a": "There is no folder",
        tmp_path / "empty": "is empty.*Expected one subfolder per class",
        tmp_path / "hidden": "is empty",
        tmp_path
        / "flat": "has 1 picture directly in it and none in a class folder.*Make a subfolder for each class",
        tmp_path / "hollow": r"No picture was found.*\(2 subfolders, 1 other file\)",
        tmp_path / "farm": "only 1 link. Links are not followed",
        workspace.home: "is where Graft keeps its own files",
        workspace.samples_dir: "is where Graft keeps its own files",
        workspace.home.parent: "is around Graft's own files .*or set GRAFT_HOME to a folder outside of it",
        "~": "is your home folder or a folder around it",
        Path.home().parent: "is your home folder or a folder around it",
        "/": "is your home folder or a folder around it",
        "nul\0": "cannot be looked at",
        "x" * 300: "cannot be looked at.*File name too long",
        "~no-such-user-here/x": "There is no folder|cannot be looked at",
    }
    for path, words in expected.items():
        with pytest.raises(DataError, match=words):
            datasets.add_folder(workspace, path)
    assert datasets.list_datasets(workspace) == []


def test_a_path_that_is_not_there_is_told_with_the_folder_it_was_looked_for_in(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as relative:
        datasets.add_folder(workspace, "gone")
    assert str(relative.value).startswith(f'There is no folder "gone" (looked for in "{tmp_path}"). Expected')
    with pytest.raises(DataError) as absolute:
        datasets.add_folder(workspace, tmp_path / "gone")
    assert str(absolute.value).startswith(f'There is no folder "{tmp_path / "gone"}". Expected')


def test_a_folder_that_may_not_be_read_is_refused(workspace: Workspace) -> None:
    with open_folder() as folder:
        write_classes(folder / "locked", {"a": 1})
        (folder / "locked").chmod(0)
        with unprivileged(), pytest.raises(DataError, match="cannot be opened"):
            datasets.read_layout(folder / "locked")
        (folder / "locked").chmod(0o755)
