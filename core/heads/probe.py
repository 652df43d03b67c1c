"""The probe: a multinomial logistic regression on all features at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from core.heads.head import Head

GRADIENT_TOLERANCE = 1e-4
"""Largest gradient entry at which the fit counts as converged; scikit-learn's default ``tol``."""


def fit_probe(
    features: np.ndarray,
    y_true: np.ndarray,
    num_classes: int,
    strength: float = 1.0,
    max_epochs: int = 100,
    on_epoch: Callable[[int, Head], None] = lambda epoch, head: None,
    sample_weight: np.ndarray | None = None,
    num_images: int | None = None,
    targets: np.ndarray | None = None,
    begin: Head | None = None,
) -> Head:
    """Fit a multinomial logistic regression with L-BFGS on all features at once.

    It minimises scikit-learn's objective ``||kernel||² / (2 C n) + mean log loss`` with an unpenalised bias,
    and reports after each iteration, which is one pass over the features (rarely more, in the line search).

    Args:
        features: float32, shape (rows, features).
        y_true: int, shape (rows,), in 0…num_classes−1.
        num_classes: Columns of the logits; a class without images keeps a low probability.
        strength: scikit-learn's ``C``: larger means a weaker L2 penalty.
        max_epochs: Most iterations.
        on_epoch: Called with the number of the iteration (from 1) and the head so far; may raise to stop.
        sample_weight: What each row weighs in the mean log loss, shape (rows,); by default all the same.
        num_images: The ``n`` of the penalty: how many images there are, where several rows are views of one. By
            default the sum of the weights, as in scikit-learn.
        targets: Instead of the classes: what each row should be told to be, float32, shape (rows, classes), in 0…1,
            each row with the sum 1. The loss is then the cross entropy with them.
        begin: Where to begin: a head of a similar strength saves iterations. By default at zero.

    Returns:
        The fitted head.
    """
    num_rows, width = features.shape
    weights = np.ones(num_rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    penalty = 1 / (strength * (weights.sum() if num_images is None else num_images))
    shares = weights / weights.sum()
    # The bias is free of the penalty, so centring changes only how fast the fit converges.
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = features - mean
    at = (np.arange(num_rows), y_true)
    epoch = 0

    def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel = theta[: width * num_classes].reshape(width, num_classes)
        return kernel, theta[width * num_classes :]

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = unpack(theta)
        logits = (centred @ kernel.astype(np.float32)).astype(np.float64) + bias
        log_prob = logits - logsumexp(logits, axis=1, keepdims=True)
        right = log_prob[at] if targets is None else (targets * log_prob).sum(axis=1)
        loss = -(shares * right).sum() + penalty * (kernel**2).sum() / 2
        residual = np.exp(log_prob)
        if targets is None:
            residual[at] -= 1
        else:
            residual -= targets
        residual *= shares[:, None]
        grad_kernel = centred.T @ residual.astype(np.float32) + penalty * kernel
        return float(loss), np.concatenate([grad_kernel.ravel(), residual.sum(axis=0)]).astype(np.float64)

    def head_of(theta: np.ndarray) -> Head:
        kernel, bias = unpack(theta)
        return Head(kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32))

    def report(theta: np.ndarray) -> None:
        nonlocal epoch
        epoch += 1
        on_epoch(epoch, head_of(theta))

    start = np.zeros(width * num_classes + num_classes)
    if begin is not None:
        start[: width * num_classes] = begin.kernel.ravel()
        start[width * num_classes :] = begin.bias + mean @ begin.kernel
    # NumPy and SciPy each bring threads for products, which wait for one another: a fit takes 3.6 times as long with
    # two as with one (892 images, 6 classes), and hardly less with 20,000 images and 120 classes.
    with threadpool_limits(1, user_api="blas"):
        result = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=report,
            options={
                "maxiter": max_epochs,
                "maxfun": 4 * max_epochs + 20,
                "gtol": GRADIENT_TOLERANCE,
                "ftol": 1e-9,
            },
        )
    return head_of(result.x)
