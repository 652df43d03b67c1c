"""Runs in a list: those that filters let through, and what each reached for what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from core.runs.naming import Labels
from core.runs.record import Run


def filtered(
    everything: Sequence[Run],
    labels: Mapping[str, Labels],
    *,
    words: str = "",
    dataset_name: str | None = None,
    state: str | None = None,
    archived: bool = False,
) -> list[Run]:
    """Return the runs that all filters let through, in order.

    Args:
        everything: Runs.
        labels: What people say of each, by id.
        words: Each must stand somewhere in the name, tags, dataset, backbone or id, in any case.
        dataset_name: Only runs on it.
        state: Only runs in it.
        archived: Whether those that were put aside are among them.
    """

    def fits(run: Run) -> bool:
        said = labels.get(run.id, Labels())
        parts = (said.name, *said.tags, run.dataset_name, str(run.recipe.get("backbone", "")), run.id)
        text = " ".join(parts).casefold()
        return (
            all(word in text for word in words.casefold().split())
            and dataset_name in (None, run.dataset_name)
            and state in (None, run.state)
            and (archived or not said.archived)
        )

    return [run for run in everything if fits(run)]


def reached(found: Sequence[Run], names: Mapping[str, str], cost: str) -> pd.DataFrame:
    """Return what each finished run reached on validation and what it took, for :func:`core.charts.cost_scatter`.

    Args:
        found: Runs.
        names: What each is called, by id.
        cost: ``"training"``: seconds of the whole training; ``"latency"``: milliseconds per picture through the
            network while features were extracted, where that was measured.

    Returns:
        Columns ``name``, ``x`` (the cost), ``y``, ``low``, ``high`` (accuracy on validation) and ``kind``: the
        backbone, or the dataset where there are several, whose scores do not compare.
    """
    rows = []
    several = len({run.dataset_id for run in found}) > 1
    for run in found:
        amount = _cost(run, cost)
        if run.state == "done" and "val" in run.metrics and amount:
            low, high = run.metrics["val"]["accuracy_interval"]
            value = run.metrics["val"]["accuracy"]
            kind = run.dataset_name if several else str(run.recipe.get("backbone", ""))
            rows.append((names[run.id], amount, value, low, high, kind))
    return pd.DataFrame(rows, columns=["name", "x", "y", "low", "high", "kind"])


def _cost(run: Run, cost: str) -> float:
    if cost == "training":
        return float(sum(run.seconds.values()))
    speed = run.images_per_s.get("features", 0.0)
    return 1000 / speed if speed else 0.0
