"""Strings of the interface in the reader's language; and names that must not be read as Markdown."""

from __future__ import annotations

import re
import time

import streamlit as st

from core import words
from core.words import one_line

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&^=])")
_QUOTED = re.compile(r'"([^"\n]+)"')


def t(key: str, **values: object) -> str:
    """Return the interface string ``key`` in the reader's language, its ``{fields}`` filled in.

    Untrusted values (names of files, folders, classes) must go through :func:`code` wherever Markdown is read.

    Raises:
        KeyError: No such string, not even in English.
    """
    return words.say(key, language(), **values)


def told(sentence: words.Sentence) -> str:
    """Return what core says, in the reader's language, as Markdown that shows it as it is (see :func:`plain`)."""
    return plain(said(sentence))


def said(sentence: words.Sentence) -> str:
    """Return what core says, in the reader's language; not to be read as Markdown."""
    return words.say(sentence.key, language(), **sentence.values)


def language() -> str:
    """Return the language of the browser if there is a file for it, else English."""
    wanted = (st.context.locale or words.FALLBACK).lower()
    known = words.languages()
    return next((name for name in (wanted, wanted.split("-")[0]) if name in known), words.FALLBACK)


def percent(share: float, digits: int = 1) -> str:
    """Return a share in 0…1 in percent, its sign apart by a space that never breaks."""
    return f"{100 * share:.{digits}f}\u00a0%"


def when(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as people read it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def code(value: object) -> str:
    """Return untrusted text as a Markdown code span, in which no image, link, icon or formula is read."""
    text = one_line(value) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def plain(message: object) -> str:
    """Return a message as Markdown that shows it as it is; what stands in double quotes becomes a code span.

    Messages of Graft's errors put names in quotes, and a name may look like Markdown.
    """
    parts = _QUOTED.split(str(message))
    return "".join(code(part) if i % 2 else _MARKDOWN.sub(r"\\\1", part) for i, part in enumerate(parts))
