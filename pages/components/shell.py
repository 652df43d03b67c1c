"""The frame around every page: navigation, the deep-link guard, the current dataset and run, the error boundary."""

from __future__ import annotations

import contextlib
import html
import runpy
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, overload

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from core import datasets, runs
from core.datasets import Dataset
from core.errors import GraftError, NotFound, WorkspaceError
from core.runs import Run
from core.workspace import Workspace, default_home, open_workspace
from pages.components import address
from pages.components.text import code, plain, t

Kind = Literal["dataset", "run"]
KINDS: tuple[Kind, ...] = ("dataset", "run")

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "streamlit_app.py"
ASSETS_DIR = ROOT / "assets"
ICONS = {
    "home": "home",
    "data": "photo_library",
    "training": "model_training",
    "evaluation": "fact_check",
    "predict": "image_search",
    "runs": "history",
}

SIDEBAR_WIDTH_PX = 232

STYLE = """<style>
/* What is selected is written in the accent, which in the dark theme must be dark enough to carry white text. */
[data-testid="stTab"][aria-selected="true"], [data-testid="stButtonGroup"] button[data-selected] p,
[data-testid="stSliderThumbValue"] { color: light-dark(#0b6b5d, #6fd2bc); }
.st-key-history { display: none; }
/* What scrolls shows that it does, not only under the mouse. */
* { scrollbar-color: color-mix(in srgb, currentColor 40%, transparent) transparent; }
/* Streamlit's own CSV of a table leaves names as they are, which a spreadsheet may compute; see csv_file.py. */
[data-testid="stElementToolbarButton"]:has(button[aria-label^="Download as CSV"]) { display: none; }
/* A name in a caption would be tiny. */
[data-testid="stCaptionContainer"] code { font-size: 0.9em; }
/* In dialogs Streamlit's headings are no larger than text. */
div[data-testid="stDialog"] [data-testid="stHeading"] :is(h2, h3) { font-size: 1.125rem; padding: 0.75rem 0 0.25rem; }
/* The steps stand side by side or one below the other, never two and one. */
.st-key-steps { grid-template-columns:
  repeat(auto-fit, minmax(clamp((100% - 2rem) / 3, (42rem - 100%) * 999, 100%), 1fr)) !important; }
/* Pairs of classes: their number with the true class, below it an arrow with the predicted one; no name breaks. */
.st-key-pairs button, .st-key-pairs button :is(div, span) { width: 100%; text-align: start; }
.st-key-pairs button p { display: grid; grid-template-columns: 4.5rem minmax(0, 1fr);
  gap: 0.125rem 0.5rem; align-items: baseline; justify-items: end; max-width: 20rem;
  padding-block-end: 0.375rem; }
.st-key-pairs button code { justify-self: start; max-width: 100%; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
/* Figures keep the colours that they were drawn with when the theme changes, and titles of axes are too pale. */
[data-testid="stPlotlyChart"] text:not(.hoverlayer text) { fill: currentColor !important; }
.graft-chips { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0; font-size: 0.875rem; line-height: 1.5; }
.graft-chips span { max-width: 100%; padding: 0.125rem 0.75rem; border-radius: 1rem; overflow-wrap: anywhere;
  background: color-mix(in srgb, currentColor 7%, transparent); }
.graft-chips b { font-weight: 600; }
</style>"""
"""The little that ``.streamlit/config.toml`` cannot say."""

_GUARD = "_entered_by_shell"
_FAILED = "_failed_in_callback"
"""What a callback of a fragment or a dialog failed at: drawn there, it would replace what is on top of the page."""
_MISSING = "_missing_from_url"
"""Why the dataset or the run that the URL names cannot be shown, by kind."""


def run(sidebar: Callable[[], None] = lambda: None) -> None:
    """Draw the frame, find the page that was asked for and run it.

    Args:
        sidebar: Draws what stands in the sidebar below the navigation.
    """
    favicon = str(ASSETS_DIR / "favicon.png")
    st.set_page_config(
        page_title="Graft", page_icon=favicon, layout="wide", initial_sidebar_state=SIDEBAR_WIDTH_PX
    )
    st.html(STYLE)
    address.one_entry_per_action()
    st.logo(ASSETS_DIR / "logo.svg", icon_image=ASSETS_DIR / "mark.svg", size="large")
    st.set_option("client.showSidebarNavigation", True)  # off at first, see .streamlit/config.toml
    # The URL is followed before the navigation, which puts page and query into the browser's history: afterwards each
    # would be an entry of its own, and which of the two the browser sees first is a race.
    opened = _open()
    page = st.navigation([_page(name) for name in ICONS])
    st.set_page_config(page_title=f"{page.title} · Graft")
    if not opened:
        return
    with errors():
        address.begin(page.url_path)
        st.session_state[_GUARD] = True
        page.run()
        address.end(page.url_path)
    with errors():
        sidebar()


def _open() -> bool:
    """Open the workspace and follow the URL; where that fails, say why and return False."""
    opened = False
    with errors():
        workspace()
        _follow_url()
        opened = True
    return opened


def _page(name: str) -> st.Page:
    return st.Page(
        f"pages/{name}.py",
        title=t(f"{name}.title"),
        icon=f":material/{ICONS[name]}:",
        help=t(f"{name}.question"),
        default=name == "home",
    )


def guard(page_file: str) -> None:
    """Give a page that Streamlit runs by itself its frame; the first call on every page.

    Until the first visitor has passed the entry point, Streamlit runs the files of ``pages/`` by themselves. The
    entry point is then run in the page's place, and runs the page in turn: to switch to it would leave an entry in
    the browser's history that its back button leads to.

    Args:
        page_file: The page's ``__file__``.
    """
    if st.session_state.pop(_GUARD, False):
        return
    if Path(page_file).stem == "home":  # in the frame it has no name in the URL
        st.switch_page(ENTRY, query_params=st.query_params.to_dict())
    runpy.run_path(str(ROOT / ENTRY))
    st.stop()


def workspace() -> Workspace:
    """Return the open workspace, the same for all visitors.

    Raises:
        WorkspaceError: The workspace cannot be used.
    """
    return _workspace(default_home())


@st.cache_resource(show_spinner=False, max_entries=4, validate=lambda opened: opened.db_path.exists())
def _workspace(home: Path) -> Workspace:
    return open_workspace(home)


@overload
def current(kind: Literal["dataset"]) -> Dataset | None: ...
@overload
def current(kind: Literal["run"]) -> Run | None: ...
@overload
def current(kind: Kind) -> Dataset | Run | None: ...
def current(kind: Kind) -> Dataset | Run | None:
    """Return the dataset or run that the pages are about, or None."""
    return _find(kind, st.session_state.get(_key(kind)))


def newest_run() -> Run | None:
    """Return the newest run that is done, of the current dataset where there is one; make it the current one."""
    dataset = current("dataset")
    done = [run for run in runs.list_runs(workspace(), dataset.id if dataset else "") if run.state == "done"]
    if not done:
        return None
    choose("run", done[0].id)
    return done[0]


def choose(kind: Kind, identifier: str | None) -> None:
    """Make a dataset or run the current one, in this session and in its URL; an unknown one is ignored.

    A run brings its dataset along; another dataset sends away a run that is not about it.
    """
    if identifier is not None and _find(kind, identifier) is None:
        return
    _settle_on(kind, identifier)
    _write_url()


def _settle_on(kind: Kind, identifier: str | None) -> None:
    st.session_state[_key(kind)] = identifier
    chosen = current("run")
    if chosen is None:
        return
    if kind == "run" and _find("dataset", chosen.dataset_id) is not None:
        st.session_state[_key("dataset")] = chosen.dataset_id
    elif kind == "dataset" and chosen.dataset_id != identifier:
        st.session_state[_key("run")] = None


def _write_url() -> None:
    address.write({kind: st.session_state.get(_key(kind)) for kind in KINDS})


def _follow_url() -> None:
    """Take the current dataset and run from the URL, or put those of the session there."""
    in_url = {kind: st.query_params.get(kind) for kind in KINDS}
    _note_what_is_missing(in_url)
    changed = [kind for kind in KINDS if in_url[kind] not in (None, st.session_state.get(_key(kind)))]
    for kind in changed:
        if _find(kind, in_url[kind]) is not None:
            _settle_on(kind, in_url[kind])
    if _key("run") not in st.session_state or (
        any(in_url.values()) and not (current("run") or current("dataset"))
    ):
        _take_up_where_it_was_left()
    run = current("run")
    if run is not None and current("dataset") is None:  # a sample may have been made since
        _settle_on("run", run.id)
    for kind in KINDS:
        known = current(kind)
        st.session_state[_key(kind)] = known.id if known is not None else None
    _write_url()


def _note_what_is_missing(in_url: Mapping[Kind, str | None]) -> None:
    """Note why the URL cannot be followed; a run whose dataset was removed can be, and its page tells that."""
    run = _find("run", in_url["run"])
    missing = {kind: _reason(kind, in_url[kind] or "") for kind in KINDS if in_url[kind]}
    if isinstance(run, Run) and run.dataset_id == in_url["dataset"]:
        missing.pop("dataset", None)
    if any(missing.values()):
        st.session_state[_MISSING] = missing


def _reason(kind: Kind, identifier: str) -> str:
    """Return why a dataset or run cannot be shown, ``""`` where it can."""
    try:
        _get(kind, identifier)
    except (NotFound, WorkspaceError) as error:
        return str(error)
    return ""


def _take_up_where_it_was_left() -> None:
    """Give a visitor without a URL that leads anywhere what is under way, or else the newest dataset and its run."""
    chosen, known = current("dataset"), datasets.list_datasets(workspace())
    found = runs.list_runs(workspace(), chosen.id if chosen else "")
    ids = {dataset.id for dataset in known}
    active = [run for run in found if run.state in runs.ACTIVE_STATES]
    kept = [run for run in found if run.dataset_id in ids]
    touched = {run.dataset_id: run.created for run in reversed(kept)}
    if active:
        _settle_on("run", active[0].id)
    elif kept and (chosen or all(touched.get(item.id, item.created) <= kept[0].created for item in known)):
        _settle_on("run", kept[0].id)
    elif known and not chosen:
        _settle_on("dataset", known[0].id)


def _key(kind: Kind) -> str:
    return f"_current_{kind}"


def _get(kind: Kind, identifier: str) -> Dataset | Run:
    return datasets.get(workspace(), identifier) if kind == "dataset" else runs.get(workspace(), identifier)


def _find(kind: Kind, identifier: str | None) -> Dataset | Run | None:
    if not identifier:
        return None
    if kind == "dataset":
        with contextlib.suppress(NotFound):
            return _get(kind, identifier)
    else:
        with contextlib.suppress(NotFound, WorkspaceError):  # a damaged record must not block every page
            return _get(kind, identifier)
    return None


def header(title: str, question: str) -> None:
    """Draw the page's title, the question it answers, and what it is about: the current dataset and run."""
    dataset, run = current("dataset"), current("run")
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.title(title, anchor=False, width="content")
        if dataset is not None or run is not None:
            st.html(_chips(dataset.name if dataset else "", run_name(run) if run else ""), width="content")
    st.caption(question)
    instead = {
        "dataset": _instead("dataset", dataset.name if dataset else ""),
        "run": _instead("run", run_name(run) if run else ""),
    }
    for kind, reason in st.session_state.pop(_MISSING, {}).items():  # said once
        if reason:
            st.caption(f":material/link_off: {plain(reason)} {instead[kind]}")


def _instead(kind: Kind, name: str) -> str:
    if not name:
        return t(f"shell.no_{kind}")
    return t("shell.instead", name=f"{t(f'shell.{kind}')} {code(name)}")


def _chips(dataset_name: str, run_name: str) -> str:
    named = ((t("shell.dataset"), dataset_name), (t("shell.run"), run_name))
    chips = [f"<span>{html.escape(kind)} <b>{html.escape(name)}</b></span>" for kind, name in named if name]
    return f'<p class="graft-chips">{"".join(chips)}</p>'


def run_name(run: Run) -> str:
    """Return what a run is called where people read: by the name they gave it, else by backbone and start."""
    return runs.labels(workspace(), run.id).name or unnamed(run)


def run_names(found: Iterable[Run]) -> dict[str, str]:
    """Return, by id, what runs are called that stand beside each other; of those called the same also the id."""
    names = {run.id: run_name(run) for run in found}
    shared = {name for name, times in Counter(names.values()).items() if times > 1}
    return {run_id: f"{name} · {run_id}" if name in shared else name for run_id, name in names.items()}


def unnamed(run: Run) -> str:
    """Return what a run is called that nobody has named: its backbone and when it was started."""
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created))
    return f"{run.recipe['backbone']} · {started}" if "backbone" in run.recipe else started


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Show what Graft has to say about a failure in this block; every other exception is a bug and passes.

    Also a decorator: what draws a fragment or a dialog needs its own, as the page's do not reach there.
    """
    in_callback = ThreadState.get().in_fragment_callback
    if not in_callback:
        tell_failure()
    try:
        yield
    except GraftError as error:
        st.session_state[_FAILED] = str(error)
        if not in_callback:
            tell_failure()


def tell_failure() -> bool:
    """Show what a callback of this fragment or dialog failed at; return whether one did."""
    failure = st.session_state.pop(_FAILED, "")
    if failure:
        st.error(plain(failure), icon=":material/error:")
    return bool(failure)
