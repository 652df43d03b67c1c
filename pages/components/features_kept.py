"""What the stored features take, how often they were of use, and how to delete them."""

from __future__ import annotations

import streamlit as st

from core import feature_store, queue
from core.errors import WorkspaceError
from core.feature_store import Usage
from pages.components import deletion, shell
from pages.components.text import percent, t

USERS = ("train", "cross_validate", "leak", "rank", "predict", "predict_many", "explain", "export")
"""Kinds of jobs that read or write features."""


def features_kept() -> None:
    """Draw a quiet line about the feature store, if there is anything in it."""
    with shell.errors():
        usage = feature_store.usage(shell.workspace())
        if not usage.num_bytes:
            return
        limit = feature_store.limit_bytes()
        busy = _busy()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(_line(usage), width="content", help=t("features.help", gb=f"{limit / 1e9:g}"))
            if st.button(
                t("features.clear"),
                key="clear_features",
                type="tertiary",
                icon=":material/delete:",
                disabled=busy,
                help=t("features.busy") if busy else None,
            ):
                text = t("features.text", size=_size(usage.num_bytes))
                deletion.ask(t("features.title"), text, t("features.yes"), "clear_features_yes", _clear)


def _busy() -> bool:
    return any(job.kind in USERS for job in queue.list_jobs(shell.workspace(), active=True))


def _line(usage: Usage) -> str:
    size = t("features.size", size=_size(usage.num_bytes))
    if usage.hit_rate is None:
        return f"{size}."
    return f"{size}, {t('features.hits', share=percent(usage.hit_rate, 0))}"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{max(1, round(num_bytes / 1e6))} MB"


def _clear() -> None:
    if _busy():  # since the visitor was asked, or from another tab
        raise WorkspaceError(t("features.busy"))
    feature_store.clear(shell.workspace())
