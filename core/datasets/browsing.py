"""What lies in a folder, for somebody who looks for the one with the pictures."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import images
from core.datasets.layouts import SPLIT_NAMES, is_hidden, is_text, read_layout
from core.datasets.roots import confine
from core.errors import DataError

MAX_FOLDERS = 1_000
"""Subfolders that a listing tells of."""
MAX_CLASS_FOLDERS = 300
MAX_ENTRIES = 5_000
"""Names that are read of a folder's class folders before its counts are called "at least"."""
PATIENCE_S = 1.0
"""How long subfolders are counted in; those that are not reached are listed without counts."""


@dataclass(frozen=True)
class Folder:
    """A folder, and what can be seen in it at a glance.

    Args:
        path: The folder, absolute, links resolved.
        num_pictures: Pictures in it and in its class folders, by their names; None where it was not counted.
        num_classes: Class folders with pictures.
        is_whole: Whether everything was counted; else there are at least so many.
    """

    path: Path
    num_pictures: int | None = None
    num_classes: int = 0
    is_whole: bool = True

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name or str(self.path)

    @property
    def looks_like_dataset(self) -> bool:
        """Whether a classifier could be trained on it, as far as a glance tells."""
        return self.num_classes >= 2


@dataclass(frozen=True)
class Listing:
    """A folder and those in it.

    Args:
        here: The folder.
        above: The folders around it, the outermost that may be seen first.
        folders: Its visible subfolders, those that look like datasets first, then by name.
        num_more: Subfolders beyond :data:`MAX_FOLDERS`.
    """

    here: Folder
    above: tuple[Path, ...]
    folders: tuple[Folder, ...]
    num_more: int = 0


def browse(path: Path | str, roots: Sequence[Path]) -> Listing:
    """List a folder for somebody who chooses one; links and hidden folders are left out.

    Args:
        path: The folder.
        roots: As :func:`core.datasets.allowed_roots` returns them.

    Raises:
        DataError: It leads out of the roots, is no folder, or may not be read.
    """
    folder = confine(path, roots)
    names = sorted(_subfolders(folder), key=str.casefold)
    deadline = time.monotonic() + PATIENCE_S
    inner = [_glance(folder / name, deadline) for name in names[:MAX_FOLDERS]]
    inner.sort(key=lambda one: not one.looks_like_dataset)
    above = [outer for outer in reversed(folder.parents) if any(outer.is_relative_to(root) for root in roots)]
    here = _glance(folder, time.monotonic() + PATIENCE_S)
    return Listing(here, tuple(above), tuple(inner), max(0, len(names) - MAX_FOLDERS))


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name) and is_text(entry.name)
            ]
    except OSError as error:
        raise DataError(
            f'The folder "{folder}" cannot be opened ({error.strerror}). Expected a folder that exists and that you '
            "may read. Choose another one."
        ) from error


def _glance(folder: Path, deadline: float) -> Folder:
    """Count the pictures in a folder and in its class folders, by their endings, until it takes too long."""
    if time.monotonic() > deadline:
        return Folder(folder)
    try:
        class_folders, layout_is_whole = _class_folders(folder)
    except (DataError, OSError):
        return Folder(folder)
    num_pictures, is_whole = _count(folder)
    classes: set[str] = set()
    for one in class_folders:
        if time.monotonic() > deadline or num_pictures > MAX_ENTRIES:
            is_whole = False
            break
        found, counted = _count(one)
        num_pictures, is_whole = num_pictures + found, is_whole and counted
        classes |= {one.name} if found else set()
    return Folder(folder, num_pictures, len(classes), is_whole and layout_is_whole)


def _class_folders(folder: Path) -> tuple[list[Path], bool]:
    """Return the folders of classes, in each split where there are splits, and whether these are all."""
    inner = [folder / name for name in _subfolders(folder)[: MAX_CLASS_FOLDERS + 1]]
    if len(inner) <= len(SPLIT_NAMES) and read_layout(folder).kind == "splits":
        inner = [split / name for split in inner for name in _subfolders(split)[: MAX_CLASS_FOLDERS + 1]]
    return inner[:MAX_CLASS_FOLDERS], len(inner) <= MAX_CLASS_FOLDERS


def _count(folder: Path) -> tuple[int, bool]:
    """Return how many names of a folder end like those of pictures, and whether all were looked at."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, MAX_ENTRIES + 1)]
    except OSError:
        return 0, False
    found = sum(
        os.path.splitext(name)[1].lower() in images.EXTENSIONS and not is_hidden(name) for name in names
    )
    return found, len(names) <= MAX_ENTRIES
