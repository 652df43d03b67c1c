"""Work that cannot hear is left behind when the user wants to stop; all other work is waited for."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref

import pytest

from core import queue, recipes
from core.errors import Cancelled
from core.progress import Progress, no_progress
from core.queue.jobs import insert
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context, Warm
from core.session.leavable import LeftBehind, run_hearing, run_leavable
from core.workspace import Workspace


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


def test_work_that_was_left_behind_ends_at_the_next_thing_it_tells_and_nobody_hears_it() -> None:
    busy, ended = threading.Event(), threading.Event()
    heard: list[int] = []

    def work(tell: Progress) -> None:
        tell(1, 3)
        busy.wait(30)
        try:
            tell(2, 3)
        except Cancelled:
            ended.set()
            raise

    with pytest.raises(LeftBehind):
        run_hearing(work, lambda done, total: heard.append(done), lambda: True)
    busy.set()
    assert ended.wait(30)
    assert heard == [1]


def test_a_network_that_work_was_left_behind_with_is_warm_no_more(workspace: Workspace) -> None:
    with workspace.transaction() as db:
        number = insert(db, "cpu", "rank", {"keras_home": ""}, "", "")
    recipe, job = recipes.validate(Recipe(backbone="tiny")), queue.get(workspace, number)
    context, end = Context(workspace, "cpu", Warm(), job), threading.Event()
    key = networks.warm_key(recipe, job)
    context.warm.get(key, object, 0)
    done = networks.leaving(context, recipe, job, lambda tell: "done", no_progress, lambda: False)
    assert done == "done" and context.warm.names() == [key]
    with pytest.raises(LeftBehind):
        networks.leaving(context, recipe, job, lambda tell: end.wait(30), no_progress, lambda: True)
    assert context.warm.names() == []
    end.set()


def test_what_work_had_in_hand_goes_with_its_error_at_once() -> None:
    class Held:
        pass

    kept: list[weakref.ref[Held]] = []

    def work() -> None:
        held = Held()
        kept.append(weakref.ref(held))
        raise ZeroDivisionError

    gc.disable()
    try:
        with contextlib.suppress(ZeroDivisionError):
            run_leavable(work, lambda: False)
        assert kept[0]() is None
    finally:
        gc.enable()
