"""Forecasts: rough at first, then from what was measured here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from core import augmentation, recipes
from core.forecast import Plan, forecast, kept_boundary, plan_boundary
from core.recipes import Recipe
from core.runs import Run

RECIPE = recipes.validate(Recipe())
IMAGES = {"train": 700, "val": 150, "test": 150}


def run(speeds: dict[str, float], **recipe: Any) -> Run:
    return Run("20261122-194512-3fa9", "d", "D", "done", 0.0, RECIPE.to_json() | recipe, images_per_s=speeds)


def test_twice_the_images_take_about_twice_the_time_and_more_epochs_longer() -> None:
    once = forecast(RECIPE, {"train": 7_000, "val": 1_500, "test": 1_500}, 10, "cpu")
    twice = forecast(RECIPE, {"train": 14_000, "val": 3_000, "test": 3_000}, 10, "cpu")
    longer = forecast(
        replace(RECIPE, fine_tune_epochs=10), {"train": 7_000, "val": 1_500, "test": 1_500}, 10, "cpu"
    )
    assert 1.9 < twice.seconds["features"] / once.seconds["features"] < 2.1
    assert longer.total_s > once.total_s
    assert twice.disk_mb > once.disk_mb
    assert not once.measured


def test_the_head_alone_has_no_second_stage() -> None:
    needs = forecast(replace(RECIPE, fine_tune_epochs=0), IMAGES, 10, "cpu")
    assert set(needs.seconds) == {"features", "head", "controls"}


def test_what_was_measured_here_counts_more_than_the_rough_figure() -> None:
    past = [run({"features": 50.0, "fine_tune": 10.0}), run({"features": 1.0})]
    needs = forecast(RECIPE, IMAGES, 10, "cpu", past)
    assert needs.measured
    assert needs.seconds["features"] == pytest.approx(1_000 / 50)
    assert needs.seconds["fine_tune"] == pytest.approx(700 * RECIPE.fine_tune_epochs / 10)


def test_a_measured_speed_is_scaled_to_the_image_size_and_other_networks_do_not_count() -> None:
    half = run({"features": 200.0}, image_size=112)
    other = run({"features": 1.0}, backbone="vgg16")
    needs = forecast(RECIPE, IMAGES, 10, "cpu", [other, half])
    assert needs.seconds["features"] == pytest.approx(1_000 / 50)
    assert not needs.measured  # stage 2 was not


def test_variations_cost_a_pass_each_and_flattening_more_numbers_per_picture() -> None:
    plain = forecast(RECIPE, IMAGES, 10, "cpu")
    varied = forecast(replace(RECIPE, views=4), IMAGES, 10, "cpu")
    assert varied.seconds["features"] == pytest.approx(plain.seconds["features"] * (1_000 + 4 * 700) / 1_000)
    flat = forecast(replace(RECIPE, pooling="flatten"), IMAGES, 10, "cpu")
    assert flat.disk_mb > 10 * plain.disk_mb
    scratch = forecast(replace(RECIPE, head_epochs=0), IMAGES, 10, "cpu")
    assert (scratch.seconds["features"], scratch.seconds["head"]) == (0, 0)


@pytest.mark.parametrize(
    ("backbone", "blocks", "peak_mb"),
    [
        ("efficientnet-lite0", 0.34, 1_408),
        ("efficientnet-lite0", 1.0, 2_092),
        ("mobilenet-v2", 0.34, 1_516),
        ("resnet50", 0.34, 1_744),
        ("vgg16", 0.34, 2_215),
        ("vgg16", 1.0, 3_731),
    ],
)
def test_the_memory_is_about_what_was_measured(backbone: str, blocks: float, peak_mb: float) -> None:
    recipe = recipes.validate(Recipe(backbone=backbone, fine_tune_blocks=blocks))
    assert 0.7 < forecast(recipe, {"train": 168, "val": 36, "test": 36}, 6, "cpu").memory_mb / peak_mb < 1.8


def test_what_stage_2_keeps_until_it_ends_is_told_beforehand() -> None:
    side, channels = 224 // 16, 112  # what leaves the tenth of sixteen blocks of EfficientNet-Lite0
    recipe = replace(RECIPE, views=4)
    needs = forecast(recipe, IMAGES, 10, "cpu")
    assert needs.boundary_mb == side**2 * channels * (700 * 5 * 2 + 150 * 4) / 1e6
    assert forecast(recipe, IMAGES, 10, "cpu", free_bytes=1e8).boundary_mb == 0
    for changes in (
        {"fine_tune_epochs": 0},
        {"fine_tune_blocks": 1.0},
        {"mixed_precision": True},
        {"views": 0},
    ):
        assert forecast(replace(recipe, **changes), IMAGES, 10, "cpu").boundary_mb == 0


def test_of_a_network_cut_short_the_blocks_that_are_used_count() -> None:
    recipe = replace(RECIPE, views=4, depth=0.5)  # the first eight blocks, of which three learn
    of_one = (224 // 8) ** 2 * 40
    assert forecast(recipe, IMAGES, 10, "cpu").boundary_mb == of_one * (700 * 5 * 2 + 150 * 4) / 1e6


def test_what_fine_tuned_weights_see_of_train_and_test_stays_on_disk() -> None:
    head, both = (
        forecast(replace(RECIPE, fine_tune_epochs=epochs), IMAGES, 10, "cpu").disk_mb for epochs in (0, 5)
    )
    assert both - head == pytest.approx((700 + 150) * 1_280 * 4 / 1e6)


def test_pixels_that_are_kept_for_variations_need_memory_up_to_a_limit() -> None:
    def further_mb(num_train: int) -> float:
        """Return what variations need beside their features, which are held twice."""
        images = IMAGES | {"train": num_train}
        plain, varied = (
            forecast(replace(RECIPE, views=views), images, 10, "cpu").memory_mb for views in (0, 1)
        )
        return varied - plain - 2 * num_train * 1_280 * 4 / 1e6

    assert further_mb(700) == pytest.approx(700 * 3 * 224**2 / 1e6)
    assert further_mb(5_000) == pytest.approx(256)


def test_of_what_takes_too_much_room_less_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, views=4)

    def plan_within(max_bytes: int, free_bytes: float = math.inf) -> Plan:
        monkeypatch.setattr(kept_boundary, "MAX_BYTES", max_bytes)
        return plan_boundary(recipe, 2_048, 20, 8, free_bytes)

    needed = {number: 2_048 * (20 * number * 2 + 8 * 4) for number in (1, 3, 4, 5)}
    assert plan_within(needed[5]) == (5, needed[5], "")
    reason = "keeping it would take 0.0 GB, more than 0.0 GB"
    assert plan_within(needed[5] - 1) == (4, needed[4], reason)
    assert plan_within(needed[3]) == (3, needed[3], reason)
    assert plan_within(needed[3] - 1) == (0, 0, reason)
    assert plan_within(needed[5], needed[5] * 2) == (5, needed[5], "")
    assert plan_within(needed[5], needed[5] * 2 - 1) == (4, needed[4], reason)
    recipe = replace(RECIPE, augment=augmentation.PRESETS["none"], views=0)
    assert plan_within(needed[1]) == (1, needed[1], "") and plan_within(needed[1] - 1) == (0, 0, reason)


def test_larger_batches_and_more_trained_blocks_need_more_memory() -> None:
    usual, larger, all_blocks, head = (
        forecast(replace(RECIPE, **changes), IMAGES, 10, "cpu").memory_mb
        for changes in ({}, {"batch_size": 64}, {"fine_tune_blocks": 1.0}, {"fine_tune_epochs": 0})
    )
    assert head < usual < larger
    assert usual < all_blocks


def test_a_teacher_that_has_to_be_asked_takes_time_as_well() -> None:
    teacher = run({"features": 50.0})
    student = replace(recipes.preset("distil"), teacher=f"run:{teacher.id}", image_size=224)
    assert forecast(student, IMAGES, 10, "cpu", [teacher]).seconds["teacher"] == pytest.approx(700 / 50)
    assert "teacher" not in forecast(student, IMAGES, 10, "cpu").seconds
