"""What has been made of a run for use elsewhere: in which formats, and how each was found to agree with the app."""

from __future__ import annotations

from core.exports.beside import Beside, beside_teacher, to_table
from core.exports.certificate import (
    MAX_DIFFERENCE,
    MIN_AGREEMENT,
    TIE,
    Artefact,
    Certificate,
    Verdict,
    broken,
    certificate,
    judge,
    save,
    zip_name,
    zip_path,
)
from core.exports.formats import DEFAULT_FORMATS, FORMATS, Format, install_line, validate
from core.exports.report import to_markdown

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "MAX_DIFFERENCE",
    "MIN_AGREEMENT",
    "TIE",
    "Artefact",
    "Beside",
    "Certificate",
    "Format",
    "Verdict",
    "beside_teacher",
    "broken",
    "certificate",
    "install_line",
    "judge",
    "save",
    "to_markdown",
    "to_table",
    "validate",
    "zip_name",
    "zip_path",
]
