"""Each exported file asked about the whole test split, in a fresh process, and held against the app."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import JobError
from core.evaluation import Estimate, Groups
from core.export.children import run_script
from core.exports import FORMATS, Artefact, broken, judge
from core.progress import Progress, no_progress
from core.runs import Predictions, groups_of
from core.workspace import directory_size

_SCRIPT = Path(__file__).with_name("checker.py")


@dataclass(frozen=True)
class Checked:
    """What the checks found.

    Args:
        artefacts: In the order of the formats.
        num_images: Test pictures that were judged.
        num_skipped: Those that are no longer as they were.
        app: Share of the judged pictures that the app has right, with its interval.
        num_groups: Groups of near-duplicates among them, one that stands alone counting as a group too.
    """

    artefacts: tuple[Artefact, ...]
    num_images: int
    num_skipped: int
    app: Estimate
    num_groups: int


def check(
    package: Path,
    formats: Sequence[str],
    troubles: dict[str, str],
    root: Path,
    said: Predictions,
    progress: Progress = no_progress,
) -> Checked:
    """Ask every artefact about the test pictures.

    Args:
        package: The folder that becomes the zip, with the artefacts and ``predict.py``.
        formats: Keys of :data:`core.exports.FORMATS`.
        troubles: Format to why it could not be made.
        root: The dataset's folder.
        said: What the app says of the test split.
        progress: Called with pictures done and in all, over all formats.

    Raises:
        Cancelled: ``progress`` raised it.
        JobError: No test picture is as it was, so nothing can be compared.
    """
    pictures = [
        [str(root / path), sha] for path, sha in zip(said.images["path"], said.images["sha256"], strict=True)
    ]
    made = [name for name in formats if name not in troubles]
    artefacts: dict[str, Artefact] = {name: broken(name, trouble) for name, trouble in troubles.items()}
    read, groups = np.zeros(len(pictures), dtype=bool), pd.factorize(groups_of(said.images))[0]
    for number, name in enumerate(made):
        tell = functools.partial(_tell, progress, number * len(pictures), len(made) * len(pictures))
        answers, trouble = _ask(package, name, pictures, tell)
        if answers is None:
            artefacts[name] = broken(name, trouble)
            continue
        read = answers["read"]
        if not read.any():
            raise JobError(
                "Not one of the test pictures is where it was and as it was, so the exported files cannot be checked. "
                "Put the dataset's folder back, then export again."
            )
        found = judge(
            name,
            said.y_true[read],
            said.y_prob[read],
            answers["y_prob"][read],
            float(answers["latency_ms"]),
            groups[read],
        )
        artefacts[name] = _with_file(found, package / FORMATS[name].file)
    together = Groups(groups[read], said.y_true[read])
    app = together.share((said.y_prob.argmax(axis=1) == said.y_true)[read])
    in_order = tuple(artefacts[name] for name in formats)
    return Checked(in_order, int(read.sum()), int((~read).sum()), app, together.num_groups)


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _ask(
    package: Path, name: str, pictures: list[list[str]], tell: Callable[[int], None]
) -> tuple[dict[str, np.ndarray] | None, str]:
    """Return what the checker wrote, or None and why it did not."""
    workplace = package.parent
    job, answers = workplace / f"check-{name}.json", workplace / f"answers-{name}.npz"
    asked = {"package": str(package), "model": FORMATS[name].file, "pictures": pictures}
    job.write_text(json.dumps(asked | {"answers": str(answers)}), encoding="utf-8")
    done = 0

    def hear(event: dict[str, int]) -> None:
        nonlocal done
        done = event.get("done", done)

    trouble = run_script(_SCRIPT, job, hear, lambda: tell(done))
    tell(len(pictures))
    if trouble or not answers.exists():
        # Engines name the file in full, and the certificate leaves this machine.
        return None, trouble.replace(f"{package}{os.sep}", "") or "It left no answers."
    with np.load(answers, allow_pickle=False) as archive:
        return dict(archive), ""


def _with_file(artefact: Artefact, path: Path) -> Artefact:
    if path.is_dir():
        return replace(artefact, num_bytes=directory_size(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(artefact, num_bytes=path.stat().st_size, sha256=digest)
