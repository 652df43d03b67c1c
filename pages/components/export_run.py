"""A run's model taken away: in which formats, proof that each does what the app does, and the zip."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pandas as pd
import streamlit as st

from core import datasets, exports, queue, runs
from core.errors import NotFound, WorkspaceError
from core.exports import Artefact, Certificate
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell
from pages.components.text import code, percent, plain, t


def show_export(run: Run) -> None:
    """Offer the export of a finished run, show how it goes, and what came out."""
    st.markdown(t("export.text"))
    job = _job(run)
    chosen = _formats(run)
    is_active = job is not None and job.active
    st.button(
        t("export.start"),
        key="export_start",
        type="primary",
        icon=":material/deployed_code:",
        disabled=is_active or not chosen,
        on_click=_submit,
        args=(run, tuple(chosen)),
    )
    if job is not None and job.state != "done":
        job_view.watch(job.id, lambda job: _draw(run, job))
    certificate = exports.certificate(shell.workspace(), run.id)
    if certificate is not None and exports.zip_path(shell.workspace(), run.id).exists():
        _certificate(run, certificate, is_earlier=job is not None and job.state != "done")


def _job(run: Run) -> Job | None:
    """Return the newest job that exports the run."""
    found = queue.list_jobs(shell.workspace(), kind="export", dataset_id=run.dataset_id)
    return next((job for job in found if job.args.get("run_id") == run.id), None)


def _formats(run: Run) -> list[str]:
    offered = [name for name in exports.FORMATS if not exports.install_line(name)]
    chosen = st.pills(
        t("export.formats"),
        offered,
        selection_mode="multi",
        default=list(exports.DEFAULT_FORMATS),
        format_func=lambda name: exports.FORMATS[name].title,
        key=f"export_formats_{run.id}",
        help=t("export.formats_help"),
    )
    for name in exports.FORMATS:
        if line := exports.install_line(name):
            st.caption(t("export.missing", format=exports.FORMATS[name].title, line=code(line)))
    return chosen


def _submit(run: Run, formats: tuple[str, ...]) -> None:
    with shell.errors():
        datasets.get(shell.workspace(), run.dataset_id)  # says so where it was removed
        queue.submit_export(shell.workspace(), run, formats)


def _draw(run: Run, job: Job) -> None:
    if job.active:
        job_view.progress(job, t("export.cancel_help"))
    else:
        formats = tuple(job.args["formats"])
        titles = ", ".join(exports.FORMATS[name].title for name in formats if name in exports.FORMATS)
        job_view.outcome(job, retry=lambda: _submit(run, formats), then=t("export.again", formats=titles))


def _certificate(run: Run, certificate: Certificate, *, is_earlier: bool) -> None:
    st.header(t("export.certificate"), anchor=False)
    if is_earlier:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(certificate.created))
        st.caption(t("export.earlier", when=made))
    runs.note_look(shell.workspace(), run.id)
    low, high = certificate.app_interval
    st.markdown(_verdict(certificate))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        path = exports.zip_path(shell.workspace(), run.id)
        st.download_button(
            t("export.download", mb=f"{path.stat().st_size / 1e6:,.1f}"),
            path.read_bytes,
            file_name=exports.zip_name(run),
            mime="application/zip",
            icon=":material/download:",
            key="export_download",
            on_click="ignore",
        )
        st.caption(t("export.inside"), width="content")
    st.table(_table(certificate), hide_index=True, border="horizontal", alt=t("export.certificate"))
    st.caption(
        t("export.app", accuracy=percent(certificate.app_accuracy), low=percent(low), high=percent(high))
    )
    if 0 < certificate.num_groups < certificate.num_images:
        counts = {"images": f"{certificate.num_images:,}", "n": certificate.num_groups}
        st.caption(t("measures.groups", **counts))
    elif not certificate.num_groups and certificate.num_images and _hang_together(run):
        st.caption(t("export.not_grouped"))
    if certificate.num_skipped:
        st.warning(t("export.skipped", n=certificate.num_skipped), icon=":material/warning:")
    for artefact in certificate.of("failed"):
        st.warning(
            t("export.failed", format=artefact.about.title, why=_why(artefact)), icon=":material/warning:"
        )
    for artefact in certificate.of("unclear"):
        low, high = artefact.agreement_interval
        found = {"low": percent(low), "high": percent(high), "least": percent(exports.MIN_AGREEMENT, 0)}
        st.warning(
            t("export.unclear", format=artefact.about.title, n=certificate.num_images, **found),
            icon=":material/help:",
        )
    least = percent(exports.MIN_AGREEMENT, 0)
    st.caption(t("export.bounds", machine=plain(certificate.machine), least=least))


def _verdict(certificate: Certificate) -> str:
    """Return the headline: what passed, what failed, and what the test pictures are too few for."""
    counts = {"n": certificate.num_images, "total": len(certificate.artefacts)}
    if len(certificate.passed) == len(certificate.artefacts):
        return t("export.verdict_all", **counts)
    parts = [t("export.verdict_some", passed=len(certificate.passed), **counts)]
    if unclear := len(certificate.of("unclear")):
        parts.append(t("export.verdict_unclear", n=unclear))
    if certificate.of("failed"):
        parts.append(t("export.verdict_failed"))
    return " ".join(parts)


def _why(artefact: Artefact) -> str:
    if artefact.trouble:
        return plain(artefact.trouble)
    return t(
        "export.beyond_exact" if artefact.about.is_exact else "export.beyond_fewer_bits",
        least=percent(exports.MIN_AGREEMENT, 0),
    )


def _hang_together(run: Run) -> bool:
    """Return whether there are near-duplicates among a run's test pictures."""
    with contextlib.suppress(NotFound, WorkspaceError):
        images = runs.load_split(shell.workspace(), run.id)
        groups = runs.groups_of(images[images["split"] == "test"])
        return len(set(groups)) < len(groups)
    return False


def _table(certificate: Certificate) -> pd.DataFrame:
    columns: dict[str, Callable[[Artefact], str]] = {
        t("export.format"): lambda item: item.about.title,
        t("export.check"): _mark,
        t("export.accuracy"): lambda item: _with_interval(item.accuracy, item.accuracy_interval),
        t("export.agreement"): lambda item: _with_interval(item.agreement, item.agreement_interval),
        t("export.difference"): lambda item: f"{item.max_difference:.2g}",
        t("export.size"): lambda item: f"{item.num_bytes / 1e6:,.1f} MB",
        t("export.latency"): lambda item: f"{item.latency_ms:,.1f} ms",
    }
    return pd.DataFrame(
        {
            title: [_cell(item, show, number) for item in certificate.artefacts]
            for number, (title, show) in enumerate(columns.items())
        }
    )


def _cell(item: Artefact, show: Callable[[Artefact], str], column: int) -> str:
    """Return what a column shows; what could not be run has no numbers."""
    return "–" if item.trouble and column > 1 else show(item)


def _mark(item: Artefact) -> str:
    icons = {"passed": "check_circle", "unclear": "help", "failed": "error"}
    return f":material/{icons[item.verdict]}: {t(f'export.{item.verdict}_short')}"


def _with_interval(share: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return t("export.interval", share=percent(share), low=percent(low), high=percent(high))
