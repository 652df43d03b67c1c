"""What the user decided about the pictures: exclude, relabel, keep, tag, note; never a change of the user's files.

:func:`decide`, :func:`undo` and :func:`redo` write a dataset's journal, :func:`load` reads it, and :func:`apply` lays
the decisions over the audited table, which is what every later stage works with. A decision is about a path and the
bytes that the file had; when the file changes it is suspended, and :func:`standing` says so.
"""

from __future__ import annotations

from core.curation.copies import WAYS, copy_target, plan_copy, suggest_target, write_copy
from core.curation.csv_file import from_csv, to_csv
from core.curation.decisions import BEARING, KINDS, Decision, fingerprint, require_class
from core.curation.journal import (
    Action,
    Curation,
    decide,
    decide_about,
    load,
    redo,
    undo,
    version,
    without,
)
from core.curation.leftovers import clear as clear_leftovers
from core.curation.leftovers import records_dir
from core.curation.overlay import STATES, apply, as_found, decide_on, made, of_class, standing

__all__ = [
    "BEARING",
    "KINDS",
    "STATES",
    "WAYS",
    "Action",
    "Curation",
    "Decision",
    "apply",
    "as_found",
    "clear_leftovers",
    "copy_target",
    "decide",
    "decide_about",
    "decide_on",
    "fingerprint",
    "from_csv",
    "load",
    "made",
    "of_class",
    "plan_copy",
    "records_dir",
    "redo",
    "require_class",
    "standing",
    "suggest_target",
    "to_csv",
    "undo",
    "version",
    "without",
    "write_copy",
]
