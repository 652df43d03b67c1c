"""The formats in which a model can leave."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import RecipeError


@dataclass(frozen=True)
class Format:
    """One way to write a model down.

    Args:
        name: What it is called on the command line.
        title: What people know it as.
        file: Its file, or its folder, in the zip.
        precision: ``"float32"``, ``"float16"`` or ``"int8"``.
        packages: What has to be installed to make and check it, beyond what Graft needs itself.
    """

    name: str
    title: str
    file: str
    precision: str = "float32"
    packages: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether it computes with the precision of the app, so that its answers have to be the same."""
        return self.precision == "float32"


FORMATS: Mapping[str, Format] = {
    item.name: item
    for item in (
        Format("keras", "Keras", "model.keras"),
        Format("savedmodel", "SavedModel", "saved_model"),
        Format("litert", "LiteRT", "model.tflite"),
        Format("litert-fp16", "LiteRT, 16 bits", "model-fp16.tflite", "float16"),
        Format("litert-int8", "LiteRT, 8 bits", "model-int8.tflite", "int8"),
        Format("onnx", "ONNX", "model.onnx", packages=("tf2onnx", "onnxruntime")),
    )
}
DEFAULT_FORMATS = tuple(name for name, item in FORMATS.items() if not item.packages)


def install_line(name: str) -> str:
    """Return the command that installs what a format still needs, ``""`` where nothing is missing.

    It names the Python that runs Graft, since another one on this machine would keep it to itself.
    """
    missing = [package for package in FORMATS[name].packages if importlib.util.find_spec(package) is None]
    return f"{shlex.quote(sys.executable)} -m pip install -r requirements-onnx.txt" if missing else ""


def validate(names: Sequence[str]) -> tuple[str, ...]:
    """Return formats that can be made here, each once, in the order of :data:`FORMATS`.

    Raises:
        RecipeError: There is none, one is unknown, or a package for it is missing; the message has the install line.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        received = f'"{unknown[0]}"' if unknown else "no format"
        raise RecipeError(f"Received {received}. Expected one or more of: {', '.join(FORMATS)}.")
    for name in names:
        if line := install_line(name):
            needed = " and ".join(FORMATS[name].packages)
            raise RecipeError(
                f"{FORMATS[name].title} needs {needed}, which this machine does not have. Run in Graft's folder: "
                f"{line}. Or leave {name} out."
            )
    return tuple(name for name in FORMATS if name in names)
