"""A network of every family, with random weights, keeps its answers in every format of single precision."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import backbones, engines, evaluation, export, exports, images, recipes, runs
from core.catalog import SPECS, BackboneSpec
from core.heads import Head
from core.recipes import Recipe
from core.runs import Predictions
from core.workspace import Workspace
from tests.pictures import write

FORMATS = [name for name in exports.FORMATS if not exports.install_line(name)]
CLASS_NAMES = ("owl", "wren", "kite")
PICTURES = 8
FAMILIES = {spec.family: spec for spec in sorted(SPECS, key=lambda spec: -spec.gmacs) if not spec.hidden}
"""The smallest network of each family."""

BROKEN = {"convnext-tiny": ("onnx",)}
"""What tf2onnx 1.17 writes for it cannot be loaded by ONNX Runtime; the certificate says so and hands out none."""


def _head(features: np.ndarray) -> Head:
    """Return a random head whose answers to these features differ: it stands on what sets them apart."""
    rng = np.random.default_rng(0)
    spread = np.maximum(features.std(axis=0), 1e-6)
    kernel = (
        rng.normal(size=(features.shape[1], len(CLASS_NAMES))) / spread[:, None] / np.sqrt(features.shape[1])
    )
    bias = -features.mean(axis=0) @ kernel
    return Head(kernel.astype(np.float32), bias.astype(np.float32))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # Keras' own, where it saves
@pytest.mark.parametrize("spec", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_network_of_every_family_keeps_its_answers(
    spec: BackboneSpec, workspace: Workspace, tmp_path: Path
) -> None:
    recipe = recipes.validate(Recipe(backbone=spec.name, image_size=spec.min_size))
    backbone = backbones.build(workspace, spec, spec.min_size, random_seed=0)
    paths = [write(tmp_path / "photos" / f"{number}.png", number) for number in range(PICTURES)]
    pixels = np.stack([images.decode(path.read_bytes(), backbone.image_size) for path in paths])
    features = engines.forward(backbone)(pixels)
    head = _head(features)
    y_prob = evaluation.softmax(head.logits(features))
    table = pd.DataFrame(
        {
            "path": [path.name for path in paths],
            "sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths],
        }
    )
    run = runs.Run("20260101-000000-abcd", "birds", "Birds", "done", 0.0, recipe.to_json(), CLASS_NAMES)
    package = tmp_path / "work" / "package"
    package.mkdir(parents=True)
    export.whole_model(backbone, head, recipe.pooling, 1.0).save(package / "model.keras")
    export.write_kit(package, run, recipe, backbone.image_size)
    troubles = export.convert(package, FORMATS, pixels)
    said = Predictions(table, y_prob.argmax(axis=1), y_prob)
    checked = export.check(package, FORMATS, troubles, tmp_path / "photos", said)
    for found in checked.artefacts:
        print(
            spec.name, found.format, f"{found.agreement:.2f} {found.max_difference:.1e}", found.trouble[:200]
        )
    assert len(set(y_prob.argmax(axis=1))) > 1, "answers that are all the same show nothing"
    exact = [item for item in checked.artefacts if item.about.is_exact]
    failed = [
        item.format for item in exact if not item.passed and item.format not in BROKEN.get(spec.name, ())
    ]
    assert failed == []
