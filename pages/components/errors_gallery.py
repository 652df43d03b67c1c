"""Photos with what they are and what the model took them for; a click opens one large, with those beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, images
from core.datasets import Pictures
from core.evaluation import top_classes
from core.runs import Predictions, Run
from core.words import one_line
from pages.components import address, photos, shell
from pages.components.choice import follow, keep
from pages.components.explanation import show_explanation
from pages.components.figure import figure
from pages.components.gallery import Item, gallery, pager
from pages.components.photo_decisions import decide
from pages.components.text import code, language, percent, t

PAGE_SIZE = 24
PHOTO = "photo"
"""Name in the URL of the photo that is open: its row among what the run says about the split."""


def photo_gallery(
    pictures: Pictures | None, table: pd.DataFrame, key: str, label: str, page_in_url: str
) -> int | None:
    """Show rows of :func:`core.runs.answers` as pictures, a page of them at a time.

    Args:
        pictures: Where the dataset's pictures are; None where its folder is gone.
        table: The rows to show, in order.
        key: Of the widgets.
        label: What a screen reader says the pictures are.
        page_in_url: Name in the URL of the page that is shown.

    Returns:
        The ``row`` of the picture that was opened just now, else None.
    """
    num_pages = max(1, -(-len(table) // PAGE_SIZE))
    page = _kept_page(page_in_url, num_pages, hash(table["row"].to_numpy().tobytes()))
    rows = table.iloc[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    shown = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    opened = gallery([_item(pictures, row) for row in shown], key=key, label=label)
    return None if opened is None else int(opened)


def _kept_page(name: str, num_pages: int, listed: int) -> int:
    """Let the visitor choose a page that stands in the URL; another list begins with its first."""
    is_followed = follow(name, lambda text: address.number(text) or 1)
    is_another = st.session_state.get(f"_listed_{name}", listed) != listed and not is_followed
    st.session_state[f"_listed_{name}"] = listed
    begin = 1 if is_another else min(max(1, st.session_state[name]), num_pages)
    number, began = st.session_state.get(f"_turned_{name}", (0, begin))
    if is_followed or begin != st.session_state[name]:
        number, began = number + 1, begin  # not the visitor's own choice: another widget shows it
    st.session_state[f"_turned_{name}"] = (number, began)
    page = pager(num_pages, key=f"{name}_{number}", default=min(began, num_pages))
    st.session_state[name] = page
    keep(name, str(page) if page > 1 else "")
    return page


def put_into_url(row: int | None, name: str = PHOTO) -> None:
    """Have the photo of this row opened, where one was chosen just now."""
    if row is not None:
        address.write({name: str(row)})


def _item(pictures: Pictures | None, row: dict[str, Any]) -> Item:
    picture, found = photos.small(pictures or Path(), row["path"], row["sha256"])
    words = {
        "true": one_line(row["true"]),
        "predicted": one_line(row["predicted"]),
        "confidence": percent(row["probability"]),
        "true_confidence": percent(row["true_probability"]),
    }
    lost = "" if found else f" · {t('photo.lost')}"
    return Item(
        id=str(row["row"]),
        thumbnail=picture,
        alt=t("photo.alt_wrong" if row["wrong"] else "photo.alt_right", **words),
        title=t("photo.predicted", **words),
        subtitle=_subtitle(row, words) + lost,
        mark="wrong" if row["wrong"] else "right",
    )


def _subtitle(row: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return what the picture is and, in a comparison, what the first run said; a card has room for one of these."""
    if "before" not in row:
        return t("photo.true", **words)
    said = {"name": one_line(row["before"]), "p": percent(row["before_probability"])}
    if row["before"] == row["true"]:
        return t("photo.before_right", **said)
    if not row["wrong"]:
        return t("photo.before", **said)
    return f"{t('photo.true', **words)} · {t('photo.before', **said)}"


def show_chosen(
    run: Run,
    pictures: Pictures | None,
    answers: pd.DataFrame,
    said: Predictions,
    lists: Sequence[pd.DataFrame],
    name: str = PHOTO,
) -> None:
    """Open the photo that the URL names, if any, with a way to those beside it in the first list that holds it.

    Args:
        run: The run they belong to.
        pictures: Where the dataset's pictures are; None where its folder is gone.
        answers: One row per image of the split.
        said: What the run says about the split.
        lists: The lists on the page.
        name: Of the photo in the URL.
    """
    opened = address.number(st.query_params.get(name, ""))
    if opened is None or not (answers["row"] == opened).any():
        keep(name, "")
        return
    keep(name, str(opened))
    rows = next((table for table in lists if (table["row"] == opened).any()), answers)
    close = partial(address.write, {name: None})
    st.dialog(t("photo.title"), width="large", on_dismiss=close)(shell.errors()(_large))(
        run, pictures, answers, said, [int(row) for row in rows["row"]], name
    )


def _large(
    run: Run,
    pictures: Pictures | None,
    answers: pd.DataFrame,
    said: Predictions,
    rows: Sequence[int],
    name: str,
) -> None:
    opened = address.number(st.query_params.get(name, ""))
    place = rows.index(opened) if opened in rows else 0
    found = answers[answers["row"] == rows[place]].iloc[0]
    row = {str(column): value for column, value in found.items()}
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        _step(t("photo.previous"), "left", name, rows[max(0, place - 1)], disabled=place == 0)
        st.caption(t("photo.place", place=f"{place + 1:,}", total=f"{len(rows):,}"), width="content")
        last = len(rows) - 1
        _step(t("photo.next"), "right", name, rows[min(last, place + 1)], disabled=place == last)
    _about(run, pictures, row, said)
    if pictures is not None:
        show_explanation(run, pictures, row)


def _step(label: str, arrow: str, name: str, row: int, *, disabled: bool) -> None:
    st.button(
        label,
        key=f"photo_{arrow}",
        icon=f":material/arrow_{'back' if arrow == 'left' else 'forward'}:",
        shortcut=arrow,
        on_click=put_into_url,
        args=(row, name),
        disabled=disabled,
    )


def _about(run: Run, pictures: Pictures | None, row: dict[str, Any], said: Predictions) -> None:
    picture, found = photos.large(pictures or Path(), row["path"], row["sha256"])
    left, right = st.columns([3, 2], gap="large")
    with left:
        if found:
            size = images.inspect_image(picture)
            st.image(picture, width=photos.shown_width(size.width, size.height), alt=str(row["path"]))
        else:
            st.warning(t("photo.lost_text"), icon=":material/broken_image:")
        st.caption(code(row["path"]))
    with right:
        icon = ":material/close:" if row["wrong"] else ":material/check:"
        st.markdown(t("photo.is", true=code(row["true"])))
        st.markdown(
            f"{icon} " + t("photo.taken_for", predicted=code(row["predicted"]), p=percent(row["probability"]))
        )
        if "before" in row:
            st.caption(t("photo.before_text", name=code(row["before"]), p=percent(row["before_probability"])))
        names, probabilities = zip(*top_classes(said.y_prob[row["row"]], run.class_names), strict=True)
        figure(
            charts.probability_bars(names, probabilities, true_name=row["true"], language=language()),
            key=f"probabilities_{row['row']}",
            alt=t("photo.bars_alt"),
        )
        with shell.errors():
            decide(run, row)
