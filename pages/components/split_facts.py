"""How the pictures of an audited dataset are split: computed once per audit and choice, then taken from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import charts, splits, words
from core.errors import DataError
from pages.components import dataset as dataset_view
from pages.components.data_facts import Facts, key, table_of
from pages.components.dataset import SplitChoice


@dataclass(frozen=True)
class SplitFacts:
    """How the pictures are split.

    Args:
        counts: Pictures per class (index) and ``train``, ``val``, ``test`` and ``total``.
        totals: The sums of the columns.
        notes: What the split leaves out, and which classes it judges by too few pictures or none.
        refusal: Why no training is possible, or ``""``.
        given: The splits that are as the folder brings them.
    """

    counts: pd.DataFrame
    totals: dict[str, int]
    notes: tuple[words.Sentence, ...]
    refusal: str
    given: frozenset[str]


def split(facts: Facts, choice: SplitChoice) -> SplitFacts:
    """Return how the pictures are split."""
    return _split(*key(facts), choice, facts)


@st.cache_data(max_entries=32, show_spinner=False)
def _split(
    home: Path,
    dataset_id: str,
    version: str,
    choice: SplitChoice,
    _facts: Facts,
) -> SplitFacts:
    table, refusal = _split_table(_facts, choice)
    used = table[table["usable"]]
    counts = used.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=list(_facts.class_names), columns=list(splits.SPLITS), fill_value=0)
    counts["total"] = used["label"].value_counts().reindex(counts.index, fill_value=0)
    totals = {str(name): int(total) for name, total in counts.sum().items()}
    notes = [] if refusal else splits.notes(table, table["split"])
    return SplitFacts(
        counts, totals, tuple(notes), refusal, _facts.given if choice.keep_given else frozenset()
    )


def _split_table(facts: Facts, choice: SplitChoice) -> tuple[pd.DataFrame, str]:
    """Return the table with a column ``split``, all ``""`` where splitting is refused, and the reason."""
    assigned, refusal = _assigned(*key(facts), choice, facts)
    table = splits.without_given(table_of(facts.dataset), keep=choice.keep_given)
    return table.assign(split=assigned), refusal


@st.cache_data(max_entries=16, show_spinner=False)
def _assigned(
    home: Path,
    dataset_id: str,
    version: str,
    choice: SplitChoice,
    _facts: Facts,
) -> tuple[list[str], str]:
    table = table_of(_facts.dataset)
    try:
        return dataset_view.assigned(_facts.dataset, table, choice).tolist(), ""
    except DataError as error:
        return [""] * len(table), str(error)


def class_figure(facts: Facts, choice: SplitChoice, language: str) -> go.Figure:
    """Return the bars of pictures per class and split."""
    return _class_figure(*key(facts), choice, language, facts)


@st.cache_data(max_entries=8, show_spinner=False)
def _class_figure(
    home: Path,
    dataset_id: str,
    version: str,
    choice: SplitChoice,
    language: str,
    _facts: Facts,
) -> go.Figure:
    table, _ = _split_table(_facts, choice)
    return charts.class_counts(table[["label", "split"]], _facts.class_names, language)


def class_pictures(facts: Facts, label: str, choice: SplitChoice) -> pd.DataFrame:
    """Return the usable pictures of a class in the order of their paths, or of all (``""``) by turns.

    Returns:
        ``path``, ``sha256``, ``label``, ``split``, ``width``, ``height``, ``format`` and ``size`` (bytes).
    """
    return _class_pictures(*key(facts), label, choice, facts)


@st.cache_data(max_entries=32, show_spinner=False)
def _class_pictures(
    home: Path,
    dataset_id: str,
    version: str,
    label: str,
    choice: SplitChoice,
    _facts: Facts,
) -> pd.DataFrame:
    table, _ = _split_table(_facts, choice)
    chosen = table["usable"] & (table["label"] == label) if label else table["usable"]
    columns = ["path", "sha256", "label", "split", "width", "height", "format", "size"]
    pictures = table.loc[chosen, columns]
    if not label:
        turn = pictures.groupby("label").cumcount()
        pictures = (
            pictures.assign(turn=turn).sort_values(["turn", "label"], kind="stable").drop(columns="turn")
        )
    return pictures.reset_index(drop=True)
