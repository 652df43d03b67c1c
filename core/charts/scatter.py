"""How good against how costly: one point for each model."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from core.charts.canvas import canvas, empty, escape, shorten, vocabulary
from core.charts.palette import BLUE, GRAY, GREEN, VERMILION
from core.words import FALLBACK

HEIGHT: Final = 360  # pixels
COLORS: Final = (BLUE, VERMILION, GREEN)
SYMBOLS: Final = ("circle", "diamond", "square", "cross", "x", "triangle-up")
WIDE: Final = 8.0  # ratio of largest to smallest cost from which on the axis is logarithmic
ROOM: Final = 0.15  # of the axis beyond the outermost point
LOG_ROOM: Final = 0.05  # the same on both sides of a logarithmic axis
MAX_DECADES: Final = 2.0  # up to which 2 and 5 are written beside 1, 10, 100, …
NAME_MARGIN: Final = 120  # pixels to the right, where names stand beside the points
NAME_LINE: Final = 16  # pixels from one name down to the next
MARKER_ROOM: Final = 14  # pixels that the middle of a name keeps from another point
NAME_REACH: Final = 0.5  # of the axis; as far as a name reaches on a narrow page
PLOT_HEIGHT: Final = 270  # pixels between the axes, about


def cost_scatter(
    points: pd.DataFrame, x_title: str, y_title: str, language: str = FALLBACK, *, named: bool = False
) -> go.Figure:
    """What do models reach, and for which cost?

    Args:
        points: One row per model: ``name``, ``x`` (a cost, above 0), ``y`` with ``low`` and ``high`` (a share and its
            interval, 0…1) and ``kind``, which gives points their symbol and colour.
        x_title: What the cost is, with its unit.
        y_title: What the share is.
        language: Of the words in the figure; one of :func:`core.words.languages`.
        named: Write the names beside the points, where there are few.

    Returns:
        The share upwards, the cost to the right, on a logarithmic axis where it grows by factors.
    """
    if points.empty:
        return empty(vocabulary(language)["nothing"])
    figure = canvas(HEIGHT)
    for number, (kind, rows) in enumerate(points.groupby("kind", sort=True)):
        figure.add_scatter(
            x=rows["x"].tolist(),
            y=rows["y"].tolist(),
            mode="markers",
            name=escape(kind),
            marker={
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "color": COLORS[number % len(COLORS)],
                "size": 11,
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows["y"]).tolist(),
                "arrayminus": (rows["y"] - rows["low"]).tolist(),
                "thickness": 1.5,
                "width": 4,
            },
            customdata=[escape(name) for name in rows["name"]],
            hovertemplate="<b>%{customdata}</b><br>%{y:.1%} · %{x:.3~s}<extra></extra>",
            cliponaxis=False,
        )
    _axes(figure, points["x"], escape(x_title), escape(y_title))
    if named:
        _name(figure, points)
    legend = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(
        showlegend=True, legend=legend, margin_t=40, margin_r=NAME_MARGIN if named else 16
    )


def _axes(figure: go.Figure, costs: pd.Series[float], x_title: str, y_title: str) -> None:
    smallest, largest = float(costs.min()), float(costs.max())
    figure.update_xaxes(
        title={"text": x_title, "standoff": 6}, zeroline=False, showgrid=False, fixedrange=True, nticks=6
    )
    if smallest > 0 and largest / smallest >= WIDE:
        low, high = math.log10(smallest), math.log10(largest)
        room = LOG_ROOM * (high - low)
        # Plotly's own labels between powers of ten are their first digits only: 2 where it is 20.
        ticks = _log_ticks(low - room, high + room)
        figure.update_xaxes(
            type="log",
            range=[low - room, high + room],
            tickvals=ticks,
            ticktext=[f"{tick:,.10g}" for tick in ticks],
        )
    else:
        figure.update_xaxes(range=[0, largest * (1 + ROOM)])
    figure.update_yaxes(
        title={"text": y_title, "standoff": 12}, tickformat=".0%", zeroline=False, fixedrange=True, nticks=6
    )


def _name(figure: go.Figure, points: pd.DataFrame) -> None:
    """Write the names beside the points, higher or lower where they would stand on another name or point."""
    axis = figure.layout.xaxis
    places = points["x"].map(math.log10) if axis.type == "log" else points["x"]
    low, high = float(points["low"].min()), float(points["high"].max())
    room = max(high - low, 0.01) * ROOM / 2
    figure.update_yaxes(range=[low - room, high + room])
    pixels = PLOT_HEIGHT / (high - low + 2 * room)
    reach = NAME_REACH * (axis.range[1] - axis.range[0])
    heights = -pixels * points["y"]  # pixels, downwards
    written: list[tuple[float, float]] = []
    for row in points["y"].sort_values(ascending=False, kind="stable").index:
        x, point = float(places[row]), float(heights[row])
        names = [(line, NAME_LINE) for place, line in written if abs(place - x) < reach]
        ahead = (places.index != row) & (places >= x) & (places - x < reach)
        taken = [*names, *((float(height), MARKER_ROOM) for height in heights[ahead])]
        line = next(
            point + away
            for away in sorted(range(-PLOT_HEIGHT, PLOT_HEIGHT), key=abs)
            if all(abs(point + away - other) >= least for other, least in taken)
            or abs(away) == PLOT_HEIGHT  # more names than there is room for
        )
        written.append((x, line))
        figure.add_annotation(
            x=x,
            y=float(points["y"][row]),
            text=escape(shorten(points["name"][row])),
            ax=14,
            ay=line - point,
            xanchor="left",
            align="left",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=GRAY,
            standoff=6,
            font={"size": 12, "shadow": "auto"},
        )


def _log_ticks(low: float, high: float) -> list[float]:
    """Return the round numbers whose logarithms to base 10 lie within ``low``…``high``."""
    steps = (1, 2, 5) if high - low <= MAX_DECADES else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]
