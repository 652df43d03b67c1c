"""The sample of flower photos that TensorFlow's tutorials use: one archive, fetched only when asked for."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from core.datasets.fetching import Remote, download, require_checksum
from core.errors import DataError
from core.progress import Progress

FLOWER_PHOTOS = Remote(
    url="https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
    # As TensorFlow Datasets publishes it with its dataset tf_flowers.
    sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    num_bytes=228_813_984,
)
NUM_PICTURES = {"daisy": 633, "dandelion": 898, "roses": 641, "sunflowers": 699, "tulips": 799}
"""Pictures of each class in that archive."""

MAX_PICTURE_BYTES = 5_000_000
"""Largest file unpacked, in bytes; most photos have about 60,000."""
DOWNLOAD_SHARE = 90
"""Per cent of the progress that the download takes; unpacking takes the rest."""

_MEMBER = re.compile(r"flower_photos/(LICENSE\.txt|([a-z]+)/(\w+\.jpg))", re.ASCII)

Fetch = Callable[[Remote, Path, Progress], Path]
"""Called as ``fetch(remote, folder, progress)``; returns the file it put into the folder."""


def build(
    pictures_dir: Path,
    scratch_dir: Path,
    progress: Progress,
    remote: Remote = FLOWER_PHOTOS,
    fetch: Fetch = download,
    num_pictures: dict[str, int] = NUM_PICTURES,
) -> None:
    """Fetch and unpack the photos, with the list of their authors and licences beside them.

    Args:
        pictures_dir: An empty folder for the class folders.
        scratch_dir: An empty folder for the archive.
        progress: Counts per cent.
        remote: The archive and its checksum.
        fetch: Puts the archive into a folder.
        num_pictures: How many photos it must hold, by class.

    Raises:
        DataError: The archive cannot be fetched, has another checksum, or holds something unexpected.
    """
    archive = fetch(remote, scratch_dir, lambda done, total: progress(DOWNLOAD_SHARE * done // total, 100))
    require_checksum(archive, remote.sha256, "Try again; if it stays, choose another sample.")
    try:
        with tarfile.open(archive, "r:gz") as opened:
            _unpack(opened, pictures_dir, progress, num_pictures)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise _unexpected(str(error)) from error


def _unpack(
    archive: tarfile.TarFile, pictures_dir: Path, progress: Progress, num_pictures: dict[str, int]
) -> None:
    left, total, done = dict(num_pictures), sum(num_pictures.values()), 0
    for label in num_pictures:
        (pictures_dir / label).mkdir()
    for member in archive:
        match = _MEMBER.fullmatch(member.name)
        if match is None or not member.isfile():
            continue
        whole, label, file_name = match.groups()
        if label is not None and label not in left:
            raise _unexpected(f"pictures of {label[:40]}")
        # Written under names of our own making: no path of the archive is used.
        target = pictures_dir / label / file_name if label else pictures_dir / whole
        target.write_bytes(_read(archive, member))
        if label:
            left[label] -= 1
            done += 1
            progress(DOWNLOAD_SHARE + (100 - DOWNLOAD_SHARE) * min(done, total) // total, 100)
    if any(left.values()):
        raise _unexpected(f"{done:,} pictures instead of {total:,}")


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > MAX_PICTURE_BYTES:
        raise _unexpected(f"a file of {member.size:,} bytes")
    return file.read()


def _unexpected(what: str) -> DataError:
    return DataError(
        f"The archive of flower photos holds something unexpected: {what}. Expected the one that TensorFlow "
        "publishes. Try again; if it stays, choose another sample."
    )
