"""Make ``.venv`` hold what a requirements file asks for; do nothing, quickly, where it already does.

A record in ``.venv`` says whether the last installation came to its end and what it installed. An installation that
was cut short may have left packages with missing files, so its ``.venv`` is made anew; pip's cache keeps that short.
Only the standard library: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RECORD = VENV / "graft-installed.json"
UNFINISHED: dict[str, str] = {}


def main() -> None:
    """Bring ``.venv`` up to date with the requirements file named on the command line."""
    version = list(sys.version_info[:2])
    wanted = {**fingerprints(ROOT / sys.argv[1]), "python": str(version)}
    same_python = f"import sys; sys.exit(list(sys.version_info[:2]) != {version})"
    with only_one():
        record = read_record()
        if wanted.items() <= record.items() and works("-c", same_python):
            return
        refuse_intel_macs()
        was_cut_short = RECORD.exists() and record == UNFINISHED
        if was_cut_short or not works("-c", same_python) or not works("-m", "pip", "--version"):
            make_venv()
            record = UNFINISHED
        install(ROOT / sys.argv[1], {**record, **wanted})


def fingerprints(path: Path) -> dict[str, str]:
    """Return name -> hash for a requirements file and the files it includes; a file's hash covers what it includes."""
    text = path.read_text("utf-8")
    included: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("-r "):
            included |= fingerprints(path.parent / line[3:].split("#")[0].strip())
    digest = hashlib.sha256(json.dumps([text, included], sort_keys=True).encode()).hexdigest()
    return included | {path.name: digest}


def read_record() -> dict[str, str]:
    """Return what is installed: name -> hash of requirements files, and the version of Python."""
    try:
        record = json.loads(RECORD.read_text("utf-8"))
    except (OSError, ValueError):
        return UNFINISHED
    return record if isinstance(record, dict) else UNFINISHED


def write_record(record: dict[str, str]) -> None:
    """Write the record whole or not at all."""
    temporary = RECORD.with_suffix(".part")
    temporary.write_text(json.dumps(record, indent=1), "utf-8")
    os.replace(temporary, RECORD)


def works(*arguments: str) -> bool:
    """Tell whether ``.venv``'s Python runs with these arguments."""
    try:
        return subprocess.run([PYTHON, "-I", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """Make an empty ``.venv`` with the Python that runs this, or the one that its ``.venv`` stands on."""
    base = getattr(sys, "_base_executable", sys.executable)
    print(f"Making .venv with Python {platform.python_version()} ({base}) ...", flush=True)
    if RECORD.exists():
        write_record(UNFINISHED)
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    write_record(UNFINISHED)
    if subprocess.run([base, "-I", "-m", "venv", VENV], check=False).returncode != 0:
        sys.exit(
            f"Python's module venv could not make .venv with {base}. "
            'On Debian, Ubuntu and WSL2 "sudo apt install python3-venv" adds what is missing. Then repeat the command.'
        )


def install(path: Path, record: dict[str, str]) -> None:
    """Install a requirements file into ``.venv`` and note it down."""
    print(f"Installing {path.name}: some minutes and about 3 GB of disk the first time ...", flush=True)
    write_record(UNFINISHED)
    pip: list[str | Path] = [
        PYTHON,
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "-r",
        path,
    ]
    if subprocess.run(pip, env={**os.environ, "PIP_USER": "0"}, check=False).returncode != 0:
        free_gb = shutil.disk_usage(ROOT).free / 1e9
        sys.exit(
            f"\nThe packages could not be installed; pip says why above. It takes a package index that can be reached "
            f"and about 3 GB of disk ({free_gb:.1f} GB are free here). Then repeat the command: it starts over safely."
        )
    write_record(record)


def refuse_intel_macs() -> None:
    """Stop early where TensorFlow has no package."""
    if platform.system() == "Darwin" and platform.machine() != "arm64":
        sys.exit(
            "This Python is built for Intel Macs, for which TensorFlow is no longer made. On Apple silicon install a "
            'native Python ("brew install python@3.13" in a terminal without Rosetta) and name it: '
            '"make run PYTHON=/opt/homebrew/bin/python3.13".'
        )


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one process at a time change ``.venv``; the lock goes with its holder, however that ends."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is installing into .venv; waiting for it ...", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks, such as a network share
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Repeat the command to go on.")
