"""The command that says what is wrong with a folder: ``audit``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core import audit, curation, datasets, metadata, runs, splits, words
from core.command_line.output import MAX_LISTED, ProgressLine, printable, tell, tell_json
from core.errors import DataError
from core.workspace import Workspace


def run_audit(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``audit DIR``."""
    dataset = datasets.add_folder(workspace, arguments.folder)
    show = ProgressLine()
    found_table = audit.audit(workspace, dataset, lambda done, total: show("audit", done, total))
    show.end()
    known = metadata.update(workspace, dataset, found_table["path"].tolist())
    layout = datasets.read_layout(dataset.root)
    decisions = curation.load(workspace, dataset.id).decisions
    table = curation.apply(found_table, decisions, layout.class_names)
    thresholds = audit.load_thresholds(workspace, dataset.id)
    found = audit.checks(table, layout.class_names, layout.kind, thresholds)
    split = _split(table)
    remarks = [known.problem, *map(str, known.notes)] if known is not None else []
    held = curation.standing(found_table, decisions, layout.class_names)
    if num_suspended := int((held["state"] != "active").sum()):
        remarks.append(str(words.sentence("decisions.suspended", n=num_suspended)))
    remarks = [remark for remark in remarks if remark]
    if arguments.json:
        said = {
            "dataset_id": dataset.id,
            "num_files": len(table),
            "num_images": int(table["usable"].sum()),
            "num_excluded": int(table["excluded"].sum()),
            "num_relabelled": int((table["label"] != table["given_label"]).sum()),
            "class_names": list(layout.class_names),
            "remarks": remarks,
            "splits": split.counts,
            "split_notes": list(split.notes),
            "split_problem": split.problem,
        }
        tell_json(said | {"checks": _checks_as_json(found)})
        return 0
    tell(" ".join(map(str, audit.verdict(table, found))))
    for remark in remarks:
        tell(f"  {printable(remark)}")
    _tell_classes(table, layout.class_names)
    _tell_split(split)
    _tell_checks(found)
    return 0


@dataclass(frozen=True)
class _Split:
    """How a training would split the pictures: how many in each, and what there is to note; or why it cannot."""

    counts: dict[str, int] | None
    notes: tuple[str, ...] = ()
    problem: str | None = None


def _split(table: pd.DataFrame) -> _Split:
    try:
        assigned = splits.assign(table)
    except DataError as error:
        return _Split(None, problem=str(error))
    counts = {name: int((assigned == name).sum()) for name in runs.SPLITS}
    return _Split(counts, tuple(map(str, splits.notes(table, assigned))))


def _tell_split(split: _Split) -> None:
    if split.counts is None:
        tell(f"\nIt cannot be trained on yet. {printable(split.problem)}")
        return
    shares = ", ".join(f"{count} for {name}" for name, count in split.counts.items())
    tell(f"\nOf these, a training uses {shares}.")
    for note in split.notes:
        tell(f"  {printable(note)}")


def _checks_as_json(found: Sequence[audit.Check]) -> dict[str, Any]:
    return {
        check.name: {
            "num_flagged": check.num_flagged,
            "paths": list(check.paths),
            "why": str(check.why),
        }
        for check in found
    }


def _tell_checks(found: Sequence[audit.Check]) -> None:
    for check in found:
        if not check.num_flagged:
            continue
        tell(f"\n{check.title}  {check.num_flagged}\n  {check.why}")
        for path in check.paths[:MAX_LISTED]:
            tell(f"  {printable(path)}")
        if len(check.paths) > MAX_LISTED:
            tell(f"  and {len(check.paths) - MAX_LISTED} more")


def _tell_classes(table: pd.DataFrame, class_names: Sequence[str]) -> None:
    """Say how many usable pictures each class has, also per split where the folder brings one."""
    usable = table[table["usable"]]
    given = [split for split in runs.SPLITS if (usable["given_split"] == split).any()]
    width = max(len(printable(name)) for name in ("class", *class_names))
    tell(f"\n{'class':<{width}}  pictures" + "".join(f"  {split:>6}" for split in given))
    for name in class_names:
        of_class = usable[usable["label"] == name]
        counts = "".join(f"  {int((of_class['given_split'] == split).sum()):6d}" for split in given)
        tell(f"{printable(name):<{width}}  {len(of_class):8d}{counts}")
