"""Photos with what they are and what the model took them for; a click opens one large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, images
from core.evaluation import top_classes
from core.runs import Predictions, Run
from pages.components import photos
from pages.components.figure import figure
from pages.components.gallery import Item, gallery, pager
from pages.components.text import code, language, percent, t

PAGE_SIZE = 24


def photo_gallery(
    run: Run, root: Path | None, table: pd.DataFrame, said: Predictions, key: str, label: str
) -> None:
    """Show rows of :func:`core.runs.answers` as pictures, a page of them at a time.

    Args:
        run: The run they belong to.
        root: The dataset's folder; None where it is gone.
        table: The rows to show, in order.
        said: What the run says about the split.
        key: Of the widgets.
        label: What a screen reader says the pictures are.
    """
    num_pages = max(1, -(-len(table) // PAGE_SIZE))
    page = pager(num_pages, key=f"{key}_page_{len(table)}")
    rows = table.iloc[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    shown = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    opened = gallery([_item(root, row) for row in shown], key=key, label=label)
    for row in shown:
        if str(row["row"]) == opened:
            _show(run, root, row, said)


def _item(root: Path | None, row: dict[str, Any]) -> Item:
    picture, found = photos.small(root or Path(), row["path"], row["sha256"])
    words = {
        "true": row["true"],
        "predicted": row["predicted"],
        "confidence": percent(row["probability"]),
        "true_confidence": percent(row["true_probability"]),
    }
    lost = "" if found else f" · {t('photo.lost')}"
    return Item(
        id=str(row["row"]),
        thumbnail=picture,
        alt=t("photo.alt_wrong" if row["wrong"] else "photo.alt_right", **words),
        title=t("photo.predicted", **words),
        subtitle=t("photo.true", **words) + lost,
        mark="wrong" if row["wrong"] else "right",
    )


@st.dialog(t("photo.title"), width="large")
def _show(run: Run, root: Path | None, row: dict[str, Any], said: Predictions) -> None:
    picture, found = photos.large(root or Path(), row["path"], row["sha256"])
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
        names, probabilities = zip(*top_classes(said.y_prob[row["row"]], run.class_names), strict=True)
        figure(
            charts.probability_bars(names, probabilities, true_name=row["true"], language=language()),
            key=f"probabilities_{row['row']}",
            alt=t("photo.bars_alt"),
        )
