"""How sure the model was against how often it was right."""

from __future__ import annotations

from typing import Final

import plotly.graph_objects as go

from core.charts.canvas import canvas, vocabulary
from core.charts.palette import BLUE, GRAY, VERMILION
from core.evaluation import Reliability
from core.words import FALLBACK

HEIGHT: Final = 340  # pixels
SIDE: Final = 0.02  # beyond 0 and 1, or markers there are cut in half


def reliability_diagram(before: Reliability, after: Reliability, language: str = FALLBACK) -> go.Figure:
    """Do the probabilities mean what they say, before and after the temperature?

    Args:
        before: Of the probabilities as the network gives them.
        after: Of the calibrated ones; their points have whiskers, Wilson's interval.
        language: Of the words in the figure; one of :func:`core.words.languages`.

    Returns:
        One point per bin that holds pictures; on the dotted diagonal confidence and accuracy are the same.
    """
    say = vocabulary(language)
    figure = canvas(HEIGHT)
    line = {"color": GRAY, "width": 1.5, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name=say["honest"], line=line, hoverinfo="skip")
    _draw(figure, before, say["before"], VERMILION, "x", "dash", say["pictures"], whiskers=False)
    _draw(figure, after, say["after"], BLUE, "circle", "solid", say["pictures"], whiskers=True)
    for update, title in ((figure.update_xaxes, say["confidence"]), (figure.update_yaxes, say["accuracy"])):
        update(title={"text": title, "standoff": 6}, range=[-SIDE, 1 + SIDE], tickformat=".0%", dtick=0.2)
        update(zeroline=False, fixedrange=True)
    legend = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(showlegend=True, legend=legend, margin_t=40)


def _draw(
    figure: go.Figure,
    found: Reliability,
    name: str,
    color: str,
    symbol: str,
    dash: str,
    pictures: str,
    *,
    whiskers: bool,
) -> None:
    bins = [part for part in found.bins if part.num_images]
    values = [part.accuracy.value for part in bins]
    figure.add_scatter(
        x=[part.confidence for part in bins],
        y=values,
        mode="lines+markers",
        name=name,
        line={"color": color, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [part.accuracy.high - part.accuracy.value for part in bins],
            "arrayminus": [part.accuracy.value - part.accuracy.low for part in bins],
            "thickness": 1.25,
            "width": 3,
            "visible": whiskers,
        },
        customdata=[part.num_images for part in bins],
        hovertemplate=f"{name}: %{{x:.1%}} → %{{y:.1%}}<br>%{{customdata:,}} {pictures}<extra></extra>",
    )
