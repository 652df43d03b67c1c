"""Golden pictures: a few of the test split and some awkward forms, with the answers that have to come out."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from core import images
from core.errors import UnreadableImage
from core.workspace import write_json

MAX_PICTURES = 6
SIDE = 512
"""Pixels of the longer side, at most; without the metadata of the original, which may tell of a person."""

_EXIF_ORIENTATION = 0x0112
_HEIC = Path(__file__).with_name("phone.heic")
"""A drawn picture as phones keep photos, turned by a quarter; HEIC can be read here, but not written."""


def write_golden(
    folder: Path,
    paths: Sequence[Path],
    sha256: Sequence[str],
    labels: Sequence[str],
    image_size: tuple[int, int],
    resize: str,
    predict: Callable[[np.ndarray], np.ndarray],
) -> int:
    """Write golden pictures and ``expected.json``, file to probabilities; return how many there are.

    Args:
        folder: Where to; is made.
        paths: Test pictures to choose from.
        sha256: Of the bytes that each had when it was tested; one that has changed since is not taken.
        labels: The class of each; the first such picture of each class is taken, as far as there is room.
        image_size: ``(height, width)`` of the model, pixels.
        resize: Its resize rule.
        predict: The app's answer: uint8 pixels (n, h, w, 3) to probabilities (n, classes).
    """
    folder.mkdir()
    pictures = _first_of_each_class(paths, sha256, labels)
    for number, picture in enumerate(pictures, start=1):
        picture.save(folder / f"photo-{number}.png")
    if pictures:
        _write_awkward_forms(folder, pictures[0])
    shutil.copyfile(_HEIC, folder / _HEIC.name)
    expected = {}
    for path in sorted(folder.iterdir()):
        pixels = images.decode(path.read_bytes(), image_size, resize)
        expected[path.name] = [round(float(value), 7) for value in predict(pixels[None])[0]]
    write_json(folder / "expected.json", expected)
    return len(expected)


def _first_of_each_class(
    paths: Sequence[Path], hashes: Sequence[str], labels: Sequence[str]
) -> list[Image.Image]:
    found: dict[str, Image.Image] = {}
    for path, sha256, label in zip(paths, hashes, labels, strict=True):
        if label in found:
            continue
        try:
            small = images.thumbnail(images.read_unchanged(path, sha256), SIDE)
        except UnreadableImage:
            continue
        found[label] = Image.open(io.BytesIO(small)).convert("RGB")
        if len(found) == MAX_PICTURES:
            break
    return list(found.values())


def _write_awkward_forms(folder: Path, picture: Image.Image) -> None:
    """Write a picture as cameras, scanners and drawing programs do."""
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "rotated-by-exif.jpg", quality=95, exif=exif)
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    grey = picture.convert("L")
    grey.save(folder / "grey.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "grey-16-bit.png")
    seen_through = picture.copy()
    seen_through.putalpha(grey)
    seen_through.save(folder / "alpha.png")
