"""Recipes: JSON and back, and a reason for every refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core import recipes
from core.errors import RecipeError
from core.recipes import PRESETS, Recipe


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_json(name: str) -> None:
    recipe = recipes.validate(recipes.preset(name))
    assert recipes.from_json(recipe.to_json()) == recipe
    assert recipe.image_size > 0


def test_a_sample_gets_what_fits_it_and_a_probe_stays_a_probe() -> None:
    assert recipes.preset("two-stages", "digits").image_size == 96
    assert recipes.preset("linear-probe", "digits").fine_tune_epochs == 0
    assert recipes.preset("two-stages", "solar-cells") == recipes.preset("two-stages")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "mobilnet-v2"}, r'"mobilnet-v2".*mobilenet-v2'),
        ({"image_size": 3}, r"image_size is 3\. Expected \d+ to 1024 pixels"),
        ({"resize": "squash"}, r'resize is "squash"\. Expected one of: stretch, crop, pad'),
        ({"augment": "wild"}, r'augment is "wild"'),
        ({"head_epochs": 0}, r"head_epochs is 0\. Expected 1 to"),
        ({"fine_tune_epochs": -1}, r"fine_tune_epochs is -1"),
        ({"fine_tune_blocks": 0.0}, r"would train no block.*Raise fine_tune_blocks"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan"),
        ({"batch_size": True}, r"batch_size is True"),
        ({"fractions": (0.7, 0.3, 0.0)}, r"0\.7, 0\.3, 0\. Expected three shares above 0"),
        ({"fractions": (0.5, 0.5)}, r"Expected three shares"),
        ({"seed": -1}, r"seed is -1"),
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
