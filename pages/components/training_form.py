"""Widgets for the fields of a recipe, each named like its field and with a hint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.recipes import Recipe
from pages.components import training_fields
from pages.components.text import t


@dataclass(frozen=True)
class Form:
    """Draws fields of a recipe; each method returns the recipe as the visitor has it now.

    A field that does not apply is not drawn.

    Args:
        key: Sets the widgets of this form apart from those of another preset, backbone or dataset.
        on_change: Called when the visitor changes a field.
        on_gpu: Whether the device is a graphics card.
        place: Where the widgets stand, one a cell.
    """

    key: str
    on_change: Callable[[], None]
    on_gpu: bool
    place: DeltaGenerator

    def number(
        self, recipe: Recipe, name: str, low: int, high: int, step: int = 1, **words: object
    ) -> Recipe:
        """Draw a field that is a whole number."""
        value = min(max(getattr(recipe, name), low), high)
        return self._settle(
            recipe,
            name,
            lambda: self.place.number_input(
                t(f"field.{name}"), low, high, step=step, **self._common(name, value, **words)
            ),
        )

    def decimal(self, recipe: Recipe, name: str, low: float, high: float, step: float) -> Recipe:
        """Draw a field that is a number of any size."""
        value = min(max(float(getattr(recipe, name)), low), high)
        return self._settle(
            recipe,
            name,
            lambda: self.place.number_input(
                t(f"field.{name}"), low, high, step=step, format="%g", **self._common(name, value)
            ),
        )

    def percent(self, recipe: Recipe, name: str, low: int, high: int) -> Recipe:
        """Draw a field that is a share, as a slider of whole percents."""
        value = min(max(round(100 * getattr(recipe, name)), low), high)
        return self._settle(
            recipe,
            name,
            lambda: (
                self.place.slider(t(f"field.{name}"), low, high, format="%d %%", **self._common(name, value))
                / 100
            ),
        )

    def choice(self, recipe: Recipe, name: str, options: Sequence[str]) -> Recipe:
        """Draw a field that is one of several names."""
        return self._settle(
            recipe,
            name,
            lambda: self.pick(
                name, options, getattr(recipe, name), lambda option: t(f"option.{name}.{option}")
            ),
        )

    def toggle(self, recipe: Recipe, name: str) -> Recipe:
        """Draw a field that is on or off."""
        return self._settle(
            recipe,
            name,
            lambda: self.place.toggle(t(f"field.{name}"), **self._common(name, getattr(recipe, name))),
        )

    def pick(self, name: str, options: Sequence[str], value: str, shown: Callable[[str], str]) -> str:
        """Draw a choice that begins with ``value``, and again where what was chosen is not offered any more."""
        key = f"{name}_{self.key}"
        if st.session_state.get(key) not in options:
            st.session_state.pop(key, None)
        chosen: str = self.place.selectbox(
            t(f"field.{name}"), options, format_func=shown, **self._common(name, value)
        )
        return chosen

    def text(self, name: str, value: str, placeholder: str) -> str:
        """Draw a line of text; space around it does not count."""
        given: str = self.place.text_input(
            t(f"field.{name}"), placeholder=placeholder, **self._common(name, value)
        )
        return given.strip()

    def _settle(self, recipe: Recipe, name: str, draw: Callable[[], Any]) -> Recipe:
        if not training_fields.applies(name, recipe, self.on_gpu):
            return training_fields.unused(name, recipe)
        return replace(recipe, **{name: draw()})

    def _common(self, name: str, value: object, **words: object) -> dict[str, Any]:
        """Return what all widgets have; the widget begins with ``value`` where it was not there before."""
        key = f"{name}_{self.key}"
        st.session_state.setdefault(key, value)
        return {"key": key, "help": t(f"field.{name}_help", **words), "on_change": self.on_change}
