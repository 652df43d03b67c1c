"""The preview: training pictures only, as the recipe would give them to the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import audit, splits
from core.augmentation import PRESETS, Augmentation
from core.recipes import Recipe
from core.workspace import Workspace
from pages.components import training_preview
from tests.pictures import write
from tests.worlds import RECIPE, add_dataset, has_button, words

PATHS = [f"{label}/{index}.png" for index in range(4) for label in ("owl", "wren")]
VARIED = replace(RECIPE, augment=PRESETS["medium"])
PLAIN = replace(RECIPE, augment=PRESETS["none"])


def _show() -> None:
    import streamlit as st

    from pages.components import training_preview

    training_preview.preview(*st.session_state["given"], st.session_state["recipe"])


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    for seed, path in enumerate(PATHS):
        write(tmp_path / "birds" / path, seed)
    return tmp_path / "birds"


def _begin(root: Path, recipe: Recipe, paths: Sequence[str] = PATHS) -> AppTest:
    app = AppTest.from_function(_show, default_timeout=30)
    app.session_state["given"] = root, paths
    app.session_state["recipe"] = recipe
    return _run(app)


def _run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def _with(app: AppTest, recipe: Recipe) -> AppTest:
    app.session_state["recipe"] = recipe
    return _run(app)


def _shown(app: AppTest) -> dict[str, str]:
    """Return the addresses of the pictures by what a screen reader says; an address tells the bytes."""
    pictures = [picture for element in app.get("image") for picture in element.proto.imgs]
    shown = {picture.alt: picture.url for picture in pictures}
    assert len(shown) == len(pictures), "two pictures are called the same"
    return shown


def _for_network(app: AppTest) -> set[str]:
    return {url for alt, url in _shown(app).items() if alt.endswith("network")}


def test_each_picture_stands_whole_and_as_the_network_gets_it_before_five_variations_of_it(
    birds: Path,
) -> None:
    shown = _shown(_begin(birds, VARIED))
    names = ["owl/0.png", "wren/0.png", "owl/1.png"]
    expected = [
        alt
        for name in names
        for alt in (
            f"{name}, the whole picture of the file",
            f"{name}, at the size and shape for the network",
            *(f"{name}, variation {n}" for n in range(1, 6)),
        )
    ]
    assert list(shown) == expected
    assert len(set(shown.values())) == len(shown), "two pictures are the same"


def test_settings_are_followed_at_once_and_the_pictures_themselves_stay(birds: Path) -> None:
    app = _begin(birds, VARIED)
    before = _shown(app)
    after = _shown(_with(app, replace(VARIED, augment=replace(VARIED.augment, rotation=40.0))))
    changed = {alt for alt in before if before[alt] != after[alt]}
    assert changed == {alt for alt in before if "variation" in alt}


def test_image_size_and_resize_rule_are_the_recipes(birds: Path) -> None:
    app = _begin(birds, PLAIN)
    assert "at 32 × 32 pixels" in words(app)
    first = _for_network(app)
    assert first.isdisjoint(_for_network(_with(app, replace(PLAIN, resize="pad"))))
    larger = _with(app, replace(PLAIN, image_size=64))
    assert "at 64 × 64 pixels" in words(larger)
    assert first.isdisjoint(_for_network(larger))


def test_without_variations_more_pictures_are_shown_and_it_is_said(birds: Path) -> None:
    app = _begin(birds, PLAIN)
    assert list(_shown(app)) == [
        f"{path}, {what}"
        for path in PATHS[:6]
        for what in ("the whole picture of the file", "at the size and shape for the network")
    ]
    assert "They are not varied." in words(app)
    assert "would not use" not in words(app)


def test_other_pictures_go_round_all_of_them(birds: Path) -> None:
    app = _begin(birds, PLAIN)
    seen = []
    for _ in range(4):
        seen += [alt.partition(",")[0] for alt in _shown(app) if alt.endswith("network")]
        app.button(key="preview_other").click()
        _run(app)
    assert seen == PATHS * 3


def test_few_pictures_have_no_others(birds: Path) -> None:
    app = _begin(birds, VARIED, PATHS[:2])
    assert len(_shown(app)) == 14
    assert not has_button(app, "preview_other")


def test_mixing_is_shown_where_the_training_mixes(birds: Path) -> None:
    mixing = replace(VARIED, augment=replace(VARIED.augment, cutmix=1.0))
    app = _begin(birds, VARIED)
    alone = _shown(app)
    mixed = _shown(_with(app, mixing))
    assert "CutMix: here the pictures shown are mixed" in words(app)
    assert any(alone[alt] != mixed[alt] for alt in alone)
    without_stage_2 = _with(app, replace(mixing, fine_tune_epochs=0, views=4))
    assert _shown(without_stage_2) == alone
    assert "would not use CutMix" in words(without_stage_2)


def test_variations_that_no_stage_uses_are_not_shown_and_it_is_said(birds: Path) -> None:
    app = _begin(birds, replace(VARIED, fine_tune_epochs=0))
    assert not any("variation" in alt for alt in _shown(app))
    assert "would not use the variations" in words(app)


@pytest.mark.parametrize(
    ("recipe", "used"),
    [
        (replace(RECIPE, augment=PRESETS["strong"]), PRESETS["strong"]),
        (
            replace(RECIPE, augment=PRESETS["strong"], fine_tune_epochs=0, views=2),
            replace(PRESETS["strong"], mixup=0.0),
        ),
        (replace(RECIPE, augment=PRESETS["strong"], fine_tune_epochs=0), Augmentation()),
    ],
)
def test_what_is_in_use_depends_on_the_stages(recipe: Recipe, used: Augmentation) -> None:
    assert training_preview.in_use(recipe) == used


def test_a_lost_and_a_broken_file_are_named_and_the_others_shown(birds: Path) -> None:
    (birds / PATHS[0]).unlink()
    (birds / PATHS[1]).write_bytes(b"no picture")
    app = _begin(birds, VARIED)
    assert {alt.partition(",")[0] for alt in _shown(app)} == {PATHS[2]}
    assert [warning.value.partition(" ")[0] for warning in app.warning] == ["`owl/0.png`", "`wren/0.png`"]


def test_a_file_that_was_changed_is_shown_anew(birds: Path) -> None:
    app = _begin(birds, PLAIN)
    before = _shown(app)
    write(birds / PATHS[0], seed=99)
    after = _shown(_run(app))
    assert {alt.partition(",")[0] for alt in before if before[alt] != after[alt]} == {PATHS[0]}
    assert sum(before[alt] != after[alt] for alt in before) == 2


def test_a_name_is_never_read_as_markdown(birds: Path) -> None:
    name = "![x](https:evil.example) `a`.png"
    write(birds / name, 50)
    app = _begin(birds, VARIED, [name])
    assert f"``{name}``" in words(app)


@pytest.mark.usefixtures("served")
def test_only_training_pictures_are_offered_the_classes_by_turns(
    workspace: Workspace, tmp_path: Path
) -> None:
    dataset = add_dataset(workspace, tmp_path / "birds")
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    paths = training_preview.training_paths(dataset)
    assert set(paths) == set(table["path"][splits.assign(table) == "train"])
    assert [path.partition("/")[0] for path in paths[:3]] == ["kite", "owl", "wren"]


@pytest.mark.usefixtures("served")
def test_a_dataset_that_was_not_looked_at_has_none(workspace: Workspace, tmp_path: Path) -> None:
    assert training_preview.training_paths(add_dataset(workspace, tmp_path / "birds", audited=False)) == ()
