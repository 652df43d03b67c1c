"""What a run takes for familiar: measured once, when it is first asked about a photo, and kept with the run."""

from __future__ import annotations

import numpy as np

from core import datasets, familiarity, features, runs
from core.backbones import Backbone
from core.errors import NotFound, WorkspaceError
from core.familiarity import MAX_REFERENCE, Familiarity
from core.features import Features
from core.progress import Progress
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.leavable import run_hearing

_KEPT = "familiarity"


def familiarity_of(context: Context, run: runs.Run, recipe: Recipe, backbone: Backbone) -> Familiarity | None:
    """Return what a run takes for familiar; None where its pictures are gone before that was measured.

    Args:
        context: Of the job.
        run: A finished run.
        recipe: Its recipe.
        backbone: With its weights.
    """
    try:
        return Familiarity.from_arrays(runs.load_arrays(context.workspace, run.id, _KEPT))
    except (NotFound, WorkspaceError, KeyError, ValueError):
        found = _measure(context, run, recipe, backbone)
    if found is not None:
        runs.save_arrays(context.workspace, run.id, _KEPT, **found.to_arrays())
    return found


def _measure(context: Context, run: runs.Run, recipe: Recipe, backbone: Backbone) -> Familiarity | None:
    try:
        pictures = datasets.get(context.workspace, run.dataset_id).pictures
    except NotFound:
        return None
    table = runs.load_split(context.workspace, run.id)
    train = table[table["split"] == "train"]
    if len(train) > MAX_REFERENCE:
        train = train.iloc[np.linspace(0, len(train) - 1, MAX_REFERENCE).astype(int)]
    said = runs.predictions(context.workspace, run.id, "val")
    context.stage("familiar")
    paths = [pictures / path for path in [*train["path"], *said.images["path"]]]
    hashes = [*train["sha256"], *said.images["sha256"]]

    def extract(tell: Progress) -> Features:
        return features.extract(
            context.workspace,
            backbone,
            paths,
            hashes,
            resize=recipe.resize,
            progress=tell,
            pooling=recipe.pooling,
        )

    # The network is not warm yet, so nobody else gets it if this is left behind.
    extracted = run_hearing(extract, context.progress, context.is_stop_asked)
    networks.note_engine(context, f"Familiarity, run {run.id}", extracted)
    read = np.ones(len(paths), dtype=bool)
    read[sorted(extracted.unreadable)] = False
    of_train, of_val = read[: len(train)], read[len(train) :]
    if not of_train.any() or not of_val.any():
        return None
    matrix = extracted.matrix
    return familiarity.measure(
        matrix[: len(train)][of_train], matrix[len(train) :][of_val], said.y_prob[of_val]
    )
