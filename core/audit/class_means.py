"""A mean picture per class: what all its pictures share, be it the thing itself or only its background."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from core import images
from core.datasets import Dataset
from core.errors import UnreadableImage
from core.progress import Progress, no_progress
from core.workspace import Workspace, replacing

SIDE = 96
"""Pixels of a mean picture; more would show nothing more."""
MAX_PER_CLASS, MAX_PICTURES = 100, 4_000
"""Pictures that are averaged, of a class and in all: some seconds on two processors."""


@dataclass(frozen=True)
class ClassMean:
    """The mean picture of a class.

    Args:
        label: The class.
        num_pictures: How many pictures it is of.
        picture: WEBP, :data:`SIDE` pixels square.
    """

    label: str
    num_pictures: int
    picture: bytes


def update_class_means(
    workspace: Workspace, dataset: Dataset, table: pd.DataFrame, progress: Progress = no_progress
) -> None:
    """Average pictures of each class, stretched to a square, and keep the result; the same ones only once.

    Which pictures are taken of a large class depends on their bytes only.

    Args:
        workspace: Where the result is kept.
        dataset: Its folder is only read.
        table: Columns ``path``, ``sha256``, ``label`` and ``usable``.
        progress: Counts pictures; what it raises ends it, and the result of before stays.

    Raises:
        WorkspaceError: The result cannot be written.
    """
    chosen = _chosen(table)
    key, path = _key(chosen), _path(workspace, dataset.id)
    if _stored_key(path) == key:
        return
    labels = sorted(set(chosen["label"]))
    row = {label: number for number, label in enumerate(labels)}
    sums = np.zeros((len(labels), SIDE, SIDE, 3), dtype=np.float64)
    counts = np.zeros(len(labels), dtype=np.int64)
    files = [dataset.pictures / one for one in chosen["path"]]
    decoded = images.iterate_decoded(files, (SIDE, SIDE), "stretch")
    for done, (label, pixels) in enumerate(zip(chosen["label"], decoded, strict=True), start=1):
        if not isinstance(pixels, UnreadableImage):
            sums[row[label]] += pixels
            counts[row[label]] += 1
        progress(done, len(files))
    means = np.rint(sums / np.maximum(counts, 1)[:, None, None, None]).astype(np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, key=key, labels=np.array(labels, dtype=str), counts=counts, means=means)


def load_class_means(workspace: Workspace, dataset_id: str) -> list[ClassMean]:
    """Return the mean pictures of the classes in the order of their names; none where there are none to be read."""
    try:
        with _path(workspace, dataset_id).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            parts = zip(kept["labels"].tolist(), kept["counts"].tolist(), kept["means"], strict=True)
            return [ClassMean(label, count, _encoded(mean)) for label, count, mean in parts if count]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return []


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the pictures that are averaged, each of other bytes than the rest of its class."""
    usable = table[table["usable"]].drop_duplicates(["label", "sha256"]).sort_values(["label", "sha256"])
    num_classes = max(1, usable["label"].nunique())
    limit = max(1, min(MAX_PER_CLASS, MAX_PICTURES // num_classes))
    return usable[usable.groupby("label").cumcount() < limit]


def _key(chosen: pd.DataFrame) -> str:
    parts = [SIDE, images.DECODE_VERSION, chosen["label"].tolist(), chosen["sha256"].tolist()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _path(workspace: Workspace, dataset_id: str) -> Path:
    return workspace.datasets_dir / dataset_id / "class-means.npz"


def _stored_key(path: Path) -> str:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return str(kept["key"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return ""


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=90)
    return buffer.getvalue()
