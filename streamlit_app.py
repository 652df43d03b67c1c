"""Graft's entry point: the frame around every page."""

from __future__ import annotations

from pages.components import shell
from pages.components.session_box import session_box

shell.run(sidebar=session_box)
