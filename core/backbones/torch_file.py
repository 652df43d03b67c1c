"""Read the tensors of a PyTorch ``state_dict`` file without PyTorch and without trusting its pickle.

A ``.pth`` of the older layout is five pickles (magic number, protocol, machine, tensors, storage keys)
followed by the raw storages. Unpickling can run any code, so the reader lets through only what a
``state_dict`` is made of: an ordered dictionary, tensors as views of storages, and two number types.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from core.errors import WeightsError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
_PROTOCOL_VERSION = 1001
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}

# What a damaged or hostile pickle makes the unpickler raise.
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    num_elements: int


@dataclass(frozen=True)
class _View:
    """A tensor before its storage has been read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def is_inside_storage(self) -> bool:
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(type(n) is int and n >= 0 for n in numbers):
            return False
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return 0 not in self.shape and last < self.storage.num_elements


class _StateDictUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view_maker()
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a state_dict")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, num_elements, _view = pid
        if kind != "storage" or dtype not in _DTYPES.values():
            raise pickle.UnpicklingError("not a tensor storage")
        if not isinstance(key, str) or type(num_elements) is not int:
            raise pickle.UnpicklingError("a storage without key or size")
        return _Storage(key, dtype, num_elements)


def _view_maker() -> Callable[..., _View]:
    """Make a fresh function each time: a pickle can set attributes on what it is given."""

    def view(
        storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> _View:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without storage")
        made = _View(storage, offset, tuple(shape), tuple(strides))
        if not made.is_inside_storage():
            raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
        return made

    return view


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a PyTorch ``state_dict`` file.

    Args:
        path: A ``.pth`` file of the layout that PyTorch wrote before 1.6.

    Returns:
        Name of each tensor to an array of its own (float32 or int64).

    Raises:
        WeightsError: The file cannot be read, is damaged, or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise WeightsError(
            f'The weights file "{path}" cannot be read ({error.strerror or error}). '
            "Check that it exists and may be read."
        ) from error
    except _UNPICKLING_ERRORS as error:
        raise WeightsError(
            f'"{path}" is not a PyTorch weights file that can be trusted ({error}). Expected a plain '
            "state_dict and nothing else. Choose another file."
        ) from error


def _read(file: IO[bytes]) -> dict[str, np.ndarray]:
    magic, protocol, machine, views, keys = (_StateDictUnpickler(file).load() for _ in range(5))
    if magic != _MAGIC_NUMBER or protocol != _PROTOCOL_VERSION or machine.get("little_endian") is not True:
        raise pickle.UnpicklingError("unknown layout")
    if not isinstance(views, dict) or not all(isinstance(view, _View) for view in views.values()):
        raise pickle.UnpicklingError("not a dictionary of tensors")
    storages = {view.storage.key: view.storage for view in views.values()}
    arrays = _read_storages(file, storages, keys)
    return {str(name): _materialise(view, arrays[view.storage.key]) for name, view in views.items()}


def _read_storages(
    file: IO[bytes], storages: dict[str, _Storage], keys: Iterable[str]
) -> dict[str, np.ndarray]:
    arrays = {}
    for key in keys:
        storage = storages[key]
        (num_elements,) = struct.unpack("<q", file.read(8))
        if num_elements != storage.num_elements:
            raise pickle.UnpicklingError("a storage of another size than announced")
        data = file.read(num_elements * np.dtype(storage.dtype).itemsize)
        arrays[key] = np.frombuffer(data, storage.dtype, num_elements)
    return arrays


def _materialise(view: _View, storage: np.ndarray) -> np.ndarray:
    if view.storage.num_elements != storage.size:  # two tensors may announce one storage differently
        raise pickle.UnpicklingError("a storage announced with two sizes")
    strides = tuple(step * storage.itemsize for step in view.strides)
    window = np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides, writeable=False)
    return window.copy()
