"""What several rooms' tests share: a workspace of their own, and the real photos where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "graft")


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
