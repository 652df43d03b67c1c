"""A run's scores on a split with their intervals, and how honest its probabilities are."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import streamlit as st

from core import charts, runs
from core.evaluation import Estimate, Evaluation, Judgement
from core.runs import Run
from core.words import quoted, sentence
from pages.components import shell, split_name
from pages.components.csv_file import csv_button
from pages.components.figure import figure
from pages.components.text import language, percent, t, told


def show_scores(run: Run, judgement: Judgement, split: str) -> Callable[[], None]:
    """Draw the verdict, the scores that matter most, a fold for all others, and what bears on them.

    Returns:
        What draws the others into the fold. It is to be called once the page's photos are drawn: browsers take long for
        the first table, also out of sight.
    """
    scores = judgement.scores
    right = round(scores.accuracy.value * scores.num_images)
    st.markdown(t(f"evaluation.verdict_{split}", right=f"{right:,}", total=f"{scores.num_images:,}"))
    with st.container(horizontal=True, gap="medium"):
        metric(after_review("evaluation.accuracy", run, split), scores.accuracy, percent, t("term.accuracy"))
        _by_original("accuracy", run, split, percent)
        metric(
            after_review("evaluation.macro_f1", run, split),
            scores.macro_f1,
            "{:.3f}".format,
            t("term.macro_f1"),
        )
        _by_original("macro_f1", run, split, "{:.3f}".format)
        st.metric(t("evaluation.errors"), f"{scores.num_images - right:,}", width="content")
    st.caption(t("evaluation.interval"))
    for note in runs.review_notes(run, split):
        st.warning(told(note), icon=":material/balance:")
    split_name.of_run(run)
    if left_out := [row.name for row in scores.per_class if not row.support]:
        st.caption(told(sentence("evaluation.left_out", n=len(left_out), names=quoted(left_out))))
    if split == "test":
        show_looks(run)
    else:
        st.info(t(f"evaluation.not_test_{split}"), icon=":material/info:")
    fold = st.expander(t("measures.title"), icon=":material/table_rows:")

    def draw() -> None:
        with fold:
            _measures(scores, run, split)

    return draw


def metric(
    label: str, estimate: Estimate, write: Callable[[float], str], help_text: str | None = None
) -> None:
    """Draw a score with its interval below it, where it has one."""
    st.metric(
        label,
        write(estimate.value),
        delta=None if math.isnan(estimate.low) else between(estimate, write),
        delta_color="off",
        delta_arrow="off",
        width="content",
        help=help_text,
    )


def between(estimate: Estimate, write: Callable[[float], str]) -> str:
    """Return the interval of an estimate in words."""
    return t("evaluation.between", low=write(estimate.low), high=write(estimate.high))


def after_review(key: str, run: Run, split: str) -> str:
    """Return the name of a measure, marked where it is by labels that were changed before the training."""
    original = run.metrics[split].get("original", {})
    return t("review.after_review", measure=t(key)) if original.get("num_relabelled") else t(key)


def _by_original(measure: str, run: Run, split: str, write: Callable[[float], str]) -> None:
    """Draw the same by the labels of the folder, where some were changed before the training."""
    original = run.metrics[split].get("original", {})
    if measure in original:
        found = runs.estimate(original, measure)
        label = t("review.by_original", measure=t(f"evaluation.{measure}"))
        metric(label, found, write, t("review.original_help"))


def show_looks(run: Run) -> None:
    """Count this look at a run's scores on test, and say how many there were at its test pictures."""
    runs.note_look(shell.workspace(), run.id)
    times, others = runs.num_looks(shell.workspace(), run)
    st.caption(t("evaluation.looks", n=times, runs=others), help=t("evaluation.looks_help"))


def _measures(scores: Evaluation, run: Run, split: str) -> None:
    st.caption(t("measures.text"))
    if scores.num_groups < scores.num_images:
        st.caption(t("measures.groups", n=scores.num_groups, images=f"{scores.num_images:,}"))
    st.dataframe(
        pd.DataFrame([_row(name, estimate) for name, estimate in scores.measures.items()]),
        hide_index=True,
        column_config={
            "measure": st.column_config.TextColumn(t("measures.measure"), width=190),
            "value": st.column_config.TextColumn(t("measures.value"), width=84, alignment="right"),
            "interval": st.column_config.TextColumn(t("measures.interval"), width=160, alignment="right"),
            "means": st.column_config.TextColumn(t("measures.means")),
        },
        placeholder=t("evaluation.no_score"),
        key=f"measures_{run.id}_{split}",
        alt=t("measures.title"),
    )
    rows = [(name, *estimate) for name, estimate in scores.measures.items()]
    csv_button(
        pd.DataFrame(rows, columns=["measure", "value", "low", "high"]),
        f"measures-{run.id}-{split}",
        key="measures_csv",
    )


def _row(name: str, estimate: Estimate) -> dict[str, str | None]:
    defined = not math.isnan(estimate.value)
    return {
        "measure": t(f"measure.{name}.name"),
        "value": f"{estimate.value:.3f}" if defined else None,
        "interval": between(estimate, "{:.3f}".format) if defined else None,
        "means": t(f"measure.{name}.means"),
    }


def show_reliability(run: Run, judgement: Judgement, split: str) -> None:
    """Draw whether the probabilities mean what they say, before and after calibration."""
    st.header(t("reliability.title"), anchor=False)
    before, after = judgement.before.error, judgement.after.error
    st.markdown(calibration_in_words(before, after, run.temperature))
    st.caption(t("reliability.text", before=between(before, percent), after=between(after, percent)))
    figure(
        charts.reliability_diagram(judgement.before, judgement.after, language()),
        key=f"reliability_{run.id}_{split}",
        alt=t("reliability.alt"),
    )
    rows = [
        (name, part.low, part.high, part.num_images, part.confidence, *part.accuracy)
        for name, found in (("before", judgement.before), ("after", judgement.after))
        for part in found.bins
    ]
    columns = ["probabilities", "from", "to", "images", "confidence", "accuracy", "low", "high"]
    csv_button(pd.DataFrame(rows, columns=columns), f"reliability-{run.id}-{split}", key="reliability_csv")


def calibration_in_words(before: Estimate, after: Estimate, temperature: float) -> str:
    """Say whether the temperature made the probabilities more honest, as far as that can be told.

    Args:
        before: The expected calibration error without it.
        after: The same with it.
        temperature: By which the probabilities are calibrated.
    """
    numbers = {"before": percent(before.value), "after": percent(after.value), "t": f"{temperature:.2f}"}
    if numbers["before"] == numbers["after"]:
        return t("reliability.same", **numbers)
    said = t("reliability.better" if after.value < before.value else "reliability.worse", **numbers)
    overlap = before.low <= after.high and after.low <= before.high
    return f"{said} {t('reliability.overlap')}" if overlap else said
