"""The demo: a visitor with the right link asks one model about a few photos, and can do nothing else."""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Iterator, Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import demonstration, images, inbox, queue, runs
from core.errors import DataError, GraftError
from core.runs import Run
from pages.components import shell
from pages.components.predict_answers import show_answers, sorry
from pages.components.predict_ask import asked, submit
from pages.components.text import code, plain, t

_TURN = "demo_turn"
"""Counts what was taken: another key empties the field."""


def run() -> None:
    """Draw the whole demo of the run that ``GRAFT_DEMO_RUN`` names, for who has ``GRAFT_DEMO_TOKEN`` in the link."""
    st.set_page_config(page_title="Graft", page_icon=str(shell.ASSETS_DIR / "favicon.png"), layout="centered")
    st.html(shell.STYLE)
    if not _is_invited():
        st.title(t("demo.locked"), anchor=False)
        st.markdown(t("demo.locked_text"))
        return
    with _errors():
        _show(runs.get(shell.workspace(), os.environ[demonstration.RUN]))


def _is_invited() -> bool:
    token = os.environ.get(demonstration.TOKEN, "")
    cookie = dict(st.context.cookies).get(demonstration.cookie_name(token), "")
    given = (st.query_params.get("token", ""), cookie)
    return bool(token) and any(hmac.compare_digest(one.encode(), token.encode()) for one in given)


def _show(run: Run) -> None:
    st.title(t("demo.title"), anchor=False)
    st.caption(t("demo.name", run=code(shell.run_name(run)), dataset=code(run.dataset_name)))
    st.markdown(t("demo.knows", names=", ".join(code(name) for name in run.class_names)))
    st.caption(t("demo.otherwise"))
    turn = st.session_state.get(_TURN, 0)
    photos, camera = st.tabs([t("predict.way_photos"), t("predict.way_camera")])
    with photos:
        key = f"demo_photos_{turn}"
        st.file_uploader(
            t("demo.drop"),
            type=[suffix.lstrip(".") for name in images.FORMATS for suffix in images.suffixes_of(name)],
            accept_multiple_files=True,
            key=key,
            on_change=_take,
            args=(key, run),
        )
        most = demonstration.MAX_PHOTOS
        # The field itself only marks a file that is too large.
        sizes = {"mb": f"{demonstration.MAX_BYTES / 1e6:.0f}", "each": demonstration.MAX_FILE_MB}
        st.caption(t("demo.limits", n=most, **sizes))
    with camera:
        key = f"demo_camera_{turn}"
        st.camera_input(t("predict.camera"), key=key, on_change=_take, args=(key, run))
        st.caption(t("demo.camera_text"))
    jobs = asked(run)
    if all(inbox.are_there(job.args["paths"]) for job in jobs):
        show_answers(run, jobs, lambda paths: submit(run, paths), visitor=True)
    else:
        st.info(t("demo.gone"), icon=":material/auto_delete:")


def _take(key: str, run: Run) -> None:
    received = st.session_state.get(key)
    if not received:
        return
    files: list[UploadedFile] = received if isinstance(received, list) else [received]
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    with _errors():
        waiting = queue.list_jobs(shell.workspace(), active=True, kind="predict")
        demonstration.require_room(len(files), waiting)
        demo = demonstration.mark(os.environ[demonstration.TOKEN])
        token = inbox.put(shell.workspace(), files, demonstration.MAX_BYTES, demo=demo)
        found = list(inbox.photos(shell.workspace(), token))
        demonstration.require_room(len(found), waiting)  # of a zip more may come out than went in
        submit(run, found)
    _forget(files)


def _forget(files: Sequence[UploadedFile]) -> None:
    """Free the memory of uploads that were put aside or refused; the server would hold it until the tab is closed."""
    context = get_script_run_ctx()
    manager = context and context.uploaded_file_mgr
    if context and isinstance(manager, MemoryUploadedFileManager):
        for file in files:
            manager.remove_file(context.session_id, file.file_id)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Say what is wrong with a visitor's photos; all else concerns who runs the server, and may name its folders."""
    try:
        yield
    except DataError as error:
        st.error(plain(error), icon=":material/error:")
    except GraftError as error:
        sorry(str(error))
