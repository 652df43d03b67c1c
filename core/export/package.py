"""The zip that stands on its own: what lies in it beside the models, and how it is packed."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import JobError
from core.export.card import model_card
from core.exports import MAX_DIFFERENCE, Artefact, Certificate, to_markdown
from core.progress import Progress, no_progress
from core.queue import PROJECT_DIR
from core.recipes import Recipe
from core.runs import Run
from core.workspace import replacing, write_bytes, write_json

_KIT = Path(__file__).with_name("kit")
_PREFERENCE = ("litert", "onnx", "keras", "savedmodel", "litert-fp16", "litert-int8")
"""Which format ``predict.py`` uses: the one that needs the least to be installed first, exact ones before others."""

_RUNNERS = {
    "litert": ("ai-edge-litert>=2.1,<3", "runs model.tflite"),
    "onnx": ("onnxruntime>=1.31,<2", "runs model.onnx"),
}
_ALWAYS = {
    "numpy": "arrays",
    "pillow": "opens photos; another version may decode other pixels",
    "pi-heif": "opens HEIC, as phones take it",
}
_COMPRESSED = {".json", ".md", ".txt", ".py"}
"""Weights and pictures are not made smaller by packing them, only slower to pack."""

FAILED = "failed-its-check"
"""Folder of the zip for artefacts that are outside their bound."""


def write_kit(package: Path, run: Run, recipe: Recipe, image_size: tuple[int, int]) -> None:
    """Write what running the models needs: ``predict.py``, ``check.py``, ``model.json``, ``labels.txt``.

    Args:
        package: The folder that becomes the zip.
        run: A finished run.
        recipe: Its recipe.
        image_size: ``(height, width)`` of its model, pixels.
    """
    for path in sorted(_KIT.glob("*.py")):
        shutil.copyfile(path, package / path.name)
    _write_settings(package, run, recipe, image_size, model="")
    labels = [" ".join(name.split()) for name in run.class_names]
    write_bytes(package / "labels.txt", ("\n".join(labels) + "\n").encode())


def _write_settings(
    package: Path, run: Run, recipe: Recipe, image_size: tuple[int, int], **more: Any
) -> None:
    settings = {
        "run": run.id,
        "labels": list(run.class_names),
        "image_size": list(image_size),
        "resize": recipe.resize,
    }
    write_json(package / "model.json", settings | more)


def finish(
    package: Path,
    run: Run,
    recipe: Recipe,
    image_size: tuple[int, int],
    split: pd.DataFrame,
    certificate: Certificate,
) -> None:
    """Write what is known once the models are checked, and put those aside that failed.

    Args:
        package: As :func:`write_kit` and the checks left it.
        run: The run.
        recipe: Its recipe.
        image_size: ``(height, width)``, pixels.
        split: Which pictures were used, as :func:`core.runs.load_split` has them.
        certificate: What the checks found.

    Raises:
        JobError: All formats failed.
    """
    best = _best(certificate)
    if best is None:
        found = "; ".join(f"{item.about.title}: {_why(item)}" for item in certificate.artefacts)
        raise JobError(
            f"No format passed its check, so there is nothing good to hand out ({found}). Choose other formats, or "
            "train again."
        )
    _put_aside(package, certificate)
    tolerance = MAX_DIFFERENCE if best.about.is_exact else best.max_difference + MAX_DIFFERENCE
    _write_settings(package, run, recipe, image_size, model=best.about.file, tolerance=tolerance)
    write_bytes(
        package / "requirements.txt", _requirements(best, certificate.of("passed", "unclear")).encode()
    )
    write_json(package / "recipe.json", _without_paths(recipe))
    write_json(package / "data.json", _fingerprint(run, split))
    write_json(package / "certificate.json", certificate.to_json())
    write_bytes(package / "CERTIFICATE.md", to_markdown(certificate).encode())
    write_bytes(package / "README.md", model_card(run, recipe, split, certificate, best).encode())


def _why(artefact: Artefact) -> str:
    if artefact.trouble:
        return artefact.trouble
    return f"agrees on {100 * artefact.agreement:.1f} %, differs by up to {artefact.max_difference:.1e}"


def _best(certificate: Certificate) -> Artefact | None:
    """Return what passed before what could not be told; of these the one that is preferred."""
    return min(
        certificate.of("passed", "unclear"),
        key=lambda item: (not item.passed, _PREFERENCE.index(item.format)),
        default=None,
    )


def _put_aside(package: Path, certificate: Certificate) -> None:
    """Put aside what is outside of its bound, and throw away what cannot be run: it may be half a file."""
    for artefact in certificate.artefacts:
        path = package / artefact.about.file
        if artefact.verdict != "failed" or not path.exists():
            continue
        if not artefact.trouble:
            (package / FAILED).mkdir(exist_ok=True)
            path.rename(package / FAILED / path.name)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _requirements(best: Artefact, usable: Sequence[Artefact]) -> str:
    ranges = _own_ranges()
    lines = [f"{name}{ranges[name]}  # {reason}" for name, reason in _ALWAYS.items()]
    used = dict.fromkeys(_runner(item.format, ranges) for item in (best, *usable))
    first, *others = (f"{requirement}  # {reason}" for requirement, reason in used)
    return "\n".join(["# What predict.py needs.", *lines, first, *(f"# {line}" for line in others)]) + "\n"


def _runner(name: str, ranges: Mapping[str, str]) -> tuple[str, str]:
    tensorflow = (f"tensorflow{ranges['tensorflow']}", "runs model.keras and saved_model")
    return _RUNNERS.get("litert" if name.startswith("litert") else name, tensorflow)


def _own_ranges() -> dict[str, str]:
    """Return the tested range of each of Graft's own requirements."""
    text = (PROJECT_DIR / "requirements.txt").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(>=\S+)", text, flags=re.MULTILINE))


def _without_paths(recipe: Recipe) -> dict[str, Any]:
    values = recipe.to_json()
    return values | {"weights": Path(recipe.weights).name}


def _fingerprint(run: Run, split: pd.DataFrame) -> dict[str, Any]:
    counts = pd.crosstab(split["split"], split["label"])
    return {
        "dataset": run.dataset_name,
        "fingerprint": run.split_fingerprint,
        "num_images": dict(run.num_images),
        "num_images_of_class": json.loads(counts.to_json(orient="index")),
    }


def pack(package: Path, target: Path, progress: Progress = no_progress) -> None:
    """Pack a folder as a zip, whole or not at all; everything in it lies in one folder called ``model``.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written.
        Cancelled: ``progress`` raised it.
    """
    files = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, path in enumerate(files):
            progress(number, len(files))
            how = zipfile.ZIP_DEFLATED if path.suffix in _COMPRESSED else zipfile.ZIP_STORED
            archive.write(path, Path("model") / path.relative_to(package), compress_type=how)
    progress(len(files), len(files))
