"""Pixels that are kept while variations of the same pictures are asked for, so that a file is decoded once."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from core.forecast import MAX_PIXEL_BYTES


class Decoded:
    """Pixels of pictures, all decoded to one size by one resize rule. Threads may share it.

    Of more pictures than there is room for the first ones are kept, and the others decoded again.

    Args:
        wanted: SHA-256 of the files that will be asked for again.
        max_bytes: Most that is kept.
    """

    def __init__(self, wanted: Iterable[str], max_bytes: int = MAX_PIXEL_BYTES) -> None:
        self._wanted, self._left = set(wanted), max_bytes
        self._pictures: dict[str, npt.NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    def get(self, sha256: str) -> npt.NDArray[np.uint8] | None:
        """Return a picture, uint8 (h, w, 3), which must not be changed; None if it is not kept."""
        return self._pictures.get(sha256)

    def keep(self, sha256: str, picture: npt.NDArray[np.uint8]) -> None:
        """Keep a picture if it will be asked for again and there is room."""
        with self._lock:
            if sha256 in self._wanted and sha256 not in self._pictures and picture.nbytes <= self._left:
                self._pictures[sha256] = picture
                self._left -= picture.nbytes
