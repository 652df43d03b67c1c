"""What a killed process leaves of a cleaned copy: written down before it is made, so that a later process removes it.

A record names one folder. While the copy is being written its record is locked; the kernel gives the lock back however
the process ends, so an unlocked record is the honest sign of a copy that nobody will finish.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from core.workspace import Workspace

_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)


def records_dir(workspace: Workspace) -> Path:
    """Return where unfinished copies are written down; not with their dataset, which may be deleted before."""
    return workspace.home / "copying"


def part_path(target: Path) -> Path:
    """Return a new name beside a folder that is to be written: hidden, so that nobody takes a part for the whole."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")


@contextlib.contextmanager
def making(part: Path, records: Path | None) -> Iterator[None]:
    """Make a folder that is gone at the end, unless it was renamed; if this process is killed, by :func:`clear`.

    Args:
        part: As :func:`part_path` names it.
        records: Where it is written down; None leaves that out.

    Raises:
        OSError: It, or its record, cannot be written.
    """
    with contextlib.ExitStack() as stack:
        file = None if records is None else stack.enter_context(_record(part, records))
        try:
            part.mkdir()
            if file is not None:
                _append(file, {"inode": part.lstat().st_ino})
            yield
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _record(part: Path, records: Path) -> Iterator[BinaryIO]:
    records.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    new, record = records / f"{name}.new", records / f"{name}.json"
    with new.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _append(file, {"part": str(part)})
        os.replace(new, record)  # it is seen only now that it is locked and says which folder it is about
        try:
            yield file
        finally:
            if not os.path.lexists(part):
                record.unlink(missing_ok=True)


def _append(file: BinaryIO, entry: dict[str, Any]) -> None:
    file.write(json.dumps(entry).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def clear(records: Path) -> None:
    """Remove the folders of copies that nobody writes any more; what cannot be removed now is tried again next time.

    Only a folder under the very path that was written down, and with the inode that it had when it was made, is ours.
    """
    for record in sorted(records.glob("*.json")):
        with contextlib.suppress(OSError), record.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_done_with(file.read()):
                record.unlink(missing_ok=True)


def _is_done_with(record: bytes) -> bool:
    """Remove the folder that a record is about, if it is there and ours; return whether nothing of it is left to do."""
    try:
        entries = [json.loads(line) for line in record.splitlines()]
        part, inode = Path(entries[0]["part"]), entries[1]["inode"] if len(entries) > 1 else None
    except (ValueError, LookupError, TypeError):
        return True
    if not part.parent.is_dir():  # perhaps on a disk that is not plugged in
        return False
    if not os.path.lexists(part):
        return True
    found = part.lstat()
    if not _NAME.fullmatch(part.name) or not stat.S_ISDIR(found.st_mode):
        return True
    if inode is None:  # killed just before or after it was made: nothing of ours can be in it yet
        with contextlib.suppress(OSError):
            part.rmdir()
        return True
    if found.st_ino == inode:
        shutil.rmtree(part, ignore_errors=True)
        return not os.path.lexists(part)
    return True
