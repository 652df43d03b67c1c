"""Every sentence of the interface, by key and language, in one file per language: ``<language>.toml``.

A language is added by adding a file; what it lacks is shown in English. An entry with the keys ``one`` and
``other`` is a plural and is chosen by ``n``.

What core has to say about data and trainings is a :class:`Sentence`: a key and the values that belong in it, kept as
JSON and put into words where it is read. Errors are the exception: they carry their own words, written where they
are raised, because they must read the same on a page, in a terminal, in a log and in a report of a fault.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES_DIR = Path(__file__).parent
FALLBACK = "en"


@dataclass(frozen=True)
class Sentence:
    """Something to be said, in whatever language the reader has; in English as ``str``.

    Args:
        key: Dotted path in the language files, such as ``"note.kept"``.
        values: What fills the fields of the string: text and numbers only, since it is kept as JSON.
    """

    key: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)

    def __str__(self) -> str:
        values: dict[str, Any] = dict(self.values)
        return say(self.key, **values)

    def to_json(self) -> dict[str, Any]:
        """Return the sentence as a JSON object."""
        return {"key": self.key, "values": dict(self.values)}


def sentence(key: str, **values: str | int | float) -> Sentence:
    """Return the sentence ``key`` with its values."""
    return Sentence(key, values)


def from_json(stored: Mapping[str, Any] | str) -> Sentence:
    """Rebuild a sentence from its JSON object; a plain string of an older Graft stays as it is."""
    if isinstance(stored, str):
        return Sentence("note.plain", {"text": stored})
    return Sentence(stored["key"], stored["values"])


def say(key: str, language: str = FALLBACK, **values: object) -> str:
    """Return the string ``key`` in a language, its ``{fields}`` filled in.

    Args:
        key: Dotted path in the language file, such as ``"home.title"``.
        language: One of :func:`languages`.
        values: The fields. ``n`` also chooses between ``one`` and ``other``.

    Raises:
        KeyError: No such string, not even in English.
    """
    entry = _strings(language).get(key) or _strings(FALLBACK)[key]
    template = (
        entry
        if isinstance(entry, str)
        else entry["one" if values.get("n") == 1 and "one" in entry else "other"]
    )
    return template.format(**values) if values else template


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
