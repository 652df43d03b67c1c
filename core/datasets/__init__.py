"""Which pictures there are, which class each has, and in which split it came."""

from __future__ import annotations

from core.datasets.layouts import (
    CLASS_KINDS,
    Layout,
    list_classes,
    list_files,
    read_layout,
)
from core.datasets.registry import Dataset, add_folder, get, list_datasets, remove
from core.datasets.samples import SAMPLES, Sample, add_sample

__all__ = [
    "CLASS_KINDS",
    "SAMPLES",
    "Dataset",
    "Layout",
    "Sample",
    "add_folder",
    "add_sample",
    "get",
    "list_classes",
    "list_datasets",
    "list_files",
    "read_layout",
    "remove",
]
