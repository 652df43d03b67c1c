"""Graft without a browser: audit a folder, train on it, look at the errors, predict.

Results go to standard output (--json for machines), progress to standard error. Exit codes: 0 done, whatever was
found; 1 a job failed, or predict was given a file that it cannot use; 2 the call has to be changed; 130 stopped
with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import audit, catalog, datasets, queue, recipes, runs, splits
from core.errors import DataError, GraftError, JobError
from core.evaluation import evaluate
from core.images import EXTENSIONS
from core.workspace import Workspace, open_workspace

MAX_LISTED = 5
"""Paths shown per check, and errors shown per evaluation, where a person reads."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m core``."""
    parser = argparse.ArgumentParser(
        prog="python -m core", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(
        name: str, run: Callable[[Workspace, argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.set_defaults(run=run)
        return command

    command = add("audit", run_audit, "say what is wrong with a folder of pictures")
    command.add_argument("folder", type=_folder, metavar="DIR", help="one subfolder per class")

    command = add("train", run_train, "train a classifier on a folder of pictures")
    command.add_argument("folder", type=_folder, metavar="DIR", help="one subfolder per class")
    command.add_argument("--backbone", metavar="NAME", help=f"default: {catalog.DEFAULT_BACKBONE}")
    command.add_argument("--weights", metavar="FILE", help="weights file of the backbone; default: ImageNet")
    command.add_argument(
        "--recipe",
        default=recipes.DEFAULT_PRESET,
        metavar="NAME",
        help=f"one of: {', '.join(recipes.PRESETS)}",
    )
    command.add_argument(
        "--split", metavar="A,B,C", type=_fractions, help="train, val, test; default: 0.7,0.15,0.15"
    )
    command.add_argument(
        "--image-size", type=int, metavar="N", help="pixels a side; default: the backbone's own"
    )
    command.add_argument("--head-epochs", type=int, metavar="N", help="most passes of stage 1")
    command.add_argument(
        "--fine-tune-epochs", type=int, metavar="N", help="epochs of stage 2; 0 leaves it out"
    )
    command.add_argument("--seed", type=int, metavar="N", help="of the split, of shuffling and augmentation")

    command = add("evaluate", run_evaluate, "show the scores and errors of a run")
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument("--split", choices=runs.SPLITS, default="test", help="default: test")

    command = add("predict", run_predict, "say what a run sees in pictures")
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="pictures, or folders of pictures"
    )

    add("runs", run_runs, "list all runs")
    add("release", run_release, "end the device session and give its memory back")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    try:
        code: int = parsed.run(open_workspace(), parsed)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    except GraftError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def run_audit(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``audit DIR``."""
    dataset = datasets.add_folder(workspace, arguments.folder)
    show = ProgressLine()
    table = audit.audit(workspace, dataset, lambda done, total: show("audit", done, total))
    show.end()
    layout = datasets.read_layout(dataset.root)
    found = audit.checks(table, layout.class_names, layout.kind)
    try:
        assigned = splits.assign(table)
        counts: dict[str, int] | None = {name: int((assigned == name).sum()) for name in runs.SPLITS}
    except DataError:
        counts = None
    if arguments.json:
        _print_json(
            {
                "dataset_id": dataset.id,
                "num_files": len(table),
                "num_images": int(table["usable"].sum()),
                "class_names": list(layout.class_names),
                "splits": counts,
                "checks": {
                    check.name: {
                        "num_flagged": check.num_flagged,
                        "paths": list(check.paths),
                        "why": check.why,
                    }
                    for check in found
                },
            }
        )
        return 0
    print(audit.verdict(table, found))
    for check in found:
        if check.num_flagged:
            print(f"\n{check.name}  {check.num_flagged}\n  {check.why}")
            for path in check.paths[:MAX_LISTED]:
                print(f"  {_printable(path)}")
            if len(check.paths) > MAX_LISTED:
                print(f"  and {len(check.paths) - MAX_LISTED} more")
    return 0


def run_train(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``train DIR``."""
    dataset = datasets.add_folder(workspace, arguments.folder)
    changes = {
        "backbone": arguments.backbone,
        "weights": arguments.weights,
        "fractions": arguments.split,
        "image_size": arguments.image_size,
        "head_epochs": arguments.head_epochs,
        "fine_tune_epochs": arguments.fine_tune_epochs,
        "seed": arguments.seed,
    }
    recipe = replace(
        recipes.preset(arguments.recipe, dataset.sample),
        **{name: value for name, value in changes.items() if value is not None},
    )
    job = queue.submit_training(workspace, dataset.id, dataset.name, recipe)
    _follow(workspace, job)
    run = runs.get(workspace, job.run_id)
    report = {
        "run_id": run.id,
        "backbone": run.recipe["backbone"],
        "recipe": arguments.recipe,
        "settings": run.recipe,
        "class_names": list(run.class_names),
        "num_images": run.num_images,
        "seconds": run.seconds,
        "metrics": run.metrics,
        "fine_tuned": run.fine_tuned,
        "notes": list(run.notes),
    }
    if arguments.json:
        _print_json(report)
        return 0
    print(f"Run {run.id} on {_printable(run.dataset_name)} with {run.recipe['backbone']}")
    for split in ("val", "test"):
        print(f"  {split:<5} {_scores_line(run.metrics[split])}")
    for note in run.notes:
        print(f"  {_printable(note)}")
    print("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items()))
    print(f"Look at its errors: python -m core evaluate {run.id}")
    return 0


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
        _print_json(
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
    print(f"Run {run.id} on {arguments.split}: {_scores_line(scores.to_json())}")
    width = max(len(_printable(name)) for name in run.class_names)
    print(f"\n{'class':<{width}}  precision  recall      F1  images")
    for row in scores.per_class:
        print(
            f"{_printable(row.name):<{width}}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:6.3f}  {row.support:6d}"
        )
    wrong = sorted(
        (a for a in answers if a["true"] != a["predicted"]), key=lambda a: -float(a["probability"])
    )
    print(f"\n{len(wrong)} wrong of {len(answers)}" + (", the most confident first:" if wrong else "."))
    for answer in wrong[:MAX_LISTED]:
        words = f"{answer['true']}, taken for {answer['predicted']}"
        print(f"  {_printable(answer['path'])}  {_printable(words)} ({answer['probability'] * 100:.2f} %)")
    return 0


def run_predict(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``predict RUN_ID PATH...``."""
    run = runs.get(workspace, arguments.run_id)
    paths = [path for given in arguments.paths for path in _pictures(given)]
    # The session works in another folder, so it is given whole paths; the answers name them as they were given.
    job = queue.submit_prediction(workspace, run, [path.absolute() for path in paths])
    said_of = _follow(workspace, job).result["predictions"]
    answers = [answer | {"path": str(path)} for path, answer in zip(paths, said_of, strict=True)]
    if arguments.json:
        _print_json(answers)
    else:
        for answer in answers:
            said = answer.get("error") or f"{answer['predicted']} ({answer['probability'] * 100:.2f} %)"
            print(f"{_printable(answer['path'])}  {_printable(said)}")
    return 1 if any("error" in answer for answer in answers) else 0


def run_runs(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``runs``."""
    queue.tend(workspace)
    found = runs.list_runs(workspace)
    if arguments.json:
        _print_json(
            [
                {
                    "run_id": run.id,
                    "state": run.state,
                    "dataset": run.dataset_name,
                    "backbone": run.recipe.get("backbone", ""),
                    "metrics": run.metrics,
                    "seconds": run.seconds,
                    "error": run.error,
                }
                for run in found
            ]
        )
        return 0
    if not found:
        print("No runs yet. Train one: python -m core train DIR")
    for run in found:
        scores = _scores_line(run.metrics["test"]) if "test" in run.metrics else run.error
        print(
            f"{run.id}  {run.state:<11}  {_printable(run.dataset_name)}  {run.recipe.get('backbone', '')}  {scores}"
        )
    return 0


def run_release(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``release``."""
    device = queue.default_device()
    was_alive = queue.is_alive(workspace, device.id)
    if was_alive:
        queue.release(workspace, device)
        while queue.is_alive(workspace, device.id):
            time.sleep(0.1)
    if arguments.json:
        _print_json({"device": device.id, "released": was_alive})
    else:
        print(
            f"The session of {device.title} has ended." if was_alive else f"No session holds {device.title}."
        )
    return 0


class ProgressLine:
    """One line on standard error that says how far a long thing is; lines only per stage if it is a file."""

    def __init__(self) -> None:
        self._stage = ""
        self._live = sys.stderr.isatty()

    def __call__(self, stage: str, done: int, total: int, eta_s: float | None = None) -> None:
        """Show the state of a stage."""
        if self._live:
            share = f" {done}/{total}" if total else ""
            rest = f", {eta_s:.0f} s left" if eta_s else ""
            sys.stderr.write(f"\r\x1b[K{stage}{share}{rest}")
        elif stage != self._stage:
            sys.stderr.write(f"{stage}\n")
        self._stage = stage
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _follow(workspace: Workspace, job: queue.Job) -> queue.Job:
    """Wait for a job and show its progress; Ctrl-C cancels it."""
    show = ProgressLine()

    def on_change(job: queue.Job) -> None:
        state = job.progress
        show(state.get("stage") or job.state, state.get("done", 0), state.get("total", 0), state.get("eta_s"))

    try:
        return queue.wait(workspace, job.id, on_change)
    except KeyboardInterrupt:
        queue.cancel(workspace, job.id)
        raise
    finally:
        show.end()


def _pictures(given: Path) -> list[Path]:
    """Return the file itself, be it there or not, or the pictures of a folder."""
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise DataError(f'The folder "{given}" has no pictures. Expected files such as .jpg or .png.')
    return found


def _folder(text: str) -> Path:
    if not text.strip():  # Path("") would be this very folder, which nobody means
        raise argparse.ArgumentTypeError("an empty path; expected a folder of pictures")
    return Path(text)


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not three numbers such as 0.7,0.15,0.15') from None


def _scores_line(metrics: Any) -> str:
    low, high = metrics["accuracy_interval"]
    left_out = metrics["num_classes_left_out"]
    without = f", {left_out} classes without images left out of it" if left_out else ""
    return (
        f"accuracy {100 * metrics['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %), "
        f"macro F1 {metrics['macro_f1']:.3f}{without}, {metrics['num_images']} images"
    )


def _printable(text: object) -> str:
    """Keep control characters and broken Unicode of file names away from the terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))
    return shown.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=True, indent=1))


if __name__ == "__main__":
    sys.exit(main())
