"""Is a photo in a dataset already, or nearly?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core import datasets, images
from core.audit import near_duplicates
from core.audit.hashes import THUMBNAIL_SIDE
from core.audit.table import load_with_thumbnails
from core.datasets import Dataset
from core.errors import NotFound, UnreadableImage
from core.workspace import Workspace


@dataclass(frozen=True)
class Alike:
    """A picture of a dataset that another one repeats.

    Args:
        path: In the dataset's table.
        sha256: Of its bytes.
        is_same: Whether the other has the same bytes; else it is a near-duplicate.
    """

    path: str
    sha256: str
    is_same: bool


def find_alike(workspace: Workspace, dataset_id: str, data: bytes) -> Alike | None:
    """Return the picture of a dataset that has these bytes or is a near-duplicate of them, if there is one.

    Pictures that were excluded count as well; photos that a person added do not (see :func:`find_alike_added`).

    Args:
        workspace: Where the dataset's table is kept.
        dataset_id: Which dataset.
        data: Bytes of a file of a picture.

    Raises:
        UnreadableImage: They are no picture that can be read.
        NotFound: The dataset has not been audited.
    """
    _, picture = images.verify_reduced(data)
    table = load_with_thumbnails(workspace, dataset_id)
    if table is None:
        raise NotFound(f'The dataset "{dataset_id}" has not been audited. Open it on the Data page first.')
    table = table[table["usable"] & ~datasets.added_rows(table)]
    same = np.flatnonzero(table["sha256"] == hashlib.sha256(data).hexdigest())
    if len(same):
        return Alike(str(table["path"].iloc[same[0]]), str(table["sha256"].iloc[same[0]]), is_same=True)
    table = table[table["thumbnail"].str.len() > 0]
    row = _nearest(picture, list(table["thumbnail"]))
    if row < 0:
        return None
    return Alike(str(table["path"].iloc[row]), str(table["sha256"].iloc[row]), is_same=False)


def find_alike_added(workspace: Workspace, dataset: Dataset, data: bytes) -> str:
    """Return the path in tables of an added photo of which a picture is a near-duplicate, or ``""``.

    Args:
        workspace: Where the dataset's table is kept; what was added since the last audit is looked at itself.
        dataset: Which dataset.
        data: Bytes of a file of a picture.

    Raises:
        UnreadableImage: They are no picture that can be read.
    """
    _, picture = images.verify_reduced(data)
    table = load_with_thumbnails(workspace, dataset.id)
    known = {} if table is None else dict(zip(table["path"], table["thumbnail"], strict=True))
    thumbnails = {}
    for path in datasets.list_added(dataset.pictures)["path"]:
        if found := known.get(path) or _thumbnail(dataset.pictures / path):
            thumbnails[str(path)] = found
    row = _nearest(picture, list(thumbnails.values()))
    return list(thumbnails)[row] if row >= 0 else ""


def _thumbnail(path: Path) -> bytes:
    try:
        return near_duplicates.thumbnail(images.verify_reduced(images.read_bytes(path))[1])
    except UnreadableImage:  # taken back in the meantime
        return b""


def _nearest(picture: npt.NDArray[np.uint8], thumbnails: Sequence[bytes]) -> int:
    """Return which of some pictures one is a near-duplicate of, or -1.

    However it is turned: a photo sent on may have lost the note of how the camera was held.
    """
    if not thumbnails:
        return -1
    pixels = np.frombuffer(b"".join(thumbnails), dtype=np.uint8)
    known = pixels.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    turned = (np.ascontiguousarray(np.rot90(picture, quarters)) for quarters in range(4))
    return near_duplicates.nearest([near_duplicates.thumbnail(one) for one in turned], known)
