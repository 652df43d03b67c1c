"""Where TensorFlow can compute on this machine; asks the driver, not TensorFlow."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass

import psutil

from core.errors import DeviceError


@dataclass(frozen=True)
class Device:
    """Where TensorFlow can compute: ``cpu`` or ``gpu:<n>``."""

    id: str
    title: str


def devices() -> list[Device]:
    """Return the devices of this machine, the fastest first; asks the NVIDIA driver, not TensorFlow."""
    found = [Device(f"gpu:{index}", name) for index, name in _gpus()]
    return [*found, Device("cpu", "CPU")]


def default_device() -> Device:
    """Return the device that jobs go to: ``GRAFT_DEVICE``, or the first of :func:`devices`.

    Raises:
        DeviceError: ``GRAFT_DEVICE`` names none of :func:`devices`.
    """
    wanted = os.environ.get("GRAFT_DEVICE", "").strip()
    if wanted == "cpu":
        return Device("cpu", "CPU")
    known = {device.id: device for device in devices()}
    if not wanted:
        return next(iter(known.values()))
    if wanted not in known:
        raise DeviceError(
            f'GRAFT_DEVICE is "{wanted}". Expected a device of this machine: {", ".join(known)} (GPUs as '
            "nvidia-smi lists them). Set it to one of these, or leave it unset for the first one."
        )
    return known[wanted]


@dataclass(frozen=True)
class DeviceMemory:
    """How much of a device's memory is in use, by whatever programs, in MB (10**6 bytes)."""

    used_mb: float
    total_mb: float


MB_PER_MIB = 2**20 / 10**6


def device_memory(device: str) -> DeviceMemory | None:
    """Return how much of a device's memory is in use, or None where it cannot be told.

    Args:
        device: ``cpu``, whose memory is the computer's, or ``gpu:<n>``, whose driver is asked.
    """
    if device == "cpu":
        memory = psutil.virtual_memory()
        return DeviceMemory((memory.total - memory.available) / 1e6, memory.total / 1e6)
    answer = _ask_driver("memory.used,memory.total", "--format=csv,noheader,nounits", f"--id={device[4:]}")
    try:
        used, total = (MB_PER_MIB * float(value) for value in answer.split(","))
    except ValueError:
        return None
    return DeviceMemory(used, total)


_gpu_names: list[tuple[int, str]] | None = None


def _gpus() -> list[tuple[int, str]]:
    """Ask the driver once per process: graphics cards do not come and go."""
    global _gpu_names
    if _gpu_names is None:
        _gpu_names = []
        with contextlib.suppress(ValueError):
            rows = (
                line.split(",", 1) for line in _ask_driver("index,name", "--format=csv,noheader").splitlines()
            )
            _gpu_names = [(int(index), name.strip()) for index, name in rows]
    return _gpu_names


def _ask_driver(query: str, *options: str) -> str:
    """Return what ``nvidia-smi`` answers; an empty string where there is no driver or it does not answer."""
    command = shutil.which("nvidia-smi")
    if command:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            given = [command, f"--query-gpu={query}", *options]
            answer = subprocess.run(given, capture_output=True, text=True, timeout=10, check=True)
            return answer.stdout.strip()
    return ""
