"""Small classifiers on features: the probe, a multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

GRADIENT_TOLERANCE = 1e-4
"""Largest gradient entry at which the fit counts as converged; scikit-learn's default ``tol``."""


@dataclass(frozen=True)
class Head:
    """A linear classifier: ``logits = features @ kernel + bias``.

    Args:
        kernel: float32, shape (features, classes).
        bias: float32, shape (classes,).
    """

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float32 logits of shape (images, classes) for features of shape (images, features)."""
        return np.asarray(features @ self.kernel + self.bias, dtype=np.float32)


def fit_probe(
    features: np.ndarray,
    y_true: np.ndarray,
    num_classes: int,
    strength: float = 1.0,
    max_epochs: int = 100,
    on_epoch: Callable[[int, Head], None] = lambda epoch, head: None,
) -> Head:
    """Fit a multinomial logistic regression with L-BFGS on all features at once.

    It minimises scikit-learn's objective ``||kernel||² / (2 C n) + mean log loss`` with an unpenalised bias,
    and reports after each iteration, which is one pass over the features (rarely more, in the line search).

    Args:
        features: float32, shape (images, features).
        y_true: int, shape (images,), in 0…num_classes−1.
        num_classes: Columns of the logits; a class without images keeps a low probability.
        strength: scikit-learn's ``C``: larger means a weaker L2 penalty.
        max_epochs: Most iterations.
        on_epoch: Called with the number of the iteration (from 1) and the head so far; may raise to stop.

    Returns:
        The fitted head.
    """
    num_images, width = features.shape
    # The bias is free of the penalty, so centring changes only how fast the fit converges.
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = features - mean
    rows = np.arange(num_images)
    epoch = 0

    def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel = theta[: width * num_classes].reshape(width, num_classes)
        return kernel, theta[width * num_classes :]

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = unpack(theta)
        logits = (centred @ kernel.astype(np.float32)).astype(np.float64) + bias
        log_prob = logits - logsumexp(logits, axis=1, keepdims=True)
        loss = -log_prob[rows, y_true].mean() + (kernel**2).sum() / (2 * strength * num_images)
        residual = np.exp(log_prob)
        residual[rows, y_true] -= 1
        residual /= num_images
        grad_kernel = centred.T @ residual.astype(np.float32) + kernel / (strength * num_images)
        return float(loss), np.concatenate([grad_kernel.ravel(), residual.sum(axis=0)]).astype(np.float64)

    def head_of(theta: np.ndarray) -> Head:
        kernel, bias = unpack(theta)
        return Head(kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32))

    def report(theta: np.ndarray) -> None:
        nonlocal epoch
        epoch += 1
        on_epoch(epoch, head_of(theta))

    result = minimize(
        objective,
        np.zeros(width * num_classes + num_classes),
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
