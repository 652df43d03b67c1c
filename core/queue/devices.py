"""Where TensorFlow can compute on this machine; asks the driver, not TensorFlow."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass

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


_gpu_names: list[tuple[int, str]] | None = None


def _gpus() -> list[tuple[int, str]]:
    """Ask the driver once per process: graphics cards do not come and go."""
    global _gpu_names
    if _gpu_names is None:
        _gpu_names = []
        command = shutil.which("nvidia-smi")
        if command:
            query = [command, "--query-gpu=index,name", "--format=csv,noheader"]
            with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
                answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
                rows = (line.split(",", 1) for line in answer.stdout.strip().splitlines())
                _gpu_names = [(int(index), name.strip()) for index, name in rows]
    return _gpu_names
