"""A zip that somebody uploads, unpacked as if an enemy had made it.

Everything that can be told from the archive's own list is checked before the first byte is written; the rest while it
is written. Names are the archive's only say in where a file goes, and they are taken apart and checked one by one.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core import images
from core.datasets.layouts import SPLIT_NAMES, is_hidden
from core.errors import DataError
from core.progress import Progress

CHUNK_BYTES = 1 << 20
MAX_NAME_BYTES = 255
"""Longest name of a file or folder that usual file systems keep."""
MAX_PATH_CHARS = 500
MAX_DEPTH = 20
SPARE_BYTES = 500_000_000
"""Room on the disk that unpacking leaves to everything else."""
FREE_RATIO_BYTES = 10_000_000
"""An archive that becomes no larger than this may be packed as tightly as it likes."""

_Parts = tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """How much may come out of an uploaded archive.

    Args:
        max_files: Files and folders in it.
        max_bytes: Bytes of all files unpacked.
        max_ratio: Unpacked bytes per packed byte; photos hardly shrink, and even plain drawings stay below.
    """

    max_files: int = 100_000
    max_bytes: int = 20_000_000_000
    max_ratio: float = 200.0


def limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits: ``GRAFT_UPLOAD_FILES``, ``GRAFT_UPLOAD_GB`` (unpacked), ``GRAFT_UPLOAD_RATIO``, or the usual.

    Raises:
        DataError: One of them is not a number above 0.
    """
    usual = Limits()
    return Limits(
        int(_setting(environment, "GRAFT_UPLOAD_FILES", usual.max_files)),
        int(1e9 * _setting(environment, "GRAFT_UPLOAD_GB", usual.max_bytes / 1e9)),
        _setting(environment, "GRAFT_UPLOAD_RATIO", usual.max_ratio),
    )


def _setting(environment: Mapping[str, str], name: str, usual: float) -> float:
    text = environment.get(name, "").strip() or str(usual)
    if not re.fullmatch(r"\d{1,12}(\.\d+)?", text) or float(text) <= 0:
        raise DataError(f'{name} is "{text}". Expected a number above 0. Change it, or leave it out.')
    return float(text)


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    Args:
        num_files: Files that were written.
        num_links: Links that were left out.
        num_hidden: Hidden files, and those that systems add, that were left out.
    """

    num_files: int
    num_links: int
    num_hidden: int


def unpack(
    path: Path, folder: Path, progress: Progress, limits: Limits, name: str = "The archive"
) -> Unpacked:
    """Unpack a zip into a folder; links and hidden files are left out, and so is a single folder around everything.

    Args:
        path: The archive.
        folder: An empty folder that takes the files; what is in it after an error is of no use.
        progress: Counts bytes; what it raises ends it.
        limits: How much may come out.
        name: What messages call the archive.

    Raises:
        DataError: It is no zip or damaged, has a password, is larger than the limits or the disk, or holds a name that
            leads out of the folder, that no file system keeps, or that stands for the same file as another one.
        OSError: The files cannot be written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _require_within_limits(entries, path.stat().st_size, limits, name)
            chosen, num_links, num_hidden = _chosen(entries, name)
            _require_room(folder, sum(entry.file_size for entry in chosen), name)
            _write(archive, chosen, folder, progress)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, UnicodeDecodeError, EOFError) as error:
        raise DataError(
            f"{name} is damaged or no zip ({error}). Expected a zip of a folder. Pack the folder again."
        ) from error
    except (NotImplementedError, RuntimeError) as error:  # how zipfile tells methods that it does not know
        raise DataError(
            f"{name} is packed in a way that Graft does not read ({error}). Expected a plain zip. "
            "Pack the folder again with a usual program."
        ) from error
    return Unpacked(len(chosen), num_links, num_hidden)


def _require_within_limits(
    entries: list[zipfile.ZipInfo], packed_bytes: int, limits: Limits, name: str
) -> None:
    if len(entries) > limits.max_files:
        raise DataError(
            f"{name} has {len(entries):,} entries. Expected at most {limits.max_files:,}. Upload fewer pictures, put "
            "the folder on this machine and choose it there, or raise GRAFT_UPLOAD_FILES."
        )
    if encrypted := next((entry for entry in entries if entry.flag_bits & 0x1), None):
        raise DataError(
            f'{name} is protected by a password ("{_shown(encrypted.filename)}"). Expected one without. '
            "Pack the folder again without a password."
        )
    num_bytes = sum(entry.file_size for entry in entries)
    if num_bytes > limits.max_bytes:
        raise DataError(
            f"{name} would become {num_bytes / 1e9:,.1f} GB. Expected at most {limits.max_bytes / 1e9:,.1f} GB. "
            "Upload fewer pictures, put the folder on this machine and choose it there, or raise GRAFT_UPLOAD_GB."
        )
    ratio = num_bytes / max(1, packed_bytes)
    if ratio > limits.max_ratio and num_bytes > FREE_RATIO_BYTES:
        raise DataError(
            f"{name} would become {ratio:,.0f} times as large. Expected at most {limits.max_ratio:,.0f} times: "
            "pictures hardly shrink, so this is not an archive of pictures. Choose another one."
        )
    # Entries may share packed bytes, so that a small archive unpacks into a huge one.
    if sum(entry.compress_size for entry in entries) > packed_bytes:
        raise DataError(
            f"{name} holds entries that overlap, which no usual program makes. Choose another one."
        )


def _chosen(entries: Iterable[zipfile.ZipInfo], name: str) -> tuple[list[zipfile.ZipInfo], int, int]:
    """Return the entries that are written, and how many links and hidden files are not; every name is checked."""
    chosen, num_links, num_hidden = [], 0, 0
    spelt: dict[_Parts, _Parts] = {}
    files: set[_Parts] = set()
    for entry in entries:
        if entry.is_dir() and set(entry.filename.split("/")) <= {"", "."}:
            continue  # the folder that was packed, as some programs write it
        parts = _parts(entry.filename, name)
        if stat.S_ISLNK(entry.external_attr >> 16):
            num_links += 1
        elif any(is_hidden(part) for part in parts) or parts[-1] in ("Thumbs.db", "desktop.ini"):
            num_hidden += not entry.is_dir()
        else:
            _require_own_place(parts, entry.is_dir(), spelt, files, name)
            if not entry.is_dir():
                chosen.append(entry)
    return chosen, num_links, num_hidden


def _parts(given: str, name: str) -> _Parts:
    """Take a name of the archive apart, in Unicode's composed form.

    Raises:
        DataError: It leads out of the folder it is unpacked to, or cannot be a name there.
    """
    path = given.replace("\\", "/")
    parts = tuple(unicodedata.normalize("NFC", part) for part in path.rstrip("/").split("/") if part != ".")
    if path.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path):
        raise DataError(
            f'{name} holds "{_shown(given)}", which leads out of the folder it is unpacked to. Nothing was unpacked. '
            "Expected a zip of a folder of pictures. Choose another one."
        )
    odd = not parts or "" in parts or any(map(_is_control, path))
    too_long = any(len(part.encode()) > MAX_NAME_BYTES for part in parts) or len(path) > MAX_PATH_CHARS
    if odd or too_long or len(parts) > MAX_DEPTH:
        raise DataError(
            f'{name} holds the name "{_shown(given)}", which is empty, too long, too deep or has signs that cannot '
            f"be shown. Expected names of up to {MAX_NAME_BYTES} bytes. Rename it and pack the folder again."
        )
    return parts


def _require_own_place(
    parts: _Parts, is_folder: bool, spelt: dict[_Parts, _Parts], files: set[_Parts], name: str
) -> None:
    """Refuse a name that is another one's on systems that do not tell capitals apart, or both file and folder."""
    folded = tuple(part.casefold() for part in parts)
    around = [folded[:depth] for depth in range(1, len(folded))]
    places = [*around, folded]
    other = next(
        (spelt[place] for place in places if spelt.get(place, parts[: len(place)]) != parts[: len(place)]),
        None,
    )
    taken = not is_folder and folded in spelt
    inside_file = next((place for place in places[: len(places) - (not is_folder)] if place in files), None)
    if other or taken or inside_file:
        first = other or spelt[inside_file or folded]
        raise DataError(
            f'{name} holds both "{_shown("/".join(first))}" and "{_shown("/".join(parts))}", which are one and the '
            "same on many systems. Nothing was unpacked. Rename one of them and pack the folder again."
        )
    spelt.update({place: parts[: len(place)] for place in places})
    if not is_folder:
        files.add(folded)


def _write(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, progress: Progress
) -> None:
    paths = [_parts(entry.filename, "") for entry in entries]
    depth = num_wrapping(paths)
    total, done = sum(entry.file_size for entry in entries), 0
    for entry, parts in zip(entries, paths, strict=True):
        target = folder.joinpath(*parts[depth:])
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as file:
            while chunk := _read(source):
                file.write(chunk)
                done += len(chunk)
                progress(min(done, total), max(total, 1))


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(CHUNK_BYTES)
    except OSError as error:  # how bzip2 tells that its data are damaged
        raise zipfile.BadZipFile(str(error)) from error


def num_wrapping(paths: Iterable[_Parts]) -> int:
    """Return how many folders lie around everything without being a class or a split.

    >>> num_wrapping([("photos", "owl", "1.jpg"), ("photos", "wren", "2.jpg")])
    1
    >>> num_wrapping([("owl", "1.jpg")])
    0
    """
    known = list(paths)
    pictures = [parts for parts in known if PurePosixPath(parts[-1]).suffix.lower() in images.EXTENSIONS]
    if not pictures:
        return 0
    shallowest = min(map(len, pictures))
    depth = 0
    # A picture needs its class folder, so one folder and the name stay.
    while depth + 3 <= shallowest and len({parts[: depth + 1] for parts in known if len(parts) > depth}) == 1:
        if known[0][depth].casefold() in SPLIT_NAMES:
            break
        depth += 1
    return depth


def _require_room(folder: Path, num_bytes: int, name: str) -> None:
    free = shutil.disk_usage(folder).free - SPARE_BYTES
    if num_bytes > free:
        raise DataError(
            f"{name} needs {num_bytes / 1e9:,.2f} GB on the disk of the workspace, where {max(0, free) / 1e9:,.2f} GB "
            "are free. Free some space, or set GRAFT_HOME to a folder on another disk."
        )


def _shown(name: str) -> str:
    """Return a name for a message: short, and nothing in it that could spoil the line."""
    safe = "".join("?" if _is_control(sign) else sign for sign in name)
    return safe if len(safe) <= 80 else f"{safe[:77]}…"


def _is_control(sign: str) -> bool:
    # Odd spaces are left alone: macOS itself puts them into the names of screenshots.
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")
