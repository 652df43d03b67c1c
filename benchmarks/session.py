"""How warm is a session, how soon does the next job begin, and what do many pictures take?

    python benchmarks/session.py FOLDER [--backbone mobilenet-v2] [--sizes 1000 5000 20000] [--parts warm queue scale]

A detached session in a workspace of its own does what it is asked to through the queue, as from a page; this process
only looks at the database, every 10 ms. A job tells its progress every quarter of a second at most, so that what is
said of a first batch or step is late by up to as much.

1. Warm: a first training, then one on other pictures with the same backbone, of the default recipe with its variations
   but for the epochs: from the start of the job to the first batch of features, and from the start of stage 2 to when
   its first step was taken. Then one picture asked about, prediction and explanation, seconds from question to answer:
   the first time, again, and both runs in turn while a third is trained.
2. Queue: ten trainings of pictures of their own; from the end of one to the first batch of the next.
3. Scale: audit and training of the head for so many of the folder's pictures, each in a session and a workspace of its
   own: seconds on the clock, and the session's peak memory.

The folder needs the pictures that are asked for: 700 for the first two parts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import datasets, images, queue, recipes, runs
from core.recipes import Recipe
from core.workspace import Workspace, open_workspace

POLL_S = 0.01
NUM_JOBS, JOB_PICTURES, FIRST_PICTURES = 10, 40, 150
QUESTIONS = 9


@dataclass(frozen=True)
class Seen:
    """What a job said of itself at a time, seconds since the epoch."""

    at: float
    job_id: int
    stage: str
    done: int


class Watch:
    """Looks at the active jobs in a thread and notes each change."""

    def __init__(self, workspace: Workspace) -> None:
        self.seen: list[Seen] = []
        self._workspace, self._ending = workspace, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        last: dict[int, tuple[str, int]] = {}
        while not self._ending.is_set():
            for job in queue.list_jobs(self._workspace, active=True):
                now_is = (str(job.progress.get("stage", "")), int(job.progress.get("done", 0)))
                if last.get(job.id) != now_is:
                    last[job.id] = now_is
                    self.seen.append(Seen(time.time(), job.id, *now_is))
            time.sleep(POLL_S)

    def first(self, job: queue.Job, stage: str, at_least: int = 0) -> float:
        """Return when a job was first seen in a stage with so much done."""
        return next(
            one.at
            for one in self.seen
            if one.job_id == job.id and one.stage == stage and one.done >= at_least
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--parts", nargs="+", default=["warm", "queue", "scale"])
    arguments = parser.parse_args()
    classes = pictures_by_class(arguments.folder)
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning; {arguments.backbone}\n")
    for part in arguments.parts:
        {"warm": warm, "queue": waiting, "scale": scale}[part](classes, arguments)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def warm(classes: dict[str, list[Path]], arguments: argparse.Namespace) -> None:
    """Part 1."""
    recipe = replace(
        recipes.preset("two-stages"),
        backbone=arguments.backbone,
        head_epochs=5,
        fine_tune_epochs=1,
    )
    with workplace() as (workspace, scratch), Watch(workspace) as watch:
        print("| | first training | second, other pictures |\n|---|---|---|")
        jobs = [
            train(workspace, linked(classes, scratch / name, begin, FIRST_PICTURES), recipe)
            for begin, name in ((0, "first"), (FIRST_PICTURES, "second"))
        ]
        told = {
            "job begun to stage of features": [watch.first(job, "features") - begun(job) for job in jobs],
            "job begun to first batch of features": [
                watch.first(job, "features", 1) - begun(job) for job in jobs
            ],
            "stage 2 begun to first step": [
                watch.first(job, "fine_tune", 1) - watch.first(job, "fine_tune") for job in jobs
            ],
            "whole job": [ended(job) - begun(job) for job in jobs],
        }
        for name, (one, other) in told.items():
            print(f"| {name} | {one:.2f} s | {other:.2f} s |")

        both = [runs.get(workspace, job.run_id) for job in jobs]
        picture = next(iter(classes.values()))[-1]
        print(
            "\n| one picture | first | again | both runs in turn | both in turn while stage 2 of a third goes on |\n"
            "|---|---|---|---|---|"
        )
        quiet, turns = answers(workspace, both[:1], picture), answers(workspace, both, picture)
        long = replace(recipe, fine_tune_epochs=50, patience=0)
        dataset = datasets.add_folder(workspace, scratch / "second")
        other = queue.submit_training(workspace, dataset.id, dataset.name, long)
        wait_for_stage(workspace, other, "fine_tune")
        busy = answers(workspace, both, picture)
        for kind, (first, again) in quiet.items():
            print(
                f"| {kind} | {first:.2f} s | {spread(again)} | {spread(turns[kind][1])} | {spread(busy[kind][1])} |"
            )
        print(f"\nPeak memory of the session: {peak_mb(workspace):,.0f} MB\n")


def waiting(classes: dict[str, list[Path]], arguments: argparse.Namespace) -> None:
    """Part 2."""
    recipe = replace(recipes.preset("linear-probe"), backbone=arguments.backbone)
    with workplace() as (workspace, scratch), Watch(workspace) as watch:
        found = [
            datasets.add_folder(
                workspace, linked(classes, scratch / f"part {number}", number * JOB_PICTURES, JOB_PICTURES)
            )
            for number in range(NUM_JOBS)
        ]
        jobs = [queue.submit_training(workspace, one.id, one.name, recipe) for one in found]
        jobs = [queue.wait(workspace, job.id) for job in jobs]
        gaps = [
            watch.first(after, "features", 1) - ended(before) for before, after in itertools.pairwise(jobs)
        ]
        claims = [begun(after) - ended(before) for before, after in itertools.pairwise(jobs)]
        print("| ten jobs | median (least to most) |\n|---|---|")
        print(f"| end of one to first batch of the next, audit of its pictures included | {spread(gaps)} |")
        print(f"| end of one to begin of the next | {spread(claims)} |")
        print(f"| all ten | {ended(jobs[-1]) - begun(jobs[0]):.1f} s |\n")


def scale(classes: dict[str, list[Path]], arguments: argparse.Namespace) -> None:
    """Part 3."""
    recipe = replace(recipes.preset("linear-probe"), backbone=arguments.backbone)
    print(
        "| pictures | audit | features | head | controls | evaluation | all, start of the session included | "
        "pictures a second | peak memory of the session |\n|---|---|---|---|---|---|---|---|---|"
    )
    for size in arguments.sizes:
        with workplace() as (workspace, scratch):
            folder = linked(classes, scratch / "pictures", 0, size // len(classes))
            began = time.time()
            job = train(workspace, folder, recipe)
            all_s, seconds = time.time() - began, runs.get(workspace, job.run_id).seconds
            named = [
                f"{seconds[name]:.1f} s" for name in ("audit", "features", "head", "controls", "evaluate")
            ]
            print(
                f"| {size:,} | {' | '.join(named)} | {all_s:.1f} s | {size / all_s:.0f} | "
                f"{peak_mb(workspace):,.0f} MB |",
                flush=True,
            )
    print()


@contextmanager
def workplace() -> Iterator[tuple[Workspace, Path]]:
    """A workspace and a folder of their own; the session is sent away at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = open_workspace(Path(scratch) / "home")
        try:
            yield workspace, Path(scratch)
        finally:
            device = queue.default_device()
            for job in queue.list_jobs(workspace, active=True):
                queue.cancel(workspace, job.id)
            while queue.list_jobs(workspace, active=True):
                time.sleep(POLL_S)
            queue.release(workspace, device)
            while queue.is_alive(workspace, device.id):
                time.sleep(0.1)


def pictures_by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each of the folder's subfolders."""
    return {
        path.name: [file for file in sorted(path.rglob("*")) if file.suffix.lower() in images.EXTENSIONS]
        for path in sorted(folder.iterdir())
        if path.is_dir()
    }


def linked(classes: dict[str, list[Path]], folder: Path, begin: int, count: int) -> Path:
    """Make a folder of some pictures of each class, as links where the disk is the same, else as copies."""
    for name, paths in classes.items():
        (folder / name).mkdir(parents=True)
        for path in paths[begin % len(paths) :][:count]:
            try:
                os.link(path, folder / name / path.name)
            except OSError:
                shutil.copyfile(path, folder / name / path.name)
    return folder


def train(workspace: Workspace, folder: Path, recipe: Recipe) -> queue.Job:
    """Audit a folder, as its page does, train a run and wait for its end."""
    dataset = datasets.add_folder(workspace, folder)
    queue.wait(
        workspace, queue.submit(workspace, "audit", {"dataset_id": dataset.id}, dataset_id=dataset.id).id
    )
    return queue.wait(workspace, queue.submit_training(workspace, dataset.id, dataset.name, recipe).id)


def answers(
    workspace: Workspace, asked: list[runs.Run], picture: Path
) -> dict[str, tuple[float, list[float]]]:
    """Ask runs in turn; return how long the very first answer took, and those after the first round."""
    asks = {
        "prediction": lambda run: queue.submit_prediction(workspace, run, [picture]),
        "explanation": lambda run: queue.submit_explanation(workspace, run, picture, run.class_names[:2]),
    }
    found: dict[str, tuple[float, list[float]]] = {}
    for kind, ask in asks.items():
        taken = []
        for run in asked * (1 + QUESTIONS):
            began = time.perf_counter()
            job = ask(run)
            while (job := queue.get(workspace, job.id)).active:
                time.sleep(POLL_S)
            if job.state != "done":
                raise SystemExit(f"No {kind}: {job.error.get('message')}")
            taken.append(time.perf_counter() - began)
        found[kind] = taken[0], taken[len(asked) :]
    return found


def wait_for_stage(workspace: Workspace, job: queue.Job, stage: str) -> None:
    """Return when a job is in a stage with something done."""
    while True:
        told: Any = queue.get(workspace, job.id).progress
        if told.get("stage") == stage and told.get("done", 0):
            return
        time.sleep(POLL_S)


def begun(job: queue.Job) -> float:
    """Return when a session took a job."""
    assert job.started is not None
    return job.started


def ended(job: queue.Job) -> float:
    """Return when a job was done."""
    assert job.ended is not None
    return job.ended


def spread(values: list[float]) -> str:
    """Return the median, and the least and the most."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def peak_mb(workspace: Workspace) -> float:
    """Return the most memory that the session had so far, in millions of bytes."""
    with workspace.db() as db:
        pid = db.execute("SELECT pid FROM sessions").fetchone()["pid"]
    if sys.platform == "linux":
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return float(psutil.Process(pid).memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
