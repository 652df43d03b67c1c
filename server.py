"""Graft's server: the app, which makes ready what its pages import before anybody asks for one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import pkgutil
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from pages import components

TURN_S = 0.0005
"""Seconds before one thread of Python has to let another one have its turn. By Python's own 0.005 each file that a
browser asks for waits several times as long, 0.3 s in all."""
PRESSES = ("trigger_value", "string_trigger_value", "json_trigger_value", "chat_input_value")
"""Kinds of a widget's state that say that something was pressed now, as Streamlit's protocol names them."""

_LOG = logging.getLogger("graft.server")


@contextlib.asynccontextmanager
async def _made_ready(_: st.App) -> AsyncIterator[None]:
    threading.Thread(target=_make_ready, name="make-ready", daemon=True).start()
    yield


def _make_ready() -> None:
    import_components()
    clear_photos()


def import_components() -> None:
    """Import all that pages draw with, so that the first visitor does not wait for it.

    The frame comes first, as on every page: a visitor who is there already waits for it instead of racing. What cannot
    be imported is told to the log, and is an error on the page that needs it.
    """
    names = ["shell", *(module.name for module in pkgutil.iter_modules(components.__path__))]
    try:
        for name in dict.fromkeys(names):
            try:
                importlib.import_module(f"{components.__name__}.{name}")
            except Exception:  # whatever a module raises, the others are not to wait for their visitors
                _LOG.exception("The component %s cannot be imported.", name)
    finally:
        # Streamlit has Python look for garbage whenever a page was drawn: 0.1 s with all that was imported, which
        # stays.
        gc.collect()
        gc.freeze()


def clear_photos() -> None:
    """Throw away photos whose time is over, such as those of the visitors of a demo that was killed."""
    from core import inbox, workspace  # the server answers before they are imported
    from core.errors import GraftError

    try:
        if workspace.default_home().exists():
            inbox.clear(workspace.open_workspace())
    except (OSError, GraftError) as error:
        _LOG.warning("Photos that were put aside could not be cleared: %s", error)


def leave_presses_out_of_timers() -> None:
    """Have what is pressed happen once.

    Streamlit 1.67's page sends a press in a task of its own; the message of a timer that fires before it, as those of
    boxes that refresh themselves do after a busy moment, carries the press as well, and what the button does would
    happen twice, such as starting a training.
    """
    request_rerun = AppSession.request_rerun

    def without_presses(session: AppSession, client_state: ClientState | None) -> None:
        if client_state is not None and client_state.is_auto_rerun:
            widgets = client_state.widget_states.widgets
            for index in reversed(range(len(widgets))):
                if widgets[index].WhichOneof("value") in PRESSES:
                    del widgets[index]
        request_rerun(session, client_state)

    AppSession.request_rerun = without_presses  # type: ignore[method-assign, assignment]


# A page's first visitor asks for some sixty files of Streamlit's while it is still being drawn.
sys.setswitchinterval(TURN_S)
leave_presses_out_of_timers()
app = st.App(Path(__file__).with_name("streamlit_app.py").resolve(), lifespan=_made_ready)
