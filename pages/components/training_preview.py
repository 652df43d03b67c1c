"""What the network will see: a few training pictures and random variations of them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image

from core import augmentation, catalog, images
from core.augmentation import BATCH_KINDS, Augmentation
from core.datasets import Dataset, Pictures
from core.errors import UnreadableImage
from core.recipes import Recipe
from pages.components import data_facts, shell, split_facts
from pages.components import dataset as dataset_view
from pages.components.text import code, t

NUM_PICTURES, NUM_VARIATIONS = 3, 5
NUM_UNVARIED = 6
"""Pictures shown where they are not varied: one row, as with variations."""
MIN_PICTURE_WIDTH = 88
"""Pixels; a telephone then shows three pictures side by side."""
SHOWN_SIDE = 256
"""Pixels; a larger picture is made smaller for the page, not for the network."""

Pixels = npt.NDArray[np.uint8]
Fit = tuple[int, str]
"""Side in pixels and resize rule."""


@dataclass(frozen=True)
class Source:
    """A training picture: its place among all of them, its path, and what its file was when it was looked at."""

    place: int
    path: str
    written: int


def training_paths(dataset: Dataset) -> tuple[str, ...]:
    """Return the training pictures of an audited dataset, by their paths in its table, the classes by turns."""
    facts = data_facts.load(dataset)
    if facts is None:
        return ()
    pictures = split_facts.class_pictures(facts, "", dataset_view.split_choice(dataset))
    learnt = pictures[pictures["split"] == "train"]
    turn = learnt.groupby("label").cumcount()
    return tuple(learnt.assign(turn=turn).sort_values(["turn", "label"], kind="stable")["path"])


def in_use(recipe: Recipe) -> Augmentation:
    """Return the variations that a training with this recipe really makes.

    Stage 1 learns from varied pictures only through ``views``, and MixUp and CutMix work on the batches of stage 2.
    """
    if recipe.fine_tune_epochs:
        return recipe.augment
    return replace(recipe.augment, mixup=0.0, cutmix=0.0) if recipe.views else Augmentation()


@st.fragment
@shell.errors()
def preview(root: Path | Pictures, paths: Sequence[str], recipe: Recipe) -> None:
    """Draw a few training pictures as the recipe gives them to the network, and variations of each.

    Args:
        root: Where the pictures of the dataset are.
        paths: Training pictures only, at least one, in ``root``; the first ones are shown first.
        recipe: Tells image size, resize rule, augmentation and seed.
    """
    used = in_use(recipe)
    varied = used.changes_pixels or used.mixes
    per_page = min(len(paths), NUM_PICTURES if varied else NUM_UNVARIED)
    turn = st.session_state.get("preview_turn", 0)
    places = [(turn * per_page + offset) % len(paths) for offset in range(per_page)]
    side = recipe.image_size or catalog.get(recipe.backbone).image_size
    _head(recipe, used, side, has_others=len(paths) > per_page)
    sources = tuple(Source(place, paths[place], _written(root / paths[place])) for place in places)
    found = _rows(root, sources, (side, recipe.resize), used, recipe.seed)
    rows = [
        [_whole(root / one.path, one.written), *row] if row else []
        for one, row in zip(sources, found, strict=True)
    ]
    if varied:
        for source, row in zip(sources, rows, strict=True):
            st.caption(code(source.path))
            _grid(_numbered(source, row), NUM_VARIATIONS + 2)
    else:
        pairs = [_numbered(source, row) for source, row in zip(sources, rows, strict=True)]
        _grid(list(itertools.chain.from_iterable(pairs)), NUM_UNVARIED)
    for source, row in zip(sources, rows, strict=True):
        if not row:
            st.warning(t("preview.lost", name=code(source.path)), icon=":material/broken_image:")


def _head(recipe: Recipe, used: Augmentation, side: int, *, has_others: bool) -> None:
    varied = used.changes_pixels or used.mixes
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            t("preview.varied", size=side, number=NUM_VARIATIONS)
            if varied
            else t("preview.unvaried", size=side),
            width="content",
        )
        if has_others:
            st.button(
                t("preview.other_pictures"),
                icon=":material/shuffle:",
                key="preview_other",
                on_click=_turn,
            )
    kinds = " + ".join(t(f"augment.kind.{name}") for name in BATCH_KINDS if getattr(recipe.augment, name))
    if used.mixes:
        st.caption(t("preview.mixed", kinds=kinds))
    if used != recipe.augment:
        st.caption(t("preview.mixing_unused", kinds=kinds) if used.changes_pixels else t("preview.unused"))


def _turn() -> None:
    st.session_state["preview_turn"] = st.session_state.get("preview_turn", 0) + 1


def _numbered(source: Source, row: Sequence[bytes]) -> list[tuple[str, int, bytes]]:
    """Return the pictures of a row with their path and number: -1 for the whole file, 0 for what the network gets."""
    return [(source.path, number, picture) for number, picture in enumerate(row, start=-1)]


def _grid(pictures: Sequence[tuple[str, int, bytes]], columns: int) -> None:
    """Draw pictures with their paths and numbers, see :func:`_numbered`."""
    grid = st.grid(columns, min_column_width=MIN_PICTURE_WIDTH, gap="small")
    for path, number, picture in pictures:
        grid.image(picture, width="stretch", alt=_alt(path, number))


def _alt(path: str, number: int) -> str:
    if number > 0:
        return t("preview.variation_alt", name=path, number=number)
    return t("preview.alt" if number == 0 else "preview.whole_alt", name=path)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_data(max_entries=64, max_size="32MB", show_spinner=False)
def _rows(
    root: Path | Pictures, sources: tuple[Source, ...], fit: Fit, used: Augmentation, seed: int
) -> list[list[bytes]]:
    """Return a row per picture: as it is and, where it is varied, its variations; empty if it cannot be read."""
    decoded = [_decoded(root / source.path, source.written, fit) for source in sources]
    read = {
        source.place: pixels for source, pixels in zip(sources, decoded, strict=True) if pixels is not None
    }
    columns = [list(read.values())]
    if used.changes_pixels or used.mixes:
        columns += [_varied(read, used, seed, number) for number in range(1, NUM_VARIATIONS + 1)]
    rows = {place: [_encoded(column[index]) for column in columns] for index, place in enumerate(read)}
    return [rows.get(source.place, []) for source in sources]


def _varied(read: Mapping[int, Pixels], used: Augmentation, seed: int, number: int) -> list[Pixels]:
    """Return a variation of each picture; its chance does not depend on strengths, so a slider shows what it does."""
    varied = [
        augmentation.apply(pixels, used, np.random.default_rng((seed, number, place)))
        for place, pixels in read.items()
    ]
    if not used.mixes or not varied:
        return varied
    batch, one_hot = np.stack(varied).astype(np.float32), np.eye(len(varied), dtype=np.float32)
    mixed, _ = augmentation.mix(batch, one_hot, used, np.random.default_rng((seed, number)))
    return list(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


# A picture is not decoded again while only the variations change.
@st.cache_data(max_entries=64, max_size="64MB", show_spinner=False)
def _decoded(path: Path, written: int, fit: Fit) -> Pixels | None:
    side, resize = fit
    try:
        return images.decode(images.read_bytes(path), (side, side), resize)
    except UnreadableImage:
        return None


# What resizing leaves out or adds is seen beside the whole picture.
@st.cache_data(max_entries=64, max_size="16MB", show_spinner=False)
def _whole(path: Path, written: int) -> bytes:
    return images.thumbnail(images.read_bytes(path), SHOWN_SIDE)


def _encoded(pixels: Pixels) -> bytes:
    picture = Image.fromarray(pixels)
    if picture.width > SHOWN_SIDE:
        picture = picture.resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=85, method=0)
    return buffer.getvalue()
