"""What a demo allows: its limits, and which run it shows to whom."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import DataError, NotFound
from core.queue import Job
from core.runs import Run

RUN, TOKEN = "GRAFT_DEMO_RUN", "GRAFT_DEMO_TOKEN"
"""Environment variables that tell the server which run to show, and what has to stand in the link."""
MAX_PHOTOS = 12
MAX_BYTES = 50_000_000
"""At once, of all photos together."""
MAX_FILE_MB = 20
"""Of one file; the server refuses more before it is read."""
MAX_WAITING = 8
"""Questions of all visitors that may wait at once."""


def require_room(num_photos: int, waiting: Sequence[Job]) -> None:
    """Refuse more photos than are allowed at once, and further questions while many wait.

    Raises:
        DataError: It is too much now.
    """
    if num_photos > MAX_PHOTOS:
        raise DataError(f"Received {num_photos} photos. Expected at most {MAX_PHOTOS} at once. Drop fewer.")
    if len(waiting) >= MAX_WAITING:
        raise DataError("Many are asking just now. Wait a moment, then drop the photos again.")


def require_model(run: Run) -> None:
    """Refuse a run that has no model to show.

    Raises:
        NotFound: It is not done.
    """
    if run.state != "done":
        raise NotFound(f"The run {run.id} is {run.state}, so it has no model to show. Choose a finished run.")
