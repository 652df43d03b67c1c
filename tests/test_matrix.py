"""The confusion matrix tells which cell is chosen, whatever the classes are called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.components import matrix

NAMES = ["dress", "![x](//evil.example)", "dress ", "<b>hat</b>"]


def script(names: list[str]) -> None:
    import numpy as np
    import streamlit as st

    from pages.components.matrix import choose, confusion_matrix

    st.button("jump", on_click=choose, args=("cm", 2, 3))
    counts = np.arange(len(names) ** 2).reshape(len(names), len(names))
    st.session_state["told"] = confusion_matrix(
        counts, names, "cm", normalize=True, corner="True ↓", alt="Matrix"
    )


def run(*cells: tuple[int, str], names: list[str] = NAMES) -> AppTest:
    app = AppTest.from_function(script, args=(names,), default_timeout=20)
    if cells:
        app.session_state["cm"] = {"selection": {"rows": [], "columns": [], "cells": list(cells)}}
    app.run()
    assert not app.exception
    return app


def test_without_a_choice_there_is_no_cell() -> None:
    assert run().session_state["told"] is None


def test_the_chosen_cell_is_told_by_true_and_predicted_index() -> None:
    assert run((1, "2")).session_state["told"] == (1, 2)


@pytest.mark.parametrize("cell", [(0, "_index"), (0, ""), (9, "0"), (0, "9"), (0, "dress")])
def test_names_beside_the_matrix_and_cells_of_another_one_are_no_choice(cell: tuple[int, str]) -> None:
    assert run(cell).session_state["told"] is None


def test_a_cell_can_be_chosen_from_a_callback() -> None:
    app = run()
    app.button[0].click().run()
    assert not app.exception
    assert app.session_state["told"] == (2, 3)


def test_the_matrix_shows_hostile_and_look_alike_names_as_they_are() -> None:
    shown = run().dataframe[0].value
    assert shown.index.tolist() == ["dress", "![x](//evil.example)", "dress (2)", "<b>hat</b>"]
    assert shown.columns.tolist() == ["0", "1", "2", "3"]


def _columns(names: list[str]) -> dict[str, dict[str, Any]]:
    columns: dict[str, dict[str, Any]] = json.loads(run(names=names).dataframe[0].proto.columns)
    return columns


def test_columns_carry_names_that_are_whole_under_the_mouse_and_never_read_as_markdown() -> None:
    column = _columns(["dress", "![x](https://evil.example/x.png)"])["1"]
    assert column["label"] == "![x](h…x.png)"
    assert column["help"] == "`![x](https://evil.example/x.png)`"


@pytest.mark.parametrize(("num_classes", "numbered"), [(11, False), (12, True), (120, True)])
def test_columns_whose_names_do_not_fit_carry_the_numbers_of_the_rows(
    num_classes: int, numbered: bool
) -> None:
    names = [f"c{i:03}" for i in range(num_classes)]
    columns = _columns(names)
    assert columns["2"]["label"] == ("3" if numbered else "c002")
    assert run(names=names).dataframe[0].value.index[2] == ("3. c002" if numbered else "c002")
    assert columns["2"]["help"] == "`c002`"


@pytest.mark.parametrize("length", [3, 11, 60])
def test_12_classes_fit_beside_the_most_confused_pairs(length: int) -> None:
    columns = _columns([f"{i:02}".ljust(length, "x") for i in range(12)])
    assert sum(column["width"] for column in columns.values()) <= matrix.ROOM


@pytest.mark.parametrize("num_classes", [2, 120])
def test_from_2_to_120_classes_are_drawn(num_classes: int) -> None:
    last = num_classes - 1
    app = run((last, str(last)), names=[f"class {i}" for i in range(num_classes)])
    assert app.session_state["told"] == (last, last)


def test_cells_read_as_counts_or_as_percentages_of_their_row() -> None:
    counts = np.array([[1999, 1, 0], [0, 0, 0], [3, 1, 4]])

    def read(normalize: bool) -> list[list[str]]:
        styled = matrix._styled(counts, ["a", "b", "c"], normalize, dark=False, chosen=None)
        body = styled._translate(False, False)["body"]
        return [[cell["display_value"] for cell in row if cell["type"] == "td"] for row in body]

    assert read(False) == [["1,999", "1", "·"], ["·", "·", "·"], ["3", "1", "4"]]
    nothing = ["·", "·", "·"]
    assert read(True) == [["100\u00a0%", "<1\u00a0%", "·"], nothing, ["38\u00a0%", "12\u00a0%", "50\u00a0%"]]


@given(st.lists(st.text(alphabet="ab (2)\n…", max_size=8), max_size=12), st.integers(4, 12))
def test_shown_names_are_one_line_each_and_all_different(names: list[str], length: int) -> None:
    shown = matrix._shown(names, length)
    assert len(shown) == len(set(shown)) == len(names)
    assert not any("\n" in name for name in shown)
