"""The gallery hands its pictures and names to the browser as data; tests/browser shows what it does there."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components import address, cards, gallery, picker
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


def paged(num_items: int) -> None:
    import pandas as pd
    import streamlit as st

    from pages.components import address
    from pages.components.errors_gallery import photo_gallery

    address.begin("evaluation")
    first = st.session_state.get("first", 0)
    row = {"path": "x.png", "sha256": "", "true": "a", "predicted": "b", "wrong": True}
    table = pd.DataFrame([row | {"probability": 1.0, "true_probability": 0.0}] * num_items)
    photo_gallery(None, table.assign(row=range(first, first + num_items)), "photos", "Photos", "cell_page")
    address.end("evaluation")


def test_the_page_of_a_gallery_stands_in_the_url_and_another_list_begins_with_its_first() -> None:
    app = AppTest.from_function(paged, args=(60,), default_timeout=20)
    app.query_params["cell_page"] = "3"
    app.run()
    assert not app.exception
    (sent,) = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    assert [item["id"] for item in sent["items"]] == [str(row) for row in range(48, 60)]
    app.session_state["first"] = 100  # as many others
    app.run()
    (sent,) = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    assert sent["items"][0]["id"] == "100"
    assert "cell_page" not in app.query_params
    app.session_state["first"] = 0
    app.query_params["cell_page"] = "2"  # a link leads to another list and its second page at once
    app.run()
    (sent,) = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    assert sent["items"][0]["id"] == "24"


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "٣", " 1", "9" * 5000])
def test_what_is_no_small_whole_number_is_none(text: str) -> None:
    assert address.number(text) is None
    assert address.pair(f"{text}-1") is None
    assert address.pair(f"1-{text}") is None
    assert (address.number("012"), address.pair("3-0")) == (12, (3, 0))


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
