"""The commands about trainings: ``train``, ``go-on``, ``runs``, ``cancel``, ``release``."""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import replace

from core import audit, catalog, datasets, queue, recipes, runs
from core.command_line.jobs import follow
from core.command_line.output import printable, scores_line, tell, tell_json
from core.datasets import Dataset
from core.errors import JobError, RecipeError
from core.forecast import forecast
from core.recipes import Recipe
from core.runs import Run
from core.workspace import Workspace


def run_train(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``train DIR``."""
    dataset = datasets.add_folder(workspace, arguments.folder)
    preset = arguments.recipe or ("distil" if arguments.teacher else recipes.DEFAULT_PRESET)
    if arguments.teacher and (arguments.split or arguments.seed is not None):
        raise RecipeError(
            "--split and --seed cannot be given with --teacher: on another split the teacher would have learnt from "
            "pictures that judge its student. Leave them out; those of the teacher are used."
        )
    changes = {
        "backbone": arguments.backbone,
        "weights": arguments.weights and str(arguments.weights),
        "teacher": arguments.teacher and recipes.RUN_PREFIX + arguments.teacher,
        "fractions": arguments.split,
        "image_size": arguments.image_size,
        "head_epochs": arguments.head_epochs,
        "fine_tune_epochs": arguments.fine_tune_epochs,
        "seed": arguments.seed,
        "keep_given": False if arguments.new_split else None,
    }
    recipe = replace(
        recipes.preset(preset, dataset.sample),
        **{name: value for name, value in changes.items() if value is not None},
    )
    if arguments.image_size is not None:  # 0 would quietly be the network's own
        recipes.validate_image_size(arguments.image_size, catalog.get(recipe.backbone))
    recipe = recipes.validate(recipe)
    forecast_s = _forecast_s(workspace, dataset, recipe)
    job = queue.submit_training(workspace, dataset.id, dataset.name, recipe, forecast_s=forecast_s)
    follow(workspace, job)
    _tell_trained(workspace, runs.get(workspace, job.run_id), arguments, {"recipe": preset})
    return 0


def run_go_on(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``go-on RUN_ID``."""
    queue.tend(workspace)
    run = runs.get(workspace, arguments.run_id)
    before = queue.latest(workspace, kind="train", run_id=run.id)
    if before is None or not before.args.get("sample"):  # a sample is made again where it is missing
        datasets.get(workspace, run.dataset_id)
    follow(workspace, queue.retry_training(workspace, run.id))
    _tell_trained(workspace, runs.get(workspace, run.id), arguments, {})
    return 0


def _forecast_s(workspace: Workspace, dataset: Dataset, recipe: Recipe) -> float:
    """Return about how many seconds a training will take, for those who wait behind it."""
    table = audit.load_decided(workspace, dataset.id)
    if table is None:
        files = datasets.list_files(dataset.root)
        labels = files.loc[files["kind"].isin(datasets.CLASS_KINDS), "label"]
    else:
        labels = table.loc[table["usable"], "label"]
    shares = zip(("train", "val", "test"), recipe.fractions, strict=True)
    num_images = {split: round(share * len(labels)) for split, share in shares}
    device, past = queue.default_device().id, runs.list_runs(workspace)
    return forecast(recipe, num_images, labels.nunique(), device, past).total_s


def _tell_trained(
    workspace: Workspace, run: Run, arguments: argparse.Namespace, more: dict[str, str]
) -> None:
    """Say what a training came to; as JSON with ``more`` beside it."""
    report = {
        "run_id": run.id,
        "backbone": run.recipe["backbone"],
        **more,
        "settings": run.recipe,
        "class_names": list(run.class_names),
        "num_images": run.num_images,
        "curation_fingerprint": run.curation_fingerprint,
        "seconds": run.seconds,
        "metrics": run.metrics,
        "fine_tuned": run.fine_tuned,
        "notes": [str(note) for note in run.notes],
    }
    runs.note_look(workspace, run.id)
    if arguments.json:
        tell_json(report)
        return
    tell(f"Run {run.id} on {printable(run.dataset_name)} with {run.recipe['backbone']}")
    for split in ("val", "test"):
        tell(f"  {split:<5} {scores_line(run.metrics[split])}")
    for note in (*runs.review_notes(run, "test"), *run.notes):
        tell(f"  {printable(note)}")
    tell("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items()))
    tell(f"Look at its errors: python -m core evaluate {run.id}")


def run_runs(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``runs``: by their scores on validation, by which one may choose; those on test are asked for run by run."""
    queue.tend(workspace)
    found = runs.list_runs(workspace)
    if arguments.json:
        tell_json(
            [
                {
                    "run_id": run.id,
                    "state": run.state,
                    "dataset": run.dataset_name,
                    "backbone": run.recipe.get("backbone", ""),
                    "metrics": {split: run.metrics[split] for split in run.metrics if split != "test"},
                    "seconds": run.seconds,
                    "error": run.error,
                }
                for run in found
            ]
        )
        return 0
    if not found:
        tell("No runs yet. Train one: python -m core train DIR")
    for run in found:
        scores = f"val {scores_line(run.metrics['val'])}" if "val" in run.metrics else printable(run.error)
        backbone = run.recipe.get("backbone", "")
        tell(f"{run.id}  {run.state:<11}  {printable(run.dataset_name)}  {backbone}  {scores}")
    return 0


def run_cancel(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``cancel RUN_ID``; returns when the training has stopped."""
    queue.tend(workspace)
    run = runs.get(workspace, arguments.run_id)
    active = queue.list_jobs(workspace, active=True, run_id=run.id)
    for job in active:
        queue.cancel(workspace, job.id)
        with contextlib.suppress(JobError):  # how a cancelled job ends
            follow(workspace, job)
    run = runs.get(workspace, run.id)
    cancelled = bool(active) and run.state == "cancelled"
    if arguments.json:
        tell_json({"run_id": run.id, "state": run.state, "cancelled": cancelled})
    elif cancelled:
        tell(f"Run {run.id} is cancelled.")
    elif active:
        tell(f"The training of run {run.id} has stopped; the run is {run.state}.")
    else:
        tell(f"Nothing to cancel: run {run.id} is {run.state}.")
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
        tell_json({"device": device.id, "released": was_alive})
    else:
        tell(
            f"The session of {device.title} has ended." if was_alive else f"No session holds {device.title}."
        )
    return 0
