"""The door of the demo: who has not the link's token gets no session, and no more is taken in than memory allows.

Streamlit takes files in for every open tab, and holds them in memory, before a page has said a word. So what is asked
comes through here first: the link's token becomes a cookie, and without one nothing but a sentence is answered. Being
there from the server's start to its end, the door also throws away what visitors have put aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import html
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from streamlit.runtime import get_instance
from streamlit.runtime.stats import CACHE_MEMORY_FAMILY, CacheStat

from core import demonstration, inbox, words
from core.errors import GraftError
from core.workspace import open_workspace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

UPLOAD = "/_stcore/upload_file/"
HEALTH = "/_stcore/health"
"""Says "ok" to everybody, for who watches over the server."""
FRAMING_BYTES = 65_536
"""What a form puts around one file, at most."""
MAX_DIGITS = 12
"""Of the length of an upload; what is longer is no honest number."""
CLEAR_S = 300.0
"""How often is looked for photos whose time is over."""
REFUSED = 1008
"""The code of WebSocket for what is against the rules."""

_LOG = logging.getLogger("graft.demo")


def held_bytes() -> int:
    """Return how much memory the uploads of all visitors take just now."""
    found = get_instance().uploaded_file_mgr.get_stats().get(CACHE_MEMORY_FAMILY, [])
    return sum(stat.byte_length for stat in found if isinstance(stat, CacheStat))


def clear_photos(*, ended: bool) -> None:
    """Throw away what visitors have put aside: what is too old, or all of it once the demo has ended."""
    inbox.clear(open_workspace(), demonstration.mark(os.environ[demonstration.TOKEN]) if ended else "")


class Door:
    """Lets in who has the token, and of their uploads what there is room for.

    Args:
        app: What stands behind it, by the ASGI protocol.
        held: Returns the bytes that uploads take in memory.
        clear: Throws photos away, see :func:`clear_photos`.
    """

    def __init__(
        self,
        app: Application,
        held: Callable[[], int] = held_bytes,
        clear: Callable[..., None] = clear_photos,
    ) -> None:
        self._app = app
        self._held = held
        self._clear = clear
        self._token = os.environ.get(demonstration.TOKEN, "")
        self._cookie = demonstration.cookie_name(self._token)
        self._coming = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["path"] == HEALTH:
            await self._app(scope, receive, send)
        elif self._is_token(_cookies(scope).get(self._cookie, "")):
            await self._let_in(scope, receive, send)
        elif scope["type"] == "http" and self._is_token(_query(scope).get("token", [""])[0]):
            await self._app(scope, receive, self._with_cookie(send))
        else:
            await _refuse(scope, send, HTTPStatus.FORBIDDEN)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        """Be there as long as the server is."""

        async def clear_before_the_end(message: Message) -> None:
            try:
                if message["type"].startswith("lifespan.shutdown"):  # once this is sent nothing is waited for
                    await self._try_to_clear(ended=True)
            finally:
                await send(message)

        clearing = asyncio.create_task(self._clear_now_and_then())
        try:
            await self._app(scope, receive, clear_before_the_end)
        finally:
            clearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clearing

    async def _clear_now_and_then(self) -> None:
        while True:
            await self._try_to_clear(ended=False)
            await asyncio.sleep(CLEAR_S)

    async def _try_to_clear(self, *, ended: bool) -> None:
        """Throw photos away; where that fails, a disk may be back the next time, and the server ends all the same."""
        try:
            await asyncio.to_thread(self._clear, ended=ended)
        except (OSError, GraftError):
            _LOG.exception("Photos of visitors could not be deleted.")

    def _is_token(self, given: str) -> bool:
        return bool(self._token) and hmac.compare_digest(given.encode(), self._token.encode())

    def _with_cookie(self, send: Send) -> Send:
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax"
        # The link is told to no other site.
        added = [(b"set-cookie", cookie.encode()), (b"referrer-policy", b"same-origin")]

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        return wrapped

    async def _let_in(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT" and UPLOAD in scope["path"]:
            await self._take(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take a file in if it says how large it is and there is room for it, which is kept for it while it comes."""
        given = _header(scope, b"content-length")
        # In chunks a request may be longer than it says.
        in_chunks = bool(_header(scope, b"transfer-encoding"))
        if in_chunks or not given.isdecimal() or len(given) > MAX_DIGITS:
            await _refuse(scope, send, HTTPStatus.LENGTH_REQUIRED)
            return
        num_bytes = int(given)
        if num_bytes > demonstration.MAX_FILE_MB * 2**20 + FRAMING_BYTES:
            await _refuse(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        if self._held() + self._coming + num_bytes > demonstration.MAX_HELD_BYTES:
            await _refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE)
            return
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        self._coming += num_bytes
        try:
            async with asyncio.timeout(demonstration.MAX_UPLOAD_S):
                await self._app(scope, receive, answer)
        except TimeoutError:
            if not is_answered:
                await _refuse(scope, send, HTTPStatus.REQUEST_TIMEOUT)
        finally:
            self._coming -= num_bytes


async def _refuse(scope: Message, send: Send, status: HTTPStatus) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": REFUSED})
        return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    # What is not read is not waited for.
    headers += [(b"connection", b"close")] if scope["method"] == "PUT" else []
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    body = _page() if status is HTTPStatus.FORBIDDEN else status.phrase
    await send({"type": "http.response.body", "body": body.encode()})


def _page() -> str:
    title, text = (html.escape(words.say(key)) for key in ("demo.locked", "demo.locked_text"))
    return (
        f'<!doctype html><html lang="{words.FALLBACK}"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        '<main style="font: 1.125rem/1.5 sans-serif; max-width: 32rem; margin: 20vh auto; padding: 0 1rem">'
        f"<h1>{title}</h1><p>{text}</p></main></html>"
    )


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def _cookies(scope: Message) -> dict[str, str]:
    pairs = (part.partition("=") for part in _header(scope, b"cookie").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _query(scope: Message) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))
