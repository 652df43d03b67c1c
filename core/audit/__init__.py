"""What is wrong with the pictures: every file is opened once, then judged.

:func:`audit` measures and writes one table, a row per file; :func:`judge` holds each file and :func:`checks` the
dataset against thresholds; :func:`verdict` says it in a sentence. :func:`load_decided` gives the table as the
person's decisions make it.
"""

from __future__ import annotations

from core.audit.checks import CHECK_NAMES, GROUPS, Check, checks, verdict
from core.audit.decided import load_decided
from core.audit.judgement import FILE_CHECKS, flagged, judge
from core.audit.shortcuts import Shortcut, shortcuts
from core.audit.table import audit, load_layout, load_table
from core.audit.thresholds import Thresholds, load_thresholds, save_thresholds

__all__ = [
    "CHECK_NAMES",
    "FILE_CHECKS",
    "GROUPS",
    "Check",
    "Shortcut",
    "Thresholds",
    "audit",
    "checks",
    "flagged",
    "judge",
    "load_decided",
    "load_layout",
    "load_table",
    "load_thresholds",
    "save_thresholds",
    "shortcuts",
    "verdict",
]
