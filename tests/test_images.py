from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from core import images
from core.errors import RecipeError, UnreadableImage
from core.images import opening
from tests.pictures import LEFT, RIGHT, encode, noise, two_sided, write
from tests.users import open_folder, unprivileged

ORIENTATION = 0x0112

# What a viewer would have to store so that two_sided() is shown, for each orientation tag.
STORED = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}

SOUND = {
    "jpeg": encode(noise(1), "JPEG"),
    "progressive jpeg": encode(noise(1), "JPEG", progressive=True),
    "png": encode(noise(1)),
    "webp": encode(noise(1), "WEBP"),
    "gif": encode(noise(1), "GIF"),
    "bmp": encode(noise(1), "BMP"),
    "tiff": encode(noise(1), "TIFF"),
}


def shown_sides(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pixels = images.decode(data, (16, 32))
    return tuple(pixels[8, 4].tolist()), tuple(pixels[8, 27].tolist())


def verify(data: bytes) -> images.ImageInfo:
    """What an audit finds of a picture whose pixels can all be read."""
    return images.verify_reduced(data)[0]


def kind_of(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        images.decode(data, (8, 8))
    return caught.value.kind


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_shown_upright(orientation: int, image_format: str) -> None:
    stored = two_sided()
    for turn in STORED[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(image_format, {})
    data = encode(stored, image_format, exif=exif, **options)
    left, right = shown_sides(data)
    assert np.allclose(left, LEFT, atol=3)
    assert np.allclose(right, RIGHT, atol=3)
    for info in (images.inspect_image(data), verify(data)):
        assert (info.width, info.height, info.format) == (64, 32, image_format)
    with Image.open(io.BytesIO(images.thumbnail(data, 32))) as small:
        assert small.size == (32, 16)


def test_a_png_whose_exif_follows_the_pixels_is_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encode(two_sided().transpose(Image.Transpose.ROTATE_90), exif=exif)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    chunk, rest = data[start:end], data[:start] + data[end:]
    late = rest[: rest.index(b"IEND") - 4] + chunk + rest[rest.index(b"IEND") - 4 :]
    assert verify(late).width == 64
    assert shown_sides(late) == (LEFT, RIGHT)


def test_transparent_parts_become_white() -> None:
    rgba = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    grey_alpha = Image.new("LA", (8, 8), (0, 0))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0] * 256)
    assert (images.decode(encode(rgba), (4, 4)) == 255).all()
    assert (images.decode(encode(half), (4, 4)) == 127).all()
    assert (images.decode(encode(grey_alpha), (4, 4)) == 255).all()
    assert (images.decode(encode(palette, transparency=1), (4, 4)) == 255).all()
    assert (images.decode(encode(Image.new("L", (8, 8), 7), transparency=7), (4, 4)) == 255).all()


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    for level, expected in ((0, 0), (257, 1), (32768, 128), (65535, 255)):
        for image_format in ("PNG", "TIFF"):
            data = encode(Image.new("I;16", (8, 8), level), image_format)
            assert (images.decode(data, (4, 4)) == expected).all()


def test_float_and_integer_grey_is_stretched_over_its_own_range() -> None:
    ramp = np.tile(np.linspace(-5.0, 1000.0, 64, dtype=np.float32), (8, 1))
    for picture in (Image.fromarray(ramp), Image.fromarray(ramp.astype(np.int32))):
        pixels = images.decode(encode(picture, "TIFF"), (8, 64))
        assert pixels.min() == 0
        assert pixels.max() == 255


def test_a_float_picture_without_any_number_decodes_silently() -> None:
    blank = Image.fromarray(np.full((8, 8), np.nan, dtype=np.float32))
    assert images.decode(encode(blank, "TIFF"), (4, 4)).shape == (4, 4, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_colour_mode_shows_the_same_grey(mode: str) -> None:
    grey = Image.new("RGB", (16, 16), (255, 255, 255)).convert(mode)
    image_format = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert images.decode(encode(grey, image_format), (4, 4)).min() >= 254


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    for image_format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if image_format == "WEBP" else {}
        data = encode(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        assert images.decode(data, (2, 2))[0, 0].tolist() == [200, 0, 0]


def test_a_phones_multi_picture_file_is_a_jpeg() -> None:
    data = encode(noise(1), "MPO", save_all=True, append_images=[noise(2)])
    assert verify(data).format == images.inspect_image(data).format == "JPEG"
    assert np.array_equal(images.decode(data, (32, 32)), images.decode(encode(noise(1), "JPEG"), (32, 32)))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    image_size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    resize=st.sampled_from(images.RESIZE_RULES),
    image_format=st.sampled_from(["JPEG", "PNG"]),
)
def test_any_picture_decodes_to_any_size(
    size: tuple[int, int], image_size: tuple[int, int], resize: str, image_format: str
) -> None:
    data = encode(Image.new("RGB", size, (90, 90, 90)), image_format)
    pixels = images.decode(data, image_size, resize)
    assert pixels.shape == (*image_size, 3)
    assert pixels.dtype == np.uint8
    shown = pixels[pixels != 127]
    assert shown.size
    assert abs(int(shown.min()) - 90) <= 2


def test_crop_keeps_the_centre_and_the_aspect_ratio() -> None:
    wide = Image.new("RGB", (300, 100), (0, 255, 0))
    wide.paste((255, 0, 0), (0, 0, 100, 100))
    wide.paste((0, 0, 255), (200, 0, 300, 100))
    pixels = images.decode(encode(wide), (50, 50), "crop")
    assert (pixels[:, :, 1] > 250).all()


def test_crop_keeps_seven_eighths_of_the_shorter_side() -> None:
    framed = Image.new("RGB", (256, 256), (255, 0, 0))
    framed.paste((0, 255, 0), (18, 18, 238, 238))
    pixels = images.decode(encode(framed), (224, 224), "crop")
    assert pixels[112, :2, 0].min() > 200
    assert pixels[112, 2:222, 1].min() > 200


def test_pad_shows_the_whole_picture_on_middle_grey() -> None:
    pixels = images.decode(encode(Image.new("RGB", (100, 50), (255, 0, 0))), (40, 40), "pad")
    assert (pixels[:10] == 127).all()
    assert (pixels[30:] == 127).all()
    assert (pixels[10:30] == (255, 0, 0)).all()


def test_draft_and_reduction_stay_close_to_a_full_decode() -> None:
    photo = noise(3, (1500, 1100))
    for data in (encode(photo, "JPEG", quality=95), encode(photo)):
        whole = np.asarray(photo.resize((96, 96), Image.Resampling.BILINEAR), dtype=float)
        assert np.abs(images.decode(data, (96, 96)) - whole).mean() < 1.5


def test_strips_of_a_large_picture_show_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(noise(4, (200, 173)).convert("RGBA"))
    whole = images.decode(data, (20, 20))
    monkeypatch.setattr("core.images.decoding.STRIP_PIXELS", 2000)
    assert np.array_equal(images.decode(data, (20, 20)), whole)
    assert np.array_equal(
        images.decode(data, (190, 190)), images.decode(encode(noise(4, (200, 173))), (190, 190))
    )


@pytest.mark.parametrize(("resize", "image_size"), [("fit", (8, 8)), ("stretch", (0, 8)), ("crop", (8, -1))])
def test_an_impossible_size_or_rule_is_refused(resize: str, image_size: tuple[int, int]) -> None:
    with pytest.raises(RecipeError, match="Expected one of stretch, crop, pad and at least 1 x 1 pixels"):
        images.decode(encode(noise(1)), image_size, resize)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg"])
def test_a_jpeg_without_its_last_400_bytes_is_truncated(name: str) -> None:
    options = {"progressive": name != "jpeg", "quality": 95}
    for size in ((640, 480), (3000, 2000)):
        data = encode(noise(5, size), "JPEG", **options)[:-400]
        for look in (
            verify,
            lambda cut: images.decode(cut, (32, 32)),
            lambda cut: images.thumbnail(cut, 9),
        ):
            with pytest.raises(UnreadableImage, match="The end of the picture is missing") as caught:
                look(data)
            assert caught.value.kind == "truncated"


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_file_is_called_truncated_or_damaged_and_never_a_picture(name: str, share: float) -> None:
    data = SOUND[name][: int(len(SOUND[name]) * share)]
    with pytest.raises(UnreadableImage) as caught:
        verify(data)
    assert caught.value.kind in (("truncated", "unreadable") if name == "tiff" else ("truncated",))


def test_truncated_pictures_are_never_accepted_by_a_switch_left_on() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


HEADER_ONLY_HEIC = (
    ("unreadable", "damaged") if "HEIF" in images.FORMATS else ("unsupported_format", "pip install pi-heif")
)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "empty", "empty"),
        (b"hello, I am text", "not_image", "not a picture in a known format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "not_image", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "not_image", "web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_image", "markup"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "not_image", "macOS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", *HEADER_ONLY_HEIC),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported_format", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported_format", "JPEG 2000"),
        (b"8BPS\0\1", "unsupported_format", "Photoshop"),
        (b"BM and so on", "truncated", "end of the picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40 + b"IEND", "unreadable", "damaged"),
    ],
)
def test_what_is_no_picture_is_told_apart(data: bytes, kind: str, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words) as caught:
        verify(data)
    assert caught.value.kind == kind


def test_a_heic_photo_of_a_phone_is_read_upright_and_a_cut_one_is_truncated(shared_data: Path) -> None:
    pytest.importorskip("pi_heif", reason="needs pi-heif, which requirements.txt installs")
    data = (shared_data / "torture/shoes/IMG_5195.HEIC").read_bytes()
    info, picture = images.verify_reduced(data)
    assert (info.width, info.height, info.format, info.private) == (2566, 3313, "HEIF", ("place",))
    assert picture.shape[0] > picture.shape[1]
    for share in (0.3, 0.6, 0.95):
        assert kind_of(data[: int(len(data) * share)]) == "truncated"


def test_formats_that_run_programs_or_fetch_files_are_never_tried() -> None:
    assert {"EPS", "WMF", "PSD", "FITS", "MIC", "PDF"}.isdisjoint(images.FORMATS)
    assert kind_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n") == "not_image"


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that announces a size and holds no pixels."""
    data = encode(Image.new("L", (1, 1)))
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(("width", "height"), [(12_500, 12_001), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    assert kind_of(bomb(width, height)) == "too_large"
    with pytest.raises(UnreadableImage, match="Expected at most 150 megapixels"):
        images.inspect_image(bomb(width, height))


def test_formats_with_hungry_decoders_have_a_lower_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opening.MAX_PIXELS_OF_FORMAT, "WEBP", 1000)
    with pytest.raises(UnreadableImage, match="in this format"):
        verify(encode(noise(1), "WEBP"))
    assert verify(encode(noise(1), "PNG")).width == 48


def test_108_megapixels_decode_although_pillow_would_warn() -> None:
    data = encode(Image.new("L", (12_000, 9_000), 77), "JPEG")
    assert (images.decode(data, (16, 16), "crop") == 77).all()
    assert verify(data) == images.ImageInfo(12_000, 9_000, "JPEG", "L")


def test_only_one_large_picture_is_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGE_PIXELS", 100)
    waiting = threading.Event()
    with opening.opened(SOUND["png"]):
        other = threading.Thread(target=lambda: (verify(SOUND["png"]), waiting.set()))
        other.start()
        assert not waiting.wait(0.05)
    other.join(5)
    assert waiting.is_set()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(SOUND)), resize=st.sampled_from(images.RESIZE_RULES))
def test_damaged_bytes_give_pixels_or_one_clear_error(data: st.DataObject, name: str, resize: str) -> None:
    damaged = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(UnreadableImage):
            assert images.decode(bytes(damaged), (8, 9), resize).shape == (8, 9, 3)


def test_odd_metadata_neither_warns_nor_makes_a_picture_unreadable() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera with quite a long name"
    data = bytearray(encode(noise(1), "JPEG", exif=exif))
    start = data.index(b"Exif\0\0")
    data[start + 14 : start + 30] = b"\xff" * 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify(bytes(data)).width == 48
        assert images.decode(bytes(data), (8, 8)).shape == (8, 8, 3)


def test_a_thumbnail_keeps_the_aspect_ratio_and_is_never_enlarged() -> None:
    for size, side, expected in (
        ((400, 100), 80, (80, 20)),
        ((30, 20), 80, (30, 20)),
        ((2000, 1), 50, (50, 1)),
    ):
        with Image.open(io.BytesIO(images.thumbnail(encode(Image.new("RGB", size)), side))) as small:
            assert (small.format, small.size) == ("WEBP", expected)


def test_reading_refuses_everything_but_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "empty.jpg").touch()
    expected = {"pipe.jpg": "not_image", "folder.jpg": "not_image", "loop.jpg": "unreadable"}
    for name, kind in {
        **expected,
        "gone.jpg": "missing",
        "empty.jpg": "empty",
        "nul\0.jpg": "unreadable",
    }.items():
        with pytest.raises(UnreadableImage) as caught:
            images.read_bytes(tmp_path / name)
        assert caught.value.kind == kind
    with pytest.raises(UnreadableImage, match="folder, pipe or device"):
        images.read_bytes(Path("/dev/zero"))


def test_reading_refuses_a_file_over_the_limit_without_loading_it(tmp_path: Path) -> None:
    with (tmp_path / "big.jpg").open("wb") as file:
        file.truncate(images.MAX_FILE_BYTES + 1)
    with pytest.raises(UnreadableImage, match="Expected at most 128 MiB") as caught:
        images.read_bytes(tmp_path / "big.jpg")
    assert caught.value.kind == "too_large"


def test_a_file_without_permission_says_so() -> None:
    with open_folder() as folder:
        path = write(folder / "secret.png", 1)
        path.chmod(0)
        with unprivileged(), pytest.raises(UnreadableImage, match="Give yourself permission") as caught:
            images.read_bytes(path)
    assert caught.value.kind == "no_permission"


@pytest.mark.parametrize(("name", "data"), SOUND.items())
def test_the_first_bytes_tell_the_format(name: str, data: bytes) -> None:
    assert images.sniff(data[:16]) == verify(data).format
    assert images.sniff(b"") == images.sniff(b"just text") == ""


def test_many_pictures_come_in_order_with_errors_in_their_place(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{index}.png", index) for index in range(20)]
    paths.insert(7, tmp_path / "missing.png")
    results = list(images.iterate_decoded(paths, (8, 8), "pad", workers=3))
    assert [index for index, result in enumerate(results) if isinstance(result, UnreadableImage)] == [7]
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, np.ndarray):
            assert np.array_equal(result, images.decode(path.read_bytes(), (8, 8), "pad"))


def test_threads_run_only_a_few_items_ahead() -> None:
    started = []
    stream = images.map_in_threads(lambda item: started.append(item) or item, range(1000), workers=2)
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(started) <= 5 + 2 * 2
    stream.close()
    assert len(started) <= 5 + 2 * 2


def test_threads_run_as_far_ahead_as_they_may() -> None:
    started, all_there = [], threading.Event()

    def start(item: int) -> None:
        started.append(item)
        if len(started) == 32:
            all_there.set()

    stream = images.map_in_threads(start, range(1000), workers=2, ahead=32)
    next(stream)
    assert all_there.wait(10)
    assert len(started) <= 33
    stream.close()


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(images.map_in_threads(lambda item: 1 // item, [2, 1, 0, 1], workers=2))


def test_a_spotlight_leaves_what_is_lit_in_colour_and_the_rest_in_dark_grey() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 40, 40)).save(buffer, format="PNG")
    drawn = images.spotlight(buffer.getvalue(), (64, 64), "stretch", [[2.0, 0.0], [-1.0, 0.0]], 2.0)
    pixels = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"), dtype=int)
    lit, dark = pixels[4, 4], pixels[60, 60]
    assert lit[0] > lit[1] + 100
    assert np.ptp(dark) < 20 and dark.max() < 70
