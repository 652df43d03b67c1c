"""Each figure of Graft, once: from plain tables to Plotly figures that read well in light and dark.

Backgrounds are transparent and texts carry no colour, so the page's theme decides both. Series differ by
colour *and* by dash, pattern or words, and their names stand beside them wherever there is room. Names of
classes come from folders and are never read as HTML. Words are arguments: a page may speak another language.
"""

from __future__ import annotations

from core.charts.bars import bars_height, class_counts, f1_dots, probability_bars
from core.charts.canvas import WORDS, shorten
from core.charts.confusion import (
    change_colors,
    change_shades,
    confusion_shades,
    confusion_shares,
    shade_colors,
)
from core.charts.curves import MEASURES, learning_curves, learning_rate_curve
from core.charts.palette import contrast
from core.charts.reliability import reliability_diagram
from core.charts.runs import curves_over
from core.charts.scatter import cost_scatter

__all__ = [
    "MEASURES",
    "WORDS",
    "bars_height",
    "change_colors",
    "change_shades",
    "class_counts",
    "confusion_shades",
    "confusion_shares",
    "contrast",
    "cost_scatter",
    "curves_over",
    "f1_dots",
    "learning_curves",
    "learning_rate_curve",
    "probability_bars",
    "reliability_diagram",
    "shade_colors",
    "shorten",
]
