"""The reader's language is spoken, and no name can be read as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import words
from core.charts.canvas import escape
from core.words import one_line
from pages.components.text import code, plain

HOSTILE = [
    "![x](https://evil.example/x.png)",
    "[link](https://evil.example)",
    "<img src=x onerror=alert(1)>",
    "`` ` ```",
    ":material/home: :red[red] $x^2$ ~~gone~~",
    "# heading\n- list",
    "猫と犬",
    "",
]


@pytest.fixture
def translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "en.toml").write_text('[a]\nhello = "Hello {name}"\nonly = "Only here"\nfile = "file"\n')
    (tmp_path / "de.toml").write_text('[a]\nhello = "Hallo {name}"\nfile = "Datei"\n')
    monkeypatch.setattr(words, "LANGUAGES_DIR", tmp_path)
    words.languages.cache_clear()
    words._strings.cache_clear()
    yield
    words.languages.cache_clear()
    words._strings.cache_clear()


def _show() -> None:
    import streamlit as st

    from core.words import sentence
    from pages.components.text import t, told

    st.text(t("a.hello", name="{braces} 猫"))
    st.text(t("a.only"))
    st.text(told(sentence("a.hello", name=sentence("a.file"))))
    st.text(told(sentence("a.hello", name='"a*b*" *c*')))


@pytest.mark.parametrize(
    ("locale", "hello", "file"),
    [("de-AT", "Hallo", "Datei"), ("de", "Hallo", "Datei"), ("fr-FR", "Hello", "file")],
)
@pytest.mark.usefixtures("translated")
def test_the_browsers_language_is_used_where_there_is_one_and_english_fills_its_gaps(
    locale: str, hello: str, file: str
) -> None:
    app = AppTest.from_function(_show)
    app.context["locale"] = locale
    app.run()
    assert [element.value for element in app.text] == [
        hello + " {braces} 猫",
        "Only here",
        f"{hello} {file}",
        f"{hello} `a*b*` \\*c\\*",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_code_fences_are_longer_than_any_fence_in_the_name(name: str) -> None:
    span = code(name)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert fence not in inside
    assert inside.strip() == " ".join(name.split())


def test_plain_shows_quoted_names_as_code_and_escapes_the_rest() -> None:
    message = 'The folder "a*b*" has 0 images [see](https://x.example). Add some!'
    assert plain(message).startswith("The folder `a*b*` has 0 images \\[see\\]\\(https\\:")


@pytest.mark.parametrize("name", HOSTILE)
def test_plain_leaves_no_markdown_outside_of_code_spans(name: str) -> None:
    outside = re.sub(r"\\.", "", plain(f"It is {name} here"))
    assert not set(outside) & set("`*_[]()<>$~:#!|")


@pytest.mark.parametrize("sign", ["\u202e", "\u202b", "\u2067", "\u200f", "\u061c"])
def test_a_name_does_not_turn_the_sentence_around_it(sign: str) -> None:
    assert code(f"a{sign}b") == "`ab`"
    assert code(sign) == "` `"
    assert escape(f"a{sign}<b") == "a&lt;b"


def test_a_name_from_right_to_left_is_set_apart() -> None:
    assert code("ינשוף") == "`\u2068ינשוף\u2069`"
    assert one_line("owl 3") == "owl 3"
