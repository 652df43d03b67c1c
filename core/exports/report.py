"""The certificate as Markdown, as it lies in the zip."""

from __future__ import annotations

import time

from core.exports.certificate import MAX_DIFFERENCE, TIE, Artefact, Certificate

_HEADER = "| format | file | check | accuracy (95 % interval) | same first answer | largest difference | size | time |"


def to_markdown(certificate: Certificate) -> str:
    """Return a table of the artefacts and how they were measured."""
    low, high = certificate.app_interval
    skipped = (
        f" {certificate.num_skipped} more have changed or gone since." if certificate.num_skipped else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
    return "\n".join(
        [
            "# Parity certificate",
            "",
            f"Run {certificate.run_id}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime(certificate.created))} UTC.",
            "",
            f"Each file below was loaded in a process of its own, by the `predict.py` beside this file, and asked "
            f"about all {certificate.num_images} test pictures, read from their original files.{skipped} Its answers "
            f"were held against those that the app shows, which are right on {_percent(certificate.app_accuracy)} "
            f"({_percent(low)} to {_percent(high)}).",
            "",
            _HEADER,
            "|---|---|---|---|---|---|---|---|",
            *(_row(artefact) for artefact in certificate.artefacts),
            "",
            f"*passed*, single precision: the first answer is the app's on every picture (where the app's first two "
            f"are within {TIE:g} either may come first), and no probability differs by more than {MAX_DIFFERENCE:g}. "
            "*passed*, fewer bits: accuracy is not clearly below the app's (the 95 % interval of the difference on the "
            "same pictures reaches 0). What failed lies in `failed-its-check`; what could not be made or run is left "
            "out.",
            "",
            f"Time: median of one picture without decoding it, on {certificate.machine}. Versions: {versions}.",
            "",
        ]
    )


def _row(artefact: Artefact) -> str:
    about = artefact.about
    if artefact.trouble:
        return f"| {about.title} | – | **failed**: {_cell(artefact.trouble)} | | | | | |"
    place = about.file if artefact.passed else f"failed-its-check/{about.file}"
    low, high = artefact.accuracy_interval
    cells = [
        about.title,
        f"`{place}`",
        "passed" if artefact.passed else "**failed**",
        f"{_percent(artefact.accuracy)} ({_percent(low)} to {_percent(high)})",
        _percent(artefact.agreement),
        f"{artefact.max_difference:.2g}",
        f"{artefact.num_bytes / 1e6:.1f} MB",
        f"{artefact.latency_ms:.1f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
