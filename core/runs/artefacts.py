"""What a run leaves beside its record: which images it used, and arrays."""

from __future__ import annotations

import zipfile

import numpy as np
import pandas as pd

from core.errors import NotFound, WorkspaceError
from core.runs.record import folder
from core.workspace import Workspace, replacing


def save_split(workspace: Workspace, run_id: str, table: pd.DataFrame) -> None:
    """Keep which images were used: columns ``path``, ``sha256``, ``label``, ``split``, and ``group`` if it is there."""
    with replacing(folder(workspace, run_id) / "split.parquet") as temporary:
        columns = [name for name in ("path", "sha256", "label", "split", "group") if name in table.columns]
        table[columns].to_parquet(temporary, index=False)


def load_split(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Return which images were used: columns ``path``, ``sha256``, ``label``, ``split``.

    Runs of a Graft that knows near-duplicates also have ``group``.

    Raises:
        NotFound: The run has not got that far.
    """
    path = folder(workspace, run_id) / "split.parquet"
    if not path.exists():
        raise NotFound(f"The run {run_id} has no split yet: its training ended before the images were read.")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise WorkspaceError(f'"{path}" is damaged ({error}). Train the run again.') from error


def save_arrays(workspace: Workspace, run_id: str, name: str, **arrays: np.ndarray) -> None:
    """Keep arrays as ``<name>.npz``."""
    with replacing(folder(workspace, run_id) / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(workspace: Workspace, run_id: str, name: str) -> dict[str, np.ndarray]:
    """Read arrays kept by :func:`save_arrays`.

    Raises:
        NotFound: They are missing.
        WorkspaceError: They are damaged.
    """
    path = folder(workspace, run_id) / f"{name}.npz"
    if not path.exists():
        raise NotFound(
            f'The run {run_id} has no "{path.name}", which a training that ends well leaves. Train it again.'
        )
    try:
        # Opened here, since numpy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WorkspaceError(f'"{path}" is damaged ({error}). Train the run again.') from error
