"""A session that has grown too large ends what it does, leaves, and another goes on."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

from core import queue
from core.queue import Job
from core.session import __main__ as program
from core.session import executor
from core.session.context import Context
from core.session.executor import Session
from core.workspace import Workspace

_made: list[Session] = []
_WAIT_S = 30.0


class _Known(Session):
    """A session that the job below finds."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        _made.append(self)


def do_grow(context: Context, job: Job) -> dict[str, Any]:
    """Make the session too large, and go on working until it has noticed."""
    (session,) = _made
    limit, session._memory_limit = session._memory_limit, -1
    noticed = session._leaving.wait(_WAIT_S)
    session._memory_limit = limit  # as if the memory were given back with the end of the job
    return {"noticed": noticed}


def test_a_session_above_its_limit_ends_its_job_and_leaves_the_next_to_another(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made.clear()
    monkeypatch.setenv("GRAFT_DEVICE", "cpu")
    started: list[str] = []
    monkeypatch.setattr(executor, "HANDLERS", {"audit": f"{__name__}:do_grow"})
    monkeypatch.setattr(executor, "STATUS_EVERY_S", 0.0)
    monkeypatch.setattr(program, "Session", _Known)
    monkeypatch.setattr(signal, "signal", lambda *values: None)
    monkeypatch.setattr(sys, "argv", ["session", "--home", str(workspace.home), "--device", "cpu"])
    with queue.hold_device(workspace, "cpu") as held:  # so that no process is started
        assert held
        jobs = [queue.submit(workspace, "audit", {"dataset_id": "birds"}) for _ in range(2)]
    monkeypatch.setattr(queue, "start_session", lambda workspace, device: started.append(device))
    assert program.main() == 0
    first, second = (queue.get(workspace, job.id) for job in jobs)
    assert (first.state, first.result) == ("done", {"noticed": True})
    assert second.state == "queued"
    assert started == ["cpu"]
    assert not queue.is_alive(workspace, "cpu")
