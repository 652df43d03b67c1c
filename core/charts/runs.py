"""Runs beside each other: what they reach for what they take, and their curves over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from core.charts.canvas import canvas, empty, escape, vocabulary
from core.charts.palette import BLUE, GREEN, VERMILION
from core.words import FALLBACK

HEIGHT: Final = 340  # pixels
COLORS: Final = (BLUE, VERMILION, GREEN)
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def run_scatter(table: pd.DataFrame, x_title: str, y_title: str, language: str = FALLBACK) -> go.Figure:
    """What do runs reach, and what does it take?

    Args:
        table: One row per run: ``name``, ``x`` (a cost, above 0), ``y`` (a share, with ``low`` and ``high``) and
            ``kind``, which gives runs their symbol and colour.
        x_title: What the cost is, with its unit.
        y_title: What the share is.
        language: Of the words in the figure; one of :func:`core.words.languages`.

    Returns:
        The cost on a logarithmic axis, since it grows by factors.
    """
    if table.empty:
        return empty(vocabulary(language)["nothing"])
    figure = canvas(HEIGHT)
    for number, (kind, rows) in enumerate(table.groupby("kind", sort=True)):
        figure.add_scatter(
            x=rows["x"].tolist(),
            y=rows["y"].tolist(),
            mode="markers",
            name=escape(kind),
            marker={
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "size": 11,
                "color": COLORS[number % len(COLORS)],
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows["y"]).tolist(),
                "arrayminus": (rows["y"] - rows["low"]).tolist(),
                "thickness": 1.25,
                "width": 3,
            },
            customdata=[escape(name) for name in rows["name"]],
            hovertemplate="<b>%{customdata}</b><br>%{y:.1%} · %{x:.3~s}<extra></extra>",
        )
    figure.update_xaxes(title={"text": escape(x_title), "standoff": 6}, type="log", fixedrange=True)
    figure.update_yaxes(title={"text": escape(y_title), "standoff": 6}, tickformat=".0%", fixedrange=True)
    legend = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(showlegend=True, legend=legend, margin_t=40)


def curves_over(
    names: Sequence[str], epochs: Sequence[pd.DataFrame], measure: str, language: str = FALLBACK
) -> go.Figure:
    """How did a measure on validation develop in several runs?

    Args:
        names: Of the runs.
        epochs: Per run, one row per finished epoch, as of :func:`core.runs.epochs`.
        measure: ``"loss"`` or ``"accuracy"``.
        language: Of the words in the figure; one of :func:`core.words.languages`.
    """
    say = vocabulary(language)
    column = f"val_{measure}"
    drawn = [(name, table) for name, table in zip(names, epochs, strict=True) if column in table]
    if not drawn:
        return empty(say["nothing"])
    figure = canvas(HEIGHT)
    for number, (name, table) in enumerate(drawn):
        figure.add_scatter(
            x=list(range(1, len(table) + 1)),
            y=table[column].tolist(),
            mode="lines+markers",
            name=escape(name),
            line={
                "color": COLORS[number % len(COLORS)],
                "width": 2,
                "dash": DASHES[number % len(DASHES)],
            },
            marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 6},
            hovertemplate=f"%{{y:.4~g}}<br>{say['epoch']} %{{x}}<extra></extra>",
        )
    figure.update_xaxes(title={"text": say["epoch"], "standoff": 6}, fixedrange=True, zeroline=False)
    figure.update_yaxes(
        title={"text": f"{say[measure]} ({say['val']})", "standoff": 6},
        tickformat=".0%" if measure == "accuracy" else None,
        fixedrange=True,
        zeroline=False,
    )
    legend = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(showlegend=True, legend=legend, margin_t=40 + 20 * (len(drawn) > 2))
