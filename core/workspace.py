"""Where things are kept: one folder, one SQLite file in it, and writes that happen whole or not at all.

GRAFT_HOME/
├── graft.db     datasets, jobs, device sessions
├── datasets/    one folder per dataset: its table of files, decisions, photos that were added
├── samples/     pictures of the sample datasets
├── uploads/     pictures that were uploaded, one folder per dataset
├── backbones/   converted weights of pretrained networks, and networks converted for LiteRT
├── features/    cached feature vectors, one folder per feature space
├── runs/        one folder per run: record, events, weights, predictions
├── sessions/    locks and logs of the device sessions
└── backups/     copies of graft.db from before each migration
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import WorkspaceError

_SYSTEM_NAMES = (".", "lost+found")
"""How the names begin of what systems put into a folder by themselves."""

BUSY_TIMEOUT_S = 10.0
"""How long a connection waits for another writer before SQLite gives up."""

MIGRATIONS: tuple[str, ...] = (
    # 1: the first workspace
    """
    CREATE TABLE datasets (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, root TEXT NOT NULL UNIQUE, sample TEXT NOT NULL DEFAULT '',
        source TEXT NOT NULL DEFAULT '', licence TEXT NOT NULL DEFAULT '', created REAL NOT NULL
    );
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, lane TEXT NOT NULL, device TEXT NOT NULL,
        state TEXT NOT NULL, args TEXT NOT NULL, run_id TEXT NOT NULL DEFAULT '', dataset_id TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL, started REAL, ended REAL, session_id TEXT NOT NULL DEFAULT '',
        progress TEXT NOT NULL DEFAULT '{}', result TEXT, error TEXT
    );
    CREATE INDEX jobs_by_state ON jobs (device, lane, state, id);
    CREATE TABLE sessions (
        device TEXT PRIMARY KEY, session_id TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL,
        status TEXT NOT NULL DEFAULT '{}', release_asked INTEGER NOT NULL DEFAULT 0
    );
    """,
)
"""Numbered SQL scripts; the database's ``user_version`` says how many have run. Only ever append."""


def default_home() -> Path:
    """Return the workspace folder: ``GRAFT_HOME``, or a visible ``Graft`` in the user's home."""
    configured = os.environ.get("GRAFT_HOME", "").strip()
    return Path(configured).expanduser() if configured else Path.home() / "Graft"


class Workspace:
    """An open workspace folder, created and migrated as needed.

    Args:
        home: The folder; made if it does not exist.
        migrations: The SQL scripts that lead to today's schema.

    Raises:
        WorkspaceError: Python does not read names of files as UTF-8, the folder cannot be written or has files
            of something else, its file system cannot lock, the database is damaged, or a newer Graft has written
            it.
    """

    def __init__(self, home: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        _require_utf8()
        self.home = home.expanduser().resolve()
        self.db_path = self.home / "graft.db"
        self.datasets_dir = self.home / "datasets"
        self.samples_dir = self.home / "samples"
        self.uploads_dir = self.home / "uploads"
        self.backbones_dir = self.home / "backbones"
        self.features_dir = self.home / "features"
        self.runs_dir = self.home / "runs"
        self.sessions_dir = self.home / "sessions"
        self.backups_dir = self.home / "backups"
        self._folders = (
            self.datasets_dir,
            self.samples_dir,
            self.uploads_dir,
            self.backbones_dir,
            self.features_dir,
            self.runs_dir,
            self.sessions_dir,
            self.backups_dir,
        )
        self._make_folders()
        self._migrate(migrations)

    def _make_folders(self) -> None:
        try:
            self._require_own_folder()
            for folder in self._folders:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f'The workspace folder "{self.home}" cannot be made or written ({error.strerror}). '
                "Graft needs a folder of its own. Set GRAFT_HOME to a folder that you may write to."
            ) from error

    def _require_own_folder(self) -> None:
        """Refuse to begin a workspace among other files, such as somebody's pictures."""
        if not self.home.exists() or self.db_path.exists():
            return
        if all(folder.is_dir() for folder in self._folders):  # its damaged database was moved away
            return
        own = {folder.name for folder in self._folders}
        others = sorted(
            name for name in os.listdir(self.home) if name not in own and not name.startswith(_SYSTEM_NAMES)
        )
        if others:
            raise WorkspaceError(
                f'The folder "{self.home}" has other files, such as "{others[0]}", and is no workspace of Graft yet. '
                "Graft needs a folder of its own. Set GRAFT_HOME to an empty folder, or to one that is not there yet."
            )

    @contextlib.contextmanager
    def db(self) -> Iterator[sqlite3.Connection]:
        """Open one short-lived autocommit connection; safe from any thread and process."""
        # Never made here: a session that outlives a deleted workspace would bring back an empty one.
        existing = f"{self.db_path.absolute().as_uri()}?mode=rw"
        try:
            connection = sqlite3.connect(existing, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True)
            try:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA synchronous = NORMAL")
                yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise self._database_error(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection that holds the write lock; commit at the end, roll back on any exception."""
        with self.db() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _database_error(self, error: sqlite3.DatabaseError) -> WorkspaceError:
        text = str(error)
        if "locking" in text or "disk I/O" in text:
            remedy = (
                "The file system cannot lock files, which network shares often cannot. "
                "Set GRAFT_HOME to a folder on a local disk."
            )
        elif "locked" in text:
            remedy = f"Another process has kept it locked for {BUSY_TIMEOUT_S:.0f} s. Try again in a moment."
        elif "malformed" in text or "not a database" in text:
            remedy = (
                "The file is damaged. Move it away: Graft begins a new one, and your runs stay. Or copy the newest "
                f'file of "{self.backups_dir}" to its place, if there is one.'
            )
        elif "full" in text:
            remedy = "The disk is full. Free some space and try again."
        elif not self.db_path.exists():
            remedy = "It is not there any more: the workspace folder was moved or deleted. Start Graft again."
        elif "readonly" in text or "unable to open" in text:
            remedy = "It cannot be written. Check its permissions, or set GRAFT_HOME to another folder."
        else:
            remedy = "Try again; if it stays, move the file away to begin with a new one."
        return WorkspaceError(f'The workspace database "{self.db_path}" could not be used ({text}). {remedy}')

    def _migrate(self, migrations: Sequence[str]) -> None:
        with contextlib.suppress(OSError):  # one that may not be written is told of below
            self.db_path.touch()
        with self.db() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == len(migrations):
                return
            connection.execute("PRAGMA journal_mode = WAL")
        if version > len(migrations):
            raise WorkspaceError(
                f'The workspace "{self.home}" was written by a newer Graft (format {version}; this one knows '
                f"up to {len(migrations)}). Update Graft, or set GRAFT_HOME to another folder."
            )
        if version:
            self._back_up(version)
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for script in migrations[version:]:
                for statement in script.split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(migrations)}")

    def _back_up(self, version: int) -> None:
        name = f"graft-format{version}-{time.strftime('%Y%m%d-%H%M%S')}.db"
        with self.db() as source, replacing(self.backups_dir / name) as temporary:
            target = sqlite3.connect(temporary)
            try:
                source.backup(target)
            finally:
                target.close()


def _require_utf8() -> None:
    """Refuse another encoding of file names: what one process writes down the next would not find again."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise WorkspaceError(
            f"Python reads the names of files as {encoding} here. Expected UTF-8, so that a name in any language "
            "is found again. Set PYTHONUTF8=1, then start Graft again."
        )


def open_workspace(home: Path | None = None) -> Workspace:
    """Open the workspace at ``home``, or at :func:`default_home`."""
    return Workspace(home or default_home())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block succeeds.

    A reader sees the old file or the new one, never a part; a killed writer leaves the old one.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WorkspaceError(
            f'"{path}" could not be written ({error.strerror or error}). '
            "Check that the disk has room and that the folder may be written."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON to ``path`` whole or not at all."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        WorkspaceError: The file is missing, may not be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except PermissionError as error:
        raise WorkspaceError(
            f'"{path}" may not be read ({error.strerror}). Give yourself permission to read it.'
        ) from error
    except (OSError, ValueError) as error:
        raise WorkspaceError(f'"{path}" could not be read ({error}). It is missing or damaged.') from error


def directory_size(path: Path) -> int:
    """Return the bytes of all files below ``path``; links are not followed."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def remove_directory(path: Path) -> None:
    """Delete a folder of the workspace: renamed first, so that it is gone at once or not at all.

    Raises:
        WorkspaceError: The folder cannot be removed.
    """
    if not path.exists():
        return
    doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.deleted")
    try:
        os.replace(path, doomed)
    except OSError as error:
        raise WorkspaceError(
            f'"{path}" could not be deleted ({error.strerror}). Check its permissions.'
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)
