"""Which photos of a split to look at: the errors, the surest of them, and what was right by a hair."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

LISTS = ("wrong", "confident", "unsure", "all")
ORDERS = ("loss", "confidence", "margin")

SURE = 0.9
"""Probability from which a wrong answer is called confident."""
UNSURE = 0.6
"""Probability below which a right answer is called unsure."""


def listed(answers: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the rows of a list.

    Args:
        answers: As :func:`core.runs.answers` returns them.
        kind: ``"wrong"``; ``"confident"``: wrong, and at least :data:`SURE`; ``"unsure"``: right, and below
            :data:`UNSURE`; or ``"all"``.
    """
    if kind == "wrong":
        return answers[answers["wrong"]]
    if kind == "confident":
        return answers[answers["wrong"] & (answers["probability"] >= SURE)]
    if kind == "unsure":
        return answers[~answers["wrong"] & (answers["probability"] < UNSURE)]
    return answers


def chosen(
    answers: pd.DataFrame,
    order: str,
    *,
    true: str | None = None,
    predicted: str | None = None,
    confidence: tuple[float, float] = (0.0, 1.0),
    paths: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the rows that all filters let through, in order.

    Args:
        answers: As :func:`core.runs.answers` returns them.
        order: ``"loss"``: the true class thought least likely first; ``"confidence"``: the surest first;
            ``"margin"``: the smallest lead over the next class first.
        true: Only images of this class.
        predicted: Only images that were taken for this class.
        confidence: Least and largest probability of the predicted class, in [0, 1].
        paths: Only these files.
    """
    kept = answers["probability"].between(confidence[0], confidence[1])
    if true is not None:
        kept &= answers["true"] == true
    if predicted is not None:
        kept &= answers["predicted"] == predicted
    if paths is not None:
        kept &= answers["path"].isin(list(paths))
    rows = answers[kept]
    if order == "confidence":
        return rows.sort_values("probability", ascending=False, kind="stable")
    if order == "margin":
        return rows.sort_values("margin", kind="stable")
    return rows
