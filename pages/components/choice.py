"""A choice that stands in the URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components import address


def choice(
    name: str, label: str, options: Sequence[str], shown: Callable[[str], str], help_text: str | None = None
) -> str:
    """Offer a choice that stands in the URL under its plain name; the first option need not be written there."""
    in_url = st.query_params.get(name, options[0])
    if name not in st.session_state or in_url != st.session_state.get(f"_written_{name}", options[0]):
        st.session_state[name] = in_url if in_url in options else options[0]
    if st.session_state[name] not in options:
        st.session_state[name] = options[0]
    picked = st.segmented_control(label, options, required=True, format_func=shown, key=name, help=help_text)
    chosen = picked or options[0]
    st.session_state[f"_written_{name}"] = chosen
    address.write({name: chosen if chosen != options[0] else None})
    return chosen
