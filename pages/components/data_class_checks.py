"""What a check says about whole classes, and what can be done with all pictures of one at once."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import curation
from core.audit import Check
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.data_facts import Facts
from pages.components.text import t

CHOICE_WIDTH = 360
"""Pixels."""


def show(facts: Facts, check: Check) -> None:
    """Draw the classes that a check names, how many pictures each has, and what to do with one of them."""
    table = dataset_view.files(facts.dataset)
    if table is None:
        return
    paths = {name: curation.of_class(table, name) for name in check.paths}
    st.dataframe(
        pd.DataFrame({"class": list(paths), "pictures": [len(of_class) for of_class in paths.values()]}),
        key="data_check_classes",
        hide_index=True,
        width="content",
        column_config={
            "class": st.column_config.TextColumn(t("data.checks.class"), width="medium"),
            "pictures": st.column_config.NumberColumn(t("data.class_checks.pictures"), format="localized"),
        },
        alt=t("data.checks.alt", title=t(f"audit.title.{check.name}")),
    )
    key = f"data_class_{check.name}_{facts.dataset.id}"
    name = st.selectbox(t("data.class_checks.class"), list(paths), key=key, width=CHOICE_WIDTH)
    if not paths[name]:
        st.markdown(t("data.class_checks.none"))
        return
    _offer(facts, name, paths[name], key)


def _offer(facts: Facts, name: str, paths: list[str], key: str) -> None:
    """Draw the buttons; the class that is relabelled to goes by its name, so that another choice starts anew."""
    st.caption(t("data.class_checks.help"))
    others = [other for other in facts.class_names if other != name]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.button(
            t("data.class_checks.exclude", n=len(paths)),
            key=f"{key}_exclude",
            icon=":material/visibility_off:",
            on_click=_decide,
            args=(facts, name, "exclude", ""),
        )
        label = st.selectbox(
            t("data.class_checks.relabel"),
            others,
            index=None,
            key=f"{key}_label_{name}",
            width=CHOICE_WIDTH,
            disabled=not others,
        )
        st.button(
            t("data.class_checks.apply", n=len(paths)),
            key=f"{key}_relabel",
            icon=":material/label:",
            on_click=_decide,
            args=(facts, name, "relabel", label or ""),
            disabled=label is None,
        )


def _decide(facts: Facts, name: str, kind: str, value: str) -> None:
    """Decide about all pictures that the class has now, as one action."""
    with shell.errors():
        table = dataset_view.files(facts.dataset)
        if table is not None:
            paths = curation.of_class(table, name)
            curation.decide_about(shell.workspace(), facts.dataset.id, table, paths, kind, value)
