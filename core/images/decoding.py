"""From bytes to pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.errors import RecipeError
from core.images.opening import DECODER_ERRORS, opened

DECODE_VERSION = 1
"""Part of the key of everything computed from pixels; raise it whenever the pixels of any picture change."""

OVERSAMPLING = 2
"""JPEG draft and box reduction stop at this many times the size asked for, to stay true to a full decode."""

STRIP_PIXELS = 4_000_000
"""Pixels converted to RGB at once, so that a large picture is never held twice."""

CROP_SHARE = 0.875
"""Share of the shorter side that the centre crop keeps: 224 of 256, as ImageNet networks were evaluated."""

PAD_GREY = 127
"""Fill of the "pad" rule: the middle of 0..255, near the mean that preprocessing subtracts."""

REDUCED_SIDE = 224
"""Pixels of the longer side that a reduced picture keeps at least: the usual input of a network."""

RESIZE_RULES = ("stretch", "crop", "pad")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the turn that makes the picture upright; 1 needs none."""

_EXIF_ORIENTATION = 0x0112
_EXIF_PART, _GPS_PART = 0x8769, 0x8825

PRIVATE_TAGS = {
    "place": (),
    "author": (0x013B, 0x9C9D),
    "owner": (0xA430,),
    "serial number": (0xA431, 0xA435, 0xC62F),
}
"""What metadata may tell of a person, and the EXIF tags that do; a place stands in a part of its own."""

_Size = tuple[int, int]


@dataclass(frozen=True)
class ImageInfo:
    """What a picture says of itself.

    Args:
        width: Pixels across, as shown (after EXIF orientation).
        height: Pixels down, as shown.
        format: ``"JPEG"``, ``"PNG"``, ``"WEBP"``, ``"BMP"``, ``"GIF"``, ``"TIFF"``, ``"AVIF"`` or ``"HEIF"``.
        mode: Pillow's colour mode as stored, such as ``"RGB"``, ``"L"``, ``"CMYK"``, ``"I;16"``.
        orientation: EXIF orientation, 1..8; 1 is upright.
        animated: Whether there are more frames or pages than the first, which is the one that is used.
        private: What it tells of a person, of :data:`PRIVATE_TAGS`; empty where nothing is told or it was not looked.
    """

    width: int
    height: int
    format: str
    mode: str
    orientation: int = 1
    animated: bool = False
    private: tuple[str, ...] = ()


def inspect_image(data: bytes) -> ImageInfo:
    """Read a picture's header only; the pixels may still turn out damaged.

    Raises:
        UnreadableImage: The bytes are no picture in a readable format, or a too large one.
    """
    with opened(data) as image:
        # A PNG looks for its EXIF behind the pixels, and would unpack them all on the way.
        headless = image.format == "PNG" and "exif" not in image.info
        return _describe(image, image.size, image.mode, 1 if headless else _orientation(image))


def verify_reduced(data: bytes) -> tuple[ImageInfo, npt.NDArray[np.uint8]]:
    """Decode a whole picture and keep a reduced one to measure: upright, as RGB, not resampled.

    What passes here can be trained on.

    Returns:
        What the picture says of itself, and RGB, uint8 0..255, shape ``(height, width, 3)``: the pixels averaged in
        squares, as few of them as leave the longer side :data:`REDUCED_SIDE` pixels or more, where it has as many.

    Raises:
        UnreadableImage: The bytes are no picture in a readable format, too large, cut short or damaged.
    """
    with opened(data) as image:
        size, mode = image.size, image.mode
        side = REDUCED_SIDE // OVERSAMPLING
        # JPEG unpacks every block also at an eighth of the size, so a missing end is noticed all the same.
        picture = _load_rgb(image, lambda size: _scaled_size(size, (side, side), "pad"))
        info = _describe(image, size, mode, _orientation(image))
        pixels = np.asarray(picture)
        return replace(info, animated=_is_animated(image), private=_private(image)), pixels


def decode(data: bytes, image_size: tuple[int, int], resize: str = "stretch") -> npt.NDArray[np.uint8]:
    """Decode a picture to the size that a network takes.

    Alpha is laid over white. 16-bit grey is scaled from 0..65535 to 0..255; 32-bit grey and float, which
    have no fixed range, from their own minimum and maximum. Resampling is bilinear and antialiased.

    Args:
        data: The bytes of the file.
        image_size: ``(height, width)`` in pixels, each at least 1.
        resize: ``"stretch"`` ignores the aspect ratio; ``"crop"`` scales the shorter side to the size divided
            by 0.875 and keeps the centre; ``"pad"`` fits the picture in and fills the rest with grey 127.

    Returns:
        RGB, uint8 0..255, shape ``(height, width, 3)``.

    Raises:
        UnreadableImage: The bytes are no picture in a readable format, too large, cut short or damaged.
        RecipeError: The resize rule or the size is impossible.
    """
    height, width = image_size
    if resize not in RESIZE_RULES or min(height, width) < 1:
        raise RecipeError(
            f'Received resize "{resize}" to {height} x {width} pixels. Expected one of '
            f"{', '.join(RESIZE_RULES)} and at least 1 x 1 pixels. Change the recipe."
        )
    target = (width, height)
    with opened(data) as image:
        picture = _load_rgb(image, lambda size: _scaled_size(size, target, resize))
        return np.array(_resized(picture, target, resize), dtype=np.uint8)


def thumbnail(data: bytes, side: int) -> bytes:
    """Return a small WebP of a picture, its longer side at most ``side`` pixels, never enlarged.

    Raises:
        UnreadableImage: The bytes are no picture in a readable format, too large, cut short or damaged.
    """

    def fit(size: _Size) -> _Size:
        return size if max(size) <= side else _scaled_size(size, (side, side), "pad")

    with opened(data) as image:
        full_size = image.size
        picture = _load_rgb(image, fit)
        upright_size = _turned(full_size, _orientation(image))
        small = picture.resize(fit(upright_size), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=80, method=2)
    return buffer.getvalue()


def _orientation(image: Image.Image) -> int:
    # Pillow turns TIFF while loading, and tells their size as already turned.
    if image.format == "TIFF":
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except DECODER_ERRORS:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _is_animated(image: Image.Image) -> bool:
    # A phone's MPO holds further views of the same moment.
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _private(image: Image.Image) -> tuple[str, ...]:
    try:
        exif = image.getexif()
        if not exif:
            return ()
        tags = {**exif, **exif.get_ifd(_EXIF_PART)}
        place = exif.get_ifd(_GPS_PART)
    except DECODER_ERRORS:
        return ()
    found = [
        name for name, known in PRIVATE_TAGS.items() if any(str(tags.get(tag) or "").strip() for tag in known)
    ]
    # Cameras without a position leave an empty part, or only its version.
    return ("place", *found) if 2 in place and 4 in place else tuple(found)


def _describe(image: Image.Image, size: _Size, mode: str, orientation: int) -> ImageInfo:
    width, height = _turned(size, orientation)
    # A phone's MPO is a JPEG followed by further ones (depth, previews).
    image_format = "JPEG" if image.format == "MPO" else str(image.format)
    return ImageInfo(width, height, image_format, mode, orientation)


def _turned(size: _Size, orientation: int) -> _Size:
    return (size[1], size[0]) if orientation >= 5 else size


def _scaled_size(size: _Size, target: _Size, resize: str) -> _Size:
    """Return the size to which a rule scales the whole picture, before any cropping or padding."""
    if resize == "stretch":
        return target
    ratios = (target[0] / size[0], target[1] / size[1])
    scale = max(ratios) / CROP_SHARE if resize == "crop" else min(ratios)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _load_rgb(image: Image.Image, wanted: Callable[[_Size], _Size]) -> Image.Image:
    """Load the pixels upright and as RGB, as few of them as the wanted size needs.

    Args:
        image: An opened picture.
        wanted: Maps the upright size of the whole picture to the size it will be resized to.
    """

    def needed(size: _Size, orientation: int) -> _Size:
        width, height = _turned(wanted(_turned(size, orientation)), orientation)
        return OVERSAMPLING * width, OVERSAMPLING * height

    full_size = image.size
    if image.format in ("JPEG", "MPO"):
        image.draft(None, needed(full_size, _orientation(image)))
    image.load()
    orientation = _orientation(image)
    width, height = needed(full_size, orientation)
    factor = max(1, min(image.width // width, image.height // height))
    picture = _reduced_rgb(image, factor)
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _reduced_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Convert to RGB and average squares of ``factor`` pixels, strip by strip."""
    to_rgb = _rgb_converter(image)
    rows = factor * max(1, STRIP_PIXELS // (image.width * factor))
    if rows >= image.height:
        whole = to_rgb(image)
        return whole if factor == 1 else whole.reduce(factor)
    reduced = Image.new("RGB", (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    for top in range(0, image.height, rows):
        strip = to_rgb(image.crop((0, top, image.width, min(top + rows, image.height))))
        reduced.paste(strip if factor == 1 else strip.reduce(factor), (0, top // factor))
    return reduced


def _rgb_converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    if image.mode.startswith("I;16"):
        return lambda strip: _grey_to_rgb(strip, 0, 65535)
    if image.mode in ("I", "F"):
        low, high = np.nan_to_num(np.asarray(image.getextrema(), dtype=np.float64)).tolist()
        return lambda strip: _grey_to_rgb(strip, low, high)
    if image.has_transparency_data:
        return _over_white
    return lambda strip: strip if strip.mode == "RGB" else strip.convert("RGB")


def _grey_to_rgb(strip: Image.Image, low: float, high: float) -> Image.Image:
    values = np.nan_to_num(np.asarray(strip, dtype=np.float64))
    scaled = (values - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)).convert("RGB")


def _over_white(strip: Image.Image) -> Image.Image:
    picture = strip.convert("RGBA")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _resized(picture: Image.Image, target: _Size, resize: str) -> Image.Image:
    bilinear = Image.Resampling.BILINEAR
    if resize == "stretch":
        return picture.resize(target, bilinear)
    if resize == "pad":
        inner = picture.resize(_scaled_size(picture.size, target, "pad"), bilinear)
        canvas = Image.new("RGB", target, (PAD_GREY, PAD_GREY, PAD_GREY))
        canvas.paste(inner, ((target[0] - inner.width) // 2, (target[1] - inner.height) // 2))
        return canvas
    scale = CROP_SHARE * min(picture.width / target[0], picture.height / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.resize(target, bilinear, box=(left, top, left + width, top + height))
