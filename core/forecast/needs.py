"""How long a training will take on this machine, and how much memory and disk, before it starts.

Where a finished run used the same network, its measured speed is taken; else a rough one from the number of
multiplications. Either is an estimate and is called so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core import catalog, recipes
from core.forecast.kept_boundary import plan_boundary
from core.recipes import Recipe
from core.runs import Run

GMACS_PER_CORE_S = 24.0
"""Billions of multiply-adds that TensorFlow does a second on one core of a 2024 server, measured on
EfficientNet-B0 (62 images/s, 0.39 GMAC) and MobileNetV2 (99 images/s, 0.30 GMAC)."""
GMACS_PER_GPU_S = 1_500.0
"""The same for a graphics card; not measured, a cautious guess for a consumer card."""
COMPILE_S = 15.0
"""What tracing the training step of a catalog network costs once, on two cores."""
HEAD_S_PER_BILLION = 0.6
"""Seconds of one pass of stage 1 per 10⁹ image × feature × class, two cores."""
MIN_MEASURED = 200
"""Images below which the speed of extracting features says more about starting than about going on."""
BACKWARD_COST = 2.0
"""A backward pass costs about two forward passes of the same layers."""
CONTROLS_S = 4.0
"""What the controls cost beside the network: building it untrained, fitting three probes; two cores."""
CONTROL_IMAGES = 800
"""Images that the controls use at most."""
REDUCTION = 32
"""Pixels of the input per position of the last feature map, along one side."""
SESSION_MB = 1_000.0
"""Resident memory of a session with TensorFlow and nothing loaded, measured on Linux."""
MAX_PIXEL_BYTES = 256 * 10**6
"""Most that is kept of pictures' pixels for variations of them: about 1,700 pictures of 224 px."""
FORWARD_BYTES, BACKWARD_BYTES = 0.5, 2.5
"""Bytes per activation and image of a batch: of a forward pass, which forgets what it needs no more, and of what a
backward pass has to remember. Measured at 224 px and 32 images a batch were in all 0.6 (ResNet50), 0.9
(EfficientNet-Lite0), 1.0 (MobileNetV2) and 2.7 (VGG16) with a third of the blocks training, for which this says 1.35;
2.0 (EfficientNet-Lite0) and 5.8 (VGG16) with all, for which it says 3."""


@dataclass(frozen=True)
class Forecast:
    """What a training will need, about.

    Args:
        seconds: Per stage: ``features``, ``head``, ``fine_tune``, ``controls``, ``evaluate``; ``teacher`` where there
            is one.
        memory_mb: Resident memory of the device session.
        disk_mb: What will be added to the workspace.
        boundary_mb: What stage 2 takes of the disk beside that until it ends; see :func:`plan_boundary`.
        measured: Whether the speed was measured on this machine with this network.
    """

    seconds: Mapping[str, float]
    memory_mb: float
    disk_mb: float
    boundary_mb: float
    measured: bool

    @property
    def total_s(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


def forecast(
    recipe: Recipe,
    num_images: Mapping[str, int],
    num_classes: int,
    device: str,
    past: Sequence[Run] = (),
    free_bytes: float = math.inf,
) -> Forecast:
    """Estimate what a training will need.

    Args:
        recipe: A validated recipe.
        num_images: Of ``train``, ``val`` and ``test``.
        num_classes: Classes.
        device: ``cpu`` or ``gpu:<n>``.
        past: Runs of this workspace, newest first.
        free_bytes: Of the disk that the workspace is on.
    """
    spec = catalog.get(recipe.backbone)
    num_train, num_all = num_images["train"], sum(num_images.values())
    measured = _measured(recipe, past)
    forward = measured.get("features", _rough_speed(recipe, device))
    step = measured.get("fine_tune", forward / (1 + BACKWARD_COST * recipe.fine_tune_blocks))
    width = spec.num_features * (_positions(recipe) if recipe.pooling == "flatten" else 1)
    num_rows = num_all + recipe.views * num_train if recipe.head_epochs else 0
    num_judged = num_train + num_images["test"] if recipe.fine_tune_epochs else 0  # by fine-tuned weights
    seconds = {
        "features": num_rows / forward,
        "head": _head_s(recipe, num_train * (1 + recipe.views), width, num_classes),
        "controls": CONTROLS_S + min(num_all, CONTROL_IMAGES) / forward,
    }
    teacher = next((run for run in past if run.id == recipes.teacher_run(recipe)), None)
    if teacher is not None:
        theirs = recipes.from_json(teacher.recipe)
        seconds["teacher"] = num_train / _measured(theirs, past).get("features", _rough_speed(theirs, device))
    batch, trained, boundary_bytes = 32, 0.0, 0
    if recipe.fine_tune_epochs:
        trained = recipe.fine_tune_blocks
        compiling = 0.0 if "fine_tune" in measured else COMPILE_S
        seconds["fine_tune"] = compiling + num_train * recipe.fine_tune_epochs / step
        seconds["evaluate"] = num_all / forward
        batch = max(batch, recipe.batch_size)
        boundary = catalog.boundary_width(spec, recipe.image_size, recipe.depth, recipe.fine_tune_blocks)
        boundary_bytes = plan_boundary(recipe, boundary, num_train, num_images["val"], free_bytes).num_bytes
    weights_mb = spec.num_parameters * 4 / 1e6
    features_mb = num_rows * width * 4 / 1e6
    pixels = min(MAX_PIXEL_BYTES, num_train * 3 * recipe.image_size**2) if recipe.views and num_rows else 0
    hidden_mb = recipe.dense_units * width * 4 / 1e6
    return Forecast(
        seconds=seconds,
        memory_mb=SESSION_MB
        + 4 * (weights_mb + hidden_mb)
        + 2 * features_mb
        + pixels / 1e6
        + batch * _activations(recipe) * (FORWARD_BYTES + BACKWARD_BYTES * trained) / 1e6,
        disk_mb=features_mb + num_judged * width * 4 / 1e6 + weights_mb + hidden_mb,
        boundary_mb=boundary_bytes / 1e6,
        measured="features" in measured and (not recipe.fine_tune_epochs or "fine_tune" in measured),
    )


def _rough_speed(recipe: Recipe, device: str) -> float:
    """Return about how many images a second go through the network."""
    spec = catalog.get(recipe.backbone)
    gmacs = spec.gmacs * (recipe.image_size / spec.image_size) ** 2 * recipe.depth
    power = GMACS_PER_CORE_S * (os.cpu_count() or 1) if device == "cpu" else GMACS_PER_GPU_S
    return power / gmacs


def _activations(recipe: Recipe) -> float:
    """Return about how many numbers all layers together give for one image."""
    spec = catalog.get(recipe.backbone)
    return spec.num_activations * (recipe.image_size / spec.image_size) ** 2 * recipe.depth


def _positions(recipe: Recipe) -> int:
    """Return about how many positions the last feature map has."""
    return max(1, recipe.image_size // REDUCTION) ** 2


def _head_s(recipe: Recipe, num_rows: int, width: int, num_classes: int) -> float:
    """Return about how many seconds stage 1 takes."""
    if not recipe.head_epochs:
        return 0.0
    outputs = recipe.dense_units or num_classes
    return 1 + HEAD_S_PER_BILLION * recipe.head_epochs * num_rows * width * outputs / 1e9


def _measured(recipe: Recipe, past: Sequence[Run]) -> dict[str, float]:
    """Return images per second of the newest runs with this network, scaled to the recipe's image size."""
    found: dict[str, float] = {}
    for run in past:
        if run.recipe.get("backbone") != recipe.backbone:
            continue
        scale = (run.recipe.get("image_size", recipe.image_size) / recipe.image_size) ** 2
        for name, speed in run.images_per_s.items():
            same_blocks = math.isclose(run.recipe.get("fine_tune_blocks", -1), recipe.fine_tune_blocks)
            if name not in found and (name != "fine_tune" or same_blocks):
                found[name] = speed * scale
    return found
