"""Photos on a page: small ones for galleries, a large one to look at, and what stands in for a lost file."""

from __future__ import annotations

import io
from pathlib import Path

import streamlit as st
from PIL import Image

from core import images
from core.datasets import Pictures
from core.errors import UnreadableImage

SMALL_SIDE = 220
"""Pixels: twice the width of a gallery's card, for screens with two pixels to the point."""
LARGE_SIDE = 1200
"""Pixels: as much as a dialog shows."""
LARGE_BOX = (700, 600)
"""Pixels, width and height, into which a dialog fits a photo, a small one enlarged."""

KEPT_S = 3600.0
"""How long a copy of a photo in memory is used."""


def small(root: Path | Pictures, path: str, sha256: str) -> tuple[bytes, bool]:
    """Return a thumbnail (WEBP) and whether it shows the file; a lost or broken file gets a plain grey one."""
    return _read(sha256, SMALL_SIDE, root / path)


def large(root: Path | Pictures, path: str, sha256: str) -> tuple[bytes, bool]:
    """Return a photo to look at (WEBP) and whether it shows the file."""
    return _read(sha256, LARGE_SIDE, root / path)


def shown_width(width: int, height: int) -> int:
    """Return how wide, in pixels, a dialog shows a photo of this size, so that its whole height is in sight."""
    box_width, box_height = LARGE_BOX
    return max(1, int(min(box_width, box_height * width / height)))


def _read(sha256: str, side: int, path: Path) -> tuple[bytes, bool]:
    # One that was shown before would otherwise still be there when pages say that its file is not.
    return _cached(sha256, side, path) if path.exists() else (_grey(), False)


# A picture is known by its bytes, so a moved or renamed file is not decoded again. What visitors of a demo have sent is
# deleted after an hour, so copies of it are not shown for longer either.
@st.cache_data(ttl=KEPT_S, max_entries=4_000, max_size="256MB", show_spinner=False)
def _cached(sha256: str, side: int, _path: Path) -> tuple[bytes, bool]:
    try:
        return images.thumbnail(images.read_bytes(_path), side), True
    except UnreadableImage:
        return _grey(), False


def _grey() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (SMALL_SIDE, SMALL_SIDE), (128, 136, 132)).save(buffer, format="WEBP")
    return buffer.getvalue()
