"""A folder becomes a table: one row per file, with its class and the split it came in.

    root/class/*                                          the "classes" layout
    root/{train, val|valid|validation, test}/class/*      the "splits" layout

Only names and file attributes are looked at here; whether a picture can be opened is for the audit to say.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from core import images
from core.errors import DataError

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folder names (lower case) that stand for a split, and the split."""

SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Visible folders that zip tools, network disks and operating systems leave behind; treated as hidden."""

MAX_FILES = 1_000_000
"""Most files and folders looked at, so that choosing "/" by mistake ends."""

METADATA_NAME = "metadata.csv"
"""A table about the pictures that may lie beside the class folders, with their ``path`` as first column."""

CLASS_KINDS = ("image", "nested")
"""Kinds of rows that are pictures of a class."""

_COLUMNS = ("path", "label", "given_split", "size", "mtime_ns", "inode", "kind")


@dataclass(frozen=True)
class Layout:
    """How a folder tells classes and splits.

    Args:
        kind: ``"classes"`` or ``"splits"``.
        class_names: All class folders in alphabetical order, also those without a picture.
    """

    kind: str
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class FileRow:
    """One file; see :func:`list_files` for the columns."""

    path: str
    label: str
    given_split: str
    size: int
    mtime_ns: int
    inode: int
    kind: str


def read_layout(root: Path) -> Layout:
    """Find out how a folder is laid out.

    It is a split layout only if every visible top folder has a split's name and at least one visible
    subfolder, so a class may be called "train". Class names are in Unicode's composed form (NFC): what looks
    the same is the same class, whichever system wrote the folder.

    Raises:
        DataError: The folder is gone or may not be read.
    """
    folders = _visible_folders(_scan_root(root))
    subfolders = {name: _subfolders(root / name) for name in folders if name.casefold() in SPLIT_NAMES}
    if folders and len(subfolders) == len(folders) and all(subfolders.values()):
        names = {_composed(name) for inner in subfolders.values() for name in inner}
        return Layout("splits", tuple(sorted(names)))
    return Layout("classes", tuple(sorted({_composed(name) for name in folders})))


def list_files(root: Path) -> pd.DataFrame:
    """Return one row per file, sorted by path.

    Links and hidden folders are told but never followed or used, and folders are entered at any depth.

    Returns:
        Columns: ``path`` (relative to the root, with ``/``); ``label`` (class name, or ``""`` outside of
        any); ``given_split`` (``"train"``, ``"val"``, ``"test"``, or ``""`` in the classes layout); ``size``
        (bytes); ``mtime_ns``; ``inode``; and ``kind``:

        - ``"image"`` and ``"nested"`` (deeper than the class folder): meant as pictures by their ending or,
          where the ending is unknown, by their first bytes;
        - ``"other"``: not a picture;
        - ``"outside_class"``: a picture beside the class folders;
        - ``"hidden"``: the name of the file, or of a folder around it, begins with a dot;
        - ``"symlink"``, ``"symlink_outside"``, ``"symlink_broken"``: a link to something inside the dataset,
          outside of it, or to nothing;
        - ``"no_permission"``: a folder that cannot be opened;
        - ``"bad_name"``: the bytes of the name are not Unicode (shown with escapes).

    Raises:
        DataError: The folder is gone or may not be read, or holds more than :data:`MAX_FILES` files.
    """
    rows = sorted(iterate_files(root, read_layout(root)), key=lambda row: row.path)
    taken = {row.path for row in rows if row.kind != "bad_name"}
    return as_table([_of_its_own(row, taken) for row in rows])


def _of_its_own(row: FileRow, taken: set[str]) -> FileRow:
    """Return a row whose path is no other's: escapes may show a name that is not Unicode as another file's name."""
    if row.kind != "bad_name":
        return row
    path, number = row.path, 1
    while path in taken:
        number += 1
        path = f"{row.path} ({number})"
    taken.add(path)
    return replace(row, path=path)


def as_table(rows: Sequence[FileRow]) -> pd.DataFrame:
    """Return rows as the table that :func:`list_files` describes."""
    table = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in _COLUMNS})
    return table.astype(
        {"path": str, "label": str, "given_split": str, "kind": str}
        | {"size": "int64", "mtime_ns": "int64", "inode": "uint64"}
    )


def iterate_files(root: Path, layout: Layout) -> Iterator[FileRow]:
    """Yield the rows of :func:`list_files` as they are found, in no particular order.

    Raises:
        DataError: As :func:`list_files`.
    """
    num_seen = 0
    real_root = os.path.realpath(root)
    waiting = [("", False)]
    while waiting:
        folder, hidden = waiting.pop()
        try:
            entries = _scan(root / folder) if folder else _scan_root(root)
        except OSError:
            yield _row(folder, layout, None, "hidden" if hidden else "no_permission")
            continue
        num_seen += len(entries)
        if num_seen > MAX_FILES:
            raise DataError(
                f'"{root}" holds more than {MAX_FILES:,} files. '
                "Expected a folder with one subfolder per class. Choose the folder with the pictures only."
            )
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            entry_hidden = hidden or is_hidden(entry.name)
            if entry.is_dir(follow_symlinks=False) and is_text(entry.name):
                waiting.append((path, entry_hidden))
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            kind = "hidden" if entry_hidden else _kind(entry, status, real_root)
            yield _row(path, layout, status, kind)


def _subfolders(folder: Path) -> list[str]:
    try:
        return _visible_folders(_scan(folder))
    except OSError:
        return []


def _visible_folders(entries: list[os.DirEntry[str]]) -> list[str]:
    return [
        entry.name
        for entry in entries
        if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name) and is_text(entry.name)
    ]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _scan_root(root: Path) -> list[os.DirEntry[str]]:
    try:
        return _scan(root)
    except OSError as error:
        raise DataError(
            f'The folder "{root}" cannot be opened ({error.strerror}). '
            "Expected a folder that exists and may be read. "
            "Put it back, connect its disk, or give yourself permission."
        ) from error


def _kind(entry: os.DirEntry[str], status: os.stat_result, real_root: str) -> str:
    if not is_text(entry.name):
        return "bad_name"
    if stat.S_ISLNK(status.st_mode):
        return _link_kind(entry.path, real_root)
    if not stat.S_ISREG(status.st_mode):
        return "other"
    suffix = os.path.splitext(entry.name)[1].lower()
    return "image" if suffix in images.EXTENSIONS or _begins_like_a_picture(entry.path) else "other"


def _link_kind(path: str, real_root: str) -> str:
    if not os.path.exists(path):
        return "symlink_broken"
    target = os.path.realpath(path)
    return "symlink" if os.path.commonpath([target, real_root]) == real_root else "symlink_outside"


def _begins_like_a_picture(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            # "BM" begins many a text, and raw photos of cameras begin like TIFF.
            return images.sniff(file.read(16)) not in ("", "BMP", "TIFF")
    except OSError:
        return False


def _row(path: str, layout: Layout, status: os.stat_result | None, kind: str) -> FileRow:
    """Say where a file stands: its class is its top folder, or the one below a split's folder."""
    parts = path.split("/")
    given_split, depth = "", len(parts) - 1
    if layout.kind == "splits" and depth > 0:
        given_split, depth, parts = SPLIT_NAMES.get(parts[0].casefold(), ""), depth - 1, parts[1:]
    elif layout.kind == "splits":
        depth = 0
    label = _composed(parts[0]) if depth > 0 or (status is None and len(parts) == 1) else ""
    if kind == "image":
        kind = ("outside_class", "image")[depth] if depth < 2 else "nested"
    return FileRow(
        path=written(path),
        label=label if label in layout.class_names else "",
        given_split=given_split,
        size=status.st_size if status else 0,
        mtime_ns=status.st_mtime_ns if status else 0,
        inode=status.st_ino if status else 0,
        kind=kind,
    )


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or made by a system."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def is_text(name: str) -> bool:
    """Return whether a name can be written down: whether its bytes are Unicode."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def written(path: str) -> str:
    """Return a path as it can be written down: bytes that are not Unicode are escaped, as in ``bad\\xff.jpg``."""
    return path if is_text(path) else os.fsencode(path).decode(errors="backslashreplace")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
