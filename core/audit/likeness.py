"""How alike two pictures are once one is laid over the other: the fine measure behind the coarse hash.

Thumbnails are compared in their details, the light that falls on the whole scene taken out: two sheets of paper under
the same lamp share the lamp only. Before that the one is moved and scaled until it fits the other best, since a crop of
5 % shifts everything.

Reference: Baker and Matthews (2004), Lucas-Kanade 20 Years On: A Unifying Framework (the alignment).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.audit.hashes import THUMBNAIL_SIDE, Thumbnails

MIN_DETAIL = 2.5
"""Grey levels (standard deviation) below which a picture has too little detail to be recognised by: an empty sheet."""

STEPS = 6
"""Of the alignment; more change nothing (measured on planted crops)."""

MAX_SCALE, MAX_SHIFT = 1.25, 0.2
"""How far one picture may be scaled and moved, the latter in half widths: crops of a tenth on every side."""

CLEARLY_NOT, CLEARLY_SO = 0.8, 0.985
"""Likeness outside of which the two ways of laying one picture over the other do not differ enough to matter."""

CHUNK = 256
"""Pairs aligned at once; 30 MB."""

_DETAIL_CHUNK = 4096

_LIGHT_SIGMA = 3.0
"""Pixels; what is smoother than this counts as light."""
_FINE_SIGMA = 1.2
_NOISE_SIGMA = 0.8
_NOISE_LEVELS = 1.0
"""Grey levels of a thumbnail's pixels that compression changes; details no stronger say nothing."""

_Pictures = npt.NDArray[np.float32]


def detail(thumbnails: Thumbnails) -> npt.NDArray[np.float32]:
    """Return how much there is to recognise each picture by: grey levels, 0 for an empty one; shape ``(pictures,)``."""
    result = np.empty(len(thumbnails), dtype=np.float32)
    for start in range(0, len(thumbnails), _DETAIL_CHUNK):
        chunk = _smooth(thumbnails[start : start + _DETAIL_CHUNK], _NOISE_SIGMA)
        # Light that falls off evenly must not count as details at the margins.
        light = _gaussian(_LIGHT_SIGMA, steep_ends=True)
        result[start : start + _DETAIL_CHUNK] = (chunk - light @ chunk @ light.T).std(axis=(1, 2))
    return result


def likeness(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.float32]:
    """Return how alike pictures are, pair by pair, the better of laying either over the other.

    Returns:
        The mean of two correlations, of details of all sizes and of the finest ones with their contrast made equal:
        1 for the same picture, about 0 for any two; shape ``(pairs,)``.
    """
    result = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), CHUNK):
        one, other = (_smooth(part[start : start + CHUNK], _NOISE_SIGMA) for part in (first, second))
        found = _aligned(one, other)
        # Where it is clear already the other way round is not tried.
        open_rows = np.flatnonzero((found > CLEARLY_NOT) & (found < CLEARLY_SO))
        if len(open_rows):
            found[open_rows] = np.maximum(found[open_rows], _aligned(other[open_rows], one[open_rows]))
        result[start : start + CHUNK] = found
    return result


def as_they_lie(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.float32]:
    """Return how well the details of pictures fit without moving any, pair by pair: -1…1, shape ``(pairs,)``."""
    one, other = (_details(_smooth(part, _NOISE_SIGMA), _LIGHT_SIGMA) for part in (first, second))
    return _correlation(one, other, np.ones_like(one[:1]))


@dataclass(frozen=True, eq=False)
class _Placement:
    """Where each pixel of a picture is taken from: scale and shift, down and across.

    Args:
        values: float32, shape ``(pairs, 4)``: scale down, shift down, scale across, shift across.
    """

    values: npt.NDArray[np.float32]

    @functools.cached_property
    def _axes(self) -> list[tuple[_Pictures, npt.NDArray[np.bool_]]]:
        axes = []
        for scale, shift in (self.values[:, :2].T, self.values[:, 2:].T):
            places = (scale[:, None] * _half_widths() + shift[:, None] + 1) / 2 * THUMBNAIL_SIDE - 0.5
            inside = (places >= 0) & (places <= THUMBNAIL_SIDE - 1)
            distance = np.clip(places, 0, THUMBNAIL_SIDE - 1)[:, :, None] - np.arange(
                THUMBNAIL_SIDE, dtype=np.float32
            )
            axes.append((np.maximum(0, 1 - np.abs(distance)).astype(np.float32), inside))
        return axes

    def apply(self, pictures: _Pictures) -> _Pictures:
        (rows, _), (columns, _) = self._axes
        return np.asarray(rows @ pictures @ columns.transpose(0, 2, 1), dtype=np.float32)

    @functools.cached_property
    def weights(self) -> _Pictures:
        """1 where a pixel comes from within the picture, not at its margin; 0 elsewhere."""
        (_, down), (_, across) = self._axes
        inner = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), dtype=bool)
        inner[2:-2, 2:-2] = True
        return (down[:, :, None] & across[:, None, :] & inner).astype(np.float32)


def _aligned(moving: _Pictures, fixed: _Pictures) -> npt.NDArray[np.float32]:
    """Lay one picture over the other and return how well its details fit (Gauss-Newton on scale and shift)."""
    slopes = [np.gradient(moving, axis=axis) * (THUMBNAIL_SIDE / 2) for axis in (1, 2)]
    aim = _details(fixed, _LIGHT_SIGMA)
    placement = _Placement(np.tile(np.array([1, 0, 1, 0], dtype=np.float32), (len(moving), 1)))
    best, best_values = np.full(len(moving), -1, dtype=np.float32), placement.values
    for step in range(STEPS + 1):
        moved = _details(placement.apply(moving), _LIGHT_SIGMA)
        fit = _correlation(moved, aim, placement.weights)
        best_values = np.where((fit > best)[:, None], placement.values, best_values)
        best = np.maximum(fit, best)
        if step < STEPS:
            down, across = (_details(placement.apply(slope), _LIGHT_SIGMA) for slope in slopes)
            placement = _improved(placement, (aim - moved), down, across)
    moved, weights = _Placement(best_values).apply(moving), _Placement(best_values).weights
    fine = _correlation(_even_contrast(moved), _even_contrast(fixed), weights)
    return np.asarray((best + fine) / 2, dtype=np.float32)


def _improved(placement: _Placement, error: _Pictures, down: _Pictures, across: _Pictures) -> _Placement:
    """Take one Gauss-Newton step."""
    places = _half_widths()
    slopes = np.stack([down * places[:, None], down, across * places, across], axis=1)
    slopes = (slopes * placement.weights[:, None]).reshape(len(error), 4, -1)
    # The small diagonal keeps a picture without slopes where it is.
    normal = slopes @ slopes.transpose(0, 2, 1) + 1e-2 * THUMBNAIL_SIDE**2 * np.eye(4, dtype=np.float32)
    step = np.linalg.solve(normal, slopes @ error.reshape(len(error), -1, 1))[:, :, 0]
    values = placement.values + np.clip(step, -0.1, 0.1)
    values[:, ::2] = np.clip(values[:, ::2], 1 / MAX_SCALE, MAX_SCALE)
    values[:, 1::2] = np.clip(values[:, 1::2], -MAX_SHIFT, MAX_SHIFT)
    return _Placement(values.astype(np.float32))


def _correlation(one: _Pictures, other: _Pictures, weights: _Pictures) -> npt.NDArray[np.float32]:
    total = np.maximum(weights.sum(axis=(1, 2)), 1)
    centred = []
    for pictures in (one, other):
        mean = (pictures * weights).sum(axis=(1, 2)) / total
        centred.append((pictures - mean[:, None, None]) * weights)
    norms = [np.square(pictures).sum(axis=(1, 2)) for pictures in centred]
    product = (centred[0] * centred[1]).sum(axis=(1, 2))
    return np.asarray(product / np.sqrt(norms[0] * norms[1] + 1e-9), dtype=np.float32)


def _even_contrast(pictures: _Pictures) -> _Pictures:
    """Return the finest details, each as strong as its surroundings let one expect."""
    fine = _details(pictures, _FINE_SIGMA)
    strength = np.sqrt(_smooth(np.square(fine), _LIGHT_SIGMA)) + _NOISE_LEVELS
    return np.asarray(fine / strength, dtype=np.float32)


def _details(pictures: _Pictures, sigma: float) -> _Pictures:
    return pictures - _smooth(pictures, sigma)


def _smooth(pictures: npt.NDArray[np.generic], sigma: float) -> _Pictures:
    blur = _gaussian(sigma)
    return np.asarray(blur @ pictures.astype(np.float32) @ blur.T, dtype=np.float32)


def _half_widths() -> npt.NDArray[np.float32]:
    """Return the places of the pixels from -1 to 1."""
    return ((np.arange(THUMBNAIL_SIDE) + 0.5) / THUMBNAIL_SIDE * 2 - 1).astype(np.float32)


@functools.cache
def _gaussian(sigma: float, steep_ends: bool = False) -> npt.NDArray[np.float32]:
    """Return the matrix that blurs a line of pixels; beyond its ends it goes on level, or as steep as it was within."""
    places = np.arange(THUMBNAIL_SIDE)
    reach = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    matrix = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    for offset, weight in zip(reach, np.exp(-0.5 * np.square(reach / sigma)), strict=True):
        end = np.clip(places + offset, 0, THUMBNAIL_SIDE - 1)
        beyond = places + offset - end
        np.add.at(matrix, (places, end), weight)
        if steep_ends:
            np.add.at(matrix, (places, end), np.where(beyond == 0, 0, weight))
            np.add.at(matrix, (places, end - beyond), np.where(beyond == 0, 0, -weight))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)
