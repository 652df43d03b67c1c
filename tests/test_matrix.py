"""The confusion matrix tells which cell is chosen, whatever the classes are called; tests/browser uses it."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from core import charts
from core.charts import palette
from pages.components import matrix

NAMES = ["dress", "![x](//evil.example)", "dress ", "<b>hat</b>"]


def script(names: list[str], normalize: bool) -> None:
    import numpy as np
    import streamlit as st

    from pages.components.matrix import choose, choose_none, confusion_matrix

    st.button("jump", on_click=choose, args=("cm", 2, 3))
    st.button("none", on_click=choose_none, args=("cm",))
    counts = np.arange(len(names) ** 2).reshape(len(names), len(names))
    shares = st.checkbox("Shares", normalize)
    st.session_state["told"] = confusion_matrix(
        counts, names, "cm", "share" if shares else "counts", corner="True ↓", alt="Matrix"
    )


def run(cell: object = None, names: list[str] = NAMES, normalize: bool = False) -> AppTest:
    app = AppTest.from_function(script, args=(names, normalize), default_timeout=20)
    if cell is not None:
        app.session_state["cm"] = {"cell": cell}
    app.run()
    assert not app.exception
    return app


def sent(app: AppTest) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(app.get("bidi_component")[0].proto.json)
    return data


# --- the choice ---------------------------------------------------------------------------------------------------


def test_without_a_choice_there_is_no_cell() -> None:
    app = run()
    assert app.session_state["told"] is None
    assert sent(app)["chosen"] is None


def test_the_chosen_cell_is_told_by_true_and_predicted_index() -> None:
    app = run((1, 2))
    assert app.session_state["told"] == (1, 2)
    assert sent(app)["chosen"] == [1, 2]


@pytest.mark.parametrize(
    "cell", [(9, 0), (0, 9), (-1, 0), (0, -1), (0,), (0, 0, 0), (0, "0"), (0.0, 1.0), "01", {"0": 1}, 5]
)
def test_what_is_no_cell_of_this_matrix_is_no_choice(cell: object) -> None:
    app = run(cell)
    assert app.session_state["told"] is None
    assert sent(app)["chosen"] is None


def test_a_cell_can_be_chosen_and_let_go_from_a_callback() -> None:
    app = run((0, 1))
    app.button[0].click().run()
    assert not app.exception
    assert app.session_state["told"] == (2, 3)
    assert sent(app)["chosen"] == [2, 3]
    app.button[1].click().run()
    assert not app.exception
    assert app.session_state["told"] is None


def test_the_choice_survives_a_switch_between_counts_and_shares() -> None:
    app = run((3, 1))
    app.checkbox[0].check().run()
    assert not app.exception
    assert sent(app)["show"] == "shares"
    assert app.session_state["told"] == (3, 1)


# --- names --------------------------------------------------------------------------------------------------------


def test_the_matrix_shows_hostile_and_look_alike_names_as_they_are() -> None:
    data = sent(run())
    assert data["shown"] == ["dress", "![x](//evil.example)", "dress (2)", "<b>hat</b>"]
    assert data["names"] == ["dress", "![x](//evil.example)", "dress", "<b>hat</b>"]


def test_names_are_short_where_they_are_drawn_and_whole_in_the_tooltip() -> None:
    name = "a very long name\nof a class, which goes on"
    data = sent(run(names=["owl", name]))
    assert len(data["shown"][1]) <= matrix.MAX_NAME_LENGTH
    assert data["names"][1] == "a very long name of a class, which goes on"


def test_names_travel_as_data_and_never_as_code() -> None:
    code = (matrix._DIR / "matrix.js").read_text("utf-8")
    assert "textContent" in code
    assert not [
        word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write") if word in code
    ]


@given(st.lists(st.text(alphabet="ab (2)\n…", max_size=8), max_size=12), st.integers(4, 12))
def test_shown_names_are_one_line_each_and_all_different(names: list[str], length: int) -> None:
    shown = matrix._shown(names, length)
    assert len(shown) == len(set(shown)) == len(names)
    assert not any("\n" in name for name in shown)


# --- cells --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 120])
def test_from_2_to_120_classes_are_drawn(num_classes: int) -> None:
    last = num_classes - 1
    app = run((last, last), names=[f"class {i}" for i in range(num_classes)])
    assert app.session_state["told"] == (last, last)
    data = sent(app)
    for name in ("counts", "shares", "shades"):
        assert {len(data[name]), *map(len, data[name])} == {num_classes}
    assert data["scrolls"].startswith(f"There are {num_classes} classes")


@pytest.mark.parametrize(("normalize", "show"), [(False, "counts"), (True, "shares")])
def test_cells_show_counts_or_shares(normalize: bool, show: str) -> None:
    assert sent(run(normalize=normalize))["show"] == show


def test_cells_read_as_counts_or_as_percentages_of_their_row() -> None:
    app = AppTest.from_function(odd_counts, default_timeout=20).run()
    data = sent(app)
    assert data["counts"] == [["1,999", "1", "0"], ["0", "0", "0"], ["3", "1", "4"]]
    nothing = ["0\u00a0%", "0\u00a0%", "0\u00a0%"]
    assert data["shares"] == [
        ["100\u00a0%", "<1\u00a0%", "0\u00a0%"],
        nothing,
        ["38\u00a0%", "12\u00a0%", "50\u00a0%"],
    ]
    assert data["totals"] == ["2,000", "0", "8"]


def odd_counts() -> None:
    import numpy as np

    from pages.components.matrix import confusion_matrix

    confusion_matrix(np.array([[1999, 1, 0], [0, 0, 0], [3, 1, 4]]), ["a", "b", "c"], "cm")


def test_the_colour_of_a_cell_is_the_share_of_its_class_in_counts_too() -> None:
    counts = np.arange(16).reshape(4, 4)
    for normalize in (False, True):
        assert sent(run(normalize=normalize))["shades"] == charts.confusion_shades(counts).tolist()


def test_a_dark_page_has_colours_of_its_own() -> None:
    colors = sent(run())["colors"]
    for theme in ("light", "dark"):
        assert colors[theme] == [list(pair) for pair in charts.shade_colors(dark=theme == "dark")]
    assert colors["light"] != colors["dark"]


def rearranged() -> None:
    import numpy as np
    import streamlit as st

    from pages.components.matrix import confusion_matrix

    counts = np.array([[6, 2, 0], [0, 3, 3], [0, 5, 5]])
    st.session_state["told"] = confusion_matrix(
        counts, ["a", "b", "c"], "cm", "predicted", classes=[2, 1], without_diagonal=True
    )


def test_classes_can_be_left_out_and_rearranged_and_cells_keep_their_names() -> None:
    app = AppTest.from_function(rearranged, default_timeout=20)
    app.session_state["cm"] = {"cell": (1, 2)}
    app.run()
    data = sent(app)
    assert app.session_state["told"] == (1, 2)
    assert data["names"] == ["c", "b"]
    assert data["chosen"] == [1, 0]
    assert data["counts"] == [["5", "5"], ["3", "3"]]
    assert data["totals"] == ["10", "6"]
    app.session_state["cm"] = {"cell": (0, 1)}  # not among those drawn, and chosen all the same
    app.run()
    assert app.session_state["told"] == (0, 1)
    assert sent(app)["chosen"] is None


def test_cells_can_read_as_percentages_of_what_was_predicted_without_the_diagonal() -> None:
    data = sent(AppTest.from_function(rearranged, default_timeout=20).run())
    assert data["shares"] == [["62\u00a0%", "50\u00a0%"], ["38\u00a0%", "30\u00a0%"]]
    assert data["shades"] == [[-1, 255], [191, -1]]
    assert data["wrong"][1].endswith("{share} of what was said to be {predicted}")


def test_the_mark_of_the_chosen_cell_has_a_colour_that_no_cell_has() -> None:
    css = (matrix._DIR / "matrix.css").read_text("utf-8")
    marks = re.findall(r"--chosen: (#\w{6})", css)
    assert marks == [palette.VERMILION.lower()]
    assert not [pair for dark in (False, True) for pair in charts.shade_colors(dark) if marks[0] in pair]


def test_what_is_said_of_a_cell_has_a_form_for_one_picture_and_one_for_more() -> None:
    data = sent(run())
    assert data["wrong"] == [
        "1 picture of {true}, taken for {predicted}: {share} of the class",
        "{n} pictures of {true}, taken for {predicted}: {share} of the class",
    ]
    assert data["right"][1] == "{n} pictures of {true}, recognised: {share} of the class"
    assert data["row"] == ["{true}, 1 picture", "{true}, {n} pictures"]
