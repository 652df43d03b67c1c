"""A student beside its teacher: what being smaller saves, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from core import catalog
from core.evaluation import Difference
from core.exports.certificate import Artefact, Certificate, Verdict
from core.runs import Compared, Run

WHOLE, SMALL = "litert", "litert-int8"
"""The formats whose sizes and times are held against each other: one engine, one file each."""


@dataclass(frozen=True)
class Beside:
    """One line of the table.

    Args:
        model: ``"teacher"``, ``"student"`` or ``"student_int8"``.
        run_id: Whose model it is.
        network: Its backbone, as people know it.
        num_images: Test pictures that it was judged on.
        accuracy, low, high: 0…1, with the 95 % interval.
        lead: Accuracy minus that of the line before it, on the same pictures; None for the teacher.
        num_bytes, latency_ms: Of its LiteRT file, as that run's export measured it; None where there is none.
        machine: What the latency was measured on, in words.
        verdict: Of the check of its file against the app.
    """

    model: str
    run_id: str
    network: str
    num_images: int
    accuracy: float
    low: float
    high: float
    lead: Difference | None = None
    num_bytes: int | None = None
    latency_ms: float | None = None
    machine: str = ""
    verdict: Verdict = "passed"


def beside_teacher(
    found: Compared, teachers: Certificate | None, students: Certificate | None
) -> tuple[Beside, ...]:
    """Return teacher, student and, where it was exported, the student with 8 bits.

    Args:
        found: The teacher and the student, in this order, on the test pictures that both have judged.
        teachers, students: Certificates of their exports, where there are any.
    """
    teacher, student = (_line(found, number) for number in range(2))
    lines = [_with_file(teacher, teachers, WHOLE), _with_file(student, students, WHOLE)]
    small = _artefact(students, SMALL)
    if students is not None and small is not None and small.against_app is not None:
        low, high = small.accuracy_interval
        line = Beside(
            "student_int8",
            students.run_id,
            student.network,
            students.num_images,
            small.accuracy,
            low,
            high,
            Difference(**small.against_app),
        )
        lines.append(_with_file(line, students, SMALL))
    return tuple(lines)


def _line(found: Compared, number: int) -> Beside:
    accuracy = found.scores[number].measures["accuracy"]
    return Beside(
        ("teacher", "student")[number],
        found.runs[number].id,
        _network(found.runs[number]),
        found.num_images,
        accuracy.value,
        accuracy.low,
        accuracy.high,
        found.differences[0] if number else None,
    )


def _network(run: Run) -> str:
    return catalog.get(run.recipe["backbone"]).title


def _artefact(certificate: Certificate | None, name: str) -> Artefact | None:
    """Return what was made in a format and could be run."""
    made = certificate.artefacts if certificate is not None else ()
    return next((item for item in made if item.format == name and not item.trouble), None)


def _with_file(line: Beside, certificate: Certificate | None, name: str) -> Beside:
    artefact = _artefact(certificate, name)
    if certificate is None or artefact is None:
        return line
    return replace(
        line,
        num_bytes=artefact.num_bytes,
        latency_ms=artefact.latency_ms,
        machine=certificate.machine,
        verdict=artefact.verdict,
    )


def to_table(lines: Sequence[Beside]) -> pd.DataFrame:
    """Return the lines as a table to take along: shares in 0…1, ``size_bytes``, ``latency_ms``; empty where unknown."""
    return pd.DataFrame(
        {
            "model": line.model,
            "run_id": line.run_id,
            "network": line.network,
            "num_images": line.num_images,
            "accuracy": line.accuracy,
            "accuracy_low": line.low,
            "accuracy_high": line.high,
            "difference": line.lead and line.lead.value,
            "difference_low": line.lead and line.lead.low,
            "difference_high": line.lead and line.lead.high,
            "size_bytes": line.num_bytes,
            "latency_ms": line.latency_ms,
            "machine": line.machine,
            "check": line.verdict,
        }
        for line in lines
    )
