"""A run as one file that moves to another machine: packed, and unpacked as if an enemy had packed it.

Only tables, JSON and plain arrays are in it: nothing that could be run, and whatever else is found is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from core import catalog, recipes, runs
from core.bundles.contents import require_sound
from core.bundles.homes import adopt, home_of
from core.errors import DataError, GraftError
from core.runs import Run
from core.workspace import Workspace, read_json, remove_directory, replacing, write_json

FORMAT_VERSION = 1
MANIFEST = "bundle.json"
MAX_BYTES = 8_000_000_000
"""Largest bundle that is unpacked; the weights of the largest network of the catalog take a tenth."""
MAX_FILES = 100
_MAX_MANIFEST_BYTES = 1_000_000
_CHUNK_BYTES = 1 << 20

_NEEDED = ("run.json", "split.parquet", "head.npz", "predictions-val.npz", "predictions-test.npz")
_SCORES = tuple(f"scores-{split}.json" for split in runs.SPLITS)
_KNOWN = (
    *_NEEDED,
    "predictions-train.npz",  # not there where a training was stopped
    *("backbone.npz", "head-alone.npz", "familiarity.npz", "out-of-fold.npz"),
    *("events.jsonl", "cross-validation.json", "labels.json"),
    *_SCORES,
)

__all__ = ["FORMAT_VERSION", "MAX_BYTES", "MAX_FILES", "adopt", "is_measured", "name_of", "pack", "unpack"]


def name_of(run: Run) -> str:
    """Return what a bundle is called where it goes."""
    return f"{run.id}.graft.zip"


def is_measured(workspace: Workspace, run: Run) -> bool:
    """Return whether it was measured what a run takes for familiar: elsewhere, without its pictures, it cannot be."""
    return (runs.folder(workspace, run.id) / "familiarity.npz").is_file()


def pack(workspace: Workspace, run: Run, target: Path) -> None:
    """Write a run as a bundle, whole or not at all.

    Raises:
        DataError: The run is not done.
        WorkspaceError: The disk is full or the folder cannot be written.
    """
    if run.state != "done":
        raise DataError(
            f"The run {run.id} is {run.state}, so there is nothing to take along. Choose a finished run."
        )
    folder = runs.folder(workspace, run.id)
    names = [name for name in sorted(_KNOWN) if (folder / name).is_file()]
    contents = {"run.json": _record(folder / "run.json")}
    files: dict[str, Any] = {}
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            with _opened(folder / name, contents.get(name)) as source, archive.open(name, "w") as packed:
                files[name] = _copy(source, packed)
        archive.writestr(MANIFEST, json.dumps({"format": FORMAT_VERSION, "run_id": run.id, "files": files}))


def _record(path: Path) -> bytes:
    """Return a run's record without the path of a weights file, which is nobody's business elsewhere."""
    values = read_json(path)
    weights = str(values["recipe"].get("weights", ""))
    if not weights.startswith(recipes.RUN_PREFIX):
        values["recipe"]["weights"] = Path(weights).name
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


def _opened(path: Path, instead: bytes | None) -> BinaryIO:
    return path.open("rb") if instead is None else io.BytesIO(instead)


def _copy(source: Any, target: Any) -> dict[str, Any]:
    """Copy a stream; return its length and hash."""
    digest, num_bytes = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        num_bytes += len(chunk)
        target.write(chunk)
    return {"num_bytes": num_bytes, "sha256": digest.hexdigest()}


_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, UnicodeDecodeError, OverflowError, EOFError),
    *(NotImplementedError, RuntimeError, OSError),  # methods that zipfile does not know, a damaged bzip2
)
"""What zipfile raises where an archive is damaged or forged."""


def unpack(workspace: Workspace, bundle: Path | BinaryIO) -> Run:
    """Make the run of a bundle one of this workspace: whole, or not at all.

    Args:
        workspace: Where to.
        bundle: The file.

    Raises:
        DataError: It is no bundle, of a newer Graft, was changed since it was packed, holds something that is neither
            a table nor JSON nor an array, or its run is here already.
        WorkspaceError: It cannot be written.
    """
    place = workspace.runs_dir / f".{uuid.uuid4().hex}.part"
    place.mkdir()
    try:
        with zipfile.ZipFile(bundle) as archive:
            manifest = _manifest(archive)
            _write(archive, manifest["files"], place)
        run = _checked(place, manifest)
        for name in _SCORES:  # computed again from the answers where they are asked for, and not believed
            (place / name).unlink(missing_ok=True)
        run = _at_home(workspace, place, run)
        target = runs.folder(workspace, run.id)
        if target.exists():
            raise DataError(f"The run {run.id} is in this workspace already. Delete it first to replace it.")
        place.rename(target)
    except _DAMAGED as error:
        raise DataError(
            f"This is no bundle of a run, or it is damaged ({error}). Expected a file that Graft wrote, such as "
            "20261122-194512-3fa9.graft.zip. Copy it again from its source."
        ) from error
    finally:
        remove_directory(place)
    return run


def _at_home(workspace: Workspace, place: Path, run: Run) -> Run:
    """Return the run as that of the dataset of this workspace that has its pictures, if there is one."""
    home = home_of(workspace, run.dataset_id, pd.read_parquet(place / "split.parquet"))
    if home is None or home.id == run.dataset_id:
        return run
    write_json(place / "run.json", read_json(place / "run.json") | {"dataset_id": home.id})
    return replace(run, dataset_id=home.id)


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    entries = archive.infolist()
    listed = [entry.filename for entry in entries]
    if packed := next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None):
        raise _changed(packed.filename)  # nothing of a bundle is compressed, so nothing can swell
    if MANIFEST not in listed or archive.getinfo(MANIFEST).file_size > _MAX_MANIFEST_BYTES:
        raise DataError(
            f'This zip has no "{MANIFEST}", so it is no bundle of a run. Expected a file that Graft wrote: '
            '"python -m core bundle RUN_ID --to DIR", or the button on the Predict page.'
        )
    try:
        manifest = json.loads(archive.read(MANIFEST))
        version, files = int(manifest["format"]), dict(manifest["files"])
        expected = {name: (int(about["num_bytes"]), str(about["sha256"])) for name, about in files.items()}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise _changed(MANIFEST) from error
    if version > FORMAT_VERSION:
        raise DataError(
            f"This bundle was written by a newer Graft (format {version}; this one knows up to {FORMAT_VERSION}). "
            "Update Graft."
        )
    _require_plain(listed, expected, sum(entry.file_size for entry in entries))
    return {"run_id": manifest.get("run_id"), "files": expected}


def _require_plain(listed: list[str], expected: Mapping[str, tuple[int, str]], num_bytes: int) -> None:
    if sorted(listed) != sorted([MANIFEST, *expected]) or len(listed) > MAX_FILES:
        raise _changed("its list of files")
    if odd := next((name for name in expected if name not in _KNOWN), None):
        raise DataError(
            f'This bundle holds "{odd}", which no bundle has: only tables, JSON and arrays. It is refused.'
        )
    if missing := next((name for name in _NEEDED if name not in expected), None):
        raise DataError(f'This bundle lacks "{missing}". Pack the run again.')
    if num_bytes > MAX_BYTES or sum(size for size, _ in expected.values()) > MAX_BYTES:
        raise DataError(f"This bundle is larger than {MAX_BYTES / 1e9:g} GB, which no run is. It is refused.")


def _changed(name: str) -> DataError:
    return DataError(
        f'"{name}" of this bundle is not as it was packed: it was damaged or changed on the way. Copy the bundle again '
        "from its source."
    )


def _write(archive: zipfile.ZipFile, expected: Mapping[str, tuple[int, str]], place: Path) -> None:
    for name, (num_bytes, sha256) in expected.items():
        if archive.getinfo(name).file_size != num_bytes:
            raise _changed(name)
        with archive.open(name) as source, (place / name).open("wb") as target:
            if _copy(source, target) != {"num_bytes": num_bytes, "sha256": sha256}:
                raise _changed(name)


_UNSOUND = (
    *(GraftError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError),
    MemoryError,  # a table that says it is larger than it could be
)


def _checked(place: Path, manifest: Mapping[str, Any]) -> Run:
    """Return the record of an unpacked run whose files are what they should be."""
    for path in sorted(place.glob("*.npz")):
        _require_arrays(path)
    try:
        run = runs.from_json(read_json(place / "run.json"))
        catalog.get(recipes.from_json(dict(run.recipe)).backbone)
        require_sound(place, run)
    except _UNSOUND as error:
        raise DataError(
            f"The record of this bundle cannot be used by this Graft ({error}). Update Graft, or pack the run again."
        ) from error
    if run.id != manifest["run_id"] or run.state != "done" or not runs.is_id(run.id):
        raise _changed("run.json")
    return run


def _require_arrays(path: Path) -> None:
    """Refuse arrays that would run code or unpack into far more than they seem."""
    try:
        with zipfile.ZipFile(path) as inner:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in inner.infolist()):
                raise DataError(
                    f'"{path.name}" of this bundle is packed as no array of Graft is. It is refused.'
                )
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                archive[name]
    except (ValueError, KeyError, EOFError, MemoryError) as error:
        raise DataError(
            f'"{path.name}" of this bundle holds something other than plain arrays ({error}). It is refused.'
        ) from error
