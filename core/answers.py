"""What a run says of photos that it was asked about: as a table, most doubtful first, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core import datasets

FLAGS = ("unlike", "unsure", "unreadable")
"""Unlike anything the run was trained on; below the probability that it is sure from; not a photo that can be read."""


def to_table(answers: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> pd.DataFrame:
    """Return one row per photo, in the order asked.

    Args:
        answers: As a prediction's job leaves them.
        class_names: In the order of the run's outputs.

    Returns:
        ``path`` (bytes of it that are not Unicode escaped: one odd name must not cost the table), ``label``,
        ``probability`` (0…1), ``flags`` (of :data:`FLAGS`, parted by spaces), ``distance`` (0…2), ``error``, and a
        column ``p(<class>)`` per class with its probability.
    """
    rows = [
        {
            "path": datasets.written(answer["path"]),
            "label": answer.get("predicted", ""),
            "probability": answer.get("probability"),
            "flags": " ".join(flags(answer)),
            "distance": answer.get("distance"),
            "error": answer.get("error", ""),
        }
        | dict(zip((f"p({name})" for name in class_names), answer.get("probabilities", ()), strict=False))
        for answer in answers
    ]
    fixed = ["path", "label", "probability", "flags", "distance", "error"]
    return pd.DataFrame(rows, columns=[*fixed, *(f"p({name})" for name in class_names)])


def flags(answer: Mapping[str, Any]) -> list[str]:
    """Return what of :data:`FLAGS` holds for an answer."""
    found = {name: bool(answer.get(name)) for name in FLAGS} | {"unreadable": "error" in answer}
    return [name for name in FLAGS if found[name]]


def by_doubt(answers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the answers, most doubtful first: what cannot be read, then the unlike, then by falling doubt."""
    return sorted(
        answers,
        key=lambda answer: (
            "error" not in answer,
            not answer.get("unlike"),
            float(answer.get("probability", 0.0)),
        ),
    )
