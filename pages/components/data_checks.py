"""What the audit found, the most severe first."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.audit import Check
from pages.components import data_facts
from pages.components.data_facts import Facts, flagged_files
from pages.components.text import t, told

SEVERITIES = {
    "error": (":material/error:", "red"),
    "warning": (":material/warning:", "orange"),
    "note": (":material/info:", "gray"),
}
"""Icon and colour; the word is written beside them."""

OF_CLASSES = frozenset({"empty_class", "tiny_class", "split_like_class", "similar_class_names"})
"""Checks that flag classes, not files."""

OF_GROUPS = data_facts.OF_SAME_BYTES | data_facts.OF_NEAR_DUPLICATES
"""Checks whose files belong together in groups."""


def show(facts: Facts) -> None:
    """Draw what was found, each with its files, and what was looked for and not found."""
    flagged = facts.flagged
    if flagged:
        st.markdown(t("data.checks.some", n=len(flagged), total=len(facts.checks)))
    else:
        st.markdown(t("data.checks.none", n=len(facts.checks)))
    with st.container(gap="xsmall"):
        for check in flagged:
            _check(facts, check)
    clear = [_title(check) for check in facts.checks if not check.num_flagged]
    if clear:
        st.caption(f":material/check: {t('data.checks.clear')}: {', '.join(clear)}.")


def _title(check: Check) -> str:
    return t(f"audit.title.{check.name}")


def _check(facts: Facts, check: Check) -> None:
    icon, color = SEVERITIES[check.severity]
    is_of_classes = check.name in OF_CLASSES
    n = check.num_flagged
    count = t("count.classes", n=n) if is_of_classes else t("count.files", n=n)
    label = f"**{_title(check)}** · {count} :{color}-badge[{t(f'data.severity.{check.severity}')}]"
    expander = st.expander(label, icon=icon, key=f"data_check_{check.name}", on_change="rerun")
    if expander.open:
        with expander:
            st.markdown(told(check.why))
            _class_table(check) if is_of_classes else _file_table(facts, check)


def _class_table(check: Check) -> None:
    names = pd.DataFrame({"class": check.paths})
    _table(names, {"class": st.column_config.TextColumn(t("data.checks.class"))}, check)


def _file_table(facts: Facts, check: Check) -> None:
    rows = flagged_files(facts, check)
    config = {
        "group": st.column_config.NumberColumn(
            t("data.checks.group"), help=t("data.checks.group_help"), width="small"
        ),
        "path": st.column_config.TextColumn(
            t("data.checks.file"), width="medium" if rows["why"].any() else "large"
        ),
        "label": st.column_config.TextColumn(t("data.checks.class")),
        "pixels": st.column_config.TextColumn(t("data.checks.size"), width="small"),
        "size": st.column_config.NumberColumn(t("data.checks.bytes"), format="localized", width="small"),
        "why": st.column_config.TextColumn(t("data.checks.reason"), width="large"),
    }
    rows = rows.assign(pixels=rows["width"].astype(str) + " × " + rows["height"].astype(str))
    useless = {
        "group": check.name not in OF_GROUPS,
        "label": not rows["label"].any(),
        "pixels": not rows["width"].any(),
        "why": not rows["why"].any(),
    }
    columns = [name for name in config if not useless.get(name)]
    _table(rows[columns], {name: config[name] for name in columns}, check)


def _table(rows: pd.DataFrame, config: dict[str, Any], check: Check) -> None:
    st.dataframe(
        rows,
        key=f"data_check_table_{check.name}",
        hide_index=True,
        column_config=config,
        alt=t("data.checks.alt", title=_title(check)),
    )
