"""A PyTorch weights file is data from somewhere: it is read, never run."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import catalog
from core.backbones.torch_file import read_state_dict
from core.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
MACHINE = {"protocol_version": 1001, "little_endian": True}


class Global:
    """Pickled as a reference to a name, whether or not that exists."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Storage:
    def __init__(self, key: str, size: int, kind: str = "FloatStorage") -> None:
        self.key, self.size, self.kind = key, size, kind


class Call:
    def __init__(self, function: Global, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class Pickler(pickle._Pickler):  # the one in Python, since only that can write names that do not exist
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Storage):
            return ("storage", Global("torch", obj.kind), obj.key, "cpu", obj.size, None)
        return None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def tensor(storage: Storage, offset: Any, shape: Any, strides: Any) -> Call:
    return Call(
        Global("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, strides, False, OrderedDict()
    )


def file_of(state: Any, storages: dict[str, np.ndarray]) -> bytes:
    head = b"".join(pickled(value) for value in (MAGIC_NUMBER, 1001, MACHINE, state, list(storages)))
    return head + b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        (tmp_path / "weights.pth").write_bytes(data)
        return tmp_path / "weights.pth"

    return write


SIX = np.arange(6, dtype=np.float32)


def test_tensors_come_back_as_arrays_of_their_shape(write: Callable[[bytes], Path]) -> None:
    state = OrderedDict(
        rows=tensor(Storage("0", 6), 0, (2, 3), (3, 1)),
        columns=tensor(Storage("0", 6), 0, (3, 2), (1, 3)),
        tail=tensor(Storage("0", 6), 4, (2,), (1,)),
        count=tensor(Storage("1", 1, "LongStorage"), 0, (), ()),
    )
    arrays = read_state_dict(write(file_of(state, {"0": SIX, "1": np.array([7], np.int64)})))
    np.testing.assert_array_equal(arrays["rows"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(arrays["columns"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(arrays["tail"], [4, 5])
    assert arrays["count"].dtype == np.int64 and arrays["count"] == 7


def test_arrays_do_not_share_memory(write: Callable[[bytes], Path]) -> None:
    state = {"a": tensor(Storage("0", 6), 0, (6,), (1,)), "b": tensor(Storage("0", 6), 0, (6,), (1,))}
    arrays = read_state_dict(write(file_of(state, {"0": SIX})))
    arrays["a"][0] = 100
    assert arrays["b"][0] == 0


@pytest.mark.parametrize(
    "module, name",
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
        ("collections", "OrderedDict.__init__"),
        ("numpy", "load"),
    ],
)
def test_nothing_but_tensors_is_let_in(module: str, name: str, write: Callable[[bytes], Path]) -> None:
    path = write(file_of({"a": Call(Global(module, name), "echo")}, {}))
    with pytest.raises(
        WeightsError, match=r"not a PyTorch weights file that can be trusted .* else\. Choose ano"
    ):
        read_state_dict(path)


def test_a_command_in_the_file_is_not_run(tmp_path: Path, write: Callable[[bytes], Path]) -> None:
    path = write(file_of({"a": Call(Global("os", "system"), f"touch '{tmp_path / 'ran'}'")}, {}))
    with pytest.raises(WeightsError):
        read_state_dict(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 3), (3,)),
        (0, (0,), (1,)),
        (0, (2.0,), (1,)),
        (0, (1 << 62, 1 << 62), (1 << 62, 1)),
    ],
)
def test_a_tensor_cannot_reach_beyond_its_storage(
    offset: Any, shape: Any, strides: Any, write: Callable[[bytes], Path]
) -> None:
    path = write(file_of({"a": tensor(Storage("0", 6), offset, shape, strides)}, {"0": SIX}))
    with pytest.raises(WeightsError, match="beyond its storage"):
        read_state_dict(path)


def test_a_storage_cannot_be_announced_with_two_sizes(write: Callable[[bytes], Path]) -> None:
    state = OrderedDict(
        a=tensor(Storage("0", 600), 599, (1,), (1,)),
        b=tensor(Storage("0", 6), 0, (6,), (1,)),
    )
    with pytest.raises(WeightsError, match="two sizes"):
        read_state_dict(write(file_of(state, {"0": SIX})))


def test_a_big_endian_file_is_refused(write: Callable[[bytes], Path]) -> None:
    data = b"".join(pickled(value) for value in (MAGIC_NUMBER, 1001, {"little_endian": False}, {}, []))
    with pytest.raises(WeightsError, match="unknown layout"):
        read_state_dict(write(data))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth.*No such file"):
        read_state_dict(tmp_path / "nowhere.pth")


GOOD = file_of({"a": tensor(Storage("0", 6), 0, (2, 3), (3, 1))}, {"0": SIX})


@settings(deadline=None)
@given(cut=st.integers(0, len(GOOD) - 1))
def test_a_truncated_file_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.pth"
    path.write_bytes(GOOD[:cut])
    with pytest.raises(WeightsError):
        read_state_dict(path)


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_is_refused_or_read_but_never_breaks(
    position: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    path.write_bytes(GOOD[:position] + bytes([byte]) + GOOD[position + 1 :])
    try:
        arrays = read_state_dict(path)
    except WeightsError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_the_installed_weights_are_read_without_torch() -> None:
    path = catalog.package_weights_path(catalog.get("efficientnet-lite0"))
    assert path is not None
    arrays = read_state_dict(path)
    assert len(arrays) == 296
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert arrays["_fc.weight"].shape == (1000, 1280)
