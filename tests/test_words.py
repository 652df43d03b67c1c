"""Every string exists, is used and gets its fields; a sentence can be kept and is said in the reader's language."""

from __future__ import annotations

import ast
import json
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import words
from core.words import FALLBACK, Sentence, listed, quoted, say, sentence

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    ROOT / "streamlit_app.py",
    *sorted((ROOT / "pages").rglob("*.py")),
    *sorted((ROOT / "core").rglob("*.py")),
]
SPEAKERS = {"t", "say", "words.say", "sentence", "words.sentence"}
"""What takes the key of a string first and its fields by name."""


def _calls() -> Iterator[tuple[str, ast.Call, ast.expr]]:
    """Give place, call and key of each call of a speaker; one that chooses between two keys is given twice."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in SPEAKERS:
                key = node.args[0]
                for one in (key.body, key.orelse) if isinstance(key, ast.IfExp) else (key,):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node, one


def _key(key: ast.expr) -> tuple[str, bool]:
    """Return the key of a call, and whether it is only the beginning of one."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value, False
    first = key.values[0] if isinstance(key, ast.JoinedStr) else None
    return (str(first.value) if isinstance(first, ast.Constant) else ""), True


def _ending(key: ast.expr) -> str:
    """Return the end of a key that begins with a name, such as ``.title`` where the titles of pages are said."""
    if not isinstance(key, ast.JoinedStr) or isinstance(key.values[0], ast.Constant):
        return ""
    last = key.values[-1]
    return str(last.value) if isinstance(last, ast.Constant) else ""


def _entries(language: str) -> dict[str, str | dict[str, str]]:
    path = words.LANGUAGES_DIR / f"{language}.toml"
    return dict(words._flatten(tomllib.loads(path.read_text("utf-8"))))


def _fields(entry: str | dict[str, str]) -> set[str]:
    templates = [entry] if isinstance(entry, str) else list(entry.values())
    return {name for template in templates for _, name, _, _ in string.Formatter().parse(template) if name}


def test_core_and_pages_both_speak() -> None:
    assert {place.split("/")[0] for place, _, _ in _calls()} == {"core", "pages"}


def test_every_key_that_is_said_exists() -> None:
    known = _entries(FALLBACK)
    for place, _, expression in _calls():
        key, is_prefix = _key(expression)
        found = any(name.startswith(key) for name in known) if is_prefix and key else key in known
        assert found or (is_prefix and not key), f'{place} uses the string "{key}", which en.toml lacks'


def test_every_key_that_exists_is_said() -> None:
    used = [_key(expression) for _, _, expression in _calls()]
    whole = {key for key, is_prefix in used if not is_prefix}
    prefixes = tuple(key for key, is_prefix in used if is_prefix and key)
    endings = tuple(ending for _, _, key in _calls() if (ending := _ending(key)))
    unused = [
        key
        for key in _entries(FALLBACK)
        if key not in whole and not key.startswith(prefixes) and not key.endswith(endings)
    ]
    assert unused == []


def test_every_call_gives_the_fields_of_its_string() -> None:
    known = _entries(FALLBACK)
    for place, node, expression in _calls():
        key, is_prefix = _key(expression)
        given = {keyword.arg for keyword in node.keywords}
        if not is_prefix and None not in given:
            assert _fields(known[key]) <= given, f'{place} does not give all fields of "{key}"'


def test_what_people_look_at_is_called_a_picture() -> None:
    for key, entry in _entries(FALLBACK).items():
        for text in [entry] if isinstance(entry, str) else entry.values():
            said = "".join(part for part, _, _, _ in string.Formatter().parse(text)).lower()
            said = said.replace("imagenet", "").replace("images/s", "")
            assert "image" not in said, f'"{key}" speaks of images'


@pytest.mark.parametrize("language", words.languages())
def test_a_translation_has_no_key_or_field_that_english_lacks(language: str) -> None:
    english = _entries(FALLBACK)
    for key, entry in _entries(language).items():
        assert key in english
        assert _fields(entry) <= _fields(english[key])


@pytest.fixture
def translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "en.toml").write_text(
        '[a]\nonly = "Only here"\nof = "{count} of {name}"\nn = "{n} pictures"\n'
    )
    (tmp_path / "de.toml").write_text(
        '[a]\nof = "{count} von {name}"\n[a.n]\none = "{n} Bild"\nother = "{n} Bilder"\n'
    )
    monkeypatch.setattr(words, "LANGUAGES_DIR", tmp_path)
    words.languages.cache_clear()
    words._strings.cache_clear()
    yield
    words.languages.cache_clear()
    words._strings.cache_clear()


@pytest.mark.usefixtures("translated")
def test_n_chooses_between_one_and_other() -> None:
    assert [say("a.n", "de", n=n) for n in (0, 1, 2)] == ["0 Bilder", "1 Bild", "2 Bilder"]


@pytest.mark.usefixtures("translated")
def test_what_a_language_lacks_is_said_in_english() -> None:
    assert words.languages() == ("de", "en")
    assert say("a.only", "de") == "Only here"


@pytest.mark.usefixtures("translated")
def test_a_sentence_in_a_sentence_is_said_in_the_same_language() -> None:
    said = sentence("a.of", count=sentence("a.n", n=1), name="{braces} 猫")
    assert say(said.key, "de", **said.values) == "1 Bild von {braces} 猫"
    assert str(said) == "1 pictures of {braces} 猫"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"no\.such"):
        say("no.such")


@pytest.mark.parametrize(("names", "said"), [(["a"], "a"), (["a", "b", "c"], "a, b, c")])
def test_things_are_listed_in_their_order(names: list[str], said: str) -> None:
    assert str(listed(names)) == said


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a"], '"a"'), (list("abcde"), '"a", "b", "c", "d", "e"'), (list("abcdefg"), "and 2 more")],
)
def test_names_are_quoted_and_many_are_counted(names: list[str], said: str) -> None:
    assert str(quoted(names)).endswith(said)


def test_a_sentence_comes_back_from_json_as_it_was() -> None:
    names = sentence("list.more", names=listed(['"owl"', '"{n} 猫"']), n=1200)
    kept = sentence("note.unseen", n=1, names=names)
    again = words.from_json(json.loads(json.dumps(kept.to_json())))
    assert again == kept
    assert str(again).startswith('Left out 1 picture of "owl", "{n} 猫" and 1,200 more:')


def test_a_plain_string_of_an_older_graft_stays_as_it_is() -> None:
    old = words.from_json("Fine-tuning was kept {n} times.")
    assert str(old) == "Fine-tuning was kept {n} times."
    assert words.from_json(old.to_json()) == old


@pytest.mark.parametrize(
    "stored",
    [
        {"key": "note.of_the_future", "values": {}},
        {"key": "note.kept", "values": {"epoch": 2}},
        {"key": "note.kept", "values": {"epoch": 2, "language": "xx"}},
        {"key": "note.unseen", "values": {"n": "many", "names": "x"}},
    ],
)
def test_a_sentence_that_this_graft_cannot_say_is_replaced_by_one_that_says_so(
    stored: dict[str, object],
) -> None:
    found = words.from_json(stored)
    assert found == Sentence("note.unknown", {"name": str(stored["key"])})
    assert str(stored["key"]) in str(found)


@pytest.mark.parametrize("stored", [None, 7, ["note.kept"], {"text": "x"}, {"key": "note.kept", "values": 3}])
def test_what_is_no_sentence_is_refused(stored: object) -> None:
    with pytest.raises((TypeError, KeyError, AttributeError)):
        words.from_json(stored)  # type: ignore[arg-type]
