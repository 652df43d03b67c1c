"""Graft's server: the app, which makes ready what its pages import before anybody asks for one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st

from pages import components

TURN_S = 0.0005
"""Seconds before one thread of Python has to let another one have its turn. By Python's own 0.005 each file that a
browser asks for waits several times as long, 0.3 s in all."""


@contextlib.asynccontextmanager
async def _made_ready(_: st.App) -> AsyncIterator[None]:
    threading.Thread(target=import_components, name="import-components", daemon=True).start()
    yield


def import_components() -> None:
    """Import all that pages draw with, so that the first visitor does not wait for it.

    The frame comes first, as on every page: a visitor who is there already waits for it instead of racing.
    """
    importlib.import_module(f"{components.__name__}.shell")
    for module in pkgutil.iter_modules(components.__path__):
        importlib.import_module(f"{components.__name__}.{module.name}")
    # Streamlit has Python look for garbage whenever a page was drawn: 0.1 s with all that was imported, which stays.
    gc.collect()
    gc.freeze()


# A page's first visitor asks for some sixty files of Streamlit's while it is still being drawn.
sys.setswitchinterval(TURN_S)
app = st.App(Path(__file__).with_name("streamlit_app.py").resolve(), lifespan=_made_ready)
