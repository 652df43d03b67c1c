"""Opening a picture safely: limits, locks, and one kind of error."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from core.errors import UnreadableImage
from core.images.files import check_num_bytes
from core.images.formats import FORMATS, ends_early, why_damaged, why_unidentified

MAX_PIXELS = 150_000_000
"""Most pixels (width x height): 108-megapixel phones and 150-megapixel backs exist, Pillow refuses 179."""

MAX_PIXELS_OF_FORMAT = {"WEBP": 50_000_000, "AVIF": 50_000_000, "HEIF": 50_000_000}
"""Lower limits: Pillow's decoders of these hold several copies, measured 16 bytes a pixel for WebP."""

LARGE_PIXELS = 32_000_000
"""Pictures with more pixels are unpacked one at a time (4 bytes a pixel), so threads never add them up."""

DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    BufferError,
    RuntimeError,
    Warning,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged bytes; warnings count where a program turns them into errors."""

BLOCK_BYTES = 64 * 2**20
"""Pillow asks for pixels in blocks of this size. Above 32 MiB glibc gives them back when they are freed; below
it each thread keeps them, so that four threads held four large pictures."""

Image.core.set_block_size(BLOCK_BYTES)  # type: ignore[attr-defined]

_large_turn = threading.Lock()
_filter_turn = threading.Lock()
_pillow_filter = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture and turn whatever goes wrong with it, here or in the block, into UnreadableImage.

    Only one large picture is open at a time; its pixels are gone before the next one takes its turn.
    """
    check_num_bytes(len(data))
    _silence_pillow()
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_num_pixels(image)
        # Its decoder leaves what is missing grey and says nothing.
        if image.format == "HEIF" and ends_early(data):
            raise why_damaged(data, None)
        with _turn(image), contextlib.closing(image):
            yield image
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImage(
            f"The picture is too large to be unpacked. Expected at most {MAX_PIXELS // 10**6} megapixels. "
            "Save it smaller.",
            "too_large",
        ) from error
    except UnidentifiedImageError as error:
        raise why_unidentified(data) from error
    except DECODER_ERRORS as error:
        raise why_damaged(data, error) from error


def _check_num_pixels(image: Image.Image) -> None:
    limit = MAX_PIXELS_OF_FORMAT.get(image.format or "", MAX_PIXELS)
    if image.width * image.height > limit:
        raise UnreadableImage(
            f"The picture has {image.width:,} x {image.height:,} pixels. "
            f"Expected at most {limit // 10**6} megapixels in this format. Save it smaller.",
            "too_large",
        )


def _silence_pillow() -> None:
    """Keep Pillow's warnings about odd metadata to itself, in front of any filter set since.

    The filter is only ever added: entering and leaving ``catch_warnings`` in threads would mix up the
    filters of others.
    """
    if not warnings.filters or warnings.filters[0] != _pillow_filter:
        with _filter_turn:
            warnings.filterwarnings("ignore", module=r"PIL\.")


def _turn(image: Image.Image) -> contextlib.AbstractContextManager[object]:
    is_large = image.width * image.height > LARGE_PIXELS
    return _large_turn if is_large else contextlib.nullcontext()
