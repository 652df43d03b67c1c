"""Every string of the interface exists, is used, gets its fields, and no name can be read as Markdown."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import text
from pages.components.text import FALLBACK, LANGUAGES_DIR, code, languages, plain, t

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [ROOT / "streamlit_app.py", *sorted((ROOT / "pages").rglob("*.py"))]
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


def _calls() -> Iterator[tuple[str, ast.Call, ast.expr]]:
    """Give place, call and key of each call of ``t``; one that chooses between two keys is given twice."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t":
                key = node.args[0]
                for one in (key.body, key.orelse) if isinstance(key, ast.IfExp) else (key,):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node, one


def _key(key: ast.expr) -> tuple[str, bool]:
    """Return the key of a call, and whether it is only the beginning of one."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value, False
    first = key.values[0] if isinstance(key, ast.JoinedStr) else None
    return (str(first.value) if isinstance(first, ast.Constant) else ""), True


def _entries(language: str) -> dict[str, str | dict[str, str]]:
    return dict(text._flatten(tomllib.loads((LANGUAGES_DIR / f"{language}.toml").read_text("utf-8"))))


def _fields(entry: str | dict[str, str]) -> set[str]:
    templates = [entry] if isinstance(entry, str) else list(entry.values())
    return {name for template in templates for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_key_that_the_pages_use_exists() -> None:
    known = _entries(FALLBACK)
    for place, _, expression in _calls():
        key, is_prefix = _key(expression)
        found = any(name.startswith(key) for name in known) if is_prefix and key else key in known
        assert found or (is_prefix and not key), f'{place} uses the string "{key}", which en.toml lacks'


def test_every_key_that_exists_is_used() -> None:
    used = [_key(expression) for _, _, expression in _calls()]
    whole = {key for key, is_prefix in used if not is_prefix}
    prefixes = tuple(key for key, is_prefix in used if is_prefix and key)
    unused = [
        key for key in _entries(FALLBACK) if key not in whole and not (prefixes and key.startswith(prefixes))
    ]
    assert unused == []


def test_every_call_gives_the_fields_of_its_string() -> None:
    known = _entries(FALLBACK)
    for place, node, expression in _calls():
        key, is_prefix = _key(expression)
        given = {keyword.arg for keyword in node.keywords}
        if not is_prefix and None not in given:
            assert _fields(known[key]) <= given, f'{place} does not give all fields of "{key}"'


@pytest.mark.parametrize("language", languages())
def test_a_translation_has_no_key_or_field_that_english_lacks(language: str) -> None:
    english = _entries(FALLBACK)
    for key, entry in _entries(language).items():
        assert key in english
        assert _fields(entry) <= _fields(english[key])


@pytest.fixture
def translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "en.toml").write_text('[a]\nhello = "Hello {name}"\nonly = "Only here"\n')
    (tmp_path / "de.toml").write_text(
        '[a]\nhello = "Hallo {name}"\n[a.n]\none = "{n} Bild"\nother = "{n} Bilder"\n'
    )
    monkeypatch.setattr(text, "LANGUAGES_DIR", tmp_path)
    text.languages.cache_clear()
    text._strings.cache_clear()
    yield
    text.languages.cache_clear()
    text._strings.cache_clear()


def _show() -> None:
    import streamlit as st

    from pages.components.text import t

    st.text(t("a.hello", name="{braces} 猫"))
    st.text(t("a.only"))


@pytest.mark.parametrize(("locale", "hello"), [("de-AT", "Hallo"), ("de", "Hallo"), ("fr-FR", "Hello")])
@pytest.mark.usefixtures("translated")
def test_the_browsers_language_is_used_where_there_is_one_and_english_fills_its_gaps(
    locale: str, hello: str
) -> None:
    app = AppTest.from_function(_show)
    app.context["locale"] = locale
    app.run()
    assert [element.value for element in app.text] == [hello + " {braces} 猫", "Only here"]


@pytest.mark.usefixtures("translated")
def test_n_chooses_between_one_and_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "language", lambda: "de")
    assert [t("a.n", n=n) for n in (0, 1, 2)] == ["0 Bilder", "1 Bild", "2 Bilder"]


def test_an_unknown_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "language", lambda: FALLBACK)
    with pytest.raises(KeyError, match=r"no\.such"):
        t("no.such")


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
