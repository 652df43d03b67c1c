"""What a person knows of each picture beyond its class: a ``metadata.csv`` in the dataset's root.

It has a column ``path`` and any others. What was read stands in the workspace beside the audited table; a file that
cannot be read is a note and never stops anything.
"""

from __future__ import annotations

from core.metadata.filters import Field, Filter, fields, from_text, matching, to_text
from core.metadata.reading import PATH, Metadata, read
from core.metadata.slices import Part, parts
from core.metadata.store import load, of_pictures, update

__all__ = [
    "PATH",
    "Field",
    "Filter",
    "Metadata",
    "Part",
    "fields",
    "from_text",
    "load",
    "matching",
    "of_pictures",
    "parts",
    "read",
    "to_text",
    "update",
]
