"""Does a network of every family keep its answers in every format in which it can be exported?

    python benchmarks/families.py PHOTOS [--family NAME] [--most 40] [--image-size N]

The smallest network of each family, with random weights (enlivened, see :func:`enliven`) and a random head, is written
down, converted and checked as an export does it: each file in a process of its own, held against what the app says of
the same photos. A line per network and format: the share of photos with the app's first answer, the largest difference
of any probability, size and time, and whether it passed; or why it could not be made. The photos beyond the first
``--most`` choose the ranges of 8-bit numbers. Random weights tell nothing about accuracy, and little about what fewer
bits cost a trained network.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import backbones, engines, evaluation, export, exports, images, recipes, runs
from core.catalog import SPECS, BackboneSpec
from core.exports import Artefact
from core.heads import Head
from core.recipes import Recipe
from core.runs import Predictions
from core.workspace import Workspace

CLASS_NAMES = ("owl", "wren", "kite")
FAMILIES = {spec.family: spec for spec in sorted(SPECS, key=lambda spec: -spec.gmacs) if not spec.hidden}
"""The smallest network of each family."""
NUM_CALIBRATION = 20
LEAST_LEAD = 0.05
"""By how much the app's first answer has to lead on the median photo, or agreement would show nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--family", choices=list(FAMILIES), action="append", help="default: all")
    parser.add_argument("--most", type=int, default=40, help="photos that are asked about")
    parser.add_argument("--image-size", type=int, help="default: the network's own")
    arguments = parser.parse_args()
    paths = [path for path in sorted(arguments.photos.rglob("*")) if path.suffix.lower() in images.EXTENSIONS]
    chosen = [
        paths[row] for row in np.linspace(0, len(paths) - 1, arguments.most + NUM_CALIBRATION).astype(int)
    ]
    np.random.default_rng(0).shuffle(chosen)
    print("| network | format | check | same first answer | largest difference | size | one photo |")
    print("|---|---|---|---|---|---|---|")
    for family in arguments.family or FAMILIES:
        spec = FAMILIES[family]
        with tempfile.TemporaryDirectory() as folder:
            found = certify(
                Workspace(Path(folder) / "Graft"),
                spec,
                arguments.image_size or spec.image_size,
                chosen[: arguments.most],
                chosen[arguments.most :],
                Path(folder) / "work",
            )
        for artefact in found:
            print(_row(spec, artefact), flush=True)


def certify(
    workspace: Workspace,
    spec: BackboneSpec,
    image_size: int,
    asked: Sequence[Path],
    calibration: Sequence[Path],
    folder: Path,
) -> tuple[Artefact, ...]:
    """Return what each format that can be made here was found to do, for a network with random weights.

    Args:
        workspace: Where networks are built.
        spec: The network.
        image_size: Pixels a side.
        asked: Photos in whose answers app and files are compared, all in one folder or folders in it.
        calibration: Photos that choose the ranges of 8-bit numbers.
        folder: A working folder; is made.
    """
    formats = [name for name in exports.FORMATS if not exports.install_line(name)]
    recipe = recipes.validate(Recipe(backbone=spec.name, image_size=image_size))
    backbone = backbones.build(workspace, spec, image_size, random_seed=0)
    seen = _decoded(asked, backbone.image_size)
    enliven(backbone.model, seen)
    weights = backbone.model.get_weights()
    backbone = backbones.adopt(backbone, weights, backbones.hash_arrays(weights))
    features = engines.forward(backbone)(seen)
    head = random_head(features)
    y_prob = evaluation.softmax(head.logits(features))
    _require_opinions(spec, y_prob)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in asked]
    table = pd.DataFrame({"path": [str(path.resolve()) for path in asked], "sha256": hashes})
    run = runs.Run("20260101-000000-abcd", "birds", "Birds", "done", 0.0, recipe.to_json(), CLASS_NAMES)
    package = folder / "package"
    package.mkdir(parents=True)
    export.whole_model(backbone, head, recipe.pooling, 1.0).save(package / exports.FORMATS["keras"].file)
    export.write_kit(package, run, recipe, backbone.image_size)
    troubles = export.convert(package, formats, _decoded(calibration, backbone.image_size))
    said = Predictions(table, y_prob.argmax(axis=1), y_prob)
    return export.check(package, formats, troubles, Path("/"), said).artefacts


def enliven(model: keras.Model, pixels: np.ndarray) -> None:
    """Give a network with random weights the statistics and scales that a training would have given it.

    As built, answers fade with every layer: the features of EfficientNet-Lite0 are around 1e-12, all probabilities a
    third, and every format agrees. So normalisations get the mean and the variance of these photos, and the branches of
    ConvNeXt, which begin at a millionth, their whole weight.

    Args:
        model: Of a backbone; is changed.
        pixels: RGB, 0 to 255, shape (n, h, w, 3).
    """
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
    normalisations = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [(layer.trainable, layer.momentum) for layer in normalisations]
    for layer in normalisations:
        layer.trainable, layer.momentum = True, 0.0  # frozen ones would not look at the photos
    dropouts = [(layer, layer.rate) for layer in layers if isinstance(layer, keras.layers.Dropout)]
    for layer, _ in dropouts:
        layer.rate = 0.0  # or the statistics would be those of a part, another one each time
    for layer in layers:
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.ones(layer.gamma.shape, np.float32))
    if normalisations:
        model(pixels.astype(np.float32), training=True)
    for layer, (trainable, momentum) in zip(normalisations, kept, strict=True):
        layer.trainable, layer.momentum = trainable, momentum
    for layer, rate in dropouts:
        layer.rate = rate


def _require_opinions(spec: BackboneSpec, y_prob: np.ndarray) -> None:
    first_two = np.sort(y_prob, axis=1)[:, -2:]
    lead = float(np.median(first_two[:, 1] - first_two[:, 0]))
    if len(set(y_prob.argmax(axis=1))) == 1 or lead < LEAST_LEAD:
        raise RuntimeError(
            f"{spec.title} hardly tells these photos apart (its first answer leads by {lead:.1e} on the median photo), "
            "so that agreement would show nothing."
        )


def random_head(features: np.ndarray) -> Head:
    """Return a random head whose answers to these features differ: it stands on what sets them apart."""
    rng = np.random.default_rng(0)
    spread = np.maximum(features.std(axis=0), 1e-6)
    kernel = (
        rng.normal(size=(features.shape[1], len(CLASS_NAMES))) / spread[:, None] / np.sqrt(features.shape[1])
    )
    bias = -features.mean(axis=0) @ kernel
    return Head(kernel.astype(np.float32), bias.astype(np.float32))


def _decoded(paths: Sequence[Path], image_size: tuple[int, int]) -> np.ndarray:
    return np.stack([images.decode(path.read_bytes(), image_size) for path in paths])


_CHECKED = {"passed": "passed", "unclear": "too few photos to tell", "failed": "**failed**"}


def _row(spec: BackboneSpec, artefact: Artefact) -> str:
    cells = [spec.title, artefact.about.title, _CHECKED[artefact.verdict]]
    if artefact.trouble:
        cells += [artefact.trouble, "", "", ""]
    else:
        cells += [
            f"{100 * artefact.agreement:.1f} %",
            f"{artefact.max_difference:.1e}",
            f"{artefact.num_bytes / 1e6:.1f} MB",
            f"{artefact.latency_ms:.1f} ms",
        ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
