"""Where metadata is kept once it was read: in the workspace, beside the audited table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from core import words
from core.datasets import Dataset, is_added
from core.errors import DataError, WorkspaceError
from core.metadata.reading import PATH, Metadata, read
from core.workspace import Workspace, read_json, replacing, write_json


def update(workspace: Workspace, dataset: Dataset, paths: Collection[str]) -> Metadata | None:
    """Read the ``metadata.csv`` of a dataset and keep what it says of the given paths; None where there is none.

    Raises:
        WorkspaceError: What was read cannot be written.
    """
    folder = workspace.datasets_dir / dataset.id
    try:
        # Whoever wrote the folder's table cannot know of photos that were added in Graft.
        found = read(dataset.root, [path for path in paths if not is_added(path)])
    except DataError as error:
        found = Metadata(pd.DataFrame(), problem=str(error))
    if found is None:
        for name in ("metadata.json", "metadata.parquet"):
            (folder / name).unlink(missing_ok=True)
        return None
    with replacing(folder / "metadata.parquet") as temporary:
        found.columns.reset_index().to_parquet(temporary, index=False)
    notes = [note.to_json() for note in found.notes]
    write_json(folder / "metadata.json", {"notes": notes, "problem": found.problem})
    return found


def load(workspace: Workspace, dataset_id: str) -> Metadata | None:
    """Return what :func:`update` kept, or None where there is none that can be read."""
    folder = workspace.datasets_dir / dataset_id
    try:
        kept = read_json(folder / "metadata.json")
        table = pd.read_parquet(folder / "metadata.parquet")
        columns = table.set_index(PATH) if PATH in table.columns else pd.DataFrame()
        return Metadata(columns, tuple(words.from_json(note) for note in kept["notes"]), str(kept["problem"]))
    except (WorkspaceError, OSError, ValueError, KeyError, TypeError):
        return None


def of_pictures(workspace: Workspace, dataset_id: str, paths: Sequence[str]) -> pd.DataFrame:
    """Return what is known of some pictures, such as those that a run was judged by, to be sliced by.

    Returns:
        One row per path in the order given, and the columns of the ``metadata.csv``, each of the type it has there; NaN
        or ``""`` where nothing is known. No columns where there is no metadata.
    """
    found = load(workspace, dataset_id)
    if found is None:
        return pd.DataFrame(index=pd.Index(paths, name=PATH))
    known = found.columns.reindex(list(paths))
    texts = [name for name in known.columns if known[name].dtype.kind != "f"]
    return known.fillna(dict.fromkeys(texts, "")) if texts else known
