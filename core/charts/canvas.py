"""What all figures share: their words, their names made harmless, and an empty canvas."""

from __future__ import annotations

import html
from typing import Any, Final

import plotly.graph_objects as go

from core import words

WORDS: Final = (
    "train",
    "val",
    "test",
    "pictures",
    "no_pictures",
    "epoch",
    "loss",
    "accuracy",
    "learning_rate",
    "head",
    "head_alone",
    "fine_tune",
    "true_class",
    "f1",
    "precision",
    "recall",
    "nothing",
    "honest",
    "before",
    "after",
    "confidence",
)
"""What figures say; the words themselves stand under these names in :mod:`core.words`."""

MAX_NAME_LENGTH: Final = 24  # characters that fit beside the bars of a narrow figure
FONT_SIZE: Final = 13  # pixels
LETTER_WIDTH: Final = 6.6  # pixels, of an average letter at FONT_SIZE


def vocabulary(language: str) -> dict[str, str]:
    """The ``WORDS`` in a language, ready to stand in a figure."""
    return {name: escape(words.say(f"chart.{name}", language)) for name in WORDS}


def escape(text: object) -> str:
    """Untrusted text for Plotly, which reads a little HTML: all shows as it is written, on one line."""
    return html.escape(words.one_line(text), quote=False)


def shorten(name: str, length: int = MAX_NAME_LENGTH) -> str:
    """A name of at most ``length`` characters, cut in the middle: long names tend to differ at their ends.

    Example:
        >>> shorten("german shorthaired pointer", 13)
        'german…ointer'
    """
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"


def canvas(height: int) -> go.Figure:
    """A figure of ``height`` pixels without anything in it, not even a background."""
    return go.Figure(layout=canvas_layout(height))


def canvas_layout(height: int) -> dict[str, Any]:
    """The layout of :func:`canvas`."""
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"size": FONT_SIZE},
        "hoverlabel": {"align": "left", "namelength": -1, "font": {"size": FONT_SIZE}},
        "dragmode": False,
    }


def empty(text: str) -> go.Figure:
    """A figure that only says ``text``, which is escaped."""
    figure = canvas(height=160)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
