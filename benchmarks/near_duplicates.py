"""Of planted near-duplicates, how many are found, and how much else is taken for one?

    python benchmarks/near_duplicates.py FOLDER [FOLDER ...] [--photos 1000]

Says first what there is already: of each folder the pictures, how many are in a group (copies by their bytes included),
and how many groups stand in both train and test where the folder tells splits.

Then draws photos from the folders, leaving out those that have a near-duplicate already. Of each it plants one copy,
changed in one of the ways below by turns. Prints recall per way, precision over all pairs in a group, the size of the
largest group and the seconds of the search. With ``--photos 0`` it plants none.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import images
from core.audit import near_duplicates
from core.audit.hashes import THUMBNAIL_SIDE

Change = Callable[[Image.Image, random.Random], Image.Image]


def resized(share: float) -> Change:
    return lambda photo, rng: photo.resize((round(photo.width * share), round(photo.height * share)))


def cropped(photo: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = photo.size
    return photo.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def somewhere(photo: Image.Image, rng: random.Random) -> Image.Image:
    """Cut 5 % of the width and height off, some of it on either side."""
    left, top = rng.uniform(0, 0.05), rng.uniform(0, 0.05)
    return cropped(photo, left, top, 0.05 - left, 0.05 - top)


CHANGES: dict[str, tuple[Change, int]] = {
    "half the size": (resized(0.5), 85),
    "a third of the size, quality 60": (resized(0.33), 60),
    "quality 30": (lambda photo, rng: photo, 30),
    "quality 15": (lambda photo, rng: photo, 15),
    "5 % cropped, at random": (somewhere, 85),
    "5 % cropped at one side": (lambda photo, rng: cropped(photo, 0.05, 0, 0, 0), 85),
    "5 % cropped at every side": (lambda photo, rng: cropped(photo, 0.05, 0.05, 0.05, 0.05), 85),
    "mirrored": (lambda photo, rng: ImageOps.mirror(photo), 85),
    "mirrored, 5 % cropped, half the size": (
        lambda photo, rng: resized(0.5)(somewhere(ImageOps.mirror(photo), rng), rng),
        75,
    ),
}
"""What is done to a photo, and the JPEG quality it is then saved with."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=1000)
    arguments = parser.parse_args()
    found = sorted(
        (path, folder)
        for folder in arguments.folders
        for path in folder.rglob("*")
        if path.suffix.lower() in images.EXTENSIONS
    )
    paths = [path for path, _ in found]
    kept = [thumbnail(data) for data in images.map_in_threads(images.read_bytes, paths)]
    there = np.array([bool(one) for one in kept])
    lowest, *_ = near_duplicates.group(stacked([one for one in kept if one]))
    report_there([one for one, is_there in zip(found, there, strict=True) if is_there], lowest)
    if not arguments.photos:
        return
    alone = np.flatnonzero(there)[np.bincount(lowest, minlength=len(lowest))[lowest] == 1]
    rng = random.Random(0)
    chosen = sorted(rng.sample(alone.tolist(), min(arguments.photos, len(alone))))
    names = list(CHANGES)
    way = [names[index % len(names)] for index in range(len(chosen))]
    jobs = [(paths[row], name, rng.random()) for row, name in zip(chosen, way, strict=True)]
    copies = list(images.map_in_threads(lambda job: thumbnail(changed(*job)), jobs))
    report([kept[row] for row in chosen], copies, way)


def thumbnail(data: bytes) -> bytes:
    return near_duplicates.thumbnail(images.verify_reduced(data)[1])


def stacked(kept: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def changed(path: Path, name: str, seed: float) -> bytes:
    change, quality = CHANGES[name]
    buffer = io.BytesIO()
    with Image.open(path) as photo:
        change(ImageOps.exif_transpose(photo).convert("RGB"), random.Random(seed)).save(
            buffer, "JPEG", quality=quality
        )
    return buffer.getvalue()


def report_there(found: list[tuple[Path, Path]], lowest: np.ndarray) -> None:
    """Print what is in groups before anything is planted."""
    print("| folder | pictures | in a group | groups | in both train and test |\n|---|---|---|---|---|")
    in_group = np.bincount(lowest, minlength=len(lowest))[lowest] > 1
    for folder in dict.fromkeys(folder for _, folder in found):
        rows = [row for row, (_, of) in enumerate(found) if of == folder]
        groups: dict[int, set[str]] = {}
        for row in rows:
            if in_group[row]:
                groups.setdefault(int(lowest[row]), set()).add(found[row][0].relative_to(folder).parts[0])
        both = sum({"train", "test"} <= parts for parts in groups.values())
        print(
            f"| {folder.name} | {len(rows):,} | {int(in_group[rows].sum()):,} | {len(groups):,} | {both or ''} |"
        )
    print()


def report(originals: list[bytes], copies: list[bytes], way: list[str]) -> None:
    number = len(originals)
    began = time.process_time()
    lowest, *_ = near_duplicates.group(stacked(originals + copies))
    spent = time.process_time() - began
    found = lowest[:number] == lowest[number:]
    print("| what was done | copies | recall |\n|---|---|---|")
    for name in CHANGES:
        of_it = np.array([one == name for one in way])
        print(f"| {name} | {of_it.sum()} | {100 * found[of_it].mean():.1f} % |")
    sizes = np.bincount(lowest)
    num_pairs = int((sizes * (sizes - 1) // 2).sum())
    print(
        f"recall {100 * found.mean():.1f} % of {number}; precision {found.sum()} of {num_pairs} pairs",
        end="; ",
    )
    print(f"largest group {sizes.max()}; {spent:.1f} s of processor time for {2 * number} pictures")


if __name__ == "__main__":
    main()
