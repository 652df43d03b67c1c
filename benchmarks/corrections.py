"""How long does it take to add a corrected photo to a large dataset, and to look at the files after it?

    python benchmarks/corrections.py FOLDER PHOTOS [--photos 5]

FOLDER is a dataset of class folders, such as ``benchmarks/audit.py --generate 20000`` writes; the photos of PHOTOS are
added to its first class one after the other. Each time three things are clocked: what pressing *Add* does (is the photo
in the dataset, or nearly?), of that the search for a near-duplicate, done once more by itself, and the audit that
follows. One more audit finds nothing changed. All in one process, which is warm after the first photo. Prints seconds
of the wall clock, processor time in brackets.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stage_1 import Seconds
from benchmarks.workplaces import scratch_workspace
from core import audit, corrections, datasets, images, recipes, runs, splits
from core.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos_folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--photos", type=int, default=5)
    arguments = parser.parse_args()
    paths = sorted(
        path for path in arguments.photos_folder.rglob("*") if path.suffix.lower() in images.EXTENSIONS
    )
    step = max(1, len(paths) // arguments.photos)
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning\n")
    with scratch_workspace() as workspace:
        measure(workspace, arguments.folder, paths[::step][: arguments.photos])
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def measure(workspace: Workspace, folder: Path, photos: list[Path]) -> None:
    """Add the photos and print the table."""
    dataset = datasets.add_folder(workspace, folder)
    first = Seconds()
    with first.measure():
        table = audit.audit(workspace, dataset)
    table = table[table["usable"]]
    label = sorted(table["label"].unique())[0]
    run = runs.create(workspace, dataset.id, dataset.name, recipes.validate(recipes.Recipe()).to_json())
    runs.save_split(workspace, run.id, table.assign(split=splits.assign(table)))
    searches, presses, audits, unchanged = Seconds(), Seconds(), Seconds(), Seconds()
    for photo in photos:
        with presses.measure():
            corrections.add_photo(workspace, run, photo, label)
        with searches.measure():
            audit.find_alike(workspace, dataset.id, photo.read_bytes())
        with audits.measure():
            audit.audit(workspace, dataset)
        with unchanged.measure():
            audit.audit(workspace, dataset)

    print(f"{len(table):,} pictures, audited in {first.wall[0]:.0f} s; {len(photos)} photos added\n")
    print("| step | first | median of the others |\n|---|---|---|")
    for name, seconds in {
        "pressing *Add*: is it in the dataset, or nearly?": presses,
        "of that the search for a near-duplicate": searches,
        "audit after it": audits,
        "audit when nothing has changed": unchanged,
    }.items():
        print(f"| {name} | {told(seconds, 0, 1)} | {told(seconds, 1, None)} |")


def told(seconds: Seconds, begin: int, end: int | None) -> str:
    """Return the medians of some of what was measured, or nothing where nothing was."""
    wall, processor = seconds.wall[begin:end], seconds.processor[begin:end]
    return f"{statistics.median(wall):.2f} ({statistics.median(processor):.2f})" if wall else ""


if __name__ == "__main__":
    main()
