"""What a run's accuracy is held against, beside each other, and what can be said of the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import conclusions, runs
from core.evaluation import NEGLIGIBLE, Difference, Estimate, verdict, wilson_interval
from core.runs import Reference, Run
from pages.components import shell
from pages.components.csv_file import csv_button
from pages.components.evaluation_scores import between
from pages.components.text import code, percent, t

CONTROLS = ("pretrained", "random", "pixels")


def show_references(run: Run, references: Sequence[Reference], split: str) -> None:
    """Draw what a run's accuracy on a split is held against, each in words and on the same pictures."""
    st.header(t("reference.title"), anchor=False)
    columns = [t("against.model"), t("reference.accuracy", split=t(f"split.{split}"))]
    columns += [t(f"reference.{name}") for name in ("own", "lead", "said")]
    lines = [f"| {' | '.join(columns)} |", "|:--|--:|--:|--:|:--|", *map(_line, references)]
    st.markdown("\n".join(lines))
    st.caption(how_it_is_tested())
    if run.controls:
        known = {
            name: with_interval(recorded_share(run.controls, name, run.controls["num_val"]))
            for name in CONTROLS
        }
        st.caption(t("reference.controls", n=run.controls["num_val"], **known))
    csv_button(against_as_table(run, references, split), f"against-{run.id}-{split}", key="against_csv")


def _line(reference: Reference) -> str:
    name = code(reference.name)
    if reference.kind == "before":
        name = code(shell.run_name(runs.get(shell.workspace(), reference.name)))
    cells = [
        t(f"reference.{reference.kind}", name=name.replace("|", " "), n=reference.num_images),
        with_interval(reference.accuracy),
        with_interval(reference.own),
        lead_in_points(reference.lead),
        difference_in_words(reference.lead, reference.p_value),
    ]
    return f"| {' | '.join(cells)} |"


def with_interval(share: Estimate) -> str:
    """Return a share and its interval in percent."""
    return f"{percent(share.value)} ({between(share, percent)})"


def lead_in_points(lead: Difference) -> str:
    """Return a difference of accuracies and its interval in percentage points."""
    return t(
        "against.points",
        value=conclusions.points(lead.value),
        low=conclusions.points(lead.low),
        high=conclusions.points(lead.high),
    )


def difference_in_words(lead: Difference, p_value: float, *, adjusted: bool = False) -> str:
    """Say what the test and the interval together say of a lead; ``adjusted`` where the p-value is, for several."""
    p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    most = f"{100 * max(-lead.low, lead.high):.1f}"
    return t(
        f"reference.{verdict(lead, p_value)}",
        p=t("reference.after_holm", p=p) if adjusted else p,
        most=most,
    )


def how_it_is_tested() -> str:
    """Explain the test and when which words are used."""
    return t("reference.test", most=f"{100 * NEGLIGIBLE:.0f}")


def against_as_table(run: Run, references: Sequence[Reference], split: str) -> pd.DataFrame:
    """Return the same as a table, the controls with their own pictures of validation below."""
    rows: list[dict[str, object]] = []
    for one in references:
        rows.append(
            {
                "against": one.kind,
                "name": one.name,
                "split": split,
                "pictures": one.num_images,
                **_spread("accuracy", one.accuracy),
                **_spread("this_model", one.own),
                "lead_of": run.id,
                **_spread("lead", one.lead),
                "p": one.p_value,
            }
        )
    return pd.DataFrame([*rows, *_control_rows(run.controls)])


def _control_rows(controls: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    for name in CONTROLS if controls else ():
        row = {"against": f"control_{name}", "split": "val", "pictures": controls["num_val"]}
        row |= _spread("accuracy", recorded_share(controls, name, controls["num_val"]))
        if name != CONTROLS[0]:
            row |= {"lead_of": f"control_{CONTROLS[0]}"}
            row |= _spread("lead", Difference(**controls[f"over_{name}"]))
        yield row


def recorded_share(record: Mapping[str, Any], name: str, num_images: int) -> Estimate:
    """Return an accuracy that a run's record holds, with its interval.

    That of an older Graft has none, nor says which pictures hang together; then it is Wilson's.
    """
    found = runs.estimate(record, name)
    if not math.isnan(found.low) or not num_images:
        return found
    return wilson_interval(found.value * num_images, num_images)


def _spread(name: str, found: Estimate | Difference) -> dict[str, object]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
