"""The samples: made or fetched when asked for, after their size and licence were shown."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.datasets import SAMPLES, Sample
from pages.components.dataset import DEFAULT_SAMPLE
from pages.components.text import t, told

ICONS = {
    "digits": ":material/pin:",
    "solar-cells": ":material/solar_power:",
    "flowers": ":material/local_florist:",
}

Act = Callable[[str], None]
"""Called with the name of a sample."""


def show(known: set[str], busy: bool, make: Act, choose: Act) -> None:
    """Draw the samples.

    Args:
        known: Ids of the datasets that there are.
        busy: Whether pictures are being brought in already.
        make: Makes a sample.
        choose: Opens one that is there.
    """
    st.markdown(f"### {t('data.choice.sample')}")
    st.caption(t("data.choice.sample_text"))
    for sample in SAMPLES.values():
        with st.container(border=True, gap="small"):
            _sample(sample, sample.name in known, busy, make, choose)


def _sample(sample: Sample, is_known: bool, busy: bool, make: Act, choose: Act) -> None:
    offline = not sample.download_mb
    size = t("data.sample.offline") if offline else t("data.sample.download", mb=f"{sample.download_mb:.0f}")
    st.markdown(f"{ICONS.get(sample.name, '')} **{told(sample.title)}**")
    st.markdown(told(sample.text))
    st.caption(
        t("data.sample.facts", pictures=f"{sample.num_images:,}", classes=sample.num_classes, size=size)
    )
    key = f"data_sample_{sample.name}"
    if is_known:
        st.button(t("data.choice.open"), key=key, on_click=choose, args=(sample.name,))
    elif offline:
        st.button(
            t("data.sample.make"),
            key=key,
            type="primary" if sample.name == DEFAULT_SAMPLE else "secondary",
            icon=":material/play_arrow:",
            disabled=busy,
            on_click=make,
            args=(sample.name,),
        )
    elif st.button(t("data.sample.details"), key=key, icon=":material/download:", disabled=busy):
        st.dialog(t("data.sample.title"))(_confirm_fetch)(sample, make)


def _confirm_fetch(sample: Sample, make: Act) -> None:
    mb = f"{sample.download_mb:.0f}"
    st.markdown(f"**{told(sample.title)}.** {told(sample.text)}")
    st.markdown(t("data.sample.size_label", mb=mb, pictures=f"{sample.num_images:,}"))
    st.markdown(t("data.sample.licence_label", licence=sample.licence))
    st.markdown(t("data.sample.source_label", source=sample.source))
    st.caption(told(sample.how))
    label, key = t("data.sample.fetch", mb=mb), "data_fetch"
    if st.button(
        label, key=key, type="primary", icon=":material/download:", on_click=make, args=(sample.name,)
    ):
        st.rerun()
