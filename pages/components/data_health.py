"""How each group of checks stands, the worst first, and the way to what was found."""

from __future__ import annotations

import streamlit as st

from core import audit
from core.audit import Check, Health
from pages.components import data_checks
from pages.components.data_facts import Facts
from pages.components.text import t

MAX_CHECKS = 4
"""Findings of a group that get a button of their own; the others are counted."""


def show(facts: Facts) -> None:
    """Draw a line per group of checks, each with its findings."""
    with st.container(border=True, gap="xsmall", key="data_health"):
        for line in audit.health(facts.checks):
            _line(facts, line)


def _line(facts: Facts, line: Health) -> None:
    icon, color = data_checks.SEVERITIES[line.severity]
    said = t(f"data.severity.{line.severity or 'clear'}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = t(f"data.health.{line.group}")
        st.markdown(f"{icon} **{name}**", width=150)
        st.markdown(f":{color}-badge[{said}]", width=130)
        if line.flagged:
            with st.container(horizontal=True, gap="small"):
                _findings(facts, line)


def _findings(facts: Facts, line: Health) -> None:
    for check in line.flagged[:MAX_CHECKS]:
        _finding(facts, check)
    if len(line.flagged) > MAX_CHECKS:
        st.button(
            t("data.health.more", n=len(line.flagged) - MAX_CHECKS),
            key=f"data_health_more_{line.group}",
            type="tertiary",
            on_click=data_checks.choose,
            args=(facts.dataset.id, line.flagged[MAX_CHECKS].name),
        )


def _finding(facts: Facts, check: Check) -> None:
    st.button(
        f"{t(f'audit.title.{check.name}')} **{check.num_flagged:,}**",
        key=f"data_health_{check.name}",
        type="tertiary",
        on_click=data_checks.choose,
        args=(facts.dataset.id, check.name),
    )
