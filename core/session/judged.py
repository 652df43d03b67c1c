"""What a model says of pictures that it is judged by.

The features are kept like any others, also those of fine-tuned weights: nobody computes them again who asks what the
run takes for familiar, goes on from it, or learns from it as a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core import backbones, engines, features
from core.backbones import Backbone
from core.heads import Head
from core.progress import Progress, part
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context

MATRIX_BYTES = 10**8
"""Most that features take at a time, since those of all pictures, flattened, may not fit into memory."""


def logits_of(
    context: Context,
    recipe: Recipe,
    backbone: Backbone,
    weights: Sequence[np.ndarray] | None,
    head: Head,
    paths: Sequence[Path],
    hashes: Sequence[str],
    progress: Progress,
    num_expected: int = 0,
) -> np.ndarray:
    """Return the logits of pictures; the backbone is as before afterwards.

    Args:
        context: Of the job.
        recipe: Pooling and resize rule.
        backbone: Any backbone; where there are no ``weights`` it has to be pristine.
        weights: All weights of the backbone, as :class:`core.training.FineTuned` has them; None for those it has.
        head: Stands on the features.
        paths: The files.
        hashes: SHA-256 of each file's bytes, as it was audited.
        progress: Called with files done and in all.
        num_expected: How many pictures will be judged in all, where these are but some.

    Returns:
        float32, shape (files, classes); NaN rows for files that cannot be read (any more), or have changed.

    Raises:
        JobError: Not even a single picture fits into the device's memory.
        WorkspaceError: The features cannot be kept.
        Cancelled: ``progress`` raised it.
    """
    logits = np.full((len(paths), len(head.bias)), np.nan, dtype=np.float32)
    width = backbones.num_features(backbone, recipe.pooling)
    at_once = max(engines.BATCH_SIZE, MATRIX_BYTES // (4 * width))
    with backbones.lend(backbone, weights) as lent:
        for begin in range(0, len(paths), at_once):
            end = begin + at_once
            extracted = features.extract(
                context.workspace,
                lent,
                paths[begin:end],
                hashes[begin:end],
                resize=recipe.resize,
                progress=part(progress, begin, len(paths)),
                pooling=recipe.pooling,
                num_expected=max(num_expected, len(paths)),
            )
            read = np.ones(len(extracted.matrix), dtype=bool)
            read[sorted(extracted.unreadable)] = False
            logits[begin:end][read] = head.logits(extracted.matrix[read])
            networks.note_engine(context, "Evaluation", extracted)
    return logits
