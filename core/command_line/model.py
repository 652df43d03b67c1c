"""The commands that ask what a run has learnt: ``evaluate`` and ``predict``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import csv_tables, inbox, queue, runs
from core.answers import to_table
from core.command_line.jobs import follow
from core.command_line.output import MAX_LISTED, printable, scores_line, tell, tell_json
from core.evaluation import evaluate
from core.workspace import Workspace, write_bytes


def run_evaluate(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``evaluate RUN_ID``."""
    run = runs.get(workspace, arguments.run_id)
    said = runs.predictions(workspace, run.id, arguments.split)
    scores = evaluate(said.y_true, said.y_prob, run.class_names, groups=runs.groups_of(said.images))
    if arguments.split == "test":
        runs.note_look(workspace, run.id)
    y_pred = said.y_prob.argmax(axis=1)
    answers = [
        {
            "path": path,
            "true": run.class_names[true],
            "predicted": run.class_names[predicted],
            "probability": float(said.y_prob[row, predicted]),
        }
        for row, (path, true, predicted) in enumerate(
            zip(said.images["path"], said.y_true, y_pred, strict=True)
        )
    ]
    if arguments.json:
        values = scores.to_json()
        per_class = values.pop("per_class")
        confusion_matrix = values.pop("confusion_matrix")
        class_names = values.pop("class_names")
        original = run.metrics[arguments.split].get("original")
        values |= {"original": original} if original else {}
        tell_json(
            {
                "run_id": run.id,
                "split": arguments.split,
                "metrics": {arguments.split: values},
                "per_class": per_class,
                "confusion_matrix": confusion_matrix,
                "class_names": class_names,
                "predictions": answers,
            }
        )
        return 0
    tell(f"Run {run.id} on {arguments.split}: {scores_line(scores.to_json())}")
    for note in runs.review_notes(run, arguments.split):
        tell(str(note))
    width = max(len(printable(name)) for name in run.class_names)
    tell(f"\n{'class':<{width}}  precision  recall      F1  pictures")
    for number, row in enumerate(scores.per_class):
        shares = [
            f"{_share(scores.of_class(number, measure).value):>{len(heading)}}"
            for measure, heading in (("precision", "precision"), ("recall", "recall"), ("f1", "    F1"))
        ]
        tell(f"{printable(row.name):<{width}}  {'  '.join(shares)}  {row.support:8d}")
    worst_first = runs.answers(run, said)
    wrong = worst_first[worst_first["wrong"]]
    order = ", first those whose true class was thought least likely:" if len(wrong) else "."
    tell(f"\n{len(wrong)} wrong of {len(answers)}{order}")
    for answer in wrong.head(MAX_LISTED).to_dict("records"):
        words = f"{answer['true']}, taken for {answer['predicted']}"
        tell(f"  {printable(answer['path'])}  {printable(words)} ({answer['probability'] * 100:.2f} %)")
    return 0


def _share(value: float) -> str:
    """Return a share, or a dash where it is not defined, such as the precision of a class that was never said."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.3f}"


def run_predict(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``predict RUN_ID PATH...``."""
    run = runs.get(workspace, arguments.run_id)
    paths = [path for given in arguments.paths for path in _pictures(given)]
    # The session works in another folder, so it is given whole paths; the answers name them as they were given.
    job = queue.submit_prediction(workspace, run, [path.absolute() for path in paths])
    said_of = follow(workspace, job).result["predictions"]
    answers = [answer | {"path": str(path)} for path, answer in zip(paths, said_of, strict=True)]
    if arguments.csv:
        table = to_table(answers, run.class_names)
        write_bytes(arguments.csv.absolute(), csv_tables.to_csv(table).encode("utf-8", "surrogateescape"))
    if arguments.json:
        tell_json(answers)
    else:
        for answer in answers:
            tell(f"{printable(answer['path'])}  {printable(_said(answer))}")
    return 1 if any("error" in answer for answer in answers) else 0


def _said(answer: Mapping[str, Any]) -> str:
    if "error" in answer:
        return str(answer["error"])
    doubt = "unlike anything it was trained on" if answer.get("unlike") else "not sure"
    doubtful = answer.get("unlike") or answer.get("unsure")
    said = f"{answer['predicted']} ({answer['probability'] * 100:.2f} %)"
    return f"{said}  {doubt}" if doubtful else said


def _pictures(given: Path) -> list[Path]:
    """Return the file itself, be it there or not, or the pictures of a folder."""
    if not given.is_dir():
        return [given]
    return inbox.below(given)
