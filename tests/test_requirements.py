"""Each dependency is named where it is needed, within tested limits and with its reason."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-gpu.txt", "requirements-onnx.txt", "requirements-dev.txt")
KIT = ROOT / "core" / "export" / "kit"
"""Leaves in every exported zip, with requirements of its own."""
LINE = re.compile(r"(?P<name>[a-z0-9-]+)(\[[a-z-]+\])?>=[\d.]+,<[\d.]+ +# (?P<reason>.{10,})")
OURS = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}


def _lines(name: str) -> list[str]:
    text = (ROOT / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


def _listed(*names: str) -> set[str]:
    return {match["name"] for name in names for line in _lines(name) if (match := LINE.fullmatch(line))}


def _imported(*folders: str) -> dict[str, str]:
    """Return distribution -> one file that imports it."""
    distributions = packages_distributions()
    files = [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if KIT not in path.parents
    ]
    found: dict[str, str] = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            )
            for top in {name.split(".")[0] for name in names} - OURS - sys.stdlib_module_names:
                distribution = distributions.get(top, [top])[0].lower().replace("_", "-")
                found[distribution] = str(path.relative_to(ROOT))
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_has_limits_and_a_reason(name: str) -> None:
    assert [line for line in _lines(name) if not LINE.fullmatch(line)] == []


def test_what_the_app_imports_is_in_its_requirements() -> None:
    imported = _imported("core", "pages")
    assert {
        name: place
        for name, place in imported.items()
        if name not in _listed("requirements.txt", "requirements-onnx.txt")
    } == {}


def test_what_tests_and_scripts_import_is_in_the_requirements_for_development() -> None:
    listed = _listed("requirements.txt", "requirements-dev.txt")
    imported = _imported("tests", "scripts")
    assert {name: place for name, place in imported.items() if name not in listed} == {}
