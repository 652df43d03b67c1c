"""The app in a real browser, for the browser tests and the screenshots: a Chromium, and a server of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 60.0
"""How long the server may take to answer; two to three seconds on an idle machine."""

COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
MAC_APPS = ("Chromium", "Google Chrome", "Microsoft Edge")
FLAGS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",  # a camera that films a test pattern
    "--use-fake-ui-for-media-stream",  # and is allowed
)


def find_chromium() -> Path | None:
    """Return a Chromium that starts: ``$CHROMIUM``, the system's, a macOS application, or Playwright's own."""
    places = [os.environ.get("CHROMIUM", ""), *(shutil.which(name) or "" for name in COMMANDS)]
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        places += [str(folder / f"{name}.app/Contents/MacOS/{name}") for name in MAC_APPS]
    found = next((Path(place) for place in places if place and _starts(Path(place))), None)
    return found or _playwrights_own()


def _starts(path: Path) -> bool:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0  # some systems have a command that only says how to install the browser


def _playwrights_own() -> Path | None:
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


@contextlib.contextmanager
def chromium(path: Path) -> Iterator[Browser]:
    """Run a headless Chromium that calls nobody by itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving(home: Path, **environment: str) -> Iterator[str]:
    """Run the app on the workspace ``home`` with a fresh server, and give its URL.

    Raises:
        RuntimeError: The server ended or did not answer in time; the message holds what it printed.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log_path = home.with_name(f"{home.name}-server.log")  # a workspace is not begun among other files
    command = [sys.executable, "-m", "streamlit", "run", "server.py", f"--server.port={port}"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment, "GRAFT_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(url, process, log_path)
            yield url
        finally:
            process.terminate()
            process.wait()


def settle(page: Page) -> None:
    """Wait until the script has run and everything it drew is there."""
    app = page.get_by_test_id("stApp")
    timeout = START_TIMEOUT_S * 1000
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED", timeout=timeout)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=timeout)
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=timeout)
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=timeout)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start. It printed:\n{log_path.read_text('utf-8', 'replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
