"""Which pictures are nearly the same: resized, compressed again, cropped a little, mirrored, or taken twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.audit import hashes
from core.audit.hashes import THUMBNAIL_SIDE, Pairs, Thumbnails
from core.audit.likeness import MIN_DETAIL, as_they_lie, detail, likeness

MIN_LIKENESS = 0.96
"""From which likeness two pictures are near-duplicates: 98 of 100 planted copies have more; of the candidates among the
photos of trashnet every pair above it shows the same thing, and every pair below 0.955 does not."""

MAX_GROUP = 30
"""Pictures; a larger group is cut where it holds together least, since it is more likely a kind than one picture."""

MAX_COMPARED = 8
"""Candidates of a picture that are looked at closely; photos have fewer, only look-alikes have more."""

_CHUNK = 4096

MIN_SIDE = 16
"""Pixels; smaller pictures have too little to be recognised by."""


def thumbnail(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return the grey thumbnail of a picture, or nothing of one with a side below :data:`MIN_SIDE` pixels.

    Args:
        picture: RGB, uint8, shape ``(height, width, 3)``.

    Returns:
        :data:`~core.audit.hashes.THUMBNAIL_SIDE` squared bytes, 0..255, row by row.
    """
    if min(picture.shape[:2]) < MIN_SIDE:
        return b""
    grey = Image.fromarray(picture).convert("L")
    return grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()


def group(thumbnails: Thumbnails) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Put near-duplicates into groups.

    Pictures with little detail are in no group. A group is held together by pairs of at least :data:`MIN_LIKENESS`; one
    of more than :data:`MAX_GROUP` pictures only by such as are still more alike.

    Args:
        thumbnails: Of pictures with different bytes.

    Returns:
        For each picture the lowest row of its group (its own where it is alone), and its likeness to the picture it is
        most like, 0…1; 0 where no other is near. Both have the shape ``(pictures,)``.
    """
    informative = (
        np.flatnonzero(detail(thumbnails) >= MIN_DETAIL) if len(thumbnails) else np.zeros(0, dtype=np.int64)
    )
    chosen = thumbnails[informative]
    pairs = _most_promising(hashes.find_candidates(chosen), chosen)
    alike = np.clip(likeness(*pairs.thumbnails(chosen)), 0, 1)
    rows = np.column_stack([informative[pairs.first], informative[pairs.second]])
    nearest = np.zeros(len(thumbnails), dtype=np.float32)
    for column in rows.T:
        np.maximum.at(nearest, column, alike)
    return _groups(len(thumbnails), rows, alike), nearest


def nearest(one: bytes, thumbnails: Thumbnails) -> int:
    """Return the row of the picture of which another one is a near-duplicate, the likest, or -1.

    Args:
        one: The other's :func:`thumbnail`.
        thumbnails: Of the pictures, shape ``(pictures, side, side)``.
    """
    if not one or not len(thumbnails):
        return -1
    other = np.frombuffer(one, dtype=np.uint8).reshape(1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    if detail(other)[0] < MIN_DETAIL:
        return -1
    pairs = hashes.find_near(other, thumbnails)
    first, second = thumbnails[pairs.first], other[pairs.second]
    first[pairs.mirrored] = first[pairs.mirrored, :, ::-1]
    alike = likeness(first, second)
    if not len(alike) or alike.max() < MIN_LIKENESS:
        return -1
    return int(pairs.first[alike.argmax()])


def _most_promising(pairs: Pairs, thumbnails: Thumbnails) -> Pairs:
    """Keep of each picture's candidates those that resemble it most as they lie."""
    num_pairs = len(pairs.first)
    resemblance = np.empty(num_pairs, dtype=np.float32)
    for start in range(0, num_pairs, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        resemblance[chunk] = as_they_lie(*pairs.only(chunk).thumbnails(thumbnails))
    kept = np.zeros(num_pairs, dtype=bool)
    for picture in (pairs.first, pairs.second):
        order = np.lexsort((-resemblance, picture))
        place = np.arange(num_pairs) - np.searchsorted(picture[order], picture[order])
        kept[order[place < MAX_COMPARED]] = True
    return pairs.only(kept)


def _groups(
    num_pictures: int, rows: npt.NDArray[np.int64], alike: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    limit = np.full(num_pictures, MIN_LIKENESS)
    while True:
        lowest = _components(num_pictures, rows[alike >= limit[rows[:, 0]]])
        # Halfway to 1 each time: 0.98, 0.99. What is as alike as that stays together however much it is.
        too_large = (np.bincount(lowest, minlength=num_pictures)[lowest] > MAX_GROUP) & (limit < 0.985)
        if not too_large.any():
            return lowest
        limit[too_large] = (limit[too_large] + 1) / 2


def _components(num_pictures: int, links: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each picture the lowest row that links lead to."""
    lowest = np.arange(num_pictures)
    while len(links):
        before = lowest.copy()
        for one, other in (links.T, links.T[::-1]):
            np.minimum.at(lowest, one, lowest[other])
        lowest = lowest[lowest]
        if (lowest == before).all():
            break
    return lowest
