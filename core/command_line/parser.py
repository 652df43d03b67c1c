"""What the command line understands."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable
from pathlib import Path

from core import catalog, exports, queue, recipes, runs
from core.command_line.audit import run_audit
from core.command_line.export import run_bundle, run_export, run_import
from core.command_line.model import run_evaluate, run_predict
from core.command_line.training import run_cancel, run_go_on, run_release, run_runs, run_train
from core.workspace import Workspace

DESCRIPTION = """\
Graft without a browser: audit a folder, train on it, look at the errors, predict.

Results go to standard output (--json for machines, failures too, as {"error": "..."}), progress and failures to
standard error. Exit codes: 0 done, whatever was found; 1 a job failed, predict was given a file that it cannot use,
or the output could not be written; 2 the call has to be changed; 130 stopped with Ctrl-C.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m core``."""
    parser = argparse.ArgumentParser(
        prog="python -m core", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
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
    small = recipes.PRESETS["distil"].backbone
    command.add_argument(
        "--backbone", metavar="NAME", help=f"default: {catalog.DEFAULT_BACKBONE}, with a teacher {small}"
    )
    command.add_argument(
        "--weights", type=_path, metavar="FILE", help="weights file of the backbone; default: ImageNet"
    )
    command.add_argument(
        "--recipe",
        metavar="NAME",
        help=f"one of: {', '.join(recipes.PRESETS)}; default: {recipes.DEFAULT_PRESET}, with a teacher distil",
    )
    command.add_argument(
        "--teacher",
        metavar="RUN_ID",
        help="a finished run on the same folder that is learnt from; its split and seed are kept",
    )
    command.add_argument(
        "--split", metavar="A,B,C", type=_fractions, help="train, val, test; default: 0.7,0.15,0.15"
    )
    command.add_argument(
        "--new-split",
        action="store_true",
        help="split anew where the folder brings train, val and test; default: its split is kept",
    )
    command.add_argument(
        "--image-size", type=int, metavar="N", help="pixels a side; default: the backbone's own"
    )
    command.add_argument("--head-epochs", type=int, metavar="N", help="most passes of stage 1")
    command.add_argument(
        "--fine-tune-epochs", type=int, metavar="N", help="epochs of stage 2; 0 leaves it out"
    )
    command.add_argument("--seed", type=int, metavar="N", help="of the split, of shuffling and augmentation")

    command = add("go-on", run_go_on, "go on with a training that failed, was cancelled or was interrupted")
    command.add_argument("run_id", metavar="RUN_ID")

    command = add("evaluate", run_evaluate, "show the scores and errors of a run")
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument("--split", choices=runs.SPLITS, default="test", help="default: test")

    command = add("predict", run_predict, "say what a run sees in pictures")
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument(
        "paths", type=_path, nargs="+", metavar="PATH", help="pictures, or folders of pictures"
    )
    command.add_argument(
        "--csv", type=_path, metavar="FILE", help="also write path, label, probabilities and flags there"
    )

    command = add(
        "export", run_export, "write a run's model down for use elsewhere, and prove that it agrees"
    )
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument("--to", type=_path, required=True, metavar="DIR", help="where the zip goes")
    command.add_argument(
        "--format",
        type=lambda text: tuple(part.strip() for part in text.split(",")),
        default=exports.DEFAULT_FORMATS,
        metavar="A,B,...",
        help=f"of: {', '.join(exports.FORMATS)}; default: {','.join(exports.DEFAULT_FORMATS)}",
    )

    command = add("bundle", run_bundle, "pack a run to move it to another machine")
    command.add_argument("run_id", metavar="RUN_ID")
    command.add_argument("--to", type=_path, required=True, metavar="DIR", help="where the bundle goes")

    command = add("import", run_import, "make the run of a bundle one of this workspace")
    command.add_argument("bundle", type=_path, metavar="FILE", help="what bundle has written")

    add("runs", run_runs, "list all runs")

    command = add("cancel", run_cancel, "stop a training that waits or runs")
    command.add_argument("run_id", metavar="RUN_ID")

    add("release", run_release, "end the device session and give its memory back")
    return parser


def _path(text: str) -> Path:
    if not text.strip():  # Path("") would be this very folder, which nobody means
        raise argparse.ArgumentTypeError("an empty path; expected a file or a folder")
    return Path(text)


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not three numbers such as 0.7,0.15,0.15') from None


def _version() -> str:
    project = tomllib.loads((queue.PROJECT_DIR / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])
