"""What the checks flagged and what was decided about it: computed once per audit and decision, then from the cache."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import streamlit as st

from core import audit, curation
from core.audit import Thresholds
from core.datasets import Dataset
from pages.components import shell
from pages.components.csv_file import as_csv
from pages.components.data_facts import Facts, key, table_of


def flagged_files(facts: Facts, name: str) -> pd.DataFrame:
    """Return the files that a check flagged, as :func:`core.audit.flagged` does."""
    return _flagged_files(*key(facts), facts.thresholds, name, facts)


@st.cache_data(max_entries=16, show_spinner=False)
def _flagged_files(
    home: Path, dataset_id: str, version: str, thresholds: Thresholds, name: str, _facts: Facts
) -> pd.DataFrame:
    return audit.flagged(table_of(_facts.dataset), name, thresholds)


def spare_files(facts: Facts, name: str) -> list[str]:
    """Return the paths of files that their group of duplicates does not need; none where the check has no groups."""
    return audit.spare(flagged_files(facts, name)) if name in audit.TOGETHER else []


def shortcut_table(facts: Facts) -> pd.DataFrame:
    """Return how well each property alone tells the class: ``name``, ``accuracy``, ``majority`` (0…1), ``found``."""
    found = _shortcuts(*key(facts), facts.dataset)
    columns = ("name", "accuracy", "majority")
    table = pd.DataFrame({name: [getattr(shortcut, name) for shortcut in found] for name in columns})
    return table.assign(found=[shortcut.found(facts.thresholds.shortcut) for shortcut in found])


@st.cache_data(max_entries=8, show_spinner=False)
def _shortcuts(home: Path, dataset_id: str, version: str, _dataset: Dataset) -> list[audit.Shortcut]:
    return audit.shortcuts(table_of(_dataset))


def standing_decisions(facts: Facts) -> pd.DataFrame:
    """Return what was decided and whether it holds, as :func:`core.curation.standing` does."""
    return _standing(*key(facts), facts)


@st.cache_data(max_entries=8, show_spinner=False)
def _standing(home: Path, dataset_id: str, version: str, _facts: Facts) -> pd.DataFrame:
    decisions = curation.load(shell.workspace(), dataset_id).decisions
    return curation.standing(table_of(_facts.dataset), decisions, _facts.class_names)


def manifest_csv(facts: Facts) -> bytes:
    """Return the manifest as CSV, UTF-8."""
    return as_csv(_manifest(facts))


def manifest_parquet(facts: Facts) -> bytes:
    """Return the manifest as Parquet."""
    buffer = io.BytesIO()
    _manifest(facts).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _manifest(facts: Facts) -> pd.DataFrame:
    return audit.manifest(table_of(facts.dataset), facts.thresholds)
