"""Imports go downwards only: what ARCHITECTURE.md says about the rooms of core/, read from the code itself."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ABOVE_THE_LINE = (
    "errors",
    "words",
    "progress",
    "csv_tables",
    "workspace",
    "feature_store",
    "images",
    "augmentation",
    "datasets",
    "metadata",
    "curation",
    "audit",
    "splits",
    "leakage",
    "catalog",
    "recipes",
    "evaluation",
    "charts",
    "familiarity",
    "runs",
    "answers",
    "corrections",
    "bundles",
    "exports",
    "inbox",
    "conclusions",
    "ranking",
    "forecast",
    "queue",
    "demonstration",
)
"""From the ground up; a room may import the rooms before it. Pages may import these."""

BELOW_THE_LINE = (
    "backbones",
    "engines",
    "features",
    "heads",
    "training",
    "explain",
    "export",
    "session",
    "command_line",
    "__main__",
)
"""They hold TensorFlow; reached only by starting a process."""

ROOMS = ABOVE_THE_LINE + BELOW_THE_LINE
HEAVY = ("tensorflow", "keras", "sklearn")


@dataclass(frozen=True)
class Import:
    """One imported module: where it stands, and whether it happens when the file is imported."""

    source: str
    target: str
    place: str
    at_import: bool


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    _module_name(path): path
    for path in [ROOT / "streamlit_app.py", *(ROOT / "core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
}


def _imports(module: str) -> Iterator[Import]:
    path = FILES[module]
    tree = ast.parse(path.read_text("utf-8"))
    deferred = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types_only(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        for target in _targets(node, module):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            yield Import(module, target, place, id(node) not in deferred)


def _is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, *([base] if base else [])])
    inner = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in FILES else base for name in inner]


ALL_IMPORTS = [found for module in FILES for found in _imports(module)]


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "core" and len(parts) > 1 else None


def test_every_room_of_core_has_its_place_in_the_order() -> None:
    rooms = {room for module in FILES if (room := _room(module))}
    assert rooms <= set(ROOMS), "give a new room its place in the order, here and in the architecture"


def test_rooms_import_only_rooms_below_them() -> None:
    upward = [
        f"{found.place}: {source} imports {target}"
        for found in ALL_IMPORTS
        if (source := _room(found.source)) and (target := _room(found.target))
        if source != target and ROOMS.index(target) > ROOMS.index(source)
    ]
    assert upward == []


@pytest.mark.parametrize("stranger", ["streamlit", "pages", "scripts", "tests"])
def test_core_knows_nothing_of_the_interface(stranger: str) -> None:
    found = [
        f.place
        for f in ALL_IMPORTS
        if f.source.split(".")[0] == "core" and f.target.split(".")[0] == stranger
    ]
    assert found == []


def test_the_interface_imports_no_room_that_holds_tensorflow() -> None:
    found = [
        f"{f.place}: {f.target}"
        for f in ALL_IMPORTS
        if _room(f.source) in (None, *ABOVE_THE_LINE) and _room(f.target) in BELOW_THE_LINE
    ]
    assert found == []


def test_tensorflow_and_keras_stay_below_the_line_even_inside_functions() -> None:
    found = [
        f"{f.place}: {f.target}"
        for f in ALL_IMPORTS
        if _room(f.source) not in BELOW_THE_LINE and f.target.split(".")[0] in ("tensorflow", "keras")
    ]
    assert found == []


def test_no_heavy_library_is_imported_when_a_page_is() -> None:
    found = [
        f"{f.place}: {f.target}"
        for f in ALL_IMPORTS
        if f.at_import and _room(f.source) not in BELOW_THE_LINE and f.target.split(".")[0] in HEAVY
    ]
    assert found == []


def test_pages_import_components_but_no_other_page() -> None:
    found = [
        f"{f.place}: {f.target}"
        for f in ALL_IMPORTS
        if f.target.startswith("pages.") and not f.target.startswith("pages.components")
    ]
    assert found == []


def test_no_import_goes_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in ALL_IMPORTS:
        if found.at_import and found.target in FILES and found.target != found.source:
            graph[found.source].add(found.target)
    graphlib.TopologicalSorter(graph).prepare()


def test_importing_everything_above_the_line_leaves_tensorflow_out() -> None:
    above = [module for module in FILES if _room(module) in ABOVE_THE_LINE]
    components = [module for module in FILES if module.startswith("pages.components")]
    program = (
        "import importlib, sys\n"
        f"for name in {sorted(above + components)!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == "[]", answer.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "pages").glob("[!_]*.py")), ids=lambda page: page.name)
def test_every_page_begins_with_the_guard(page: Path) -> None:
    statements = [node for node in ast.parse(page.read_text("utf-8")).body if not _is_preamble(node)]
    assert ast.unparse(statements[0]) == "shell.guard(__file__)"


def _is_preamble(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    definition = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign)
    return docstring or definition or isinstance(node, ast.AnnAssign)
