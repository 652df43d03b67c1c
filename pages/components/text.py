"""Every string of the interface, by key and language; and names that must not be read as Markdown.

The strings live in ``languages/<language>.toml``. A language is added by adding a file; what it lacks is shown
in English. An entry with the keys ``one`` and ``other`` is a plural and is chosen by ``n``.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

LANGUAGES_DIR = Path(__file__).with_name("languages")
FALLBACK = "en"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&^=])")
_QUOTED = re.compile(r'"([^"\n]+)"')


def t(key: str, **values: object) -> str:
    """Return the interface string ``key`` in the reader's language, its ``{fields}`` filled in.

    Args:
        key: Dotted path in the language file, such as ``"home.title"``.
        values: The fields. ``n`` also chooses between ``one`` and ``other``. Untrusted values (names of files,
            folders, classes) must go through :func:`code` wherever Markdown is read.

    Raises:
        KeyError: No such string, not even in English.
    """
    entry = _strings(language()).get(key) or _strings(FALLBACK)[key]
    template = (
        entry
        if isinstance(entry, str)
        else entry["one" if values.get("n") == 1 and "one" in entry else "other"]
    )
    return template.format(**values) if values else template


def language() -> str:
    """Return the language of the browser if there is a file for it, else English."""
    wanted = (st.context.locale or FALLBACK).lower()
    known = languages()
    return next((name for name in (wanted, wanted.split("-")[0]) if name in known), FALLBACK)


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


def percent(share: float, digits: int = 1) -> str:
    """Return a share in 0…1 in percent, its sign apart by a space that never breaks."""
    return f"{100 * share:.{digits}f}\u00a0%"


def code(value: object) -> str:
    """Return untrusted text as a Markdown code span, in which no image, link, icon or formula is read."""
    text = " ".join(str(value).split()) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def plain(message: object) -> str:
    """Return a message as Markdown that shows it as it is; what stands in double quotes becomes a code span.

    Messages of Graft's errors put names in quotes, and a name may look like Markdown.
    """
    parts = _QUOTED.split(str(message))
    return "".join(code(part) if i % 2 else _MARKDOWN.sub(r"\\\1", part) for i, part in enumerate(parts))
