"""A workspace for one benchmark, so that what is measured clears nobody's features and conversions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.workspace import Workspace, open_workspace


@contextmanager
def scratch_workspace() -> Iterator[Workspace]:
    """A workspace that is empty but for the weights of the user's own one, and deleted at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = open_workspace(Path(scratch))
        for weights in open_workspace().backbones_dir.glob("*.npz"):
            shutil.copy2(weights, workspace.backbones_dir)
        yield workspace
