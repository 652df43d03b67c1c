"""Pictures that come through the browser: first put aside as one zip, then unpacked by a job into the workspace.

An upload of single files becomes a zip too, so that there is one way in and one place that checks it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.datasets import archives
from core.datasets.archives import CHUNK_BYTES, Limits, Unpacked
from core.datasets.registry import Dataset, register, require_pictures, slug
from core.errors import DataError, NotFound, WorkspaceError
from core.progress import Progress, no_progress
from core.workspace import Workspace, replacing

ABANDONED_AFTER_S = 24 * 3600
"""Age at which an upload that nobody unpacked, or the rest of a killed unpacking, is cleared away."""

_TOKEN = re.compile(r"[0-9a-f]{32}")


def stage_zip(workspace: Workspace, file: BinaryIO) -> str:
    """Put an uploaded zip aside and return the token under which :func:`add_upload` finds it.

    Raises:
        WorkspaceError: It cannot be written.
    """
    with _staging(workspace) as (token, path), path.open("wb") as target:
        shutil.copyfileobj(file, target, CHUNK_BYTES)
    return token


def stage_files(workspace: Workspace, files: Iterable[BinaryIO]) -> str:
    """Put the files of an uploaded folder aside; the ``name`` of each is its path, beginning with the folder's name.

    Raises:
        DataError: They are more, or larger, than :func:`core.datasets.archives.limits` allows.
        WorkspaceError: They cannot be written.
    """
    limits = archives.limits()
    num_bytes = num_files = 0
    with _staging(workspace) as (token, path), zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            num_files, num_bytes = num_files + 1, num_bytes + _size(file)
            if num_files > limits.max_files or num_bytes > limits.max_bytes:
                raise DataError(
                    f"The folder has more than {limits.max_files:,} files or {limits.max_bytes / 1e9:,.1f} GB. "
                    "Upload a part of it, or put it on this machine and choose it there."
                )
            with archive.open(_stored_name(file.name), "w", force_zip64=True) as target:
                shutil.copyfileobj(file, target, CHUNK_BYTES)
    return token


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _stored_name(name: str) -> str:
    # zipfile cuts a name at its first zero byte; checked as it is, it is refused.
    return name.replace("\0", "\1")


@contextlib.contextmanager
def _staging(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    _clear_abandoned(workspace.uploads_dir)
    token = uuid.uuid4().hex
    with replacing(staged_path(workspace, token)) as temporary:
        yield token, temporary


def staged_path(workspace: Workspace, token: str) -> Path:
    """Return where an upload was put aside.

    Raises:
        NotFound: ``token`` does not have the form of one.
    """
    if not _TOKEN.fullmatch(token):
        raise NotFound(f'"{token}" is not the name of an upload. Upload the pictures again.')
    return workspace.uploads_dir / f".{token}.zip"


def add_upload(
    workspace: Workspace,
    token: str,
    name: str,
    progress: Progress = no_progress,
    limits: Limits | None = None,
) -> tuple[Dataset, Unpacked | None]:
    """Unpack an upload into a folder of its own and make it a dataset: whole, or not at all.

    Args:
        workspace: Where to.
        token: From :func:`stage_zip` or :func:`stage_files`.
        name: What to call the dataset; untrusted text.
        progress: Counts bytes; what it raises ends the unpacking.
        limits: How much may come out; those of the environment when not given.

    Returns:
        The dataset, and what came out; None where that was done before.

    Raises:
        DataError: The archive is refused (see :func:`core.datasets.archives.unpack`), or has no class folders with
            pictures; the upload is then thrown away.
        NotFound: The upload is not there any more.
        WorkspaceError: The pictures cannot be written.
    """
    staged, title = staged_path(workspace, token), display_name(name)
    root = workspace.uploads_dir / f"{slug(title)}-{token[:8]}"
    unpacked = None
    if not root.is_dir():
        if not staged.exists():
            raise NotFound(f'The upload "{title}" is not there any more. Upload the pictures again.')
        unpacked = _unpack_whole(staged, root, title, progress, limits or archives.limits())
    dataset = register(workspace, root.name, title, root)
    staged.unlink(missing_ok=True)
    return dataset, unpacked


def display_name(name: str) -> str:
    """Return what to call an upload by the name of its archive or of its first file."""
    first = PurePosixPath(name.replace("\\", "/")).parts
    title = first[0].removesuffix(".zip").removesuffix(".ZIP") if first else ""
    return " ".join(title.split()) or "upload"


def _unpack_whole(staged: Path, root: Path, title: str, progress: Progress, limits: Limits) -> Unpacked:
    temporary = root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        temporary.mkdir()
        unpacked = archives.unpack(staged, temporary, progress, limits, name=f'The upload "{title}"')
        require_pictures(temporary, shown=title)
        os.replace(temporary, root)
    except DataError:
        staged.unlink(missing_ok=True)  # it will not be better the next time
        raise
    except OSError as error:
        raise WorkspaceError(
            f'The pictures could not be written to "{root}" ({error.strerror or error}). '
            "Check that the disk has room and that the workspace may be written."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return unpacked


def _clear_abandoned(uploads_dir: Path) -> None:
    for path in [*uploads_dir.glob(".*.part"), *uploads_dir.glob(".*.zip")]:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
