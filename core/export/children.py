"""Processes that do one thing, tell how far they are, and end when nobody wants the result any more."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

POLL_S = 0.2
"""How often the caller's wish to stop is asked for while a child is silent."""
KEPT_LINES = 1
"""Last lines of a child's errors that are told: Python ends with the exception, after the places it came through."""


def run_script(
    script: Path, job: Path, on_event: Callable[[dict[str, Any]], None], on_wait: Callable[[], None]
) -> str:
    """Run a script that shares nothing with this process, and wait for it.

    Args:
        script: A file of Python; ``-I`` keeps this folder, the user's own packages and the environment's settings of
            Python from it.
        job: Its only argument.
        on_event: Hears of each JSON object that it prints on a line of its own.
        on_wait: Called a few times a second; what it raises ends the child.

    Returns:
        ``""`` if it ended well, else the last lines that it had to say.
    """
    child = subprocess.Popen(
        [sys.executable, "-I", str(script), str(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert child.stdout is not None and child.stderr is not None
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    trouble: list[str] = []
    readers = [
        threading.Thread(target=_read, args=(child.stdout, said.put), daemon=True),
        threading.Thread(target=_read, args=(child.stderr, lambda line: _keep(trouble, line)), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        _listen(said, on_event, on_wait)
        code = child.wait()
    finally:
        child.kill()
        child.wait()
        for reader in readers:
            reader.join()
        child.stdout.close()
        child.stderr.close()
    if code == 0:
        return ""
    return " ".join(trouble) or f"The process ended with code {code} and said nothing."


def _read(stream: IO[str], hear: Callable[[str | None], None]) -> None:
    for line in stream:
        hear(line)
    hear(None)


def _keep(lines: list[str], line: str | None) -> None:
    if line is not None and line.strip():
        lines.append(line.strip())
        del lines[:-KEPT_LINES]


def _listen(
    said: queue.SimpleQueue[str | None],
    on_event: Callable[[dict[str, Any]], None],
    on_wait: Callable[[], None],
) -> None:
    while True:
        on_wait()
        try:
            line = said.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if line is None:
            return
        try:
            event = json.loads(line)
        except ValueError:  # TensorFlow prints there too
            continue
        if isinstance(event, dict):
            on_event(event)
