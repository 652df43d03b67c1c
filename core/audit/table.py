"""The measured part of the audit: one row per file, each picture read, hashed and decoded once.

A table holds, beside what pages and splits read, the grey thumbnails by which near-duplicates are told; they are not
loaded with it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from core import datasets, images
from core.audit import near_duplicates
from core.audit.hashes import THUMBNAIL_SIDE
from core.audit.measures import PixelMeasures, measure
from core.datasets import Dataset, Layout, Pictures
from core.errors import UnreadableImage, WorkspaceError
from core.progress import Progress, no_progress
from core.workspace import Workspace, read_json, replacing, write_json

AUDIT_VERSION = f"3.{images.DECODE_VERSION}"
"""Rows written by another version are measured again."""

SAVE_EVERY = 2000
"""Pictures after which an unfinished audit is saved, so that a killed one is not lost."""

RACY_NS = 2 * 10**9
"""A file changed this shortly before it was read is read again: the coarsest file systems count 2 s."""

_FOLDER_PROBLEMS = {
    "no_permission": "The folder may not be opened. Give yourself permission to read it.",
    "bad_name": "The bytes of the name are not Unicode text, so it cannot be written down. Rename it.",
}


@dataclass(frozen=True, kw_only=True)
class _Measures(PixelMeasures):
    """What is found by opening one file."""

    sha256: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    problem: str = ""
    why: str = ""
    orientation: int = 1
    animated: bool = False
    private: str = ""
    examined_ns: int = 0
    thumbnail: bytes = b""


_MEASURES = [field.name for field in fields(_Measures)]
_DTYPES = {"str": object, "bytes": object, "int": np.int64, "bool": bool, "float": np.float32}
_IDENTITY = ["path", "size", "mtime_ns", "inode"]
_GROUPING = ["group", "likeness", "twin", "twin_likeness"]


def audit(workspace: Workspace, dataset: Dataset, progress: Progress = no_progress) -> pd.DataFrame:
    """Open every picture of a dataset, note what it is, and save the table in the workspace.

    Files that have not changed since the last audit, finished or not, are not opened again. A file that
    changes or vanishes meanwhile is noted as it was met.

    Args:
        workspace: Where the table is kept.
        dataset: The dataset; its folder is only read.
        progress: Counts pictures; what it raises ends the audit, which goes on from there the next time.

    Returns:
        The columns of :func:`core.datasets.list_pictures` and: ``sha256`` of the file's bytes (``""`` if not
        opened); ``width`` and ``height`` as shown, in pixels; ``format`` and ``mode`` as Pillow calls them;
        ``orientation`` (EXIF), ``animated`` and ``private`` (which of :data:`core.images.PRIVATE_TAGS` it tells);
        those of :class:`core.audit.measures.PixelMeasures`;
        ``problem`` (``""``, or the kind of UnreadableImage) and ``why``; ``usable`` (a picture of a class,
        without a problem); ``examined_ns`` and ``version``; and, of usable pictures, ``group``, the lowest
        ``sha256`` of its near-duplicates and copies (its own where it has none), and ``likeness``, how alike the
        picture of other bytes is that is most like it, 0…1 (0 where none is near); ``twin``, the ``sha256`` of the
        picture by which it hangs together with others at a likeness of ``twin_likeness`` (``""`` and 0 where it does
        with none before it), of which :func:`core.audit.near_duplicates.regrouped` makes groups anew.

    Raises:
        DataError: The dataset's folder is gone.
        WorkspaceError: The table cannot be written.
    """
    folder = workspace.datasets_dir / dataset.id
    folder.mkdir(parents=True, exist_ok=True)
    layout = datasets.read_layout(dataset.root)
    files = datasets.list_pictures(dataset.pictures)
    found = _Found(files, _stored(folder))
    found.examine(folder, dataset.pictures, progress)
    table = found.table()
    table = (
        table.assign(**_grouping(table, _grouped(folder)))
        .drop(columns="thumbnail")
        .assign(thumbnail=table["thumbnail"])
    )
    write_json(folder / "layout.json", asdict(layout))
    _save(table, folder / "files.parquet")
    _partial_path(folder).unlink(missing_ok=True)
    return table.drop(columns="thumbnail")


def load_table(workspace: Workspace, dataset_id: str) -> pd.DataFrame | None:
    """Return the table of the last finished audit, or None where there is none that can be read."""
    table = load_with_thumbnails(workspace, dataset_id)
    return None if table is None else table.drop(columns="thumbnail")


def load_with_thumbnails(workspace: Workspace, dataset_id: str) -> pd.DataFrame | None:
    """Return what :func:`load_table` does and a column ``thumbnail``, grey bytes, by which near-duplicates are told."""
    return _load(workspace.datasets_dir / dataset_id / "files.parquet")


def load_layout(workspace: Workspace, dataset_id: str) -> Layout | None:
    """Return how the folder was laid out at the last finished audit, or None where there was none."""
    path = workspace.datasets_dir / dataset_id / "layout.json"
    try:
        stored = read_json(path)
        return Layout(str(stored["kind"]), tuple(map(str, stored["class_names"])))
    except (WorkspaceError, KeyError, TypeError):
        return None


class _Found:
    """What is known of the files of a folder: measures from earlier audits where nothing changed, and new ones."""

    def __init__(self, files: pd.DataFrame, stored: pd.DataFrame) -> None:
        self.files = files
        self.stored = stored
        self._is_picture = files["kind"].isin(datasets.CLASS_KINDS).to_numpy()
        row = _row_of_same_file(files, stored)
        self._known = self._is_picture & (row >= 0)
        default = asdict(_Measures())
        self._columns = {}
        for field in fields(_Measures):
            column = np.full(len(files), default[field.name], dtype=_DTYPES[str(field.type)])
            column[self._known] = stored[field.name].to_numpy()[row[self._known]]
            self._columns[field.name] = column

    def examine(self, folder: Path, pictures: Pictures, progress: Progress) -> None:
        """Measure what is not known yet; an unfinished measurement is saved in the folder of the table."""
        waiting = np.flatnonzero(self._is_picture & ~self._known).tolist()
        num_pictures, paths = int(self._is_picture.sum()), self.files["path"].tolist()
        num_done = num_saved = num_pictures - len(waiting)
        progress(num_done, num_pictures)
        results = images.map_in_processes(_examine, [pictures / paths[row] for row in waiting])
        try:
            for row, measures in zip(waiting, results, strict=True):
                self._note(row, measures)
                num_done += 1
                if num_done - num_saved >= SAVE_EVERY:
                    num_saved = num_done
                    _save(self._done(), _partial_path(folder))
                progress(num_done, num_pictures)
        finally:
            results.close()
            if num_done < num_pictures:
                _save(self._done(), _partial_path(folder))

    def _note(self, row: int, measures: _Measures) -> None:
        for name in _MEASURES:
            self._columns[name][row] = getattr(measures, name)
        self._known[row] = True

    def _done(self) -> pd.DataFrame:
        return self.table()[self._known].assign(group="", likeness=0.0, twin="", twin_likeness=0.0)

    def table(self) -> pd.DataFrame:
        """Return the files with what was measured."""
        kind = self.files["kind"]
        columns = dict(self._columns)
        for name, why in _FOLDER_PROBLEMS.items():
            columns["problem"] = np.where(kind == name, name, columns["problem"])
            columns["why"] = np.where(kind == name, why, columns["why"])
        measured = pd.DataFrame(columns, index=self.files.index)
        measured = measured.astype({field.name: str for field in fields(_Measures) if field.type == "str"})
        usable = kind.isin(datasets.CLASS_KINDS) & (measured["problem"] == "")
        return self.files.join(measured).assign(usable=usable, version=AUDIT_VERSION)


def _grouping(table: pd.DataFrame, stored: pd.DataFrame) -> dict[str, Any]:
    """Return the columns that tell near-duplicates, as they were where the pictures are the same as before."""
    usable = table["usable"].to_numpy()
    columns = {name: np.full(len(table), "", dtype=object) for name in ("group", "twin")}
    columns |= {name: np.zeros(len(table), dtype=np.float32) for name in ("likeness", "twin_likeness")}
    pictures, before = _distinct(table), _distinct(stored)
    if not _same(pictures, before):
        own, own_before = pictures[~pictures["added"]], before[~before["added"]]
        before = pictures.assign(
            **_regrouped(
                pictures["sha256"].to_numpy(),
                pictures["thumbnail"].tolist(),
                pictures["added"].to_numpy(bool),
                own_before.set_index("sha256")["group"] if _same(own, own_before) else None,
            )
        )
    known = before.set_index("sha256")[_GROUPING]
    rows = known.index.get_indexer(pd.Index(table["sha256"][usable]))
    for name, column in columns.items():
        column[usable] = known[name].to_numpy()[rows]
    texts = {name: pd.array(columns[name], dtype=str) for name in ("group", "twin")}
    return {name: texts.get(name, columns[name]) for name in _GROUPING}


def _distinct(table: pd.DataFrame) -> pd.DataFrame:
    """Return the usable pictures, each of other bytes, and whether they are ``added`` only; those are the last rows."""
    only_added = pd.Series(datasets.added_rows(table), table.index).groupby(table["sha256"]).transform("all")
    usable = table.assign(added=only_added)[table["usable"].astype(bool)].drop_duplicates("sha256")
    return usable.sort_values(["added", "sha256"])


def _same(pictures: pd.DataFrame, others: pd.DataFrame) -> bool:
    return all(np.array_equal(pictures[name], others[name]) for name in ("sha256", "added"))


def _regrouped(
    sha256: npt.NDArray[np.object_],
    thumbnails: Sequence[bytes],
    added: npt.NDArray[np.bool_],
    own_groups: pd.Series | None,
) -> dict[str, Any]:
    """Group pictures, each with other bytes than the rest; a group is called by its lowest checksum.

    Photos that a person added, the last rows, neither name nor join groups of the folder's own pictures: their sides of
    the split hang on that, and adding a photo must move none. ``own_groups`` are those of the own ones by checksum,
    where they are known.
    """
    group, likeness = sha256.copy(), np.zeros(len(sha256), dtype=np.float32)
    twin, twin_likeness = np.full(len(sha256), "", dtype=object), likeness.copy()
    shown = np.flatnonzero([len(thumbnail) > 0 for thumbnail in thumbnails])
    pixels = np.frombuffer(b"".join(thumbnails), dtype=np.uint8)
    pixels = pixels.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    lowest, likeness[shown], links = near_duplicates.group(pixels)
    group[shown] = sha256[shown][lowest]
    if added.any():
        own, others = shown[~added[shown]], shown[added[shown]]
        if own_groups is not None:
            by_themselves = own_groups.loc[sha256[own].tolist()].to_numpy(dtype=object)
        else:
            by_themselves = sha256[own][near_duplicates.group(pixels[: len(own)])[0]]
        first_of = dict(zip(group[own][::-1], by_themselves[::-1], strict=True))
        group[own], group[others] = by_themselves, [first_of.get(name, name) for name in group[others]]
    twin[shown[links.row]], twin_likeness[shown[links.row]] = sha256[shown][links.to], links.likeness
    return dict(zip(_GROUPING, (group, likeness, twin, twin_likeness), strict=True))


def _examine(path: Path) -> _Measures:
    now = time.time_ns()
    sha256 = ""
    try:
        data = images.read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        info, picture = images.verify_reduced(data)
    except UnreadableImage as error:
        return _Measures(sha256=sha256, problem=error.kind, why=str(error), examined_ns=now)
    return _Measures(
        sha256=sha256,
        width=info.width,
        height=info.height,
        format=info.format,
        mode=info.mode,
        orientation=info.orientation,
        animated=info.animated,
        private=", ".join(info.private),
        examined_ns=now,
        thumbnail=near_duplicates.thumbnail(picture),
        **asdict(measure(picture)),
    )


def _stored(folder: Path) -> pd.DataFrame:
    """Return the rows of earlier audits that still hold if the file is the same, the newest of each path."""
    tables = [_load(path) for path in (folder / "files.parquet", _partial_path(folder))]
    rows = [_lasting(table) for table in tables if table is not None]
    if not rows:
        return pd.DataFrame({name: [] for name in (*_IDENTITY, *_MEASURES, *_GROUPING, "usable")})
    return pd.concat(rows).drop_duplicates("path", keep="last")


def _grouped(folder: Path) -> pd.DataFrame:
    """Return the rows of the last finished audit that tell near-duplicates: that hangs on the bytes of files alone."""
    last = _load(folder / "files.parquet")
    if last is None:
        return _stored(folder).iloc[:0]
    return last[(last["version"] == AUDIT_VERSION) & (last["group"] != "")]


def _lasting(table: pd.DataFrame) -> pd.DataFrame:
    settled = table["mtime_ns"] + RACY_NS < table["examined_ns"]
    # Permissions can be given without any other change of the file.
    lasting = ~table["problem"].isin(["no_permission", "missing"])
    return table[settled & lasting & (table["version"] == AUDIT_VERSION)]


def _row_of_same_file(files: pd.DataFrame, stored: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return for each file the row of the stored table that is of the same, unchanged file, or -1."""
    row = pd.Index(stored["path"]).get_indexer(pd.Index(files["path"].to_numpy()))
    for name in _IDENTITY[1:]:
        same = np.zeros(len(files), dtype=bool)
        same[row >= 0] = files[name].to_numpy()[row >= 0] == stored[name].to_numpy()[row[row >= 0]]
        row[~same] = -1
    return np.asarray(row, dtype=np.int64)


def _partial_path(folder: Path) -> Path:
    return folder / "files.partial.parquet"


def _save(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _load(path: Path) -> pd.DataFrame | None:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError):
        return None
    return table if {*_IDENTITY, *_MEASURES, *_GROUPING, "version", "usable"} <= set(table.columns) else None
