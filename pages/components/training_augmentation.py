"""How strongly training pictures are varied: a preset, or each kind by its own strength."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import NamedTuple

import streamlit as st

from core import augmentation
from core.augmentation import LIMITS, Augmentation
from pages.components.text import t

OWN = "own"
"""Stands among the presets for strengths that no preset has."""
MIN_GROUP_WIDTH = 220
"""Pixels; where less is left, the groups go one below the other."""


class Scale(NamedTuple):
    """How a strength is shown: the step of its slider, and the slider's format."""

    step: float
    format: str


DEGREES, SHARE, NUMBER = Scale(1.0, "%d°"), Scale(0.05, "percent"), Scale(0.1, "%.1f")
SCALES = {
    "rotation": DEGREES,
    "shift": Scale(0.01, "percent"),
    "zoom": SHARE,
    "shear": DEGREES,
    "crop": SHARE,
    "brightness": SHARE,
    "contrast": SHARE,
    "colour": SHARE,
    "erasing": SHARE,
    "randaugment": Scale(0.5, "%.1f"),
    "mixup": NUMBER,
    "cutmix": NUMBER,
}
GROUPS = {
    "place": ("horizontal_flip", "vertical_flip", "rotation", "shift", "zoom", "shear", "crop"),
    "light": ("brightness", "contrast", "colour"),
    "more": ("erasing", "randaugment", "mixup", "cutmix"),
}
"""Which kinds stand together, by what they change."""


def choose(settings: Augmentation, key: str, on_change: Callable[[], None] = lambda: None) -> Augmentation:
    """Draw the presets and, folded, every kind by its own strength.

    Args:
        settings: What is chosen at first; from then on the widgets keep what the visitor chose.
        key: Of the widgets; under another one they begin anew.
        on_change: Called when the visitor changes something.

    Returns:
        What is chosen now.
    """
    if _key(key, "preset") not in st.session_state:
        _set(settings, key)
    st.segmented_control(
        t("field.augment"),
        [*augmentation.PRESETS, OWN],
        required=True,
        format_func=lambda name: t(f"augment.{name}"),
        key=_key(key, "preset"),
        help=t("field.augment_help"),
        on_change=_take_preset,
        args=(key, on_change),
    )
    st.caption(_summary(_chosen(key)))
    with st.expander(t("augment.strengths"), icon=":material/tune:"):
        grid = st.grid(len(GROUPS), min_column_width=MIN_GROUP_WIDTH, gap="medium")
        for group, names in GROUPS.items():
            with grid.container():
                st.markdown(t(f"augment.group.{group}"))
                for name in names:
                    _strength(name, key, on_change)
    return _chosen(key)


def forget(key: str) -> None:
    """Let the widgets of a key begin anew; called before they are drawn."""
    for name in ("preset", *(field.name for field in fields(Augmentation))):
        st.session_state.pop(_key(key, name), None)


def _strength(name: str, key: str, on_change: Callable[[], None]) -> None:
    """Draw the slider or toggle of one kind; its value is in the session state."""
    label, hint = t(f"augment.kind.{name}"), t(f"augment.hint.{name}")
    if name not in SCALES:
        st.toggle(label, key=_key(key, name), help=hint, on_change=_take_strengths, args=(key, on_change))
        return
    st.slider(
        label,
        min_value=0.0,
        max_value=LIMITS[name],
        step=SCALES[name].step,
        format=SCALES[name].format,
        key=_key(key, name),
        help=hint,
        on_change=_take_strengths,
        args=(key, on_change),
    )


def _key(key: str, name: str) -> str:
    return f"augment_{name}_{key}"


def _set(settings: Augmentation, key: str) -> None:
    for name, value in settings.to_json().items():
        st.session_state[_key(key, name)] = value
    st.session_state[_key(key, "preset")] = augmentation.preset_name(settings) or OWN


def _take_preset(key: str, on_change: Callable[[], None]) -> None:
    """Set the strengths as the preset has them; one's own begin with those that were there."""
    name = st.session_state[_key(key, "preset")]
    if name in augmentation.PRESETS:  # not one's own, nor nothing, as while the widget is being drawn anew
        _set(augmentation.PRESETS[name], key)
    on_change()


def _take_strengths(key: str, on_change: Callable[[], None]) -> None:
    st.session_state[_key(key, "preset")] = augmentation.preset_name(_chosen(key)) or OWN
    on_change()


def _chosen(key: str) -> Augmentation:
    values = {field.name: st.session_state[_key(key, field.name)] for field in fields(Augmentation)}
    # A slider adds up its steps, and 3 × 0.05 is 0.15000000000000002 in floats.
    rounded = {name: value if isinstance(value, bool) else round(value, 4) for name, value in values.items()}
    return Augmentation(**rounded)


def _summary(settings: Augmentation) -> str:
    """Return the kinds that are on, with their strengths, in one line."""
    said = [_said(name, value) for name, value in settings.to_json().items() if value]
    return " · ".join(said) or t("augment.unchanged")


def _said(name: str, value: float) -> str:
    label = t(f"augment.kind.{name}")
    return f"{label} {strength(name, value)}" if name in SCALES else label


def strength(name: str, value: float) -> str:
    """Return the strength of a kind of augmentation in words, such as ``20°``; of one that is on or off, which."""
    if name not in SCALES:
        return t("option.on" if value else "option.off")
    if SCALES[name].format == "percent":
        return f"{100 * value:.3g}\u00a0%"
    return f"{value:g}{'°' if SCALES[name] is DEGREES else ''}"
