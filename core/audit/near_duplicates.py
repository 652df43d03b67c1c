"""Which pictures are nearly the same: resized, compressed again, cropped a little, mirrored, or taken twice.

Groups are single linkage. Each picture keeps at most one link, to a picture before it, with the likeness at which the
two come together; so the groups of any threshold can be told from the links, without comparing anything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from core.audit import hashes
from core.audit.hashes import THUMBNAIL_SIDE, Pairs, Thumbnails
from core.audit.likeness import MIN_DETAIL, as_they_lie, detail, likeness

MIN_LIKENESS = 0.96
"""From which likeness two pictures are near-duplicates: 98 of 100 planted copies have more; of the candidates among the
photos of trashnet every pair above it shows the same thing, and every pair below 0.955 does not."""

MIN_LINK = 0.9
"""Likeness from which a link is kept; below, hardly any pair shows the same thing, whatever the pictures are."""

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


@dataclass(frozen=True, eq=False)
class Links:
    """How pictures hang together, at most one link a picture.

    Args:
        row: Rows of pictures, int64, shape ``(links,)``.
        to: For each a lower row that it is linked to, int64, shape ``(links,)``.
        likeness: At which the two come into one group, from :data:`MIN_LINK` to 1, float32, shape ``(links,)``.
    """

    row: npt.NDArray[np.int64]
    to: npt.NDArray[np.int64]
    likeness: npt.NDArray[np.float32]

    def groups(self, num_pictures: int, min_likeness: float = MIN_LIKENESS) -> npt.NDArray[np.int64]:
        """Return for each picture the lowest row of its group, its own where it is alone; shape ``(pictures,)``."""
        return _groups(num_pictures, np.column_stack([self.row, self.to]), self.likeness, min_likeness)


def regrouped(table: pd.DataFrame, min_likeness: float) -> pd.DataFrame:
    """Return an audited table with the groups that another threshold makes.

    Args:
        table: As :func:`core.audit.audit` returns it.
        min_likeness: From which likeness two pictures are near-duplicates, at least :data:`MIN_LINK`.

    Returns:
        The table with ``group`` accordingly; the table itself for :data:`MIN_LIKENESS`, by which it was made.
    """
    if min_likeness == MIN_LIKENESS:
        return table
    linked = table.loc[table["twin"] != "", ["sha256", "twin", "twin_likeness"]].drop_duplicates("sha256")
    ends = linked[["sha256", "twin"]].to_numpy(dtype=object)
    names, places = np.unique(ends, return_inverse=True)
    row, to = places.reshape(ends.shape).T.astype(np.int64)
    lowest = Links(row, to, linked["twin_likeness"].to_numpy(dtype=np.float32)).groups(
        len(names), min_likeness
    )
    alone = table["sha256"].where(table["group"] != "", "")
    together = alone.map(dict(zip(names.tolist(), names[lowest].tolist(), strict=True)))
    return table.assign(group=together.where(together.notna(), alone).astype(str))


def group(
    thumbnails: Thumbnails,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], Links]:
    """Put near-duplicates into groups.

    Pictures with little detail are in no group. A group is held together by pairs of at least :data:`MIN_LIKENESS`; one
    of more than :data:`MAX_GROUP` pictures only by such as are still more alike.

    Args:
        thumbnails: Of pictures with different bytes.

    Returns:
        For each picture the lowest row of its group (its own where it is alone), and its likeness to the picture it is
        most like, 0…1; 0 where no other is near, both of the shape ``(pictures,)``; and the links that hold groups
        together.
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
    links = _links(len(thumbnails), rows, alike)
    return links.groups(len(thumbnails)), nearest, links


def nearest(others: Sequence[bytes], thumbnails: Thumbnails) -> int:
    """Return the row of the picture of which another one is a near-duplicate, the likest, or -1.

    Args:
        others: The other's :func:`thumbnail`, as it lies and as it may have been turned.
        thumbnails: Of the pictures, shape ``(pictures, side, side)``.
    """
    ways = np.frombuffer(b"".join(others), dtype=np.uint8).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    ways = ways[detail(ways) >= MIN_DETAIL]
    if not len(ways) or not len(thumbnails):
        return -1
    pairs = hashes.find_near(ways, thumbnails)
    first, second = thumbnails[pairs.first], ways[pairs.second]
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


def _links(num_pictures: int, rows: npt.NDArray[np.int64], alike: npt.NDArray[np.float32]) -> Links:
    """Join groups pair by pair, the most alike first; a group that is joined to another links its lowest row to it.

    Reference: Gower and Ross (1969), Minimum Spanning Trees and Single Linkage Cluster Analysis.
    """
    root, found = list(range(num_pictures)), []

    def lowest(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    near = np.flatnonzero(alike >= MIN_LINK)
    near = near[np.argsort(-alike[near], kind="stable")]
    for (first, second), value in zip(rows[near].tolist(), alike[near].tolist(), strict=True):
        to, row = sorted((lowest(first), lowest(second)))
        if to != row:
            root[row] = to
            found.append((row, to, value))
    joined, joined_to, at = np.array(found, dtype=np.float64).reshape(-1, 3).T
    return Links(joined.astype(np.int64), joined_to.astype(np.int64), at.astype(np.float32))


def _groups(
    num_pictures: int, rows: npt.NDArray[np.int64], alike: npt.NDArray[np.float32], min_likeness: float
) -> npt.NDArray[np.int64]:
    limit = np.full(
        num_pictures, min_likeness, dtype=np.float32
    )  # as likeness is, or 0.9 would not reach 0.9
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
