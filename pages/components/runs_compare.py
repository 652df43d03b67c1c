"""Two or more runs on the same photos: scores, a test in words, what was fixed and broken, and what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import charts, runs
from core.conclusions import points
from core.runs import Compared, Run
from pages.components import address, shell
from pages.components.choice import choice
from pages.components.csv_file import csv_button
from pages.components.evaluation_scores import between, difference_in_words
from pages.components.figure import figure
from pages.components.runs_changes import PHOTO, show_changes
from pages.components.runs_list import name_of, title_of
from pages.components.setting import setting_name, setting_value
from pages.components.text import language, percent, t

SPLITS = ("val", "test")
MEASURES = ("accuracy", "macro_f1", "log_loss", "matthews")
MAX_RUNS = 6


@st.cache_data(max_entries=4, max_size="512MB", show_spinner=False)
def _compared(home: Path, run_ids: tuple[str, ...], split: str, _temperatures: tuple[float, ...]) -> Compared:
    return runs.compare(shell.workspace(), run_ids, split)


def comparison(chosen: Sequence[Run]) -> None:
    """Draw the comparison of the chosen runs, the oldest of which the others are held against."""
    st.header(t("compare.title"), anchor=False)
    done = sorted((run for run in chosen if run.state == "done"), key=lambda run: (run.created, run.id))[
        :MAX_RUNS
    ]
    if len(done) < 2:
        address.write({PHOTO: None})  # it would open by itself once runs are chosen
        st.caption(t("compare.choose"))
        return
    split = choice("compare_split", t("evaluation.split"), SPLITS, lambda name: t(f"split.{name}"))
    with shell.errors():
        found = _compared(
            shell.workspace().home,
            tuple(run.id for run in done),
            split,
            tuple(run.temperature for run in done),
        )
        if split == "test":
            st.caption(t("compare.test"))
        _scores(found)
        show_changes(found, split)
        _curves(found)
        _facts(found)


def _scores(found: Compared) -> None:
    if any(found.num_left_out):
        st.warning(t("compare.common", n=found.num_images), icon=":material/filter_alt:")
    else:
        st.caption(t("compare.same", n=found.num_images))
    head = " | ".join(t(f"measure.{name}.name") for name in MEASURES)
    lines = [
        f"| {t('runs.name')} | {head} | {t('compare.against')} |",
        "|:--|" + "--:|" * len(MEASURES) + ":--|",
    ]
    lines += [_line(found, number) for number in range(len(found.runs))]
    st.markdown("\n".join(lines))
    csv_button(_for_csv(found), "compared", key="compared_csv")


def _for_csv(found: Compared) -> pd.DataFrame:
    rows = []
    for number, run in enumerate(found.runs):
        row: dict[str, object] = {"run": run.id, "name": title_of(run), "pictures": found.num_images}
        for name in MEASURES:
            value, low, high = found.scores[number].measures[name]
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        if number:
            lead = found.differences[number - 1]
            row |= {"lead": lead.value, "lead_low": lead.low, "lead_high": lead.high}
            row |= {"p_holm": found.p_values[number - 1]}
        rows.append(row)
    return pd.DataFrame(rows)


def _line(found: Compared, number: int) -> str:
    estimates = found.scores[number].measures
    cells = [
        f"{percent(estimates[name].value)} ({between(estimates[name], percent)})"
        if name == "accuracy"
        else f"{estimates[name].value:.3f} ({between(estimates[name], '{:.3f}'.format)})"
        for name in MEASURES
    ]
    said = ""
    if number:
        lead = found.differences[number - 1]
        numbers = {"value": points(lead.value), "low": points(lead.low), "high": points(lead.high)}
        said = (
            f"{t('against.points', **numbers)}: {difference_in_words(lead.value, found.p_values[number - 1])}"
        )
    return f"| {name_of(found.runs[number]).replace('|', ' ')} | {' | '.join(cells)} | {said} |"


def _curves(found: Compared) -> None:
    st.subheader(t("compare.curves"), anchor=False)
    names = [shell.run_name(run) for run in found.runs]
    epochs = [runs.epochs(shell.workspace(), run.id) for run in found.runs]
    grid = st.grid(2, min_column_width=400, gap="medium")
    for measure in charts.MEASURES:
        with grid.container():
            drawn = charts.curves_over(names, epochs, measure, language())
            figure(drawn, key=f"compare_{measure}", alt=t(f"compare.curve_{measure}"))


def _facts(found: Compared) -> None:
    st.subheader(t("compare.facts"), anchor=False)
    table: pd.DataFrame = runs.differing_settings(found.runs)
    if table.empty:
        st.caption(t("compare.no_facts"))
        return
    names = {f"run_{number}": shell.run_name(run) for number, run in enumerate(found.runs)}
    shown = pd.DataFrame(
        {
            "fact": [_fact_name(name) for name in table["fact"]],
            **{column: list(map(setting_value, table["fact"], table[column])) for column in names},
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={"fact": t("compare.fact"), **names},
        key="compare_facts",
        alt=t("compare.facts"),
    )
    ids = {f"run_{number}": run.id for number, run in enumerate(found.runs)}
    csv_button(table.rename(columns=ids), "what-differs", key="facts_csv")


def _fact_name(name: str) -> str:
    return t(f"compare.of.{name}") if name in runs.DATA_FACTS else setting_name(name)
