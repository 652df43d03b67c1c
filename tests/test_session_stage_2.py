"""When a stage 2 that does not hear may be left behind."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Cancelled
from core.session.stage_2 import SILENT_S, _Course


def course_after(*kinds: str) -> _Course:
    heard: list[str] = []

    def listen(kind: str, **values: Any) -> None:
        heard.append(kind)

    course = _Course(listen)
    for kind in kinds:
        course.listen(kind, history=[])
    assert heard == [kind for kind in kinds if kind != "compiling"]
    return course


@pytest.mark.parametrize(
    ("kinds", "may_be_left"),
    [
        ((), True),  # the network is being built
        (("log",), True),
        (("log", "progress"), False),  # what enters the blocks that learn is being computed
        (("log", "progress", "compiling"), True),
        (("compiling", "progress"), False),
        (("compiling", "progress", "batch_halved"), True),  # another batch size is compiled anew
        (("compiling", "progress", "epoch", "batch_halved"), True),  # its checkpoint holds what is kept
        (("resumed", "compiling"), True),
        (("resumed", "compiling", "progress"), False),
    ],
)
def test_it_may_be_left_while_it_builds_or_compiles(kinds: tuple[str, ...], may_be_left: bool) -> None:
    assert course_after(*kinds).may_be_left() is may_be_left


def test_left_behind_it_ends_at_the_next_thing_it_tells() -> None:
    course = course_after("compiling")
    course.left.set()
    with pytest.raises(Cancelled):
        course.listen("progress")


def test_a_step_that_takes_long_may_be_left_but_not_once_it_has_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("core.session.stage_2.time.monotonic", lambda: now[0])
    course = course_after("compiling", "progress")
    now[0] += SILENT_S + 0.1
    assert course.may_be_left()
    course.listen("progress")
    assert not course.may_be_left()

    def stop(kind: str, **values: Any) -> None:
        raise Cancelled

    heard = _Course(stop)
    with pytest.raises(Cancelled):
        heard.listen("progress")
    now[0] += SILENT_S + 0.1
    assert not heard.may_be_left()
