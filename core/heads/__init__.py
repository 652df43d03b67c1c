"""Small classifiers on features: the probe, a multinomial logistic regression, and dense layers trained in batches."""

from __future__ import annotations

from core.heads.dense import DenseProgress, check_converges, fit_dense, read_head, write_head
from core.heads.epochs import FINE_TUNE_STAGE, HEAD_STAGE, class_weights, epoch_rows, generator, seed_dropout
from core.heads.head import Head, random_head
from core.heads.probe import fit_probe
from core.heads.scores import Scores, log_loss, scores

__all__ = [
    "FINE_TUNE_STAGE",
    "HEAD_STAGE",
    "DenseProgress",
    "Head",
    "Scores",
    "check_converges",
    "class_weights",
    "epoch_rows",
    "fit_dense",
    "fit_probe",
    "generator",
    "log_loss",
    "random_head",
    "read_head",
    "scores",
    "seed_dropout",
    "write_head",
]
