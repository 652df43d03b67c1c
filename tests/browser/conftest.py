"""A Chromium, a server and a page for each browser test; every page watches that nothing leaves this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from scripts.browser import chromium, find_chromium, serving, settle

LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
VIEWPORT = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000
"""How long what a page should show may take: several files of tests share the processors, and how fast pages are is
measured by benchmarks, not here."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        reason = (
            "needs a Chromium and found none. Install Chromium or Chrome, set CHROMIUM to its path, "
            'or run ".venv/bin/python -m playwright install chromium".'
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE_MS)
    with chromium(path) as running:
        yield running


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that the tests of one module share."""
    with serving(tmp_path_factory.mktemp("served") / "graft") as url:
        yield url


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages in visitors' contexts of their own; fail at the end if one asked for anything from elsewhere."""
    foreign: list[str] = []
    contexts = []

    def open_one(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": VIEWPORT, "reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "request", lambda request: None if request.url.startswith(LOCAL) else foreign.append(request.url)
        )
        page.goto(url)
        settle(page)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert foreign == [], "requests left this machine"


def accessible(page: Page, schemes: Sequence[Literal["light", "dark"]] = ("light", "dark")) -> None:
    """Fail on every serious violation that axe-core finds."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        settle(page)
        found = Axe().run(page).response["violations"]
        serious = [issue for issue in found if issue["impact"] in ("serious", "critical")]
        told = [(issue["id"], issue["nodes"][0]["html"][:200]) for issue in serious]
        assert told == [], f"{page.url} in {scheme}"
    page.emulate_media(color_scheme="light")
