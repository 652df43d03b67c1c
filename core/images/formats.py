"""Which formats are read, how their files are named, and what to call everything else."""

from __future__ import annotations

import contextlib
import itertools

from PIL import (
    AvifImagePlugin,  # noqa: F401 - Pillow, asked for a format that it does not know yet, imports all forty it has
    Image,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    features,
)

from core.errors import UnreadableImage

with contextlib.suppress(ImportError):
    import pi_heif  # type: ignore[import-untyped]

    # One thread a picture: many pictures are read at once already. The small preview in the file is never wanted.
    pi_heif.register_heif_opener(decode_threads=1, thumbnails=False)

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""File name endings of each format that can be read, lower case."""

_UNSUPPORTED_SUFFIXES = (".jxl", ".jp2", ".j2k", ".psd")

EXTENSIONS = frozenset(itertools.chain(_UNSUPPORTED_SUFFIXES, *_SUFFIXES.values()))
"""Endings of files that are meant as pictures, also those that can only be reported as unsupported."""

_MISSING = {
    "AVIF": not features.check("avif"),
    "HEIF": "HEIF" not in Image.OPEN,
}

FORMATS = tuple(name for name in _SUFFIXES if not _MISSING.get(name))
"""The only formats that Pillow is allowed to try."""

_UNSUPPORTED = {
    "HEIF": "This is a HEIC picture, which this machine cannot open. Run: python -m pip install pi-heif. "
    "Or save it as JPEG and use that "
    "(an iPhone takes JPEG with Settings, Camera, Formats, Most Compatible).",
    "AVIF": "This is an AVIF picture, which this machine's Pillow cannot open. Save it as JPEG or PNG.",
    "JPEG XL": "This is a JPEG XL picture, which Graft cannot open. Save it as JPEG or PNG.",
    "JPEG 2000": "This is a JPEG 2000 picture, which Graft cannot open. Save it as JPEG or PNG.",
    "Photoshop": "This is a Photoshop document, which Graft cannot open. Save it as JPEG or PNG.",
}

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def suffixes_of(image_format: str) -> tuple[str, ...]:
    """Return the usual file name endings of a format, lower case with the dot; none for an unknown format."""
    return _SUFFIXES.get(image_format, ())


def sniff(head: bytes) -> str:
    """Name the picture format that the first 16 bytes of a file announce, or return ``""``.

    >>> sniff(b"GIF89a")
    'GIF'
    """
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] == b"GIF8":
        return "GIF"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if head[4:8] == b"ftyp":
        return "AVIF" if head[8:12] in (b"avif", b"avis") else "HEIF" if head[8:12] in _HEIF_BRANDS else ""
    if head[:2] == b"\xff\x0a" or head[4:8] == b"JXL ":
        return "JPEG XL"
    if head[:4] == b"\xff\x4f\xff\x51" or head[4:8] == b"jP  ":
        return "JPEG 2000"
    if head[:4] == b"8BPS":
        return "Photoshop"
    return "BMP" if head[:2] == b"BM" else ""


def why_unidentified(data: bytes) -> UnreadableImage:
    """Say what bytes are that no decoder wanted."""
    name = sniff(data[:16])
    if name in _UNSUPPORTED and name not in FORMATS:
        return UnreadableImage(_UNSUPPORTED[name], "unsupported_format")
    if name:
        return why_damaged(data, None)
    start = data[:256].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return UnreadableImage(
            "This is a Git LFS pointer, not the picture itself. Fetch the pictures with: git lfs pull",
            "not_image",
        )
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return UnreadableImage(
            "This is a web page or other markup, not a picture: often an error page saved by a download. "
            "Download it again, or remove it.",
            "not_image",
        )
    if start.startswith(b"\0\5\x16\7"):
        return UnreadableImage(
            "This is a note that macOS keeps beside a file, not a picture. Remove it.", "not_image"
        )
    return UnreadableImage("This is not a picture in a known format. Replace it, or remove it.", "not_image")


def why_damaged(data: bytes, error: Exception | None) -> UnreadableImage:
    """Say what is wrong with a picture on which its decoder gave up."""
    if "truncated" in str(error).lower() or ends_early(data):
        return UnreadableImage(
            "The end of the picture is missing: a copy or download was interrupted. "
            "Copy it again, or remove it.",
            "truncated",
        )
    reason = f" ({error})" if error is not None and str(error) else ""
    return UnreadableImage(f"The picture is damaged{reason}. Copy it again from its source, or remove it.")


def ends_early(data: bytes) -> bool:
    """Return whether the end of a picture file is certainly missing, as far as its format tells."""
    match sniff(data[:16]):
        case "JPEG":
            return b"\xff\xd9" not in data[-1024:]
        case "PNG":
            return b"IEND" not in data[-1024:]
        case "GIF":
            return b";" not in data[-16:]
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "BMP":
            return int.from_bytes(data[2:6], "little") > len(data)
        case "HEIF":
            return _boxes_end(data) > len(data)
    return False


def _boxes_end(data: bytes) -> int:
    """Return where the last of the boxes ends that follow each other in a file, each with its length in front."""
    end = 0
    while end + 8 <= len(data):
        length = int.from_bytes(data[end : end + 4], "big")
        if length == 1:  # the real one takes eight bytes
            length = int.from_bytes(data[end + 8 : end + 16], "big")
        if length < 8:  # 0 stands for the rest of the file
            return len(data)
        end += length
    return end
