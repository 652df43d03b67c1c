"""How soon does a job end that a person cancels, whatever it is doing?

    python benchmarks/cancel.py FOLDER [--backbone mobilenet-v2] [--only compiling]

A detached session in a workspace of its own trains, exports, ranks and cross-validates; this process asks it to stop at
one moment of each job and looks at the database every 10 ms. *Heard* is when the job was first seen in another stage,
or ended; *ended* is when it was over, with what could be kept judged and written. A job tells its progress every
quarter of a second at most, so that the moments are late by up to as much.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.session import POLL_S, workplace
from core import datasets, exports, queue, recipes, runs
from core.datasets import Dataset
from core.recipes import Recipe
from core.workspace import Workspace

GIVE_UP_S = 120.0
EPOCHS = 4


@dataclass(frozen=True)
class Moment:
    """When to cancel.

    Args:
        name: What the job is doing then.
        kind: Of the job.
        stage: It is in this stage,
        done: has done at least so much of it,
        later_s: and so many seconds have gone since.
        epoch: Epoch of stage 2 that is under way, at least.
        head: Whether the training has a stage 1.
    """

    name: str
    kind: str
    stage: str
    done: int = 0
    later_s: float = 0.0
    epoch: int = 0
    head: bool = True


MOMENTS = (
    Moment("TensorFlow is imported", "train", "startup", later_s=0.5),
    Moment("the network is built", "train", "prepare", later_s=0.3),
    Moment("it is converted to LiteRT", "train", "features", later_s=1.0),
    Moment("features are computed", "train", "features", done=64),
    Moment("the head is fitted", "train", "head", done=1),
    Moment("stage 2 is prepared", "train", "fine_tune"),
    Moment("its step is compiled, 1 s in", "train", "fine_tune", later_s=1.0),
    Moment("its step is compiled, 2 s in", "train", "fine_tune", later_s=2.0),
    Moment("its step is compiled, 3 s in", "train", "fine_tune", later_s=3.0),
    Moment("stage 2, first epoch", "train", "fine_tune", done=1, later_s=5.0),
    Moment("stage 2, third epoch", "train", "fine_tune", epoch=3, later_s=0.5),
    Moment("stage 2 without stage 1, third epoch", "train", "fine_tune", epoch=3, head=False),
    Moment("controls, at once", "train", "controls"),
    Moment("controls, 2 s in", "train", "controls", later_s=2.0),
    Moment("controls, 4 s in", "train", "controls", later_s=4.0),
    Moment("evaluation", "train", "evaluate", later_s=0.3),
    Moment("cross-validation", "cross_validate", "cross_validate"),
    Moment("ranking: the first network", "rank", "rank", later_s=3.0),
    Moment("export: prepared", "export", "prepare", later_s=0.5),
    Moment("export: converted", "export", "convert", later_s=3.0),
    Moment("export: checked", "export", "check", later_s=1.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--only", default="", help="moments whose name holds this")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning; {arguments.backbone}\n")
    print("| cancelled while | heard after | ended after | as |\n|---|---|---|---|")
    with workplace() as (workspace, _):
        dataset = datasets.add_folder(workspace, arguments.folder)
        audit = queue.submit(workspace, "audit", {"dataset_id": dataset.id}, dataset_id=dataset.id)
        queue.wait(workspace, audit.id)
        queue.release(workspace)  # so that the first moment is there
        while queue.is_alive(workspace, queue.default_device().id):
            time.sleep(POLL_S)
        for moment in MOMENTS:
            if arguments.only in moment.name:
                print(line(workspace, dataset, moment, arguments.backbone), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def line(workspace: Workspace, dataset: Dataset, moment: Moment, backbone: str) -> str:
    """Cancel a job at a moment; return the row of the table."""
    recipe = replace(
        recipes.preset("two-stages"), backbone=backbone, image_size=0, fine_tune_epochs=EPOCHS, patience=0
    )
    recipe = recipes.validate(recipe if moment.head else replace(recipe, head_epochs=0))
    job = SUBMIT[moment.kind](workspace, dataset, recipe)
    if not reached(workspace, job, moment):
        return f"| {moment.name} | not reached: {queue.get(workspace, job.id).state} | | |"
    time.sleep(moment.later_s)
    before = queue.get(workspace, job.id)
    asked = time.monotonic()
    queue.cancel(workspace, job.id)
    heard = None
    while (now := queue.get(workspace, job.id)).active and time.monotonic() - asked < GIVE_UP_S:
        if heard is None and now.progress.get("stage") != before.progress.get("stage"):
            heard = time.monotonic() - asked
        time.sleep(POLL_S)
    ended = time.monotonic() - asked
    return f"| {moment.name} | {heard or ended:.2f} s | {ended:.2f} s | {_ending(workspace, before, now)} |"


def reached(workspace: Workspace, job: queue.Job, moment: Moment) -> bool:
    """Wait for a moment; return False where the job ended before it."""
    while (now := queue.get(workspace, job.id)).active:
        told = now.progress
        if (
            told.get("stage") == moment.stage
            and told.get("done", 0) >= moment.done
            and told.get("epoch", 0) >= moment.epoch
        ):
            return True
        queue.tend(workspace)
        time.sleep(POLL_S)
    return False


def _ending(workspace: Workspace, before: queue.Job, job: queue.Job) -> str:
    was = f"was in {before.progress.get('stage')}, {before.progress.get('done')} of {before.progress.get('total')}"
    if job.kind != "train" or job.state != "done":
        return f"{job.state} ({was})"
    run = runs.get(workspace, job.run_id)
    kept = "the fine-tuned model" if run.fine_tuned else "the head"
    return f"done with {kept}, {run.stage_2.get('epochs', 0)} epochs of stage 2 ({was})"


def _train(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> queue.Job:
    # What earlier trainings found would be taken up.
    (workspace.datasets_dir / dataset.id / "controls.json").unlink(missing_ok=True)
    return queue.submit_training(workspace, dataset.id, dataset.name, recipe)


def _finished(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> runs.Run:
    """Return a finished run, the first by training a head alone."""
    if not any(run.state == "done" for run in runs.list_runs(workspace)):
        head_alone = replace(recipes.preset("linear-probe"), backbone=recipe.backbone)
        job = queue.submit_training(workspace, dataset.id, dataset.name, recipes.validate(head_alone))
        queue.wait(workspace, job.id)
    return next(run for run in runs.list_runs(workspace) if run.state == "done")


def _cross_validate(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> queue.Job:
    return queue.submit_cross_validation(workspace, _finished(workspace, dataset, recipe))


def _rank(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> queue.Job:
    return queue.submit_ranking(
        workspace, dataset.id, ["mobilenet-v2-0.35", "mobilenet"], recipe.fractions, recipe.seed
    )


def _export(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> queue.Job:
    return queue.submit_export(
        workspace,
        _finished(workspace, dataset, recipe),
        [name for name in exports.FORMATS if not exports.install_line(name)],
    )


SUBMIT: dict[str, Callable[[Workspace, Dataset, Recipe], queue.Job]] = {
    "train": _train,
    "cross_validate": _cross_validate,
    "rank": _rank,
    "export": _export,
}


if __name__ == "__main__":
    main()
