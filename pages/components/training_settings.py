"""Every field of a recipe, to be changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import streamlit as st

from core import recipes
from core.catalog import BackboneSpec
from core.images import RESIZE_RULES
from core.recipes import AUGMENTATIONS, Recipe
from pages.components.text import t

MIN_COLUMN_WIDTH = 220
"""Pixels; where less is left, what stands side by side goes one below the other."""


@dataclass(frozen=True)
class _Form:
    """The widgets of one form, each named like its field.

    Args:
        key: Sets the widgets of this form apart from those of another preset, backbone or dataset.
        on_change: Called when the visitor changes one.
    """

    key: str
    on_change: Callable[[], None]

    def number(self, name: str, low: int, high: int, value: int, step: int = 1, **words: object) -> int:
        return st.number_input(
            t(f"field.{name}"),
            low,
            high,
            step=step,
            key=self._begin(name, min(max(value, low), high)),
            help=t(f"field.{name}_help", **words),
            on_change=self.on_change,
        )

    def decimal(self, name: str, low: float, high: float, value: float, step: float) -> float:
        return st.number_input(
            t(f"field.{name}"),
            low,
            high,
            step=step,
            format="%g",
            key=self._begin(name, min(max(float(value), low), high)),
            help=t(f"field.{name}_help"),
            on_change=self.on_change,
        )

    def percent(self, name: str, low: int, share: float) -> float:
        chosen = st.slider(
            t(f"field.{name}"),
            low,
            100,
            format="%d %%",
            key=self._begin(name, max(low, round(100 * share))),
            help=t(f"field.{name}_help"),
            on_change=self.on_change,
        )
        return chosen / 100

    def choice(
        self,
        name: str,
        options: Sequence[str],
        value: str,
        shown: Callable[[str], str],
        disabled: bool = False,
    ) -> str:
        return st.selectbox(
            t(f"field.{name}"),
            options,
            format_func=shown,
            key=self._begin(name, value),
            help=t(f"field.{name}_help"),
            on_change=self.on_change,
            disabled=disabled,
        )

    def text(self, name: str, value: str, placeholder: str) -> str:
        return st.text_input(
            t(f"field.{name}"),
            key=self._begin(name, value),
            placeholder=placeholder,
            help=t(f"field.{name}_help"),
            on_change=self.on_change,
        ).strip()

    def _begin(self, name: str, value: object) -> str:
        """Return the key of a widget, which begins with ``value`` where it was not there before."""
        key = f"{name}_{self.key}"
        st.session_state.setdefault(key, value)
        return key


def settings(recipe: Recipe, spec: BackboneSpec, key: str, on_change: Callable[[], None]) -> Recipe:
    """Draw every field of a recipe and return it as it was changed.

    Args:
        recipe: What the fields begin with.
        spec: Its backbone.
        key: Of the form: another one begins anew.
        on_change: Called when the visitor changes a field.
    """
    form = _Form(key, on_change)
    grid = st.grid(3, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.container():
        recipe = _pictures(form, recipe, spec)
    with grid.container():
        recipe = _head(form, recipe)
    if not recipe.fine_tune_epochs:
        return recipe
    with grid.container():
        return _fine_tuning(form, recipe)


def forget(key: str) -> None:
    """Let the fields of a form begin anew; called before they are drawn."""
    for field in fields(Recipe):
        st.session_state.pop(f"{field.name}_{key}", None)


def _pictures(form: _Form, recipe: Recipe, spec: BackboneSpec) -> Recipe:
    st.markdown(t("training.pictures"))
    size = recipe.image_size or spec.image_size
    return replace(
        recipe,
        image_size=form.number(
            "image_size", spec.min_size, recipes.MAX_IMAGE_SIZE, size, 32, size=spec.image_size
        ),
        resize=form.choice("resize", RESIZE_RULES, recipe.resize, lambda rule: t(f"resize.{rule}")),
        augment=form.choice(
            "augment",
            AUGMENTATIONS,
            recipe.augment,
            lambda strength: t(f"augment.{strength}"),
            disabled=not recipe.fine_tune_epochs,
        ),
        weights=form.text("weights", recipe.weights, t("field.weights_empty")),
    )


def _head(form: _Form, recipe: Recipe) -> Recipe:
    st.markdown(t("training.stage_1"))
    return replace(
        recipe,
        head_epochs=form.number("head_epochs", 1, 10_000, recipe.head_epochs),
        head_strength=form.decimal("head_strength", 0.001, 1000.0, recipe.head_strength, 0.01),
    )


def _fine_tuning(form: _Form, recipe: Recipe) -> Recipe:
    st.markdown(t("training.stage_2"))
    return replace(
        recipe,
        fine_tune_epochs=form.number("fine_tune_epochs", 1, 1000, recipe.fine_tune_epochs),
        fine_tune_blocks=form.percent("fine_tune_blocks", 5, recipe.fine_tune_blocks),
        learning_rate=form.decimal("learning_rate", 1e-6, 1e-2, recipe.learning_rate, 1e-5),
        batch_size=form.number("batch_size", 1, 1024, recipe.batch_size),
    )
