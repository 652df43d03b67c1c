"""The export job: a run's model written down in several formats, each checked against the app, as one zip."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import datasets, evaluation, export, exports, images, runs
from core.datasets import Pictures
from core.errors import JobError, NotFound, UnreadableImage
from core.exports import FORMATS, Certificate
from core.queue import Job
from core.session.context import Context
from core.session.predict_job import Predictor, warm_predictor

NUM_CALIBRATION = 100
"""Training pictures that choose the ranges of 8-bit numbers."""

STALE_S = 24 * 3600.0
"""Seconds after which nobody works in an export's folder any more."""

_VERSIONED = ("tensorflow", "keras", "numpy", "pillow", "tf2onnx", "onnxruntime")


def do_export(context: Context, job: Job) -> dict[str, Any]:
    """Write, check and pack the model of a run; what there was of it before stays until all is done."""
    run = runs.get(context.workspace, job.args["run_id"])
    if run.state != "done":
        raise JobError(
            f"The run {run.id} is {run.state}, so it has no model to export. Choose a finished run."
        )
    pictures = _pictures_of(context, run)
    predictor = warm_predictor(context, run, job)
    with _workplace(runs.folder(context.workspace, run.id)) as package:
        return _export(context, predictor, exports.validate(job.args["formats"]), pictures, package)


def _pictures_of(context: Context, run: runs.Run) -> Pictures:
    try:
        return datasets.get(context.workspace, run.dataset_id).pictures
    except NotFound as error:
        raise JobError(
            f'The pictures of "{run.dataset_name}", on which the run {run.id} was trained, are not in this workspace, '
            "and exported files are checked on its test pictures. Add a folder with the same pictures on the Data "
            "page, under any name: the run finds them by their bytes once its files were looked at. Then export again."
        ) from error


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Give an empty folder that goes away with all that is beside it."""
    for left in folder.glob(".export-*"):  # by a session that was killed
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
    package = place / "package"
    package.mkdir()
    try:
        yield package
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _export(
    context: Context, predictor: Predictor, formats: tuple[str, ...], pictures: Pictures, package: Path
) -> dict[str, Any]:
    run, recipe = predictor.run, predictor.recipe
    size = predictor.backbone.image_size
    split = runs.load_split(context.workspace, run.id)
    said = runs.predictions(context.workspace, run.id, "test")
    model = export.whole_model(predictor.backbone, predictor.head, recipe.pooling, run.temperature)
    model.save(package / FORMATS["keras"].file)
    context.check()
    export.write_kit(package, run, recipe, size)
    export.write_golden(
        package / "golden",
        [pictures / path for path in said.images["path"]],
        list(said.images["sha256"]),
        list(said.images["label"]),
        size,
        recipe.resize,
        predictor.predict,
    )
    context.check()
    calibration = _calibration(pictures, split[split["split"] == "train"], size, recipe.resize)
    context.stage("convert")
    troubles = export.convert(package, formats, calibration, context.progress)
    context.stage("check")
    checked = export.check(package, formats, troubles, pictures.root, said, context.progress)
    if "keras" not in formats:
        (package / FORMATS["keras"].file).unlink()
    certificate = _certificate(run, checked)
    context.stage("pack")
    export.finish(package, run, recipe, size, split, certificate)
    packed = package.parent / "export.zip"
    export.pack(package, packed, context.progress)
    exports.save(context.workspace, certificate, packed)
    return {"run_id": run.id, "passed": [artefact.format for artefact in certificate.passed]}


def _calibration(pictures: Pictures, train: pd.DataFrame, size: tuple[int, int], resize: str) -> np.ndarray:
    """Return decoded training pictures, evenly spread over them: uint8, shape (n, h, w, 3).

    What is not as it was trained on, be it changed or gone, is left out.
    """
    spread = np.unique(np.linspace(0, len(train) - 1, NUM_CALIBRATION).astype(int))
    decoded = []
    for path, sha256 in train.iloc[spread][["path", "sha256"]].itertuples(index=False):
        with suppress(UnreadableImage):
            decoded.append(images.decode(images.read_unchanged(pictures / path, sha256), size, resize))
    if not decoded:
        raise JobError(
            "Not one training picture is where it was and as it was. Put the dataset's folder back, then export again."
        )
    return np.stack(decoded)


def _certificate(run: runs.Run, checked: export.Checked) -> Certificate:
    app = checked.app if checked.num_images else evaluation.Estimate(0.0, 0.0, 0.0)
    return Certificate(
        run_id=run.id,
        created=time.time(),
        num_images=checked.num_images,
        num_skipped=checked.num_skipped,
        app_accuracy=app.value,
        app_interval=(app.low, app.high),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        versions={name: found for name in _VERSIONED if (found := _version(name))},
        artefacts=checked.artefacts,
        num_groups=checked.num_groups,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
