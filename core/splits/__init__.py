"""What may be learnt from and what is kept to judge: train, val and test."""

from __future__ import annotations

from core.splits.assignment import (
    DEFAULT_FRACTIONS,
    SPLIT_WORDS,
    assign,
    fingerprint,
    sides,
    without_given,
)
from core.splits.dealing import folds
from core.splits.pictures import SPLITS, together
from core.splits.reasons import MIN_CLASS_IMAGES, left_out, notes

__all__ = [
    "DEFAULT_FRACTIONS",
    "MIN_CLASS_IMAGES",
    "SPLITS",
    "SPLIT_WORDS",
    "assign",
    "fingerprint",
    "folds",
    "left_out",
    "notes",
    "sides",
    "together",
    "without_given",
]
