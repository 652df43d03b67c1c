"""Graft in a terminal: reads a command, does it, says how it went.

One module per group of commands (:mod:`audit`, :mod:`training`, :mod:`model`); what they print goes through
:mod:`output`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from core import datasets
from core.command_line import output
from core.command_line.parser import build_parser
from core.errors import GraftError, JobError
from core.workspace import Workspace, default_home, open_workspace

__all__ = ["build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    try:
        return _run(parsed)
    except BrokenPipeError:  # whoever read the output has seen enough
        output.discard()
        return 0
    except output.OutputError as error:
        output.discard()
        print(error, file=sys.stderr)
        return 1


def _workspace(parsed: argparse.Namespace) -> Workspace:
    """Open the workspace; it is not made within the pictures that the command is about."""
    home = default_home().expanduser().resolve()
    if hasattr(parsed, "folder") and not home.exists():
        datasets.refuse_workspace_inside(datasets.resolve_folder(parsed.folder), home)
    return open_workspace(home)


def _run(parsed: argparse.Namespace) -> int:
    """Do the command; say what went wrong in words, and as JSON where that is asked for."""
    try:
        code: int = parsed.run(_workspace(parsed), parsed)
    except output.OutputError:
        raise
    except GraftError as error:
        code, message = 1 if isinstance(error, JobError) else 2, str(error)
    except KeyboardInterrupt:
        code, message = 130, "Stopped."
    else:
        output.flush()
        return code
    print(message, file=sys.stderr)
    if parsed.json:
        output.tell_json({"error": message})
        output.flush()
    return code
