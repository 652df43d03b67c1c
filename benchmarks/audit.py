"""How fast is the audit, beside a bare decode of the same files and beside cleanvision's default checks?

    python benchmarks/audit.py FOLDER [--generate 20000] [--cleanvision PYTHON] [--rounds 3]

Every contestant is a process of its own, start-up included, and they take turns, so that whatever else the machine does
falls on all of them. Prints the seconds of each, their best and the ratios of the medians; the last line is memory.

``--generate N`` first fills FOLDER with N JPEGs of 500 x 375 pixels in 10 classes. PYTHON is the interpreter of an
environment with cleanvision; it is not installed with Graft.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import images

ROOT = Path(__file__).resolve().parents[1]

BARE = """
import io, sys
from pathlib import Path
from PIL import Image
sys.path.insert(0, sys.argv[2])
from core import images
def load(path):
    Image.open(io.BytesIO(path.read_bytes())).load()
paths = [path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in images.EXTENSIONS]
for _ in images.map_in_threads(load, paths):
    pass
"""
"""Reads and decodes whole pictures with as many threads as the audit, and looks at none."""

CLEANVISION = """
import sys
from cleanvision import Imagelab
if __name__ == "__main__":
    Imagelab(data_path=sys.argv[1]).find_issues(verbose=False)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--cleanvision", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.generate:
        generate(folder, arguments.generate)
    with tempfile.TemporaryDirectory() as scratch:
        compare(folder, Path(scratch), arguments.cleanvision, arguments.rounds)


def generate(folder: Path, count: int) -> None:
    """Write pictures with detail at every scale as photos have, each different from the rest."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
    textures = [noise(rng, (187, 140)) for _ in range(40)]
    jobs = [
        (folder / f"class {index % 10}" / f"{index:06d}.jpg", int(rng.integers(2**32)))
        for index in range(count)
    ]

    def write(job: tuple[Path, int]) -> None:
        path, seed = job
        if not path.exists():
            own = np.random.default_rng(seed)
            scene = Image.blend(noise(own, (4, 3)), noise(own, (24, 18)), 0.45)
            Image.blend(scene, textures[seed % len(textures)], 0.25).save(path, quality=85)

    for _ in images.map_in_threads(write, jobs):
        pass


def noise(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return coloured noise of so many spots across and down, in the size of a picture."""
    spots = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(spots).resize((500, 375), Image.Resampling.BICUBIC)


def compare(folder: Path, scratch: Path, cleanvision: Path | None, rounds: int) -> None:
    memory = scratch / "memory"

    def audit(home: Path) -> float:
        command = [sys.executable, "-m", "core", "audit", str(folder), "--json"]
        return seconds(command, {"GRAFT_HOME": str(home)}, memory)

    contestants: dict[str, Callable[[int], float]] = {
        "Graft, first audit": lambda number: audit(scratch / f"home {number}"),
        "Graft, second audit": lambda number: audit(scratch / f"home {number}"),
        "bare decode": lambda number: seconds([sys.executable, "-c", BARE, str(folder), str(ROOT)]),
    }
    if cleanvision:
        contestants["cleanvision"] = lambda number: seconds(
            [str(cleanvision), "-c", CLEANVISION, str(folder)]
        )
    found: dict[str, list[float]] = {name: [] for name in contestants}
    peak = 0
    for number in range(rounds):
        for name, run in contestants.items():
            found[name].append(run(number))
            print(f"round {number + 1}: {name:20} {found[name][-1]:8.2f} s", flush=True)
            if name == "Graft, first audit":
                peak = int(memory.read_text())
    ours = statistics.median(found["Graft, first audit"])
    for name, times in found.items():
        middle = statistics.median(times)
        print(
            f"{name:20} median {middle:8.2f} s, best {min(times):8.2f} s; {middle / ours:5.2f} of the first audit"
        )
    print(f"Graft's peak memory: {peak / 1024:.0f} MB")


def seconds(
    command: list[str], environment: dict[str, str] | None = None, memory: Path | None = None
) -> float:
    """Return how long a command takes, and note its peak memory in KB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}.")
    if memory:
        memory.write_text(str(usage.ru_maxrss))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
