"""Turns a ``.keras`` file into the other formats, in a process of its own: ``python convert.py JOB.json``.

Knows nothing of Graft. JOB.json has ``source`` (the ``.keras`` file), ``calibration`` (a ``.npy`` of uint8 pictures,
(n, h, w, 3)) and ``targets`` (format to path; a file that cannot be made is left out and told). Prints one JSON object
a line: ``{"format": …}`` when one is begun, ``{"format": …, "trouble": …}`` when it failed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

OPSET = 18
"""Of ONNX: the newest that tf2onnx 1.17 writes."""


class Inexpressible(Exception):
    """A format has no words for what a network computes; the message is for the user."""


def tell(**values: Any) -> None:
    """Print one event."""
    print(json.dumps(values), flush=True)


def write_saved_model(model: Any, target: Path) -> None:
    """Write a SavedModel whose ``serve`` takes any number of pictures."""
    model.export(str(target), format="tf_saved_model", verbose=False)


def write_litert(
    model: Any, target: Path, precision: str = "float32", calibration: np.ndarray | None = None
) -> None:
    """Write a ``.tflite`` file that takes one picture; int8 is calibrated on pictures of the training split."""
    height, width = model.input_shape[1:3]
    pixels = tf.TensorSpec((1, height, width, 3), tf.uint8, name="pixels")
    traced = tf.function(lambda pixels: model(pixels, training=False)).get_concrete_function(pixels)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [traced]
    )  # with the model they stay variables
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        assert calibration is not None
        converter.representative_dataset = lambda: _one_by_one(calibration)
    target.write_bytes(converter.convert())


def _one_by_one(pictures: np.ndarray) -> Iterator[list[np.ndarray]]:
    for picture in pictures:
        yield [picture[None]]


def write_onnx(model: Any, target: Path) -> None:
    """Write an ``.onnx`` file by tf2onnx; Keras' own exporter loses the constants of Normalization layers.

    Raises:
        Inexpressible: The network computes what ONNX has no operation for; tf2onnx would write it all the same.
    """
    import onnx
    import tf2onnx

    height, width = model.input_shape[1:3]
    pixels = tf.TensorSpec((None, height, width, 3), tf.uint8, name="pixels")
    tf.config.run_functions_eagerly(
        True
    )  # grouped convolutions stand in the graph, not in a function that XLA compiles
    try:
        written, _ = tf2onnx.convert.from_keras(
            model, input_signature=[pixels], opset=OPSET, custom_op_handlers={"Erfc": (_write_erfc, [])}
        )
    finally:
        tf.config.run_functions_eagerly(False)
    unknown = {node.op_type for node in written.graph.node if not onnx.defs.has(node.op_type, node.domain)}
    if unknown:
        raise Inexpressible(
            f"ONNX has no operation for {', '.join(sorted(unknown))}, which this network computes. Choose another "
            "format."
        )
    target.write_bytes(written.SerializeToString())


def _write_erfc(graph: Any, node: Any, name: str, args: Any) -> None:
    """Write 1 - erf(x) for TensorFlow's Erfc, on which GELU (ConvNeXt) stands and which tf2onnx 1.17 does not know."""
    kept = {"outputs": node.output, "shapes": node.output_shapes, "dtypes": node.output_dtypes}
    graph.remove_node(name)
    one = graph.make_const(f"{name}/one", np.ones((), np.float32))
    erf = graph.make_node("Erf", node.input)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, **kept)


def main(path: Path) -> None:
    """Make all targets of a job."""
    job = json.loads(path.read_text("utf-8"))
    model = keras.models.load_model(job["source"])
    writers: dict[str, Callable[[Path], None]] = {
        "savedmodel": lambda target: write_saved_model(model, target),
        "litert": lambda target: write_litert(model, target),
        "litert-fp16": lambda target: write_litert(model, target, "float16"),
        "litert-int8": lambda target: write_litert(model, target, "int8", np.load(job["calibration"])),
        "onnx": lambda target: write_onnx(model, target),
    }
    for name, target in job["targets"].items():
        tell(format=name)
        try:
            writers[name](Path(target))
        except Inexpressible as error:
            tell(format=name, trouble=str(error))
        except Exception as error:
            first_line = (str(error).strip() or "no message").splitlines()[0]
            tell(format=name, trouble=f"{type(error).__name__}: {first_line}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
