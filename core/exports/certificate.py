"""The parity certificate: what each exported model was found to do, held against the app on the whole test split."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core import evaluation, runs
from core.errors import WorkspaceError
from core.exports.formats import FORMATS, Format
from core.runs import Run
from core.workspace import Workspace, read_json, write_json

MAX_DIFFERENCE = 1e-3
"""Largest difference of any probability from the app's that a float32 format may show."""
MIN_AGREEMENT = 0.9
"""Share of pictures whose first answer a format with fewer bits has to leave as the app's."""
TIE = 1e-4
"""Where the app's two most probable classes are closer than this, either may come first."""


Verdict = Literal["passed", "unclear", "failed"]
"""``"unclear"``: the test pictures are too few to tell."""


@dataclass(frozen=True)
class Artefact:
    """One exported model and what it was found to do.

    Args:
        format: Key of :data:`core.exports.FORMATS`.
        num_bytes: Of the file, or of all files of the folder.
        sha256: Of the file, in hex; empty for a folder.
        accuracy, accuracy_interval: On the test pictures, in 0…1, with Wilson's interval; near-duplicates count as
            fewer in all intervals.
        agreement, agreement_interval: Share of test pictures whose first answer is the app's, ties counted as
            agreement.
        num_ties: Pictures whose first answer differs, but whose two first probabilities in the app were within
            :data:`TIE`.
        max_difference: Of any probability of any picture from the app's, in 0…1.
        against_app: Accuracy minus the app's on the same pictures: ``value``, ``low``, ``high``.
        latency_ms: Median of one picture, without decoding it.
        trouble: Why it could not be made or run; then the numbers above say nothing.
    """

    format: str
    num_bytes: int = 0
    sha256: str = ""
    accuracy: float = 0.0
    accuracy_interval: tuple[float, float] = (0.0, 0.0)
    agreement: float = 0.0
    agreement_interval: tuple[float, float] = (0.0, 0.0)
    num_ties: int = 0
    max_difference: float = 1.0
    against_app: Mapping[str, float] | None = None
    latency_ms: float = 0.0
    trouble: str = ""

    @property
    def about(self) -> Format:
        """The format's facts."""
        return FORMATS[self.format]

    @property
    def verdict(self) -> Verdict:
        """Whether it is within its bound.

        In single precision it has to agree on every picture and be within :data:`MAX_DIFFERENCE`. With fewer bits it
        passes where the whole interval of its agreement is at least :data:`MIN_AGREEMENT`, and fails where all of that
        interval is below it or its accuracy is clearly below the app's; between them the test pictures are too few.
        """
        if self.trouble:
            return "failed"
        if self.about.is_exact:
            is_same = self.agreement == 1.0 and self.max_difference <= MAX_DIFFERENCE
            return "passed" if is_same else "failed"
        low, high = self.agreement_interval
        if high < MIN_AGREEMENT or self.against_app is None or self.against_app["high"] < 0:
            return "failed"
        return "passed" if low >= MIN_AGREEMENT else "unclear"

    @property
    def passed(self) -> bool:
        """Whether it was shown to be within its bound."""
        return self.verdict == "passed"


@dataclass(frozen=True)
class Certificate:
    """All artefacts of one export.

    Args:
        run_id: The run they were made of.
        created: Seconds since the epoch.
        num_images: Test pictures that were judged.
        num_skipped: Test pictures that are no longer as they were, or gone.
        app_accuracy, app_interval: Of the app on the same pictures.
        machine: What the latencies were measured on, in words.
        versions: Of the packages that made and ran them.
        artefacts: In the order of :data:`core.exports.FORMATS`.
        num_groups: Groups of near-duplicates among the pictures, one that stands alone counting as a group too; 0 where
            an older Graft did not count them.
    """

    run_id: str
    created: float
    num_images: int
    num_skipped: int
    app_accuracy: float
    app_interval: tuple[float, float]
    machine: str
    versions: Mapping[str, str]
    artefacts: tuple[Artefact, ...]
    num_groups: int = 0

    @property
    def passed(self) -> tuple[Artefact, ...]:
        """The artefacts that were shown to be within their bounds."""
        return self.of("passed")

    def of(self, *verdicts: Verdict) -> tuple[Artefact, ...]:
        """Return the artefacts of which one of these was found."""
        return tuple(artefact for artefact in self.artefacts if artefact.verdict in verdicts)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as a JSON object; each artefact also says its ``verdict`` and if it ``passed``."""
        values = asdict(self)
        for artefact, value in zip(self.artefacts, values["artefacts"], strict=True):
            value["passed"] = artefact.passed
            value["verdict"] = artefact.verdict
        return values


def judge(
    name: str,
    y_true: npt.ArrayLike,
    app_prob: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    latency_ms: float,
    groups: npt.ArrayLike | None = None,
) -> Artefact:
    """Hold what an artefact says of some pictures against what the app says of them.

    Args:
        name: Its format.
        y_true: True class indices, shape (images,), at least 1.
        app_prob: The app's probabilities, float, shape (images, classes).
        y_prob: The artefact's, of the same shape; what is not a number fails every bound.
        latency_ms: Median milliseconds of one picture.
        groups: The same for pictures that hang together, shape (images,); None if each stands alone.
    """
    truth, app, received = np.asarray(y_true), np.asarray(app_prob), np.asarray(y_prob)
    if not np.isfinite(received).all():
        return broken(name, "It answers with something that is not a number.")
    y_pred, app_pred = received.argmax(axis=1), app.argmax(axis=1)
    two_first = np.sort(app, axis=1)[:, -2:]
    ties = (y_pred != app_pred) & (two_first[:, 1] - two_first[:, 0] < TIE)
    agrees = (y_pred == app_pred) | ties
    together = evaluation.Groups(groups, truth)
    accuracy, agreement = together.share(y_pred == truth), together.share(agrees)
    against_app = evaluation.paired_difference(app_pred == truth, y_pred == truth, groups)
    return Artefact(
        name,
        accuracy=accuracy.value,
        accuracy_interval=(accuracy.low, accuracy.high),
        agreement=agreement.value,
        agreement_interval=(agreement.low, agreement.high),
        num_ties=int(ties.sum()),
        max_difference=float(np.abs(received - app).max()),
        against_app=against_app._asdict(),
        latency_ms=latency_ms,
    )


def broken(name: str, trouble: str) -> Artefact:
    """Return an artefact that could not be made or run."""
    return Artefact(name, trouble=trouble)


def zip_path(workspace: Workspace, run_id: str) -> Path:
    """Return where the exported zip of a run is, or would be."""
    return runs.folder(workspace, run_id) / "export.zip"


def zip_name(run: Run) -> str:
    """Return what the zip is called where it goes: letters and digits only, whatever the dataset's name."""
    safe = "".join(char if char.isalnum() and char.isascii() else "-" for char in run.dataset_name.lower())
    return f"{safe.strip('-')[:40] or 'model'}-{run.id}.zip"


def save(workspace: Workspace, certificate: Certificate, packed: Path | None = None) -> None:
    """Keep the certificate of a run's export and, if given, put its zip in the place of the one before.

    Whoever is killed in between leaves a zip without a certificate, which nobody offers, and never one with the
    certificate of another.

    Args:
        workspace: Where to.
        certificate: What the zip's files were found to do.
        packed: The whole zip, in the folder of the run or below it.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written.
    """
    path = _path(workspace, certificate.run_id)
    if packed is not None:
        path.unlink(missing_ok=True)
        os.replace(packed, zip_path(workspace, certificate.run_id))
    write_json(path, certificate.to_json())


def certificate(workspace: Workspace, run_id: str) -> Certificate | None:
    """Return the certificate of a run's last export; None where there is none, or it is damaged."""
    try:
        values = read_json(_path(workspace, run_id))
        known = {item.name for item in fields(Artefact)}
        artefacts = tuple(
            Artefact(**{name: _restored(value) for name, value in kept.items() if name in known})
            for kept in values["artefacts"]
            if kept["format"] in FORMATS
        )
        found = Certificate(**values)
    except (WorkspaceError, TypeError, KeyError, AttributeError):
        return None
    low, high = found.app_interval
    return replace(found, artefacts=artefacts, app_interval=(low, high))


def _restored(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _path(workspace: Workspace, run_id: str) -> Path:
    return runs.folder(workspace, run_id) / "certificate.json"
