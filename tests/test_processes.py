"""Work in processes: in order, and never left behind."""

from __future__ import annotations

import multiprocessing
import operator
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from core import images
from core.images import processes

ROOT = Path(__file__).resolve().parents[1]

SLEEPER = """
import time
from core.images import processes
if __name__ == "__main__":
    processes.MANY = 0
    list(processes.map_in_processes(time.sleep, [0.01] * 10**6, workers=2))
"""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MANY", 0)
    # A process begins with the main module, which Streamlit's tests leave to be the app.
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))


def in_a_child_only(item: int) -> tuple[int, bool]:
    return item, multiprocessing.parent_process() is not None


def dies_in_a_child(item: int) -> int:
    if item == 40 and multiprocessing.parent_process() is not None:
        os._exit(9)
    return -item


def test_results_come_in_order_from_other_processes() -> None:
    found = list(images.map_in_processes(in_a_child_only, range(100), workers=2))
    assert found == [(item, True) for item in range(100)]


def test_few_items_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MANY", 101)
    found = list(images.map_in_processes(in_a_child_only, range(100), workers=2))
    assert found == [(item, False) for item in range(100)]


def test_when_a_process_dies_the_rest_is_computed_all_the_same() -> None:
    assert list(images.map_in_processes(dies_in_a_child, range(100), workers=2)) == [-i for i in range(100)]


def test_an_error_in_a_process_reaches_the_caller() -> None:
    with pytest.raises(TypeError):
        list(images.map_in_processes(operator.neg, [1, "two", 3], workers=2))


def test_no_process_outlives_a_parent_that_is_killed_or_stops_early(tmp_path: Path) -> None:
    stream = images.map_in_processes(operator.neg, range(1000), workers=2)
    assert next(stream) == 0
    stream.close()
    assert not multiprocessing.active_children()

    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    parent = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    try:
        _wait_for(lambda: len(_of_group(parent.pid)) >= 3)
    finally:
        parent.kill()
        parent.wait()
    _wait_for(lambda: not _of_group(parent.pid))


def _of_group(leader: int) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [
        group
        for group, state in map(str.split, listed.splitlines())
        if group == str(leader) and state[0] != "Z"
    ]


def _wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not come about."
        time.sleep(0.05)
