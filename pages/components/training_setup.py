"""Choose a backbone and a recipe, see what they will cost, start."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core import catalog, queue, recipes, runs
from core.catalog import BackboneSpec
from core.datasets import Dataset
from core.errors import RecipeError
from core.forecast import Forecast, forecast
from core.images import RESIZE_RULES
from core.recipes import AUGMENTATIONS, Recipe
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.dataset import SplitSummary
from pages.components.job import duration
from pages.components.text import code, plain, t

MIN_COLUMN_WIDTH, MIN_SETTING_WIDTH = 340, 220
"""Pixels; where less is left, what stands side by side goes one below the other."""


def setup(dataset: Dataset, split: SplitSummary) -> None:
    """Draw the choices and the button that starts a training on ``dataset``."""
    grid = st.grid(2, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.container():
        recipe, spec, key = _choices(dataset, split)
    costs = grid.container(border=True)
    with st.expander(t("training.settings"), icon=":material/tune:"):
        recipe = _settings(recipe, spec, key)
    with costs:
        _start(dataset, split, recipe)


def _choices(dataset: Dataset, split: SplitSummary) -> tuple[Recipe, BackboneSpec, str]:
    """Return the recipe as its preset has it, its backbone, and the key of the settings that go with both."""
    spec = _backbone()
    name = st.segmented_control(
        t("training.recipe"),
        list(recipes.PRESETS),
        default=recipes.DEFAULT_PRESET,
        required=True,
        format_func=lambda preset: t(f"recipe.{preset}.title"),
        key="training_recipe",
        help=t("training.recipe_help"),
    )
    st.caption(t(f"recipe.{name}.text"))
    recipe = replace(
        recipes.preset(name or recipes.DEFAULT_PRESET, dataset.sample),
        backbone=spec.name,
        fractions=split.fractions,
        seed=split.seed,
    )
    return recipe, spec, f"{name}_{spec.name}_{dataset.id}"


def _backbone() -> BackboneSpec:
    """Let the visitor choose a backbone, those that are ready now first."""
    offered = [spec for spec in catalog.CATALOG.values() if not spec.hidden]
    statuses = {spec.name: catalog.weights_status(spec) for spec in offered}
    offered.sort(key=lambda spec: (not statuses[spec.name].ready, spec.gmacs))

    def label(name: str) -> str:
        spec, status = catalog.CATALOG[name], statuses[name]
        state = (
            t("backbone.ready") if status.ready else t("backbone.download", mb=f"{status.download_mb:,.0f}")
        )
        return f"{spec.title}  ·  {state}"

    names = [spec.name for spec in offered]
    chosen = st.selectbox(
        t("training.backbone"),
        names,
        index=names.index(catalog.DEFAULT_BACKBONE),
        format_func=label,
        key="training_backbone",
        help=t("training.backbone_help"),
    )
    spec = catalog.CATALOG[chosen]
    facts = t(
        "backbone.facts",
        parameters=f"{spec.num_parameters / 1e6:.1f}",
        gmacs=f"{spec.gmacs:.2g}",
        size=spec.image_size,
        paper=plain(spec.paper),
    )
    st.caption(facts)
    if not statuses[chosen].ready:
        st.info(plain(statuses[chosen].message), icon=":material/download:")
    return spec


def _settings(recipe: Recipe, spec: BackboneSpec, key: str) -> Recipe:
    """Draw every field of the recipe; widgets are keyed so that another preset brings its own values."""
    grid = st.grid(3, min_column_width=MIN_SETTING_WIDTH, gap="medium")
    with grid.container():
        st.markdown(t("training.images"))
        image_size = st.number_input(
            t("field.image_size"),
            min_value=spec.min_size,
            max_value=recipes.MAX_IMAGE_SIZE,
            value=recipe.image_size or spec.image_size,
            step=32,
            key=f"image_size_{key}",
            help=t("field.image_size_help", size=spec.image_size),
        )
        resize = st.selectbox(
            t("field.resize"),
            RESIZE_RULES,
            format_func=lambda rule: t(f"resize.{rule}"),
            key=f"resize_{key}",
            help=t("field.resize_help"),
        )
        augment = st.selectbox(
            t("field.augment"),
            AUGMENTATIONS,
            index=AUGMENTATIONS.index(recipe.augment),
            format_func=lambda strength: t(f"augment.{strength}"),
            key=f"augment_{key}",
            help=t("field.augment_help"),
            disabled=not recipe.fine_tune_epochs,
        )
        weights = st.text_input(
            t("field.weights"),
            key=f"weights_{key}",
            placeholder=t("field.weights_empty"),
            help=t("field.weights_help"),
        )
    with grid.container():
        st.markdown(t("training.stage_1"))
        head_epochs = st.number_input(
            t("field.head_epochs"),
            1,
            10_000,
            recipe.head_epochs,
            key=f"head_epochs_{key}",
            help=t("field.head_epochs_help"),
        )
        head_strength = st.number_input(
            t("field.head_strength"),
            0.001,
            1000.0,
            recipe.head_strength,
            format="%g",
            key=f"head_strength_{key}",
            help=t("field.head_strength_help"),
        )
    if not recipe.fine_tune_epochs:
        return replace(
            recipe,
            weights=weights.strip(),
            image_size=int(image_size),
            resize=resize,
            head_epochs=int(head_epochs),
            head_strength=float(head_strength),
        )
    with grid.container():
        st.markdown(t("training.stage_2"))
        fine_tune_epochs = st.number_input(
            t("field.fine_tune_epochs"),
            1,
            1000,
            recipe.fine_tune_epochs,
            key=f"fine_tune_epochs_{key}",
            help=t("field.fine_tune_epochs_help"),
        )
        blocks = st.slider(
            t("field.fine_tune_blocks"),
            5,
            100,
            round(100 * recipe.fine_tune_blocks),
            format="%d %%",
            key=f"blocks_{key}",
            help=t("field.fine_tune_blocks_help"),
        )
        rate = st.number_input(
            t("field.learning_rate"),
            1e-6,
            1e-2,
            recipe.learning_rate,
            step=1e-5,
            format="%g",
            key=f"rate_{key}",
            help=t("field.learning_rate_help"),
        )
        batch_size = st.number_input(
            t("field.batch_size"),
            1,
            1024,
            recipe.batch_size,
            key=f"batch_{key}",
            help=t("field.batch_size_help"),
        )
    return replace(
        recipe,
        weights=weights.strip(),
        image_size=int(image_size),
        resize=resize,
        augment=augment,
        head_epochs=int(head_epochs),
        head_strength=float(head_strength),
        fine_tune_epochs=int(fine_tune_epochs),
        fine_tune_blocks=blocks / 100,
        learning_rate=float(rate),
        batch_size=int(batch_size),
    )


def _start(dataset: Dataset, split: SplitSummary, recipe: Recipe) -> None:
    """Draw what the training will need, and the button."""
    try:
        recipe = recipes.validate(recipe)
    except RecipeError as error:
        st.error(plain(error), icon=":material/error:")
        return
    device = queue.default_device()
    held_out = split.num_images["val"] + split.num_images["test"]
    past = runs.list_runs(shell.workspace())
    needs = forecast(recipe, split.num_images["train"], held_out, split.num_classes, device.id, past)
    st.markdown(t("training.forecast_title", device=code(device.title)))
    _costs(needs)
    st.caption(t("forecast.measured") if needs.measured else t("forecast.rough"))
    st.button(
        t("training.start"),
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        key="start_training",
        on_click=start,
        args=(dataset, recipe),
    )
    st.caption(t("training.split_line", **{name: f"{count:,}" for name, count in split.num_images.items()}))


def _costs(needs: Forecast) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(t("forecast.time"), t("forecast.about", value=duration(needs.total_s)), width="content")
        st.metric(
            t("forecast.memory"), t("forecast.about", value=_megabytes(needs.memory_mb)), width="content"
        )
        st.metric(t("forecast.disk"), t("forecast.about", value=_megabytes(needs.disk_mb)), width="content")


def _megabytes(number: float) -> str:
    return f"{number / 1000:.1f} GB" if number >= 1000 else f"{max(1, round(number))} MB"


def start(dataset: Dataset, recipe: Recipe) -> None:
    """Put a training in the queue and make its run the current one."""
    with shell.errors():
        shell.choose("run", dataset_view.train_once(dataset.id, dataset.name, recipe))
