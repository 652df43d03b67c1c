"""MixUp and CutMix: pictures of a batch mixed with one another, and their targets likewise."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from core.augmentation.settings import Augmentation

Batch = npt.NDArray[np.float32]


def mix(
    images: Batch, targets: Batch, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Batch, Batch]:
    """Mix each picture of a batch with another of the batch; where both kinds are on, a coin chooses for the batch.

    Args:
        images: float32, shape (images, height, width, 3); not changed.
        targets: float32, shape (images, classes), each row with the sum 1; not changed.
        augmentation: The strengths.
        rng: Where the chance comes from.

    Returns:
        Pictures and targets of the same shapes; the very same where neither kind is on.
    """
    if not augmentation.mixes:
        return images, targets
    cuts = bool(augmentation.cutmix) and (not augmentation.mixup or rng.random() < 0.5)
    partners = rng.permutation(len(images))
    if cuts:
        mixed, share = _cut(images, partners, augmentation.cutmix, rng)
    else:
        share = float(rng.beta(augmentation.mixup, augmentation.mixup))
        mixed = _blend(images, images[partners], share)
    return mixed, _blend(targets, targets[partners], share)


def _blend(ours: Batch, theirs: Batch, share: float) -> Batch:
    """Return ``share`` of ours and the rest of theirs.

    Reference: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", equation 1.
    """
    return np.float32(share) * ours + np.float32(1 - share) * theirs


def _cut(
    images: Batch, partners: npt.NDArray[np.intp], alpha: float, rng: np.random.Generator
) -> tuple[Batch, float]:
    """Put one rectangle of the partners into the pictures; return them and the share of the area that stays ours.

    Reference: Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", equations 1 and 2.
    """
    height, width = images.shape[1:3]
    side = math.sqrt(1 - rng.beta(alpha, alpha))
    top, bottom = _span(height, side, rng)
    left, right = _span(width, side, rng)
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = images[partners, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return the ends of a stretch with a random middle, cut off where it leaves the side."""
    middle, half = int(rng.integers(length)), round(share * length) // 2
    return max(0, middle - half), min(length, middle + half)
