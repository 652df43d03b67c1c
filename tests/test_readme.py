"""The README names every command there is."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from core.command_line import build_parser

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_names_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert targets
    assert [target for target in targets if not re.search(rf"\bmake {target}\b(?!-)", readme)] == []


def test_the_readme_names_every_command() -> None:
    actions = build_parser()._actions
    commands = next(action for action in actions if isinstance(action, argparse._SubParsersAction)).choices
    readme = (ROOT / "README.md").read_text("utf-8")
    assert commands
    assert [command for command in commands if f"python -m core {command}" not in readme] == []
