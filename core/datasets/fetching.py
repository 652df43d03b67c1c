"""One file from elsewhere: fetched only when somebody asks for it, and believed only if its checksum is right."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError, network_reason
from core.progress import Progress

TIMEOUT_S = 30.0
"""How long nothing may come before a download is given up."""
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Remote:
    """A file that is known exactly.

    Args:
        url: Where it is.
        sha256: Its checksum, hexadecimal.
        num_bytes: Its size.
    """

    url: str
    sha256: str
    num_bytes: int


def download(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Fetch a file whole; it is not checked yet.

    Args:
        remote: What to fetch.
        folder: Takes the file.
        progress: Counts bytes; what it raises ends the download.

    Raises:
        DataError: It cannot be fetched, or has another size.
        OSError: It cannot be written.
    """
    path = folder / remote.url.rpartition("/")[2]
    with path.open("wb") as file:
        try:
            with urllib.request.urlopen(remote.url, timeout=TIMEOUT_S) as answer:
                while chunk := answer.read(CHUNK_BYTES):
                    file.write(chunk)
                    progress(min(file.tell(), remote.num_bytes), remote.num_bytes)
                    if file.tell() > remote.num_bytes:
                        break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise DataError(
                f'"{remote.url}" could not be fetched ({network_reason(error)}). This sample needs the internet '
                f"once, for {remote.num_bytes / 1e6:.0f} MB. Connect and try again, or choose a sample that needs no "
                "download."
            ) from error
    if path.stat().st_size != remote.num_bytes:
        raise DataError(
            f'"{remote.url}" came with {path.stat().st_size:,} bytes or more. Expected {remote.num_bytes:,}: the '
            "download broke off, or something else answered. Try again."
        )
    return path


def require_checksum(path: Path, sha256: str, remedy: str) -> None:
    """Refuse a file that is not the one that is known.

    Raises:
        DataError: It has another SHA-256; the message ends with ``remedy``.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise DataError(
            f"{path.name} has the checksum {found[:12]}…. Expected {sha256[:12]}…: "
            f"this is not the file that Graft was tested with, so it was not unpacked. {remedy}"
        )
