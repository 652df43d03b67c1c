"""Runs over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from core.charts.canvas import canvas, empty, escape, vocabulary
from core.charts.scatter import COLORS, SYMBOLS
from core.words import FALLBACK

HEIGHT: Final = 340  # pixels
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")


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
