"""What several rooms' tests share: a workspace of their own, and the real photos where there are any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager

from core import queue
from core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "graft")


@pytest.fixture
def served(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app on this workspace, on a server that has had visitors; the device is held, so no session starts."""
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    monkeypatch.setenv("GRAFT_DEVICE", "cpu")
    monkeypatch.setenv("GRAFT_ROOTS", tempfile.gettempdir())
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", _WarmPagesManager)
    with queue.hold_device(workspace, "cpu") as held:
        assert held
        yield


class _WarmPagesManager(PagesManager):
    # AppTest otherwise begins every run as a cold server, whose first run of a page is the guard's and loses the click.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        PagesManager.uses_pages_directory = False


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos that developers have beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real photos in ../shared/data, which this machine does not have")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """A Keras home folder with real ImageNet weights."""
    if not (SHARED / "weights" / "keras_home").is_dir():
        pytest.skip("needs the real weights in ../shared/weights, which this machine does not have")
    return SHARED / "weights" / "keras_home"
