"""Ways to ask a run about photos: dropped ones, the camera, pictures of the test split, a folder of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from core import datasets, images, inbox, queue, runs
from core.errors import NotFound
from core.runs import Run
from pages.components import address, photos, shell
from pages.components.gallery import Item, gallery, pager
from pages.components.predict_answers import asked_below, show_answers
from pages.components.text import t

WAYS = ("photos", "camera", "test", "folder")
TEST_PAGE = 7
"""Pictures of the test split that are offered at a time: a row, so that the answer below is in sight."""
_SUFFIXES = tuple(
    sorted(suffix.lstrip(".") for name in images.FORMATS for suffix in images.suffixes_of(name))
)
_JOBS = "predict_jobs"
"""Where in the session the numbers of the jobs that answer are kept, this run's first."""
ASKED = "asked"
"""The same in the URL, parted by dashes."""
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_TURN = "predict_turn"
"""Counts what was taken: another key empties the field, and with it the memory that the upload held."""


def show_asking(run: Run) -> None:
    """Draw the ways to ask, and below them the answers."""
    way = st.segmented_control(
        t("predict.way"),
        WAYS,
        default=WAYS[0],
        required=True,
        format_func=lambda name: t(f"predict.way_{name}"),
        key="predict_way",
        label_visibility="collapsed",
    )
    place = st.container()
    other = _other(run)
    draw: Mapping[str, Callable[[Run, Run | None], None]] = {
        "photos": _photos,
        "camera": _camera,
        "test": _test,
        "folder": _folder,
    }
    with place:
        draw[way or WAYS[0]](run, other)
    _follow_url()
    jobs = asked(run)
    below = asked_below(jobs[0]) if jobs else None
    show_answers(run, jobs, lambda paths: ask(run, paths, other, below))
    _keep_in_url(jobs)


def ask(run: Run, paths: Sequence[Path], other: Run | None = None, below: Path | None = None) -> None:
    """Have one run, or two, say what they see in some files, or in all of a folder; show why where that cannot be."""
    with shell.errors():
        submit(run, paths, other, below)


def submit(run: Run, paths: Sequence[Path], other: Run | None = None, below: Path | None = None) -> None:
    """Have one run, or two, say what they see in some files, or in all of a folder.

    Raises:
        WorkspaceError: The question cannot be kept.
    """
    st.session_state[_JOBS] = [
        queue.submit_prediction(shell.workspace(), one, paths, below).id
        for one in (run, other)
        if one is not None
    ]


def asked(run: Run) -> list[queue.Job]:
    """Return the jobs that this visitor waits for or looks at, if this run was asked."""
    try:
        found = [queue.get(shell.workspace(), number) for number in st.session_state.get(_JOBS, [])]
    except NotFound:  # the workspace may be another one now
        return []
    found = [job for job in found if job.kind in ("predict", "predict_many") and _has_run(job)]
    return found if found and found[0].args["run_id"] == run.id else []


def _has_run(job: queue.Job) -> bool:
    try:
        runs.get(shell.workspace(), job.args["run_id"])
    except NotFound:  # the second of two, deleted since
        return False
    return True


def _follow_url() -> None:
    """Take up the question that the URL names: the answers to a large folder are not to be lost with a tab."""
    in_url = st.query_params.get(ASKED, "")
    if in_url != st.session_state.get(f"_written_{ASKED}", ""):  # a reload, a bookmark, or the way back
        st.session_state[_JOBS] = [int(number) for number in in_url.split("-") if _NUMBER.fullmatch(number)]


def _keep_in_url(jobs: Sequence[queue.Job]) -> None:
    address.keep(ASKED, "-".join(str(job.id) for job in jobs))


def _other(run: Run) -> Run | None:
    done = [one for one in runs.list_runs(shell.workspace()) if one.state == "done" and one.id != run.id]
    if not done:
        return None
    called = shell.run_names(done)
    names = {one.id: f"{called[one.id]} · {one.dataset_name}" for one in done}
    chosen = st.selectbox(
        t("predict.compare"),
        list(names),
        index=None,
        format_func=lambda name: names[name],
        placeholder=t("predict.compare_none"),
        key="predict_compare",
        width=480,
    )
    return next((one for one in done if one.id == chosen), None)


def _photos(run: Run, other: Run | None) -> None:
    key = f"predict_photos_{st.session_state.get(_TURN, 0)}"
    st.file_uploader(
        t("predict.drop"),
        type=[*_SUFFIXES, "zip"],
        accept_multiple_files=True,
        key=key,
        on_change=_take,
        args=(key, run, other),
    )
    st.caption(t("predict.drop_text", files=f"{inbox.MAX_FILES:,}", gb=f"{inbox.MAX_BYTES / 1e9:g}"))


def _camera(run: Run, other: Run | None) -> None:
    key = f"predict_camera_{st.session_state.get(_TURN, 0)}"
    st.camera_input(t("predict.camera"), key=key, on_change=_take, args=(key, run, other), width=480)
    st.caption(t("predict.camera_text"))


def _take(key: str, run: Run, other: Run | None) -> None:
    """Put aside what was dropped or taken, and ask about it."""
    received = st.session_state.get(key)
    if not received:
        return
    files: list[BinaryIO] = received if isinstance(received, list) else [received]
    with shell.errors():
        token = inbox.put(shell.workspace(), files)
        ask(run, list(inbox.photos(shell.workspace(), token)), other)
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def _test(run: Run, other: Run | None) -> None:
    with shell.errors():
        root = datasets.get(shell.workspace(), run.dataset_id).root
        split = runs.load_split(shell.workspace(), run.id)
        table = split[split["split"] == "test"].sort_values("sha256")  # all classes mixed, always alike
        st.caption(t("predict.test_text"))
        page = pager(-(-len(table) // TEST_PAGE), key=f"predict_test_page_{run.id}")
        shown = table.iloc[(page - 1) * TEST_PAGE : page * TEST_PAGE]
        opened = gallery(
            [_test_item(root, *row) for row in shown[["path", "sha256", "label"]].itertuples(index=False)],
            key=f"predict_test_{run.id}",
            label=t("predict.way_test"),
        )
        if opened is not None:
            ask(run, [root / opened], other)


def _test_item(root: Path, path: str, sha256: str, label: str) -> Item:
    picture, found = photos.small(root, path, sha256)
    return Item(path, picture, t("predict.test_alt", label=label), label, "" if found else t("photo.lost"))


def _folder(run: Run, other: Run | None) -> None:
    with st.form("predict_folder_form", border=False):
        path = st.text_input(t("predict.folder"), key="predict_folder", help=t("predict.folder_help"))
        submitted = st.form_submit_button(t("predict.folder_submit"), icon=":material/folder_open:")
    if submitted and path.strip():
        with shell.errors():
            folder = datasets.confine(path.strip().strip("\"'"), datasets.allowed_roots(shell.workspace()))
            ask(run, inbox.below(folder), other, folder)
