"""What a demo allows: its limits, and which run it shows to whom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core import catalog, recipes
from core.errors import DataError, NotFound, WeightsError
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
MAX_HELD_BYTES = MAX_WAITING * MAX_BYTES
"""Of uploads that all visitors together may have in the server's memory, until they are put aside."""
MAX_UPLOAD_S = 120.0
"""For one file to come; what is slower makes room."""


def cookie_name(token: str) -> str:
    """Return the name of the cookie that the link's token becomes.

    Cookies of a name are shared by all ports of a machine, so each demo has a name of its own.
    """
    return f"graft_demo_{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def mark(token: str) -> str:
    """Return eight hex digits by which what a demo's visitors put aside is known; they do not give the token away."""
    return hashlib.sha256(f"photos of {token}".encode()).hexdigest()[:8]


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
    """Refuse a run that has no model to show, or whose network needs pretrained weights that are not here.

    Raises:
        NotFound: It is not done.
        WeightsError: The weights are missing; visitors would find out, one after the other.
    """
    if run.state != "done":
        raise NotFound(f"The run {run.id} is {run.state}, so it has no model to show. Choose a finished run.")
    recipe = recipes.from_json(run.recipe)
    if run.fine_tuned or recipe.weights:  # they are kept with the run
        return
    status = catalog.weights_status(catalog.get(recipe.backbone))
    if not status.ready:
        fetches = (
            " Ask it about a photo in Graft itself first: that fetches it." if status.download_mb else ""
        )
        raise WeightsError(
            f"The model of the run {run.id} needs its pretrained network. {status.message}{fetches}"
        )
