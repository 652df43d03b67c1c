"""Who has not the demo's token gets nothing, and uploads are taken in only as far as there is room for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core import demonstration
from core.errors import WorkspaceError
from demo.door import HEALTH, UPLOAD, Door, Message, Receive, Send

TOKEN = "a-secret"
MB = 2**20


def run(visit: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a thread of its own: a browser of other tests may have left an event loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, visit).result()


class Behind:
    """What stands behind the door: notes who comes, and holds what it is sent for as long as the test wants."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.seen.append(scope.get("path", scope["type"]))
        if self.gate is not None:
            await self.gate.wait()
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Behind:
    monkeypatch.setenv(demonstration.TOKEN, TOKEN)
    return Behind()


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def asked(door: Door, path: str, method: str = "GET", query: str = "", **headers: str) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "method": method, "query_string": query.encode(), "headers": named}
    if method == "WS":
        scope["type"] = "websocket"
    await door(scope, _nothing, send)
    return sent


def status(sent: list[Message]) -> int:
    return int(sent[0].get("status", 0))


def cookie_of(sent: list[Message]) -> str:
    headers: dict[bytes, bytes] = dict(sent[0]["headers"])
    return headers.get(b"set-cookie", b"").decode().partition(";")[0]


async def entered(door: Door) -> str:
    return cookie_of(await asked(door, "/", query=f"token={TOKEN}"))


def upload(door: Door, cookie: str, num_bytes: str | int) -> Any:
    return asked(door, f"{UPLOAD}session/file", "PUT", cookie=cookie, content_length=str(num_bytes))


@pytest.mark.parametrize("query", ["", "token=", "token=guess", "token=g%C3%ABss", "token=%00"])
def test_a_stranger_gets_a_sentence_and_no_session(behind: Behind, query: str) -> None:
    door = Door(behind, held=lambda: 0)
    sent = run(asked(door, "/", query=query))
    assert status(sent) == 403 and b"whole link" in sent[1]["body"] and not cookie_of(sent)
    refused = run(asked(door, "/_stcore/stream", "WS", query=query, cookie="graft_demo=x; y"))
    assert refused == [{"type": "websocket.close", "code": 1008}]
    assert status(run(upload(door, "", 1))) == 403
    assert status(run(asked(door, "/_stcore/metrics"))) == 403
    assert behind.seen == []
    assert status(run(asked(door, HEALTH))) == 204


def test_the_link_opens_the_door_for_all_that_comes_after(behind: Behind) -> None:
    async def visit() -> None:
        door = Door(behind, held=lambda: 0)
        sent = await asked(door, "/", query=f"token={TOKEN}")
        assert status(sent) == 204 and b"HttpOnly; SameSite=Lax" in dict(sent[0]["headers"])[b"set-cookie"]
        cookie = f"other=1; {cookie_of(sent)}"
        assert await asked(door, "/_stcore/stream", "WS", cookie=cookie) == []
        assert status(await upload(door, cookie, 5 * MB)) == 204
        assert behind.seen == ["/", "/_stcore/stream", f"{UPLOAD}session/file"]

    run(visit())


def test_without_a_token_on_the_server_the_door_stays_shut(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(demonstration.TOKEN)
    door = Door(behind, held=lambda: 0)
    assert status(run(asked(door, "/", query="token="))) == 403


def test_the_cookie_of_another_demo_opens_nothing(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(entered(Door(behind, held=lambda: 0)))
    monkeypatch.setenv(demonstration.TOKEN, "another")
    door = Door(behind, held=lambda: 0)
    assert status(run(asked(door, "/", cookie=first))) == 403
    assert not first.startswith(cookie_of(run(asked(door, "/", query="token=another"))).split("=")[0])


@pytest.mark.parametrize(
    ("length", "answer"),
    [("", 411), ("-1", 411), ("9" * 5000, 411), (21 * MB, 413), (20 * MB, 204), ("0", 204)],
)
def test_an_upload_says_its_length_and_is_not_too_large(behind: Behind, length: str, answer: int) -> None:
    async def visit() -> None:
        door = Door(behind, held=lambda: 0)
        assert status(await upload(door, await entered(door), length)) == answer

    run(visit())


def test_an_upload_in_chunks_may_be_longer_than_it_says_and_is_refused(behind: Behind) -> None:
    async def visit() -> None:
        door = Door(behind, held=lambda: 0)
        told = {"content_length": "1", "transfer_encoding": "chunked"}
        sent = await asked(door, f"{UPLOAD}session/file", "PUT", cookie=await entered(door), **told)
        assert status(sent) == 411

    run(visit())


def test_uploads_wait_for_room_in_memory_and_what_is_coming_counts(behind: Behind) -> None:
    room = 30 * MB

    async def visit(held: Callable[[], int]) -> None:
        door = Door(behind, held)
        cookie = await entered(door)
        behind.gate = asyncio.Event()
        first = asyncio.create_task(upload(door, cookie, 19 * MB))
        await asyncio.sleep(0)
        assert status(await upload(door, cookie, 19 * MB)) == 503
        behind.gate.set()
        assert status(await first) == 204
        assert status(await upload(door, cookie, 19 * MB)) == 204, (
            "what has come is counted by the one who holds it"
        )

    run(visit(lambda: demonstration.MAX_HELD_BYTES - room))


def test_what_comes_too_slowly_makes_room(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "MAX_UPLOAD_S", 0.01)

    async def visit() -> None:
        door = Door(behind, held=lambda: demonstration.MAX_HELD_BYTES - MB)
        cookie = await entered(door)
        behind.gate = asyncio.Event()
        assert status(await upload(door, cookie, MB)) == 408
        behind.gate = None
        assert status(await upload(door, cookie, MB)) == 204

    run(visit())


def test_photos_are_cleared_from_the_start_and_all_of_them_before_the_server_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("demo.door.CLEAR_S", 0.01)
    told: list[str] = []

    def clear(*, ended: bool) -> None:
        told.append("all" if ended else "old")

    async def server(scope: Message, receive: Receive, send: Send) -> None:
        while told.count("old") < 3:
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Message) -> None:
        told.append(message["type"])

    run(Door(server, held=lambda: 0, clear=clear)({"type": "lifespan"}, _nothing, send))
    assert told[:3] == ["old"] * 3 and told.index("all") < told.index("lifespan.shutdown.complete")
    assert told.count("all") == 1


def test_what_cannot_be_cleared_is_logged_and_tried_again_and_the_server_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("demo.door.CLEAR_S", 0.01)
    errors = [OSError("the disk is away"), WorkspaceError("it is closed")]
    told: list[str] = []

    def clear(*, ended: bool) -> None:
        told.append("all" if ended else "old")
        if ended:
            raise OSError("the disk is away again")
        if errors:
            raise errors.pop(0)

    async def server(scope: Message, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(5):
            while told.count("old") < 3:
                await asyncio.sleep(0.01)
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Message) -> None:
        told.append(message["type"])

    run(Door(server, held=lambda: 0, clear=clear)({"type": "lifespan"}, _nothing, send))
    assert told[:3] == ["old"] * 3 and told.index("all") < told.index("lifespan.shutdown.complete")
    reasons = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert reasons == ["the disk is away", "it is closed", "the disk is away again"]
    assert {record.name for record in caplog.records if record.exc_info} == {"graft.demo"}
