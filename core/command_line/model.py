"""The commands that ask what a run has learnt: ``evaluate`` and ``predict``."""

from __future__ import annotations

import argparse
from pathlib import Path

from core import queue, runs
from core.command_line.jobs import follow
from core.command_line.output import MAX_LISTED, printable, scores_line, tell, tell_json
from core.errors import DataError
from core.evaluation import evaluate
from core.images import EXTENSIONS
from core.workspace import Workspace


def run_evaluate(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``evaluate RUN_ID``."""
    run = runs.get(workspace, arguments.run_id)
    said = runs.predictions(workspace, run.id, arguments.split)
    scores = evaluate(said.y_true, said.y_prob, run.class_names)
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
    width = max(len(printable(name)) for name in run.class_names)
    tell(f"\n{'class':<{width}}  precision  recall      F1  pictures")
    for row in scores.per_class:
        tell(
            f"{printable(row.name):<{width}}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:6.3f}  {row.support:8d}"
        )
    worst_first = runs.answers(run, said)
    wrong = worst_first[worst_first["wrong"]]
    order = ", first those whose true class was thought least likely:" if len(wrong) else "."
    tell(f"\n{len(wrong)} wrong of {len(answers)}{order}")
    for answer in wrong.head(MAX_LISTED).to_dict("records"):
        words = f"{answer['true']}, taken for {answer['predicted']}"
        tell(f"  {printable(answer['path'])}  {printable(words)} ({answer['probability'] * 100:.2f} %)")
    return 0


def run_predict(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``predict RUN_ID PATH...``."""
    run = runs.get(workspace, arguments.run_id)
    paths = [path for given in arguments.paths for path in _pictures(given)]
    # The session works in another folder, so it is given whole paths; the answers name them as they were given.
    job = queue.submit_prediction(workspace, run, [path.absolute() for path in paths])
    said_of = follow(workspace, job).result["predictions"]
    answers = [answer | {"path": str(path)} for path, answer in zip(paths, said_of, strict=True)]
    if arguments.json:
        tell_json(answers)
    else:
        for answer in answers:
            said = answer.get("error") or f"{answer['predicted']} ({answer['probability'] * 100:.2f} %)"
            tell(f"{printable(answer['path'])}  {printable(said)}")
    return 1 if any("error" in answer for answer in answers) else 0


def _pictures(given: Path) -> list[Path]:
    """Return the file itself, be it there or not, or the pictures of a folder."""
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise DataError(f'The folder "{given}" has no pictures. Expected files such as .jpg or .png.')
    return found
