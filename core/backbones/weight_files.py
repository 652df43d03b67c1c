"""Weight files on disk: checked against their hash, fetched where they are missing, never half there."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from core import catalog
from core.catalog import BackboneSpec
from core.errors import WeightsError, network_reason
from core.progress import Progress, no_progress
from core.workspace import replacing

_TIMEOUT_S = 30.0  # for the connection, and for each read
_CHUNK_BYTES = 1 << 18  # small, so that cancelling is heard on slow lines too
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex.

    Raises:
        WeightsError: The file cannot be read.
    """
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(
                file, lambda: hashlib.new(algorithm, usedforsecurity=False)
            ).hexdigest()
    except OSError as error:
        raise WeightsError(
            f'The weights file "{path}" cannot be read ({error.strerror or error}). '
            "Check that it exists and may be read."
        ) from error


def check_hash(path: Path, expected: str, remedy: str) -> None:
    """Compare a file with its published hash (MD5 or SHA-256, told apart by length); "" passes all.

    Raises:
        WeightsError: It is another file, or damaged.
    """
    algorithm = "md5" if len(expected) == 32 else "sha256"
    if expected and (received := _digest(path, algorithm)) != expected:
        raise WeightsError(
            f'"{path}" is damaged or another file: its {algorithm.upper()} is {received}. '
            f"Expected {expected}. {remedy}"
        )


def keras_weights(
    spec: BackboneSpec, progress: Progress = no_progress, keras_home: Path | None = None
) -> Path:
    """Return the weights file of a ``keras`` spec, from Keras' cache or downloaded into it.

    Args:
        spec: The network.
        progress: Called with bytes done and bytes in all (0 where the server does not say) while downloading.
        keras_home: The folder of the cache; by default :func:`core.catalog.keras_home`.

    Raises:
        WeightsError: There is no connection, or the file is damaged; the message says what to put where.
        Cancelled: ``progress`` raised it; nothing is left behind.
    """
    path = (keras_home or catalog.keras_home()) / "models" / spec.weights_file
    if not path.exists():
        _download(spec, path, progress)
    check_hash(path, spec.weights_hash, "Delete it, so that it is downloaded again.")
    return path


def _download(spec: BackboneSpec, path: Path, progress: Progress) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f'The folder "{path.parent}" for weights cannot be made ({error.strerror}). '
            "Set KERAS_HOME to a folder that you may write to."
        ) from error
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            for chunk, total in _chunks(spec, path):
                progress(file.tell(), total)
                file.write(chunk)
                progress(file.tell(), total)
        check_hash(
            temporary, spec.weights_hash, "The download was cut short or changed on its way. Try again."
        )
        if not spec.weights_hash and not catalog.is_hdf5(temporary):  # such as the page of a hotel's login
            raise _offline(spec, path, "what came is not a weights file")


def _chunks(spec: BackboneSpec, path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield pieces of the file and how many bytes it has in all (0 = unknown)."""
    done = 0
    try:
        with urllib.request.urlopen(spec.weights_url, timeout=_TIMEOUT_S) as response:
            total = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK_BYTES):
                done += len(chunk)
                yield chunk, total
    except _NETWORK_ERRORS as error:
        raise _offline(spec, path, network_reason(error)) from error
    if done < total:
        raise _offline(spec, path, f"only {done} of {total} bytes came")


def _offline(spec: BackboneSpec, path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"The weights of {spec.title} could not be downloaded ({why}). Expected the file "
        f'"{spec.weights_file}" in the folder "{path.parent}". Connect to the internet and try again, or get '
        f"{spec.weights_url} elsewhere and put it in that folder under that name."
    )
