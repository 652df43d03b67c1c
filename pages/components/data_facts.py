"""What the Data page shows of an audited dataset: computed once per audit, then taken from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import streamlit as st

from core import audit, datasets, images, words
from core.audit import Check, Thresholds
from core.datasets import Dataset
from core.errors import DataError, NotFound, UnreadableImage
from pages.components import dataset as dataset_view
from pages.components import shell

THUMBNAIL_SIDE = 256
"""Pixels; twice the width of a card, for fine screens."""

CHANGES_TTL_S = 60
"""How long a comparison with the folder is trusted before the folder is walked through again."""

SIDE_STEPS = (0, 32, 64, 128, 224, 512, 1024, 2048)
"""Pixels; lower ends of the ranges of sizes. 32 is the least, 224 the usual input of a network."""

MAX_COMMON_SIZES = 8
_IDENTITY = ["path", "size", "mtime_ns", "inode"]


@dataclass(frozen=True)
class Facts:
    """What an audit found, without the table itself.

    Args:
        dataset: The audited dataset.
        written: When its table was written, in ns since 1970.
        version: Changes with the table and with what was decided.
        verdict: How the dataset stands, in one or two sentences.
        checks: All checks, the most severe first.
        thresholds: What they were held against.
        class_names: All class folders.
        given: The splits that the folder itself brings.
        num_pictures: Pictures that can be used.
        num_classes: Classes that have any.
        num_excluded, num_relabelled: Files that were decided about.
    """

    dataset: Dataset
    written: int
    version: str
    verdict: tuple[words.Sentence, ...]
    checks: tuple[Check, ...]
    thresholds: Thresholds
    class_names: tuple[str, ...]
    given: frozenset[str]
    num_pictures: int
    num_classes: int
    num_excluded: int
    num_relabelled: int

    @property
    def flagged(self) -> list[Check]:
        """The checks that found something."""
        return [check for check in self.checks if check.num_flagged]


@dataclass(frozen=True)
class Sizes:
    """How large the pictures are.

    Args:
        smallest, median, largest: Of the shorter sides, in pixels; 0 where there is no picture.
        sides: Pictures (``count``) whose shorter side is from ``low`` to below ``high`` pixels.
        formats: Pictures per ``format`` and ``mode``.
        common: Pictures per ``width`` and ``height``, the most common first.
    """

    smallest: int
    median: int
    largest: int
    sides: pd.DataFrame
    formats: pd.DataFrame
    common: pd.DataFrame


@dataclass(frozen=True)
class Changes:
    """What has happened to a folder since it was looked at: counts of files, or why it cannot be told."""

    added: int = 0
    removed: int = 0
    altered: int = 0
    problem: str = ""


def load(dataset: Dataset) -> Facts | None:
    """Return what the last finished audit found, or None where there was none."""
    moment, version = written(dataset), dataset_view.version(dataset)
    if moment is None or version is None:
        return None
    thresholds = audit.load_thresholds(shell.workspace(), dataset.id)
    return _facts(shell.workspace().home, dataset.id, version, thresholds, moment, dataset)


def written(dataset: Dataset) -> int | None:
    """Return when the files of a dataset were last looked at, in ns since 1970, or None where they never were."""
    try:
        return (shell.workspace().datasets_dir / dataset.id / "files.parquet").stat().st_mtime_ns
    except FileNotFoundError:
        return None


@st.cache_data(max_entries=16, show_spinner=False)
def _facts(
    home: Path, dataset_id: str, version: str, thresholds: Thresholds, written: int, _dataset: Dataset
) -> Facts | None:
    table = dataset_view.files(_dataset)
    layout = audit.load_layout(shell.workspace(), dataset_id)
    if table is None or layout is None:
        return None
    found = audit.checks(table, layout.class_names, layout.kind, thresholds)
    usable = table[table["usable"]]
    return Facts(
        dataset=_dataset,
        written=written,
        version=version,
        verdict=audit.verdict(table, found),
        checks=tuple(found),
        thresholds=thresholds,
        class_names=layout.class_names,
        given=frozenset(usable["given_split"]) - {""},
        num_pictures=len(usable),
        num_classes=usable["label"].nunique(),
        num_excluded=int(table["excluded"].sum()),
        num_relabelled=int((table["label"] != table["given_label"]).sum()),
    )


def count_pictures(dataset: Dataset) -> int | None:
    """Return how many pictures of a dataset can be used, or None where it has not been looked at."""
    version = dataset_view.version(dataset)
    return None if version is None else _num_usable(shell.workspace().home, dataset.id, version)


@st.cache_data(max_entries=256, show_spinner=False)
def _num_usable(home: Path, dataset_id: str, version: str) -> int | None:
    table = audit.load_decided(shell.workspace(), dataset_id)
    return None if table is None else int(table["usable"].sum())


def key(facts: Facts) -> tuple[Path, str, str]:
    """Return what the cache knows these facts by."""
    return shell.workspace().home, facts.dataset.id, facts.version


def table_of(dataset: Dataset) -> pd.DataFrame:
    """Return the table of a dataset that has been looked at."""
    table = dataset_view.files(dataset)
    if table is None:
        raise NotFound(
            f'The files of "{dataset.name}" have not been looked at. Press "Look at the files" on the Data page.'
        )
    return table


def thumbnails(dataset: Dataset, pictures: pd.DataFrame) -> list[bytes]:
    """Return a small picture for each row, empty where the file cannot be opened now."""
    return _thumbnails(tuple(pictures["sha256"]), [dataset.pictures / path for path in pictures["path"]])


@st.cache_data(max_entries=48, show_spinner=False)
def _thumbnails(hashes: tuple[str, ...], _paths: Sequence[Path]) -> list[bytes]:
    return list(images.map_in_threads(_thumbnail, _paths))


def _thumbnail(path: Path) -> bytes:
    try:
        return images.thumbnail(images.read_bytes(path), THUMBNAIL_SIDE)
    except UnreadableImage:
        return b""


def file_name(path: str) -> str:
    """Return the last part of a path in the table."""
    return PurePosixPath(path).name


def sizes(facts: Facts) -> Sizes:
    """Return how large the usable pictures are, and how they are stored."""
    return _sizes(*key(facts), facts.dataset)


@st.cache_data(max_entries=16, show_spinner=False)
def _sizes(home: Path, dataset_id: str, version: str, _dataset: Dataset) -> Sizes:
    table = table_of(_dataset)
    usable = table[table["usable"]]
    side = usable[["width", "height"]].min(axis=1)
    highs = [*SIDE_STEPS[1:], None]
    counts = pd.cut(side, [*SIDE_STEPS, float("inf")], right=False, labels=False).value_counts()
    sides = pd.DataFrame({"low": SIDE_STEPS, "high": pd.array(highs, dtype="Int64")})
    sides["count"] = counts.reindex(range(len(SIDE_STEPS)), fill_value=0)
    common = usable.value_counts(["width", "height"]).head(MAX_COMMON_SIZES).reset_index(name="count")
    formats = usable.value_counts(["format", "mode"]).reset_index(name="count")
    low, middle, high = (side.min(), side.median(), side.max()) if len(side) else (0, 0, 0)
    return Sizes(int(low), int(middle), int(high), sides, formats, common)


def changes(facts: Facts) -> Changes:
    """Compare the folder as it is now with the audited table, by names, sizes and times."""
    # What is decided changes no file, so it must not have the folder walked through again.
    return _changes(shell.workspace().home, facts.dataset.id, facts.written, facts.dataset)


@st.cache_data(max_entries=16, ttl=CHANGES_TTL_S, show_spinner=False)
def _changes(home: Path, dataset_id: str, written: int, _dataset: Dataset) -> Changes:
    table = table_of(_dataset)
    try:
        now = datasets.list_pictures(_dataset.pictures)
    except DataError as error:
        return Changes(problem=str(error))
    both = table[_IDENTITY].merge(
        now[_IDENTITY], on="path", how="outer", suffixes=("", "_now"), indicator=True
    )
    stayed = both[both["_merge"] == "both"]
    altered = sum(
        (stayed[name] != stayed[f"{name}_now"] for name in _IDENTITY[1:]), start=pd.Series(0, stayed.index)
    )
    return Changes(
        added=int((both["_merge"] == "right_only").sum()),
        removed=int((both["_merge"] == "left_only").sum()),
        altered=int((altered > 0).sum()),
    )
