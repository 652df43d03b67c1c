"""Everything that was decided about the pictures: looked through, taken back, taken along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import curation
from core.curation import KINDS
from core.errors import DataError
from pages.components import data_added, data_cleaned, data_flagged, shell
from pages.components import dataset as dataset_view
from pages.components.data_facts import Facts
from pages.components.text import plain, t

HEIGHT = 420
"""Pixels; a longer list scrolls."""


def show(facts: Facts) -> None:
    """Draw the decisions, what narrows them down, and the files that they come and go by."""
    rows = data_flagged.standing_decisions(facts)
    if rows.empty:
        st.markdown(t("decisions.none"))
    else:
        _list(facts, rows)
    data_added.show(facts.dataset)
    _files(facts, rows)
    data_cleaned.show(facts.dataset)


def _list(facts: Facts, rows: pd.DataFrame) -> None:
    suspended = int((rows["state"] != "active").sum())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        there = [kind for kind in KINDS if kind in set(rows["kind"])]
        kinds = st.pills(
            t("decisions.kind"),
            there,
            selection_mode="multi",
            format_func=lambda kind: t(f"decisions.kinds.{kind}"),
            key="data_decision_kinds",
        )
        only = st.checkbox(
            t("decisions.only_suspended"), key="data_decisions_suspended", disabled=not suspended
        )
        text = st.text_input(t("decisions.search"), key="data_decisions_search", type="search", width=260)
    shown = _narrowed(rows, kinds, only and bool(suspended), text)
    event = st.dataframe(
        _table(shown),
        key=f"data_decisions_{facts.version}_{len(shown)}",
        hide_index=True,
        height=HEIGHT if len(shown) > 10 else "content",
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            "path": st.column_config.TextColumn(t("data.checks.file"), width="large"),
            "kind": st.column_config.TextColumn(t("decisions.kind")),
            "value": st.column_config.TextColumn(t("decisions.value"), width="medium"),
            "state": st.column_config.TextColumn(t("decisions.state"), width="medium"),
        },
        alt=t("decisions.alt"),
    )
    chosen = shown.iloc[[row for row in event.selection.rows if row < len(shown)]]
    st.button(
        t("decisions.take_back", n=len(chosen)) if len(chosen) else t("decisions.take_back_none"),
        key="data_decisions_clear",
        icon=":material/backspace:",
        disabled=chosen.empty,
        on_click=_take_back,
        args=(facts, chosen),
    )


def warn_of_suspended(standing: pd.DataFrame) -> None:
    """Say how many decisions do not hold any more, if any: their pictures are used as if nothing had been decided."""
    if suspended := int((standing["state"] != "active").sum()):
        st.warning(t("decisions.suspended", n=suspended), icon=":material/history_toggle_off:")


def _narrowed(rows: pd.DataFrame, kinds: list[str], only_suspended: bool, text: str) -> pd.DataFrame:
    kept = rows["kind"].isin(kinds) if kinds else pd.Series(True, index=rows.index)
    if only_suspended:
        kept &= rows["state"] != "active"
    if text:
        said = rows["path"] + "\n" + rows["value"]
        kept &= said.str.casefold().str.contains(text.casefold(), regex=False)
    return rows[kept]


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    values = rows["value"].where(rows["kind"] != "keep", rows["value"].map(_check_title))
    return pd.DataFrame(
        {
            "path": rows["path"],
            "kind": rows["kind"].map(lambda kind: t(f"decisions.kinds.{kind}")),
            "value": values,
            "state": rows["state"].map(lambda state: t(f"decisions.states.{state}")),
        }
    )


def _check_title(name: str) -> str:
    try:
        return t(f"audit.title.{name}")
    except KeyError:  # decided elsewhere, about a check that this Graft does not know
        return name


def _take_back(facts: Facts, chosen: pd.DataFrame) -> None:
    with shell.errors():
        keys = set(zip(chosen["path"], chosen["kind"], chosen["value"], strict=True))
        decisions = curation.load(shell.workspace(), facts.dataset.id).decisions
        gone = [one for one in decisions if (one.path, one.kind, one.value) in keys]
        curation.decide(shell.workspace(), facts.dataset.id, cleared=gone)


def _files(facts: Facts, rows: pd.DataFrame) -> None:
    """Draw what can be taken along: the decisions, and the manifest with all scores."""
    st.header(t("decisions.take_along"), anchor=False)
    with st.container(horizontal=True, gap="small"):
        name = facts.dataset.id
        st.download_button(
            t("decisions.download"),
            lambda: curation.to_csv(curation.load(shell.workspace(), facts.dataset.id).decisions),
            f"{name}-decisions.csv",
            "text/csv",
            key="data_decisions_csv",
            icon=":material/download:",
            on_click="ignore",
            disabled=rows.empty,
        )
        st.download_button(
            t("decisions.manifest_csv"),
            lambda: data_flagged.manifest_csv(facts),
            f"{name}-manifest.csv",
            "text/csv",
            key="data_manifest_csv",
            icon=":material/table_view:",
            on_click="ignore",
        )
        st.download_button(
            t("decisions.manifest_parquet"),
            lambda: data_flagged.manifest_parquet(facts),
            f"{name}-manifest.parquet",
            "application/vnd.apache.parquet",
            key="data_manifest_parquet",
            icon=":material/table_view:",
            on_click="ignore",
        )
    st.caption(t("decisions.manifest_help"))
    with st.form("data_decisions_form", clear_on_submit=True, border=False):
        uploaded = st.file_uploader(
            t("decisions.upload"), type="csv", key="data_decisions_upload", max_upload_size=50
        )
        if st.form_submit_button(t("decisions.submit"), key="data_decisions_submit") and uploaded is not None:
            _take_in(facts, uploaded.getvalue())


def _take_in(facts: Facts, data: bytes) -> None:
    table = dataset_view.files(facts.dataset)
    if table is None:
        return
    try:
        made = curation.from_csv(data, table, facts.class_names)
    except DataError as error:
        st.error(plain(error), icon=":material/error:")
        return
    curation.decide(shell.workspace(), facts.dataset.id, made)
    st.rerun()
