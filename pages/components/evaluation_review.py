"""The scores before and after labels were reviewed, beside each other, and why the second flatters."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core import datasets, runs
from core.errors import NotFound
from core.evaluation import Headline
from core.runs import Predictions, Reviewed, Run
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.csv_file import csv_button
from pages.components.evaluation_scores import between
from pages.components.text import percent, t


def show_review(run: Run, said: Predictions, split: str) -> None:
    """Draw what a review of the split's labels does to the scores; nothing where no label was changed."""
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return
    files, version = dataset_view.files(dataset), dataset_view.version(dataset)
    if files is None or version is None:
        return
    found = _reviewed(shell.workspace().home, run.id, split, version, run, said, files)
    if found is None:
        return
    st.header(t("review.title"), anchor=False)
    st.markdown(
        f"{t('review.changed', n=found.num_changed, relabelled=found.num_relabelled, excluded=found.num_excluded)} "
        f"{t('review.favour', n=found.in_favour, against=found.against)}"
    )
    scores = f"{t('evaluation.accuracy')} | {t('evaluation.macro_f1')}"
    lines = [
        f"| {t('review.labels')} | {scores} | {t('evaluation.support')} |",
        "|:--|--:|--:|--:|",
        *(_line(kind, one) for kind, one in _both(found)),
    ]
    st.markdown("\n".join(lines))
    st.info(t("review.flatters", n=found.num_were_wrong, total=found.num_changed), icon=":material/balance:")
    if run.curation_fingerprint:
        st.caption(t("review.before_training"))
    csv_button(_table(found), f"review-{run.id}-{split}", key="review_csv")


@st.cache_data(max_entries=16, show_spinner=False)
def _reviewed(
    home: Path,
    run_id: str,
    split: str,
    version: str,
    _run: Run,
    _said: Predictions,
    _files: pd.DataFrame,
) -> Reviewed | None:
    return runs.reviewed(_run, _said, _files)


def _both(found: Reviewed) -> list[tuple[str, Headline]]:
    rows = [("original", found.original)]
    return rows if found.after is None else [*rows, ("after", found.after)]


def _line(kind: str, scores: Headline) -> str:
    accuracy, macro_f1 = scores.accuracy, scores.macro_f1
    return (
        f"| {t(f'review.{kind}')} | {percent(accuracy.value)} ({between(accuracy, percent)}) "
        f"| {macro_f1.value:.3f} ({between(macro_f1, '{:.3f}'.format)}) | {scores.num_images:,} |"
    )


def _table(found: Reviewed) -> pd.DataFrame:
    columns = ["labels", "pictures"]
    columns += [f"{name}{end}" for name in ("accuracy", "macro_f1") for end in ("", "_low", "_high")]
    rows = [(kind, one.num_images, *one.accuracy, *one.macro_f1) for kind, one in _both(found)]
    return pd.DataFrame(rows, columns=columns)
