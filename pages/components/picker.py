"""A grid of pictures that are selected and decided about, by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from pages.components.cards import asset, picture
from pages.components.text import t

_component = st.components.v2.component(
    "graft_picker",
    html='<div class="graft-picker graft-cards"></div>',
    css=asset("picker.css"),
    js=asset("picker.js"),
    isolate_styles=False,  # a dialog gives the focus back only to what it finds in the page's own tree
)


@dataclass(frozen=True)
class Card:
    """One picture, or a file that cannot be shown. No text of it is read as Markdown or HTML.

    Attributes:
        id: Told back when it is opened or decided about; unique among the cards.
        thumbnail: A small picture, WEBP bytes; empty where there is none.
        alt: What a screen reader says instead of the picture and its captions.
        title: First line below the picture.
        subtitle: Second line, quieter.
        heading: Above the cards that belong together; neighbours with the same one do.
    """

    id: str
    thumbnail: bytes
    alt: str
    title: str
    subtitle: str = ""
    heading: str = ""


@dataclass(frozen=True)
class Act:
    """What the visitor wants done with some of the cards.

    Attributes:
        kind: One of the actions that were offered.
        value: The class to relabel to, else ``""``.
        ids: Of the cards; at least one.
    """

    kind: str
    value: str
    ids: tuple[str, ...]


def picker(
    cards: Sequence[Card],
    key: str,
    label: str,
    on_act: Callable[[Act], None],
    *,
    actions: Sequence[str],
    class_names: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> str | None:
    """Show the cards with a bar of what can be done with those that are selected.

    Arrows, Home and End move between the cards; Space or a click selects one, Shift extends the selection, Ctrl+A
    takes all, Escape none; Enter or a double click opens one. X, K and L exclude, keep and relabel what is selected,
    or the card that has the focus.

    Args:
        cards: In order. Each adds its thumbnail to the page: show a few dozen at a time.
        key: Of the widget.
        label: What a screen reader says the cards are.
        on_act: Called before the next run of the page with what is to be done.
        actions: What is offered: of ``"exclude"``, ``"relabel"`` and ``"keep"``.
        class_names: What can be relabelled to.
        spare: Ids of the cards that are offered to be selected at once.

    Returns:
        The id of the card that was opened just now, else None.
    """
    ids = [card.id for card in cards]
    result = _component(
        key=key,
        data={
            "label": label,
            "cards": [_as_json(card) for card in cards],
            "actions": list(actions),
            "classes": list(class_names),
            "spare": [card_id for card_id in spare if card_id in ids],
            "words": _words(),
        },
        on_act_change=partial(_follow, key, frozenset(ids), tuple(actions), tuple(class_names), on_act),
        on_open_change=lambda: None,
    )
    return result.open if result.open in ids else None


def _follow(
    key: str,
    ids: frozenset[str],
    actions: Sequence[str],
    class_names: Sequence[str],
    on_act: Callable[[Act], None],
) -> None:
    act = read_act(st.session_state[key].get("act"), ids, actions, class_names)
    if act is not None:
        on_act(act)


def read_act(
    told: Any, ids: frozenset[str], actions: Sequence[str], class_names: Sequence[str]
) -> Act | None:
    """Return what a browser asks for, or None where it makes no sense: it may be anything."""
    match told:
        case {"kind": str(kind), "value": str(value), "ids": list(chosen)} if kind in actions:
            known = tuple(card_id for card_id in chosen if isinstance(card_id, str) and card_id in ids)
            if known and (value in class_names if kind == "relabel" else not value):
                return Act(kind, value, known)
    return None


def _as_json(card: Card) -> dict[str, str]:
    return {
        "id": card.id,
        "src": picture(card.thumbnail),
        "alt": card.alt,
        "title": card.title,
        "subtitle": card.subtitle,
        "heading": card.heading,
    }


def _words() -> dict[str, Any]:
    return {
        "none": t("picker.none"),
        "selected": [t("picker.selected", n=n) for n in (1, "{n}")],
        "bar": t("picker.bar"),
        "all": t("picker.all"),
        "clear": t("picker.clear"),
        "spare": t("picker.spare"),
        "open": t("picker.open"),
        "exclude": t("picker.exclude"),
        "keep": t("picker.keep"),
        "relabel": t("picker.relabel"),
        "class": t("picker.class"),
        "choose": t("picker.choose"),
    }
