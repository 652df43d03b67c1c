"""Choose a backbone and a recipe, see what they will cost, start."""

from __future__ import annotations

import shutil
from dataclasses import replace

import streamlit as st

from core import catalog, datasets, queue, recipes, runs
from core.catalog import BackboneSpec
from core.datasets import Dataset
from core.errors import DeviceError, RecipeError
from core.forecast import MIN_MEASURED, Forecast, forecast
from core.recipes import Recipe
from pages.components import dataset as dataset_view
from pages.components import recipe_choice, shell, training_fields, training_teacher
from pages.components.backbone_ranking import show_ranking
from pages.components.dataset import SplitSummary
from pages.components.job import duration
from pages.components.recipe_choice import RecipeChoice
from pages.components.text import code, plain, said, t, told
from pages.components.training_preview import preview, training_paths
from pages.components.training_settings import forget, settings

MIN_COLUMN_WIDTH = 340
"""Pixels; where less is left, what stands side by side goes one below the other."""

_CHANGED = "_setup_changed"


def setup(dataset: Dataset, split: SplitSummary) -> None:
    """Draw the choices and the button that starts a training on ``dataset``."""
    kept = recipe_choice.kept(dataset)
    grid = st.grid(2, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.container():
        spec = _backbone(dataset, kept)
        name = _preset(dataset, kept)
        learns = bool(recipes.PRESETS[name].teacher)
        teacher = (
            training_teacher.choose(dataset, split, spec, kept.recipe, _mark_as_changed) if learns else ""
        )
        differences = st.container()
    costs = grid.container(border=True)
    default = replace(_default(name, spec, dataset, split), teacher=teacher)
    key = f"{name}_{spec.name}_{dataset.id}"
    is_kept = (kept.preset, kept.recipe.backbone) == (name, spec.name)
    begin = replace(kept.recipe, teacher=teacher, **split.chosen) if is_kept else default
    on_gpu = _on_gpu()
    begin = training_fields.with_defaults(begin, default, on_gpu)
    with st.expander(t("training.settings"), icon=":material/tune:"):
        recipe = settings(begin, spec, key, _mark_as_changed, on_gpu=on_gpu)
    if st.session_state.pop(_CHANGED, False):
        recipe_choice.keep(dataset, RecipeChoice(name, recipe))
    with differences:
        _differences(dataset, RecipeChoice(name, default), recipe, key)
    with costs:
        _start(dataset, split, recipe)
    _preview(dataset, recipe)
    show_ranking(dataset, split)


def _on_gpu() -> bool:
    try:
        return queue.default_device().id != "cpu"
    except DeviceError:  # said where the training would be started
        return False


def _preview(dataset: Dataset, recipe: Recipe) -> None:
    """Draw what the network will see, once the visitor wants to know."""
    panel = st.expander(
        t("training.preview"), icon=":material/visibility:", key="training_preview", on_change="rerun"
    )
    if panel.open:
        with panel, shell.errors():
            preview(dataset.pictures, training_paths(dataset), recipe)


def _default(name: str, spec: BackboneSpec, dataset: Dataset, split: SplitSummary) -> Recipe:
    preset = recipes.preset(name, dataset.sample)
    return replace(
        preset,
        backbone=spec.name,
        image_size=preset.image_size or spec.image_size,
        **split.chosen,
    )


def _mark_as_changed() -> None:
    """Have the choice kept once it is whole; only a visitor's own change is, or old pages would undo newer ones."""
    st.session_state[_CHANGED] = True


def _preset(dataset: Dataset, kept: RecipeChoice) -> str:
    name: str = st.selectbox(
        t("training.recipe"),
        list(recipes.PRESETS),
        index=list(recipes.PRESETS).index(kept.preset),
        format_func=lambda preset: f"{t(f'recipe.{preset}.title')}  ·  {t(f'recipe.{preset}.line')}",
        key=f"training_recipe_{dataset.id}",
        help=t("training.recipe_help"),
        on_change=_mark_as_changed,
    )
    st.caption(t(f"recipe.{name}.text"))
    return name


def _differences(dataset: Dataset, default: RecipeChoice, recipe: Recipe, key: str) -> None:
    """Say which settings are not those of the preset, and offer to go back to these."""
    names = recipes.differences(recipe, default.recipe)
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            t("training.changed", names=", ".join(said(recipes.title(name)) for name in names)),
            width="content",
        )
        st.button(
            t("training.defaults"),
            key="defaults",
            type="tertiary",
            icon=":material/restart_alt:",
            on_click=_back_to,
            args=(dataset, default, key),
        )


def _back_to(dataset: Dataset, default: RecipeChoice, key: str) -> None:
    with shell.errors():
        recipe_choice.keep(dataset, default)
        forget(key)


def _backbone(dataset: Dataset, kept: RecipeChoice) -> BackboneSpec:
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
    begin = kept.recipe.backbone if kept.recipe.backbone in names else catalog.DEFAULT_BACKBONE
    chosen = st.selectbox(
        t("training.backbone"),
        names,
        index=names.index(begin),  # and not the first: drawn in another place, a widget may begin anew
        format_func=label,
        key=f"training_backbone_{dataset.id}",
        help=t("training.backbone_help"),
        on_change=_mark_as_changed,
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
        st.info(told(statuses[chosen].message), icon=":material/download:")
    return spec


def _start(dataset: Dataset, split: SplitSummary, recipe: Recipe) -> None:
    """Draw what the training will need, and the button."""
    if not dataset.root.is_dir():
        st.error(t("training.folder_gone", path=code(dataset.root)), icon=":material/folder_off:")
        return
    try:
        recipe = recipes.validate(recipe)
        device = queue.default_device()
    except RecipeError as error:
        st.error(plain(training_fields.titled(str(error))), icon=":material/error:")
        return
    except DeviceError as error:
        st.error(plain(error), icon=":material/error:")
        return
    past = runs.list_runs(shell.workspace())
    free = shutil.disk_usage(shell.workspace().home).free
    needs = forecast(recipe, split.num_images, split.num_classes, device.id, past, free)
    st.markdown(t("training.forecast_title", device=code(device.title)))
    _costs(needs)
    st.caption(t("forecast.measured") if needs.measured else t("forecast.rough", n=MIN_MEASURED))
    memory = queue.device_memory("cpu")  # the forecast is about the session's process, whatever its device
    if memory is not None and needs.memory_mb > memory.total_mb:
        total = f"{memory.total_mb / 1000:.1f}"
        st.warning(t("training.too_large", total=total), icon=":material/memory:")
    st.button(
        t("training.start"),
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        key="start_training",
        on_click=start,
        args=(dataset, recipe, needs.total_s),
    )
    st.caption(t("training.split_line", **{name: f"{count:,}" for name, count in split.num_images.items()}))


def _costs(needs: Forecast) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(t("forecast.time"), t("forecast.about", value=duration(needs.total_s)), width="content")
        st.metric(
            t("forecast.memory"), t("forecast.about", value=_megabytes(needs.memory_mb)), width="content"
        )
        st.metric(t("forecast.disk"), t("forecast.about", value=_megabytes(needs.disk_mb)), width="content")
    if needs.boundary_mb:
        st.caption(
            t("forecast.boundary", size=_megabytes(needs.boundary_mb)), help=t("forecast.boundary_help")
        )


def _megabytes(number: float) -> str:
    return f"{number / 1000:.1f} GB" if number >= 1000 else f"{max(1, round(number))} MB"


def start(dataset: Dataset, recipe: Recipe, forecast_s: float) -> None:
    """Put a training in the queue and make its run the current one."""
    with shell.errors():
        datasets.get(shell.workspace(), dataset.id)  # says so where it was removed
        run_id = dataset_view.train_once(dataset.id, dataset.name, recipe, forecast_s=forecast_s)
        shell.choose("run", run_id)
