"""Two or more runs on the same photos: scores, a test in words, what was fixed and broken, and what was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import charts, runs
from core.runs import Compared, Run
from pages.components import shell
from pages.components.choice import choice
from pages.components.csv_file import csv_button
from pages.components.evaluation_against import (
    difference_in_words,
    how_it_is_tested,
    lead_in_points,
    with_interval,
)
from pages.components.evaluation_scores import between, show_looks
from pages.components.figure import figure
from pages.components.runs_changes import show_changes
from pages.components.setting import setting_name, setting_value
from pages.components.text import code, language, t, told

SPLITS = ("val", "test")
MEASURES = ("accuracy", "macro_f1", "log_loss", "matthews")
MAX_RUNS = 6


@st.cache_data(max_entries=4, max_size="512MB", show_spinner=False)
def _compared(home: Path, run_ids: tuple[str, ...], split: str, _temperatures: tuple[float, ...]) -> Compared:
    return runs.compare(shell.workspace(), run_ids, split)


def comparison(chosen: Sequence[Run]) -> None:
    """Draw the comparison of the chosen runs, the oldest of which the others are held against."""
    st.header(t("compare.title"), anchor=False)
    done = sorted((run for run in chosen if run.state == "done"), key=lambda run: (run.created, run.id))
    older, done = done[:-MAX_RUNS], done[-MAX_RUNS:]
    if older:
        st.warning(t("compare.too_many", most=MAX_RUNS, names=_named(older)), icon=":material/filter_6:")
    if done and (others := [run for run in chosen if run.state != "done"]):
        st.caption(t("compare.not_done", names=_named(others)))
    if len(done) < 2:
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
            for run in done[1:]:
                runs.note_look(shell.workspace(), run.id)
            show_looks(done[0])
        names = shell.run_names(done)
        _scores(found, split, names)
        for run in done:
            for note in runs.review_notes(run, split):
                st.warning(f"{code(names[run.id])}: {told(note)}", icon=":material/balance:")
        show_changes(found, split)
        _curves(found, names)
        _facts(found, names)


def _named(found: Sequence[Run]) -> str:
    return ", ".join(code(name) for name in shell.run_names(found).values())


def _scores(found: Compared, split: str, names: Mapping[str, str]) -> None:
    if any(found.num_left_out):
        st.warning(_common(found, names), icon=":material/filter_alt:")
    else:
        st.caption(t("compare.same", n=found.num_images))
    head = " | ".join(t(f"measure.{name}.name") for name in MEASURES)
    lines = [
        f"| {t('runs.name')} | {head} | {t('compare.against')} |",
        "|:--|" + "--:|" * len(MEASURES) + ":--|",
    ]
    lines += [_line(found, number, names) for number in range(len(found.runs))]
    st.markdown("\n".join(lines))
    st.caption(how_it_is_tested())
    if _adjusted(found):
        st.caption(t("compare.holm", n=len(found.p_values)))
    csv_button(_for_csv(found, split, names), f"compared-{split}", key="compared_csv")


def _adjusted(found: Compared) -> bool:
    """Tell whether Holm's method changes anything: one comparison stands for itself."""
    return len(found.p_values) > 1


def _common(found: Compared, names: Mapping[str, str]) -> str:
    """Say on how many pictures the runs are compared, how many each loses by that, and which of them costs most."""
    lines = [
        t("compare.left_out", run=code(names[run.id]), n=left_out, total=f"{left_out + found.num_images:,}")
        for run, left_out in zip(found.runs, found.num_left_out, strict=True)
        if left_out
    ]
    if len(found.runs) > 2:
        images = [said.images for said in found.said]
        without = [len(runs.match(images[:at] + images[at + 1 :])[0]) for at in range(len(images))]
        most = max(without)
        if most > found.num_images:
            run = found.runs[without.index(most)]
            lines.append(t("compare.without", run=code(names[run.id]), n=most))
    return "\n".join([t("compare.common", n=found.num_images), "", *(f"- {line}" for line in lines)])


def _for_csv(found: Compared, split: str, names: Mapping[str, str]) -> pd.DataFrame:
    rows = []
    for number, run in enumerate(found.runs):
        row: dict[str, object] = {"run": run.id, "name": names[run.id], "split": split}
        row |= {"pictures": found.num_images}
        for name in MEASURES:
            value, low, high = found.scores[number].measures[name]
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        if number:
            lead = found.differences[number - 1]
            row |= {"lead": lead.value, "lead_low": lead.low, "lead_high": lead.high}
            row |= {"p_holm": found.p_values[number - 1]}
        rows.append(row)
    return pd.DataFrame(rows)


def _line(found: Compared, number: int, names: Mapping[str, str]) -> str:
    estimates = found.scores[number].measures
    cells = [
        with_interval(estimates[name])
        if name == "accuracy"
        else f"{estimates[name].value:.3f} ({between(estimates[name], '{:.3f}'.format)})"
        for name in MEASURES
    ]
    said = ""
    if number:
        lead = found.differences[number - 1]
        in_words = difference_in_words(lead, found.p_values[number - 1], adjusted=_adjusted(found))
        said = f"{lead_in_points(lead)}: {in_words}"
    return f"| {code(names[found.runs[number].id]).replace('|', ' ')} | {' | '.join(cells)} | {said} |"


def _curves(found: Compared, names: Mapping[str, str]) -> None:
    st.subheader(t("compare.curves"), anchor=False)
    epochs = [runs.epochs(shell.workspace(), run.id) for run in found.runs]
    grid = st.grid(2, min_column_width=400, gap="medium")
    for measure in charts.MEASURES:
        with grid.container():
            drawn = charts.curves_over(list(names.values()), epochs, measure, language())
            figure(drawn, key=f"compare_{measure}", alt=t(f"compare.curve_{measure}"))


def _facts(found: Compared, names: Mapping[str, str]) -> None:
    st.subheader(t("compare.facts"), anchor=False)
    table: pd.DataFrame = runs.differing_settings(found.runs)
    if table.empty:
        st.caption(t("compare.no_facts"))
        return
    columns = {f"run_{number}": names[run.id] for number, run in enumerate(found.runs)}
    shown = pd.DataFrame(
        {
            "fact": [_fact_name(name) for name in table["fact"]],
            **{column: list(map(setting_value, table["fact"], table[column])) for column in columns},
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={"fact": t("compare.fact"), **columns},
        key="compare_facts",
        alt=t("compare.facts"),
    )
    ids = {f"run_{number}": run.id for number, run in enumerate(found.runs)}
    csv_button(table.rename(columns=ids), "what-differs", key="facts_csv")


def _fact_name(name: str) -> str:
    return t(f"compare.of.{name}") if name in runs.DATA_FACTS else setting_name(name)
