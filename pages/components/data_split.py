"""What is learnt from and what is kept to judge: the split that the training will use."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.charts import shorten
from core.datasets import Dataset
from core.splits import SPLITS
from core.words import one_line
from pages.components import data_leak, data_means, shell, split_name
from pages.components import dataset as dataset_view
from pages.components.csv_file import csv_button
from pages.components.data_facts import Facts
from pages.components.dataset import Fractions
from pages.components.figure import figure
from pages.components.split_facts import SplitFacts, class_figure, split
from pages.components.text import code, language, t, told

ROOMY = 18
"""Classes whose bars fit on the page; more of them scroll."""
SCROLL_HEIGHT = 560
"""Pixels."""
NUMBER_WIDTHS = {"train": 60, "val": 84, "test": 60, "total": 60}
"""Pixels, of the columns of the table; the names have the rest."""
MAX_NAME_LENGTH = 28
"""Characters of a name that fit into its column."""
MIN_COLUMN_WIDTH = 480
"""Pixels; on a narrower page the table stands below the bars."""
UNEVEN = 1.5
"""Ratio of the largest to the smallest class from which they are called uneven."""

_VAL, _TEST, _SEED, _KEEP_GIVEN = "data_val", "data_test", "data_seed", "data_keep_given"


def current_split(facts: Facts) -> SplitFacts:
    """Return the split with the shares and the seed that are chosen now."""
    return split(facts, dataset_view.split_choice(facts.dataset))


def show(facts: Facts, found: SplitFacts) -> None:
    """Draw the split, what decides it, and how many pictures each class has in it."""
    if facts.given:
        _keep_or_make(facts)
    if not found.refusal:
        st.markdown(_sentence(found.given, facts.dataset))
    if not {"val", "test"} <= found.given:
        _inputs(found.given, facts.dataset)
    if not found.refusal:
        split_name.of_dataset(facts.dataset)
    if found.notes:
        st.warning("\n\n".join(told(note) for note in found.notes), icon=":material/warning:")
    if not found.refusal:
        data_leak.show(facts, found)
    st.header(t("data.split.counts"), anchor=False)
    if sentence := _balance(found):
        st.markdown(sentence)
    _counts(facts, found)
    data_means.show(facts)


def _counts(facts: Facts, found: SplitFacts) -> None:
    """Draw how many pictures each class has in each split."""
    scrolls = len(facts.class_names) > ROOMY
    height: int | Literal["content"] = SCROLL_HEIGHT if scrolls else "content"
    if found.refusal:
        _table(facts, found.counts[["total"]], height)
        return
    if scrolls:
        st.caption(t("data.split.scrolls", n=len(facts.class_names)))
    grid = st.grid(2, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.container(height=height, border=scrolls):
        _chart(facts)
    with grid.container():
        _table(facts, found.counts, height)


def _keep_or_make(facts: Facts) -> None:
    """Let the visitor choose between the split that the folder brings and one that Graft makes."""
    dataset = facts.dataset
    st.radio(
        t("data.split.which"),
        (True, False),
        index=0 if dataset_view.split_choice(dataset).keep_given else 1,
        format_func=lambda keep: t("data.split.keep" if keep else "data.split.make"),
        key=f"{_KEEP_GIVEN}_{dataset.id}",
        captions=[t("data.split.keep_text"), t("data.split.make_text")],
        on_change=_keep_given,
        args=(dataset,),
        horizontal=True,
    )


def _keep_given(dataset: Dataset) -> None:
    keep = bool(st.session_state[f"{_KEEP_GIVEN}_{dataset.id}"])
    with shell.errors():
        dataset_view.keep_split(dataset, dataset_view.split_choice(dataset)._replace(keep_given=keep))


def _sentence(given: frozenset[str], dataset: Dataset) -> str:
    if {"val", "test"} <= given:
        return t("data.split.given")
    if given:
        names = [t(f"split.{name}") for name in SPLITS if name in given]
        return t("data.split.given_some", given=t("data.split.and").join(names))
    fractions = dataset_view.split_choice(dataset).fractions
    shares = {name: f"{100 * share:.3g}" for name, share in zip(SPLITS, fractions, strict=True)}
    return t("data.split.made", **shares) + " " + t("data.split.duplicates")


def _inputs(given: frozenset[str], dataset: Dataset) -> None:
    fractions, seed, _ = dataset_view.split_choice(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, key in (("val", _VAL), ("test", _TEST)):
            if name in given:
                continue
            of_train = bool(given & {"val", "test"})
            st.number_input(
                t(f"data.share.{name}_of_train" if of_train else f"data.share.{name}"),
                min_value=1.0,
                max_value=98.0,
                step=1.0,
                format="%.3g",
                value=_percent(fractions, name, given),
                # Kept or not, each has shares of its own: of all pictures, or of those given to train.
                key=f"{key}_{dataset.id}",
                help=t(f"data.share.{name}_help"),
                on_change=_keep,
                args=(given, dataset),
                width=190,
            )
        st.number_input(
            t("data.split.seed"),
            min_value=0,
            max_value=2**31 - 1,
            value=seed,
            key=f"{_SEED}_{dataset.id}",
            help=t("data.split.seed_help"),
            on_change=_keep,
            args=(given, dataset),
            width=190,
        )


def _percent(fractions: Fractions, name: str, given: frozenset[str]) -> float:
    """Return the share of val or test that the input shows: of all pictures, or of those given to train."""
    train, val, test = fractions
    share = {"val": val, "test": test}[name]
    return round(100 * (share / (train + share) if given & {"val", "test"} else share), 1)


def _keep(given: frozenset[str], dataset: Dataset) -> None:
    """Keep what was entered where the Training page finds it, as shares of train, val and test."""
    state, dataset_id = st.session_state, dataset.id
    choice = dataset_view.split_choice(dataset)
    _, val, test = choice.fractions
    if "test" in given:
        val = state[f"{_VAL}_{dataset_id}"] / 100 * (1 - test)
    elif "val" in given:
        test = state[f"{_TEST}_{dataset_id}"] / 100 * (1 - val)
    else:
        val, test = state[f"{_VAL}_{dataset_id}"] / 100, state[f"{_TEST}_{dataset_id}"] / 100
    with shell.errors():
        fractions = (round(1 - val - test, 6), round(val, 6), round(test, 6))
        seed = int(state[f"{_SEED}_{dataset_id}"])
        dataset_view.keep_split(dataset, choice._replace(fractions=fractions, seed=seed))


def _balance(found: SplitFacts) -> str:
    totals = found.counts["total"][found.counts["total"] > 0]
    if len(totals) < 2:
        return ""
    low, high = int(totals.min()), int(totals.max())
    if low == high:
        return t("data.split.equal", count=f"{high:,}")
    if high < UNEVEN * low:
        return t("data.split.even", low=f"{low:,}", high=f"{high:,}")
    return t(
        "data.split.smallest",
        largest=code(totals.idxmax()),
        smallest=code(totals.idxmin()),
        ratio=f"{high / low:.3g}",
    )


def _chart(facts: Facts) -> None:
    drawn = class_figure(facts, dataset_view.split_choice(facts.dataset), language())
    figure(drawn, key="data_class_counts", alt=t("data.split.chart_alt", n=len(facts.class_names)))


def _table(facts: Facts, counts: pd.DataFrame, height: int | Literal["content"]) -> None:
    st.dataframe(
        counts.set_axis([shorten(one_line(name), MAX_NAME_LENGTH) for name in counts.index]),
        key="data_class_table",
        height=height,
        column_config={
            "_index": st.column_config.TextColumn(t("data.split.class")),
            **{name: _number(t(f"split.{name}"), name) for name in SPLITS},
            "total": _number(t("data.split.total"), "total"),
        },
        alt=t("data.split.table_alt"),
    )
    csv_button(counts.reset_index(names="class"), f"{facts.dataset.id}-classes", key="data_classes_csv")


def _number(title: str, name: str) -> ColumnConfig:
    return st.column_config.NumberColumn(title, format="localized", width=NUMBER_WIDTHS[name])
