"""What is wrong with the pictures: every file is opened once, then judged.

:func:`audit` measures and writes one table, a row per file; :func:`checks` holds the table against
thresholds; :func:`verdict` says it in a sentence.
"""

from __future__ import annotations

from core.audit.checks import (
    CHECK_NAMES,
    MIN_CLASS_IMAGES,
    MIN_SIDE,
    Check,
    checks,
    verdict,
)
from core.audit.table import audit, load_layout, load_table

__all__ = [
    "CHECK_NAMES",
    "MIN_CLASS_IMAGES",
    "MIN_SIDE",
    "Check",
    "audit",
    "checks",
    "load_layout",
    "load_table",
    "verdict",
]
