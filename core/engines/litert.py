"""The forward pass by LiteRT (XNNPACK) on processors: the weights are baked in, each processor takes a picture.

One picture at a time is as fast as many, since what lies between two layers then stays in the processor's cache; and
a picture's features cannot depend on which others it was computed with. One interpreter per processor needs no
threads that wait for one another.
"""

from __future__ import annotations

import os
import queue
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from core.backbones import Backbone, num_features
from core.engines.traced import BATCH_SIZE, check_images, pooled

PRECISION = "litert-float32"
MAX_DISTANCE = 1e-3
"""Relative L2 distance to TensorFlow's features above which LiteRT is not used; 4e-6 is usual."""
MAX_INTERPRETERS = 16
"""Each packs the weights for itself."""

INTERPRETER_SHARE = 1.6
"""What an interpreter takes, as a share of the network's bytes: the weights packed anew, and what lies between layers.
Measured: 145 MB for ResNet50 (94 MB), 17 MB for MobileNetV2 at 0.75 (9 MB)."""

_NUM_PICTURES = 8


@dataclass(frozen=True)
class Conversion:
    """A network in LiteRT's format.

    Args:
        model: The bytes of a ``.tflite`` file; empty if there is none.
        trouble: Why it cannot be used; empty if it can.
        is_final: Whether another try would end as this one did; not so where memory, say, was short.
    """

    model: bytes
    trouble: str = ""
    is_final: bool = True


class LiteRt:
    """A function from images to features, safe to call from several threads.

    Args:
        model: As in :class:`Conversion`.
        image_size: ``(height, width)``, pixels.
        width: Features per picture.

    Attributes:
        batch_size: Images that are best handed over at once.
        batches_at_once: Two: the processor that is first done with a batch goes on with the next one.
        precision: Engine and arithmetic.
    """

    batches_at_once = 2

    def __init__(self, model: bytes, image_size: tuple[int, int], width: int) -> None:
        self.batch_size = BATCH_SIZE
        self.precision = PRECISION
        self._model = model
        self._shape = (*image_size, 3)
        self._width = width
        self._threads = ThreadPoolExecutor(min(MAX_INTERPRETERS, _num_processors()), "litert")
        self._idle: queue.SimpleQueue[tuple[Any, int, int]] = queue.SimpleQueue()

    @property
    def num_bytes(self) -> int:
        """About how much memory it takes while it rests; it has as many interpreters as were needed at once so far."""
        return int(len(self._model) * (1 + INTERPRETER_SHARE * self._idle.qsize()))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return float32 features (n, d) of uint8 RGB images (n, h, w, 3), any n.

        Raises:
            ValueError: The images are of another size or type.
        """
        check_images(images, self._shape)
        features = np.empty((len(images), self._width), np.float32)
        for row, computed in enumerate(self._threads.map(self._compute, images)):
            features[row] = computed
        return features

    def _compute(self, image: np.ndarray) -> np.ndarray:
        try:
            interpreter, pixels, features = self._idle.get_nowait()
        except queue.Empty:
            interpreter = _interpreter(self._model)
            pixels, features = (
                details[0]["index"]
                for details in (interpreter.get_input_details(), interpreter.get_output_details())
            )
        interpreter.set_tensor(pixels, image[None])
        interpreter.invoke()
        computed: np.ndarray = interpreter.get_tensor(features)[0]
        self._idle.put((interpreter, pixels, features))
        return computed


def convert(backbone: Backbone, pooling: str) -> Conversion:
    """Convert a network with the weights that it has now, and hold it against TensorFlow on a few pictures.

    From a traced function, which the converter rids of its variables: for MobileNetV2 that took 7 s where
    ``from_keras_model`` took 17 s (one after the other on a busy machine).

    Whatever goes wrong is told as the trouble of the conversion: TensorFlow computes all the same, only slower.

    Args:
        backbone: Any backbone.
        pooling: One of :data:`core.recipes.POOLINGS`.
    """
    pixels = tf.TensorSpec((1, *backbone.image_size, 3), tf.uint8)
    function = tf.function(pooled(backbone.model, pooling)).get_concrete_function(pixels)
    pictures = _pictures(backbone.image_size)
    try:
        model = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
        received = LiteRt(model, backbone.image_size, num_features(backbone, pooling))(pictures)
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Conversion(b"", f"LiteRT cannot run this network ({why})", isinstance(error, ConverterError))
    expected = np.concatenate([np.asarray(function(tf.constant(picture[None]))) for picture in pictures])
    distance = _distance(received, expected)
    if not distance < MAX_DISTANCE:  # also where it is not a number
        return Conversion(b"", f"LiteRT's features differ from TensorFlow's by {distance:.1e} (relative L2)")
    return Conversion(model)


def _interpreter(model: bytes) -> Any:
    with warnings.catch_warnings():
        # TensorFlow says in each of its versions that the next one will be without; ours is pinned.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated", category=UserWarning)
        interpreter = tf.lite.Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _num_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _distance(received: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative L2 distance of the picture that differs most."""
    lengths = np.maximum(np.linalg.norm(expected, axis=1), np.finfo(np.float32).tiny)
    return float((np.linalg.norm(received - expected, axis=1) / lengths).max())


def _pictures(image_size: tuple[int, int]) -> np.ndarray:
    """Return coloured noise with the spectrum of photographs, from faint to garish: uint8, shape (8, h, w, 3).

    Reference: amplitudes fall with 1/f; Field 1987, "Relations between the statistics of natural images and the
    response properties of cortical cells".
    """
    rng = np.random.default_rng(0)
    height, width = image_size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None] * width)
    pictures = []
    for number in range(_NUM_PICTURES):
        noise = np.fft.fft2(rng.normal(size=(3, height, width))) / np.maximum(frequency, 1)
        plain = np.real(np.fft.ifft2(noise)).transpose(1, 2, 0)
        contrast = 20 * (number + 1) / (plain.std() or 1)
        pictures.append(rng.uniform(60, 200, 3) + contrast * (plain - plain.mean()))
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)
