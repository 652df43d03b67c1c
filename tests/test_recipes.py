"""Recipes: JSON and back, and a reason for every refusal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from core import augmentation, recipes
from core.augmentation import Augmentation
from core.errors import RecipeError
from core.recipes import PRESETS, Recipe

TEACHER = "run:20261122-194512-3fa9"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_json(name: str) -> None:
    preset = recipes.preset(name)
    recipe = recipes.validate(replace(preset, teacher=TEACHER) if preset.teacher else preset)
    assert recipes.from_json(recipe.to_json()) == recipe
    assert recipe.image_size > 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_known_again_whatever_its_network_and_split(name: str) -> None:
    changes: dict[str, Any] = {"backbone": "mobilenet-v2", "image_size": 160, "seed": 7, "resize": "crop"}
    changed = replace(recipes.preset(name), **changes)
    assert recipes.preset_name(changed) == name
    assert recipes.preset_name(replace(changed, label_smoothing=0.33)) == ""


def test_a_recipe_of_an_older_graft_is_read() -> None:
    old = {"backbone": "tiny", "augment": "light", "fine_tune_epochs": 2, "fractions": [0.6, 0.2, 0.2]}
    read = recipes.from_json(old)
    assert read.augment == augmentation.PRESETS["light"]
    assert (read.fine_tune_epochs, read.fractions, read.views) == (2, (0.6, 0.2, 0.2), 0)
    with pytest.raises(RecipeError, match='There is no augmentation "wild"'):
        recipes.from_json(old | {"augment": "wild"})
    with pytest.raises(RecipeError, match="kinds this Graft does not know: warp"):
        recipes.from_json(old | {"augment": {"warp": 1.0}})


def test_an_earlier_run_is_named_by_the_recipe_that_goes_on_from_it() -> None:
    recipe = recipes.validate(replace(Recipe(), weights="run:20261122-194512-3fa9"))
    assert recipes.parent_run(recipe) == "20261122-194512-3fa9"
    assert recipes.weights_file(recipe) is None
    assert recipes.parent_run(Recipe()) == ""


def test_a_student_is_of_its_preset_whoever_its_teacher_is() -> None:
    student = replace(recipes.preset("distil"), teacher=TEACHER)
    assert recipes.teacher_run(student) == "20261122-194512-3fa9"
    assert recipes.preset_name(student) == "distil"
    assert recipes.preset_name(replace(recipes.preset("two-stages"), teacher=TEACHER)) == ""
    assert recipes.teacher_run(Recipe()) == ""


def test_a_student_has_the_split_of_its_teacher_and_a_probe_on_another_split_has_no_teacher() -> None:
    theirs = Recipe(fractions=(0.6, 0.2, 0.2), seed=5, keep_given=False)
    student = recipes.in_split_of(replace(recipes.preset("distil"), teacher=TEACHER), theirs.to_json())
    assert recipes.differences(student, recipes.preset("distil")) == (
        "fractions",
        "keep_given",
        "seed",
        "teacher",
    )
    assert (student.fractions, student.seed, student.keep_given) == ((0.6, 0.2, 0.2), 5, False)
    probe = recipes.for_probe(student, fractions=(0.7, 0.15, 0.15), seed=0, keep_given=True)
    assert probe.teacher == ""


def test_a_sample_gets_what_fits_it_and_a_probe_stays_a_probe() -> None:
    assert recipes.preset("two-stages", "digits").image_size == 96
    assert recipes.preset("linear-probe", "digits").fine_tune_epochs == 0
    assert recipes.preset("two-stages", "solar-cells") == recipes.preset("two-stages")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "mobilnet-v2"}, r'"mobilnet-v2".*mobilenet-v2'),
        ({"image_size": 3}, r"image_size is 3\. Expected a whole number from \d+ to 1024 pixels"),
        ({"resize": "squash"}, r'resize is "squash"\. Expected one of: stretch, crop, pad'),
        (
            {"augment": Augmentation(rotation=200.0)},
            r"augmentation rotation is 200\.0\. Expected 0 \(off\) to 180",
        ),
        ({"head_epochs": 0, "fine_tune_epochs": 0}, r"both 0, so nothing would be trained"),
        ({"head_epochs": -1}, r"head_epochs is -1"),
        ({"dense_units": 64}, r'head_solver is "lbfgs".*dense_units is 64.*Choose head_solver "adam"'),
        (
            {"views": 2, "augment": Augmentation(mixup=0.2)},
            r"views is 2, but no augmentation changes a picture",
        ),
        ({"train_batch_norm": True}, r"spoils the statistics"),
        ({"weights": "random", "fine_tune_epochs": 0}, r"would never learn"),
        ({"pooling": "maximum"}, r'pooling is "maximum"\. Expected one of: average, max, flatten'),
        ({"depth": 0.0}, r"depth is 0\.0"),
        ({"fine_tune_epochs": -1}, r"fine_tune_epochs is -1"),
        ({"fine_tune_blocks": 0.0}, r"would train no block.*Raise fine_tune_blocks"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan"),
        ({"batch_size": True}, r"batch_size is True"),
        ({"fractions": (0.7, 0.3, 0.0)}, r"0\.7, 0\.3, 0\. Expected three shares above 0"),
        ({"fractions": (0.5, 0.5)}, r"Expected three shares"),
        ({"seed": -1}, r"seed is -1"),
        ({"teacher": "run:"}, r'teacher is "run:", which names no run\. .*train it first if there is none'),
        ({"teacher": "20261122-194512-3fa9"}, r"names no run"),
        ({"teacher_weight": 0.0}, r"teacher_weight is 0\.0\. Expected 0\.01 to 1"),
        ({"teacher_temperature": 0.5}, r"teacher_temperature is 0\.5\. Expected 1 to 20"),
        ({"weights": "/no/such/file.h5"}, r'There is no weights file "/no/such/file.h5"'),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.validate(replace(Recipe(), **changes))


def test_a_recipe_of_a_newer_graft_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"does not know: wings\. .*update"):
        recipes.from_json({"wings": 2})


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="two-stages, linear-probe"):
        recipes.preset("magic")


@pytest.mark.parametrize(
    "changes", [{"batch_size": 1.5}, {"seed": 1.5}, {"patience": 0.5}, {"batch_size": "8"}]
)
def test_what_has_to_be_a_whole_number_is_refused_where_it_is_none(changes: dict[str, Any]) -> None:
    (name, value), *_ = changes.items()
    with pytest.raises(
        RecipeError, match=f"{name} is {re.escape(repr(value))}. Expected a whole number from"
    ):
        recipes.validate(replace(Recipe(), **changes))


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_sets_what_has_no_effect(name: str) -> None:
    assert recipes.without_effect(recipes.preset(name)) == ()


@pytest.mark.parametrize(
    ("changes", "unused"),
    [
        ({"fine_tune_epochs": 0, "learning_rate": 1e-3}, ("learning_rate",)),
        ({"fine_tune_epochs": 0, "augment": augmentation.PRESETS["strong"]}, ("augment",)),
        ({"fine_tune_epochs": 0, "augment": augmentation.PRESETS["strong"], "views": 2}, ("augment.mixup",)),
        ({"fine_tune_epochs": 0, "augment": augmentation.PRESETS["medium"], "views": 2}, ()),
        ({"augment": augmentation.PRESETS["strong"], "views": 2}, ()),
        ({"fine_tune_epochs": 0, "batch_size": 8, "patience": 0}, ("batch_size",)),
        ({"fine_tune_epochs": 0, "batch_size": 8, "head_solver": "adam"}, ()),
        ({"head_solver": "adam", "head_strength": 9.0}, ("head_strength",)),
        ({"head_learning_rate": 0.1}, ("head_learning_rate",)),
        ({"head_epochs": 0, "views": 3, "head_solver": "adam"}, ("views", "head_solver")),
        ({"optimizer": "sgd", "weight_decay": 0.1}, ("weight_decay",)),
        ({"optimizer": "adamw", "weight_decay": 0.1, "batch_size": 8}, ()),
        ({"teacher_weight": 0.9, "teacher_temperature": 4.0}, ("teacher_weight", "teacher_temperature")),
        ({"teacher_weight": 0.9, "teacher": TEACHER}, ()),
    ],
)
def test_a_setting_that_no_stage_uses_is_named(changes: dict[str, Any], unused: tuple[str, ...]) -> None:
    assert recipes.without_effect(replace(Recipe(), **changes)) == unused
