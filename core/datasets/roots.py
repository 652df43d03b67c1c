"""From which folders of this machine a browser may choose pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from core.errors import DataError
from core.words import quoted
from core.workspace import Workspace

VARIABLE = "GRAFT_ROOTS"
"""Environment variable with more folders, parted as those of ``PATH`` are."""


def allowed_roots(workspace: Workspace) -> tuple[Path, ...]:
    """Return the folders in which a visitor's browser may choose: the user's home, the workspace, ``GRAFT_ROOTS``.

    Links in them are followed, so that a root is where its files really are.
    """
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part.strip()]
    folders = [Path(os.path.expanduser("~")), workspace.home, *(Path(part.strip()) for part in named)]
    return tuple(dict.fromkeys(folder.expanduser().resolve() for folder in folders))


def confine(path: Path | str, roots: Sequence[Path]) -> Path:
    """Return where a path leads once every link on it is followed, if that is within one of the roots.

    Whether there is anything at the path is not told: what lies outside is nobody's business.

    Raises:
        DataError: It leads out of them, or cannot be followed.
    """
    try:
        found = Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f'The path "{path}" cannot be followed ({reason}). Expected the path of a folder. Check it.'
        ) from error
    if any(found.is_relative_to(root) for root in roots):
        return found
    raise DataError(
        f'"{path}" lies outside of the folders that may be chosen here. Expected one inside of '
        f"{quoted([str(root) for root in roots])}. Choose such a folder, or start Graft with {VARIABLE} set to "
        "the folders that it may read too."
    )
