"""What people call a run: a name, tags, and whether it is put aside. Kept beside the record, which training writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.errors import WorkspaceError
from core.runs.record import folder
from core.workspace import Workspace, read_json, write_json

MAX_LENGTH = 80
"""Characters of a name or a tag."""
MAX_TAGS = 20


@dataclass(frozen=True)
class Labels:
    """What people say of a run.

    Args:
        name: ``""`` where it has none.
        tags: In the order given.
        archived: Whether lists leave it out.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    archived: bool = False


def labels(workspace: Workspace, run_id: str) -> Labels:
    """Return what people say of a run; nothing where that is not there or damaged.

    Raises:
        NotFound: ``run_id`` does not have the form of one.
    """
    path = folder(workspace, run_id) / "labels.json"
    if not path.exists():
        return Labels()
    try:
        stored = read_json(path)
        return Labels(str(stored["name"]), tuple(map(str, stored["tags"])), bool(stored["archived"]))
    except (WorkspaceError, KeyError, TypeError):
        return Labels()


def set_labels(
    workspace: Workspace,
    run_id: str,
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
) -> Labels:
    """Change what people say of a run; what is None stays as it is.

    Raises:
        WorkspaceError: It cannot be written.
    """
    before = labels(workspace, run_id)
    now = Labels(
        before.name if name is None else _one_line(name),
        before.tags if tags is None else _tags(tags),
        before.archived if archived is None else archived,
    )
    write_json(folder(workspace, run_id) / "labels.json", asdict(now))
    return now


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_one_line, tags))))[:MAX_TAGS]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_LENGTH].strip()
