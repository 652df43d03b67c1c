"""The gallery hands its pictures and names to the browser as data; tests/browser shows what it does there."""

from __future__ import annotations

import base64
import io

from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components import cards, gallery, picker
from pages.components.gallery import Item

HOSTILE = "</script><img src=https://evil.example/x.png> ![x](https://evil.example/y.png)"


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (0, 114, 178)).save(file, "WEBP")
    return file.getvalue()


def script(num_items: int) -> None:
    import streamlit as st

    from pages.components.gallery import Item, gallery

    items = [
        Item(str(i), b"", alt=f"Photo {i}", title="owl", subtitle="wren", mark="wrong")
        for i in range(num_items)
    ]
    st.session_state["told"] = gallery(items, "photos", "Photos")


def test_until_a_picture_is_opened_nothing_is_told() -> None:
    app = AppTest.from_function(script, args=(3,), default_timeout=20).run()
    assert not app.exception
    assert app.session_state["told"] is None


def test_without_pictures_nothing_is_drawn() -> None:
    app = AppTest.from_function(script, args=(0,), default_timeout=20).run()
    assert not app.exception
    assert app.session_state["told"] is None


def test_names_travel_as_data_and_never_as_code() -> None:
    sent = gallery._as_json(Item("1", picture(), alt=HOSTILE, title=HOSTILE, subtitle=HOSTILE, mark="wrong"))
    assert sent["alt"] == sent["title"] == sent["subtitle"] == HOSTILE
    card = picker._as_json(picker.Card("1", b"", alt=HOSTILE, title=HOSTILE, heading=HOSTILE))
    assert card["alt"] == card["title"] == card["heading"] == HOSTILE and card["src"] == ""
    for name in ("gallery.js", "picker.js"):
        code = cards.asset(name)
        assert "textContent" in code
        assert not [
            word
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")
            if word in code
        ]


def test_thumbnails_travel_inside_the_page() -> None:
    kind, _, encoded = gallery._as_json(Item("1", picture(), alt="", title=""))["src"].partition(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (8, 8)
