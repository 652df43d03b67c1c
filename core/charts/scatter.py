"""How good against how costly: one point for each model."""

from __future__ import annotations

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from core.charts.canvas import canvas, empty, escape, shorten, vocabulary
from core.charts.palette import BLUE, VERMILION
from core.words import FALLBACK

HEIGHT: Final = 360  # pixels
WIDE: Final = 8.0  # ratio of largest to smallest cost from which on the axis is logarithmic
ROOM: Final = 0.15  # of the axis beyond the outermost points, for their names


def accuracy_scatter(points: pd.DataFrame, cost: str, unit: str, language: str = FALLBACK) -> go.Figure:
    """Which model gives how much accuracy for which cost?

    Args:
        points: One row per model: ``name``, ``cost`` (above 0), ``accuracy``, ``low`` and ``high`` (its interval), all
            three in 0…1, and ``marked``, whether it stands out.
        cost: What the cost is, such as ``"Time for one picture"``.
        unit: Of the cost, such as ``"ms"``.
        language: Of the words in the figure; one of :func:`core.words.languages`.

    Returns:
        Accuracy upwards with its interval, cost to the right; a marked point differs by colour and shape.
    """
    say = vocabulary(language)
    if points.empty:
        return empty(say["nothing"])
    figure = canvas(HEIGHT)
    for marked, color, symbol in ((False, BLUE, "circle"), (True, VERMILION, "diamond")):
        rows = points[points["marked"] == marked]
        figure.add_scatter(
            x=rows["cost"],
            y=rows["accuracy"],
            error_y={
                "array": rows["high"] - rows["accuracy"],
                "arrayminus": rows["accuracy"] - rows["low"],
                "thickness": 1.5,
                "width": 4,
            },
            mode="markers+text",
            text=[escape(shorten(name)) for name in rows["name"]],
            textposition="middle right",
            marker={"color": color, "symbol": symbol, "size": 11},
            customdata=[[escape(name)] for name in rows["name"]],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{say['accuracy']}: %{{y:.1%}}<br>"
            f"{escape(cost)}: %{{x:.3g}} {escape(unit)}<extra></extra>",
            cliponaxis=False,
        )
    _axes(figure, points, f"{escape(cost)} ({escape(unit)})", say["accuracy"])
    return figure.update_layout(showlegend=False, margin={"l": 8, "r": 120, "t": 16, "b": 8})


def _axes(figure: go.Figure, points: pd.DataFrame, x_title: str, y_title: str) -> None:
    smallest, largest = float(points["cost"].min()), float(points["cost"].max())
    is_wide = smallest > 0 and largest / smallest >= WIDE
    figure.update_xaxes(
        title={"text": x_title, "standoff": 6}, zeroline=False, showgrid=False, fixedrange=True, nticks=6
    )
    if is_wide:
        figure.update_xaxes(type="log", dtick="D2")
    else:
        figure.update_xaxes(range=[0, largest * (1 + ROOM)])
    figure.update_yaxes(
        title={"text": y_title, "standoff": 6}, tickformat=".0%", zeroline=False, fixedrange=True, nticks=6
    )
