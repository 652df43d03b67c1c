"""What the grids of pictures share: their code in the browser, and how a small picture gets there."""

from __future__ import annotations

import base64
from pathlib import Path

_DIR = Path(__file__).parent


def asset(name: str) -> str:
    """Return a file of a component, such as ``"gallery.js"``, behind what all grids of pictures share."""
    shared = _DIR / f"cards{Path(name).suffix}"
    return shared.read_text("utf-8") + "\n" + (_DIR / name).read_text("utf-8")


def picture(thumbnail: bytes) -> str:
    """Return a small picture, WEBP bytes, as a URL that holds it; ``""`` where there is none."""
    encoded = base64.b64encode(thumbnail).decode("ascii")
    return f"data:image/webp;base64,{encoded}" if encoded else ""
