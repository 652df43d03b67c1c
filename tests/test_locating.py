"""A moved folder is found again by its content, and what hangs on the dataset's id stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import audit, datasets
from core.datasets import Dataset, locating
from core.errors import DataError, NotFound
from core.workspace import Workspace
from tests.pictures import write, write_classes


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 6, "wren": 4}))
    audit.audit(workspace, dataset)
    return dataset


def locate(workspace: Workspace, dataset: Dataset, path: Path) -> locating.Located:
    return datasets.locate(workspace, dataset.id, audit.load_table(workspace, dataset.id), path)


def test_a_moved_folder_keeps_its_id_and_its_audit(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    birds.root.rename(tmp_path / "elsewhere")
    found = locate(workspace, birds, tmp_path / "elsewhere")
    assert (found.dataset.id, found.dataset.root) == (birds.id, tmp_path / "elsewhere")
    assert (found.num_known, found.missing, found.num_compared) == (10, (), 10)
    assert datasets.get(workspace, birds.id).root == tmp_path / "elsewhere"
    assert len(audit.audit(workspace, found.dataset)) == 10


def test_what_a_moved_folder_has_lost_is_named(workspace: Workspace, birds: Dataset, tmp_path: Path) -> None:
    birds.root.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "wren" / "001.png").unlink()
    write(tmp_path / "elsewhere" / "owl" / "002.png", 999, "JPEG")
    found = locate(workspace, birds, tmp_path / "elsewhere")
    assert found.missing == ("owl/002.png", "wren/001.png")
    assert found.num_compared == 8


def test_the_folder_above_and_another_dataset_are_refused(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    other = write_classes(tmp_path / "other", {"owl": 6, "wren": 4}, first_seed=500)
    (tmp_path / "around").mkdir()
    birds.root.rename(tmp_path / "around" / "birds")
    for path in (tmp_path / "around", other):
        with pytest.raises(DataError, match="of the 10 pictures|show something else"):
            locate(workspace, birds, path)
    assert datasets.get(workspace, birds.id) == birds


def test_the_same_names_and_sizes_with_other_bytes_are_refused(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(birds.root, tmp_path / "copy"))
    for path in copy.rglob("*.png"):
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="10 of 10 that were compared show something else"):
        locate(workspace, birds, copy)


def test_a_folder_of_another_dataset_is_refused(workspace: Workspace, birds: Dataset, tmp_path: Path) -> None:
    copy = datasets.add_folder(workspace, Path(shutil.copytree(birds.root, tmp_path / "copy")))
    with pytest.raises(DataError, match='is the folder of the dataset "copy" already'):
        locate(workspace, birds, copy.root)


def test_only_some_of_many_pictures_are_compared(
    workspace: Workspace, birds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "MAX_HASHED", 3)
    birds.root.rename(tmp_path / "elsewhere")
    assert locate(workspace, birds, tmp_path / "elsewhere").num_compared == 3


def test_a_dataset_that_was_never_looked_at_takes_any_folder_of_pictures(
    workspace: Workspace, tmp_path: Path
) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 1, "wren": 1}))
    dataset.root.rename(tmp_path / "elsewhere")
    found = locate(workspace, dataset, tmp_path / "elsewhere")
    assert (found.num_known, found.dataset.root) == (0, tmp_path / "elsewhere")
    with pytest.raises(NotFound, match='There is no dataset "x"'):
        datasets.locate(workspace, "x", None, tmp_path / "elsewhere")


def test_a_folder_outside_of_the_roots_is_refused(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    with pytest.raises(DataError, match="lies outside"):
        datasets.locate(workspace, birds.id, None, birds.root, (tmp_path / "home",))


def test_a_new_folder_at_the_first_place_of_a_moved_one_is_a_dataset_of_its_own(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    birds.root.rename(tmp_path / "elsewhere")
    locate(workspace, birds, tmp_path / "elsewhere")
    again = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 1, "wren": 1}))
    assert again.id != birds.id
    assert {dataset.id for dataset in datasets.list_datasets(workspace)} == {again.id, birds.id}
