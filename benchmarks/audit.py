"""How fast is the audit, beside a bare decode of the same files and beside cleanvision's default checks?

    python benchmarks/audit.py FOLDER [--generate 20000 [--width 500]] [--cleanvision PYTHON] [--rounds 3]

Every contestant is a process of its own, start-up included, and they take turns, so that whatever else the machine does
falls on all of them. Prints medians of the seconds on the clock and of the processors (which a busy machine changes
less), both also as multiples of the first audit, and the peak memory.

``--generate N`` first fills FOLDER with N JPEGs in 10 classes, 500 pixels wide unless told otherwise, 3/4 as high.
PYTHON is the interpreter of an environment with cleanvision; it is not installed with Graft.
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
from dataclasses import dataclass
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


WARM = """
import sys, time
from pathlib import Path
from core import audit, datasets
from core.workspace import Workspace
if __name__ == "__main__":
    workspace = Workspace(Path(sys.argv[2]))
    dataset = datasets.add_folder(workspace, Path(sys.argv[1]))
    for _ in range(2):
        clock, processor = time.perf_counter(), time.process_time()
        audit.audit(workspace, dataset)
        spent = time.perf_counter() - clock, time.process_time() - processor
    print(*spent)
"""
"""Looks twice at files that have not changed, and says what the second time took."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--cleanvision", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.generate:
        generate(folder, arguments.generate, arguments.width)
    with tempfile.TemporaryDirectory() as scratch:
        compare(folder, Path(scratch), arguments.cleanvision, arguments.rounds)


def generate(folder: Path, count: int, width: int) -> None:
    """Write pictures with detail at every scale as photos have, each different from the rest."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
    textures = [noise(rng, (187, 140), width) for _ in range(40)]
    jobs = [
        (folder / f"class {index % 10}" / f"{index:06d}.jpg", int(rng.integers(2**32)))
        for index in range(count)
    ]

    def write(job: tuple[Path, int]) -> None:
        path, seed = job
        if not path.exists():
            own = np.random.default_rng(seed)
            scene = Image.blend(noise(own, (4, 3), width), noise(own, (24, 18), width), 0.45)
            Image.blend(scene, textures[seed % len(textures)], 0.25).save(path, quality=85)

    for _ in images.map_in_threads(write, jobs):
        pass


def noise(rng: np.random.Generator, size: tuple[int, int], width: int) -> Image.Image:
    """Return coloured noise of so many spots across and down, in the size of a picture so wide."""
    spots = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(spots).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds on the clock and of the processors, and its peak memory in MB."""

    clock: float
    processor: float
    memory: float


def compare(folder: Path, scratch: Path, cleanvision: Path | None, rounds: int) -> None:
    def audit(number: int) -> Spent:
        command = [sys.executable, "-m", "core", "audit", str(folder), "--json"]
        return spent(command, {"GRAFT_HOME": str(scratch / f"home {number}")})

    def warm(number: int) -> Spent:
        command = [sys.executable, "-c", WARM, str(folder), str(scratch / f"home {number}")]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        clock, processor = map(float, told.split())
        return Spent(clock, processor, 0.0)

    contestants: dict[str, Callable[[int], Spent]] = {
        "first audit": audit,
        "second audit": audit,
        "bare decode": lambda number: spent([sys.executable, "-c", BARE, str(folder), str(ROOT)]),
    }
    if cleanvision:
        contestants["cleanvision"] = lambda number: spent([str(cleanvision), "-c", CLEANVISION, str(folder)])
    contestants["warm"] = warm
    found: dict[str, list[Spent]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            found[name].append(one := run(number))
            print(
                f"round {number + 1}, {name}: {one.clock:.2f} s, {one.processor:.2f} s of processors",
                flush=True,
            )
    ours = found["first audit"]
    print("| | seconds | of processors | to the first audit | of processors | peak memory |")
    for name, times in found.items():
        clock, processor = (median(times, what) / median(ours, what) for what in ("clock", "processor"))
        memory = f"{median(times, 'memory'):.0f} MB" if times[0].memory else ""
        print(
            f"| {name} | {median(times, 'clock'):.2f} | {median(times, 'processor'):.2f} | {clock:.2f} | "
            f"{processor:.2f} | {memory} |"
        )


def median(times: list[Spent], what: str) -> float:
    return float(statistics.median(getattr(one, what) for one in times))


def spent(command: list[str], environment: dict[str, str] | None = None) -> Spent:
    """Run a command and return what it and its children took."""
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
    return Spent(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
