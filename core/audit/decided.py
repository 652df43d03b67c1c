"""The audited table as the person's decisions make it."""

from __future__ import annotations

import pandas as pd

from core import curation
from core.audit.table import load_layout, load_table
from core.workspace import Workspace


def load_decided(
    workspace: Workspace, dataset_id: str, found: pd.DataFrame | None = None
) -> pd.DataFrame | None:
    """Return the table of the last finished audit with the decisions laid over it, or None where there is none.

    Args:
        workspace: Where it is kept.
        dataset_id: Which dataset.
        found: The table of :func:`core.audit.load_table`, where it is at hand.

    Returns:
        The columns of :func:`core.audit.audit` and those of :func:`core.curation.apply`.
    """
    table = load_table(workspace, dataset_id) if found is None else found
    layout = load_layout(workspace, dataset_id)
    if table is None or layout is None:
        return None
    return curation.apply(table, curation.load(workspace, dataset_id).decisions, layout.class_names)
