"""What every page wants to know of a dataset: its table, its split, and what to do where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from core import audit, curation, datasets, queue, ranking, recipes, runs, splits
from core.datasets import Dataset
from core.errors import DataError, WorkspaceError
from core.runs import ACTIVE_STATES, SPLITS
from core.workspace import read_json, write_json
from pages.components import shell
from pages.components.text import t

DEFAULT_SAMPLE = "digits"

Fractions = tuple[float, float, float]
"""Shares of train, val and test."""


@dataclass(frozen=True)
class SplitSummary:
    """How a dataset is split.

    Args:
        fractions: Shares of train, val and test that were asked for.
        seed: Seed of the split.
        keep_given: Whether a split that the folder brings is kept.
        num_images: Images per split.
        num_classes: Classes with training images.
    """

    fractions: Fractions
    seed: int
    keep_given: bool
    num_images: Mapping[str, int]
    num_classes: int

    @property
    def chosen(self) -> dict[str, Any]:
        """The fields of a recipe that are chosen with the split."""
        return {"fractions": self.fractions, "seed": self.seed, "keep_given": self.keep_given}


class SplitChoice(NamedTuple):
    """The shares of train, val and test, the seed, and whether a split that the folder brings is kept."""

    fractions: Fractions
    seed: int
    keep_given: bool = True


def files(dataset: Dataset) -> pd.DataFrame | None:
    """Return the audited table of a dataset's files as the decisions make it, or None where it was not audited."""
    found = version(dataset)
    return None if found is None else _files(shell.workspace().home, dataset.id, found)


def version(dataset: Dataset) -> str | None:
    """Return what changes with the audited table and with what was decided; None where it was not audited."""
    folder = shell.workspace().datasets_dir / dataset.id
    try:
        written = (folder / "files.parquet").stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return f"{written}/{curation.version(shell.workspace(), dataset.id)}"


def flags(dataset: Dataset) -> dict[str, frozenset[str]]:
    """Return the paths that each check of a dataset's audit flags, for checks that flag any; {} without an audit."""
    table = files(dataset)
    if table is None:
        return {}
    thresholds = audit.load_thresholds(shell.workspace(), dataset.id)
    return _flags(shell.workspace().home, dataset.id, version(dataset) or "", thresholds, table)


@st.cache_data(max_entries=8, show_spinner=False)
def _flags(
    home: Path, dataset_id: str, version: str, thresholds: audit.Thresholds, _table: pd.DataFrame
) -> dict[str, frozenset[str]]:
    return audit.flagged_paths(_table, thresholds)


def assigned(dataset: Dataset, table: pd.DataFrame, choice: SplitChoice) -> pd.Series[str]:
    """Return :func:`core.splits.assign` of a dataset's table; what no decision changes is computed once per audit.

    Raises:
        DataError: It cannot be split.
    """
    written = (version(dataset) or "").split("/")[0]
    asked = splits.without_given(table, keep=choice.keep_given)
    taken = _sides(shell.workspace().home, dataset.id, written, choice, asked)
    return splits.assign(asked, choice.fractions, choice.seed, taken)


@st.cache_data(max_entries=16, show_spinner=False)
def _sides(home: Path, dataset_id: str, written: str, choice: SplitChoice, _table: pd.DataFrame) -> list[str]:
    return splits.sides(_table, choice.fractions, choice.seed)


# Shared and not copied each time: whoever takes it must leave it as it is.
@st.cache_resource(max_entries=4, show_spinner=False)
def _files(home: Path, dataset_id: str, version: str) -> pd.DataFrame | None:
    return audit.load_decided(
        shell.workspace(), dataset_id, _audited(home, dataset_id, version.split("/")[0])
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _audited(home: Path, dataset_id: str, written: str) -> pd.DataFrame | None:
    return audit.load_table(shell.workspace(), dataset_id)


def split_choice(dataset: Dataset) -> SplitChoice:
    """Return what was chosen for a dataset on the Data page."""
    recipe = recipes.Recipe()
    default = SplitChoice(recipe.fractions, recipe.seed, recipe.keep_given)
    path = _split_path(dataset)
    if not path.exists():
        return default
    try:
        kept = read_json(path)
        train, val, test = kept["fractions"]
        return SplitChoice(
            (float(train), float(val), float(test)), int(kept["seed"]), bool(kept.get("keep_given", True))
        )
    except (WorkspaceError, KeyError, TypeError, ValueError):  # damaged: as if nothing had been chosen
        return default


def keep_split(dataset: Dataset, choice: SplitChoice) -> None:
    """Keep the choice for a dataset in the workspace, for every browser and for later, with the hash of its split."""
    write_json(_split_path(dataset), choice._asdict() | {"fingerprint": fingerprint(dataset, choice)})


def fingerprint(dataset: Dataset, choice: SplitChoice, *, without_test: bool = False) -> str:
    """Return the hash of which picture is in which split under which label, ``""`` where there can be no split.

    ``without_test`` as :func:`core.ranking.fingerprint` does.
    """
    found = version(dataset)
    if found is None:
        return ""
    return _fingerprint(shell.workspace().home, dataset.id, found, choice, without_test, dataset)


@st.cache_data(max_entries=32, show_spinner=False)
def _fingerprint(
    home: Path, dataset_id: str, version: str, choice: SplitChoice, without_test: bool, _dataset: Dataset
) -> str:
    table = files(_dataset)
    if table is None:
        return ""
    try:
        split = assigned(_dataset, table, choice)
        return (ranking.fingerprint if without_test else splits.fingerprint)(table, split)
    except DataError:
        return ""


def _split_path(dataset: Dataset) -> Path:
    return shell.workspace().datasets_dir / dataset.id / "split.json"


def split_summary(dataset: Dataset) -> SplitSummary | None:
    """Return how a dataset would be split for a training now, or None where it has not been audited.

    Raises:
        DataError: It cannot be split.
    """
    table = files(dataset)
    if table is None:
        return None
    home, found = shell.workspace().home, version(dataset) or ""
    return _split_summary(home, dataset.id, found, split_choice(dataset), table, dataset)


@st.cache_data(max_entries=16, show_spinner=False)
def _split_summary(
    home: Path,
    dataset_id: str,
    version: str,
    choice: SplitChoice,
    _table: pd.DataFrame,
    _dataset: Dataset,
) -> SplitSummary:
    split = assigned(_dataset, _table, choice)
    counts = {name: int((split == name).sum()) for name in SPLITS}
    return SplitSummary(*choice, counts, _table["label"][split == "train"].nunique())


def ask_for_one(text: str) -> None:
    """Say that a dataset is needed first, and offer to choose one or to train on the sample at once."""
    with st.container(border=True):
        st.markdown(text)
        with st.container(horizontal=True, vertical_alignment="center"):
            train_sample_button(t("sample.train_now"), key="train_sample")
            st.page_link("pages/data.py", label=t("shell.to_data"), icon=":material/photo_library:")


def train_sample_button(label: str, key: str) -> None:
    """Draw the button that trains on the sample and shows how it goes."""
    if st.button(label, type="primary", icon=":material/play_arrow:", key=key, help=t("sample.help")):
        train_sample()
        st.switch_page("pages/training.py", query_params=st.query_params.to_dict())


def train_sample() -> None:
    """Train the default recipe on the sample, which is made first where it is missing."""
    sample = datasets.SAMPLES[DEFAULT_SAMPLE]
    recipe = recipes.preset(recipes.DEFAULT_PRESET, sample.name)
    with shell.errors():
        run_id = train_once(sample.name, str(sample.title), recipe, sample.name)
        shell.choose("dataset", sample.name)
        shell.choose("run", run_id)


def train_once(
    dataset_id: str,
    dataset_name: str,
    recipe: recipes.Recipe,
    sample: str = "",
    *,
    forecast_s: float = 0.0,
) -> str:
    """Put a training in the queue and return its run; one that is the same and under way is joined instead."""
    wanted = recipes.validate(recipe).to_json()
    for run in runs.list_runs(shell.workspace(), dataset_id):
        if run.state in ACTIVE_STATES and recipes.from_json(run.recipe).to_json() == wanted:
            return run.id
    job = queue.submit_training(
        shell.workspace(), dataset_id, dataset_name, recipe, sample=sample, forecast_s=forecast_s
    )
    return job.run_id


def ask_for_audit(dataset: Dataset) -> None:
    """Say that the files have not been looked at yet, and lead to the page that does it."""
    with st.container(border=True):
        st.markdown(t("training.not_audited"))
        st.page_link("pages/data.py", label=t("training.to_check"), icon=":material/photo_library:")
