"""Why pictures are in no split, and which classes a split hardly judges."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core import curation, datasets
from core.splits.pictures import SPLITS, Group, Picture, contradictory_rows, grouped, together
from core.words import Sentence, quoted, sentence

MIN_CLASS_IMAGES = 3
"""Different pictures of a class that Graft shares out; with fewer it goes to train, since each split needs one."""


def left_out(table: pd.DataFrame, split: pd.Series[str]) -> pd.Series[str]:
    """Say for each row why a picture that could be used is in no split.

    Args:
        table: As :func:`assign` takes it.
        split: As :func:`assign` returns it for this table.

    Returns:
        ``"conflict"`` (its bytes stand in several classes, and in val or test), ``"copy"`` (its bytes stand in a
        split that judges, this file does not), ``"near_copy"`` (a near-duplicate of it stands there), ``"unseen"``
        (its class has no training picture), or ``""``, with the index of the table.
    """
    reasons = pd.Series("", index=table.index, name="left_out", dtype=str)
    asked = table["usable"] & (split == "")
    keys = together(table)
    places = np.flatnonzero(keys.isin(set(keys[asked])))  # mostly few, or none
    beside = table.iloc[places]
    given, is_asked = beside["given_split"].tolist(), asked.iloc[places].tolist()
    contradictory, is_added = contradictory_rows(beside), datasets.added_rows(beside)
    for group in grouped(curation.as_found(beside)):
        for picture in group.pictures:
            for row in picture.rows:
                if is_asked[row] and is_added[row]:
                    reasons.iat[places[row]] = "near_copy"
                elif is_asked[row]:
                    reason = _reason(group, picture, given[row], contradictory[row])
                    reasons.iat[places[row]] = reason
    return reasons


def _reason(group: Group, picture: Picture, given: str, contradictory: bool) -> str:
    if contradictory and (picture.judging or not group.judging):
        return "conflict"
    if picture.judging and not group.judging:
        return "conflict"
    if group.judging in ("", given):
        return "unseen"
    return "copy" if group.judging in picture.given else "near_copy"


def notes(table: pd.DataFrame, split: pd.Series[str]) -> list[Sentence]:
    """Say which usable pictures a split leaves out, and which classes it judges by too few pictures or none.

    Args:
        table: As :func:`assign` takes it.
        split: As :func:`assign` returns it for this table.
    """
    found = []
    reasons = left_out(table, split)
    if (unseen := reasons == "unseen").any():
        names = quoted(sorted(set(table["label"][unseen])))
        found.append(sentence("note.unseen", n=int(unseen.sum()), names=names))
    if conflicts := int((reasons == "conflict").sum()):
        found.append(sentence("note.conflict", files=sentence("count.files", n=conflicts)))
    if copies := int((reasons == "copy").sum()):
        found.append(sentence("note.leaked", files=sentence("count.files", n=copies)))
    if near_copies := int((reasons == "near_copy").sum()):
        found.append(sentence("note.nearly_leaked", files=sentence("count.files", n=near_copies)))
    keys = together(table)
    counts = {name: keys[split == name].groupby(table["label"]).nunique() for name in SPLITS}
    learnt = sorted(counts["train"].index)
    judged = set(counts["val"].index) | set(counts["test"].index)
    if unjudged := [name for name in learnt if name not in judged]:
        found.append(sentence("note.small", min_class_images=MIN_CLASS_IMAGES, names=quoted(unjudged)))
    # A single picture is right or wrong, which says next to nothing about its class.
    if barely := [name for name in learnt if name in judged and counts["test"].get(name, 0) <= 1]:
        found.append(sentence("note.barely_judged", names=quoted(barely)))
    return found
