"""Sample datasets, one click away: they become ordinary class folders in the workspace."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import words
from core.datasets import digits, flowers, solar_cells
from core.datasets.registry import Dataset, register
from core.errors import NotFound, WorkspaceError
from core.progress import Progress, no_progress
from core.workspace import Workspace

ABANDONED_AFTER_S = 24 * 3600
"""Age at which a half-built sample, left by a killed process, is cleared away."""

Build = Callable[[Path, Path, Progress], None]
"""Called as ``build(pictures_dir, scratch_dir, progress)``; fills the first, may use the second."""


@dataclass(frozen=True)
class Sample:
    """A dataset that Graft can make by itself.

    Args:
        name: Its id; its title and text stand under it in :mod:`core.words`.
        num_images: How many pictures.
        num_classes: How many classes.
        download_mb: Megabytes fetched once; 0 needs no network.
        licence: Under which terms the pictures may be used.
        source: Where they come from.
    """

    name: str
    num_images: int
    num_classes: int
    download_mb: float
    licence: str
    source: str

    @property
    def title(self) -> words.Sentence:
        """What it is called."""
        return words.sentence(f"samples.{self.name}.title")

    @property
    def text(self) -> words.Sentence:
        """What is to be told apart."""
        return words.sentence(f"samples.{self.name}.text")

    @property
    def how(self) -> words.Sentence:
        """Where it comes from, and what is done before it is believed."""
        return words.sentence(f"samples.{self.name}.how")


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample(
            name="digits",
            num_images=1797,
            num_classes=10,
            download_mb=0.0,
            licence="CC BY 4.0",
            source=(
                "Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning "
                "Repository (test part, as included in scikit-learn)"
            ),
        ),
        Sample(
            name="solar-cells",
            num_images=2624,
            num_classes=2,
            download_mb=solar_cells.ELPV.num_bytes / 1e6,
            licence="CC BY-NC-SA 4.0 (not for commercial use)",
            source=(
                "Deitsch et al. 2019, Automatic classification of defective photovoltaic module cells in "
                "electroluminescence images, Solar Energy 185 (package elpv-dataset 1.0.0.post1)"
            ),
        ),
        Sample(
            name="flowers",
            num_images=sum(flowers.NUM_PICTURES.values()),
            num_classes=len(flowers.NUM_PICTURES),
            download_mb=flowers.FLOWER_PHOTOS.num_bytes / 1e6,
            licence="CC BY (each photographer is named in LICENSE.txt beside the pictures)",
            source="The TensorFlow Team 2019, Flowers (flower_photos.tgz of the TensorFlow tutorials)",
        ),
    )
}

_BUILDERS: dict[str, Build] = {
    "digits": digits.build,
    "solar-cells": solar_cells.build,
    "flowers": flowers.build,
}


def add_sample(
    workspace: Workspace,
    name: str,
    progress: Progress = no_progress,
    build: Build | None = None,
) -> Dataset:
    """Make a sample's pictures, or find those made before, and return it as a dataset.

    Args:
        workspace: Where the pictures go; they are there whole or not at all.
        name: One of :data:`SAMPLES`.
        progress: Told how far the sample is; may raise Cancelled.
        build: Makes the pictures instead of the sample's own builder.

    Raises:
        NotFound: There is no such sample.
        DataError: The pictures cannot be fetched, or are not those expected.
        WorkspaceError: The pictures cannot be written.
    """
    if name not in SAMPLES:
        raise NotFound(
            f'There is no sample "{name}". Expected one of {", ".join(SAMPLES)}. Choose one of them.'
        )
    sample = SAMPLES[name]
    root = workspace.samples_dir / name
    _clear_abandoned(workspace.samples_dir)
    if not root.is_dir():
        _build_whole(root, build or _BUILDERS[name], progress)
    return register(
        workspace, name, str(sample.title), root, sample=name, source=sample.source, licence=sample.licence
    )


def _build_whole(root: Path, build: Build, progress: Progress) -> None:
    temporary = root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.part")
    pictures, scratch = temporary / "pictures", temporary / "scratch"
    try:
        pictures.mkdir(parents=True)
        scratch.mkdir()
        build(pictures, scratch, progress)
        _put_in_place(pictures, root)
    except OSError as error:
        raise WorkspaceError(
            f'The sample could not be written to "{root}" ({error.strerror or error}). '
            "Check that the disk has room and that the workspace may be written."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(pictures: Path, root: Path) -> None:
    try:
        os.replace(pictures, root)
    except OSError:
        # Another process was faster with the same pictures.
        if not root.is_dir():
            raise


def _clear_abandoned(samples_dir: Path) -> None:
    for folder in samples_dir.glob(".*.part"):
        if time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)
