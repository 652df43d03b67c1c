"""Photos that a person added to a dataset's training pictures: copies in the workspace, never in the person's folder.

They lie in ``datasets/<id>/added/<class>/<hash of the bytes><suffix>`` and that is all there is of them: the folder is
their label, the name says which bytes they are, and deleting the file takes the photo back. In tables their paths begin
with :data:`FOLDER`, which no picture's of the dataset's own folder can, since it would be hidden there.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.datasets.layouts import FileRow as _FileRow
from core.datasets.layouts import Layout, as_table, list_files, read_layout
from core.errors import DataError, WorkspaceError
from core.workspace import write_bytes

FOLDER = ".added"
"""First part of the paths of added photos in tables."""

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]+")
_SHA256_CHARS = 64


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a dataset are: ``pictures / path`` is the file of a path in its table.

    Args:
        root: The dataset's folder, which is only read.
        added_dir: The folder in the workspace with the photos that were added.
    """

    root: Path
    added_dir: Path

    def __truediv__(self, path: str) -> Path:
        """Return the file that a path in the dataset's table stands for."""
        first, _, rest = path.partition("/")
        return self.added_dir / rest if first == FOLDER else self.root / path

    def is_dir(self) -> bool:
        """Return whether the dataset's folder is there."""
        return self.root.is_dir()


def is_added(path: str) -> bool:
    """Return whether a path in a table is that of a photo that a person added."""
    return path.startswith(f"{FOLDER}/")


def added_rows(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows of a table are photos that a person added; ``table``: column ``path``, if it has one."""
    if "path" not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return np.array([is_added(path) for path in table["path"].tolist()], dtype=bool)


def hash_in(path: str) -> str:
    """Return the SHA-256 of the bytes of an added photo, as its path in a table says it."""
    return Path(path).name[:_SHA256_CHARS]


def list_pictures(pictures: Pictures) -> pd.DataFrame:
    """Return the rows of :func:`core.datasets.list_files` and, after them, those of added photos.

    An added photo belongs to train where the folder tells splits. One whose class the folder does not have (any more)
    is no picture of a class.

    Raises:
        DataError: As :func:`core.datasets.list_files`.
    """
    found = list_files(pictures.root)
    added = list_added(pictures, read_layout(pictures.root))
    return pd.concat([found, added], ignore_index=True) if len(added) else found


def list_added(pictures: Pictures, layout: Layout | None = None) -> pd.DataFrame:
    """Return the rows of added photos, as of :func:`core.datasets.list_files`, by path.

    Args:
        pictures: Of a dataset.
        layout: Of its folder; where it is not given every class counts as known, and no split is given.
    """
    rows = []
    for file in sorted(pictures.added_dir.glob("*/*")):
        if not _NAME.fullmatch(file.name):
            continue
        try:
            status = os.lstat(file)
        except OSError:  # taken back in the meantime
            continue
        label = file.parent.name
        known = layout is None or label in layout.class_names
        rows.append(
            _FileRow(
                path=f"{FOLDER}/{label}/{file.name}",
                label=label if known else "",
                given_split="train" if layout is not None and layout.kind == "splits" else "",
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
                inode=status.st_ino,
                kind="image" if known else "outside_class",
            )
        )
    return as_table(rows)


def find_added(pictures: Pictures, sha256: str) -> str:
    """Return the path in tables of the photo that was added with these bytes, or ``""``."""
    for file in pictures.added_dir.glob(f"*/{sha256}.*"):
        if _NAME.fullmatch(file.name):
            return f"{FOLDER}/{file.parent.name}/{file.name}"
    return ""


def put_photo(pictures: Pictures, data: bytes, label: str, suffix: str) -> str:
    """Keep a copy of a photo in the workspace, whole or not at all, and return its path in tables.

    Args:
        pictures: Of the dataset that it is added to.
        data: The bytes of its file.
        label: A class of the dataset.
        suffix: Of its format, such as ``".jpg"``.

    Raises:
        WorkspaceError: It cannot be written.
    """
    name = f"{hashlib.sha256(data).hexdigest()}{suffix}"
    folder = pictures.added_dir / label
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f'"{folder}" could not be made ({error.strerror}). Check that the disk has room and that the folder may be '
            "written."
        ) from error
    write_bytes(folder / name, data)
    return f"{FOLDER}/{label}/{name}"


def take_back(pictures: Pictures, path: str) -> None:
    """Delete the workspace's copy of a photo that was added; one that is gone already is no fault.

    Raises:
        DataError: ``path`` is not that of an added photo: no other file is ever deleted.
        WorkspaceError: The file cannot be deleted.
    """
    parts = path.split("/")
    if len(parts) != 3 or parts[0] != FOLDER or parts[1] in ("", ".", "..") or not _NAME.fullmatch(parts[2]):
        raise DataError(
            f'"{path}" is not a photo that was added. Expected one that is listed on the Data page.'
        )
    try:
        (pictures / path).unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f'"{pictures / path}" could not be deleted ({error.strerror}). Check its permissions.'
        ) from error
