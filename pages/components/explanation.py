"""Where a run looked in a photo, and what that resembles: asked when it is wanted, answered by a short job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import images, queue, recipes
from core.datasets import Pictures
from core.errors import UnreadableImage
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import photos, shell
from pages.components.choice import follow, keep
from pages.components.text import code, percent, plain, t

WANTED = "explain"
"""Name in the URL of the wish to see where it looked."""
PATIENCE_S = 1.2
"""How long a page waits for the answer; a warm session takes less, also while it trains."""
POLL_S = 0.5


def show_explanation(run: Run, pictures: Pictures, row: Mapping[str, Any]) -> None:
    """Offer to show where the run looked in a photo; once it is wanted, it is shown for the next ones too.

    Args:
        run: A finished run.
        pictures: Where the dataset's pictures are.
        row: Of :func:`core.runs.answers`.
    """
    follow(WANTED, lambda text: text == "shown")
    wanted = bool(st.session_state[WANTED])
    keep(WANTED, "shown" if wanted else "")
    # No toggle: where the focus is on one, Streamlit does not hear the arrow keys that lead to the next photo.
    st.button(
        t("explain.unwanted" if wanted else "explain.wanted"),
        key="explain_wanted",
        icon=":material/center_focus_strong:",
        help=t("explain.help"),
        on_click=_want,
        args=(not wanted,),
    )
    if not wanted:
        return
    with shell.errors():
        job = _asked(run, pictures, row)
        show_as_it_comes(job, lambda found: show_found(run, pictures, Path(str(job.args["path"])), found))


def _want(wanted: bool) -> None:
    st.session_state[WANTED] = wanted
    keep(WANTED, "shown" if wanted else "")


def _asked(run: Run, pictures: Pictures, row: Mapping[str, Any]) -> Job:
    """Return the job that explains a photo, asked now if it was not before; wait a moment for its answer."""
    key = f"_explains_{run.id}_{row['path']}"
    classes = list(dict.fromkeys([row["true"], row["predicted"]]))
    if key not in st.session_state:
        job = queue.submit_explanation(shell.workspace(), run, pictures / row["path"], classes)
        st.session_state[key] = job.id
    job = waited_for(queue.get(shell.workspace(), st.session_state[key]))
    if job.state in ("failed", "cancelled", "interrupted"):
        del st.session_state[key]  # asked again the next time
    return job


def waited_for(job: Job) -> Job:
    """Wait a moment for the job to end; return its newest state."""
    until = time.monotonic() + PATIENCE_S
    while job.active and time.monotonic() < until:
        time.sleep(0.05)
        job = queue.get(shell.workspace(), job.id)
    return job


def show_as_it_comes(job: Job, show: Callable[[Mapping[str, Any]], None]) -> None:
    """Draw what a job found, or how it is going, without the whole page running again: that would close a dialog.

    Args:
        job: Any job that explains.
        show: Draws what it found.
    """
    st.fragment(shell.errors()(_answer), run_every=POLL_S if job.active else None)(job.id, show)


def _answer(job_id: int, show: Callable[[Mapping[str, Any]], None]) -> None:
    job = queue.get(shell.workspace(), job_id)
    if job.active:
        queue.tend(shell.workspace())
        job_view.progress(job)
        return
    if job.state != "done":
        job_view.outcome(job)
        return
    with shell.errors():
        show(job.result)


def show_found(run: Run, pictures: Pictures | None, path: Path, found: Mapping[str, Any]) -> None:
    """Draw where a run looked in a photo, and what that resembles.

    Args:
        run: A finished run.
        pictures: Where those of its dataset are; None where they are not in this workspace.
        path: The photo.
        found: The result of the job that explains it.
    """
    _maps(run, path, found)
    _neighbours(pictures, found)


def _maps(run: Run, path: Path, found: Mapping[str, Any]) -> None:
    st.subheader(t("explain.looked"), anchor=False)
    st.caption(t("explain.exact" if found["is_exact"] else "explain.linearised"))
    largest = max(max(max(line) for line in rows) for rows in found["maps"])
    shown = list(zip(found["classes"], found["maps"], found["probabilities"], strict=True))
    columns = st.columns(2, gap="medium")
    for column, (name, strengths, probability) in zip(columns, shown, strict=False):
        with column:
            st.markdown(t("explain.spoke_for", name=code(name), p=percent(probability)))
            try:
                lit = images.spotlight(images.read_bytes(path), *_seen(run), strengths, largest)
            except UnreadableImage as error:
                st.warning(plain(error), icon=":material/broken_image:")
                continue
            st.image(lit, width="stretch", alt=t("explain.map_alt", name=name))


def _seen(run: Run) -> tuple[tuple[int, int], str]:
    recipe = recipes.from_json(run.recipe)
    return (recipe.image_size, recipe.image_size), recipe.resize


def _neighbours(pictures: Pictures | None, found: Mapping[str, Any]) -> None:
    st.subheader(t("explain.resembles"), anchor=False)
    if pictures is None:
        st.caption(t("explain.no_pictures"))
        return
    st.caption(t(f"explain.compares_{found['compares'] or 'nothing'}"))
    if not found["compares"]:
        return
    for name, neighbours in zip(found["classes"], found["neighbours"], strict=True):
        st.markdown(t("explain.nearest", name=code(name)))
        _row(pictures, neighbours)


def _row(pictures: Pictures, neighbours: Sequence[Mapping[str, Any]]) -> None:
    for column, neighbour in zip(st.columns(4, gap="small"), neighbours, strict=False):
        with column:
            picture, _ = photos.small(pictures, neighbour["path"], neighbour["sha256"])
            st.image(picture, width="stretch", alt=t("explain.neighbour_alt", path=neighbour["path"]))
            st.caption(t("explain.likeness", value=f"{neighbour['likeness']:.2f}"))
            if neighbour["is_duplicate"]:
                st.badge(t("explain.duplicate"), icon=":material/content_copy:", color="orange")
