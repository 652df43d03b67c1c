"""Photos that somebody asks a run about: put aside in the workspace, and cleared away after a day.

They come from anywhere: names are kept for people to read and never become paths.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core import datasets, images
from core.datasets import archives
from core.datasets.archives import Limits
from core.errors import DataError, NotFound
from core.progress import no_progress
from core.workspace import Workspace, read_json, replacing, write_json

KEPT_S = 24 * 3600.0
MAX_FILES = 5_000
MAX_BYTES = 2_000_000_000
"""Limits of what is put aside at once; a larger folder is read where it is."""
NAMES = "names.json"

_TOKEN = re.compile(r"[0-9a-f]{32}")


def put(workspace: Workspace, files: Iterable[BinaryIO], max_bytes: int = MAX_BYTES) -> str:
    """Put photos and zips of photos aside and return the token under which they are found.

    Args:
        workspace: Where to.
        files: Each with a ``name``; what ends in ``.zip`` is unpacked.
        max_bytes: Of all of them together.

    Raises:
        DataError: They are too many or too large, or a zip is refused.
        WorkspaceError: They cannot be written.
    """
    inbox = _inbox(workspace)
    _clear(inbox)
    token = uuid.uuid4().hex
    folder = inbox / token
    folder.mkdir(parents=True)
    try:
        names = _put_all(folder, files, max_bytes)
        write_json(folder / NAMES, names)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return token


def _put_all(folder: Path, files: Iterable[BinaryIO], max_bytes: int) -> dict[str, str]:
    names: dict[str, str] = {}
    num_bytes = 0
    for file in files:
        num_bytes += file.seek(0, os.SEEK_END)
        file.seek(0)
        if num_bytes > max_bytes or len(names) >= MAX_FILES:
            raise DataError(
                f"Received more than {max_bytes / 1e6:,.0f} MB or {MAX_FILES:,} photos at once. Send fewer, or name a "
                "folder on this machine."
            )
        shown = PurePosixPath(str(file.name).replace("\\", "/")).name
        if shown.lower().endswith(".zip"):
            names |= _unpack(folder, file, max_bytes)
        else:
            names[_write(folder, file, shown)] = shown
    return names


def _write(folder: Path, file: BinaryIO, shown: str) -> str:
    """Write one photo under a name of its own and return that."""
    suffix = PurePosixPath(shown).suffix.lower()
    safe = suffix if suffix in images.EXTENSIONS else ".bin"
    stored = f"{hashlib.sha256(os.urandom(16)).hexdigest()[:16]}{safe}"
    with replacing(folder / stored) as temporary, temporary.open("wb") as target:
        shutil.copyfileobj(file, target, archives.CHUNK_BYTES)
    return stored


def _unpack(folder: Path, file: BinaryIO, max_bytes: int) -> dict[str, str]:
    packed = folder / f"{uuid.uuid4().hex}.zip"
    inner = folder / packed.stem
    inner.mkdir()
    try:
        with packed.open("wb") as target:
            shutil.copyfileobj(file, target, archives.CHUNK_BYTES)
        archives.unpack(packed, inner, no_progress, Limits(MAX_FILES, max_bytes), name="The zip")
    finally:
        packed.unlink(missing_ok=True)
    found = [path for path in sorted(inner.rglob("*")) if path.suffix.lower() in images.EXTENSIONS]
    return {str(path.relative_to(folder)): str(path.relative_to(inner)) for path in found if path.is_file()}


def photos(workspace: Workspace, token: str) -> dict[Path, str]:
    """Return the photos that were put aside, and what each was called.

    Raises:
        NotFound: There are none (any more) under this token.
    """
    folder = _inbox(workspace) / token
    if not _TOKEN.fullmatch(token) or not (folder / NAMES).exists():
        raise NotFound("These photos are not there any more: they are kept for a day. Drop them again.")
    names: dict[str, str] = read_json(folder / NAMES)
    return {folder / stored: shown for stored, shown in names.items()}


def _inbox(workspace: Workspace) -> Path:
    return workspace.uploads_dir / ".asked"


def _clear(inbox: Path) -> None:
    """Throw away what was put aside long ago."""
    if not inbox.exists():
        return
    for path in inbox.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_S:
                shutil.rmtree(path)


def names(workspace: Workspace, paths: Iterable[Path], below: Path | None = None) -> dict[str, str]:
    """Return what people know files as, by their paths; a name that is not Unicode has its odd bytes escaped.

    Args:
        workspace: Where photos are put aside: those are known by the names that they came with.
        paths: The files.
        below: The folder that was asked about, if it was one: what lies in it is known by its path in it, since folders
            of it may have files of the same name. Others are known by their own name.
    """
    inbox = _inbox(workspace)
    known: dict[Path, dict[Path, str]] = {}
    found = {}
    for path in paths:
        in_folder = below is not None and path.is_relative_to(below)
        shown = str(path.relative_to(below)) if below is not None and in_folder else path.name
        if path.is_relative_to(inbox):
            token = path.relative_to(inbox).parts[0]
            with contextlib.suppress(NotFound):
                if inbox / token not in known:
                    known[inbox / token] = photos(workspace, token)
                shown = known[inbox / token].get(path, shown)
        found[str(path)] = datasets.written(shown)
    return found


def below(folder: Path) -> list[Path]:
    """Return the pictures in a folder and all folders in it.

    Raises:
        DataError: There are none.
    """
    if not folder.is_dir():
        raise DataError(f'There is no folder "{folder}". Expected a folder with pictures. Check the path.')
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in images.EXTENSIONS and path.is_file()
    )
    if not found:
        raise DataError(f'The folder "{folder}" has no pictures. Expected files such as .jpg or .png.')
    return found
