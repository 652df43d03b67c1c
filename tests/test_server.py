"""The server makes its pages ready whatever fails, and clears what a killed demo has left."""

from __future__ import annotations

import importlib
import os
import sys
import time
from types import ModuleType

import pytest

from core import demonstration, inbox
from core.workspace import Workspace
from tests.test_inbox import named


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The entry point, without what it would change of the process that tests it."""
    monkeypatch.setattr(sys, "setswitchinterval", lambda _: None)
    return importlib.import_module("server")


def test_a_component_that_cannot_be_imported_is_logged_and_holds_up_nothing(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def imported(name: str) -> None:
        told.append(name)
        if name.endswith((".shell", ".figure")):
            raise RuntimeError(name)

    with monkeypatch.context() as patched:
        patched.setattr(server.importlib, "import_module", imported)
        patched.setattr(server.gc, "collect", lambda: told.append("collect"))
        patched.setattr(server.gc, "freeze", lambda: told.append("freeze"))
        server.import_components()
    assert told[0] == "pages.components.shell" and told[-2:] == ["collect", "freeze"]
    assert {"pages.components.figure", "pages.components.text"} < set(told) and len(told) == len(set(told))
    reasons = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert reasons == ["pages.components.shell", "pages.components.figure"]


def test_what_visitors_of_a_killed_demo_have_left_goes_when_the_server_begins(
    server: ModuleType,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    token = inbox.put(workspace, [named("a.png", b"x")], 1_000, demo=demonstration.mark("of a killed demo"))
    (path,) = inbox.photos(workspace, token)
    then = time.time() - inbox.VISITORS_KEPT_S - 60
    os.utime(path.parent, (then, then))
    server.clear_photos()
    assert not path.exists() and not caplog.records


def test_a_server_whose_workspace_cannot_be_opened_begins_all_the_same(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GRAFT_HOME", os.devnull)
    server.clear_photos()
    assert "could not be cleared" in caplog.text
