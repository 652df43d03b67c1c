"""Photos that somebody asks a run about: put aside in the workspace, and cleared away after a day.

Those of a demo's visitors lie apart and go after an hour, or with the demo.

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
from core.workspace import Workspace, directory_size, read_json, replacing, write_json

KEPT_S = 24 * 3600.0
VISITORS_KEPT_S = 3600.0
"""Of a demo's visitors: they look at the answer, and come back to nothing."""
MAX_FILES = 5_000
MAX_BYTES = 2_000_000_000
"""Limits of what is put aside at once; a larger folder is read where it is."""
MAX_VISITORS_BYTES = 1_000_000_000
"""Of all that a demo's visitors have put aside: many times what may wait for an answer. The oldest goes first."""
MIN_FREE_BYTES = 1_000_000_000
"""Of the disk; a demo's visitors are not let use the last of it."""
NAMES = "names.json"

_TOKEN = re.compile(r"[0-9a-f]{32}")


def put(
    workspace: Workspace, files: Iterable[BinaryIO], max_bytes: int = MAX_BYTES, *, demo: str = ""
) -> str:
    """Put photos and zips of photos aside and return the token under which they are found.

    Args:
        workspace: Where to.
        files: Each with a ``name``; what ends in ``.zip`` is unpacked.
        max_bytes: Of all of them together.
        demo: :func:`core.demonstration.mark` of the demo whose visitor asks: what they all have put aside takes at most
            :data:`MAX_VISITORS_BYTES`.

    Raises:
        DataError: They are too many or too large, a zip is refused, or the disk has no room for a visitor's.
        WorkspaceError: They cannot be written.
    """
    clear(workspace)
    inbox = _inboxes(workspace)[bool(demo)]
    if demo:
        _make_room(inbox, max_bytes)
    token = f"{demo}{uuid.uuid4().hex[len(demo) :]}"
    folder = inbox / token
    folder.mkdir(parents=True)
    try:
        remedy = "Send fewer." if demo else "Send fewer, or name a folder on this machine."
        names = _put_all(folder, files, max_bytes, remedy)
        write_json(folder / NAMES, names)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return token


def _put_all(folder: Path, files: Iterable[BinaryIO], max_bytes: int, remedy: str) -> dict[str, str]:
    names: dict[str, str] = {}
    num_bytes = 0
    for file in files:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if num_bytes + size > max_bytes or len(names) >= MAX_FILES:
            raise DataError(
                f"Received more than {max_bytes / 1e6:,.0f} MB or {MAX_FILES:,} photos at once. {remedy}"
            )
        shown = PurePosixPath(str(file.name).replace("\\", "/")).name
        if shown.lower().endswith(".zip"):
            # What is in a zip counts as it is unpacked.
            unpacked = _unpack(folder, file, Limits(MAX_FILES - len(names), max_bytes - num_bytes))
            num_bytes += sum((folder / stored).stat().st_size for stored in unpacked)
            names |= unpacked
        else:
            num_bytes += size
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


def _unpack(folder: Path, file: BinaryIO, limits: Limits) -> dict[str, str]:
    packed = folder / f"{uuid.uuid4().hex}.zip"
    inner = folder / packed.stem
    inner.mkdir()
    try:
        with packed.open("wb") as target:
            shutil.copyfileobj(file, target, archives.CHUNK_BYTES)
        archives.unpack(packed, inner, no_progress, limits, name="The zip")
    finally:
        packed.unlink(missing_ok=True)
    found = [path for path in sorted(inner.rglob("*")) if path.suffix.lower() in images.EXTENSIONS]
    return {str(path.relative_to(folder)): str(path.relative_to(inner)) for path in found if path.is_file()}


def photos(workspace: Workspace, token: str) -> dict[Path, str]:
    """Return the photos that were put aside, and what each was called.

    Raises:
        NotFound: There are none (any more) under this token.
    """
    places = [inbox / token for inbox in _inboxes(workspace)] if _TOKEN.fullmatch(token) else []
    folder = next((place for place in places if (place / NAMES).exists()), None)
    if folder is None:
        raise NotFound(
            "These photos are not there any more: they are kept for a day, a demo's for an hour. Drop them again."
        )
    names: dict[str, str] = read_json(folder / NAMES)
    return {folder / stored: shown for stored, shown in names.items()}


def are_there(paths: Iterable[str]) -> bool:
    """Tell whether photos that were put aside have not been thrown away."""
    return all(Path(path).exists() for path in paths)


def _inboxes(workspace: Workspace) -> tuple[Path, Path]:
    """Return where the user's photos are put aside, and where those of a demo's visitors."""
    return workspace.uploads_dir / ".asked", workspace.uploads_dir / ".asked-by-visitors"


def clear(workspace: Workspace, ended_demo: str = "") -> None:
    """Throw away what was put aside long ago, and all that the visitors of a demo have, where it has ended."""
    for inbox, kept_s in zip(_inboxes(workspace), (KEPT_S, VISITORS_KEPT_S), strict=True):
        found: list[Path] = []
        with contextlib.suppress(
            OSError
        ):  # nobody has asked anything yet, or the other one can still be read
            found = list(inbox.iterdir())
        for path in found:
            is_of_demo = ended_demo and kept_s == VISITORS_KEPT_S and path.name.startswith(ended_demo)
            with contextlib.suppress(OSError):
                if is_of_demo or time.time() - path.stat().st_mtime > kept_s:
                    shutil.rmtree(path)


def _make_room(inbox: Path, num_bytes: int) -> None:
    """Throw away the oldest questions until one more of so many bytes fits.

    Raises:
        DataError: The disk is nearly full.
    """
    inbox.mkdir(parents=True, exist_ok=True)
    kept = num_bytes
    for path in sorted(inbox.iterdir(), key=_put_at, reverse=True):
        kept += directory_size(path)
        if kept > MAX_VISITORS_BYTES:
            shutil.rmtree(path, ignore_errors=True)
    if shutil.disk_usage(inbox).free - num_bytes < MIN_FREE_BYTES:
        raise DataError(
            "The machine that shows this model has no room for photos now. Tell who showed it to you."
        )


def _put_at(path: Path) -> float:
    """Return when photos were put aside; what another visitor's question has just cleared away is as old as can be."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def names(workspace: Workspace, paths: Iterable[Path], below: Path | None = None) -> dict[str, str]:
    """Return what people know files as, by their paths; a name that is not Unicode has its odd bytes escaped.

    Args:
        workspace: Where photos are put aside: those are known by the names that they came with.
        paths: The files.
        below: The folder that was asked about, if it was one: what lies in it is known by its path in it, since folders
            of it may have files of the same name. Others are known by their own name.
    """
    known: dict[Path, dict[Path, str]] = {}
    found = {}
    for path in paths:
        in_folder = below is not None and path.is_relative_to(below)
        shown = str(path.relative_to(below)) if below is not None and in_folder else path.name
        for inbox in (place for place in _inboxes(workspace) if path.is_relative_to(place)):
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
