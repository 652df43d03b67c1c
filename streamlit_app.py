"""Graft's entry point: the frame around every page."""

from __future__ import annotations

from pages.components import shell

shell.run()
