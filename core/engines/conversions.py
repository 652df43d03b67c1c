"""Converted networks kept in the workspace: one file each, a line of JSON and then the network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from core.backbones import Backbone
from core.engines.litert import Conversion
from core.errors import WorkspaceError
from core.workspace import Workspace, write_bytes

MAX_BYTES = 2 * 10**9
"""Bytes that are kept, the least recently used goes first: every fine-tuned network has one, and its frozen part.
Those of all networks of the catalog together take 0.8 GB, so that a ranking of them finds all of them again. By bytes,
since a dozen may take 0.1 GB or 1.2 GB. Whoever has read one needs its file no more."""

_FORMAT_VERSION = 1


def path_of(workspace: Workspace, backbone: Backbone, pooling: str) -> Path:
    """Return where the conversion of a pristine backbone is kept; another TensorFlow or Keras converts anew."""
    parts = [_FORMAT_VERSION, tf.__version__, keras.__version__]
    parts += [backbone.spec.name, backbone.weights_sha256, backbone.spec.preprocessing]
    parts += [list(backbone.image_size), backbone.blocks[-1].name, backbone.depth == 1, pooling]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return workspace.backbones_dir / "litert" / f"{backbone.spec.name}-{digest}.bin"


def load(path: Path) -> Conversion | None:
    """Read a conversion; None if there is none or it is damaged."""
    try:
        with path.open("rb") as file:
            about, model = json.loads(file.readline()), file.read()
        if about["checksum"] != zlib.crc32(model):
            return None
        os.utime(path)
        return Conversion(model, about["trouble"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, conversion: Conversion) -> None:
    """Keep a conversion, or that there is none; where that cannot be written it is made again next time."""
    about = {"checksum": zlib.crc32(conversion.model), "trouble": conversion.trouble}
    with contextlib.suppress(OSError, WorkspaceError):
        path.parent.mkdir(exist_ok=True)
        write_bytes(path, json.dumps(about).encode() + b"\n" + conversion.model)
        left = MAX_BYTES
        for number, (_, size, other) in enumerate(sorted(_files(path.parent), reverse=True)):
            left -= size
            if left < 0 and number:  # the one just written stays however large it is
                other.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield when each conversion was last of use, its bytes, and its file."""
    for path in folder.glob("*.bin"):
        with contextlib.suppress(FileNotFoundError):  # another session may be tidying too
            status = path.stat()
            yield status.st_mtime, status.st_size, path
