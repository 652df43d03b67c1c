"""The query of the page's URL, in which everything stands that a bookmark should bring back."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def write(values: Mapping[str, str | None]) -> None:
    """Put values into the URL at once, if it does not hold them yet; each change is a step of the back button.

    Args:
        values: By their names in the URL; None or an empty one takes the name out.
    """
    before = st.query_params.to_dict()
    after = {name: value for name, value in {**before, **values}.items() if value}
    if after != before:
        st.query_params.from_dict(after)
