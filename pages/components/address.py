"""The query of the page's URL, in which everything stands that a bookmark should bring back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "evaluation": (
        *("cell", "split", "matrix_shows", "order", "zoom", "diagonal", "list", "photo", "slices", "where"),
        *("errors_order", "errors_of", "errors_said", "errors_flag", "errors_confidence", "errors_page"),
        *("cell_page", "explain"),
    ),
    "predict": ("asked",),
    "runs": (
        *("compared", "compare_split", "compare_with", "compare_cell", "compare_photo", "explain"),
        *("fixed_page", "broken_page", "came_page", "left_page"),
        *("runs_search", "runs_dataset", "runs_state", "runs_archived", "runs_cost"),
    ),
}
"""What a page keeps in the URL; elsewhere it means nothing."""
MAX_DIGITS = 9
"""Of a number in the URL. Beyond some thousand digits Python refuses to read one, and nothing here is as large."""
PHOTOS = ("photo", "compare_photo")
"""Of these: what names a photo that is open."""
_KEPT = "_kept_in_url"
_SCRIPT = Path(__file__).with_name("address.js").read_text("utf-8")


def one_entry_per_action() -> None:
    """Have the browser's history hold one entry for each thing that the visitor does; called once on every page."""
    with st.container(key="history"):  # out of sight
        script = _SCRIPT.replace("PHOTOS", json.dumps(PHOTOS))
        st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def write(values: Mapping[str, str | None]) -> None:
    """Put values into the URL at once, if it does not hold them yet; what the visitor changed is a step of Back.

    Args:
        values: By their names in the URL; None or an empty one takes the name out.
    """
    before = st.query_params.to_dict()
    after = {name: value for name, value in {**before, **values}.items() if value}
    if after != before:
        st.query_params.from_dict(after)


def keep(name: str, text: str) -> None:
    """Write what a part of the page says now, ``""`` to take it out; what no part keeps while a page is drawn goes."""
    st.session_state[f"_written_{name}"] = text
    st.session_state.setdefault(_KEPT, set()).add(name)
    write({name: text})


def leave_as_it_is(page: str) -> None:
    """Let stand what a page has kept in the URL: where nothing is found, what it bears on is not drawn for now."""
    written = {name for name in PARAMETERS.get(page, ()) if f"_written_{name}" in st.session_state}
    st.session_state.setdefault(_KEPT, set()).update(written)


def begin(page: str) -> None:
    """Prepare the URL for a page that is drawn now: what other pages kept in it goes.

    Args:
        page: Its name in the URL.
    """
    st.session_state[_KEPT] = set()
    others = {name for names in PARAMETERS.values() for name in names} - {*PARAMETERS.get(page, ())}
    written = [name for name in others if f"_written_{name}" in st.session_state]
    write(dict.fromkeys(written))
    for name in written:
        st.session_state.pop(f"_written_{name}")


def end(page: str) -> None:
    """Take out of the URL what this page could keep there and had no place for, now that it is drawn."""
    unused = [name for name in PARAMETERS.get(page, ()) if name not in st.session_state[_KEPT]]
    for name in unused:
        st.session_state.pop(f"_written_{name}", None)
    write(dict.fromkeys(unused))


def number(text: str) -> int | None:
    """Read a whole number, 0 or more; None where the text is no such thing or too long."""
    return int(text) if len(text) <= MAX_DIGITS and text.isascii() and text.isdigit() else None


def pair(text: str) -> tuple[int, int] | None:
    """Read two such numbers with a hyphen between them, such as a cell of a matrix; None where it is no such thing."""
    first, _, second = text.partition("-")
    low, high = number(first), number(second)
    return None if low is None or high is None else (low, high)
