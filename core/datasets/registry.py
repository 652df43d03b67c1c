"""The datasets that a workspace knows: an id for each folder, so that decisions and runs can refer to it."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
import unicodedata
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.added import Pictures
from core.datasets.layouts import CLASS_KINDS, iterate_files, read_layout
from core.datasets.roots import confine
from core.errors import DataError, NotFound
from core.words import sentence
from core.workspace import Workspace, remove_directory

MAX_NAME_CHARS = 100
"""Longest display name kept, in characters."""


@dataclass(frozen=True)
class Dataset:
    """A folder of pictures that the workspace knows.

    Args:
        id: Short and stable; safe in URLs and as a file name.
        name: What the user calls it; untrusted text.
        root: The folder, absolute, links resolved.
        sample: Name of the sample it was made from, or ``""`` for a user's folder.
        source: Where a sample's pictures come from.
        licence: Under which terms a sample's pictures may be used.
        created: When it was added, seconds since 1970.
        added_dir: Where the workspace keeps the photos that were added to it; see :mod:`core.datasets.added`.
    """

    id: str
    name: str
    root: Path
    sample: str
    source: str
    licence: str
    created: float
    added_dir: Path

    @property
    def pictures(self) -> Pictures:
        """Where its pictures are."""
        return Pictures(self.root, self.added_dir)


def add_folder(
    workspace: Workspace, path: Path | str, name: str | None = None, roots: Sequence[Path] | None = None
) -> Dataset:
    """Make a folder of class folders known; the folder itself is only read.

    The same folder, however it is written, is the same dataset.

    Args:
        workspace: Where the dataset is noted.
        path: The folder; ``~`` stands for the home folder.
        name: What to call it; the folder's own name when not given.
        roots: Where it must lie, as :func:`core.datasets.allowed_roots` returns them; anywhere when not given.

    Raises:
        DataError: It leads out of the roots, there is no such folder, it may not be read, it has no class folder with
            a picture, or it is the workspace, the home folder or around one of them.
    """
    root = resolve_folder(path if roots is None else confine(path, roots))
    for dataset in list_datasets(workspace):
        if _same_folder(dataset.root, root):
            return dataset
    refuse_what_holds_more_than_pictures(root, workspace.home)
    require_pictures(root)
    title = (name or "").strip() or root.name or str(root)
    return register(workspace, _free_id(workspace, root), title, root)


def register(
    workspace: Workspace,
    dataset_id: str,
    name: str,
    root: Path,
    sample: str = "",
    source: str = "",
    licence: str = "",
) -> Dataset:
    """Note a folder under an id; a folder that is noted already keeps its entry."""
    values = (dataset_id, name[:MAX_NAME_CHARS], str(root), sample, source, licence, time.time())
    with workspace.transaction() as connection:
        connection.execute(
            "INSERT INTO datasets (id, name, root, sample, source, licence, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            values,
        )
        row = connection.execute("SELECT * FROM datasets WHERE root = ?", (str(root),)).fetchone()
    return _from_row(workspace, row)


def get(workspace: Workspace, dataset_id: str) -> Dataset:
    """Return a dataset by its id.

    Raises:
        NotFound: The workspace knows no such dataset.
    """
    with workspace.db() as connection:
        row = connection.execute("SELECT * FROM datasets WHERE id = ?", (dataset_id,)).fetchone()
    if row is None:
        raise NotFound(
            f'There is no dataset "{dataset_id}" (any more). Expected one that is listed on the Data page. '
            "Choose it there, or add its folder again."
        )
    return _from_row(workspace, row)


def list_datasets(workspace: Workspace) -> list[Dataset]:
    """Return all datasets, the one added last first."""
    with workspace.db() as connection:
        rows = connection.execute("SELECT * FROM datasets ORDER BY created DESC, id").fetchall()
    return [_from_row(workspace, row) for row in rows]


def remove(workspace: Workspace, dataset_id: str) -> None:
    """Forget a dataset and what the workspace keeps of it; a user's own folder stays as it is.

    Raises:
        NotFound: The workspace knows no such dataset.
        WorkspaceError: The files in the workspace cannot be deleted.
    """
    dataset = get(workspace, dataset_id)
    with workspace.transaction() as connection:
        connection.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
    remove_directory(workspace.datasets_dir / dataset_id)
    if is_kept_in(workspace, dataset):
        remove_directory(dataset.root)


def is_kept_in(workspace: Workspace, dataset: Dataset) -> bool:
    """Return whether the pictures of a dataset are the workspace's own: a sample's, or uploaded."""
    kept = (workspace.samples_dir, workspace.uploads_dir)
    return any(dataset.root.parent == folder for folder in kept)


def _from_row(workspace: Workspace, row: sqlite3.Row) -> Dataset:
    return Dataset(
        id=row["id"],
        name=row["name"],
        root=Path(row["root"]),
        sample=row["sample"],
        source=row["source"],
        licence=row["licence"],
        created=row["created"],
        added_dir=workspace.datasets_dir / row["id"] / "added",
    )


def resolve_folder(path: Path | str) -> Path:
    """Return a folder as an absolute path, every link on it followed.

    Raises:
        DataError: There is no such folder, or it may not be looked at.
    """
    if not str(path).strip():
        raise DataError(
            "No folder was given. Expected a folder with one subfolder per class. Enter its path."
        )
    try:
        root = Path(path).expanduser().resolve()
        found = os.stat(root)
        str(root).encode()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f'There is no folder "{path}"{_where(path)}. '
            "Expected a folder with one subfolder per class. Check the path."
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"The path {os.fsencode(path)!r} is not Unicode text. Expected a name that can be written down. "
            "Rename the folder."
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f'The folder "{path}" cannot be looked at ({getattr(error, "strerror", None) or error}). '
            "Expected a folder that you may read. Check the path and its permissions."
        ) from error
    if not os.path.isdir(root):
        raise DataError(
            f'"{path}" is a file of {sentence("count.bytes", n=found.st_size)}. '
            "Expected a folder with one subfolder per class. Choose the folder; unpack it first if this is an archive."
        )
    return root


def _where(path: Path | str) -> str:
    """Return where a path that is not there was looked for, unless it says so itself."""
    if Path(path).is_absolute() or str(path).startswith("~"):
        return ""
    return f' (looked for in "{Path.cwd()}")'


def _same_folder(known: Path, root: Path) -> bool:
    try:
        return known == root or os.path.samefile(known, root)
    except OSError:
        return False


def refuse_what_holds_more_than_pictures(root: Path, workspace_home: Path) -> None:
    """Refuse the workspace, the home folder and what is around them, such as ``/``: any folder would be a class.

    Raises:
        DataError: It is one of them.
    """
    if root.is_relative_to(workspace_home):
        raise DataError(
            f'"{root}" is where Graft keeps its own files. '
            "Expected a folder of your pictures. Choose another one."
        )
    expected = "Expected a folder with one subfolder per class."
    if Path(os.path.expanduser("~")).resolve().is_relative_to(root):
        raise DataError(
            f'"{root}" is your home folder or a folder around it. {expected} Choose the folder of the pictures.'
        )
    refuse_workspace_inside(root, workspace_home)


def refuse_workspace_inside(root: Path, workspace_home: Path) -> None:
    """Refuse a folder of pictures that the workspace lies in, or would be made in.

    Raises:
        DataError: It does.
    """
    if workspace_home.is_relative_to(root):
        raise DataError(
            f'"{root}" is around Graft\'s own files in "{workspace_home}". Expected a folder with one subfolder per '
            "class. Choose the folder of the pictures, or set GRAFT_HOME to a folder outside of it."
        )


def require_pictures(root: Path, shown: str = "") -> None:
    """Check that a folder has class folders with at least one picture.

    Args:
        root: The folder.
        shown: What messages call it; its path when not given.

    Raises:
        DataError: It has none; the message says what is there instead.
    """
    shown = shown or str(root)
    layout = read_layout(root)
    counts: Counter[str] = Counter()
    for row in iterate_files(root, layout):
        if row.kind in CLASS_KINDS:
            return
        counts[row.kind] += 1
    expected = "Expected one subfolder per class with pictures in it."
    if counts["outside_class"]:
        raise DataError(
            f'"{shown}" has {sentence("count.pictures", n=counts["outside_class"])} directly in it '
            "and none in a class folder. "
            f"{expected} Make a subfolder for each class and move the pictures there, "
            "or choose the folder above."
        )
    if counts["no_permission"]:
        raise DataError(
            f'"{shown}" has {sentence("count.folders", n=counts["no_permission"])} that may not be opened, '
            f"and no picture elsewhere. {expected} Give yourself permission to read them."
        )
    links = counts["symlink"] + counts["symlink_outside"] + counts["symlink_broken"]
    if links:
        raise DataError(
            f'"{shown}" has no pictures of its own, only {sentence("count.links", n=links)}. '
            f"Links are not followed. {expected} Copy the pictures there, or choose the folder that the links lead to."
        )
    if counts.total() == counts["hidden"] and not layout.class_names:
        raise DataError(f'"{shown}" is empty. {expected} Add them, or choose another folder.')
    raise DataError(
        f'No picture was found in "{shown}" '
        f"({sentence('count.subfolders', n=len(layout.class_names))}, "
        f"{sentence('count.other_files', n=counts.total())}). "
        f"{expected} Add them, or choose another folder."
    )


def _free_id(workspace: Workspace, root: Path) -> str:
    """Return an id for a folder that no dataset has; one that was moved keeps that of its first place."""
    own = f"{slug(root.name)}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    taken = {dataset.id for dataset in list_datasets(workspace)}
    return f"{own}-{uuid.uuid4().hex[:8]}" if own in taken else own


def slug(name: str) -> str:
    """Return a name as the beginning of an id: small Latin letters, digits and dashes, at most 40."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "folder"
