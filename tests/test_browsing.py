"""Choosing a folder of this machine: nothing outside of the allowed ones is shown, used or told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import datasets
from core.datasets import browsing
from core.errors import DataError
from core.workspace import Workspace
from tests.pictures import write, write_classes
from tests.users import open_folder, unprivileged


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path]:
    (tmp_path / "home").mkdir()
    return (tmp_path / "home",)


def test_home_the_workspace_and_what_graft_roots_names_may_be_chosen(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("GRAFT_ROOTS", os.pathsep.join([str(tmp_path / "link"), "~/x", " "]))
    assert datasets.allowed_roots(workspace) == (
        tmp_path / "me",
        workspace.home,
        tmp_path / "real",
        tmp_path / "me" / "x",
    )


@pytest.mark.parametrize("way", ["{root}/..", "{root}/link", "{root}/link/inner", "/", "/etc", "{root}-twin"])
def test_no_way_leads_out_of_the_roots(roots: tuple[Path], tmp_path: Path, way: str) -> None:
    (tmp_path / "outside" / "inner").mkdir(parents=True)
    (tmp_path / "home-twin").mkdir()
    (roots[0] / "link").symlink_to(tmp_path / "outside")
    path = way.format(root=roots[0])
    for look in (datasets.confine, datasets.browse):
        with pytest.raises(DataError, match="lies outside of the folders that may be chosen here"):
            look(path, roots)


def test_what_lies_outside_is_not_told(roots: tuple[Path], tmp_path: Path) -> None:
    said = set()
    for name in ("there", "not-there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(DataError) as caught:
            datasets.confine(tmp_path / name, roots)
        said.add(str(caught.value).replace(name, "…"))
    assert len(said) == 1


def test_a_folder_outside_of_the_roots_cannot_be_added(
    workspace: Workspace, roots: tuple[Path], tmp_path: Path
) -> None:
    outside = write_classes(tmp_path / "outside", {"owl": 1, "wren": 1})
    (roots[0] / "link").symlink_to(outside)
    for way in (outside, roots[0] / "link"):
        with pytest.raises(DataError, match="GRAFT_ROOTS"):
            datasets.add_folder(workspace, way, roots=roots)
    inside = write_classes(roots[0] / "birds", {"owl": 1, "wren": 1})
    assert datasets.add_folder(workspace, inside, roots=roots).root == inside


def test_a_listing_tells_what_looks_like_a_dataset_and_puts_it_first(roots: tuple[Path]) -> None:
    home = roots[0]
    write_classes(home / "zoo", {"owl": 3, "wren": 2})
    write_classes(home / "split" / "train", {"owl": 2, "wren": 1})
    write_classes(home / "split" / "test", {"owl": 1})
    write(home / "album" / "1.png", 0)
    (home / "empty").mkdir()
    (home / ".hidden").mkdir()
    (home / "link").symlink_to(home / "zoo")
    listing = datasets.browse(home, roots)
    told = [(one.name, one.num_pictures, one.num_classes, one.looks_like_dataset) for one in listing.folders]
    assert told == [
        ("split", 4, 2, True),
        ("zoo", 5, 2, True),
        ("album", 1, 0, False),
        ("empty", 0, 0, False),
    ]
    assert listing.above == ()
    inside = datasets.browse(home / "zoo", roots)
    assert inside.above == (home,)
    assert (inside.here.num_pictures, inside.here.num_classes) == (5, 2)
    assert [(one.name, one.num_pictures) for one in inside.folders] == [("owl", 3), ("wren", 2)]


def test_counts_that_stop_early_say_so(roots: tuple[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(roots[0] / "zoo", {"owl": 6, "wren": 6})
    monkeypatch.setattr(browsing, "MAX_ENTRIES", 4)
    (zoo,) = datasets.browse(roots[0], roots).folders
    assert (zoo.num_pictures, zoo.is_whole) == (5, False)
    monkeypatch.setattr(browsing, "PATIENCE_S", -1.0)
    (zoo,) = datasets.browse(roots[0], roots).folders
    assert (zoo.num_pictures, zoo.looks_like_dataset) == (None, False)


def test_more_folders_than_a_listing_holds_are_counted(
    roots: tuple[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (roots[0] / name).mkdir()
    monkeypatch.setattr(browsing, "MAX_FOLDERS", 2)
    listing = datasets.browse(roots[0], roots)
    assert ([one.name for one in listing.folders], listing.num_more) == (["a", "b"], 1)


@pytest.mark.parametrize("name", ["gone", "file"])
def test_what_is_no_folder_is_explained(roots: tuple[Path], name: str) -> None:
    (roots[0] / "file").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be opened"):
        datasets.browse(roots[0] / name, roots)


def test_a_closed_folder_is_listed_without_counts() -> None:
    with open_folder() as folder:
        (folder / "secret").mkdir()
        (folder / "secret").chmod(0)
        with unprivileged():
            (secret,) = datasets.browse(folder, (folder.resolve(),)).folders
        (folder / "secret").chmod(0o755)
    assert (secret.name, secret.num_pictures) == ("secret", None)
