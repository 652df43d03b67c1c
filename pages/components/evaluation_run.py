"""A finished run: its scores, its confusion matrix with the photos behind each cell, and its errors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core import datasets, runs
from core.datasets import Pictures
from core.errors import NotFound
from core.evaluation import Judgement
from core.runs import Predictions, Reference, Run
from pages.components import shell
from pages.components.choice import choice
from pages.components.class_scores import show_classes
from pages.components.errors_gallery import photo_gallery, put_into_url, show_chosen
from pages.components.evaluation_against import show_references
from pages.components.evaluation_errors import show_errors
from pages.components.evaluation_matrix import show_matrix
from pages.components.evaluation_review import show_review
from pages.components.evaluation_scores import show_reliability, show_scores
from pages.components.evaluation_slices import show_slices
from pages.components.photo_decisions import tell_if_outdated
from pages.components.text import code, t

SPLITS = ("test", "val", "train")


# As it is, not copied for every rerun: a copy of 20,000 rows of 120 probabilities takes longer than the page. Nothing
# that is drawn from it changes it.
@st.cache_resource(max_entries=4, show_spinner=False)
def judged(
    home: Path, run_id: str, split: str, temperature: float
) -> tuple[Predictions, Judgement, pd.DataFrame]:
    """Return what a run says about a split, how it was judged, and one row per image, worst first."""
    run = runs.get(shell.workspace(), run_id)
    said = runs.predictions(shell.workspace(), run_id, split)
    judgement = runs.judged(shell.workspace(), run, split)
    return said, judgement, runs.answers(run, said)


@st.cache_data(max_entries=16, show_spinner=False)
def _references(
    home: Path, run_id: str, split: str, temperature: float, others: tuple[str, ...]
) -> list[Reference]:
    """Return what a run is held against; ``others`` are the runs of its dataset, one of which may be the one before."""
    return runs.references(shell.workspace(), runs.get(shell.workspace(), run_id), split)


def show_evaluation(run: Run) -> None:
    """Draw everything about a finished run on the split that the visitor chooses."""
    split = choice(
        "split",
        t("evaluation.split"),
        [name for name in SPLITS if name in run.metrics],
        lambda name: t(
            "evaluation.split_option", split=t(f"split.{name}"), count=f"{run.num_images[name]:,}"
        ),
        help_text=t("evaluation.split_help"),
    )
    about = (shell.workspace().home, run.id, split, run.temperature)
    said, judgement, answers = judged(*about)
    pictures = pictures_of(run)
    if pictures is None:
        st.warning(_why_no_pictures(run), icon=":material/folder_off:")
    with shell.errors():
        tell_if_outdated(run)
    draw_measures = show_scores(run, judgement, split)
    if split != "train":
        with shell.errors():
            show_review(run, said, split)
    of_cell = show_matrix(run, judgement.scores, split, lambda cell: _cell(run, pictures, cell, answers))
    draw_classes = show_classes(judgement.scores, run.id, split)
    show_slices(run, said, split)
    of_list = show_errors(run, split, pictures, answers)
    with shell.errors():
        others = tuple(one.id for one in runs.list_runs(shell.workspace(), run.dataset_id))
        show_references(run, _references(*about, others), split)
    draw_classes()
    draw_measures()
    show_reliability(run, judgement, split)
    show_chosen(run, pictures, answers, said, [answers[:0] if of_cell is None else of_cell, of_list])


def _why_no_pictures(run: Run) -> str:
    try:
        moved_from = datasets.get(shell.workspace(), run.dataset_id).root
    except NotFound:
        return t("evaluation.dataset_removed")
    return t("evaluation.dataset_moved", path=code(moved_from))


def pictures_of(run: Run) -> Pictures | None:
    """Return where the pictures of a run's dataset are, or None where its folder is gone."""
    try:
        pictures = datasets.get(shell.workspace(), run.dataset_id).pictures
    except NotFound:
        return None
    return pictures if pictures.is_dir() else None


def _cell(run: Run, pictures: Pictures | None, cell: tuple[int, int], answers: pd.DataFrame) -> pd.DataFrame:
    true, predicted = cell
    shown = answers[(answers["true_index"] == true) & (answers["predicted_index"] == predicted)]
    names = {"true": code(run.class_names[true]), "predicted": code(run.class_names[predicted])}
    st.markdown(
        t("evaluation.cell_right" if true == predicted else "evaluation.cell_wrong", n=len(shown), **names)
    )
    if len(shown):
        put_into_url(photo_gallery(pictures, shown, "cell_photos", t("evaluation.cell_photos"), "cell_page"))
    return shown
