"""Figures of one bar per class."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from core.charts.canvas import LETTER_WIDTH, canvas, empty, escape, shorten, vocabulary
from core.charts.palette import BLUE, GRAY, GREEN, VERMILION
from core.evaluation import ClassScores, Estimate
from core.words import FALLBACK, one_line

SPLIT_COLORS: Final = {"train": BLUE, "val": VERMILION, "test": GREEN}
SPLIT_PATTERNS: Final = {"train": "", "val": "/", "test": "."}
ROW_HEIGHT: Final = 27  # pixels per bar: a label with air
DENSE_ROW_HEIGHT: Final = 20  # pixels per bar where there are more than ROOMY bars
ROOMY: Final = 40
DOT: Final = 10  # pixels across


def class_counts(table: pd.DataFrame, class_names: Sequence[str], language: str = FALLBACK) -> go.Figure:
    """How many images has each class, and in which split?

    Args:
        table: One row per image with the columns ``label`` and ``split``; other splits than train, val and
            test are not counted.
        class_names: Classes from top to bottom, those without images included.
        language: Of the words in the figure; one of :func:`core.words.languages`.

    Returns:
        One bar per class, stacked by split, with its total beside it.
    """
    say = vocabulary(language)
    if not class_names:
        return empty(say["nothing"])
    counts = _count(table, class_names)
    totals = counts.sum(axis=1).to_numpy()
    figure = _rows(class_names)
    customdata = list(zip(map(escape, class_names), totals.tolist(), strict=True))
    for split, color in SPLIT_COLORS.items():
        pattern = {"shape": SPLIT_PATTERNS[split], "fillmode": "overlay", "fgcolor": "#FFFFFF", "size": 5}
        figure.add_bar(
            y=list(range(len(class_names))),
            x=counts[split].tolist(),
            name=say[split],
            orientation="h",
            marker={"color": color, "line": {"width": 0}, "pattern": {**pattern, "fgopacity": 0.3}},
            customdata=customdata,
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{say[split]}: %{{x:,}} / %{{customdata[1]:,}} "
            f"{say['pictures']}<extra></extra>",
        )
    _write_beside(figure, totals, [f"{total:,}" for total in totals])
    legend = {
        "orientation": "h",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "traceorder": "normal",
    }
    figure.update_layout(barmode="stack", showlegend=True, legend=legend, margin_t=36)
    return figure.update_xaxes(range=[0, max(1, int(totals.max()))])


def probability_bars(
    names: Sequence[str],
    probabilities: Sequence[float],
    true_name: str | None = None,
    language: str = FALLBACK,
) -> go.Figure:
    """What does the model think this picture shows?

    Args:
        names: Classes, most probable first.
        probabilities: Their probabilities, in [0, 1].
        true_name: The class it really is; its bar says so and has another colour.
        language: Of the words in the figure; one of :func:`core.words.languages`.
    """
    say = vocabulary(language)
    if not names:
        return empty(say["nothing"])
    texts = [f"{probability:.1%}".replace("%", "\u00a0%") for probability in probabilities]
    texts = [
        f"{text} · {say['true_class']}" if name == true_name else text
        for name, text in zip(names, texts, strict=True)
    ]
    hovers = [f"<b>{escape(name)}</b><br>{text}" for name, text in zip(names, texts, strict=True)]
    colors = [GREEN if name == true_name else BLUE for name in names]
    return _shares(_rows(names), list(probabilities), colors, texts, hovers)


def f1_dots(per_class: Sequence[ClassScores], language: str = FALLBACK, most: int | None = None) -> go.Figure:
    """Which classes are found worst, and how sure is that?

    Args:
        per_class: Scores of the classes on one split.
        language: Of the words in the figure; one of :func:`core.words.languages`.
        most: Classes to draw, where not all: those that are most surely bad. Of 120 classes with few images each many
            have an F1 of 0 by chance, so they are taken by the upper ends of their intervals.

    Returns:
        One dot per class with its 95 % interval as a line, the lowest F1 on top; beside it F1, and how many of the
        class's images were found. Classes without images stand last and have no dot.
    """
    say = vocabulary(language)
    surest = sorted(
        per_class, key=lambda scores: (not scores.support, _f1(scores).high, scores.f1, -scores.support)
    )
    ranked = sorted(
        surest[:most], key=lambda scores: (not scores.support, scores.f1, _f1(scores).high, -scores.support)
    )
    if not ranked:
        return empty(say["nothing"])
    judged = [_f1(scores) for scores in ranked if scores.support]
    figure = _rows([scores.name for scores in ranked])
    hovers = [f"<b>{escape(scores.name)}</b><br>{_judged(scores, say)}" for scores in ranked]
    _tracks(figure, hovers)
    figure.add_scatter(
        x=[f1.value for f1 in judged],
        y=list(range(len(judged))),
        mode="markers",
        marker={"color": BLUE, "size": DOT},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [f1.high - f1.value for f1 in judged],
            "arrayminus": [f1.value - f1.low for f1 in judged],
            "thickness": 2,
            "width": 4,
        },
        hovertext=hovers[: len(judged)],
        hoverinfo="text",
        cliponaxis=False,
    )
    _write_beside(figure, np.ones(len(ranked)), [_found(scores, say) for scores in ranked], DOT + 4)
    return figure.update_xaxes(range=[0, 1])


def _f1(scores: ClassScores) -> Estimate:
    return scores.estimate("f1") if "f1" in scores.intervals else Estimate(scores.f1, scores.f1, scores.f1)


def _found(scores: ClassScores, say: Mapping[str, str]) -> str:
    """Return F1 and how many of the class's images were found."""
    if not scores.support:
        return say["no_pictures"]
    return f"{scores.f1:.2f} · {round(scores.recall * scores.support):,} / {scores.support:,}"


def bars_height(num_classes: int) -> int:
    """Return how high a figure of one bar per class is, in pixels."""
    return num_classes * (ROW_HEIGHT if num_classes <= ROOMY else DENSE_ROW_HEIGHT) + 48


def _judged(scores: ClassScores, say: Mapping[str, str]) -> str:
    if not scores.support:
        return say["no_pictures"]
    return (
        f"{say['f1']}: {scores.f1:.3f}{_interval(scores)}<br>{say['precision']}: {scores.precision:.3f}"
        f"<br>{say['recall']}: {scores.recall:.3f}<br>{scores.support:,} {say['pictures']}"
    )


def _interval(scores: ClassScores) -> str:
    found = _f1(scores)
    return f" ({found.low:.2f} – {found.high:.2f})" if found.low < found.high else ""


def _count(table: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Images per class (index) and split (columns), with a zero where there are none."""
    used = table[table["split"].isin(list(SPLIT_COLORS))]
    counts = used.groupby(["label", "split"]).size().unstack(fill_value=0)
    return counts.reindex(index=list(class_names), columns=list(SPLIT_COLORS), fill_value=0)


def _rows(names: Sequence[str]) -> go.Figure:
    """A canvas with one labelled row per name, the first on top. Rows are numbers: names may look alike."""
    figure = canvas(height=bars_height(len(names)))
    figure.update_layout(bargap=0.34, barcornerradius=3, showlegend=False)
    figure.update_xaxes(visible=False, fixedrange=True)
    return figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[escape(shorten(one_line(name))) for name in names],
        range=[len(names) - 0.5, -0.5],
        automargin=True,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        ticklabelstandoff=6,
    )


def _shares(
    figure: go.Figure,
    values: Sequence[float],
    colors: Sequence[str],
    texts: Sequence[str],
    hovers: Sequence[str],
) -> go.Figure:
    """Draw shares in [0, 1] on pale tracks that show what 1 would be."""
    rows = list(range(len(values)))
    _tracks(figure, hovers)
    figure.add_bar(
        x=list(values),
        y=rows,
        orientation="h",
        marker={"color": list(colors), "line": {"width": 0}},
        hovertext=list(hovers),
        hoverinfo="text",
    )
    _write_beside(figure, np.ones(len(rows)), texts)
    return figure.update_layout(barmode="overlay").update_xaxes(range=[0, 1])


def _tracks(figure: go.Figure, hovers: Sequence[str]) -> None:
    """Draw a pale bar from 0 to 1 for each row."""
    figure.add_bar(
        x=[1.0] * len(hovers),
        y=list(range(len(hovers))),
        orientation="h",
        marker={"color": GRAY, "opacity": 0.16, "line": {"width": 0}},
        hovertext=list(hovers),
        hoverinfo="text",
    )


def _write_beside(
    figure: go.Figure, places: npt.NDArray[np.number], texts: Sequence[str], gap: int = 6
) -> None:
    """Write each row's text to the right of its place, ``gap`` pixels off, in a margin as wide as the widest."""
    shared = {"xanchor": "left", "xshift": gap, "showarrow": False}
    beside = [
        {"x": place, "y": row, "text": text, **shared}
        for row, (place, text) in enumerate(zip(places.tolist(), texts, strict=True))
    ]
    widest = max(len(html.unescape(text)) for text in texts)
    # At once: each one that is added by itself has all before it checked again, 1 s for 120 classes.
    figure.update_layout(annotations=beside, margin_r=round(10 + gap + LETTER_WIDTH * widest))
