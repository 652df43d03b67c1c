"""CSV that is opened by spreadsheets and comes back from them: nothing is computed, and nothing is lost on the way."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import csv_tables
from core.csv_tables import UnreadableRow, as_it_was, harmless

hostile = st.text("'=+-@＝\t\r\n1.e,;\"a", max_size=6)


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-cmd", "@SUM(A1)", "＝1", "\t=1", "\r=1", "'=1"])
def test_what_a_spreadsheet_would_compute_begins_with_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["owl", "a=b", "'owl'", "-3", "+4.5e-3", "-,5", "", -3, None])
def test_what_it_would_not_stays(value: object) -> None:
    assert harmless(value) is value


@given(hostile)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert as_it_was(str(harmless(text))) == text


@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=4))
def test_a_table_comes_back_as_it_was(made: list[tuple[str, str]]) -> None:
    text = csv_tables.to_csv(pd.DataFrame(made, columns=["path", "value"]))
    back = [tuple(map(as_it_was, row)) for _, row in csv_tables.rows(text, strict=True)]
    assert back == [
        ("path", "value"),
        *(row for row in made if any(str(harmless(cell)).strip() for cell in row)),
    ]


def test_columns_may_have_the_same_name_and_be_named_like_formulas() -> None:
    table = pd.DataFrame([["=1", 2, -3], ["owl", 4, -5]], columns=["true", "=x", "true"])
    assert csv_tables.to_csv(table).splitlines() == ["true,'=x,true", "'=1,2,-3", "owl,4,-5"]
    assert list(table.columns) == ["true", "=x", "true"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\na;b\n1;2\n", [(2, ["a", "b"]), (3, ["1", "2"])]),
        ('"sep=\t"\r\na,b\t"c\td"\r\n', [(2, ["a,b", "c\td"])]),
        ("SEP=,\n\na;b,c\n", [(3, ["a;b", "c"])]),
        ('"a,b,c";"d,""e"""\n1;2\n', [(1, ["a,b,c", 'd,"e"']), (2, ["1", "2"])]),
        ('a;"b\nc,d,e,f"\n1;2\n', [(2, ["a", "b\nc,d,e,f"]), (3, ["1", "2"])]),
        ('size 5",path\n1,2\n', [(1, ['size 5"', "path"]), (2, ["1", "2"])]),
        ("sep\na\n", [(1, ["sep"]), (2, ["a"])]),
        ("", []),
    ],
)
def test_the_delimiter_is_found(text: str, expected: list[tuple[int, list[str]]]) -> None:
    assert list(csv_tables.rows(text)) == expected


def test_a_quote_that_is_never_closed_is_told_with_its_line() -> None:
    with pytest.raises(UnreadableRow) as told:
        list(csv_tables.rows('sep=,\na,b\n"1,2\n', strict=True))
    assert told.value.line == 3
