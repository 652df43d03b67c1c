"""A figure on a page."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

# Streamlit's browser side replaces this very colour by the theme's text colour (its GRAY_90). Its default for
# figures, GRAY_70, has a contrast of 3.8 on a light page; where it is not replaced, texts are nearly black.
INK = "#000037"


def figure(drawn: go.Figure, key: str, alt: str) -> None:
    """Show a figure of :mod:`core.charts` in the page's fonts and colours.

    Args:
        drawn: The figure.
        key: Of the element.
        alt: What a screen reader says instead: what the figure shows, not that it is a figure.
    """
    drawn.update_layout(font_color=INK, hoverlabel_font_color=INK)
    drawn.update_xaxes(tickfont_color=INK, title_font_color=INK).update_yaxes(tickfont_color=INK)
    st.plotly_chart(drawn, key=key, config={"displayModeBar": False}, alt=alt)
