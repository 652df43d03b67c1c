"""Random variations of training pictures whose features are kept like those of the pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core import augmentation
from core.augmentation import Augmentation


@dataclass(frozen=True)
class View:
    """One random variation of every picture.

    Args:
        augmentation: How strongly pictures are varied; what mixes a batch is left out.
        index: Number of the variation, from 0; another number gives other variations.
        seed: 0 or above; another seed gives other variations.
    """

    augmentation: Augmentation
    index: int
    seed: int

    def of(self, picture: npt.NDArray[np.uint8], sha256: str) -> npt.NDArray[np.uint8]:
        """Return the variation of a picture, the same whichever others are asked for.

        Args:
            picture: uint8 (h, w, 3), as decoded.
            sha256: Of the picture's file, in hex.
        """
        rng = np.random.default_rng((self.seed, self.index, int(sha256, 16)))
        return augmentation.apply(picture, self.augmentation, rng)

    def to_json(self) -> dict[str, Any]:
        """Return all that decides which variation a picture gets, as JSON."""
        strengths = {
            name: strength
            for name, strength in self.augmentation.to_json().items()
            if name not in augmentation.BATCH_KINDS
        }
        version = augmentation.VARIATION_VERSION
        return {"augmentation": strengths, "index": self.index, "seed": self.seed, "version": version}
