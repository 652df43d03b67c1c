"""Graft without a browser: audit a folder, train on it, look at the errors, predict.

Results go to standard output (--json for machines), progress to standard error. Exit codes: 0 done, whatever was
found; 1 a job failed, or predict was given a file that it cannot use; 2 the call has to be changed; 130 stopped
with Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

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
    parser.add_argument("--version", action="version", version=f"Graft {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(
        name: str, run: Callable[[Workspace, argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.set_defaults(run=run)
        return command

    command = add("audit", run_audit, "say what is wrong with a folder of pictures")
    command.add_argument("folder", type=_path, metavar="DIR", help="one subfolder per class")

    command = add("train", run_train, "train a classifier on a folder of pictures")
    command.add_argument("folder", type=_path, metavar="DIR", help="one subfolder per class")
    command.add_argument("--backbone", metavar="NAME", help=f"default: {catalog.DEFAULT_BACKBONE}")
    command.add_argument(
        "--weights", type=_path, metavar="FILE", help="weights file of the backbone; default: ImageNet"
    )
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
        "paths", type=_path, nargs="+", metavar="PATH", help="pictures, or folders of pictures"
    )

    add("runs", run_runs, "list all runs")

    command = add("cancel", run_cancel, "stop a training that waits or runs")
    command.add_argument("run_id", metavar="RUN_ID")

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
    counts, split_problem = _split_counts(table)
    if arguments.json:
        _print_json(
            {
                "dataset_id": dataset.id,
                "num_files": len(table),
                "num_images": int(table["usable"].sum()),
                "class_names": list(layout.class_names),
                "splits": counts,
                "split_problem": split_problem,
                "checks": {
                    check.name: {
                        "num_flagged": check.num_flagged,
                        "paths": list(check.paths),
                        "why": str(check.why),
                    }
                    for check in found
                },
            }
        )
        return 0
    print(" ".join(map(str, audit.verdict(table, found))))
    _print_classes(table, layout.class_names)
    if counts is None:
        print(f"\nIt cannot be trained on yet. {split_problem}")
    else:
        shares = ", ".join(f"{count} for {split}" for split, count in counts.items())
        print(f"\nOf these, a training uses {shares}.")
    for check in found:
        if check.num_flagged:
            print(f"\n{check.title}  {check.num_flagged}\n  {check.why}")
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
        "weights": arguments.weights and str(arguments.weights),
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
    if arguments.image_size is not None:  # 0 would quietly be the network's own
        recipes.validate_image_size(arguments.image_size, catalog.get(recipe.backbone))
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
        "notes": [str(note) for note in run.notes],
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


def run_cancel(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``cancel RUN_ID``; returns when the training has stopped."""
    queue.tend(workspace)
    run = runs.get(workspace, arguments.run_id)
    active = queue.list_jobs(workspace, active=True, run_id=run.id)
    for job in active:
        queue.cancel(workspace, job.id)
        with contextlib.suppress(JobError):  # how a cancelled job ends
            _follow(workspace, job)
    run = runs.get(workspace, run.id)
    cancelled = bool(active) and run.state == "cancelled"
    if arguments.json:
        _print_json({"run_id": run.id, "state": run.state, "cancelled": cancelled})
    elif cancelled:
        print(f"Run {run.id} is cancelled.")
    else:
        print(f"Nothing to cancel: run {run.id} is {run.state}.")
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


def _path(text: str) -> Path:
    if not text.strip():  # Path("") would be this very folder, which nobody means
        raise argparse.ArgumentTypeError("an empty path; expected a file or a folder")
    return Path(text)


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not three numbers such as 0.7,0.15,0.15') from None


def _split_counts(table: pd.DataFrame) -> tuple[dict[str, int] | None, str | None]:
    """Return how many pictures a training would use per split, or why it could not be."""
    try:
        assigned = splits.assign(table)
    except DataError as error:
        return None, str(error)
    return {name: int((assigned == name).sum()) for name in runs.SPLITS}, None


def _print_classes(table: pd.DataFrame, class_names: Sequence[str]) -> None:
    """Print how many usable pictures each class has, also per split where the folder brings one."""
    usable = table[table["usable"]]
    given = [split for split in runs.SPLITS if (usable["given_split"] == split).any()]
    width = max(len(_printable(name)) for name in ("class", *class_names))
    print(f"\n{'class':<{width}}  pictures" + "".join(f"  {split:>6}" for split in given))
    for name in class_names:
        of_class = usable[usable["label"] == name]
        counts = "".join(f"  {int((of_class['given_split'] == split).sum()):6d}" for split in given)
        print(f"{_printable(name):<{width}}  {len(of_class):8d}{counts}")


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


def _version() -> str:
    project = tomllib.loads((queue.PROJECT_DIR / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=True, indent=1))


if __name__ == "__main__":
    sys.exit(main())
