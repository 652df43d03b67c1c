"""Every field of a recipe, to be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import recipes
from core.catalog import BackboneSpec
from core.images import RESIZE_RULES
from core.recipes import Recipe
from pages.components import training_augmentation, training_weights
from pages.components.text import t
from pages.components.training_form import Form

MIN_COLUMN_WIDTH = 220
"""Pixels; where less is left, what stands side by side goes one below the other."""
GROUPS = ("pictures", "network", "head", "fine_tune", "both")


def settings(
    recipe: Recipe, spec: BackboneSpec, key: str, on_change: Callable[[], None], *, on_gpu: bool
) -> Recipe:
    """Draw every field that applies and return the recipe as it was changed.

    Args:
        recipe: What the fields begin with.
        spec: Its backbone.
        key: Of the form: another one begins anew.
        on_change: Called when the visitor changes a field.
        on_gpu: Whether the training will run on a graphics card.
    """
    tabs = dict(zip(GROUPS, st.tabs([t(f"training.group.{name}") for name in GROUPS]), strict=True))

    def form(group: str) -> Form:
        return Form(key, on_change, on_gpu, _grid(tabs[group]))

    # Not in the order of the tabs: whether a field applies depends on those drawn before it.
    recipe = _network(form("network"), recipe)
    recipe = _head(form("head"), recipe)
    recipe = _fine_tuning(form("fine_tune"), recipe)
    recipe = _both(form("both"), recipe)
    with tabs["both"]:
        st.caption(t("training.split_elsewhere", seed=recipe.seed))
    return _pictures(form("pictures"), tabs["pictures"], recipe, spec)


def _grid(place: DeltaGenerator) -> DeltaGenerator:
    return place.grid(3, min_column_width=MIN_COLUMN_WIDTH, gap="medium")


def forget(key: str) -> None:
    """Let the fields of a form begin anew; called before they are drawn."""
    for name in (*(field.name for field in fields(Recipe)), "weights_file", "weights_run"):
        st.session_state.pop(f"{name}_{key}", None)
    training_augmentation.forget(key)


def _network(form: Form, recipe: Recipe) -> Recipe:
    first, second, third = (form.place.container() for _ in range(3))
    recipe = replace(form, place=second).percent(recipe, "depth", 5, 100)
    recipe = training_weights.choose(replace(form, place=first), recipe)
    return replace(form, place=third).choice(recipe, "pooling", recipes.POOLINGS)


def _head(form: Form, recipe: Recipe) -> Recipe:
    recipe = form.number(recipe, "head_epochs", 0, 10_000)
    recipe = form.choice(recipe, "head_solver", recipes.SOLVERS)
    recipe = form.decimal(recipe, "head_strength", 0.001, 1000.0, 0.01)
    recipe = form.toggle(recipe, "head_search")
    recipe = form.decimal(recipe, "head_learning_rate", 1e-6, 1.0, 1e-4)
    recipe = form.number(recipe, "dense_units", 0, 8_192, 64)
    return form.percent(recipe, "dropout", 0, 90)


def _fine_tuning(form: Form, recipe: Recipe) -> Recipe:
    recipe = form.number(recipe, "fine_tune_epochs", 0, 1_000)
    recipe = form.percent(recipe, "fine_tune_blocks", 5, 100)
    recipe = form.decimal(recipe, "learning_rate", 1e-6, 1.0, 1e-5)
    recipe = form.choice(recipe, "optimizer", recipes.OPTIMIZERS)
    recipe = form.choice(recipe, "schedule", recipes.SCHEDULES)
    recipe = form.percent(recipe, "layer_decay", 1, 100)
    recipe = form.decimal(recipe, "weight_decay", 0.0, 1.0, 1e-4)
    recipe = form.toggle(recipe, "train_batch_norm")
    return form.toggle(recipe, "mixed_precision")


def _both(form: Form, recipe: Recipe) -> Recipe:
    recipe = form.decimal(recipe, "max_minutes", 0.0, 100_000.0, 1.0)
    recipe = form.number(recipe, "patience", 0, 1_000)
    recipe = form.number(recipe, "batch_size", 1, 1_024)
    recipe = form.percent(recipe, "label_smoothing", 0, 50)
    recipe = form.percent(recipe, "teacher_weight", 1, 100)
    recipe = form.decimal(recipe, "teacher_temperature", 1.0, 20.0, 0.5)
    return form.choice(recipe, "balance", recipes.BALANCES)


def _pictures(form: Form, below: DeltaGenerator, recipe: Recipe, spec: BackboneSpec) -> Recipe:
    recipe = replace(recipe, image_size=recipe.image_size or spec.image_size)
    recipe = form.number(
        recipe, "image_size", spec.min_size, recipes.MAX_IMAGE_SIZE, 32, size=spec.image_size
    )
    recipe = form.choice(recipe, "resize", RESIZE_RULES)
    views = form.place.container()
    with below:
        recipe = replace(
            recipe, augment=training_augmentation.choose(recipe.augment, form.key, form.on_change)
        )
    return replace(form, place=views).number(recipe, "views", 0, 16)
