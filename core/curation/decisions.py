"""One decision about one picture, and what makes two of them the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.errors import DataError
from core.words import quoted

KINDS = ("exclude", "relabel", "keep", "tag", "note")
"""``exclude`` it from all that follows; ``relabel`` it; ``keep`` it, since what a check found is no issue; ``tag`` it
and ``note`` something about it, which changes nothing."""

BEARING = ("exclude", "relabel")
"""Kinds that change what a model learns or is judged by."""

MAX_VALUE_CHARS = 1000
"""Longest tag or note, in characters."""

_WITH_ONE_VALUE = ("exclude", "relabel", "note")
_WITH_VALUE = ("relabel", "keep", "tag", "note")

Key = tuple[str, str, str]
"""Path, kind and, of kinds that a picture can have several of, the value."""


@dataclass(frozen=True)
class Decision:
    """What a person decided about one file.

    Args:
        path: Of the file, relative to the dataset's root, with ``/``.
        kind: One of :data:`KINDS`.
        value: The class of a ``relabel``, the check of a ``keep``, the text of a ``tag`` or ``note``; else ``""``.
        sha256: Of the file's bytes when it was decided; a file with other bytes is another picture.

    Raises:
        DataError: The kind is unknown, or the value is missing, too long or too much.
    """

    path: str
    kind: str
    value: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(
                f'Received the decision "{self.kind}". Expected one of {quoted(KINDS)}. Change it.'
            )
        if bool(self.value.strip()) != (self.kind in _WITH_VALUE):
            expected = "a value" if self.kind in _WITH_VALUE else "none"
            raise DataError(
                f'Received the value "{self.value}" for the decision "{self.kind}" about "{self.path}". '
                f"Expected {expected}. Change it."
            )
        if len(self.value) > MAX_VALUE_CHARS:
            raise DataError(
                f'Received {len(self.value):,} characters for the decision "{self.kind}" about "{self.path}". '
                f"Expected at most {MAX_VALUE_CHARS:,}. Shorten it."
            )

    @property
    def key(self) -> Key:
        """What a later decision has in common with the one that it takes the place of."""
        return self.path, self.kind, "" if self.kind in _WITH_ONE_VALUE else self.value


def require_class(label: str, class_names: Collection[str]) -> None:
    """Refuse a class that the dataset does not have.

    Raises:
        DataError: ``label`` is not among ``class_names``.
    """
    if label not in class_names:
        raise DataError(
            f'Received the class "{label}", which this dataset does not have. '
            f"Expected one of {quoted(sorted(class_names))}. Choose one of them, or add a folder for it."
        )


def fingerprint(decisions: Iterable[Decision]) -> str:
    """Return a checksum of the decisions that bear on a training.

    Returns:
        SHA-256, hexadecimal, whatever their order; ``""`` where none excludes or relabels anything.
    """
    rows = sorted(
        (decision.path, decision.kind, decision.value, decision.sha256)
        for decision in decisions
        if decision.kind in BEARING
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest() if rows else ""
