"""From files to features: how many pictures a second, against the textbook and against what the parts could do?

    python benchmarks/features.py FOLDER BACKBONE [BACKBONE ...] [--rounds 3] [--views 4]

Four ways take turns in one process, so that other work on the machine slows all of them: ours (``features.extract``
without its cache, LiteRT where it agrees), the textbook (``image_dataset_from_directory`` and ``model.predict``),
our engine alone on decoded pictures, and our decoder alone. Each has a warm-up. Prints pictures per second of the
wall clock and per second of processor time, medians over the rounds, and their ratios per round, that to the textbook
with the least and the most, since the textbook's own speed may jump from one round to the next; the conversion, which
happens once per network and image size, stands apart. A second table is of pictures and their random variations, as
stage 1 learns from them: each file decoded once for all of them, in turn with each file decoded for each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workplaces import scratch_workspace
from core import audit, augmentation, backbones, datasets, engines, feature_store, features, images
from core.backbones import Backbone
from core.engines import litert
from core.features import Decoded, View
from core.workspace import Workspace

BATCH_SIZE = engines.BATCH_SIZE
"""Of all ways; it is Keras' default too."""


@dataclass(frozen=True)
class Clocked:
    """Seconds, or pictures per second.

    Args:
        wall: By the wall clock.
        processor: By processor time, all threads together.
    """

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("backbone", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--views", type=int, default=4)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning\n")
    print(
        "| backbone | pictures | conversion | ours | textbook | engine alone | decode alone "
        "| ours / textbook | ours / slower part |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with scratch_workspace() as workspace:
        for backbone in arguments.backbone:
            compare(workspace, arguments.folder, backbone, arguments.rounds)
        if not arguments.views:
            return
        print(
            f"\n| pictures and {arguments.views} variations of each | decoded once | decoded each time "
            "| once / each time |\n|---|---|---|---|"
        )
        for backbone in arguments.backbone:
            compare_views(workspace, arguments.folder, backbone, arguments.rounds, arguments.views)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def compare(workspace: Workspace, folder: Path, name: str, rounds: int) -> None:
    """Print the line of one network."""
    paths, hashes = usable_files(workspace, folder)
    backbone = backbones.build(workspace, name)
    conversion = seconds(lambda: litert.convert(backbone, "average"))
    engine = engines.fastest(workspace, backbone, num_images=len(paths))
    pixels = np.stack([np.asarray(picture) for picture in images.iterate_decoded(paths, backbone.image_size)])
    ways: dict[str, Callable[[int], object]] = {
        "ours": lambda n: ours(workspace, backbone, paths[:n], hashes[:n]),
        "textbook": textbook(folder, backbone),
        "engine": lambda n: [engine(pixels[i : i + BATCH_SIZE]) for i in range(0, n, BATCH_SIZE)],
        "decode": lambda n: list(images.iterate_decoded(paths[:n], backbone.image_size)),
    }
    for way in ways.values():
        way(2 * BATCH_SIZE)
    paces: dict[str, list[Clocked]] = {name: [] for name in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            paces[way].append(pace(lambda run=run: run(len(paths)), len(paths)))
    over_textbook = [
        one.wall / other.wall for one, other in zip(paces["ours"], paces["textbook"], strict=True)
    ]
    shares = [
        one.wall / min(engine.wall, decode.wall)
        for one, engine, decode in zip(paces["ours"], paces["engine"], paces["decode"], strict=True)
    ]
    by_processor = median(paces["ours"]).processor / median(paces["textbook"]).processor
    print(
        f"| {name} ({engine.precision}) | {len(paths):,} | {conversion.wall:.1f} s ({conversion.processor:.1f}) | "
        + " | ".join(told(median(found)) for found in paces.values())
        + f" | {statistics.median(over_textbook):.2f}, {min(over_textbook):.2f} to {max(over_textbook):.2f} "
        f"({by_processor:.2f}) | {statistics.median(shares):.0%} |",
        flush=True,
    )


def compare_views(workspace: Workspace, folder: Path, name: str, rounds: int, num_views: int) -> None:
    """Print the line of one network, pictures and variations together."""
    paths, hashes = usable_files(workspace, folder)
    backbone = backbones.build(workspace, name)
    engines.fastest(workspace, backbone, num_images=len(paths))
    views = [None, *(View(augmentation.PRESETS["light"], index, 0) for index in range(num_views))]

    def run(is_kept: bool) -> None:
        feature_store.clear(workspace)
        decoded = Decoded(hashes) if is_kept else None
        for view in views:
            features.extract(workspace, backbone, paths, hashes, view=view, decoded=decoded)

    paces: dict[bool, list[Clocked]] = {True: [], False: []}
    for _ in range(rounds):
        for is_kept, found in paces.items():
            found.append(pace(lambda is_kept=is_kept: run(is_kept), len(paths) * len(views)))
    ratios = [one.wall / other.wall for one, other in zip(paces[True], paces[False], strict=True)]
    once, each = median(paces[True]), median(paces[False])
    print(
        f"| {name} | {told(once)} | {told(each)} | {statistics.median(ratios):.2f} "
        f"({once.processor / each.processor:.2f}) |",
        flush=True,
    )


def usable_files(workspace: Workspace, folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files that the audit can read, and their hashes."""
    dataset = datasets.add_folder(workspace, folder)
    table = audit.audit(workspace, dataset)
    table = table[table["usable"]]
    return [dataset.pictures / path for path in table["path"]], list(table["sha256"])


def ours(workspace: Workspace, backbone: Backbone, paths: Sequence[Path], hashes: Sequence[str]) -> None:
    """Compute all features anew."""
    feature_store.clear(workspace)
    features.extract(workspace, backbone, paths, hashes)


def textbook(folder: Path, backbone: Backbone) -> Callable[[int], object]:
    """Return what the textbook does, its own preprocessing inside the model as ours has it."""
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.model.output)
    model = keras.Model(backbone.model.input, pooled)

    def run(num_pictures: int) -> Any:
        dataset = keras.utils.image_dataset_from_directory(
            folder, image_size=backbone.image_size, batch_size=BATCH_SIZE, shuffle=False, verbose=False
        )
        return model.predict(dataset.take(-(-num_pictures // BATCH_SIZE)), verbose=0)

    return run


def pace(run: Callable[[], object], num_pictures: int) -> Clocked:
    """Return how fast so many pictures are done."""
    taken = seconds(run)
    return Clocked(num_pictures / taken.wall, num_pictures / taken.processor)


def seconds(run: Callable[[], object]) -> Clocked:
    """Return seconds instead of pictures per second."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return Clocked(time.perf_counter() - wall, time.process_time() - processor)


def median(paces: Sequence[Clocked]) -> Clocked:
    """Return the medians."""
    return Clocked(
        statistics.median(pace.wall for pace in paces), statistics.median(pace.processor for pace in paces)
    )


def told(pace: Clocked) -> str:
    """Return both figures, processor time in brackets."""
    return f"{pace.wall:.0f} ({pace.processor:.0f})"


if __name__ == "__main__":
    main()
