"""Does ``predict.py`` from the unpacked zip answer as the app does, with nothing but its own requirements?

    GRAFT_HOME=... python benchmarks/unpacked.py RUN_ID PHOTOS [--forms 4] [--environments FOLDER]

Exports a run in every format that can be made here, unpacks the zip, and makes an environment for each engine out of
the zip's own ``requirements.txt`` (for formats other than the first with the line that stands there as a comment).
There ``predict.py`` answers about all files below PHOTOS, and about the first few of them as cameras, scanners and
drawing programs write them: turned by EXIF, CMYK, grey, with 16 bits, seen through. The app is asked about the same
files by ``python -m core predict``. A row per kind of photo, a column per format: how many have the same label, and the
largest difference of its probability (which ``predict.py`` prints with four digits). Ends with 1 where a format of
single precision differs by more than its bound.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pi_heif
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import exports
from core.exports import FORMATS, Certificate, Format
from core.workspace import open_workspace, read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
ENGINES = {".tflite": "ai-edge-litert", ".onnx": "onnxruntime", ".keras": "tensorflow", "": "tensorflow"}
"""What runs a file, by its suffix; a SavedModel is a folder."""
EXIF_ORIENTATION = 0x0112
SIDE = 480
"""Pixels of the longer side of what is written here."""


@dataclass(frozen=True)
class Answer:
    """A label and its probability, 0…1; no label where the photo cannot be read."""

    label: str = ""
    probability: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_id")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--forms", type=int, default=4, help="photos that are also written in other forms")
    parser.add_argument("--environments", type=Path, help="keep them here, or use those that are")
    arguments = parser.parse_args()
    pi_heif.register_heif_opener()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given = sorted(path for path in arguments.photos.absolute().rglob("*") if path.is_file())
        photos = given + write_forms(given, arguments.forms, folder / "forms")
        app = app_answers(arguments.run_id, photos, folder)
        package, certificate = unpacked(arguments.run_id, folder)
        kinds = [kind_of(path) for path in photos]
        said: dict[Format, list[Answer]] = {}
        for artefact in certificate.of("passed", "unclear"):
            about = artefact.about
            environments = arguments.environments or folder / "environments"
            python = environment(environments, package, ENGINES[Path(about.file).suffix])
            said[about] = script_answers(package, about, python, photos)
        return tell(kinds, app, said)


def write_forms(given: Sequence[Path], most: int, folder: Path) -> list[Path]:
    """Write the first photos that can be read as other devices would, and return the files."""
    folder.mkdir()
    written: list[Path] = []
    for path in given:
        if len(written) >= most * 13:
            break
        try:
            with Image.open(path) as image:
                picture = image.convert("RGB")
        except (OSError, Image.DecompressionBombError):
            continue
        if min(picture.size) < SIDE // 2:
            continue
        picture.thumbnail((SIDE, SIDE))
        written += _forms_of(picture, folder / f"{len(written)}")
    return written


def _forms_of(picture: Image.Image, stem: Path) -> list[Path]:
    def named(ending: str) -> Path:
        return stem.with_name(f"{stem.name}-{ending}")

    for turn in range(2, 9):
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = turn
        picture.save(named(f"turned-{turn}.jpg"), quality=95, exif=exif)
    picture.convert("CMYK").save(named("cmyk.jpg"), quality=95)
    grey = picture.convert("L")
    grey.save(named("grey.jpg"), quality=95)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    deep.save(named("16-bit.png"))
    deep.save(named("16-bit.tiff"))
    for mode in ("RGBA", "LA"):
        seen_through = picture.convert(mode)
        seen_through.putalpha(grey)
        seen_through.save(named(f"{mode}.png"))
    return sorted(stem.parent.glob(f"{stem.name}-*"))


def kind_of(path: Path) -> str:
    """Return what is special about a photo."""
    try:
        with Image.open(path) as image:
            if image.format == "HEIF":
                return "HEIC"
            if image.format == "JPEG" and image.getexif().get(EXIF_ORIENTATION, 1) not in (0, 1):
                return "turned by EXIF"
            if image.mode.startswith("I"):
                return "16 bits"
            if image.has_transparency_data:
                return "alpha"
            names = {"CMYK": "CMYK", "L": "grey", "1": "grey", "P": "palette"}
            return names.get(image.mode, "any other")
    except (OSError, Image.DecompressionBombError):
        return "no photo"


def app_answers(run_id: str, photos: Sequence[Path], folder: Path) -> list[Answer]:
    """Ask the app, and return its answers in the order of the photos."""
    table = folder / "app.csv"
    _core("predict", run_id, *map(str, photos), "--csv", str(table), ok=(0, 1))  # 1: some cannot be read
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Answer(" ".join(row["label"].split()), float(row["probability"] or 0)) if row["label"] else Answer()
        for row in rows
    ]


def unpacked(run_id: str, folder: Path) -> tuple[Path, Certificate]:
    """Export a run in all formats that can be made here, and unpack the zip."""
    formats = [name for name in FORMATS if not exports.install_line(name)]
    _core("export", run_id, "--to", str(folder / "zip"), "--format", ",".join(formats))
    (packed,) = (folder / "zip").iterdir()
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    certificate = exports.certificate(open_workspace(), run_id)
    assert certificate is not None
    return folder / "model", certificate


def _core(*words: str, ok: Sequence[int] = (0,)) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core", *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode not in ok:
        sys.exit(f"python -m core {words[0]} ended with {done.returncode}.")


def environment(folder: Path, package: Path, engine: str) -> Path:
    """Return a Python that has what the zip asks for, with one engine, and nothing else."""
    place = folder / engine
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        wanted = place / "requirements.txt"
        wanted.write_text(_with_engine((package / "requirements.txt").read_text("utf-8"), engine), "utf-8")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
        subprocess.run([str(python), *install], check=True, env=_bare())
    return python


def _with_engine(requirements: str, engine: str) -> str:
    """Return the zip's requirements with this engine instead of another, as its reader would edit them."""
    lines = []
    for line in requirements.splitlines():
        found = re.match(r"(?:# )?([a-z0-9-]+)([>=<].*)", line)
        if found and (found[1] == engine or found[1] not in ENGINES.values()):
            lines.append(found[1] + found[2])
    if not any(line.startswith(engine) for line in lines):
        sys.exit(f"The zip's requirements.txt does not name {engine}.")
    return "\n".join(lines) + "\n"


def _bare() -> dict[str, str]:
    """Return an environment in which nothing leads to Graft."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def script_answers(package: Path, about: Format, python: Path, photos: Sequence[Path]) -> list[Answer]:
    """Ask ``predict.py`` with one of the models, and return its answers in the order of the photos."""
    settings = read_json(package / "model.json")
    write_json(package / "model.json", settings | {"model": about.file})
    command = [str(python), "predict.py", *map(str, photos)]
    try:
        done = subprocess.run(
            command, cwd=package, env=_bare(), text=True, encoding="utf-8", capture_output=True, check=False
        )
    finally:
        write_json(package / "model.json", settings)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"predict.py ended with {done.returncode}: {done.stderr[-2000:]}")
    found = {}
    for line in done.stdout.splitlines():
        path, label, probability = line.split("\t")
        found[path] = Answer(label, float(probability))
    return [found.get(str(path), Answer()) for path in photos]


def tell(kinds: Sequence[str], app: Sequence[Answer], said: dict[Format, list[Answer]]) -> int:
    """Print the table, and return 1 where a format of single precision does not do what the app does."""
    print(f"| photos | number | {' | '.join(about.title for about in said)} |")
    print("|---|---|" + "---|" * len(said))
    is_bad = False
    for kind in sorted(set(kinds), key=lambda kind: (kind == "no photo", kind)):
        rows = [row for row, found in enumerate(kinds) if found == kind]
        cells = []
        for about, answers in said.items():
            same = sum(answers[row].label == app[row].label for row in rows)
            apart = max(abs(answers[row].probability - app[row].probability) for row in rows)
            cells.append(f"{same} of {len(rows)}, {apart:.1g}")
            is_bad |= about.is_exact and (same < len(rows) or apart > exports.MAX_DIFFERENCE)
        unread = sum(not app[row].label for row in rows)
        number = f"{len(rows)}, {unread} refused by both" if unread else f"{len(rows)}"
        print(f"| {kind} | {number} | {' | '.join(cells)} |")
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
