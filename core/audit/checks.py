"""The judged part of the audit: thresholds held against the measured table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from core import images
from core.datasets.layouts import METADATA_NAME, SPLIT_NAMES
from core.words import Sentence, Value, listed, sentence

MIN_SIDE = 32
"""Pixels; the smallest input that the networks of the catalog take, so anything below is mostly made up."""

MIN_CLASS_IMAGES = 3
"""Pictures of a class; with fewer it cannot be learnt from, tuned on and judged at the same time."""

MAX_TROUBLES = 3
"""Checks that the verdict names before it counts the rest."""


@dataclass(frozen=True)
class Check:
    """One question to the dataset and its answer.

    Args:
        name: One of :data:`CHECK_NAMES`.
        severity: ``"error"`` (pictures are lost or scores are wrong), ``"warning"`` (worth a look) or
            ``"note"``.
        num_flagged: How many files, or classes, it concerns; 0 is good.
        paths: Those files, or class names, sorted.
    """

    name: str
    severity: str
    num_flagged: int
    paths: tuple[str, ...]

    @property
    def title(self) -> Sentence:
        """What it looks for, in a few words."""
        return sentence(f"audit.title.{self.name}")

    @property
    def why(self) -> Sentence:
        """What it means and what to do."""
        return sentence(f"audit.why.{self.name}", min_side=MIN_SIDE, min_class_images=MIN_CLASS_IMAGES)


_Measure = Callable[[pd.DataFrame, Sequence[str], str], Iterable[str]]


def checks(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> list[Check]:
    """Hold an audited table against all checks.

    Args:
        table: As :func:`core.audit.audit` returns it.
        class_names: All classes, also those without a picture.
        layout: ``"classes"`` or ``"splits"``.

    Returns:
        Every check, also those that flag nothing, the most severe first.
    """
    found = []
    for name, (severity, measure) in _CHECKS.items():
        paths = tuple(sorted(measure(table, class_names, layout)))
        found.append(Check(name, severity, len(paths), paths))
    return found


def verdict(table: pd.DataFrame, found: Sequence[Check]) -> tuple[Sentence, ...]:
    """Say in one or two sentences how the dataset stands.

    Args:
        table: As :func:`core.audit.audit` returns it.
        found: As :func:`checks` returns it for this table.
    """
    usable = table[table["usable"]]
    if usable.empty:
        return (sentence("audit.verdict.none"),)
    num_pictures = int(table["kind"].isin(["image", "nested"]).sum())
    num_classes = usable["label"].nunique()
    classes = sentence("count.classes", n=num_classes)
    if len(usable) == num_pictures:
        counts = sentence("audit.verdict.all", n=num_pictures, classes=classes)
    else:
        counts = sentence("audit.verdict.some", usable=len(usable), n=num_pictures, classes=classes)
    troubles = [check for check in found if check.num_flagged and check.severity != "note"]
    if num_classes == 1:
        return counts, sentence("audit.verdict.one_class")
    if not troubles:
        return counts, sentence("audit.verdict.sound")
    return counts, sentence("audit.verdict.look", troubles=_named(troubles))


def _named(troubles: Sequence[Check]) -> Value:
    shown = [
        sentence("audit.verdict.trouble", title=check.title, n=check.num_flagged)
        for check in troubles[:MAX_TROUBLES]
    ]
    if len(troubles) <= MAX_TROUBLES:
        return listed(shown)
    return sentence("list.more", names=listed(shown), n=len(troubles) - MAX_TROUBLES)


def _with_problem(*problems: str) -> _Measure:
    return lambda table, class_names, layout: table.loc[table["problem"].isin(problems), "path"]


def _of_kind(kind: str) -> _Measure:
    return lambda table, class_names, layout: table.loc[table["kind"] == kind, "path"]


def _non_image(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return table.loc[(table["kind"] == "other") & (table["path"] != METADATA_NAME), "path"]


def _extension_mismatch(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    named = zip(table["path"], table["format"], strict=True)
    return [
        path
        for path, image_format in named
        if image_format and PurePosixPath(path).suffix.lower() not in images.suffixes_of(image_format)
    ]


def _too_small(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return table.loc[table["usable"] & (table[["width", "height"]].min(axis=1) < MIN_SIDE), "path"]


def _exact_duplicate(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _duplicates(table)["path"]


def _near_duplicate(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _near_duplicates(table)["path"]


def _label_conflict(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_duplicates(table), "sha256", "label")


def _near_label_conflict(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_near_duplicates(table), "group", "label")


def _leak(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_duplicates(table), "sha256", "given_split")


def _near_leak(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_near_duplicates(table), "group", "given_split")


def _duplicates(table: pd.DataFrame) -> pd.DataFrame:
    usable = table[table["usable"]]
    return usable[usable.duplicated("sha256", keep=False)]


def _near_duplicates(table: pd.DataFrame) -> pd.DataFrame:
    usable = table[table["usable"]]
    return usable[usable.groupby("group")["sha256"].transform("nunique") > 1]


def _disagreeing(duplicates: pd.DataFrame, together: str, column: str) -> Iterable[str]:
    return duplicates.loc[duplicates.groupby(together)[column].transform("nunique") > 1, "path"]


def _empty_class(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    counts = _class_counts(table)
    locked = set(table.loc[table["problem"] == "no_permission", "label"])
    return [name for name in class_names if counts[name] == 0 and name not in locked]


def _tiny_class(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    counts = _class_counts(table)
    return [name for name in class_names if 0 < counts[name] < MIN_CLASS_IMAGES]


def _class_counts(table: pd.DataFrame) -> Counter[str]:
    return Counter(table.loc[table["usable"], "label"].tolist())


def _split_like_class(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return [name for name in class_names if name.casefold() in SPLIT_NAMES]


def _similar_class_names(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    folded = Counter(_folded(name) for name in class_names)
    return [name for name in class_names if folded[_folded(name)] > 1]


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


_CHECKS: dict[str, tuple[str, _Measure]] = {
    "leak": ("error", _leak),
    "near_leak": ("error", _near_leak),
    "unreadable": ("error", _with_problem("empty", "not_image", "too_large", "unreadable", "missing")),
    "no_permission": ("error", _with_problem("no_permission")),
    "truncated": ("error", _with_problem("truncated")),
    "unsupported_format": ("error", _with_problem("unsupported_format")),
    "bad_name": ("error", _of_kind("bad_name")),
    "label_conflict": ("warning", _label_conflict),
    "near_label_conflict": ("warning", _near_label_conflict),
    "exact_duplicate": ("warning", _exact_duplicate),
    "near_duplicate": ("warning", _near_duplicate),
    "empty_class": ("warning", _empty_class),
    "tiny_class": ("warning", _tiny_class),
    "too_small": ("warning", _too_small),
    "outside_class": ("warning", _of_kind("outside_class")),
    "symlink_broken": ("warning", _of_kind("symlink_broken")),
    "symlink_outside": ("warning", _of_kind("symlink_outside")),
    "split_like_class": ("warning", _split_like_class),
    "similar_class_names": ("warning", _similar_class_names),
    "extension_mismatch": ("note", _extension_mismatch),
    "non_image": ("note", _non_image),
    "hidden": ("note", _of_kind("hidden")),
    "nested": ("note", _of_kind("nested")),
    "symlink": ("note", _of_kind("symlink")),
}
"""Severity and measure of each check; its title and why stand under its name in :mod:`core.words`."""

CHECK_NAMES = tuple(_CHECKS)
"""All checks, the most severe first."""
