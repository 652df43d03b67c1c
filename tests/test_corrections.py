"""A corrected prediction becomes a training photo: in the workspace, always in train, and never if it could judge."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from core import audit, corrections, curation, datasets, runs, splits
from core.audit import near_duplicates
from core.audit.hashes import Thumbnails
from core.datasets import Dataset
from core.errors import DataError, NotFound, UnreadableImage
from core.runs import Run
from core.workspace import Workspace
from tests.pictures import noise, write
from tests.worlds import add_dataset, finished_run

NEW_SEED = 9_000
"""Of a picture that no dataset has."""


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


@pytest.fixture
def run(workspace: Workspace, birds: Dataset) -> Run:
    return finished_run(workspace, birds)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write(tmp_path / "asked" / "a strange ![name](x).png", NEW_SEED)


def table_of(workspace: Workspace, dataset: Dataset) -> pd.DataFrame:
    audit.audit(workspace, dataset)
    table = audit.load_decided(workspace, dataset.id)
    assert table is not None
    return table


def picture_in(workspace: Workspace, run: Run, split: str) -> str:
    table = runs.load_split(workspace, run.id)
    return str(table["path"][table["split"] == split].iloc[0])


def files_of(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def nearly(path: Path, target: Path) -> Path:
    """Write a picture again, smaller and compressed, as a messenger does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as picture:
        picture.convert("RGB").resize((44, 33)).save(target, quality=90)
    return target


def test_an_added_photo_is_a_copy_in_the_workspace_and_a_row_of_train(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path
) -> None:
    before = files_of(birds.root)
    path = corrections.add_photo(workspace, run, photo, "wren")
    table = table_of(workspace, birds)
    (row,) = table[table["path"] == path].to_dict("records")
    assert (row["label"], row["usable"], datasets.is_added(path)) == ("wren", True, True)
    assert (birds.pictures / path).read_bytes() == photo.read_bytes()
    assert (birds.pictures / path).is_relative_to(workspace.home)
    assert files_of(birds.root) == before, "the person's folder was touched"
    assert corrections.added_as(birds, photo) == (path, "wren")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("given", [False, True])
def test_added_photos_are_learnt_from_and_move_no_other_picture(
    workspace: Workspace, tmp_path: Path, seed: int, given: bool
) -> None:
    birds = add_dataset(workspace, tmp_path / "birds")
    if given:
        for name in ("owl", "wren"):
            (tmp_path / "given" / "train").mkdir(parents=True, exist_ok=True)
            shutil.copytree(birds.root / name, tmp_path / "given" / "train" / name)
            write(tmp_path / "given" / "test" / name / "x.png", 500 + len(name))
        birds = datasets.add_folder(workspace, tmp_path / "given")
    before = table_of(workspace, birds)
    for number in range(6):
        data = write(tmp_path / "asked" / f"{number}.png", NEW_SEED + number).read_bytes()
        datasets.put_photo(birds.pictures, data, "owl", ".png")
    after = table_of(workspace, birds)
    for keep in (True, False):
        split = splits.assign(splits.without_given(after, keep=keep), seed=seed)
        added = datasets.added_rows(after)
        assert added.sum() == 6 and set(split[added]) == {"train"}
        was = splits.assign(splits.without_given(before, keep=keep), seed=seed)
        assert dict(zip(after["path"][~added], split[~added], strict=True)) == dict(
            zip(before["path"], was, strict=True)
        )
        fold = splits.folds(after[after["usable"]].assign(split=split), 3)
        assert set(fold[datasets.added_rows(after[after["usable"]])]) == {-1}


@pytest.mark.parametrize("split", runs.SPLITS)
@pytest.mark.parametrize("near", [False, True])
def test_what_the_dataset_has_or_nearly_has_is_refused_with_the_reason(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run, split: str, near: bool
) -> None:
    own = birds.root / picture_in(workspace, run, split)
    photo = nearly(own, tmp_path / "asked" / "x.jpg") if near else own
    role = {"train": "a training picture", "val": "a validation picture", "test": "a test picture"}[split]
    with pytest.raises(
        DataError, match=rf'{"nearly the same as" if near else "is"} ".*", {role}\. .*not added'
    ):
        corrections.add_photo(workspace, run, photo, "wren")
    assert not birds.added_dir.exists()


def test_a_test_picture_that_left_the_folder_is_refused_still(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run
) -> None:
    own = birds.root / picture_in(workspace, run, "test")
    kept = Path(shutil.move(own, tmp_path / "moved.png"))
    audit.audit(workspace, birds)
    with pytest.raises(DataError, match="a test picture"):
        corrections.add_photo(workspace, run, kept, "wren")


def test_a_mirrored_cropped_or_turned_test_picture_is_near_it(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run
) -> None:
    with Image.open(birds.root / picture_in(workspace, run, "test")) as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cropped = picture.crop((1, 1, picture.width - 1, picture.height - 1))
        turned = [picture.rotate(degrees, expand=True) for degrees in (90, 180, 270)]
    for number, other in enumerate((mirrored, cropped, *turned)):
        other.save(tmp_path / f"{number}.png")
        with pytest.raises(DataError, match="nearly the same"):
            corrections.add_photo(workspace, run, tmp_path / f"{number}.png", "wren")


def test_it_is_added_once_and_can_be_taken_back(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path
) -> None:
    path = corrections.add_photo(workspace, run, photo, "wren")
    with pytest.raises(DataError, match='was added to "wren" already'):
        corrections.add_photo(workspace, run, photo, "owl")
    datasets.take_back(birds.pictures, path)
    datasets.take_back(birds.pictures, path)
    assert corrections.added_as(birds, photo) is None
    assert not datasets.added_rows(table_of(workspace, birds)).any()
    assert corrections.add_photo(workspace, run, photo, "owl").startswith(".added/owl/")


@pytest.mark.parametrize(
    "path", ["owl/000.png", ".added/../files.parquet", ".added/owl/000.png", ".added/owl/../x"]
)
def test_nothing_but_an_added_photo_can_be_taken_back(birds: Dataset, path: str) -> None:
    before = files_of(birds.root)
    with pytest.raises(DataError, match="is not a photo that was added"):
        datasets.take_back(birds.pictures, path)
    assert files_of(birds.root) == before


def test_a_class_that_the_dataset_does_not_have_is_refused(
    workspace: Workspace, run: Run, photo: Path
) -> None:
    for label in ("heron", "..", "owl/../wren", ""):
        with pytest.raises(DataError, match="does not have"):
            corrections.add_photo(workspace, run, photo, label)


def test_what_is_no_picture_is_refused(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run
) -> None:
    (tmp_path / "x.png").write_bytes(b"<html>")
    with pytest.raises(UnreadableImage):
        corrections.add_photo(workspace, run, tmp_path / "x.png", "owl")
    assert not birds.added_dir.exists()


def test_a_dataset_that_is_gone_moved_or_another_takes_no_photo(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run, photo: Path
) -> None:
    away = birds.root.rename(tmp_path / "away")
    with pytest.raises(DataError, match="is not there"):
        corrections.add_photo(workspace, run, photo, "owl")
    datasets.locate(workspace, birds.id, audit.load_table(workspace, birds.id), away)
    path = corrections.add_photo(workspace, run, photo, "owl")
    moved = datasets.get(workspace, birds.id)
    table = table_of(workspace, moved)
    assert table["usable"][table["path"] == path].all() and datasets.added_rows(table).any()

    for number, file in enumerate(sorted(away.rglob("*.png"))):
        write(file, 700 + number)  # other pictures under the same names
    audit.audit(workspace, moved)
    with pytest.raises(NotFound, match="is another one now: it has 0 of the"):
        corrections.add_photo(workspace, run, photo, "owl")
    datasets.remove(workspace, birds.id)
    with pytest.raises(NotFound, match="is not in this workspace"):
        corrections.dataset_of(workspace, run)


def test_a_photo_that_comes_to_resemble_a_test_picture_later_is_left_out(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path
) -> None:
    path = corrections.add_photo(workspace, run, photo, "wren")
    shutil.copytree(birds.root / "owl", birds.root.parent / "given" / "train" / "owl")
    shutil.copytree(birds.root / "wren", birds.root.parent / "given" / "train" / "wren")
    for name in ("owl", "wren"):
        nearly(photo, birds.root.parent / "given" / "test" / "wren" / "x.jpg")
        write(birds.root.parent / "given" / "test" / name / "y.png", 600 + len(name))
    given = datasets.add_folder(workspace, birds.root.parent / "given")
    datasets.put_photo(given.pictures, photo.read_bytes(), "wren", ".png")
    table = table_of(workspace, given)
    split = splits.assign(table)
    assert split[table["path"] == path].tolist() == [""]
    assert split[table["path"] == "test/wren/x.jpg"].tolist() == ["test"]
    assert splits.left_out(table, split)[table["path"] == path].tolist() == ["near_copy"]
    # The same bytes in another class do not put the test picture in doubt either.
    shutil.copy(photo, birds.root.parent / "given" / "test" / "owl" / "z.png")
    table = table_of(workspace, given)
    assert splits.assign(table)[table["path"] == "test/owl/z.png"].tolist() == ["test"]


def test_a_run_tells_whether_photos_were_added_since(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path
) -> None:
    assert curation.fingerprint(curation.made(table_of(workspace, birds))) == run.curation_fingerprint == ""
    path = corrections.add_photo(workspace, run, photo, "wren")
    with_it = curation.fingerprint(curation.made(table_of(workspace, birds)))
    assert with_it != ""
    curation.decide_about(workspace, birds.id, table_of(workspace, birds), [path], "relabel", "owl")
    table = table_of(workspace, birds)
    assert table["label"][table["path"] == path].tolist() == ["owl"], "decisions hold for it as for others"
    assert curation.fingerprint(curation.made(table)) not in ("", with_it)
    datasets.take_back(birds.pictures, path)
    assert curation.fingerprint(curation.made(table_of(workspace, birds))) == ""


def test_a_class_folder_that_went_takes_its_added_photos_out_of_use(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path
) -> None:
    path = corrections.add_photo(workspace, run, photo, "kite")
    shutil.rmtree(birds.root / "kite")
    table = table_of(workspace, birds)
    assert table["usable"][table["path"] == path].tolist() == [False]


def test_a_cleaned_copy_has_added_photos_in_their_class(
    workspace: Workspace, tmp_path: Path, birds: Dataset, run: Run, photo: Path
) -> None:
    path = corrections.add_photo(workspace, run, photo, "wren")
    curation.write_copy(table_of(workspace, birds), birds.pictures, tmp_path / "clean")
    assert (tmp_path / "clean" / "wren" / Path(path).name).read_bytes() == photo.read_bytes()


def test_twins_that_are_added_move_no_picture_of_the_folder(workspace: Workspace, birds: Dataset) -> None:
    before = table_of(workspace, birds)
    sides = dict(zip(before["path"], splits.assign(before), strict=True))
    for path in before["path"]:  # as if each had come into the folder after its twin was added
        added = birds.added_dir / path.split("/")[0] / f"{Path(path).stem}.jpg"
        nearly(birds.root / path, added)
        named = hashlib.sha256(added.read_bytes()).hexdigest()
        added.rename(added.with_name(f"{named}.jpg"))
    table = table_of(workspace, birds)
    own = ~datasets.added_rows(table)
    assert (~own).sum() == len(before)
    assert table["group"][own].tolist() == before["group"].tolist()
    assert dict(zip(table["path"][own], splits.assign(table)[own], strict=True)) == sides


def test_adding_a_photo_compares_the_folder_once_and_then_no_more(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, called = near_duplicates.group, []

    def counted(thumbnails: Thumbnails) -> Any:
        called.append(len(thumbnails))
        return group(thumbnails)

    monkeypatch.setattr(near_duplicates, "group", counted)
    corrections.add_photo(workspace, run, photo, "wren")
    first = table_of(workspace, birds)
    assert called == [len(first)]
    pd.testing.assert_frame_equal(
        table_of(workspace, birds).drop(columns="examined_ns"), first.drop(columns="examined_ns")
    )
    assert called == [len(first)]


def test_a_killed_writer_leaves_no_row(birds: Dataset, workspace: Workspace) -> None:
    (birds.added_dir / "owl").mkdir(parents=True)
    (birds.added_dir / "owl" / f".{'0' * 64}.png.1234.part").write_bytes(b"half")
    assert not datasets.added_rows(table_of(workspace, birds)).any()


@pytest.mark.parametrize("audited", [False, True])
def test_what_nearly_repeats_an_added_photo_is_refused_whatever_its_class(
    workspace: Workspace, birds: Dataset, run: Run, photo: Path, tmp_path: Path, audited: bool
) -> None:
    path = corrections.add_photo(workspace, run, photo, "wren")
    if audited:
        audit.audit(workspace, birds)
    near = nearly(photo, tmp_path / "near.jpg")
    for label in ("owl", "wren"):
        with pytest.raises(DataError, match='nearly the same as one that was added to "wren"'):
            corrections.add_photo(workspace, run, near, label)
    datasets.take_back(birds.pictures, path)
    assert corrections.add_photo(workspace, run, near, "owl").startswith(".added/owl/")


def test_what_differs_is_not_taken_for_near(workspace: Workspace, birds: Dataset) -> None:
    buffer = io.BytesIO()
    noise(NEW_SEED).save(buffer, format="PNG")
    assert audit.find_alike(workspace, birds.id, buffer.getvalue()) is None
