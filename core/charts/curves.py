"""How a training went, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.charts.canvas import canvas_layout, empty, escape, vocabulary
from core.charts.palette import BLUE, GRAY, VERMILION
from core.words import FALLBACK

MEASURES: Final = ("loss", "accuracy")
HEIGHT: Final = 320  # pixels
RIGHT_MARGIN: Final = 84  # pixels, for the names of the lines
TITLE_LIFT: Final = 24  # pixels of the title above the plot; the names of the stages stand between
PLOT_HEIGHT: Final = 210  # pixels of it between the axes
MARGIN: Final = {"l": 8, "r": RIGHT_MARGIN, "t": 56, "b": 8}
EDGE: Final = 0.01  # of accuracy beyond the first and last tick, or markers there are cut in half
NUM_MARKED_EPOCHS: Final = 40  # beyond it, markers run into each other


class _Series(NamedTuple):
    prefix: str
    word: str
    color: str
    dash: str
    symbol: str


class _End(NamedTuple):
    y: float
    text: str


SERIES: Final = (
    _Series("", "train", BLUE, "dot", "circle-open"),
    _Series("val_", "val", VERMILION, "solid", "circle"),
)


def learning_curves(
    epochs: pd.DataFrame,
    language: str = FALLBACK,
    measures: Sequence[str] = MEASURES,
    reference: Mapping[str, float] | None = None,
) -> go.Figure:
    """How did loss and accuracy develop, and where did fine-tuning begin?

    Args:
        epochs: One row per finished epoch, in the order they were run. Column ``stage`` is ``"head"`` or
            ``"fine_tune"``; ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy`` may be absent or NaN.
        language: Of the words in the figure; one of :func:`core.words.languages`.
        measures: One or both of :data:`MEASURES`, each with a panel of its own.
        reference: By measure, what the head alone reaches on validation; drawn as a dashed line.

    Returns:
        The panels side by side; where one stage follows another, a dotted line parts their names.
    """
    say = vocabulary(language)
    if epochs.empty:
        return empty(say["nothing"])
    figure = make_subplots(rows=1, cols=len(measures), horizontal_spacing=0.24)
    figure.update_layout(canvas_layout(HEIGHT), showlegend=False, margin=MARGIN)
    stages = [say.get(stage, escape(stage)) for stage in epochs["stage"]]
    for panel, measure in enumerate(measures, start=1):
        _draw(figure, panel, epochs, measure, stages, say, (reference or {}).get(measure))
        _name_stages(figure, panel, stages)
        _title(figure, panel, say[measure])
    _number_epochs(figure, len(epochs), say)
    return figure.update_yaxes(zeroline=False, nticks=6, fixedrange=True)


def _number_epochs(figure: go.Figure, num_epochs: int, say: Mapping[str, str]) -> None:
    figure.update_xaxes(
        title={"text": say["epoch"], "standoff": 6},
        range=[0.5, num_epochs + 0.5],
        dtick=_tick_distance(num_epochs),
        tick0=0 if num_epochs > 10 else 1,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )


def _draw(
    figure: go.Figure,
    panel: int,
    epochs: pd.DataFrame,
    measure: str,
    stages: Sequence[str],
    say: Mapping[str, str],
    reference: float | None,
) -> None:
    ends = []
    values = pd.Series([reference] if reference is not None else [], dtype=float)
    for series in SERIES:
        column = epochs.get(series.prefix + measure, pd.Series(dtype=float)).astype(float)
        if column.notna().any():
            _draw_line(figure, panel, series, column, measure, stages, say)
            last = int(np.flatnonzero(column.notna())[-1])
            ends.append(_End(float(column.iloc[last]), say[series.word]))
            values = pd.concat([values, column]) if len(values) else column
    if ends:
        low, high = _scale(measure, values)
        figure.update_yaxes(range=[low, high], tickformat=".0%" if measure == "accuracy" else None, col=panel)
        _name_lines(figure, panel, ends, pixels_per_unit=PLOT_HEIGHT / (high - low))
        if reference is not None:
            _draw_reference(figure, panel, reference, say["head_alone"])


def _draw_reference(figure: go.Figure, panel: int, value: float, name: str) -> None:
    """Draw what is to be beaten; its name stands beside the title, where no line can run into it."""
    line = {"color": GRAY, "width": 1.5, "dash": "dash"}
    figure.add_hline(y=value, line=line, row=1, col=panel, exclude_empty_subplots=False)
    figure.add_annotation(
        text=f"╌╌ {name}",
        x=1,
        y=1,
        xref=_axis("x", panel) + " domain",
        yref=_axis("y", panel) + " domain",
        xanchor="right",
        yanchor="bottom",
        xshift=RIGHT_MARGIN - 4,
        yshift=TITLE_LIFT,
        showarrow=False,
        font={"size": 12},
    )


def learning_rate_curve(epochs: pd.DataFrame, language: str = FALLBACK) -> go.Figure:
    """How large were the steps at the end of each epoch?

    Args:
        epochs: One row per finished epoch, in order, with a column ``learning_rate``, above 0.
        language: Of the words in the figure; one of :func:`core.words.languages`.
    """
    say = vocabulary(language)
    rates = epochs["learning_rate"].astype(float)
    figure = make_subplots(rows=1, cols=1)
    figure.update_layout(canvas_layout(HEIGHT), showlegend=False, margin=MARGIN)
    figure.add_scatter(
        x=list(range(1, len(rates) + 1)),
        y=rates.tolist(),
        mode="lines+markers" if len(rates) <= NUM_MARKED_EPOCHS else "lines",
        line={"color": BLUE, "width": 2.25},
        marker={"symbol": "circle", "size": 6},
        hovertemplate=f"%{{y:.2~e}}<br>{say['epoch']} %{{x}}<extra></extra>",
    )
    _title(figure, 1, say["learning_rate"])
    _number_epochs(figure, len(rates), say)
    highest = max(float(rates.max()), 1e-12)
    return figure.update_yaxes(
        range=[0, highest * 1.1], tickformat=".1~e", nticks=4, zeroline=False, fixedrange=True
    )


def _draw_line(
    figure: go.Figure,
    panel: int,
    series: _Series,
    values: pd.Series[float],
    measure: str,
    stages: Sequence[str],
    say: Mapping[str, str],
) -> None:
    number = ".1%" if measure == "accuracy" else ".4f"
    figure.add_scatter(
        x=list(range(1, len(values) + 1)),
        y=values.tolist(),
        name=say[series.word],
        mode="lines+markers" if len(values) <= NUM_MARKED_EPOCHS else "lines",
        line={"color": series.color, "width": 2.25, "dash": series.dash},
        marker={"symbol": series.symbol, "size": 6},
        customdata=list(stages),
        hovertemplate=f"{say[series.word]}: %{{y:{number}}}<br>{say['epoch']} %{{x}} · %{{customdata}}"
        "<extra></extra>",
        row=1,
        col=panel,
    )


def _name_lines(figure: go.Figure, panel: int, ends: list[_End], pixels_per_unit: float) -> None:
    """Name each line beside its end, where no grid runs through; two names that would touch are moved apart."""
    ends.sort(key=lambda end: end.y)
    overlap = 17 - (ends[-1].y - ends[0].y) * pixels_per_unit if len(ends) > 1 else 0
    for rank, end in enumerate(ends):
        figure.add_annotation(
            x=1,
            y=end.y,
            text=end.text,
            xref=_axis("x", panel) + " domain",
            yref=_axis("y", panel),
            xanchor="left",
            xshift=4,
            yshift=max(0, overlap) / 2 * (1 if rank else -1),
            showarrow=False,
        )


def _name_stages(figure: go.Figure, panel: int, stages: Sequence[str]) -> None:
    """Write the stages' names above the panel, on either side of the line that parts them."""
    starts = [i for i in range(len(stages)) if i == 0 or stages[i] != stages[i - 1]]
    for i, start in enumerate(starts):
        before_line = i == 0 and len(starts) > 1
        figure.add_annotation(
            x=(starts[1] if before_line else start) + 0.5,
            y=1,
            yref=_axis("y", panel) + " domain",
            text=stages[start],
            xanchor="right" if before_line else "left",
            xshift=-6 if before_line else 6 if i else 0,
            yanchor="bottom",
            showarrow=False,
            font={"size": 12},
            row=1,
            col=panel,
        )
        if i:
            line = {"color": GRAY, "width": 1, "dash": "dot"}
            figure.add_vline(x=start + 0.5, line=line, row=1, col=panel, exclude_empty_subplots=False)


def _title(figure: go.Figure, panel: int, text: str) -> None:
    figure.add_annotation(
        text=f"<b>{text}</b>",
        x=0,
        y=1,
        xref=_axis("x", panel) + " domain",
        yref=_axis("y", panel) + " domain",
        xanchor="left",
        yanchor="bottom",
        yshift=TITLE_LIFT,
        showarrow=False,
        font={"size": 14},
    )


def _scale(measure: str, values: pd.Series[float]) -> tuple[float, float]:
    """From 0 for a loss; for an accuracy the tenths around it, and never beyond what can be."""
    if measure == "loss":
        return 0.0, max(float(values.max()) * 1.05, 1e-6)
    lowest, highest = math.floor(values.min() * 10 - 0.2) / 10, math.ceil(values.max() * 10 + 0.2) / 10
    return max(0.0, lowest) - EDGE, min(1.0, highest) + EDGE


def _axis(letter: str, panel: int) -> str:
    return letter if panel == 1 else f"{letter}{panel}"


def _tick_distance(num_epochs: int) -> int:
    """A round distance between ticks that gives about ten of them at most."""
    return next((step for step in (1, 2, 5, 10, 20, 50, 100) if num_epochs <= 10 * step), 200)
