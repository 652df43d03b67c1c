"""How long a job that waits will have to: how many are before it, and about when it will begin."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from core.queue.jobs import LANES, Job, list_jobs
from core.workspace import Workspace

NUM_EARLIER = 5
"""Earlier jobs of a kind whose median says how long the next will take: the newest, as machine and data change."""

LAST_STAGES: Mapping[str, str] = {
    "cross_validate": "cross_validate",
    "leak": "features",
    "rank": "rank",
    "export": "check",
}
"""By kind of job the stage after which little or nothing follows: the end of the stage is then that of the job."""


def position(workspace: Workspace, job: Job) -> int:
    """Return how many jobs of the same lane come before a queued one; 0 means next."""
    return len(_ahead(workspace, job))


def starts_in(workspace: Workspace, job: Job) -> float | None:
    """Return in about how many seconds a queued job will begin, or None if nobody can tell of a job before it."""
    total = 0.0
    for other in _ahead(workspace, job):
        left = _left_s(workspace, other)
        if left is None:
            return None
        total += left
    return total


def _ahead(workspace: Workspace, job: Job) -> list[Job]:
    return [
        other
        for other in list_jobs(workspace, active=True)
        if other.id < job.id and other.device == job.device and LANES[other.kind] == LANES[job.kind]
    ]


def _left_s(workspace: Workspace, job: Job) -> float | None:
    """Return about how many seconds an active job will still take: by its forecast, by earlier ones, or as it says."""
    if job.state == "cancelling":
        return 0.0
    elapsed = time.time() - job.started if job.started else 0.0
    of_stage = float(job.progress.get("eta_s") or 0.0)
    if expected := float(job.args.get("forecast_s") or 0.0) or _usual_s(workspace, job):
        return max(0.0, expected - elapsed, of_stage)
    is_last_stage = job.progress.get("stage") == LAST_STAGES.get(job.kind)
    return of_stage if of_stage and is_last_stage else None


def _usual_s(workspace: Workspace, job: Job) -> float:
    """Return the median seconds of earlier jobs of its kind on its dataset, else on any; 0 if there were none."""
    for dataset_id in (job.dataset_id, ""):
        found = [
            one.ended - one.started
            for one in list_jobs(workspace, kind=job.kind, dataset_id=dataset_id)
            if one.state == "done" and one.started and one.ended
        ]
        if found:
            return statistics.median(found[:NUM_EARLIER])
        if job.kind == "train":  # whose recipe and pictures decide between seconds and hours
            break
    return 0.0
