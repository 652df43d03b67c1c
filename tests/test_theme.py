"""The theme keeps its promises: text can be read on every surface, charts by the colour-blind, nothing is fetched."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.charts.palette import CIVIDIS, DIVERGING, contrast, mix

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / ".streamlit" / "config.toml").read_text("utf-8")
CONFIG: dict[str, Any] = tomllib.loads(TEXT)
MODES = ("light", "dark")

AA_TEXT = 4.5
AA_GRAPHICS = 3.0
"""WCAG 2.2, criteria 1.4.3 and 1.4.11."""

CAPTION_OPACITY = 0.6
"""Streamlit draws captions in the text colour at this opacity."""


def _surfaces(mode: str) -> list[str]:
    theme = CONFIG["theme"][mode]
    return [
        part[name]
        for part in (theme, theme["sidebar"])
        for name in ("backgroundColor", "secondaryBackgroundColor")
    ]


@pytest.mark.parametrize("mode", MODES)
def test_text_and_links_can_be_read_on_every_surface(mode: str) -> None:
    for name in ("textColor", "linkColor", "codeTextColor"):
        for surface in _surfaces(mode):
            assert contrast(CONFIG["theme"][mode][name], surface) >= AA_TEXT, name


@pytest.mark.parametrize("mode", MODES)
def test_captions_can_be_read_on_page_and_sidebar(mode: str) -> None:
    theme = CONFIG["theme"][mode]
    for part in (theme, theme["sidebar"]):
        surface = part["backgroundColor"]
        text = mix((surface, theme["textColor"]), CAPTION_OPACITY)
        code_surface = mix((surface, theme["codeBackgroundColor"]), CAPTION_OPACITY)
        assert contrast(text, surface) >= AA_TEXT
        assert contrast(text, code_surface) >= AA_TEXT


@pytest.mark.parametrize("mode", MODES)
def test_white_on_the_accent_can_be_read_and_the_accent_be_seen(mode: str) -> None:
    accent = CONFIG["theme"][mode]["primaryColor"]
    assert contrast("#ffffff", accent) >= AA_TEXT
    assert min(contrast(accent, surface) for surface in _surfaces(mode)) >= AA_GRAPHICS


@pytest.mark.parametrize("mode", MODES)
def test_what_is_selected_can_be_read(mode: str) -> None:
    style = (ROOT / "pages" / "components" / "shell.py").read_text("utf-8")
    found = re.search(r"light-dark\((#\w{6}), (#\w{6})\)", style)
    assert found
    theme = CONFIG["theme"][mode]
    tinted = mix((theme["backgroundColor"], theme["primaryColor"]), 0.1)
    assert contrast(found[1 + MODES.index(mode)], tinted) >= AA_TEXT


def test_the_sequential_palette_is_that_of_the_figures() -> None:
    assert CONFIG["theme"]["chartSequentialColors"] == list(CIVIDIS)


def test_the_diverging_palette_is_that_of_the_figures_and_has_the_length_that_streamlit_takes() -> None:
    assert CONFIG["theme"]["chartDivergingColors"] == list(DIVERGING)
    assert len(DIVERGING) == 10


def test_nothing_in_the_configuration_points_outside() -> None:
    assert "://" not in TEXT
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["address"] == "127.0.0.1"
