"""Which pictures there are, which class each has, and in which split it came."""

from __future__ import annotations

from core.datasets.added import (
    Pictures,
    added_rows,
    find_added,
    hash_in,
    is_added,
    list_added,
    list_pictures,
    put_photo,
    take_back,
)
from core.datasets.archives import Limits, Unpacked, limits
from core.datasets.browsing import Folder, Listing, browse
from core.datasets.layouts import (
    CLASS_KINDS,
    METADATA_NAME,
    Layout,
    list_files,
    read_layout,
    written,
)
from core.datasets.locating import Located, locate
from core.datasets.registry import (
    Dataset,
    add_folder,
    get,
    is_kept_in,
    list_datasets,
    refuse_workspace_inside,
    remove,
    resolve_folder,
)
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
    "Pictures",
    "Sample",
    "Unpacked",
    "add_folder",
    "add_sample",
    "add_upload",
    "added_rows",
    "allowed_roots",
    "browse",
    "confine",
    "display_name",
    "find_added",
    "get",
    "hash_in",
    "is_added",
    "is_kept_in",
    "limits",
    "list_added",
    "list_datasets",
    "list_files",
    "list_pictures",
    "locate",
    "put_photo",
    "read_layout",
    "refuse_workspace_inside",
    "remove",
    "resolve_folder",
    "stage_files",
    "stage_zip",
    "take_back",
    "written",
]
