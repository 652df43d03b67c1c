"""Variations of training pictures: what they may change, how far, and that chance is the generator's alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core import augmentation
from core.augmentation import LIMITS, PRESETS, Augmentation, geometry, randaugment
from core.errors import RecipeError
from tests.pictures import noise, two_sided

SINGLE = (
    *({name: limit} for name, limit in LIMITS.items() if name not in augmentation.BATCH_KINDS),
    {"horizontal_flip": True},
    {"vertical_flip": True},
)
GEOMETRY = Augmentation(
    rotation=180.0, shift=0.5, zoom=0.9, shear=45.0, crop=0.9, horizontal_flip=True, vertical_flip=True
)
VARYING = [settings for settings in PRESETS.values() if settings.changes_pixels]
WILDEST = replace(Augmentation(**LIMITS), horizontal_flip=True, vertical_flip=True)

Pixels = npt.NDArray[np.uint8]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _noise(size: tuple[int, int] = (48, 36)) -> Pixels:
    return np.array(noise(1, size))


def _flat(level: int, side: int = 32) -> Pixels:
    return np.full((side, side, 3), level, dtype=np.uint8)


def _places(side: int = 256) -> Pixels:
    """Return a picture whose red is the column and whose green is the row."""
    along = np.arange(side, dtype=np.uint8)
    return np.stack([*np.meshgrid(along, along), np.zeros((side, side), dtype=np.uint8)], axis=-1)


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_known_by_its_settings(name: str) -> None:
    settings = augmentation.validate(PRESETS[name])
    assert augmentation.from_json(settings.to_json()) == settings
    assert augmentation.from_json(name) == settings
    assert augmentation.preset_name(settings) == name
    assert augmentation.preset_name(replace(settings, vertical_flip=True)) == ""


@pytest.mark.parametrize("value", [-0.1, 0.6, float("nan"), True])
def test_a_strength_beyond_its_limits_is_refused(value: float) -> None:
    with pytest.raises(RecipeError, match=rf"shift is {value!r}\. Expected 0 \(off\) to 0\.5"):
        augmentation.validate(Augmentation(shift=value))


def test_unknown_kinds_and_presets_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"does not know: fog, rain\. .*update"):
        augmentation.from_json({"rain": 1, "fog": 1})
    with pytest.raises(RecipeError, match=r'"wild"\. Choose one of: none, light'):
        augmentation.from_json("wild")


# --- one picture --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [Augmentation(), Augmentation(mixup=1.0, cutmix=1.0)])
def test_without_a_kind_for_single_pictures_it_is_the_picture_itself(settings: Augmentation) -> None:
    picture = _noise()
    assert augmentation.apply(picture, settings, _rng(0)) is picture


@pytest.mark.parametrize("settings", [*(Augmentation(**kind) for kind in SINGLE), *VARYING, WILDEST])
def test_the_same_chance_gives_the_same_variation_and_another_chance_another(settings: Augmentation) -> None:
    picture = _noise()
    found = [augmentation.apply(picture, settings, _rng(seed)) for seed in range(20)]
    again = [augmentation.apply(picture, settings, _rng(seed)) for seed in range(20)]
    np.testing.assert_array_equal(found, again)
    assert len({variation.tobytes() for variation in found}) > 1


@given(seed=st.integers(0, 2**32), width=st.integers(1, 40), height=st.integers(1, 40))
def test_size_type_and_the_original_are_kept_by_whatever_is_done(seed: int, width: int, height: int) -> None:
    picture = _rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    original = picture.copy()
    varied = augmentation.apply(picture, WILDEST, _rng(seed))
    assert (varied.shape, varied.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(picture, original)


@pytest.mark.parametrize("seed", range(40))
def test_no_move_of_a_picture_brings_in_a_colour_that_it_has_not(seed: int) -> None:
    np.testing.assert_array_equal(augmentation.apply(_flat(77), GEOMETRY, _rng(seed)), _flat(77))


def test_beyond_its_borders_a_picture_is_mirrored() -> None:
    picture = _noise()
    moved = geometry.warp(Image.fromarray(picture), geometry.shift(-7, 5))
    padded = np.pad(picture, ((0, 5), (7, 0), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(moved, padded[5:, :48])


def test_a_quarter_turn_moves_each_pixel_to_its_place() -> None:
    picture = _noise((32, 32))
    source = geometry.about_centre((32, 32), geometry.turn(90))
    # The cosine of 90 degrees is not quite 0 in floats.
    difference = np.asarray(geometry.warp(Image.fromarray(picture), source)).astype(int) - np.rot90(picture)
    assert np.abs(difference).max() <= 1


def test_an_upright_map_gives_the_same_whether_resized_or_transformed() -> None:
    picture = noise(3, (64, 64))
    upright = geometry.shift(5.3, 7.9) @ np.diag([0.7, 0.8, 1.0])
    hardly_sheared = upright @ geometry.shear(1e-9)
    resized, transformed = (
        np.asarray(geometry.warp(picture, source)) for source in (upright, hardly_sheared)
    )
    assert np.abs(resized.astype(int) - transformed).max() <= 2


def test_a_kind_that_is_off_leaves_the_chance_of_the_others_as_it_is() -> None:
    picture = _noise()
    for seed in range(20):
        flipped = augmentation.apply(picture, Augmentation(horizontal_flip=True), _rng(seed))
        is_flipped = not np.array_equal(flipped, picture)
        brighter = augmentation.apply(picture, Augmentation(horizontal_flip=True, brightness=0.3), _rng(seed))
        alone = augmentation.apply(picture, Augmentation(brightness=0.3), _rng(seed))
        np.testing.assert_array_equal(brighter, alone[:, ::-1] if is_flipped else alone)


def test_flips_come_in_half_of_the_cases_and_change_nothing_else() -> None:
    picture = np.array(two_sided())
    mirrored = picture[:, ::-1]
    found = [
        augmentation.apply(picture, Augmentation(horizontal_flip=True), _rng(seed)) for seed in range(200)
    ]
    num_mirrored = sum(np.array_equal(variation, mirrored) for variation in found)
    num_same = sum(np.array_equal(variation, picture) for variation in found)
    assert num_mirrored + num_same == 200
    assert 70 < num_mirrored < 130


def test_a_vertical_flip_turns_the_picture_upside_down() -> None:
    picture = _noise()
    found = [augmentation.apply(picture, Augmentation(vertical_flip=True), _rng(seed)) for seed in range(20)]
    assert any(np.array_equal(variation, picture[::-1]) for variation in found)


def test_a_crop_keeps_its_share_of_the_area_its_aspect_and_stays_within_the_picture() -> None:
    areas, aspects = [], []
    for seed in range(200):
        varied = augmentation.apply(_places(), Augmentation(crop=0.5), _rng(seed)).astype(float)
        # Half a pixel at either end is beyond the middles of the outermost pixels.
        width, height = (np.ptp(varied[..., channel]) * 256 / 255 for channel in (0, 1))
        areas.append(width * height / 256**2)
        aspects.append(width / height)
    assert 0.48 < min(areas) < 0.55
    assert 0.95 < max(areas) < 1.01
    assert 0.72 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < 1.36


def test_a_shift_goes_no_further_than_its_share_and_in_whole_pixels() -> None:
    found = {
        tuple(
            augmentation.apply(_places(64), Augmentation(shift=0.125), _rng(seed))[32, 32, :2].astype(int)
            - 32
        )
        for seed in range(300)
    }
    assert {horizontal for horizontal, _ in found} == set(range(-8, 9))
    assert {vertical for _, vertical in found} == set(range(-8, 9))


def test_a_rotation_stays_within_its_angle_and_about_the_centre() -> None:
    angles = []
    for seed in range(100):
        varied = augmentation.apply(_places(), Augmentation(rotation=20.0), _rng(seed)).astype(float)
        along_row = varied[128, 168, :2] - varied[128, 88, :2]
        angles.append(np.degrees(np.arctan2(along_row[1], along_row[0])))
        np.testing.assert_allclose(varied[127:129, 127:129, :2].mean(axis=(0, 1)), 127.5, atol=1)
    assert -21 < min(angles) < -15
    assert 15 < max(angles) < 21


def test_zoom_and_shear_stay_within_their_limits() -> None:
    scales, slopes = [], []
    for seed in range(100):
        zoomed = augmentation.apply(_places(), Augmentation(zoom=0.2), _rng(seed)).astype(float)
        scales.append((zoomed[128, 168, 0] - zoomed[128, 88, 0]) / 80)
        sheared = augmentation.apply(_places(), Augmentation(shear=11.0), _rng(seed)).astype(float)
        slopes.append((sheared[168, 128, 0] - sheared[88, 128, 0]) / 80)
    limit = np.tan(np.radians(11.0))
    assert 0.78 < min(scales) < 0.85
    assert 1.15 < max(scales) < 1.22
    assert -limit - 0.02 < min(slopes) < -0.8 * limit
    assert 0.8 * limit < max(slopes) < limit + 0.02


def test_brightness_is_multiplied_within_its_limits() -> None:
    found = [augmentation.apply(_flat(100), Augmentation(brightness=0.3), _rng(seed)) for seed in range(200)]
    levels = [int(variation[0, 0, 0]) for variation in found]
    assert all((variation == level).all() for variation, level in zip(found, levels, strict=True))
    assert 70 <= min(levels) < 75
    assert 125 < max(levels) <= 130


def test_contrast_keeps_the_mean_and_scales_the_distances_from_it() -> None:
    picture = np.concatenate([_flat(90), _flat(110)])
    spreads = []
    for seed in range(200):
        varied = augmentation.apply(picture, Augmentation(contrast=0.5), _rng(seed))
        assert abs(varied.mean() - 100) <= 1
        spreads.append(int(varied[-1, 0, 0]) - int(varied[0, 0, 0]))
    assert 10 <= min(spreads) < 13
    assert 27 < max(spreads) <= 31


def test_colour_leaves_greys_as_they_are_and_turns_hues() -> None:
    colours = Augmentation(colour=1.0)
    assert np.abs(augmentation.apply(_flat(120), colours, _rng(0)).astype(int) - 120).max() <= 1
    red = np.zeros((4, 4, 3), dtype=np.uint8) + np.array([150, 50, 50], dtype=np.uint8)
    strongest = {int(augmentation.apply(red, colours, _rng(seed))[0, 0].argmax()) for seed in range(60)}
    assert strongest == {0, 1, 2}


def test_colour_keeps_the_brightness() -> None:
    red = np.zeros((4, 4, 3), dtype=np.uint8) + np.array([150, 100, 100], dtype=np.uint8)
    for seed in range(60):
        varied = augmentation.apply(red, Augmentation(colour=0.5), _rng(seed))[0, 0]
        assert abs(varied @ [0.299, 0.587, 0.114] - red[0, 0] @ [0.299, 0.587, 0.114]) <= 2


def test_erasing_puts_noise_into_one_rectangle_of_2_to_25_percent_as_often_as_it_says() -> None:
    areas = []
    for seed in range(400):
        changed = (augmentation.apply(_flat(77, 64), Augmentation(erasing=0.5), _rng(seed)) != 77).any(
            axis=-1
        )
        if not changed.any():
            continue
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.99
        areas.append(changed.mean())
    assert 160 < len(areas) < 240
    assert 0.015 < min(areas) < 0.03
    assert 0.23 < max(areas) < 0.26


WITHOUT_STRENGTH = {"auto_contrast", "equalize"}


def test_randaugment_has_the_papers_14_operations() -> None:
    assert len(randaugment.OPERATIONS) == 14


@pytest.mark.parametrize("name", sorted(set(randaugment.OPERATIONS) - WITHOUT_STRENGTH))
def test_an_operation_without_strength_changes_nothing(name: str) -> None:
    picture = noise(1)
    np.testing.assert_array_equal(randaugment.OPERATIONS[name](picture, 0.0), picture)


@pytest.mark.parametrize("name", sorted(set(randaugment.OPERATIONS) - {"identity"}))
def test_an_operation_at_full_strength_changes_the_picture_and_keeps_its_size(name: str) -> None:
    picture = noise(1).point(lambda level: 40 + level // 2)
    for direction in (-1.0, 1.0):
        changed = randaugment.OPERATIONS[name](picture, direction)
        assert changed.size == picture.size
        assert changed.tobytes() != picture.tobytes()


def test_a_higher_magnitude_of_randaugment_changes_more() -> None:
    picture = _noise().astype(int)
    changes = [
        np.mean(
            [
                np.abs(
                    augmentation.apply(_noise(), Augmentation(randaugment=magnitude), _rng(seed)) - picture
                )
                for seed in range(100)
            ]
        )
        for magnitude in (1.0, 5.0, 10.0)
    ]
    assert changes == sorted(changes)
    assert changes[2] > 1.5 * changes[0]


# --- a batch ------------------------------------------------------------------------------------------------------

NUM_CLASSES = 6
_MIXES = [Augmentation(mixup=0.4), Augmentation(cutmix=1.0), Augmentation(mixup=0.4, cutmix=1.0)]


def _batch() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return pictures that show the number of their class in every pixel, and their targets."""
    classes = np.arange(NUM_CLASSES, dtype=np.float32)
    images = np.ones((NUM_CLASSES, 16, 12, 3), dtype=np.float32) * classes[:, None, None, None]
    return images, np.eye(NUM_CLASSES, dtype=np.float32)


def test_without_mixing_a_batch_is_itself() -> None:
    images, targets = _batch()
    mixed, mixed_targets = augmentation.mix(images, targets, PRESETS["light"], _rng(0))
    assert mixed is images
    assert mixed_targets is targets


@pytest.mark.parametrize("settings", _MIXES)
@given(seed=st.integers(0, 2**32))
def test_targets_are_mixed_as_the_pixels_are(settings: Augmentation, seed: int) -> None:
    images, targets = _batch()
    mixed, mixed_targets = augmentation.mix(images, targets, settings, _rng(seed))
    assert mixed.dtype == mixed_targets.dtype == np.float32
    np.testing.assert_allclose(mixed_targets.sum(axis=1), 1, rtol=1e-5)
    expected = mixed_targets @ np.arange(NUM_CLASSES, dtype=np.float32)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(_batch()[0], images)


def _is_cut(settings: Augmentation, seed: int) -> bool:
    """Tell whether whole pixels were exchanged, not blended."""
    mixed, _ = augmentation.mix(*_batch(), settings, _rng(seed))
    return bool(np.isin(mixed, np.arange(NUM_CLASSES)).all())


def test_mixup_blends_and_cutmix_cuts_and_both_take_turns_by_a_coin() -> None:
    blended, cut, both = ([_is_cut(settings, seed) for seed in range(100)] for settings in _MIXES)
    assert sum(blended) < 10  # a share of almost 0 or 1 leaves the pictures whole
    assert all(cut)
    assert 30 < sum(both) < 75


def test_the_same_chance_mixes_in_the_same_way() -> None:
    for settings in _MIXES:
        first, second = (augmentation.mix(*_batch(), settings, _rng(4)) for _ in range(2))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
        assert not np.array_equal(first[0], augmentation.mix(*_batch(), settings, _rng(5))[0])


@pytest.mark.parametrize("settings", _MIXES)
def test_a_batch_of_one_has_no_partner_and_stays(settings: Augmentation) -> None:
    images, targets = _batch()
    mixed, mixed_targets = augmentation.mix(images[2:3], targets[2:3], settings, _rng(0))
    np.testing.assert_allclose(mixed, images[2:3], rtol=1e-6)
    np.testing.assert_allclose(mixed_targets, targets[2:3], rtol=1e-6)
