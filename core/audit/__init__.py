"""What is wrong with the pictures: every file is opened once, then judged.

:func:`audit` measures and writes one table, a row per file; :func:`judge` holds each file and :func:`checks` the
dataset against thresholds; :func:`verdict` says it in a sentence. :func:`load_decided` gives the table as the
person's decisions make it.
"""

from __future__ import annotations

from core.audit.alike import Alike, find_alike, find_alike_added
from core.audit.checks import CHECK_NAMES, GROUPS, Check, Health, checks, health, verdict
from core.audit.class_means import ClassMean, load_class_means, update_class_means
from core.audit.decided import load_decided
from core.audit.flagged import TOGETHER, flagged, pages, spare
from core.audit.judgement import FILE_CHECKS, flagged_paths, judge
from core.audit.manifest import manifest
from core.audit.shortcuts import Shortcut, shortcuts
from core.audit.table import audit, load_layout, load_table
from core.audit.thresholds import RANGES, Thresholds, load_thresholds, save_thresholds, threshold_of

__all__ = [
    "CHECK_NAMES",
    "FILE_CHECKS",
    "GROUPS",
    "RANGES",
    "TOGETHER",
    "Alike",
    "Check",
    "ClassMean",
    "Health",
    "Shortcut",
    "Thresholds",
    "audit",
    "checks",
    "find_alike",
    "find_alike_added",
    "flagged",
    "flagged_paths",
    "health",
    "judge",
    "load_class_means",
    "load_decided",
    "load_layout",
    "load_table",
    "load_thresholds",
    "manifest",
    "pages",
    "save_thresholds",
    "shortcuts",
    "spare",
    "threshold_of",
    "update_class_means",
    "verdict",
]
