"""The settings of a training: each field that applies is there with a hint, reaches the recipe, and is kept."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import catalog, queue, recipes, runs
from core.augmentation import PRESETS as AUGMENTATIONS
from core.datasets import Dataset
from core.recipes import Recipe
from core.workspace import Workspace
from pages.components import recipe_choice, run_facts, shell, training_fields
from tests.worlds import add_dataset, finished_run, has_button, visit, words

pytestmark = pytest.mark.usefixtures("served")

KEY = "form"
ELSEWHERE = {"backbone", "fractions", "keep_given", "seed", "teacher"}
"""Fields that are chosen beside the settings, or on the Data page."""
DEEP = replace(recipes.PRESETS["frozen-dense"], fine_tune_epochs=2)
SCRATCH = recipes.PRESETS["from-scratch"]


def _show() -> None:
    import streamlit as st

    from core import catalog
    from pages.components import training_settings

    recipe, on_gpu = st.session_state["recipe"], st.session_state["on_gpu"]
    spec = catalog.get(recipe.backbone)
    st.session_state["chosen"] = training_settings.settings(recipe, spec, "form", lambda: None, on_gpu=on_gpu)


def _begin(recipe: Recipe, *, on_gpu: bool = False) -> AppTest:
    app = AppTest.from_function(_show, default_timeout=30)
    app.session_state["recipe"] = recipe
    app.session_state["on_gpu"] = on_gpu
    app.run()
    assert not app.exception
    return app


def _chosen(app: AppTest) -> Recipe:
    assert not app.exception
    chosen: Recipe = app.session_state["chosen"]
    return chosen


def _widgets(app: AppTest) -> dict[str, Any]:
    """Return the widgets of fields by their names; the strengths of variations have a test of their own."""
    found = (*app.number_input, *app.selectbox, *app.slider, *app.text_input, *app.toggle)
    return {
        widget.key.removesuffix(f"_{KEY}"): widget for widget in found if not widget.key.startswith("augment")
    }


# --- which fields there are ---------------------------------------------------------------------------------------


def test_every_field_of_a_recipe_is_shown_with_a_hint_in_some_training() -> None:
    shown = {"augment"}
    for recipe in (Recipe(views=2), DEEP, SCRATCH, recipes.PRESETS["distil"]):
        widgets = _widgets(_begin(recipe, on_gpu=True))
        assert all(widget.help for widget in widgets.values())
        shown |= set(widgets)
    assert shown >= {field.name for field in fields(Recipe)} - ELSEWHERE


@pytest.mark.parametrize(
    ("recipe", "there", "absent"),
    [
        (Recipe(), {"head_strength", "weight_decay"}, {"dense_units", "dropout", "head_learning_rate"}),
        (DEEP, {"dense_units", "dropout", "head_learning_rate", "batch_size"}, {"head_strength"}),
        (replace(Recipe(), optimizer="sgd"), {"optimizer"}, {"weight_decay"}),
        (
            recipes.PRESETS["linear-probe"],
            {"fine_tune_epochs", "balance", "max_minutes"},
            {"learning_rate", "schedule", "batch_size", "patience", "label_smoothing", "views"},
        ),
        (SCRATCH, {"train_batch_norm", "dense_units"}, {"head_solver", "head_strength", "views"}),
        (Recipe(), set(), {"train_batch_norm", "mixed_precision", "teacher_weight", "teacher_temperature"}),
    ],
)
def test_a_field_that_does_not_apply_is_not_shown(recipe: Recipe, there: set[str], absent: set[str]) -> None:
    shown = set(_widgets(_begin(recipe)))
    assert there <= shown
    assert shown.isdisjoint(absent)


def test_mixed_precision_is_offered_on_a_graphics_card_only() -> None:
    mixed = replace(Recipe(), mixed_precision=True)
    assert _chosen(_begin(mixed, on_gpu=True)).mixed_precision
    assert not _chosen(_begin(mixed)).mixed_precision


@pytest.mark.parametrize("name", recipes.PRESETS)
def test_a_preset_is_shown_as_it_is(name: str) -> None:
    size = catalog.get(catalog.DEFAULT_BACKBONE).image_size
    assert _chosen(_begin(recipes.PRESETS[name])) == replace(recipes.PRESETS[name], image_size=size)


# --- changing them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("depth", 73, 0.73),
        ("pooling", "max", "max"),
        ("resize", "pad", "pad"),
        ("views", 7, 7),
        ("fine_tune_blocks", 60, 0.6),
        ("schedule", "constant", "constant"),
        ("layer_decay", 50, 0.5),
        ("label_smoothing", 10, 0.1),
        ("balance", "sampling", "sampling"),
        ("max_minutes", 1.5, 1.5),
        ("patience", 0, 0),
        ("weight_decay", 0.01, 0.01),
    ],
)
def test_what_is_chosen_reaches_the_recipe(name: str, given: object, value: object) -> None:
    app = _begin(Recipe(views=2))
    _widgets(app)[name].set_value(given).run()
    assert getattr(_chosen(app), name) == value
    assert recipes.differences(_chosen(app), replace(Recipe(views=2), image_size=224)) == (name,)


def test_a_choice_that_makes_another_field_useless_takes_it_away_and_leaves_no_refusal() -> None:
    app = _begin(replace(DEEP, dropout=0.3))
    _widgets(app)["head_solver"].set_value("lbfgs").run()
    assert (_chosen(app).dense_units, _chosen(app).dropout) == (0, 0.0)
    recipes.validate(_chosen(app))
    app = _begin(Recipe(views=4))
    app.segmented_control[0].set_value("none").run()
    assert _chosen(app).views == 0
    recipes.validate(_chosen(app))


def test_a_field_that_applies_again_begins_with_the_presets_value() -> None:
    unused = replace(recipes.PRESETS["two-stages"], views=0, augment=AUGMENTATIONS["none"])
    begun = training_fields.with_defaults(unused, recipes.PRESETS["two-stages"], on_gpu=False)
    assert begun == replace(unused, views=4)
    chosen = replace(recipes.PRESETS["two-stages"], views=0)
    assert training_fields.with_defaults(chosen, recipes.PRESETS["two-stages"], on_gpu=False) == chosen


# --- the weights --------------------------------------------------------------------------------------------------


def test_a_file_of_weights_is_asked_for_only_where_one_is_wanted() -> None:
    app = _begin(Recipe())
    assert "weights_file" not in _widgets(app)
    _widgets(app)["weights"].set_value("file").run()
    assert _chosen(app).weights == ""
    assert "As long as there is no path, it begins with ImageNet's weights." in words(app)
    _widgets(app)["weights_file"].set_value("  /no/such/file.h5 ").run()
    assert _chosen(app).weights == "/no/such/file.h5"


def test_random_weights_bring_batch_norm_into_play() -> None:
    app = _begin(Recipe())
    _widgets(app)["weights"].set_value("random").run()
    assert _chosen(app).weights == recipes.RANDOM_WEIGHTS
    assert "train_batch_norm" in _widgets(app)
    _widgets(app)["train_batch_norm"].set_value(True).run()
    _widgets(app)["weights"].set_value("imagenet").run()
    assert not _chosen(app).train_batch_norm


def test_finished_runs_with_the_same_network_can_be_gone_on_from(
    workspace: Workspace, tmp_path: Path
) -> None:
    dataset = add_dataset(workspace, tmp_path / "birds")
    done = finished_run(workspace, dataset)
    other = finished_run(workspace, dataset)
    runs.save(workspace, replace(other, recipe={**other.recipe, "backbone": "mobilenet-v2"}))
    failed = finished_run(workspace, dataset)
    runs.save(workspace, replace(failed, state="failed"))
    tiny = Recipe(backbone="tiny")
    app = _begin(tiny)
    _widgets(app)["weights"].set_value("run").run()
    assert _chosen(app).weights == f"run:{done.id}"
    assert _widgets(app)["weights_run"].options == [f"{shell.run_name(done)} · birds"]
    again = _begin(replace(tiny, weights=f"run:{done.id}"))
    assert _chosen(again).weights == f"run:{done.id}"
    _widgets(again)["depth"].set_value(50).run()
    assert _chosen(again).weights == "", "a run of another depth cannot be gone on from"
    runs.delete(workspace, done.id)
    assert "An earlier run" not in _widgets(_begin(tiny))["weights"].options


# --- on the page --------------------------------------------------------------------------------------------------


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def _field(app: AppTest, name: str) -> Any:
    found = (*app.number_input, *app.selectbox, *app.slider, *app.text_input, *app.toggle)
    return next(widget for widget in found if widget.key.startswith(f"{name}_"))


@pytest.mark.parametrize("name", recipes.PRESETS)
def test_each_preset_can_be_started_as_it_is(workspace: Workspace, birds: Dataset, name: str) -> None:
    if recipes.PRESETS[name].teacher:
        finished_run(workspace, birds)
    app = visit("training", dataset=birds.id)
    app.selectbox(key=f"training_recipe_{birds.id}").set_value(name).run()
    assert not app.exception
    assert not app.error
    assert not has_button(app, "defaults"), "nothing was changed"
    app.button(key="start_training").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    started = recipes.from_json(runs.get(workspace, job.run_id).recipe)
    assert recipes.preset_name(started) == name


def test_the_teacher_is_a_finished_run_on_the_dataset_the_best_on_validation_first(
    workspace: Workspace, birds: Dataset
) -> None:
    def distil() -> AppTest:
        app = visit("training", dataset=birds.id)
        return app.selectbox(key=f"training_recipe_{birds.id}").set_value("distil").run()

    app = distil()
    assert "There is no finished run on this dataset yet that could teach." in words(app)
    assert not has_button(app, "start_training")
    best, other = finished_run(workspace, birds), finished_run(workspace, birds)
    worse = {**other.metrics, "val": {**other.metrics["val"], "accuracy": 0.5}}
    apart = {**other.recipe, "seed": 3}
    runs.save(workspace, replace(other, metrics=worse, recipe=apart))
    app = distil()
    teacher = app.selectbox(key=f"training_teacher_{birds.id}")
    assert [option.split(" on ")[0].split(" · ")[-1] for option in teacher.options] == [
        "100.0\xa0%",
        "50.0\xa0%",
    ]
    assert teacher.value == best.id
    assert "is not smaller than Tiny" in words(app) and "another split" not in words(app)
    teacher.set_value(other.id).run()
    assert "The student gets the teacher's" in words(app)
    app.button(key="start_training").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    recipe = recipes.from_json(runs.get(workspace, job.run_id).recipe)
    assert (recipe.teacher, recipe.seed) == (f"run:{other.id}", 3)
    assert run_facts.recipe_name(replace(other, recipe=recipe.to_json()), "") == "Distil into a small network"
    alone = replace(recipe, teacher="").to_json()
    assert run_facts.recipe_name(replace(other, recipe=alone), "") == "Two stages, changed"
    runs.delete(workspace, other.id)
    assert visit("training", dataset=birds.id).selectbox(key=f"training_teacher_{birds.id}").value == best.id


def test_a_combination_that_cannot_be_is_refused_with_the_reason_in_place_of_the_forecast(
    birds: Dataset,
) -> None:
    app = visit("training", dataset=birds.id)
    _field(app, "head_epochs").set_value(0)
    _field(app, "fine_tune_epochs").set_value(0).run()
    assert not app.exception
    assert "so nothing would be trained" in app.error[0].value
    assert not has_button(app, "start_training")
    assert not app.metric


def test_variations_are_kept_for_the_dataset_and_lead_back_to_the_defaults(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    assert "more on disk until fine-tuning has ended" in words(app)
    preset = next(control for control in app.segmented_control if control.key.startswith("augment_preset"))
    preset.set_value("strong").run()
    assert "more on disk until fine-tuning has ended" not in words(app)
    assert "Changed: Variations of training pictures." in words(app)
    again = visit("training", dataset=birds.id)
    assert recipe_choice.kept(birds).recipe.augment == AUGMENTATIONS["strong"]
    again.button(key="defaults").click().run()
    assert not again.exception
    assert recipe_choice.kept(birds).recipe.augment == AUGMENTATIONS["light"]
    assert not has_button(again, "defaults")


def test_from_scratch_is_kept_for_the_dataset(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    app.selectbox(key=f"training_recipe_{birds.id}").set_value("from-scratch").run()
    assert (
        visit("training", dataset=birds.id).selectbox(key=f"training_recipe_{birds.id}").value
        == "from-scratch"
    )


def test_the_preview_is_drawn_once_it_is_opened(birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    assert not app.get("image") and "Each row: a training picture" not in words(app)
    app.session_state["training_preview"] = True
    app.run()
    assert not app.exception
    assert "what the network gets of it at 224 × 224 pixels" in words(app)
