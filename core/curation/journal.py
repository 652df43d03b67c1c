"""Where decisions are kept: a journal that only grows, one line of JSON per action, undoing among them.

What holds now is read from the whole journal, so nothing that was decided is ever lost: not by undo, not by a second
browser, not by a process that is killed while it writes, whose torn line is passed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from core.curation.decisions import Decision, Key
from core.curation.overlay import decide_on
from core.errors import DataError, WorkspaceError
from core.workspace import Workspace

FILE_NAME = "decisions.jsonl"


@dataclass(frozen=True)
class Action:
    """What was decided at once, and is undone at once.

    Args:
        id: Number within the journal.
        made: Decisions that it made.
        cleared: Decisions that it took back.
        time: Seconds since 1970.
    """

    id: int
    made: tuple[Decision, ...]
    cleared: tuple[Key, ...]
    time: float

    @property
    def num_paths(self) -> int:
        """How many files it is about."""
        return len({decision.path for decision in self.made} | {path for path, _, _ in self.cleared})

    @property
    def kind(self) -> str:
        """Kind of its decisions, ``"clear"`` if it only took some back, ``"several"`` if it did more than one thing."""
        kinds = {decision.kind for decision in self.made} | ({"clear"} if self.cleared else set())
        return kinds.pop() if len(kinds) == 1 else "several"


@dataclass(frozen=True)
class Curation:
    """What a person has decided about a dataset, as it stands now.

    Args:
        decisions: By path, then kind, then value.
        undoable: The action that undo would take back, if any.
        redoable: The action that redo would do again, if any.
    """

    decisions: tuple[Decision, ...] = ()
    undoable: Action | None = None
    redoable: Action | None = None


@dataclass
class _Journal:
    done: list[Action] = field(default_factory=list)
    undone: list[Action] = field(default_factory=list)
    last_id: int = 0

    def read(self, line: bytes) -> None:
        """Take in one line; a torn one, or one that makes no sense, is passed over."""
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, DataError):
            entry = json.loads(line)
            kind, number = entry["kind"], int(entry["id"])
            if kind == "decide":
                self.done.append(_action(entry))
                self.undone.clear()
            elif kind == "undo" and self.done and self.done[-1].id == entry["of"]:
                self.undone.append(self.done.pop())
            elif kind == "redo" and self.undone and self.undone[-1].id == entry["of"]:
                self.done.append(self.undone.pop())
            self.last_id = max(self.last_id, number)

    def decisions(self) -> dict[Key, Decision]:
        """Return what holds."""
        found: dict[Key, Decision] = {}
        for action in self.done:
            for key in action.cleared:
                found.pop(key, None)
            found.update((decision.key, decision) for decision in action.made)
        return found

    def curation(self) -> Curation:
        """Return what holds, and what can be undone and redone."""
        decisions = tuple(decision for _, decision in sorted(self.decisions().items()))
        return Curation(
            decisions,
            self.done[-1] if self.done else None,
            self.undone[-1] if self.undone else None,
        )


def _action(entry: dict[str, Any]) -> Action:
    made = tuple(Decision(**values) for values in entry["made"])
    cleared = tuple((str(path), str(kind), str(value)) for path, kind, value in entry["cleared"])
    return Action(int(entry["id"]), made, cleared, float(entry["time"]))


def journal_path(workspace: Workspace, dataset_id: str) -> Path:
    """Return where the decisions about a dataset are kept; there is no file before the first one."""
    return workspace.datasets_dir / dataset_id / FILE_NAME


def version(workspace: Workspace, dataset_id: str) -> str:
    """Return what changes whenever something is decided, undone or redone; cheap."""
    try:
        found = journal_path(workspace, dataset_id).stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def load(workspace: Workspace, dataset_id: str) -> Curation:
    """Return what has been decided about a dataset.

    Raises:
        WorkspaceError: The journal may not be read.
    """
    path = journal_path(workspace, dataset_id)
    try:
        return _read(path.read_bytes()).curation()
    except FileNotFoundError:
        return Curation()
    except OSError as error:
        raise WorkspaceError(
            f'"{path}", where your decisions are kept, may not be read ({error.strerror}). Check its permissions.'
        ) from error


def decide(
    workspace: Workspace,
    dataset_id: str,
    made: Iterable[Decision] = (),
    cleared: Iterable[Decision] = (),
) -> Curation:
    """Make decisions, and take others back, as one action; what changes nothing is not noted.

    Args:
        workspace: Where to.
        dataset_id: Which dataset they are about.
        made: New decisions; each takes the place of an earlier one about the same file and of the same kind.
        cleared: Decisions that shall not hold any more.

    Raises:
        WorkspaceError: They cannot be written; then none is made.
    """
    with _locked(journal_path(workspace, dataset_id)) as (file, journal):
        now = journal.decisions()
        wanted = {decision.key: decision for decision in made}
        new = [decision for key, decision in wanted.items() if now.get(key) != decision]
        gone = [key for key in {decision.key for decision in cleared} if key in now and key not in wanted]
        if new or gone:
            entry = {"made": [asdict(decision) for decision in new], "cleared": sorted(gone)}
            _append(file, journal, {"kind": "decide", "time": time.time(), **entry})
        return journal.curation()


def decide_about(
    workspace: Workspace,
    dataset_id: str,
    table: pd.DataFrame,
    paths: Collection[str],
    kind: str,
    value: str = "",
) -> Curation:
    """Make the same decision about several files, as one action; relabelling to the folder's own class takes it back.

    Args:
        workspace: Where to.
        dataset_id: Which dataset they are of.
        table: Its audited table.
        paths, kind, value: See :func:`core.curation.decide_on`.

    Raises:
        DataError: The kind does not go with the value.
        WorkspaceError: It cannot be written; then nothing is decided.
    """
    before = without(load(workspace, dataset_id).decisions, paths, kind) if kind == "relabel" else []
    return decide(workspace, dataset_id, decide_on(table, paths, kind, value), before)


def undo(workspace: Workspace, dataset_id: str, action_id: int) -> Curation:
    """Take back the newest action.

    Args:
        workspace: Where to.
        dataset_id: Which dataset it is about.
        action_id: The action that is meant, so that nobody takes back what somebody else did in the meantime.

    Raises:
        DataError: It is not the newest any more.
        WorkspaceError: It cannot be written.
    """
    return _step(workspace, dataset_id, "undo", action_id)


def redo(workspace: Workspace, dataset_id: str, action_id: int) -> Curation:
    """Do again what was undone last; arguments and errors are those of :func:`undo`."""
    return _step(workspace, dataset_id, "redo", action_id)


def _step(workspace: Workspace, dataset_id: str, kind: str, action_id: int) -> Curation:
    with _locked(journal_path(workspace, dataset_id)) as (file, journal):
        actions = journal.done if kind == "undo" else journal.undone
        if not actions or actions[-1].id != action_id:
            raise DataError(
                f"Asked to {kind} decision {action_id}, but another one was made, undone or redone in the meantime. "
                "Nothing was changed. Look at what stands there now, then try again."
            )
        _append(file, journal, {"kind": kind, "time": time.time(), "of": action_id})
        return journal.curation()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[tuple[BinaryIO, _Journal]]:
    """Hold the journal against all other writers, threads of this process too, and give what it says."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file, _read(file.read())
    except OSError as error:
        raise WorkspaceError(
            f'"{path}", where your decisions are kept, could not be written ({error.strerror or error}). '
            "Nothing was decided. Check that the disk has room and that the folder may be written."
        ) from error


def _read(data: bytes) -> _Journal:
    journal = _Journal()
    for line in data.split(b"\n"):
        if line:
            journal.read(line)
    return journal


def _append(file: BinaryIO, journal: _Journal, entry: dict[str, Any]) -> None:
    line = json.dumps({"id": journal.last_id + 1, **entry}).encode()
    size = file.seek(0, os.SEEK_END)
    torn = size > 0 and not _ends_a_line(file, size)
    try:
        file.write((b"\n" if torn else b"") + line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # a full disk must not leave half of an action
            os.ftruncate(file.fileno(), size)
        raise
    journal.read(line)


def _ends_a_line(file: BinaryIO, size: int) -> bool:
    file.seek(size - 1)
    ends = file.read(1) == b"\n"
    file.seek(0, os.SEEK_END)
    return ends


def without(decisions: Sequence[Decision], paths: Iterable[str], *kinds: str) -> list[Decision]:
    """Return those of the decisions that are about some files and of some kinds, such as to take them back."""
    wanted = set(paths)
    return [decision for decision in decisions if decision.path in wanted and decision.kind in kinds]
