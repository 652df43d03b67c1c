"""Near-duplicates are found whatever small thing was done to them, and nothing else is called one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from core import images
from core.audit import hashes, near_duplicates
from core.audit.likeness import likeness
from tests.pictures import encode

SIDE = hashes.THUMBNAIL_SIDE


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Return a picture of many coloured shapes before a sky, as varied as a photo."""
    rng = np.random.default_rng(seed)
    sky = np.linspace(*rng.integers(90, 230, (2, 3)), size[1])[:, None].repeat(size[0], axis=1)
    picture = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(25):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        width, height = rng.integers(size[0] // 20, size[0] // 3, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=tuple(map(int, rng.integers(0, 256, 3))))
    return picture


def thumbnails(*pictures: Image.Image, **options: int) -> npt.NDArray[np.uint8]:
    """Return what the audit keeps of pictures that are stored as JPEG."""
    kept = [
        near_duplicates.thumbnail(images.verify_reduced(encode(p, "JPEG", **options))[1]) for p in pictures
    ]
    return np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, SIDE, SIDE)


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut shares of the width and height off the margins."""
    width, height = picture.size
    return picture.crop(
        (round(left * width), round(top * height), round(width * (1 - right)), round(height * (1 - bottom)))
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.BICUBIC),
        lambda p: p.resize((p.width * 2, p.height * 2), Image.Resampling.BICUBIC),
        lambda p: p.resize((224, 224), Image.Resampling.BILINEAR),
        ImageOps.mirror,
        lambda p: cropped(p, 0.025, 0.025, 0.025, 0.025),
        lambda p: cropped(p, 0.05, 0, 0, 0.05),
        lambda p: cropped(ImageOps.mirror(p), 0, 0.05, 0, 0).resize((160, 120)),
    ],
    ids=["half", "double", "square", "mirrored", "all around", "corner", "mirrored, cropped and resized"],
)
def test_changed_copies_are_found(change: Callable[[Image.Image], Image.Image]) -> None:
    originals = [scene(seed) for seed in range(40)]
    kept = np.concatenate([thumbnails(*originals), thumbnails(*map(change, originals), quality=40)])
    lowest, alike, _ = near_duplicates.group(kept)
    assert (lowest == np.tile(np.arange(40), 2)).mean() >= 0.97
    assert (alike >= near_duplicates.MIN_LIKENESS).mean() >= 0.97


def test_different_scenes_are_never_grouped_whether_few_or_many() -> None:
    for count in (0, 1, 2, 40, hashes.FEW + 100):
        kept = thumbnails(*(scene(seed, (120, 90)) for seed in range(count)))
        lowest, alike, _ = near_duplicates.group(kept.reshape(-1, SIDE, SIDE))
        assert lowest.tolist() == list(range(count))
        assert (alike < near_duplicates.MIN_LIKENESS).all()


def test_the_index_of_many_finds_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = [scene(seed, (120, 90)) for seed in range(120)]
    kept = thumbnails(*originals, *(cropped(picture, 0.03, 0.01, 0.01, 0.03) for picture in originals))
    monkeypatch.setattr(hashes, "MAX_CANDIDATES", 1000)
    found = {}
    for few in (0, 1000):
        monkeypatch.setattr(hashes, "FEW", few)
        pairs = hashes.find_candidates(kept)
        found[few] = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert found[0] == found[1000]
    assert len(found[0]) >= 110


def test_pictures_with_little_to_see_are_not_grouped() -> None:
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 200, SIDE)  # the same lamp over empty tables
    kept = np.clip(slope + rng.normal(0, 1.5, (60, SIDE, SIDE)), 0, 255).astype(np.uint8)
    kept[:10] = 255
    lowest, alike, _ = near_duplicates.group(kept)
    assert lowest.tolist() == list(range(60))
    assert not alike.any()


def test_textures_of_one_kind_do_not_melt_into_one_group() -> None:
    rng = np.random.default_rng(0)
    kept = rng.integers(0, 256, (300, SIDE, SIDE)).astype(np.uint8)
    assert near_duplicates.group(kept)[0].tolist() == list(range(300))


def test_a_kind_of_look_alikes_is_cut_where_it_holds_together_least() -> None:
    rng = np.random.default_rng(0)
    common = np.asarray(scene(0).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    kinds = common + rng.normal(0, 9, (80, SIDE, SIDE))
    twins = kinds[::8] + rng.normal(0, 0.5, (10, SIDE, SIDE))
    lowest, _, _ = near_duplicates.group(np.clip(np.concatenate([kinds, twins]), 0, 255).astype(np.uint8))
    assert np.bincount(lowest).max() <= near_duplicates.MAX_GROUP
    assert (lowest[80:] == lowest[:80:8]).all()


def test_a_large_group_of_real_copies_stays_together() -> None:
    original = scene(1)
    kept = np.concatenate([thumbnails(original, quality=quality) for quality in range(40, 90)])
    assert not near_duplicates.group(kept)[0].any()


def test_tiny_pictures_have_no_thumbnail() -> None:
    small = np.zeros((near_duplicates.MIN_SIDE - 1, 40, 3), dtype=np.uint8)
    assert near_duplicates.thumbnail(small) == b""
    assert len(near_duplicates.thumbnail(np.zeros((16, 16, 3), dtype=np.uint8))) == SIDE**2


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_likeness_is_1_for_the_same_picture_and_far_from_it_for_another(one: int, other: int) -> None:
    first, second = thumbnails(scene(one)), thumbnails(scene(other))
    forth, back = likeness(first, second)[0], likeness(second, first)[0]
    assert (forth >= near_duplicates.MIN_LIKENESS) == (back >= near_duplicates.MIN_LIKENESS) == (one == other)
    assert one != other or min(forth, back) >= 0.999


def test_the_hash_hardly_changes_with_size_compression_and_brightness() -> None:
    picture = scene(5)
    changed = [picture.resize((100, 75)), picture.point(lambda value: value * 0.7)]
    first, *others = hashes.hash_of(np.concatenate([thumbnails(picture), thumbnails(*changed, quality=50)]))
    assert all(np.bitwise_count(first ^ other) <= 4 for other in others)
    mirrored = hashes.hash_of(thumbnails(ImageOps.mirror(picture)), mirrored=True)[0]
    assert np.bitwise_count(first ^ mirrored) <= 2


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(85, 100)), max_size=40),
    st.sampled_from([0.9, 0.93, 0.96, 0.99]),
)
def test_links_give_the_groups_of_every_threshold(
    pairs: list[tuple[int, int, int]], min_likeness: float
) -> None:
    found = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    rows, alike = found[:, :2], (found[:, 2] / 100).astype(np.float32)
    links = near_duplicates._links(12, rows, alike)
    assert (links.to < links.row).all()
    assert len(set(links.row.tolist())) == len(links.row)
    group = list(range(12))  # by the definition: whoever is joined by pairs, whatever way round
    for one, other in rows[alike >= min_likeness].tolist():
        lowest, highest = sorted((group[one], group[other]))
        group = [lowest if number == highest else number for number in group]
    assert links.groups(12, min_likeness).tolist() == group


def test_an_audited_table_is_grouped_anew_by_another_threshold() -> None:
    table = pd.DataFrame(
        {
            "sha256": ["a", "b", "b", "c", ""],
            "group": ["a", "a", "a", "c", ""],
            "twin": ["", "a", "a", "b", ""],
            "twin_likeness": np.array([0, 0.97, 0.97, 0.92, 0], dtype=np.float32),
        }
    )
    groups = {
        value: near_duplicates.regrouped(table, value)["group"].tolist() for value in (0.9, 0.95, 0.96, 0.99)
    }
    assert groups == {
        0.9: ["a", "a", "a", "a", ""],
        0.95: ["a", "a", "a", "c", ""],
        0.96: table["group"].tolist(),
        0.99: ["a", "b", "b", "c", ""],
    }


def test_all_windows_at_once_give_the_hashes_that_each_gives() -> None:
    shown = thumbnails(*(scene(seed) for seed in range(12)))
    at_once, windows = hashes._through_windows(shown), hashes._windows()
    turned = hashes._turned_by_mirroring()
    for number, window in enumerate(windows):
        top, bottom, left, right = window
        assert (at_once[:, number] == hashes.hash_of(shown, window)).all()
        mirrored = at_once[:, windows.index((top, bottom, right, left))] ^ turned
        assert (mirrored == hashes.hash_of(shown, window, mirrored=True)).all()
