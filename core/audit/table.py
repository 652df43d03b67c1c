"""The measured part of the audit: one row per file, each picture read, hashed and decoded once."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from core import datasets, images
from core.datasets import Dataset, Layout
from core.errors import UnreadableImage, WorkspaceError
from core.progress import Progress, no_progress
from core.workspace import Workspace, read_json, replacing, write_json

AUDIT_VERSION = f"1.{images.DECODE_VERSION}"
"""Rows written by another version are measured again."""

SAVE_EVERY = 2000
"""Pictures after which an unfinished audit is saved, so that a killed one is not lost."""

RACY_NS = 2 * 10**9
"""A file changed this shortly before it was read is read again: the coarsest file systems count 2 s."""

_FOLDER_PROBLEMS = {
    "no_permission": "The folder may not be opened. Give yourself permission to read it.",
    "bad_name": "The bytes of the name are not Unicode text, so it cannot be written down. Rename it.",
}


@dataclass(frozen=True)
class _Measures:
    """What is found by opening one file."""

    sha256: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    problem: str = ""
    why: str = ""
    examined_ns: int = 0


_MEASURES = [field.name for field in fields(_Measures)]
_IDENTITY = ["path", "size", "mtime_ns", "inode"]


def audit(workspace: Workspace, dataset: Dataset, progress: Progress = no_progress) -> pd.DataFrame:
    """Open every picture of a dataset, note what it is, and save the table in the workspace.

    Files that have not changed since the last audit, finished or not, are not opened again. A file that
    changes or vanishes meanwhile is noted as it was met.

    Args:
        workspace: Where the table is kept.
        dataset: The dataset; its folder is only read.
        progress: Counts pictures; what it raises ends the audit, which goes on from there the next time.

    Returns:
        The columns of :func:`core.datasets.list_files` and: ``sha256`` of the file's bytes (``""`` if not
        opened); ``width`` and ``height`` as shown, in pixels; ``format`` and ``mode`` as Pillow calls them;
        ``problem`` (``""``, or the kind of UnreadableImage) and ``why``; ``usable`` (a picture of a class,
        without a problem); ``examined_ns`` and ``version``.

    Raises:
        DataError: The dataset's folder is gone.
        WorkspaceError: The table cannot be written.
    """
    folder = workspace.datasets_dir / dataset.id
    folder.mkdir(parents=True, exist_ok=True)
    layout = datasets.read_layout(dataset.root)
    files = datasets.list_files(dataset.root)
    measures = _examine_all(folder, dataset.root, files, progress)
    table = _joined(files, measures)
    write_json(folder / "layout.json", asdict(layout))
    _save(table, folder / "files.parquet")
    _partial_path(folder).unlink(missing_ok=True)
    return table


def load_table(workspace: Workspace, dataset_id: str) -> pd.DataFrame | None:
    """Return the table of the last finished audit, or None where there is none that can be read."""
    return _load(workspace.datasets_dir / dataset_id / "files.parquet")


def load_layout(workspace: Workspace, dataset_id: str) -> Layout | None:
    """Return how the folder was laid out at the last finished audit, or None where there was none."""
    path = workspace.datasets_dir / dataset_id / "layout.json"
    try:
        stored = read_json(path)
        return Layout(str(stored["kind"]), tuple(map(str, stored["class_names"])))
    except (WorkspaceError, KeyError, TypeError):
        return None


def _examine_all(folder: Path, root: Path, files: pd.DataFrame, progress: Progress) -> dict[int, _Measures]:
    """Return the measures of all pictures by row number; reused where the file is the same as before."""
    pictures = [row for row, kind in enumerate(files["kind"]) if kind in datasets.CLASS_KINDS]
    measures = _reusable(folder, files, pictures)
    waiting = [row for row in pictures if row not in measures]
    paths = files["path"].tolist()
    num_saved = 0
    progress(len(measures), len(pictures))
    results = images.map_in_threads(_examine, (root / paths[row] for row in waiting))
    try:
        for row, result in zip(waiting, results, strict=True):
            measures[row] = result
            if len(measures) - num_saved >= SAVE_EVERY:
                num_saved = len(measures)
                _save_partial(folder, files, measures)
            progress(len(measures), len(pictures))
    finally:
        results.close()
        if len(measures) < len(pictures):
            _save_partial(folder, files, measures)
    return measures


def _examine(path: Path) -> _Measures:
    now = time.time_ns()
    sha256 = ""
    try:
        data = images.read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        info = images.verify(data)
    except UnreadableImage as error:
        return _Measures(sha256=sha256, problem=error.kind, why=str(error), examined_ns=now)
    return _Measures(sha256, info.width, info.height, info.format, info.mode, examined_ns=now)


def _reusable(folder: Path, files: pd.DataFrame, pictures: list[int]) -> dict[int, _Measures]:
    known: dict[tuple[Any, ...], _Measures] = {}
    for path in (folder / "files.parquet", _partial_path(folder)):
        table = _load(path)
        if table is None:
            continue
        settled = table["mtime_ns"] + RACY_NS < table["examined_ns"]
        # Permissions can be given without any other change of the file.
        lasting = ~table["problem"].isin(["no_permission", "missing"])
        table = table[settled & lasting & (table["version"] == AUDIT_VERSION)]
        values = table[_MEASURES].itertuples(index=False, name=None)
        for key, measured in zip(_identities(table), values, strict=True):
            known[key] = _Measures(*measured)
    keys = list(_identities(files))
    return {row: known[keys[row]] for row in pictures if keys[row] in known}


def _identities(table: pd.DataFrame) -> Any:
    return table[_IDENTITY].itertuples(index=False, name=None)


def _joined(files: pd.DataFrame, measures: dict[int, _Measures]) -> pd.DataFrame:
    rows = []
    for row, kind in enumerate(files["kind"]):
        unopened = (
            _Measures(problem=kind, why=_FOLDER_PROBLEMS[kind]) if kind in _FOLDER_PROBLEMS else _Measures()
        )
        rows.append(asdict(measures.get(row, unopened)))
    measured = pd.DataFrame(rows, columns=_MEASURES, index=files.index).astype(
        {"width": "int64", "height": "int64", "examined_ns": "int64"}
        | dict.fromkeys(("sha256", "format", "mode", "problem", "why"), str)
    )
    table = files.join(measured)
    table["usable"] = table["kind"].isin(datasets.CLASS_KINDS) & (table["problem"] == "")
    return table.assign(version=AUDIT_VERSION)


def _partial_path(folder: Path) -> Path:
    return folder / "files.partial.parquet"


def _save_partial(folder: Path, files: pd.DataFrame, measures: dict[int, _Measures]) -> None:
    done = sorted(measures)
    some = {position: measures[row] for position, row in enumerate(done)}
    _save(_joined(files.iloc[done].reset_index(drop=True), some), _partial_path(folder))


def _save(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _load(path: Path) -> pd.DataFrame | None:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError):
        return None
    return table if {*_IDENTITY, *_MEASURES, "version", "usable"} <= set(table.columns) else None
