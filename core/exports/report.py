"""The certificate as Markdown, as it lies in the zip."""

from __future__ import annotations

import time

from core.exports.certificate import MAX_DIFFERENCE, MIN_AGREEMENT, TIE, Artefact, Certificate

_HEADER = (
    "| format | file | check | accuracy (95 % interval) | same first answer (95 % interval) | largest difference "
    "| size | time |"
)
_CHECKED = {"passed": "passed", "unclear": "**too few pictures to tell**", "failed": "**failed**"}


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
            f"({_percent(low)} to {_percent(high)}).{_together(certificate)}",
            "",
            _HEADER,
            "|---|---|---|---|---|---|---|---|",
            *(_row(artefact) for artefact in certificate.artefacts),
            "",
            f"*passed*, single precision: the first answer is the app's on every picture (where the app's first two "
            f"are within {TIE:g} either may come first), and no probability differs by more than {MAX_DIFFERENCE:g}. "
            f"*passed*, fewer bits: the first answer is the app's on at least {100 * MIN_AGREEMENT:.0f} % of the "
            "pictures, with the whole 95 % interval, and accuracy is not clearly below the app's (the 95 % interval of "
            "the difference on the same pictures reaches 0). *failed*, fewer bits: the whole interval is below that, "
            "or accuracy is. Between them the test pictures are too few to tell. What failed lies in "
            "`failed-its-check`; what could not be made or run is left out.",
            "",
            f"Time: median of one picture without decoding it, on {certificate.machine}. Versions: {versions}.",
            "",
        ]
    )


def _together(certificate: Certificate) -> str:
    if certificate.num_groups == certificate.num_images:
        return ""
    if not certificate.num_groups:  # an older Graft did not look for them
        return " Near-duplicates, if there are any among them, count as if each were a picture of its own."
    return f" Near-duplicates hang together, and count as fewer in all intervals: {certificate.num_groups} groups."


def _row(artefact: Artefact) -> str:
    about = artefact.about
    if artefact.trouble:
        return f"| {about.title} | – | **failed**: {_cell(artefact.trouble)} | | | | | |"
    place = f"failed-its-check/{about.file}" if artefact.verdict == "failed" else about.file
    cells = [
        about.title,
        f"`{place}`",
        _CHECKED[artefact.verdict],
        _with_interval(artefact.accuracy, artefact.accuracy_interval),
        _with_interval(artefact.agreement, artefact.agreement_interval),
        f"{artefact.max_difference:.2g}",
        f"{artefact.num_bytes / 1e6:.1f} MB",
        f"{artefact.latency_ms:.1f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def _with_interval(share: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{_percent(share)} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
