"""From a path to bytes, within limits."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from core.errors import UnreadableImage

MAX_FILE_BYTES = 128 * 2**20
"""Largest file read, in bytes: eight threads hold 1 GiB at worst."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; nothing else is opened, and a pipe or device is never waited for.

    Raises:
        UnreadableImage: The file is missing, may not be read, is not a regular file, is empty, or is larger
            than :data:`MAX_FILE_BYTES`.
    """
    try:
        # Looked at before it is opened, because opening some devices does something; and again afterwards,
        # because another program may have put something else in its place.
        _check_regular(os.stat(path))
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            _check_regular(os.fstat(file.fileno()))
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadableImage(
            "There is no file of this name. It was moved or deleted, or the name is written differently.",
            "missing",
        ) from error
    except PermissionError as error:
        raise UnreadableImage(
            "The file may not be read. Give yourself permission to read it.", "no_permission"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableImage(
            f"The file could not be read ({reason}). Copy it again from its source."
        ) from error
    check_num_bytes(len(data))
    return data


def read_unchanged(path: Path, sha256: str) -> bytes:
    """Return the content of a file that still has the bytes it was known by.

    Raises:
        UnreadableImage: As :func:`read_bytes`, or its bytes have another SHA-256.
    """
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnreadableImage("The file has changed since it was looked at. Look at the files again.")
    return data


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("This is not a file but a folder, pipe or device. Remove it.", "not_image")
    check_num_bytes(status.st_size)


def check_num_bytes(num_bytes: int) -> None:
    """Refuse an empty file and one larger than :data:`MAX_FILE_BYTES`.

    Raises:
        UnreadableImage: ``num_bytes`` is 0 or too large.
    """
    if num_bytes == 0:
        raise UnreadableImage(
            "The file is empty (0 bytes). Copy it again from its source, or remove it.", "empty"
        )
    if num_bytes > MAX_FILE_BYTES:
        raise UnreadableImage(
            f"The file has {num_bytes / 2**20:,.0f} MiB or more. "
            f"Expected at most {MAX_FILE_BYTES // 2**20} MiB. Save it smaller.",
            "too_large",
        )
