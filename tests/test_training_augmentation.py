"""The choice of variations: presets, one's own strengths, and that the two always agree."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.augmentation import LIMITS, PRESETS, Augmentation
from pages.components import training_augmentation
from tests.worlds import words


def _show() -> None:
    import streamlit as st

    from pages.components import training_augmentation

    key = st.text_input("key", "recipe")
    st.session_state["chosen"] = training_augmentation.choose(st.session_state["settings"], key)


def _begin(settings: Augmentation) -> AppTest:
    app = AppTest.from_function(_show, default_timeout=30)
    app.session_state["settings"] = settings
    app.run()
    assert not app.exception
    return app


def _preset(app: AppTest) -> Any:
    return app.segmented_control[0]


def _chosen(app: AppTest) -> Augmentation:
    assert not app.exception
    chosen: Augmentation = app.session_state["chosen"]
    return chosen


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_settings_are_shown_as_that_preset(name: str) -> None:
    app = _begin(PRESETS[name])
    assert _preset(app).value == name
    assert _chosen(app) == PRESETS[name]


def test_settings_of_no_preset_are_shown_as_ones_own_with_every_strength() -> None:
    app = _begin(Augmentation(rotation=20.0, shift=0.2, horizontal_flip=True))
    assert _preset(app).value == "own"
    assert "Rotation 20° · Shift 20\u00a0% · Mirror left to right" in words(app)


def test_every_kind_has_a_widget_with_a_hint_up_to_its_limit() -> None:
    app = _begin(Augmentation())
    for kind in fields(Augmentation):
        if kind.name in LIMITS:
            slider = app.slider(key=f"augment_{kind.name}_recipe")
            assert (slider.min, slider.max) == (0.0, LIMITS[kind.name])
            slider.set_value(LIMITS[kind.name])
            assert slider.help
        else:
            assert app.toggle(key=f"augment_{kind.name}_recipe").set_value(True).help
    app.run()
    assert _chosen(app) == replace(Augmentation(**dict(LIMITS)), horizontal_flip=True, vertical_flip=True)


def test_choosing_a_preset_sets_the_strengths() -> None:
    app = _begin(PRESETS["light"])
    _preset(app).set_value("strong").run()
    assert _chosen(app) == PRESETS["strong"]
    assert app.slider(key="augment_randaugment_recipe").value == 7.0
    _preset(app).set_value("none").run()
    assert _chosen(app) == Augmentation()
    assert "Every picture stays as it is." in words(app)


def test_changing_a_strength_makes_them_ones_own_and_changing_it_back_the_preset() -> None:
    app = _begin(PRESETS["light"])
    app.slider(key="augment_crop_recipe").set_value(0.30000000000000004).run()
    assert _preset(app).value == "own"
    assert _chosen(app) == replace(PRESETS["light"], crop=0.3)
    app.slider(key="augment_crop_recipe").set_value(0.2).run()
    assert _preset(app).value == "light"


def test_ones_own_begin_with_the_strengths_that_were_there() -> None:
    app = _begin(PRESETS["medium"])
    _preset(app).set_value("own").run()
    assert _preset(app).value == "own"
    assert _chosen(app) == PRESETS["medium"]


def test_under_another_key_the_choice_begins_anew() -> None:
    app = _begin(PRESETS["light"])
    _preset(app).set_value("strong").run()
    app.text_input[0].set_value("another recipe").run()
    assert _chosen(app) == PRESETS["light"]


def test_while_no_preset_is_chosen_the_strengths_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, object] = {"augment_preset_k": None, "augment_crop_k": 0.3}
    monkeypatch.setattr(st, "session_state", state)
    called: list[bool] = []
    training_augmentation._take_preset("k", lambda: called.append(True))
    assert state == {"augment_preset_k": None, "augment_crop_k": 0.3}
    assert called == [True]
