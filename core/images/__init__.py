"""One picture, from the bytes of a file to pixels: the only decode path.

Audit, training, prediction and export all come through here, so they all see the same pixels: the picture
upright (EXIF), as RGB, transparent parts on white, the first frame of an animation. Bytes are untrusted: only
known formats are tried, sizes are limited before anything is unpacked, and whatever a damaged file makes the
decoder do ends as one :class:`core.errors.UnreadableImage`.
"""

from __future__ import annotations

from core.images.decoding import (
    DECODE_VERSION,
    PRIVATE_TAGS,
    RESIZE_RULES,
    ImageInfo,
    decode,
    inspect_image,
    thumbnail,
    verify_reduced,
)
from core.images.files import MAX_FILE_BYTES, read_bytes, read_unchanged
from core.images.formats import EXTENSIONS, FORMATS, sniff, suffixes_of
from core.images.opening import MAX_PIXELS
from core.images.processes import map_in_processes
from core.images.spotlight import spotlight
from core.images.threads import default_workers, iterate_decoded, map_in_threads

__all__ = [
    "DECODE_VERSION",
    "EXTENSIONS",
    "FORMATS",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "PRIVATE_TAGS",
    "RESIZE_RULES",
    "ImageInfo",
    "decode",
    "default_workers",
    "inspect_image",
    "iterate_decoded",
    "map_in_processes",
    "map_in_threads",
    "read_bytes",
    "read_unchanged",
    "sniff",
    "spotlight",
    "suffixes_of",
    "thumbnail",
    "verify_reduced",
]
