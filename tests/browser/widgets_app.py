"""A page with nothing but the shared widgets, for tests/browser/test_widgets.py."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st
from PIL import Image

from core import charts
from pages.components.figure import figure
from pages.components.gallery import Item, gallery
from pages.components.matrix import choose, confusion_matrix

HOSTILE = "<img src=https://evil.example/x.png> ![x](https://evil.example/y.png)"
NAMES = ["owl", HOSTILE, "猫", "wren"]


def picture(number: int, size: tuple[int, int] = (96, 96)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (20 * number, 114, 178)).save(file, "WEBP")
    return file.getvalue()


@st.dialog("Photo")
def show(item_id: str) -> None:
    st.text(f"Opened {item_id}")


st.title("Widgets")
items = [
    Item(str(i), picture(i), alt=f"Photo {i}, wrong", title=NAMES[i % 4], subtitle="98.2 %", mark="wrong")
    for i in range(11)
]
items[1] = Item("1", b"no picture", alt="Photo 1, not readable", title=HOSTILE, mark="warning")
items[2] = Item("2", picture(2, (96, 16)), alt="Photo 2, right", title="wide", mark="right")
items[3] = Item("3", picture(3, (8, 8)), alt="Photo 3", title="tiny")
opened = gallery(items, key="photos", label="Photos")
if opened is not None:
    show(opened)
num_classes = int(st.query_params.get("classes", len(NAMES)))
if num_classes == len(NAMES):
    class_names = NAMES
    counts = np.array([[9, 1, 0, 0], [0, 8, 2, 0], [0, 0, 0, 0], [1, 0, 0, 20]])
else:
    length = int(st.query_params.get("length", 11))
    class_names = [f"{number:03}".ljust(length, "x") for number in range(num_classes)]
    counts = 12 * np.eye(num_classes, dtype=int) + np.eye(num_classes, k=1, dtype=int)
shares = st.checkbox("Shares")
chosen = confusion_matrix(
    counts,
    class_names,
    "cells",
    "share" if shares else "counts",
    corner="True ↓  Predicted →",
    alt="Confusion matrix",
)
st.button("Choose 3-0", on_click=choose, args=("cells", 3, 0))
st.text(f"Chosen {chosen}")
figure(charts.probability_bars(NAMES, [0.7, 0.2, 0.1, 0.0], true_name=HOSTILE), "bars", alt="Probabilities")
