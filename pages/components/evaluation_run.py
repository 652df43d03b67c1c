"""A finished run's scores, its confusion matrix with the photos behind each cell, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import datasets, evaluation, runs
from core.errors import NotFound
from core.evaluation import Estimate, Evaluation
from core.runs import Predictions, Run
from core.words import quoted, sentence
from pages.components import address, shell, split_name
from pages.components.class_scores import show_classes
from pages.components.errors_gallery import photo_gallery
from pages.components.matrix import choose, choose_none, confusion_matrix
from pages.components.text import code, percent, t, told

SPLITS = ("test", "val", "train")
CELL = "cell"
"""Name in the URL of the chosen cell, as ``<true index>-<predicted index>``."""
MAX_PAIRS = 10
"""Most confused pairs listed beside the matrix."""
MIN_COLUMN_WIDTH = 190
"""Pixels; where less is left, the most confused pairs stand below the matrix."""


@st.cache_data(max_entries=8, max_size="512MB", show_spinner=False)
def judged(
    home: Path, run_id: str, split: str, temperature: float
) -> tuple[Predictions, Evaluation, pd.DataFrame]:
    """Return what a run says about a split, its scores, and one row per image, worst first."""
    run = runs.get(shell.workspace(), run_id)
    said = runs.predictions(shell.workspace(), run_id, split)
    return said, evaluation.evaluate(said.y_true, said.y_prob, run.class_names), runs.answers(run, said)


def show_evaluation(run: Run) -> None:
    """Draw everything about a finished run on the split that the visitor chooses."""
    split = _choice(
        "split",
        t("evaluation.split"),
        [name for name in SPLITS if name in run.metrics],
        lambda name: t(
            "evaluation.split_option", split=t(f"split.{name}"), count=f"{run.num_images[name]:,}"
        ),
        help_text=t("evaluation.split_help"),
    )
    said, scores, answers = judged(shell.workspace().home, run.id, split, run.temperature)
    root = _root(run)
    if root is None:
        st.warning(_why_no_pictures(run), icon=":material/folder_off:")
    _scores(run, scores, split)
    _matrix(run, root, scores, answers, said, split)
    show_classes(scores.per_class, run.id)
    _errors(run, root, answers, said)


def _why_no_pictures(run: Run) -> str:
    try:
        moved_from = datasets.get(shell.workspace(), run.dataset_id).root
    except NotFound:
        return t("evaluation.dataset_removed")
    return t("evaluation.dataset_moved", path=code(moved_from))


def _root(run: Run) -> Path | None:
    try:
        root = datasets.get(shell.workspace(), run.dataset_id).root
    except NotFound:
        return None
    return root if root.is_dir() else None


def _scores(run: Run, scores: Evaluation, split: str) -> None:
    right = sum(int(scores.confusion_matrix[index, index]) for index in range(len(scores.class_names)))
    st.markdown(t(f"evaluation.verdict_{split}", right=f"{right:,}", total=f"{scores.num_images:,}"))
    with st.container(horizontal=True, gap="medium"):
        _metric(t("evaluation.accuracy"), scores.accuracy, percent, t("term.accuracy"))
        _metric(t("evaluation.macro_f1"), scores.macro_f1, "{:.3f}".format, t("term.macro_f1"))
        st.metric(t("evaluation.errors"), f"{scores.num_images - right:,}", width="content")
    st.caption(t("evaluation.interval"))
    split_name.of_run(run)
    if left_out := [row.name for row in scores.per_class if not row.support]:
        st.caption(told(sentence("evaluation.left_out", n=len(left_out), names=quoted(left_out))))
    if split != "test":
        st.info(t(f"evaluation.not_test_{split}"), icon=":material/info:")


def _metric(label: str, estimate: Estimate, write: Callable[[float], str], help_text: str) -> None:
    interval = t("evaluation.between", low=write(estimate.low), high=write(estimate.high))
    st.metric(
        label,
        write(estimate.value),
        delta=interval,
        delta_color="off",
        delta_arrow="off",
        width="content",
        help=help_text,
    )


def _matrix(
    run: Run, root: Path | None, scores: Evaluation, answers: pd.DataFrame, said: Predictions, split: str
) -> None:
    st.header(t("evaluation.matrix"), anchor=False)
    confused = evaluation.most_confused(scores.confusion_matrix, run.class_names)
    st.markdown(_confusion_verdict(confused))
    key = f"matrix_{run.id}_{split}"
    _restore_cell(key, len(run.class_names))
    shows = _choice(
        "matrix_shows",
        t("evaluation.matrix_shows"),
        ("counts", "share"),
        lambda name: t(f"evaluation.matrix_{name}"),
    )
    grid = st.grid(4, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.cell(column_span=3 if confused else 4):
        cell = confusion_matrix(
            scores.confusion_matrix,
            run.class_names,
            key,
            shows == "share",
            corner=t("evaluation.matrix_corner"),
            alt=t("evaluation.matrix_alt"),
        )
        st.caption(t("evaluation.matrix_hint"))
        _keep_cell(cell)
        if cell is not None:
            _cell(run, root, cell, answers, said)
    if confused:
        with grid.container(gap=None, key="pairs"):
            _pairs(confused[:MAX_PAIRS], run.class_names, key)


def _pairs(confused: Sequence[evaluation.Confusion], class_names: Sequence[str], key: str) -> None:
    """Draw a button for each pair, which chooses its cell of the matrix ``key``."""
    st.markdown(t("evaluation.pairs"))
    for number, pair in enumerate(confused):
        st.button(
            t("evaluation.pair", true=code(pair.true), predicted=code(pair.predicted), n=pair.num_images),
            key=f"pair_{number}",
            type="tertiary",
            width="stretch",
            on_click=choose,
            args=(key, class_names.index(pair.true), class_names.index(pair.predicted)),
        )


def _confusion_verdict(confused: list[evaluation.Confusion]) -> str:
    if not confused:
        return t("evaluation.no_confusion")
    worst = confused[0]
    ties = sum(pair.num_images == worst.num_images for pair in confused)
    if ties > 1:
        return t("evaluation.confused_alike", count=ties, n=worst.num_images)
    return t(
        "evaluation.most_confused",
        true=code(worst.true),
        predicted=code(worst.predicted),
        n=worst.num_images,
        share=percent(worst.share, 0),
    )


def _restore_cell(key: str, num_classes: int) -> None:
    """Choose the cell that the URL names, unless this page wrote it there: then the matrix knows it already."""
    named = st.query_params.get(CELL, "")
    wanted = named.split("-")
    followed = key in st.session_state and named == st.session_state.get(f"_written_{CELL}", "")
    if not followed and not named:
        choose_none(key)
    elif not followed and len(wanted) == 2 and all(part.isdecimal() for part in wanted):
        true, predicted = map(int, wanted)
        if max(true, predicted) < num_classes:
            choose(key, true, predicted)


def _keep_cell(cell: tuple[int, int] | None) -> None:
    named = "" if cell is None else f"{cell[0]}-{cell[1]}"
    st.session_state[f"_written_{CELL}"] = named
    address.write({CELL: named})


def _choice(
    name: str, label: str, options: Sequence[str], shown: Callable[[str], str], help_text: str | None = None
) -> str:
    """Offer a choice that stands in the URL under its plain name; the first option need not be written there."""
    in_url = st.query_params.get(name, options[0])
    if name not in st.session_state or in_url != st.session_state.get(f"_written_{name}", options[0]):
        st.session_state[name] = in_url if in_url in options else options[0]
    picked = st.segmented_control(label, options, required=True, format_func=shown, key=name, help=help_text)
    chosen = picked or options[0]
    st.session_state[f"_written_{name}"] = chosen
    address.write({name: chosen if chosen != options[0] else None})
    return chosen


def _cell(
    run: Run, root: Path | None, cell: tuple[int, int], answers: pd.DataFrame, said: Predictions
) -> None:
    true, predicted = cell
    shown = answers[(answers["true_index"] == true) & (answers["predicted_index"] == predicted)]
    names = {"true": code(run.class_names[true]), "predicted": code(run.class_names[predicted])}
    st.markdown(
        t("evaluation.cell_right" if true == predicted else "evaluation.cell_wrong", n=len(shown), **names)
    )
    if len(shown):
        photo_gallery(run, root, shown, said, key="cell_photos", label=t("evaluation.cell_photos"))


def _errors(run: Run, root: Path | None, answers: pd.DataFrame, said: Predictions) -> None:
    st.header(t("evaluation.worst"), anchor=False)
    wrong = answers[answers["wrong"]]
    if wrong.empty:
        st.success(t("evaluation.no_errors"), icon=":material/check_circle:")
        return
    st.markdown(t("evaluation.worst_text", n=len(wrong)))
    chosen = st.selectbox(
        t("evaluation.only_class"),
        sorted(wrong["true"].unique()),
        index=None,
        placeholder=t("evaluation.all_classes"),
        key="errors_of",
        width=320,
    )
    if chosen:
        wrong = wrong[wrong["true"] == chosen]
    photo_gallery(run, root, wrong, said, key="error_photos", label=t("evaluation.worst"))
