"""The judged part of the audit: thresholds held against the measured table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from core import images
from core.datasets.layouts import METADATA_NAME, SPLIT_NAMES

MIN_SIDE = 32
"""Pixels; the smallest input that the networks of the catalog take, so anything below is mostly made up."""

MIN_CLASS_IMAGES = 3
"""Pictures of a class; with fewer it cannot be learnt from, tuned on and judged at the same time."""


@dataclass(frozen=True)
class Check:
    """One question to the dataset and its answer.

    Args:
        name: One of :data:`CHECK_NAMES`.
        severity: ``"error"`` (pictures are lost or scores are wrong), ``"warning"`` (worth a look) or
            ``"note"``.
        num_flagged: How many files, or classes, it concerns; 0 is good.
        paths: Those files, or class names, sorted.
        why: What it means and what to do.
    """

    name: str
    severity: str
    num_flagged: int
    paths: tuple[str, ...]
    why: str


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
    for name, (severity, measure, why) in _CHECKS.items():
        paths = tuple(sorted(measure(table, class_names, layout)))
        found.append(Check(name, severity, len(paths), paths, why))
    return found


def verdict(table: pd.DataFrame, found: Sequence[Check]) -> str:
    """Say in one or two sentences how the dataset stands.

    Args:
        table: As :func:`core.audit.audit` returns it.
        found: As :func:`checks` returns it for this table.
    """
    usable = table[table["usable"]]
    num_pictures = int(table["kind"].isin(["image", "nested"]).sum())
    num_classes = usable["label"].nunique()
    if usable.empty:
        return "No picture can be used. See below what is wrong with the files."
    classes = f"{num_classes:,} {'class' if num_classes == 1 else 'classes'}"
    if len(usable) == num_pictures:
        sentence = f"All {num_pictures:,} pictures in {classes} can be used."
    else:
        sentence = f"{len(usable):,} of {num_pictures:,} pictures in {classes} can be used."
    troubles = [check for check in found if check.num_flagged and check.severity != "note"]
    if num_classes == 1:
        return f"{sentence} A classifier needs at least 2 classes."
    if not troubles:
        return f"{sentence} Nothing stands in the way of training."
    names = [f"{check.name.replace('_', ' ')} ({check.num_flagged:,})" for check in troubles[:3]]
    more = f" and {len(troubles) - 3} more" if len(troubles) > 3 else ""
    return f"{sentence} Worth a look: {', '.join(names)}{more}."


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


def _label_conflict(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_duplicates(table), "label")


def _leak(table: pd.DataFrame, class_names: Sequence[str], layout: str) -> Iterable[str]:
    return _disagreeing(_duplicates(table), "given_split")


def _duplicates(table: pd.DataFrame) -> pd.DataFrame:
    usable = table[table["usable"]]
    return usable[usable.duplicated("sha256", keep=False)]


def _disagreeing(duplicates: pd.DataFrame, column: str) -> Iterable[str]:
    return duplicates.loc[duplicates.groupby("sha256")[column].transform("nunique") > 1, "path"]


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


_LEFT_OUT = "They are left out of training and scores."

_CHECKS: dict[str, tuple[str, _Measure, str]] = {
    "leak": (
        "error",
        _leak,
        "The same file is in more than one split, so a model would be judged on what it has learnt by heart. "
        "A training uses it only in the split that judges. Remove it from the others.",
    ),
    "unreadable": (
        "error",
        _with_problem("empty", "not_image", "too_large", "unreadable", "missing"),
        f"These cannot be opened as pictures. {_LEFT_OUT} Replace or remove them.",
    ),
    "no_permission": (
        "error",
        _with_problem("no_permission"),
        f"These files and folders exist but may not be read. {_LEFT_OUT} Give yourself permission to read them.",
    ),
    "truncated": (
        "error",
        _with_problem("truncated"),
        f"The end of these pictures is missing. {_LEFT_OUT} Copy them again from their source.",
    ),
    "unsupported_format": (
        "error",
        _with_problem("unsupported_format"),
        f"These pictures are in a format that Graft cannot open. {_LEFT_OUT} Save them as JPEG or PNG.",
    ),
    "bad_name": (
        "error",
        _of_kind("bad_name"),
        f"The names of these are not Unicode text (shown with escapes). {_LEFT_OUT} Rename them.",
    ),
    "label_conflict": (
        "warning",
        _label_conflict,
        "The same file is in more than one class, so at least one label is wrong. It is kept out of val and "
        "test. Keep it where it belongs.",
    ),
    "exact_duplicate": (
        "warning",
        _exact_duplicate,
        "These files are byte for byte the same as another one. They are kept on one side of the split. Keep "
        "one of each.",
    ),
    "empty_class": (
        "warning",
        _empty_class,
        "These classes have no usable picture and are left out. Add pictures, or remove the folder.",
    ),
    "tiny_class": (
        "warning",
        _tiny_class,
        f"These classes have fewer than {MIN_CLASS_IMAGES} usable pictures, too few to learn from and to "
        "judge, so they are only trained on. Add pictures.",
    ),
    "too_small": (
        "warning",
        _too_small,
        f"The shorter side of these pictures is under {MIN_SIDE} pixels, so little can be seen on them. Use "
        "larger ones.",
    ),
    "outside_class": (
        "warning",
        _of_kind("outside_class"),
        f"These pictures are in no class folder. {_LEFT_OUT} Move them into one.",
    ),
    "symlink_broken": (
        "warning",
        _of_kind("symlink_broken"),
        f"These links lead nowhere. {_LEFT_OUT} Remove them, or restore what they pointed to.",
    ),
    "symlink_outside": (
        "warning",
        _of_kind("symlink_outside"),
        f"These links lead out of the folder and are not followed. {_LEFT_OUT} Copy the pictures themselves.",
    ),
    "split_like_class": (
        "warning",
        _split_like_class,
        "These classes are named like a split. They count as classes, because not every folder beside them "
        "is one of train, val, valid, validation, test with class folders inside.",
    ),
    "similar_class_names": (
        "warning",
        _similar_class_names,
        "The names of these classes differ only in capital letters or spaces. If they mean the same, merge "
        "the folders.",
    ),
    "extension_mismatch": (
        "note",
        _extension_mismatch,
        "The ending of the name does not fit the content. Graft goes by the content; other programs may not. "
        "Rename them.",
    ),
    "non_image": ("note", _non_image, "These files are not pictures and are ignored."),
    "hidden": (
        "note",
        _of_kind("hidden"),
        "These files, or a folder around them, are hidden or made by the system, and are ignored.",
    ),
    "nested": (
        "note",
        _of_kind("nested"),
        "These pictures lie deeper than their class folder and count for it. If the folders in between are "
        "the real classes, choose the folder directly above those.",
    ),
    "symlink": (
        "note",
        _of_kind("symlink"),
        "These links point to something else in this folder and are ignored, so that nothing counts twice.",
    ),
}

CHECK_NAMES = tuple(_CHECKS)
"""All checks, the most severe first."""
