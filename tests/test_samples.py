from __future__ import annotations

import functools
import hashlib
import os
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from core import datasets, images
from core.datasets import digits, samples, solar_cells
from core.datasets.solar_cells import Wheel
from core.errors import Cancelled, DataError, NotFound, WorkspaceError
from core.progress import Progress, no_progress
from core.workspace import Workspace
from tests.pictures import encode, noise

LABELS = """images/cell0001.png  1.0                 mono
images/cell0002.png  0.3333333333333333  poly
images/cell0003.png  0.6666666666666666  poly
images/cell0004.png  0.0                 mono
"""


def make_wheel(path: Path, labels: str = LABELS, num_cells: int = 4, extra: str = "") -> Wheel:
    """Write a tiny package of solar cells and describe it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("elpv_dataset/data/labels.csv", labels)
        for index in range(num_cells):
            cell = encode(noise(index).convert("L"))
            archive.writestr(f"elpv_dataset/data/images/cell{index + 1:04d}.png", cell)
        if extra:
            archive.writestr(extra, "never unpacked")
    return Wheel("tiny==1", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def build_from(path: Path, wheel: Wheel) -> samples.Build:
    def fetch(wanted: Wheel, folder: Path, progress: Progress) -> Path:
        progress(wanted.num_bytes, wanted.num_bytes)
        return path

    return functools.partial(solar_cells.build, wheel=wheel, fetch=fetch)


def test_digits_are_ten_classes_of_upright_dark_ink(workspace: Workspace) -> None:
    told: list[tuple[int, int]] = []
    dataset = datasets.add_sample(workspace, "digits", lambda done, total: told.append((done, total)))
    table = datasets.list_files(dataset.root)
    sample = datasets.SAMPLES["digits"]
    assert (dataset.id, dataset.sample, dataset.name) == ("digits", "digits", "Handwritten digits")
    assert dataset.licence == "CC BY 4.0"
    assert "UCI" in dataset.source
    assert list(datasets.read_layout(dataset.root).class_names) == [str(digit) for digit in range(10)]
    assert len(table) == sample.num_images == 1797
    assert set(table["kind"]) == {"image"}
    assert told[-1] == (1797, 1797)
    zero = images.decode((dataset.root / table["path"][0]).read_bytes(), (64, 64))
    assert zero[:, :4].min() > 200
    assert zero[32, 32].min() > 200
    assert zero.min() < 50


def test_digits_are_the_same_files_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        digits.build(tmp_path / name, tmp_path, no_progress)
    for path in (tmp_path / "one").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_solar_cells_part_at_a_half_and_keep_their_metadata(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "tiny.whl"
    wheel = make_wheel(path, extra="../../escaped.txt")
    told: list[tuple[int, int]] = []
    dataset = datasets.add_sample(
        workspace, "solar-cells", lambda done, total: told.append((done, total)), build_from(path, wheel)
    )
    files = {str(file.relative_to(dataset.root)) for file in dataset.root.rglob("*") if file.is_file()}
    assert files == {
        "defective/cell0001.png",
        "defective/cell0003.png",
        "functional/cell0002.png",
        "functional/cell0004.png",
        "metadata.csv",
    }
    assert (dataset.root / "metadata.csv").read_text().splitlines() == [
        "path,module_type,probability",
        "defective/cell0001.png,mono,1.0",
        "functional/cell0002.png,poly,0.3333333333333333",
        "defective/cell0003.png,poly,0.6666666666666666",
        "functional/cell0004.png,mono,0.0",
    ]
    assert "NC" in dataset.licence
    assert told == sorted(told)
    assert told[-1] == (100, 100)
    assert [path.name for path in workspace.samples_dir.iterdir()] == ["solar-cells"]
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_package_with_another_checksum_is_never_unpacked(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "tiny.whl"
    make_wheel(path)
    with pytest.raises(DataError, match="this is not the file that Graft was tested with"):
        datasets.add_sample(workspace, "solar-cells", build=build_from(path, solar_cells.ELPV))
    assert list(workspace.samples_dir.iterdir()) == []
    assert datasets.list_datasets(workspace) == []


@pytest.mark.parametrize(
    ("labels", "num_cells", "words"),
    [
        ("images/../../x.png 1.0 mono", 4, "the line"),
        ("images/cell0001.png 7.0 mono", 4, "the line"),
        (LABELS, 3, "cell0004.png"),
        ("x" * 2_000_000, 4, "2,000,000 bytes"),
    ],
)
def test_a_package_with_something_unexpected_is_refused(
    tmp_path: Path, workspace: Workspace, labels: str, num_cells: int, words: str
) -> None:
    path = tmp_path / "tiny.whl"
    wheel = make_wheel(path, labels, num_cells)
    with pytest.raises(DataError, match="something unexpected") as caught:
        datasets.add_sample(workspace, "solar-cells", build=build_from(path, wheel))
    assert words in str(caught.value)
    assert list(workspace.samples_dir.iterdir()) == []


def test_a_file_that_is_no_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.whl"
    path.write_bytes(b"an error page")
    wheel = Wheel("tiny==1", hashlib.sha256(b"an error page").hexdigest(), 13)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="not a zip file"):
        build_from(path, wheel)(tmp_path / "out", tmp_path, no_progress)


def test_a_sample_is_made_once_and_again_after_it_was_deleted(workspace: Workspace) -> None:
    calls: list[Path] = []

    def build(pictures_dir: Path, scratch_dir: Path, progress: Progress) -> None:
        calls.append(pictures_dir)
        (pictures_dir / "0").mkdir()

    first = datasets.add_sample(workspace, "digits", build=build)
    assert datasets.add_sample(workspace, "digits", build=build) == first
    assert len(calls) == 1
    datasets.remove(workspace, "digits")
    assert list(workspace.samples_dir.iterdir()) == []
    datasets.add_sample(workspace, "digits", build=build)
    assert len(calls) == 2


def test_a_cancelled_or_failed_sample_leaves_nothing_behind(workspace: Workspace) -> None:
    def stop(done: int, total: int) -> None:
        if done > 5:
            raise Cancelled

    def fail(pictures_dir: Path, scratch_dir: Path, progress: Progress) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Cancelled):
        datasets.add_sample(workspace, "digits", stop)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        datasets.add_sample(workspace, "digits", build=fail)
    assert list(workspace.samples_dir.iterdir()) == []
    assert datasets.list_datasets(workspace) == []


def test_the_faster_of_two_builders_wins(workspace: Workspace) -> None:
    def build(pictures_dir: Path, scratch_dir: Path, progress: Progress) -> None:
        (workspace.samples_dir / "digits" / "0").mkdir(parents=True)
        (pictures_dir / "1").mkdir()

    dataset = datasets.add_sample(workspace, "digits", build=build)
    assert [path.name for path in dataset.root.iterdir()] == ["0"]


def test_what_a_killed_builder_left_is_cleared_after_a_day(workspace: Workspace) -> None:
    old, young = (workspace.samples_dir / f".digits.{name}.part" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    yesterday = time.time() - samples.ABANDONED_AFTER_S - 60
    os.utime(old, (yesterday, yesterday))
    datasets.add_sample(workspace, "digits", build=lambda pictures_dir, scratch_dir, progress: None)
    assert not old.exists()
    assert young.exists()


def test_an_unknown_sample_is_refused_with_those_there_are(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="Expected one of digits, solar-cells"):
        datasets.add_sample(workspace, "../etc")


def without_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    (tmp_path / "dest").mkdir()


def test_the_download_takes_the_wheel_that_pip_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_an_index(monkeypatch, tmp_path)
    path = tmp_path / "links/tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    told: list[int] = []
    found = solar_cells.download(
        Wheel("tiny==1", "", 1000), tmp_path / "dest", lambda done, total: told.append(done)
    )
    assert found.read_bytes() == path.read_bytes()
    assert told
    assert max(told) <= 1000


def test_a_failed_download_says_why_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_an_index(monkeypatch, tmp_path)
    with pytest.raises(DataError, match="No matching distribution found for tiny==1") as caught:
        solar_cells.download(Wheel("tiny==1", "", 91_000_000), tmp_path / "dest", no_progress)
    assert "needs your package index once, for 91 MB" in str(caught.value)
    assert "choose a sample that needs no download" in str(caught.value)


def test_a_download_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_an_index(monkeypatch, tmp_path)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        solar_cells.download(Wheel("tiny==1", "", 1000), tmp_path / "dest", stop)


def test_passwords_of_a_package_index_are_never_shown(tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_text("Looking in indexes\nERROR: Cannot reach https://me:secret@index.example/simple.\n")
    assert solar_cells._last_error(log) == "Cannot reach https://index.example/simple"
    log.write_text("No module named pip\n")
    assert solar_cells._last_error(log) == "No module named pip"


def test_sample_pictures_open_as_any_other(tmp_path: Path) -> None:
    digits.build(tmp_path, tmp_path, no_progress)
    with Image.open(tmp_path / "3/digit-0003.png") as picture:
        assert (picture.size, picture.mode) == ((digits.SIDE, digits.SIDE), "L")
