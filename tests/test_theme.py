"""The theme keeps its promises: text can be read on every surface, charts by the colour-blind, nothing is fetched."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / ".streamlit" / "config.toml").read_text("utf-8")
CONFIG: dict[str, Any] = tomllib.loads(TEXT)
MODES = ("light", "dark")

AA_TEXT = 4.5
AA_GRAPHICS = 3.0
"""WCAG 2.2, criteria 1.4.3 and 1.4.11."""

CAPTION_OPACITY = 0.6
"""Streamlit draws captions in the text colour at this opacity."""

Colour = tuple[float, float, float]


def _colour(text: str) -> Colour:
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _over(front: Colour, back: Colour, opacity: float) -> Colour:
    red, green, blue = (opacity * f + (1 - opacity) * b for f, b in zip(front, back, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _surfaces(mode: str) -> list[Colour]:
    theme = CONFIG["theme"][mode]
    return [
        _colour(part[name])
        for part in (theme, theme["sidebar"])
        for name in ("backgroundColor", "secondaryBackgroundColor")
    ]


@pytest.mark.parametrize("mode", MODES)
def test_text_and_links_can_be_read_on_every_surface(mode: str) -> None:
    for name in ("textColor", "linkColor", "codeTextColor"):
        for surface in _surfaces(mode):
            assert _contrast(_colour(CONFIG["theme"][mode][name]), surface) >= AA_TEXT, name


@pytest.mark.parametrize("mode", MODES)
def test_captions_can_be_read_on_page_and_sidebar(mode: str) -> None:
    theme = CONFIG["theme"][mode]
    for part in (theme, theme["sidebar"]):
        surface = _colour(part["backgroundColor"])
        assert _contrast(_over(_colour(theme["textColor"]), surface, CAPTION_OPACITY), surface) >= AA_TEXT


@pytest.mark.parametrize("mode", MODES)
def test_white_on_the_accent_can_be_read_and_the_accent_be_seen(mode: str) -> None:
    accent = _colour(CONFIG["theme"][mode]["primaryColor"])
    assert _contrast((1.0, 1.0, 1.0), accent) >= AA_TEXT
    assert min(_contrast(accent, surface) for surface in _surfaces(mode)) >= AA_GRAPHICS


@pytest.mark.parametrize("mode", MODES)
def test_what_is_selected_can_be_read(mode: str) -> None:
    style = (ROOT / "pages" / "components" / "shell.py").read_text("utf-8")
    found = re.search(r"light-dark\((#\w{6}), (#\w{6})\)", style)
    assert found
    selected = _colour(found[1 + MODES.index(mode)])
    theme = CONFIG["theme"][mode]
    tinted = _over(_colour(theme["primaryColor"]), _colour(theme["backgroundColor"]), 0.1)
    assert _contrast(selected, tinted) >= AA_TEXT


def test_chart_palettes_have_the_lengths_that_streamlit_takes() -> None:
    assert len(CONFIG["theme"]["chartSequentialColors"]) == 10
    assert len(CONFIG["theme"]["chartDivergingColors"]) == 10


def test_cividis_grows_evenly_lighter() -> None:
    steps = [_luminance(_colour(text)) for text in CONFIG["theme"]["chartSequentialColors"]]
    assert steps == sorted(steps)


def test_nothing_in_the_configuration_points_outside() -> None:
    assert "://" not in TEXT
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["address"] == "127.0.0.1"
