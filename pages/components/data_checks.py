"""One check at a time: what it means for a training, where it begins to find something, and what to do about it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core import audit, curation, datasets
from core.audit import Check
from core.curation import Curation
from pages.components import data_class_checks, data_flagged, data_photos, shell
from pages.components import dataset as dataset_view
from pages.components.data_facts import Facts, file_name, thumbnails
from pages.components.gallery import pager
from pages.components.picker import Act, Card, picker
from pages.components.text import code, plain, t, told

SEVERITIES = {
    "error": (":material/error:", "red"),
    "warning": (":material/warning:", "orange"),
    "note": (":material/info:", "gray"),
    "": (":material/check_circle:", "green"),
}
"""Icon and colour; the word is written beside them."""

PER_PAGE = 48
SLIDER_WIDTH = 420
"""Pixels."""


def choose(dataset_id: str, name: str) -> None:
    """Lead to what a check found."""
    st.session_state["data_tab"] = t("data.tabs.checks")
    st.session_state[_key(dataset_id)] = name


def _key(dataset_id: str) -> str:
    return f"data_check_{dataset_id}"


def show(facts: Facts) -> None:
    """Draw the check that is chosen, first the gravest that found something."""
    flagged = facts.flagged
    clear = [check for check in facts.checks if not check.num_flagged]
    if flagged:
        st.markdown(t("data.checks.some", n=len(flagged), total=len(facts.checks)))
    else:
        st.markdown(t("data.checks.none", n=len(facts.checks)))
    checks = {check.name: check for check in [*flagged, *clear]}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            t("data.checks.check"),
            list(checks),
            format_func=lambda name: f"{t(f'audit.title.{name}')} ({checks[name].num_flagged:,})",
            key=_key(facts.dataset.id),
            width=SLIDER_WIDTH,
        )
        check = checks[name]
        icon, color = SEVERITIES[check.severity if check.num_flagged else ""]
        said = t(f"data.severity.{check.severity if check.num_flagged else 'clear'}")
        st.markdown(f":{color}-badge[{icon} {said}]", width="content")
    st.markdown(told(check.why))
    moved = audit.threshold_of(name)
    if moved is not None:
        _threshold(facts, check, moved)
    _found(facts, check)


def _threshold(facts: Facts, check: Check, name: str) -> None:
    """Draw where the check begins to find something; moving it is kept for this dataset, and seen at once."""
    low, high, step = audit.RANGES[name]
    now, usual = getattr(facts.thresholds, name), getattr(audit.Thresholds(), name)
    whole = all(float(value).is_integer() for value in (step, now, usual))
    number = int if whole else float
    key = f"data_threshold_{facts.dataset.id}_{name}"
    st.session_state[key] = number(min(max(now, low), high))  # another browser may have moved it
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.slider(
            t(f"data.threshold.{name}"),
            min_value=number(low),
            max_value=number(high),
            step=number(step),
            key=key,
            on_change=_keep_threshold,
            args=(facts, name, key),
            width=SLIDER_WIDTH,
            help=t("data.threshold.split_help", together=f"{usual:g}") if name == "near_duplicate" else None,
        )
        st.metric(t("data.threshold.flagged"), f"{check.num_flagged:,}", width="content")
        st.button(
            t("data.threshold.reset", usual=f"{usual:g}"),
            key=f"{key}_reset",
            icon=":material/restart_alt:",
            disabled=now == usual,
            on_click=_set_threshold,
            args=(facts, name, usual),
        )


def _keep_threshold(facts: Facts, name: str, key: str) -> None:
    _set_threshold(facts, name, st.session_state[key])


def _set_threshold(facts: Facts, name: str, value: float) -> None:
    with shell.errors():
        workspace = shell.workspace()
        now = audit.load_thresholds(workspace, facts.dataset.id)
        audit.save_thresholds(workspace, facts.dataset.id, audit.Thresholds(**(asdict(now) | {name: value})))


def _found(facts: Facts, check: Check) -> None:
    if check.name == "shortcut":
        _shortcuts(facts)
    elif not check.num_flagged:
        st.success(t("data.checks.clear"), icon=":material/check_circle:")
    elif check.of == "classes":
        data_class_checks.show(facts, check)
    else:
        _files(facts, check)


def _shortcuts(facts: Facts) -> None:
    rows = data_flagged.shortcut_table(facts)
    if rows.empty:
        st.info(t("data.shortcuts.few"), icon=":material/info:")
        return
    names = rows["name"].map(lambda name: t(f"audit.property.{name}"))
    shown = pd.DataFrame({"name": names, "accuracy": 100 * rows["accuracy"], "found": rows["found"]})
    st.markdown(t("data.shortcuts.majority", share=f"{100 * rows['majority'].iloc[0]:.1f}"))
    st.dataframe(
        shown,
        key="data_shortcuts",
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn(t("data.shortcuts.name")),
            "accuracy": st.column_config.ProgressColumn(
                t("data.shortcuts.accuracy"), min_value=0, max_value=100, format="%.1f %%"
            ),
            "found": st.column_config.CheckboxColumn(t("data.shortcuts.found")),
        },
        alt=t("data.shortcuts.alt"),
    )


def _files(facts: Facts, check: Check) -> None:
    rows = data_flagged.flagged_files(facts, check.name)
    rows = rows.assign(num=rows.groupby("group")["path"].transform("size"))
    pages = audit.pages(rows, PER_PAGE)
    with st.container():  # also where there is one page only, see history()
        page = pager(len(pages), key=f"data_check_page_{facts.dataset.id}_{check.name}_{len(pages)}")
    shown = rows.iloc[slice(*pages[page - 1])]
    opened = picker(
        _cards(facts, check, shown),
        key=f"data_picker_{facts.dataset.id}",
        label=t("data.checks.alt", title=t(f"audit.title.{check.name}")),
        on_act=partial(decide, facts, check.name),
        actions=("exclude", "relabel", "keep") if shown["usable"].any() else ("exclude", "keep"),
        class_names=facts.class_names,
        spare=data_flagged.spare_files(facts, check.name),
    )
    st.caption(t("picker.hint"))
    if opened is not None:
        row = shown[shown["path"] == opened].iloc[0]
        st.dialog(code(file_name(opened)), width="medium", on_dismiss="rerun")(shell.errors()(_enlarge))(
            facts, row
        )


def _enlarge(facts: Facts, row: pd.Series) -> None:
    if row["usable"]:
        data_photos.enlarge(facts, row.rename({"given_split": "split"}))
        return
    st.markdown(plain(row["why"]) if row["why"] else t("data.checks.no_reason"))
    st.code(str(facts.dataset.pictures / row["path"]), language=None, wrap_lines=True)


def decide(facts: Facts, check_name: str, act: Act) -> None:
    """Do with some files what the visitor asks for; nothing on disk changes."""
    with shell.errors():
        table = dataset_view.files(facts.dataset)
        if table is None:
            return
        value = check_name if act.kind == "keep" else act.value
        curation.decide_about(shell.workspace(), facts.dataset.id, table, act.ids, act.kind, value)


def _cards(facts: Facts, check: Check, shown: pd.DataFrame) -> list[Card]:
    small = thumbnails(facts.dataset, shown)
    return [
        _card(check, row, thumbnail) for row, thumbnail in zip(shown.to_dict("records"), small, strict=True)
    ]


def _card(check: Check, row: Mapping[Hashable, Any], thumbnail: bytes) -> Card:
    name = file_name(row["path"])
    split = t(f"split.{row['given_split']}") if row["given_split"] else ""
    pixels = f"{row['width']}\u00a0×\u00a0{row['height']}" if row["width"] else ""
    label = row["label"] or t("data.checks.no_class")
    facts = [part for part in (label, split, pixels) if part]
    return Card(
        id=row["path"],
        thumbnail=thumbnail,
        alt=", ".join([name, *facts]),
        title=name,
        subtitle=row["why"] or " · ".join(facts),
        heading=t("data.checks.group", number=row["group"], n=row["num"])
        if check.name in audit.TOGETHER
        else "",
    )


def history(facts: Facts) -> None:
    """Draw what was decided last, and the ways to take it back or do it again."""
    now: Curation = curation.load(shell.workspace(), facts.dataset.id)
    # Drawn even where it stays empty: what appears above the pictures would have them drawn anew, without the focus.
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="data_history"):
        if now.undoable is None and now.redoable is None:
            return
        for name, action in (("undo", now.undoable), ("redo", now.redoable)):
            if action is None:
                continue
            st.button(
                t(f"curation.{name}", what=t(f"curation.action.{action.kind}", n=action.num_paths)),
                key=f"data_{name}",
                icon=f":material/{name}:",
                on_click=_step,
                args=(name, facts.dataset.id, action.id),
            )
        excluded, relabelled = facts.num_excluded, facts.num_relabelled
        st.caption(t("curation.sum", excluded=f"{excluded:,}", relabelled=f"{relabelled:,}"), width="content")


def _step(name: str, dataset_id: str, action_id: int) -> None:
    with shell.errors():
        datasets.get(shell.workspace(), dataset_id)  # says so where it was removed
        now = curation.load(shell.workspace(), dataset_id)
        stepped = now.redoable if name == "undo" else now.undoable
        if stepped is not None and stepped.id == action_id:
            return  # pressed twice, or in another tab
        step = curation.undo if name == "undo" else curation.redo
        step(shell.workspace(), dataset_id, action_id)
