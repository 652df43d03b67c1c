"""Every sentence of the interface, by key and language, in one file per language: ``<language>.toml``.

A language is added by adding a file; what it lacks is shown in English. An entry with the keys ``one`` and
``other`` is a plural and is chosen by ``n``.

What core has to say about data and trainings is a :class:`Sentence`: a key and the values that belong in it, kept as
JSON and put into words where it is read. Errors are the exception: they carry their own words, written where they
are raised, because they must read the same on a page, in a terminal, in a log and in a report of a fault.
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES_DIR = Path(__file__).parent
FALLBACK = "en"
MAX_NAMED = 5
"""Names that a sentence gives before it counts the rest."""
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Signs that turn the direction in which text runs, also that of the sentence around them."""


@dataclass(frozen=True)
class Sentence:
    """Something to be said, in whatever language the reader has; in English as ``str``.

    Args:
        key: Dotted path in the language files, such as ``"note.kept"``. Sentences are kept in records of runs, so a
            key that was used there is not renamed.
        values: What fills the fields of the string: text, numbers, or sentences, such as a count within a sentence.
    """

    key: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        return say(self.key, FALLBACK, **self.values)

    def to_json(self) -> dict[str, Any]:
        """Return the sentence as a JSON object."""
        values = {
            name: value.to_json() if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return {"key": self.key, "values": values}


Value = str | int | float | Sentence


def sentence(key: str, /, **values: Value) -> Sentence:
    """Return the sentence ``key`` with its values."""
    return Sentence(key, values)


def from_json(stored: Mapping[str, Any] | str) -> Sentence:
    """Rebuild a sentence from its JSON object; a plain string of an older Graft stays as it is.

    One that this Graft cannot say, as a newer one may have written, is replaced by a sentence that says so.

    Raises:
        TypeError: It is neither a JSON object nor a string.
        KeyError: The JSON object is not one of a sentence.
    """
    if isinstance(stored, str):
        return sentence("note.plain", text=stored)
    values = {
        name: from_json(value) if isinstance(value, Mapping) else value
        for name, value in stored["values"].items()
    }
    found = Sentence(stored["key"], values)
    try:
        str(found)
    except (KeyError, TypeError, ValueError):
        return sentence("note.unknown", name=str(found.key))
    return found


def listed(items: Sequence[Value]) -> Value:
    """Return one or more things as one that names them all, parted as the reader's language does it."""
    return functools.reduce(lambda before, item: sentence("list.next", before=before, item=item), items)


def quoted(names: Sequence[str]) -> Value:
    """Return names, at least one, as one thing to say: in quotes, which pages turn into code spans."""
    shown = listed([f'"{name}"' for name in names[:MAX_NAMED]])
    if len(names) <= MAX_NAMED:
        return shown
    return sentence("list.more", names=shown, n=len(names) - MAX_NAMED)


def one_line(value: object) -> str:
    """Return untrusted text with each run of spaces and line breaks as one space; still not to be read as Markdown.

    What it says of the direction of text is left out, and what is written from right to left is set apart, so that
    the sentence around it keeps its order.
    """
    text = " ".join(_DIRECTIONS.sub("", str(value)).split())
    if any(unicodedata.bidirectional(sign) in ("R", "AL", "AN") for sign in text):
        return f"\u2068{text}\u2069"
    return text


def say(key: str, /, language: str = FALLBACK, **values: object) -> str:
    """Return the string ``key`` in a language, its ``{fields}`` filled in.

    Args:
        key: Dotted path in the language file, such as ``"home.title"``.
        language: One of :func:`languages`.
        values: The fields; sentences among them are put into the same language. ``n`` also chooses between ``one``
            and ``other``.

    Raises:
        KeyError: No such string, not even in English; or a field of it is not given.
    """
    entry = _strings(language).get(key) or _strings(FALLBACK)[key]
    template = (
        entry
        if isinstance(entry, str)
        else entry["one" if values.get("n") == 1 and "one" in entry else "other"]
    )
    if not values:
        return template
    said = {
        name: say(value.key, language, **value.values) if isinstance(value, Sentence) else value
        for name, value in values.items()
    }
    return template.format(**said)


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the names of the languages there are, such as ``("en",)``."""
    return tuple(sorted(path.stem for path in LANGUAGES_DIR.glob("*.toml")))


@functools.cache
def _strings(name: str) -> dict[str, str | dict[str, str]]:
    return dict(_flatten(tomllib.loads((LANGUAGES_DIR / f"{name}.toml").read_text("utf-8"))))


def _flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str | dict[str, str]]]:
    entries: list[tuple[str, str | dict[str, str]]] = []
    for name, value in table.items():
        if isinstance(value, str) or "other" in value:
            entries.append((prefix + name, value))
        else:
            entries += _flatten(value, f"{prefix}{name}.")
    return entries
