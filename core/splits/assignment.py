"""Which picture is in which split: what the folder gives is kept or not, the rest is carved from train."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from core import curation, datasets
from core.errors import DataError
from core.splits.pictures import SPLITS, Group, Picture, contradictory_rows, draw, grouped, together
from core.splits.reasons import MIN_CLASS_IMAGES, left_out
from core.words import quoted

SPLIT_WORDS = {"val": "validation", "test": "test"}

DEFAULT_FRACTIONS = (0.7, 0.15, 0.15)
"""Shares of train, val and test."""


def assign(
    table: pd.DataFrame,
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    taken: Sequence[str] | None = None,
) -> pd.Series[str]:
    """Say for each row of an audited table in which split it is.

    A given split is kept, but for what cannot judge: an image that stands in test, or a near-duplicate of it, is
    used in no other split, one that stands in val not in train; if copies there contradict each other's classes,
    none of them is used at all. What is missing of val and test is carved from train, class by class, in the
    proportion of the fractions; near-duplicates and files with the same bytes stay together, and those that have
    the same bytes but different classes stay in train. A class with fewer than three different pictures to share
    out stays in train; any other gets at least one in each carved split, unless that would take the last training
    picture of a class among its near-duplicates. At last the classes that have no training image are left out,
    since no model could name them. Which pictures go where depends on the seed and on their content and class only,
    not on their order or names.

    Photos that a person added (:mod:`core.datasets.added`) are only ever learnt from: they judge nothing, move no other
    picture, and one that has a copy or near-duplicate outside of train is left out.

    Sides are taken before decisions are looked at, so that excluding or relabelling never moves another picture, and
    none from test or beside it to train: what is excluded leaves its split, what is relabelled stays in it.

    Args:
        table: Columns ``path``, ``sha256``, ``label``, ``given_split``, ``usable`` and ``group`` of
            :func:`core.audit.audit`, with decisions laid over them or not (:func:`core.curation.apply`); without
            ``group`` only files with the same bytes stay together, without ``path`` no photo counts as added.
        fractions: Shares of train, val, test; not negative, together 1, train above 0.
        seed: Chooses among equally good splits.
        taken: What :func:`sides` returns for them, where it is at hand: it takes most of the time.

    Returns:
        ``"train"``, ``"val"``, ``"test"``, or ``""`` (not usable, or left out; :func:`left_out` says why), with
        the index of the table.

    Raises:
        DataError: The fractions are impossible, fewer than two classes have training images, or val or test
            is empty.
    """
    shares = _checked_fractions(fractions)
    taken = sides(table, fractions, seed) if taken is None else taken
    contradictory, usable = contradictory_rows(table), table["usable"].tolist()
    splits = [
        "" if not usable[row] or (side in SPLIT_WORDS and contradictory[row]) else side
        for row, side in enumerate(taken)
    ]
    result = pd.Series(splits, index=table.index, name="split", dtype=str)
    result[~table["label"].isin(set(table["label"][result == "train"]))] = ""
    _require_usable_splits(table, result, pd.Series(taken, index=table.index), shares)
    return result


def without_given(table: pd.DataFrame, keep: bool = False) -> pd.DataFrame:
    """Return a table as if its folder brought no split, unless the given one is to be kept.

    Args:
        table: As :func:`assign` takes it.
        keep: Return it as it is.
    """
    return table if keep else table.assign(given_split="")


def sides(table: pd.DataFrame, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0) -> list[str]:
    """Return the split in which each row would be used, were it clear of which class it is; ``""`` for none.

    Decisions are not looked at. Arguments and errors are those of :func:`assign`.
    """
    shares = _checked_fractions(fractions)
    everything = curation.as_found(table)
    added = datasets.added_rows(everything)
    taken = np.full(len(everything), "", dtype=object)
    taken[~added] = _own_sides(everything[~added], shares, seed)
    taken[added] = _added_sides(everything, added, taken)
    return [str(side) for side in taken]


def _own_sides(found: pd.DataFrame, shares: dict[str, float], seed: int) -> list[str]:
    """Return the sides of the pictures of the folder itself."""
    groups = grouped(found)
    present = set(found["given_split"][found["usable"]]) - {""}
    carved = {name: shares[name] for name in ("val", "test") if name not in present}
    # What is carved from a given train leaves the given val or test its own share.
    pool_share = shares["train"] + sum(carved.values())
    carved = {name: share / pool_share for name, share in carved.items()}
    chosen = _carve([group for group in groups if not group.judging], carved, seed)
    taken, given = [""] * len(found), found["given_split"].tolist()
    for group in groups:
        for picture in group.pictures:
            for row in picture.rows:
                taken[row] = _side(group, picture, given[row], chosen)
    return taken


def _added_sides(
    found: pd.DataFrame, added: npt.NDArray[np.bool_], taken: npt.NDArray[np.object_]
) -> list[str]:
    """Return the sides of photos that a person added: train, or none where what they resemble is not all there."""
    if not added.any():
        return []
    keys = together(found)
    elsewhere = ~added & found["usable"].to_numpy() & (taken != "train")
    free = found["usable"] & ~keys.isin(set(keys[elsewhere]))
    return ["train" if is_free else "" for is_free in free[added]]


def _side(group: Group, picture: Picture, given: str, chosen: dict[str, str]) -> str:
    if picture.judging and not group.judging:  # contradictory: it judges only once a decision says what it is
        return given if given == picture.judging and len(group.pictures) == 1 else ""
    if not group.judging:
        return chosen.get(group.key, "train")
    # A copy on another side would let the model be judged by what it has learnt.
    return group.judging if given == group.judging else ""


def fingerprint(table: pd.DataFrame, split: pd.Series[str]) -> str:
    """Return a checksum of which pictures, with which labels, are in which split.

    Args:
        table: Columns ``path``, ``sha256`` and ``label``.
        split: As :func:`assign` returns it for this table.

    Returns:
        SHA-256, hexadecimal; the order of the rows and unused files make no difference.
    """
    columns = (table["path"], table["sha256"], table["label"], split)
    rows = sorted(row for row in zip(*(column.tolist() for column in columns), strict=True) if row[3])
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def _checked_fractions(fractions: Sequence[float]) -> dict[str, float]:
    valid = len(fractions) == len(SPLITS) and all(math.isfinite(share) and share >= 0 for share in fractions)
    if not valid or fractions[0] <= 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        received = ", ".join(str(share) for share in fractions)
        raise DataError(
            f"Received the split {received}. Expected three shares for train, val and test that add up to 1, "
            "with train above 0. Write it like 0.7, 0.15, 0.15."
        )
    return dict(zip(SPLITS, fractions, strict=True))


def _carve(groups: list[Group], shares: dict[str, float], seed: int) -> dict[str, str]:
    """Choose the groups that leave train, as their key to "val" or "test"."""
    by_class: dict[str, list[Group]] = {}
    for group in groups:
        if group.may_judge:
            by_class.setdefault(group.label, []).append(group)
    # A group may hold pictures of other classes than its own; none of them may lose its last training picture by it.
    left = Counter(label for group in groups for label in group.labels)
    small = {label for label, num_groups in left.items() if num_groups < MIN_CLASS_IMAGES}
    chosen: dict[str, str] = {}
    for label, members in sorted(by_class.items()):
        if len(members) < MIN_CLASS_IMAGES:
            continue
        queue = sorted(members, key=lambda group: draw(seed, label, group.key))
        for name, count in _counts(len(members), shares).items():
            taken = 0
            for group in queue:
                may_go = group.key not in chosen and not group.labels & small
                if taken < count and may_go and all(left[of] > 1 for of in group.labels):
                    chosen[group.key] = name
                    left.subtract(group.labels)
                    taken += 1
    return chosen


def _counts(num_groups: int, shares: dict[str, float]) -> dict[str, int]:
    """Round shares to pictures: at least one each where the share is not 0, and one left for train."""
    counts = {
        name: max(1, math.floor(num_groups * share + 0.5)) for name, share in shares.items() if share > 0
    }
    while sum(counts.values()) >= num_groups:
        counts[max(counts, key=lambda name: counts[name])] -= 1
    return counts


def _require_usable_splits(
    table: pd.DataFrame, split: pd.Series[str], taken: pd.Series[str], shares: dict[str, float]
) -> None:
    trained = sorted(set(table["label"][split == "train"]))
    if len(trained) < 2:
        names = f': "{trained[0]}"' if trained else ""
        raise DataError(
            f"{len(trained)} {'class has' if len(trained) == 1 else 'classes have'} training pictures{names}. "
            "A classifier needs at least 2. Add pictures, or include more classes."
        )
    for name in ("val", "test"):
        if (split == name).any():
            continue
        if (given := table["usable"] & (table["given_split"] == name)).any():
            raise DataError(_why_none_is_left(name, table[given], left_out(table, split)[given]))
        if excluded := int(((taken == name) & ~table["usable"]).sum()):
            raise DataError(
                f"No picture is left for {SPLIT_WORDS[name]}: all {excluded:,} that it would have are excluded. "
                "A decision never brings one over from train. Take some of these decisions back on the Data page."
            )
        raise DataError(
            f"No picture is left for {SPLIT_WORDS[name]}: {int(table['usable'].sum()):,} usable pictures in "
            f"{len(trained):,} classes, and a share of {100 * shares[name]:g} %. "
            f"At least one class needs {MIN_CLASS_IMAGES} different pictures or more, and the share must be above "
            "0. Add pictures."
        )


def _why_none_is_left(name: str, given: pd.DataFrame, reasons: pd.Series[str]) -> str:
    """Say what happened to the pictures of a given split; ``given``: their rows of the table."""
    counts = Counter(reasons)
    unseen = sorted(set(given["label"][reasons == "unseen"]))
    words = {
        "unseen": f"no training picture shows their class ({quoted(unseen)})" if unseen else "",
        "conflict": "the same bytes stand in another class too",
        "copy": "the same bytes stand in test too",
        "near_copy": "a near-duplicate stands in test",
    }
    told = "; ".join(f"{counts[reason]:,}: {why}" for reason, why in words.items() if counts[reason])
    return (
        f"No picture is left for {SPLIT_WORDS[name]} of the {len(given):,} that the folder keeps for it ({told}). "
        f"Add pictures of classes that are learnt from to it. Or take the folder of {SPLIT_WORDS[name]} away: Graft "
        "then sets pictures aside from train."
    )
