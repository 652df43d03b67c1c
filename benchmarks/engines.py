"""Which engine computes features fastest on this processor, and what do its numbers cost a head?

    python -m pip install openvino nncf onnx onnxruntime tf2onnx    # those that are missing are left out, and said
    python benchmarks/engines.py FOLDER [--backbone mobilenet-v2] [--rounds 2]

All engines take turns on blocks of decoded pictures with as many threads as there are processors, so that other work
on the machine slows all of them: TensorFlow, LiteRT, OpenVINO reading LiteRT's file, ONNX Runtime, and 8 and 16 bits
where they can. 8-bit numbers get their ranges from the first ``--calibrate`` pictures, drawn by chance. Prints pictures
per second of the wall clock and of one processor's time, the relative L2 distance of all features to TensorFlow's, and
the test accuracy of scikit-learn's LogisticRegression on them (mean of 5 stratified splits 70/30).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workplaces import scratch_workspace
from core import audit, backbones, datasets, engines, images
from core.backbones import Backbone, num_features
from core.engines import litert
from core.engines.traced import pooled

BLOCK = 128
"""Pictures after which the next engine takes its turn."""
NUM_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
NUM_SPLITS = 5

Compute = Callable[[np.ndarray], np.ndarray]
"""From uint8 images (n, h, w, 3) to float32 features (n, d)."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calibrate", type=int, default=100)
    arguments = parser.parse_args()
    with scratch_workspace() as workspace:
        backbone = backbones.build(workspace, arguments.backbone)
        dataset = datasets.add_folder(workspace, arguments.folder)
        table = audit.audit(workspace, dataset)
        table = table[table["usable"]]
        paths = [dataset.pictures / path for path in table["path"]]
        pixels = np.stack(list(images.iterate_decoded(paths, backbone.image_size)))
    rows = np.random.default_rng(0).permutation(len(pixels))[: arguments.calibrate]
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning")
    with tempfile.TemporaryDirectory() as scratch:
        ways: dict[str, Compute] = {}
        for name, make in _ENGINES.items():
            try:
                ways[name] = make(backbone, pixels[rows], Path(scratch))
            except ImportError as error:
                print(f"{name}: left out, {error.name} is not installed")
        compare(ways, pixels, table["label"].to_numpy(), arguments.rounds)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def compare(ways: dict[str, Compute], pixels: np.ndarray, labels: np.ndarray, rounds: int) -> None:
    """Let the engines take turns and print the table."""
    spent = {name: np.zeros(2) for name in ways}
    computed: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for way in ways.values():
        way(pixels[:BLOCK])
    for number in range(rounds):
        for begin in range(0, len(pixels), BLOCK):
            for name, way in ways.items():
                wall, processor = time.perf_counter(), time.process_time()
                found = way(pixels[begin : begin + BLOCK])
                spent[name] += time.perf_counter() - wall, time.process_time() - processor
                if number == 0:
                    computed[name].append(found)
    matrices = {name: np.concatenate(blocks) for name, blocks in computed.items()}
    reference = next(iter(matrices.values()))
    print(
        f"\n| engine, {len(pixels):,} pictures | pictures/s | of a processor | distance | probe |\n"
        "|---|---|---|---|---|"
    )
    for name, matrix in matrices.items():
        wall, processor = rounds * len(pixels) / spent[name]
        distance = np.linalg.norm(matrix - reference) / np.linalg.norm(reference)
        print(f"| {name} | {wall:.0f} | {processor:.0f} | {distance:.0e} | {probe(matrix, labels):.2%} |")


def probe(matrix: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean test accuracy of logistic regression on features."""
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    splits = StratifiedShuffleSplit(NUM_SPLITS, test_size=0.3, random_state=0)
    return float(
        np.mean(
            [
                head.fit(matrix[train], labels[train]).score(matrix[test], labels[test])
                for train, test in splits.split(matrix, labels)
            ]
        )
    )


def with_tensorflow(backbone: Backbone, calibration: np.ndarray, scratch: Path) -> Compute:
    """TensorFlow in single precision, batches of 32."""
    return engines.by_tensorflow(backbone)


def with_litert(backbone: Backbone, calibration: np.ndarray, scratch: Path) -> Compute:
    """LiteRT as the app uses it; its file is left for OpenVINO."""
    (scratch / "float32.tflite").write_bytes(litert.convert(backbone, "average").model)
    return _litert(backbone, (scratch / "float32.tflite").read_bytes())


def with_litert_int8(backbone: Backbone, calibration: np.ndarray, scratch: Path) -> Compute:
    """LiteRT with 8-bit weights and activations."""

    def batches() -> Iterator[list[np.ndarray]]:
        for picture in calibration:
            yield [picture[None]]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([_traced(backbone, 1)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    return _litert(backbone, converter.convert())


def with_openvino(backbone: Backbone, calibration: np.ndarray, scratch: Path, bits: str = "f32") -> Compute:
    """OpenVINO on LiteRT's file, a picture at a time, one request for each processor."""
    import openvino

    model = openvino.Core().read_model(scratch / "float32.tflite")
    if bits == "int8":
        import nncf

        data = nncf.Dataset(list(calibration), lambda picture: picture[None])
        model = nncf.quantize(model, data, subset_size=len(calibration))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bits == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": NUM_THREADS,
        "NUM_STREAMS": NUM_THREADS,
    }
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    width = num_features(backbone, "average")

    def compute(pictures: np.ndarray) -> np.ndarray:
        features = np.empty((len(pictures), width), np.float32)
        requests = openvino.AsyncInferQueue(compiled, NUM_THREADS)

        def keep(request: Any, row: int) -> None:
            features[row] = request.get_output_tensor().data[0]

        requests.set_callback(keep)
        for row, picture in enumerate(pictures):
            requests.start_async({0: picture[None]}, row)
        requests.wait_all()
        return features

    return compute


def with_onnx_runtime(backbone: Backbone, calibration: np.ndarray, scratch: Path) -> Compute:
    """ONNX Runtime in single precision, eight pictures at a time."""
    import onnxruntime
    import tf2onnx

    pixels = tf.TensorSpec((None, *backbone.image_size, 3), tf.uint8, "pixels")
    function = tf.function(pooled(backbone.model, "average"), input_signature=[pixels])
    model, _ = tf2onnx.convert.from_function(function, [pixels], opset=18)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = NUM_THREADS
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda pictures: np.concatenate(
        [
            session.run(None, {"pixels": pictures[begin : begin + 8]})[0]
            for begin in range(0, len(pictures), 8)
        ]
    )


def _traced(backbone: Backbone, batch_size: int | None) -> Any:
    pixels = tf.TensorSpec((batch_size, *backbone.image_size, 3), tf.uint8)
    return tf.function(pooled(backbone.model, "average")).get_concrete_function(pixels)


def _litert(backbone: Backbone, model: bytes) -> Compute:
    return litert.LiteRt(model, backbone.image_size, num_features(backbone, "average"))


_ENGINES: dict[str, Callable[[Backbone, np.ndarray, Path], Compute]] = {
    "TensorFlow": with_tensorflow,
    "LiteRT": with_litert,
    "LiteRT int8": with_litert_int8,
    "OpenVINO": with_openvino,
    "OpenVINO bf16": lambda *parts: with_openvino(*parts, bits="bf16"),
    "OpenVINO int8": lambda *parts: with_openvino(*parts, bits="int8"),
    "ONNX Runtime": with_onnx_runtime,
}
"""In this order: OpenVINO reads the file that LiteRT has left."""


if __name__ == "__main__":
    main()
