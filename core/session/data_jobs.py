"""Jobs that need no TensorFlow: make a sample, unpack an upload, look at a dataset's files, write a cleaned copy."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from core import audit, bundles, curation, datasets, metadata
from core.datasets import Dataset
from core.errors import Cancelled, NotFound, WorkspaceError
from core.queue import Job
from core.session.context import Context


def do_sample(context: Context, job: Job) -> dict[str, Any]:
    """Make a sample dataset and look at its files."""
    context.stage("sample")
    dataset = datasets.add_sample(context.workspace, job.args["sample"], context.progress)
    return _audit_for_page(context, dataset)


def do_upload(context: Context, job: Job) -> dict[str, Any]:
    """Unpack what was uploaded, make it a dataset and look at its files."""
    context.stage("unpack")
    dataset, unpacked = datasets.add_upload(
        context.workspace, job.args["token"], job.args["name"], context.progress
    )
    left_out = (
        {} if unpacked is None else {"num_links": unpacked.num_links, "num_hidden": unpacked.num_hidden}
    )
    return _audit_for_page(context, dataset) | left_out


def do_audit(context: Context, job: Job) -> dict[str, Any]:
    """Look at all files of a dataset."""
    return _audit_for_page(context, datasets.get(context.workspace, job.args["dataset_id"]))


def _audit_for_page(context: Context, dataset: Dataset) -> dict[str, Any]:
    """Bring the table up to date, and then what only the Data page shows."""
    result = audit_dataset(context, dataset)
    table = audit.load_decided(context.workspace, dataset.id)
    # The audit is done and saved: who stops now, or whose disk is full, has it all the same.
    with contextlib.suppress(Cancelled, WorkspaceError):
        if table is not None:
            context.stage("class_means")
            audit.update_class_means(context.workspace, dataset, table, context.progress)
    return result


def do_clean_copy(context: Context, job: Job) -> dict[str, Any]:
    """Write the pictures that are used to a new folder, each in the class that was decided."""
    dataset = datasets.get(context.workspace, job.args["dataset_id"])
    audit_dataset(context, dataset)
    table = audit.load_decided(context.workspace, dataset.id)
    if table is None:
        raise NotFound(f'The dataset "{dataset.name}" has not been audited. Open it on the Data page first.')
    context.stage("copy")
    target = Path(job.args["target"])
    records = curation.records_dir(context.workspace)
    found = metadata.load(context.workspace, dataset.id)  # as the audit has just read it
    num_written = curation.write_copy(
        table,
        dataset.pictures,
        target,
        job.args["way"],
        context.progress,
        records,
        None if found is None else found.columns,
    )
    return {"target": str(target), "num_images": num_written}


def audit_dataset(context: Context, dataset: Dataset) -> dict[str, Any]:
    """Bring the table of a dataset's files up to date."""
    context.stage("audit")
    curation.clear_leftovers(curation.records_dir(context.workspace))
    table = audit.audit(context.workspace, dataset, context.progress)
    metadata.update(context.workspace, dataset, table["path"].tolist())
    bundles.adopt(context.workspace, dataset)
    return {"dataset_id": dataset.id, "num_files": len(table), "num_images": int(table["usable"].sum())}
