"""Graft without a browser: ``python -m core``."""

from __future__ import annotations

import sys

from core.command_line import main

if __name__ == "__main__":
    sys.exit(main())
