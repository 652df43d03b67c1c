"""The forward pass of a frozen network, from decoded images to pooled features: the fastest one on this device.

TensorFlow always; on processors LiteRT, where its numbers agree with TensorFlow's and there are enough pictures for
the conversion to pay.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.backbones import Backbone, hash_arrays, num_features, sharing
from core.engines import conversions, litert
from core.engines.litert import Conversion, LiteRt
from core.engines.traced import BATCH_SIZE, Traced, has_gpu, precision
from core.workspace import Workspace

__all__ = [
    "BATCH_SIZE",
    "CONVERT_FROM",
    "Engine",
    "by_tensorflow",
    "check_pristine",
    "current",
    "fastest",
    "forward",
    "has_gpu",
    "num_bytes",
    "pays",
    "precision",
]

CONVERT_FROM = 200
"""Pictures from which on a conversion pays. With its check it takes 4 s of one processor, where tracing for TensorFlow
takes 1.3 s; LiteRT then saves 12 ms of a processor per picture (MobileNetV2, 224 px) to 22 ms (EfficientNet-Lite0)."""

CONVERT_FROM_GMACS = 60.0
"""Billions of multiply-adds from which on it pays: LiteRT saves some 40 ms of a processor per billion. Small pictures
go through the network sooner than it is converted."""


@dataclass(frozen=True, eq=False)
class Engine:
    """A function from images to features, safe to call from several threads.

    Args:
        function: Computes them.
        reason: Why it is not a faster one; empty where there is none.
    """

    function: Traced | LiteRt
    reason: str = ""

    @property
    def batch_size(self) -> int:
        """Most images that go through the network at once; it shrinks where the device's memory does not do."""
        return self.function.batch_size

    @property
    def precision(self) -> str:
        """Engine and arithmetic, as the key of a feature space has to say."""
        return self.function.precision

    @property
    def batches_at_once(self) -> int:
        """Calls at a time that keep it busy, and no more than fit into the device's memory as one does."""
        return self.function.batches_at_once

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return float32 features (n, d) of uint8 RGB images (n, h, w, 3), any n."""
        return self.function(images)


_lock = threading.Lock()
_converting = threading.Lock()
"""One network at a time: each takes its weights' memory several times."""
_traced: weakref.WeakKeyDictionary[Backbone, dict[str, Traced]] = weakref.WeakKeyDictionary()
_fastest: weakref.WeakKeyDictionary[Backbone, dict[str, Engine]] = weakref.WeakKeyDictionary()
_current: weakref.WeakKeyDictionary[Backbone, tuple[tuple[str, str], Engine]] = weakref.WeakKeyDictionary()
"""Of each backbone the last one, and the pooling and weights that it is of."""


def forward(backbone: Backbone, pooling: str = "average") -> Traced:
    """Return TensorFlow's function from images to features, with the weights that the backbone has at a call.

    It is the same for the same backbone, also where that was lent with other weights, so it stays traced.

    Args:
        backbone: Any backbone.
        pooling: How the last feature map becomes features: ``"average"`` or ``"max"`` over all positions, or
            ``"flatten"``, which keeps every position, in the order of Keras' layer of that name.
    """
    with _lock:
        known = _traced.get(backbone)
        if known is None:
            known = next((found for other, found in _traced.items() if other.model is backbone.model), {})
            _traced[backbone] = known
        if pooling not in known:
            known[pooling] = Traced(backbone, pooling)
        return known[pooling]


def by_tensorflow(backbone: Backbone, pooling: str = "average", reason: str = "") -> Engine:
    """Return TensorFlow's function from images to features as an engine, and why it is not a faster one."""
    return Engine(forward(backbone, pooling), reason)


def fastest(
    workspace: Workspace, backbone: Backbone, pooling: str = "average", num_images: int = 0
) -> Engine:
    """Return the fastest function from images to features of a backbone with its pristine weights.

    A conversion is kept in the workspace, and used from then on however few the pictures are.

    Args:
        workspace: Keeps conversions.
        backbone: A pristine backbone.
        pooling: As in :func:`forward`.
        num_images: How many pictures there will be.

    Raises:
        ValueError: The backbone is not pristine, and would have to be converted.
    """
    if has_gpu():
        return by_tensorflow(backbone, pooling)
    with _lock:
        known = _fastest.setdefault(backbone, {}).get(pooling)
    if known is not None:
        return known
    path = conversions.path_of(workspace, backbone, pooling)
    conversion = conversions.load(path)
    if conversion is None:
        if not pays(backbone, num_images):
            return by_tensorflow(backbone, pooling, "too few pictures for a conversion to LiteRT to pay")
        conversion = _convert(path, backbone, pooling)
    engine = _engine(backbone, pooling, conversion)
    with _lock:
        return _fastest[backbone].setdefault(pooling, engine)


def _convert(path: Path, backbone: Backbone, pooling: str) -> Conversion:
    """Convert a pristine backbone, or take what another thread, perhaps left behind, has made of it meanwhile."""
    with _converting:
        conversion = conversions.load(path)
        if conversion is None:
            check_pristine(backbone)
            conversion = litert.convert(backbone, pooling)
            if conversion.is_final:
                conversions.save(path, conversion)
    return conversion


def pays(backbone: Backbone, num_images: int) -> bool:
    """Return whether converting a backbone for so many pictures saves more than it costs."""
    spec, (height, width) = backbone.spec, backbone.image_size
    gmacs = spec.gmacs * backbone.depth * height * width / spec.image_size**2
    return num_images >= CONVERT_FROM and num_images * gmacs >= CONVERT_FROM_GMACS


def current(backbone: Backbone, pooling: str, num_images: int) -> Engine:
    """Return the fastest function from images to features with the weights that a backbone has now.

    It must not be used after they change. Asked again with the same weights, as for each split that is judged, it is
    the same.

    Args:
        backbone: Any backbone, such as a fine-tuned one.
        pooling: As in :func:`forward`.
        num_images: How many pictures there will be.
    """
    if has_gpu() or not pays(backbone, num_images):
        return by_tensorflow(backbone, pooling)
    weights = (pooling, hash_arrays(backbone.model.get_weights()))
    with _converting:
        known = _current.get(backbone)
        if known is None or known[0] != weights:
            engine = _engine(backbone, pooling, litert.convert(backbone, pooling))
            known = _current[backbone] = (weights, engine)
    return known[1]


def num_bytes(backbone: Backbone) -> int:
    """Return about how much memory LiteRT takes by now for a backbone and for what shares its layers."""
    with _lock:
        found = [engine for one in sharing(backbone) for engine in _fastest.get(one, {}).values()]
        found += [_current[one][1] for one in sharing(backbone) if one in _current]
    return sum(one.function.num_bytes for one in found if isinstance(one.function, LiteRt))


def check_pristine(backbone: Backbone) -> None:
    """Refuse a backbone that was trained.

    Raises:
        ValueError: Its weights are not those it was built with.
    """
    if not backbone.is_pristine():
        raise ValueError(
            "Received a backbone whose weights were changed. Expected it as built. Restore it first."
        )


def _engine(backbone: Backbone, pooling: str, conversion: Conversion) -> Engine:
    if conversion.trouble:
        return by_tensorflow(backbone, pooling, conversion.trouble)
    return Engine(LiteRt(conversion.model, backbone.image_size, num_features(backbone, pooling)))
