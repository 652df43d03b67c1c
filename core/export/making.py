"""From the ``.keras`` file to all other formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.export.children import run_script
from core.exports import FORMATS
from core.progress import Progress, no_progress

_SCRIPT = Path(__file__).with_name("convert.py")
SOURCE = FORMATS["keras"].file


def convert(
    package: Path, formats: Sequence[str], calibration: np.ndarray, progress: Progress = no_progress
) -> dict[str, str]:
    """Write the formats that were asked for beside ``model.keras``.

    Args:
        package: The folder that becomes the zip; has ``model.keras``.
        formats: Keys of :data:`core.exports.FORMATS`.
        calibration: Decoded pictures of the training split for int8, uint8, shape (n, h, w, 3).
        progress: Called with formats done and in all, also while nothing happens.

    Returns:
        Format to what went wrong with it; empty where all went well.

    Raises:
        Cancelled: ``progress`` raised it.
    """
    targets = {name: str(package / FORMATS[name].file) for name in formats if name != "keras"}
    if not targets:
        return {}
    workplace = package.parent
    np.save(workplace / "calibration.npy", calibration)
    job = workplace / "convert.json"
    sources = {"source": str(package / SOURCE), "calibration": str(workplace / "calibration.npy")}
    job.write_text(json.dumps(sources | {"targets": targets}), encoding="utf-8")
    begun: list[str] = []
    troubles: dict[str, str] = {}

    def hear(event: dict[str, str]) -> None:
        if "trouble" in event:
            troubles[event["format"]] = event["trouble"]
        else:
            begun.append(event["format"])

    def wait() -> None:
        progress(max(0, len(begun) - 1), len(targets))

    died = run_script(_SCRIPT, job, hear, wait)
    progress(len(targets), len(targets))
    unfinished = begun[-1:] if died else []
    failed = [
        name for name in targets if name in {*troubles, *unfinished} or not Path(targets[name]).exists()
    ]
    return {name: troubles.get(name) or died or "Nothing was written." for name in failed}
