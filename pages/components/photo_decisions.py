"""What a person decides about a photo that is open; and whether a run is older than what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core import audit, curation, datasets
from core.curation import Decision
from core.datasets import Dataset
from core.errors import NotFound
from core.runs import Run
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.text import code, t


def tell_if_outdated(run: Run) -> None:
    """Say that pictures were excluded or relabelled since the run was trained, if they were."""
    dataset = _dataset(run)
    table = None if dataset is None else dataset_view.files(dataset)
    if table is not None and curation.fingerprint(curation.made(table)) != run.curation_fingerprint:
        st.warning(t("decide.outdated"), icon=":material/history:")


def decide(run: Run, row: Mapping[str, Any]) -> None:
    """Offer to decide about a photo that a run was asked about, if its dataset is still there.

    Args:
        run: The run whose answer is looked at.
        row: Of :func:`core.runs.answers`.
    """
    dataset = _dataset(run)
    if dataset is None:
        return
    layout = audit.load_layout(shell.workspace(), dataset.id)
    names = run.class_names if layout is None else layout.class_names
    offer(dataset, row, names, f"decide_{row['row']}", t("decide.text"))


def offer(dataset: Dataset, row: Mapping[str, Any], class_names: Sequence[str], key: str, text: str) -> None:
    """Offer to exclude, relabel, tag or annotate a photo; the file itself is never changed.

    Args:
        dataset: Which it is of.
        row: Its ``path`` and ``sha256``.
        class_names: What it can be relabelled to.
        key: Of the widgets.
        text: What a decision means here.
    """
    decided = [
        decision
        for decision in curation.load(shell.workspace(), dataset.id).decisions
        if decision.path == row["path"]
    ]
    # In a place of their own: one more of them would otherwise move the popover on the page, which takes it for another
    # one, closes it and loses the focus to nowhere, where Escape no longer reaches the dialog.
    with st.container(gap="small"):
        for decision in decided:
            st.markdown(
                f":material/edit_note: {_said(decision)}"
            )  # a badge shows backslashes before brackets
    with st.popover(t("decide.title"), icon=":material/edit:"):
        _form(dataset, row, class_names, key, text, decided)


def _form(
    dataset: Dataset,
    row: Mapping[str, Any],
    class_names: Sequence[str],
    key: str,
    text: str,
    decided: list[Decision],
) -> None:
    st.caption(text)
    st.button(
        t("decide.exclude"),
        icon=":material/visibility_off:",
        key=f"{key}_exclude",
        on_click=_decide,
        args=(dataset.id, row, "exclude", ""),
    )
    label = st.selectbox(t("decide.relabel"), list(class_names), index=None, key=f"{key}_label")
    tag = st.text_input(t("decide.tag"), key=f"{key}_tag", max_chars=80)
    note = st.text_input(t("decide.note"), key=f"{key}_note", max_chars=1000)
    chosen = {"relabel": label or "", "tag": tag.strip(), "note": note.strip()}
    st.button(
        t("decide.save"),
        type="primary",
        key=f"{key}_save",
        on_click=_decide_all,
        args=(dataset.id, row, {kind: value for kind, value in chosen.items() if value}),
        disabled=not any(chosen.values()),
    )
    if decided:
        st.button(
            t("decide.clear"),
            icon=":material/undo:",
            key=f"{key}_clear",
            on_click=_clear,
            args=(dataset.id, decided),
        )


def _decide(dataset_id: str, row: Mapping[str, Any], kind: str, value: str) -> None:
    _decide_all(dataset_id, row, {kind: value})


def _decide_all(dataset_id: str, row: Mapping[str, Any], chosen: Mapping[str, str]) -> None:
    with shell.errors():
        datasets.get(shell.workspace(), dataset_id)  # says so where it was removed
        made = [Decision(row["path"], kind, value, row["sha256"]) for kind, value in chosen.items()]
        curation.decide(shell.workspace(), dataset_id, made)


def _clear(dataset_id: str, decided: list[Decision]) -> None:
    with shell.errors():
        datasets.get(shell.workspace(), dataset_id)  # says so where it was removed
        curation.decide(shell.workspace(), dataset_id, cleared=decided)


def _said(decision: Decision) -> str:
    value = f" {code(decision.value)}" if decision.value else ""
    return t(f"decide.made_{decision.kind}") + value


def _dataset(run: Run) -> Dataset | None:
    try:
        return datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return None
