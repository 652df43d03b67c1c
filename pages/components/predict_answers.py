"""What a run says of photos: one large with its classes, many as a gallery sorted by doubt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import answers, charts, datasets, evaluation, images, inbox, runs
from core.familiarity import TURNED_AWAY
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import photos, shell
from pages.components.csv_file import as_csv
from pages.components.figure import figure
from pages.components.gallery import Item, Mark, gallery, pager
from pages.components.predict_correct import show_correction
from pages.components.predict_why import show_why
from pages.components.text import code, language, percent, plain, t

PAGE_SIZE = 24
FEW_VAL = 200
"""Validation pictures below which a line drawn at 5 % of them is said to be rough: it may be at 3 to 9 %."""
_TOLD = "demo_told"
"""Where in the session is kept what the log was last told of."""
_LOG = logging.getLogger("graft.demo")
Answer = Mapping[str, Any]


def show_answers(
    run: Run, jobs: Sequence[Job], retry: Callable[[Sequence[Path]], None], *, visitor: bool = False
) -> None:
    """Draw how the jobs that answer are going, and their answers.

    Args:
        run: The run that was asked first.
        jobs: Its job, and that of another run asked about the same photos, if one was.
        retry: Asks about the same photos once more.
        visitor: Whether a demo's visitor looks on: neither reasons are offered, which show training pictures, nor
            corrections, and what went wrong stays between the server and who runs it.
    """
    for job in jobs:
        if job.state != "done":
            job_view.watch(job.id, lambda job: _draw(job, retry, visitor=visitor))
    done = [job for job in jobs if job.state == "done"]
    if not done or done[0].id != jobs[0].id:
        return
    said = [list(job.result["predictions"]) for job in done]
    names = inbox.names(shell.workspace(), [Path(answer["path"]) for answer in said[0]], asked_below(jobs[0]))
    if len(said[0]) == 1:
        _one(jobs, [found[0] for found in said], names, visitor=visitor)
    else:
        _many(run, done, said, names, visitor=visitor)


def asked_below(job: Job) -> Path | None:
    """Return the folder that a job was asked about, if it was one."""
    return Path(job.args["below"]) if "below" in job.args else None


def _draw(job: Job, retry: Callable[[Sequence[Path]], None], *, visitor: bool) -> None:
    if job.active:
        job_view.progress(job, visitor=visitor)
    elif visitor:
        sorry(f"job {job.id} is {job.state}: {job.error.get('traceback') or job.error.get('message', '')}")
    else:
        job_view.outcome(job, retry=lambda: retry([Path(path) for path in job.args["paths"]]))


def sorry(why: str) -> None:
    """Tell a demo's visitor that something did not work, and the server's log why, once a visitor."""
    if st.session_state.get(_TOLD) != why:
        st.session_state[_TOLD] = why
        _LOG.error("%s", why)
    st.error(t("demo.failed"), icon=":material/error:")


def _one(
    jobs: Sequence[Job],
    said: Sequence[Answer],
    names: Mapping[str, str],
    *,
    visitor: bool,
    in_dialog: bool = False,
) -> None:
    """Draw a photo, what each run says of it, and why the first one does."""
    path = said[0]["path"]
    # What is said comes first, so that on a narrow page it is not below the photo.
    *columns, right = st.columns([*(2 for _ in said), 3], gap="large")
    with right:
        _large(path, names[path])
    for column, job, answer in zip(columns, jobs, said, strict=True):
        with column:
            asked = runs.get(shell.workspace(), job.args["run_id"])
            if len(said) > 1:
                st.caption(code(shell.run_name(asked)))
            _say(asked, answer, key=f"answer_{job.id}")
            if job is jobs[0] and not visitor and "error" not in answer:
                show_correction(asked, Path(path), key=f"correct_{asked.id}_{datasets.written(path)}")
    if not visitor and "error" not in said[0]:
        first = runs.get(shell.workspace(), jobs[0].args["run_id"])
        show_why(first, path, said[0]["predicted"], in_dialog=in_dialog)


def _large(path: str, name: str) -> None:
    picture, found = photos.large(Path(path).parent, Path(path).name, datasets.written(path))
    if found:
        size = images.inspect_image(picture)
        st.image(picture, width=photos.shown_width(size.width, size.height), alt=name)
    st.caption(code(name))


def _say(run: Run, answer: Answer, key: str) -> None:
    """Draw what a run says of one photo: whether it should be believed, and the classes."""
    if "error" in answer:
        st.error(plain(answer["error"]), icon=":material/broken_image:")
        return
    sure = {"predicted": code(answer["predicted"]), "p": percent(answer["probability"])}
    num_val = run.num_images.get("val", 0)
    if answer.get("unlike"):
        st.warning(t("predict.unlike", n=num_val, **sure), icon=":material/help:")
    elif answer.get("unsure"):
        st.warning(t("predict.unsure", n=num_val, **sure), icon=":material/help:")
    else:
        st.success(t("predict.says", **sure), icon=":material/check_circle:")
    if answers.flags(answer) and 0 < num_val < FEW_VAL:
        of_its_own = evaluation.wilson_interval(TURNED_AWAY * num_val, num_val)
        st.caption(t("predict.few_val", low=percent(of_its_own.low, 0), high=percent(of_its_own.high, 0)))
    names = [one["class"] for one in answer["top"]]
    probabilities = [one["probability"] for one in answer["top"]]
    figure(
        charts.probability_bars(names, probabilities, language=language()), key=key, alt=t("photo.bars_alt")
    )
    if "unlike" not in answer:
        st.caption(t("predict.no_familiarity"))


def _many(
    run: Run,
    jobs: Sequence[Job],
    said: Sequence[Sequence[Answer]],
    names: Mapping[str, str],
    *,
    visitor: bool,
) -> None:
    found = [answer for answer in said[0] if "error" not in answer]
    doubtful = [answer for answer in found if answers.flags(answer)]
    st.markdown(
        t(
            "predict.many",
            n=len(said[0]),
            doubtful=len(doubtful),
            unreadable=len(said[0]) - len(found),
        )
    )
    differing = _differing(said)
    if len(said) > 1:
        asked = shell.run_name(runs.get(shell.workspace(), jobs[0].args["run_id"]))
        st.markdown(t("predict.differ", n=len(differing), total=len(found), run=code(asked)))
    for job, one in zip(jobs, said, strict=True):
        _download(job, one, names)
    ordered = sorted(answers.by_doubt(said[0]), key=lambda answer: answer["path"] not in differing)
    page = pager(max(1, -(-len(ordered) // PAGE_SIZE)), key=f"predict_page_{jobs[0].id}")
    shown = ordered[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    opened = gallery(
        [_item(answer, names, differing.get(answer["path"])) for answer in shown],
        key=f"predict_{jobs[0].id}",
        label=t("predict.gallery"),
    )
    if opened is not None:
        same = [next(answer for answer in one if datasets.written(answer["path"]) == opened) for one in said]
        st.dialog(t("photo.title"), width="large")(shell.errors()(_one))(
            jobs, same, names, visitor=visitor, in_dialog=True
        )


def _download(job: Job, said: Sequence[Answer], names: Mapping[str, str]) -> None:
    run = runs.get(shell.workspace(), job.args["run_id"])
    table = answers.to_table([{**answer, "path": names[answer["path"]]} for answer in said], run.class_names)
    st.download_button(
        t("predict.csv", run=code(shell.run_name(run))),
        lambda: as_csv(table),
        file_name=f"{run.id}-predictions.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"predict_csv_{job.id}",
        on_click="ignore",
    )


def _differing(said: Sequence[Sequence[Answer]]) -> dict[str, Answer]:
    """Return what the second run says of the photos for which it names another class than the first, by their paths."""
    return {
        first["path"]: second
        for first, second in zip(said[0], said[-1], strict=True)
        if "error" not in first and "error" not in second and first["predicted"] != second["predicted"]
    }


def _item(answer: Answer, names: Mapping[str, str], other: Answer | None) -> Item:
    """Return a card of the gallery; ``other`` is what another run says, where it names another class."""
    path = answer["path"]
    known = datasets.written(path)
    picture, _ = photos.small(Path(path).parent, Path(path).name, known)
    mark: Mark = "wrong" if "error" in answer else "warning" if answers.flags(answer) else ""
    if "error" in answer:
        return Item(
            known, picture, t("predict.alt_bad", name=names[path]), t("predict.bad"), names[path], mark
        )
    said = t("photo.predicted", confidence=percent(answer["probability"]), predicted=answer["predicted"])
    doubt = next((t(f"predict.flag_{flag}") for flag in answers.flags(answer)), "")
    if other is not None:
        confidence = percent(other["probability"])
        differs = t("predict.other_says", confidence=confidence, predicted=other["predicted"])
        doubt, mark = f"{doubt} · {differs}" if doubt else differs, "warning"
    return Item(known, picture, f"{said}. {doubt}. {names[path]}", said, doubt or names[path], mark)
