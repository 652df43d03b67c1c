"""Which pictures there are, which class each has, and in which split it came."""

from __future__ import annotations

from core.datasets.archives import Limits, Unpacked, limits
from core.datasets.browsing import Folder, Listing, browse
from core.datasets.layouts import (
    CLASS_KINDS,
    METADATA_NAME,
    Layout,
    list_classes,
    list_files,
    read_layout,
)
from core.datasets.locating import Located, locate
from core.datasets.registry import Dataset, add_folder, get, is_kept_in, list_datasets, remove
from core.datasets.roots import allowed_roots, confine
from core.datasets.samples import SAMPLES, Sample, add_sample
from core.datasets.uploads import add_upload, display_name, stage_files, stage_zip

__all__ = [
    "CLASS_KINDS",
    "METADATA_NAME",
    "SAMPLES",
    "Dataset",
    "Folder",
    "Layout",
    "Limits",
    "Listing",
    "Located",
    "Sample",
    "Unpacked",
    "add_folder",
    "add_sample",
    "add_upload",
    "allowed_roots",
    "browse",
    "confine",
    "display_name",
    "get",
    "is_kept_in",
    "limits",
    "list_classes",
    "list_datasets",
    "list_files",
    "locate",
    "read_layout",
    "remove",
    "stage_files",
    "stage_zip",
]
