"""The judged part of the audit: thresholds held against the measured table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field

import pandas as pd

from core.audit.judgement import FILE_CHECKS, judge
from core.audit.near_duplicates import MIN_LIKENESS
from core.audit.shortcuts import shortcuts
from core.audit.thresholds import Thresholds
from core.datasets.layouts import SPLIT_NAMES
from core.words import Sentence, Value, listed, sentence

MAX_TROUBLES = 3
"""Checks that the verdict names before it counts the rest, notes too."""

HIDING = ("no_permission", "bad_name")
"""Checks whose files and folders hide nobody knows how many pictures."""


@dataclass(frozen=True)
class Check:
    """One question to the dataset and its answer.

    Args:
        name: One of :data:`CHECK_NAMES`.
        severity: ``"error"`` (pictures are lost or scores are wrong), ``"warning"`` (worth a look) or
            ``"note"``.
        num_flagged: How many files, classes or properties it concerns; 0 is good.
        paths: Those files, class names, or names of properties, sorted.
        thresholds: What it was held against.
    """

    name: str
    severity: str
    num_flagged: int
    paths: tuple[str, ...]
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def title(self) -> Sentence:
        """What it looks for, in a few words."""
        return sentence(f"audit.title.{self.name}")

    @property
    def why(self) -> Sentence:
        """What it means and what to do."""
        if self.name == "shortcut" and self.paths:
            named = listed([sentence(f"audit.property.{name}") for name in self.paths])
            return sentence("audit.why.shortcut_found", properties=named)
        shown = {name: f"{value:g}" for name, value in asdict(self.thresholds).items()}
        return sentence(f"audit.why.{self.name}", together=f"{MIN_LIKENESS:g}", **shown)

    @property
    def group(self) -> str:
        """Which of :data:`GROUPS` it belongs to."""
        return _GROUP_OF.get(self.name, "files")

    @property
    def of(self) -> str:
        """What is flagged: ``"files"``, ``"classes"`` or ``"properties"``."""
        if self.name == "shortcut":
            return "properties"
        return "classes" if self.name in _CLASS_CHECKS else "files"


_Measure = Callable[[pd.DataFrame, Sequence[str], Thresholds], Iterable[str]]


def checks(
    table: pd.DataFrame,
    class_names: Sequence[str],
    layout: str,
    thresholds: Thresholds | None = None,
) -> list[Check]:
    """Hold an audited table against all checks; no file is opened.

    Args:
        table: As :func:`core.audit.audit` returns it, with decisions laid over it or not.
        class_names: All classes, also those without a picture.
        layout: ``"classes"`` or ``"splits"``.
        thresholds: Where a measure becomes a finding; the usual ones when not given.

    Returns:
        Every check, also those that flag nothing, the most severe first.
    """
    thresholds = thresholds or Thresholds()
    judged, paths = judge(table, thresholds), table["path"]
    class_names = _left(table, class_names)
    found = []
    for name, severity in SEVERITIES.items():
        if name in FILE_CHECKS:
            flagged = tuple(sorted(paths[judged[f"is_{name}"]]))
        else:
            flagged = tuple(sorted(_CLASS_CHECKS[name](table, class_names, thresholds)))
        found.append(Check(name, severity, len(flagged), flagged, thresholds))
    return found


@dataclass(frozen=True)
class Health:
    """How a group of checks stands.

    Args:
        group: One of :data:`GROUPS`.
        severity: That of its gravest finding, or ``""`` where nothing was found.
        flagged: Its checks that found something, the most severe first.
    """

    group: str
    severity: str
    flagged: tuple[Check, ...]


def health(found: Sequence[Check]) -> list[Health]:
    """Return how each group of checks stands, the worst first.

    Args:
        found: As :func:`checks` returns it.
    """
    lines = []
    for group in GROUPS:
        flagged = tuple(check for check in found if check.group == group and check.num_flagged)
        lines.append(Health(group, flagged[0].severity if flagged else "", flagged))
    order = ("error", "warning", "note", "")
    return sorted(lines, key=lambda line: (order.index(line.severity), -len(line.flagged)))


def verdict(table: pd.DataFrame, found: Sequence[Check]) -> tuple[Sentence, ...]:
    """Say in one or two sentences how the dataset stands.

    Args:
        table: As :func:`core.audit.audit` returns it.
        found: As :func:`checks` returns it for this table.
    """
    usable = table[table["usable"]]
    if usable.empty:
        return (sentence("audit.verdict.none"),)
    is_picture = table["kind"].isin(["image", "nested"])
    excluded = table["excluded"] if "excluded" in table.columns else ~is_picture
    num_pictures, num_excluded = int((is_picture & ~excluded).sum()), int((is_picture & excluded).sum())
    num_classes = usable["label"].nunique()
    classes = sentence("count.classes", n=num_classes)
    hidden = any(check.num_flagged for check in found if check.name in HIDING)
    if len(usable) == num_pictures:
        values: dict[str, Value] = {"n": num_pictures, "classes": classes}
        counts = (
            sentence("audit.verdict.seen", **values) if hidden else sentence("audit.verdict.all", **values)
        )
    else:
        counts = sentence("audit.verdict.some", usable=len(usable), n=num_pictures, classes=classes)
    said = [counts] + ([sentence("audit.verdict.excluded", n=num_excluded)] if num_excluded else [])
    troubles = [check for check in found if check.num_flagged and check.severity != "note"]
    if num_classes == 1:
        return *said, sentence("audit.verdict.one_class")
    if not troubles:
        return *said, sentence("audit.verdict.sound")
    named = troubles[:MAX_TROUBLES]
    num_more = sum(check.num_flagged > 0 for check in found) - len(named)
    return *said, sentence("audit.verdict.look", troubles=_named(named, num_more))


def _named(troubles: Sequence[Check], num_more: int) -> Value:
    shown = listed(
        [sentence("audit.verdict.trouble", title=check.title, n=check.num_flagged) for check in troubles]
    )
    return sentence("list.more", names=shown, n=num_more) if num_more > 0 else shown


def _left(table: pd.DataFrame, class_names: Sequence[str]) -> list[str]:
    """Return the classes but those whose pictures a person has excluded or relabelled, every one."""
    if "given_label" not in table.columns:
        return list(class_names)
    had = set(table.loc[table["found_usable"], "given_label"])
    has = set(table.loc[table["usable"], "label"])
    return [name for name in class_names if name in has or name not in had]


def _empty_class(table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds) -> Iterable[str]:
    counts = _class_counts(table)
    locked = set(table.loc[table["problem"] == "no_permission", "label"])
    return [name for name in class_names if counts[name] == 0 and name not in locked]


def _tiny_class(table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds) -> Iterable[str]:
    counts = _class_counts(table)
    return [name for name in class_names if 0 < counts[name] < thresholds.tiny_class]


def _imbalance(table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds) -> Iterable[str]:
    counts = _class_counts(table)
    largest = max(counts.values(), default=0)
    return [name for name in class_names if 0 < counts[name] * thresholds.imbalance < largest]


def _missing_in_split(
    table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds
) -> Iterable[str]:
    """Classes that have pictures, but none in some split that the folder brings."""
    usable = table[table["usable"] & (table["given_split"] != "")]
    num_splits = usable.groupby("label")["given_split"].nunique()
    return num_splits.index[num_splits < usable["given_split"].nunique()].tolist()


def _class_counts(table: pd.DataFrame) -> Counter[str]:
    return Counter(table.loc[table["usable"], "label"].tolist())


def _split_like_class(
    table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds
) -> Iterable[str]:
    return [name for name in class_names if name.casefold() in SPLIT_NAMES]


def _similar_class_names(
    table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds
) -> Iterable[str]:
    folded = Counter(_folded(name) for name in class_names)
    return [name for name in class_names if folded[_folded(name)] > 1]


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _shortcut(table: pd.DataFrame, class_names: Sequence[str], thresholds: Thresholds) -> Iterable[str]:
    return [shortcut.name for shortcut in shortcuts(table) if shortcut.found(thresholds.shortcut)]


_CLASS_CHECKS: dict[str, _Measure] = {
    "empty_class": _empty_class,
    "tiny_class": _tiny_class,
    "missing_in_split": _missing_in_split,
    "imbalance": _imbalance,
    "split_like_class": _split_like_class,
    "similar_class_names": _similar_class_names,
    "shortcut": _shortcut,
}

SEVERITIES = {
    "leak": "error",
    "near_leak": "error",
    "unreadable": "error",
    "no_permission": "error",
    "truncated": "error",
    "bad_name": "error",
    "label_conflict": "warning",
    "near_label_conflict": "warning",
    "exact_duplicate": "warning",
    "near_duplicate": "warning",
    "empty_class": "warning",
    "tiny_class": "warning",
    "missing_in_split": "warning",
    "imbalance": "warning",
    "shortcut": "warning",
    "placeholder": "warning",
    "blank": "warning",
    "blurry": "warning",
    "dark": "warning",
    "bright": "warning",
    "too_small": "warning",
    "odd_aspect": "warning",
    "greyscale": "warning",
    "unsupported_format": "warning",
    "outside_class": "warning",
    "symlink_broken": "warning",
    "symlink_outside": "warning",
    "split_like_class": "warning",
    "similar_class_names": "warning",
    "private_metadata": "note",
    "too_large": "note",
    "colour_mode": "note",
    "animated": "note",
    "exif_orientation": "note",
    "extension_mismatch": "note",
    "odd_name": "note",
    "non_image": "note",
    "hidden": "note",
    "nested": "note",
    "symlink": "note",
}
"""How grave each check is; its title and why stand under its name in :mod:`core.words`."""

CHECK_NAMES = tuple(SEVERITIES)
"""All checks, the most severe first."""

_OF_GROUPS = {
    "duplicates": (
        "leak",
        "near_leak",
        "label_conflict",
        "near_label_conflict",
        "exact_duplicate",
        "near_duplicate",
        "placeholder",
    ),
    "pictures": (
        "blank",
        "blurry",
        "dark",
        "bright",
        "too_small",
        "too_large",
        "odd_aspect",
        "greyscale",
        "colour_mode",
        "animated",
        "exif_orientation",
        "private_metadata",
    ),
    "classes": (
        "empty_class",
        "tiny_class",
        "missing_in_split",
        "imbalance",
        "split_like_class",
        "similar_class_names",
        "outside_class",
        "nested",
    ),
    "shortcuts": ("shortcut",),
}
GROUPS = ("files", "pictures", "duplicates", "classes", "shortcuts")
"""What checks are about; those that stand nowhere else are about files."""

_GROUP_OF = {name: group for group, names in _OF_GROUPS.items() for name in names}
