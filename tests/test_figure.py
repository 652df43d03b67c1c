"""A figure on a page has the page's ink and a text for those who do not see it."""

from __future__ import annotations

from streamlit.elements.lib import streamlit_plotly_theme
from streamlit.testing.v1 import AppTest

from pages.components import figure


def script() -> None:
    from core.charts import probability_bars
    from pages.components.figure import figure

    figure(probability_bars(["owl"], [0.9]), key="bars", alt="It is an owl")


def test_a_figure_is_drawn_with_its_text_for_screen_readers() -> None:
    app = AppTest.from_function(script, default_timeout=20).run()
    assert not app.exception
    (drawn,) = app.get("plotly_chart")
    assert drawn.proto.alt == "It is an owl"
    assert figure.INK in drawn.proto.spec


def test_the_ink_is_the_colour_that_streamlit_replaces_by_the_themes_text_colour() -> None:
    assert figure.INK == streamlit_plotly_theme.GRAY_90
