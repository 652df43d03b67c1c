"""Which pictures may be near-duplicates: a 64-bit hash of each, and all pairs whose hashes nearly agree.

The hash holds the signs of the 64 lowest frequencies of the picture's cosine transform, so it does not change with
size, compression, brightness and contrast. Mirroring and small crops do change it. Therefore each picture is looked
for as it is and through windows that leave out 5 % of it here or there, and all of that mirrored: one of these comes
close to the hash of its near-duplicate.

References: Zauner (2010), Implementation and Benchmarking of Perceptual Image Hash Functions (the hash); Norouzi,
Punjani and Fleet (2012), Fast Search in Hamming Space with Multi-Index Hashing (the search).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

THUMBNAIL_SIDE = 32
"""Pixels of a thumbnail's side: enough to tell two photos of the same thing apart, 1 KiB a picture."""

MAX_DISTANCE = 7
"""Bits of 64 in which hashes of near-duplicates may differ. Of planted copies of photos the best window differed in at
most 8 bits, and in 98 of 100 in at most 6; two different photos differ in 14 or more in 999 of 1,000 cases."""

CROP = 0.05
"""Share of the width and height that a window leaves out."""

MAX_PER_BUCKET = 32
"""Pictures compared of those that agree in a block of bits: less than all only where thousands look alike."""

MAX_CANDIDATES = 64
"""Nearest hashes kept of each picture, so that among thousands of look-alikes not all pairs are candidates."""

FEW = 500
"""Pictures up to which comparing all with all is faster than an index."""

_NUM_FREQUENCIES = 9
_BLOCKS = 4
_BLOCK_BITS = 64 // _BLOCKS
# Of MAX_DISTANCE wrong bits in 4 blocks, one block has at most 7 // 4 = 1.
_FLIPS = np.array([0, *(1 << bit for bit in range(_BLOCK_BITS))], dtype=np.uint64)

_CHUNK = 4096
"""Pictures hashed at once; 16 MB."""

_Window = tuple[float, float, float, float]
_WHOLE = (0.0, 0.0, 0.0, 0.0)

Thumbnails = npt.NDArray[np.uint8]
"""Grey pictures 0..255, shape ``(pictures, THUMBNAIL_SIDE, THUMBNAIL_SIDE)``."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures that may be near-duplicates.

    Args:
        first: Row of the one, int64, shape ``(pairs,)``.
        second: Row of the other, always the larger; each pair stands once.
        mirrored: Whether one of them has to be mirrored to resemble the other, bool.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    mirrored: npt.NDArray[np.bool_]

    def only(self, kept: npt.NDArray[np.bool_] | slice) -> Pairs:
        """Return some of the pairs; ``kept``: shape ``(pairs,)``, or from where to where."""
        return Pairs(self.first[kept], self.second[kept], self.mirrored[kept])

    def thumbnails(self, of: Thumbnails) -> tuple[Thumbnails, Thumbnails]:
        """Return both pictures of each pair, the first mirrored where it has to be."""
        first = of[self.first]
        first[self.mirrored] = first[self.mirrored, :, ::-1]
        return first, of[self.second]


def find_candidates(thumbnails: Thumbnails) -> Pairs:
    """Return the pairs of pictures whose hashes nearly agree; time grows about as the number of pictures."""
    hashes = hash_of(thumbnails)
    indexes: list[_BlockIndex] | list[_Everything] = [_Everything(hashes)]
    if len(hashes) > FEW:
        indexes = [_BlockIndex(hashes, block) for block in range(_BLOCKS)]
    found = [np.zeros((0, 4), dtype=np.int64)]
    for mirrored, window in itertools.product((False, True), _windows()):
        queries = hash_of(thumbnails, window, mirrored)
        for index in indexes:
            for first, second in index.near(queries):
                distance = np.bitwise_count(queries[first] ^ hashes[second])
                near = (distance <= MAX_DISTANCE) & (first != second)
                columns = (first[near], second[near], distance[near], np.full(near.sum(), mirrored))
                found.append(np.column_stack(columns).astype(np.int64))
        found = [_nearest(np.concatenate(found))]
    first, second, _, mirrored_of = found[0].T
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, once = np.unique(low * len(thumbnails) + high, return_index=True)
    return Pairs(low[once], high[once], mirrored_of[once].astype(bool))


def find_near(others: Thumbnails, thumbnails: Thumbnails) -> Pairs:
    """Return the pictures whose hashes nearly agree with that of one of a few others.

    Args:
        others: The few, shape ``(others, THUMBNAIL_SIDE, THUMBNAIL_SIDE)``.
        thumbnails: The pictures.

    Returns:
        Pairs whose ``first`` is the row of a picture, and whose ``second`` is that of one of the others.
    """
    hashes_of_others = hash_of(others)
    through_windows = {
        mirrored: np.stack([hash_of(others, window, mirrored) for window in _windows()], axis=1)
        for mirrored in (False, True)
    }
    found = []
    for start in range(0, len(thumbnails), _CHUNK):
        hashes = _through_windows(thumbnails[start : start + _CHUNK])
        whole = hashes[:, [_windows().index(_WHOLE)]]
        for mirrored, of_others in through_windows.items():
            turned = hashes_of_others ^ _turned_by_mirroring() if mirrored else hashes_of_others
            for second, (wanted, of_other) in enumerate(zip(turned, of_others, strict=True)):
                # Either may be the one that was cropped.
                distances = (np.bitwise_count(hashes ^ wanted), np.bitwise_count(whole ^ of_other))
                near = np.minimum(*(distance.min(axis=1) for distance in distances)) <= MAX_DISTANCE
                found += [(start + row, second, mirrored) for row in np.flatnonzero(near)]
    first, second_rows, mirrored_of = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Pairs(first, second_rows, mirrored_of.astype(bool))


def _through_windows(thumbnails: Thumbnails) -> npt.NDArray[np.uint64]:
    """Return the hash of each thumbnail through each window, shape ``(pictures, windows)``.

    One product of large matrices; eight times faster than :func:`hash_of` for each window where nothing else is done.
    """
    signs = thumbnails.reshape(len(thumbnails), -1).astype(np.float32) @ _transforms() > 0
    return np.ascontiguousarray(np.packbits(signs, axis=1)).view(np.uint64)


@functools.cache
def _transforms() -> npt.NDArray[np.float32]:
    """Return what makes the pixels of a thumbnail into its frequencies through all windows, one after the other."""
    columns = []
    for top, bottom, left, right in _windows():
        down, across = _cosines() @ _enlarging(top, bottom), _cosines() @ _enlarging(left, right)
        both = np.einsum("cx,ry->cryx", across, down).reshape(_NUM_FREQUENCIES**2, -1)
        columns.append(both[_low_frequencies()].T)
    return np.hstack(columns)


@functools.cache
def _turned_by_mirroring() -> np.uint64:
    """Return the bits of a hash that mirroring left to right turns: odd frequencies across change their sign.

    A window is mirrored too, and of each window the mirrored one is among the windows.
    """
    odd = _low_frequencies() // _NUM_FREQUENCIES % 2 == 1
    return np.uint64(np.packbits(odd).view(np.uint64)[0])


def hash_of(
    thumbnails: Thumbnails, window: _Window = _WHOLE, mirrored: bool = False
) -> npt.NDArray[np.uint64]:
    """Return the 64-bit hash of each thumbnail, or of what is seen of it through a window.

    Args:
        thumbnails: The pictures.
        window: Shares of the height and width that are left out at the top, bottom, left and right.
        mirrored: Whether the pictures are mirrored left to right first.
    """
    top, bottom, left, right = window
    rows, columns = _cosines() @ _enlarging(top, bottom), _cosines() @ _enlarging(left, right)
    columns = columns[:, ::-1] if mirrored else columns
    hashes = np.empty(len(thumbnails), dtype=np.uint64)
    for start in range(0, len(thumbnails), _CHUNK):
        chunk = thumbnails[start : start + _CHUNK].astype(np.float32)
        # Two products of large matrices are much faster than two small ones for each picture.
        across = (chunk.reshape(-1, THUMBNAIL_SIDE) @ columns.T).reshape(-1, THUMBNAIL_SIDE, len(columns))
        both = across.transpose(0, 2, 1).reshape(-1, THUMBNAIL_SIDE) @ rows.T
        signs = both.reshape(len(chunk), -1)[:, _low_frequencies()] > 0
        hashes[start : start + _CHUNK] = np.ascontiguousarray(np.packbits(signs, axis=1)).view(np.uint64)[
            :, 0
        ]
    return hashes


def _nearest(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Keep of rows (first, second, distance, mirrored) each pair once, and the nearest of each first."""
    found = found[np.lexsort((found[:, 3], found[:, 2], found[:, 1], found[:, 0]))]
    is_new = np.ones(len(found), dtype=bool)
    is_new[1:] = (found[1:, :2] != found[:-1, :2]).any(axis=1)
    found = found[is_new]
    found = found[np.lexsort((found[:, 1], found[:, 2], found[:, 0]))]
    starts = np.searchsorted(found[:, 0], found[:, 0])
    return found[np.arange(len(found)) - starts < MAX_CANDIDATES]


class _Everything:
    """Pairs every query with every hash."""

    def __init__(self, hashes: npt.NDArray[np.uint64]) -> None:
        self._rows = np.arange(len(hashes))

    def near(
        self, queries: npt.NDArray[np.uint64]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield rows of queries and rows of hashes in pairs."""
        yield np.repeat(np.arange(len(queries)), len(self._rows)), np.tile(self._rows, len(queries))


class _BlockIndex:
    """Finds the hashes that agree with a query in one block of bits, but for at most one bit of it."""

    def __init__(self, hashes: npt.NDArray[np.uint64], block: int) -> None:
        self._turn = np.uint64(block * _BLOCK_BITS)
        turned = self._turned(hashes)
        self._order = np.argsort(turned, kind="stable")
        self._sorted = turned[self._order]
        keys = (self._sorted >> np.uint64(64 - _BLOCK_BITS)).astype(np.int64)
        self._starts = np.searchsorted(keys, np.arange(2**_BLOCK_BITS + 1))

    def near(
        self, queries: npt.NDArray[np.uint64]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield rows of queries and rows of hashes in pairs."""
        turned = self._turned(queries)
        for flip in _FLIPS:
            wanted = turned ^ (flip << np.uint64(64 - _BLOCK_BITS))
            keys = (wanted >> np.uint64(64 - _BLOCK_BITS)).astype(np.int64)
            low, high = self._starts[keys], self._starts[keys + 1]
            full = np.flatnonzero(high - low > MAX_PER_BUCKET)
            # Of a full bucket those are taken that are nearest in the order of the remaining bits.
            middle = np.searchsorted(self._sorted, wanted[full])
            low[full] = np.clip(middle - MAX_PER_BUCKET // 2, low[full], high[full] - MAX_PER_BUCKET)
            high[full] = low[full] + MAX_PER_BUCKET
            counts = high - low
            first = np.repeat(np.arange(len(queries)), counts)
            place = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
            yield first, self._order[np.repeat(low, counts) + place]

    def _turned(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Bring the block to the front."""
        if not self._turn:
            return hashes
        return (hashes << self._turn) | (hashes >> (np.uint64(64) - self._turn))


def _windows() -> list[_Window]:
    """Return what is left out at the top, bottom, left and right: nothing, all around, at a side, at a corner."""
    all_around = [(share, share, share, share) for share in (CROP / 2, CROP)]
    sides = [(0.0, 0.0), (CROP, 0.0), (0.0, CROP)]
    return all_around + [(*rows, *columns) for rows, columns in itertools.product(sides, sides)]


def _enlarging(before: float, after: float) -> npt.NDArray[np.float32]:
    """Return the matrix that stretches what a window shows of a line of pixels to the whole line."""
    side = THUMBNAIL_SIDE
    places = (before + (np.arange(side) + 0.5) / side * (1 - before - after)) * side - 0.5
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(side)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


@functools.cache
def _cosines() -> npt.NDArray[np.float32]:
    """Return the first rows of the discrete cosine transform (DCT-II), without its scale."""
    places = (np.arange(THUMBNAIL_SIDE) + 0.5) / THUMBNAIL_SIDE
    return np.cos(np.pi * np.arange(_NUM_FREQUENCIES)[:, None] * places).astype(np.float32)


@functools.cache
def _low_frequencies() -> npt.NDArray[np.int64]:
    """Return the 64 lowest frequencies but the mean, as places in the flattened transform."""
    down, across = np.indices((_NUM_FREQUENCIES, _NUM_FREQUENCIES))
    return np.lexsort((down.ravel(), (down + across).ravel()))[1:65]
