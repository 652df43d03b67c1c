"""Work that cannot hear is left behind when the user wants to stop; all other work is waited for."""

from __future__ import annotations

import threading
import time

import pytest

from core.session.leavable import LeftBehind, run_leavable


def test_what_work_returns_and_raises_comes_back() -> None:
    assert run_leavable(lambda: 7, lambda: False, lambda: True) == 7
    with pytest.raises(ZeroDivisionError):
        run_leavable(lambda: 1 // 0, lambda: False, lambda: True)


def test_work_that_cannot_hear_is_left_behind_within_two_seconds() -> None:
    end = threading.Event()
    began = time.monotonic()
    with pytest.raises(LeftBehind):
        run_leavable(lambda: end.wait(30), lambda: True, lambda: True)
    assert time.monotonic() - began < 2
    end.set()


def test_work_that_may_not_be_left_is_waited_for_though_the_user_wants_to_stop() -> None:
    end = threading.Timer(1.5, lambda: None)
    end.start()
    assert run_leavable(lambda: end.join() or "done", lambda: True, lambda: False) == "done"
