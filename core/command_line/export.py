"""The commands that take a model or a whole run away, and bring a run: ``export``, ``bundle``, ``import``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from core import bundles, datasets, exports, queue, runs
from core.command_line.jobs import follow
from core.command_line.output import printable, tell, tell_json
from core.errors import DataError, JobError, NotFound
from core.exports import Artefact, Verdict
from core.runs import Run
from core.workspace import Workspace, replacing

_CHECKED: Mapping[Verdict, str] = {
    "passed": "passed",
    "unclear": "too few test pictures to tell",
    "failed": "FAILED",
}


def run_export(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``export RUN_ID --to DIR``."""
    run = runs.get(workspace, arguments.run_id)
    target = _folder(arguments.to) / exports.zip_name(run)
    follow(workspace, queue.submit_export(workspace, run, arguments.format))
    certificate = exports.certificate(workspace, run.id)
    assert certificate is not None  # it was written before the job ended
    runs.note_look(workspace, run.id)
    with replacing(target) as temporary:
        shutil.copyfile(exports.zip_path(workspace, run.id), temporary)
    if arguments.json:
        tell_json({"zip": str(target), "certificate": certificate.to_json()})
        return 0
    low, high = certificate.app_interval
    tell(
        f"Run {run.id}: in the app {_percent(certificate.app_accuracy)} right "
        f"({_percent(low)} to {_percent(high)}) on {certificate.num_images} test pictures; of the exported files:"
    )
    for artefact in certificate.artefacts:
        tell(f"  {artefact.about.title:<16}  {printable(_line(artefact))}")
    tell(f"Written: {printable(target)}")
    return 0


def run_bundle(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``bundle RUN_ID --to DIR``."""
    run = runs.get(workspace, arguments.run_id)
    target = _folder(arguments.to) / bundles.name_of(run)
    if run.state == "done" and not bundles.is_measured(workspace, run):
        _measure(workspace, run)
    bundles.pack(workspace, run, target)
    if arguments.json:
        tell_json({"run_id": run.id, "bundle": str(target)})
    else:
        tell(f"Written: {printable(target)}")
    return 0


def _measure(workspace: Workspace, run: Run) -> None:
    """Measure what a run takes for familiar before it leaves its pictures; where that fails, it goes without."""
    trouble = "its pictures are not here"
    try:
        follow(workspace, queue.submit_familiarity(workspace, run))
    except JobError as error:
        trouble = str(error)
    if not bundles.is_measured(workspace, run):
        sys.stderr.write(printable(f'Elsewhere this run cannot say "none of these": {trouble}') + "\n")


def run_import(workspace: Workspace, arguments: argparse.Namespace) -> int:
    """``import FILE``."""
    if not arguments.bundle.is_file():
        raise DataError(f'There is no file "{arguments.bundle}". Expected a bundle of a run. Check the path.')
    run = bundles.unpack(workspace, arguments.bundle)
    if arguments.json:
        tell_json({"run_id": run.id})
    else:
        tell(f"Run {run.id} on {printable(run.dataset_name)} is here. {_about_pictures(workspace, run)}")
    return 0


def _about_pictures(workspace: Workspace, run: Run) -> str:
    try:
        return f"Its pictures are those of the dataset {datasets.get(workspace, run.dataset_id).id}."
    except NotFound:
        return (
            "Its pictures are not part of a bundle: add and audit a folder with the same ones, and it finds them by "
            "their bytes. Until then it answers, but is not exported."
        )


def _folder(given: Path) -> Path:
    """Make the folder that the zip goes to."""
    try:
        given.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f'"{given}" cannot be made or is not a folder ({error.strerror}). Expected a folder for the zip. '
            "Choose another."
        ) from error
    return given.absolute()


def _line(artefact: Artefact) -> str:
    if artefact.trouble:
        return f"FAILED: {artefact.trouble}"
    return (
        f"{_CHECKED[artefact.verdict]}  {_with_interval(artefact.accuracy, 'right', artefact.accuracy_interval)}, "
        f"{_with_interval(artefact.agreement, 'the same answer', artefact.agreement_interval)}, probabilities within "
        f"{artefact.max_difference:.1e}, {artefact.num_bytes / 1e6:.1f} MB, {artefact.latency_ms:.1f} ms"
    )


def _with_interval(share: float, what: str, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{_percent(share)} {what} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
