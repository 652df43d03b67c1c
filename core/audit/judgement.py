"""Each file held against thresholds: a score and a flag for every check that is about files.

Scores do not depend on thresholds, and nothing here opens a file, so thresholds can be moved and the effect seen at
once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from core import images
from core.audit.near_duplicates import regrouped
from core.audit.thresholds import Thresholds
from core.datasets.layouts import CLASS_KINDS, METADATA_NAME

READ_BY_TENSORFLOW = frozenset({"JPEG", "PNG", "GIF", "BMP"})
"""Formats that keras.utils.image_dataset_from_directory reads; it drops files of all others without a word."""

USUAL_SIDE = 224
"""Pixels; the usual input of a network, so a shorter side of as many is as good as any."""

PLACEHOLDER_COPIES = 3
"""Files with the same bytes, in two classes or more, that are rather what a server sends for a missing picture."""

_PLACEHOLDER_NAME = re.compile(
    r"(?<![a-z])(image|photo|picture|img)[ _-]?(not[ _-]?(found|available)|unavailable|missing|removed)"
    r"|(?<![a-z])(no|missing|default)[ _-]?(image|photo|picture)|placeholder|coming[ _-]?soon",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._()+,=@~-]*")

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
_Judge = Callable[[pd.DataFrame, Thresholds], tuple[Flags, Scores]]


def judge(table: pd.DataFrame, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """Hold every file of an audited table against the checks that are about files.

    Args:
        table: As :func:`core.audit.audit` returns it, with decisions laid over it or not: what was excluded is dealt
            with, and what was kept for a check is no issue, so neither is flagged.
        thresholds: Where a measure becomes a finding; the usual ones when not given.

    Returns:
        For each of :data:`FILE_CHECKS` the columns ``<check>_score`` (0…1, 1 is good) and ``is_<check>`` (bool), with
        the index of the table. A check that has nothing to measure scores 0 where it flags, else 1.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {}
    thresholds = thresholds or Thresholds()
    table = regrouped(table, thresholds.near_duplicate)
    for name, one in FILE_CHECKS.items():
        flags, scores = one(table, thresholds)
        columns[f"{name}_score"] = np.clip(scores, 0, 1)
        columns[f"is_{name}"] = flags & ~dealt_with(table, name)
    return pd.DataFrame(columns, index=table.index)


def flagged_paths(table: pd.DataFrame, thresholds: Thresholds | None = None) -> dict[str, frozenset[str]]:
    """Return the paths that each check flags, for checks that flag any; arguments are those of :func:`judge`."""
    found = judge(table, thresholds)
    paths = {name: frozenset(table["path"][found[f"is_{name}"]]) for name in FILE_CHECKS}
    return {name: flags for name, flags in paths.items() if flags}


def dealt_with(table: pd.DataFrame, check: str) -> Flags:
    """Return about which files a person has decided that a check needs to say nothing: excluded, or no issue."""
    if "kept" not in table.columns:
        return np.zeros(len(table), dtype=bool)
    done = table["excluded"].to_numpy(dtype=bool, copy=True)
    kept = table["kept"].to_numpy(dtype=object)
    for row in np.flatnonzero(kept != ""):
        done[row] |= check in kept[row].split()
    return done


def near_duplicates(table: pd.DataFrame) -> Flags:
    """Return which pictures have a near-duplicate with other bytes."""
    contents = table["sha256"].where(table["usable"]).groupby(table["group"]).transform("nunique")
    return _array(table["usable"] & (contents > 1))


def exact_duplicates(table: pd.DataFrame) -> Flags:
    """Return which pictures stand in more than one file."""
    return _array(table["usable"] & table["sha256"].where(table["usable"]).duplicated(keep=False))


def _array(values: pd.Series[bool]) -> Flags:
    return values.to_numpy(dtype=bool)


def _found(flags: Flags) -> tuple[Flags, Scores]:
    return flags, np.where(flags, 0.0, 1.0)


def _with_problem(*problems: str) -> _Judge:
    return lambda table, thresholds: _found(_array(table["problem"].isin(problems)))


def _of_kind(kind: str) -> _Judge:
    return lambda table, thresholds: _found(_array(table["kind"] == kind))


def _measured(table: pd.DataFrame, flags: Flags, scores: pd.Series[float]) -> tuple[Flags, Scores]:
    usable = _array(table["usable"])
    return flags & usable, np.where(usable, scores.to_numpy(dtype=float), 1.0)


def _disagreeing(table: pd.DataFrame, among: Flags, together: str, column: str) -> tuple[Flags, Scores]:
    values = table[column].where(among).groupby(table[together]).transform("nunique")
    return _found(among & _array(values > 1))


def _non_image(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _found(_array((table["kind"] == "other") & (table["path"] != METADATA_NAME)))


def _extension_mismatch(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    named = zip(map(_name, table["path"].tolist()), table["format"].tolist(), strict=True)
    fits = {
        image_format: images.suffixes_of(image_format)
        for image_format in table["format"].unique()
        if image_format
    }
    return _found(
        np.array(
            [
                bool(image_format) and _suffix(name).lower() not in fits[image_format]
                for name, image_format in named
            ],
            dtype=bool,
        )
    )


def _name(path: str) -> str:
    """Return the last part of a path; pathlib would take most of the time of all checks together."""
    return path.rpartition("/")[2]


def _suffix(name: str) -> str:
    """Return the ending of a name with its dot, as pathlib does."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending if stem and ending else ""


def _unsupported_format(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    dropped = table["usable"] & ~table["format"].isin(READ_BY_TENSORFLOW)
    return _found(_array(dropped | (table["problem"] == "unsupported_format")))


def _odd_name(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    """Names that some system or program reads otherwise: by letters, by ending, or because only capitals differ."""
    paths = table["path"].tolist()
    folded = Counter(path.casefold() for path in paths)
    odd = []
    for path, kind in zip(paths, table["kind"].tolist(), strict=True):
        name = _name(path)
        is_plain = _PLAIN_NAME.fullmatch(name) and _suffix(name) in images.EXTENSIONS
        odd.append(kind in CLASS_KINDS and (not is_plain or folded[path.casefold()] > 1))
    return _found(np.array(odd, dtype=bool))


def _placeholder(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    names = map(_name, table["path"].tolist())
    named = [bool(_PLACEHOLDER_NAME.search(name.removesuffix(_suffix(name)))) for name in names]
    labels = table["label"].where(table["usable"]).groupby(table["sha256"])
    many = (labels.transform("size") >= PLACEHOLDER_COPIES) & (labels.transform("nunique") > 1)
    return _found(_array(table["usable"] & (many | pd.Series(named, index=table.index, dtype=bool))))


def _exact_duplicate(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _found(exact_duplicates(table))


def _near_duplicate(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    """Score how unlike the most similar picture is; what is grouped has little over 0, since likeness is near 1."""
    return _measured(table, near_duplicates(table), 1 - table["likeness"])


def _label_conflict(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _disagreeing(table, exact_duplicates(table), "sha256", "label")


def _near_label_conflict(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _disagreeing(table, near_duplicates(table), "group", "label")


def _leak(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _disagreeing(table, exact_duplicates(table), "sha256", "given_split")


def _near_leak(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _disagreeing(table, near_duplicates(table), "group", "given_split")


def _too_small(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    side = table[["width", "height"]].min(axis=1)
    return _measured(table, _array(side < thresholds.too_small), side / USUAL_SIDE)


def _too_large(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    pixels = table["width"].astype(float) * table["height"]
    return _measured(table, _array(pixels > thresholds.too_large * 1e6), 1 - pixels / images.MAX_PIXELS)


def _odd_aspect(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    sides = table[["width", "height"]].clip(lower=1)
    aspect = sides.max(axis=1) / sides.min(axis=1)
    return _measured(table, _array(aspect > thresholds.odd_aspect), 1 / aspect)


def _blank(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _measured(table, _array(table["contrast"] < thresholds.blank), table["contrast"])


def _dark(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    flags = _array((table["lightest"] < thresholds.dark) & (table["contrast"] >= thresholds.blank))
    return _measured(table, flags, table["lightest"])


def _bright(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    flags = _array((table["darkest"] > thresholds.bright) & (table["contrast"] >= thresholds.blank))
    return _measured(table, flags, 1 - table["darkest"])


def _blurry(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    flags = _array((table["sharpness"] < thresholds.blurry) & (table["contrast"] >= thresholds.blank))
    return _measured(table, flags, table["sharpness"])


def _greyscale(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    """Flag grey pictures where most are in colour; where most are grey it is how these pictures are."""
    grey = _array(table["usable"] & (table["colourfulness"] < thresholds.greyscale))
    are_few = 2 * grey.sum() < table["usable"].sum()
    return _measured(table, grey & bool(are_few), table["colourfulness"])


def _colour_mode(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    """Flag modes other than RGB, or than grey where most pictures are stored so."""
    modes = table["mode"][table["usable"]]
    usual = "L" if 2 * (modes == "L").sum() > len(modes) else "RGB"
    return _found(_array(table["usable"] & (table["mode"] != usual)))


def _animated(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _found(_array(table["usable"] & table["animated"]))


def _exif_orientation(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _found(_array(table["usable"] & (table["orientation"] > 1)))


def _private_metadata(table: pd.DataFrame, thresholds: Thresholds) -> tuple[Flags, Scores]:
    return _found(_array(table["usable"] & (table["private"] != "")))


FILE_CHECKS: dict[str, _Judge] = {
    "leak": _leak,
    "near_leak": _near_leak,
    "unreadable": _with_problem("empty", "not_image", "too_large", "unreadable", "missing"),
    "no_permission": _with_problem("no_permission"),
    "truncated": _with_problem("truncated"),
    "bad_name": _of_kind("bad_name"),
    "label_conflict": _label_conflict,
    "near_label_conflict": _near_label_conflict,
    "exact_duplicate": _exact_duplicate,
    "near_duplicate": _near_duplicate,
    "placeholder": _placeholder,
    "blank": _blank,
    "blurry": _blurry,
    "dark": _dark,
    "bright": _bright,
    "too_small": _too_small,
    "odd_aspect": _odd_aspect,
    "greyscale": _greyscale,
    "unsupported_format": _unsupported_format,
    "outside_class": _of_kind("outside_class"),
    "symlink_broken": _of_kind("symlink_broken"),
    "symlink_outside": _of_kind("symlink_outside"),
    "private_metadata": _private_metadata,
    "too_large": _too_large,
    "colour_mode": _colour_mode,
    "animated": _animated,
    "exif_orientation": _exif_orientation,
    "extension_mismatch": _extension_mismatch,
    "odd_name": _odd_name,
    "non_image": _non_image,
    "hidden": _of_kind("hidden"),
    "nested": _of_kind("nested"),
    "symlink": _of_kind("symlink"),
}
"""The checks that are about files."""
