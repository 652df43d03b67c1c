"""Two stages: a head on cached features, then the upper blocks of the backbone with it.

Knows nothing of stores or pages: what happens is told to a ``listen(kind, **values)`` callback; see
:mod:`core.training.events`.

Reference: probe first, then fine-tune from it (LP-FT), Kumar et al., ICLR 2022, arXiv:2202.10054.
"""

from __future__ import annotations

from core.heads import Scores, scores
from core.training.batches import Images
from core.training.events import Listen, TimeIsUp
from core.training.fine_tuning import FineTuned, fine_tune
from core.training.head_stage import TrainedHead, train_head

__all__ = [
    "FineTuned",
    "Images",
    "Listen",
    "Scores",
    "TimeIsUp",
    "TrainedHead",
    "fine_tune",
    "scores",
    "train_head",
]
