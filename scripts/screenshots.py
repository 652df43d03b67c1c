"""The README's pictures: train on the handwritten digits in a workspace of its own, then photograph the real pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from core import datasets
from core.workspace import Workspace
from scripts.browser import ROOT, chromium, find_chromium, serving, settle

PICTURES_DIR = ROOT / "docs" / "screenshots"
PAGES = ("home", "data", "training", "evaluation")
SIZES = {"wide": 1440, "narrow": 800}
"""Widths in pixels."""

HEIGHT, MAX_HEIGHT = 900, 1400
STILL_MS = 700
"""A page that looks the same after this time has been drawn."""
MAX_LOOKS = 20


def main() -> None:
    """Make every picture: each page, wide and narrow, light and dark."""
    path = find_chromium()
    if path is None:
        sys.exit("No Chromium was found. Install Chromium or Chrome, or set CHROMIUM to the path of one.")
    PICTURES_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "Graft"
        run_id = train_digits(home)
        with serving(home) as url, chromium(path) as browser:
            visit(browser, url)
            for size, width in SIZES.items():
                for scheme in ("light", "dark"):
                    for page in PAGES:
                        query = f"{'' if page == 'home' else page}?run={run_id}"
                        target = PICTURES_DIR / f"{page}-{size}-{scheme}.png"
                        photograph(browser, f"{url}/{query}", width, scheme, target)
                        print(target.relative_to(ROOT))


def train_digits(home: Path) -> str:
    """Train on the sample with the default recipe and return the run's id."""
    digits = datasets.add_sample(Workspace(home), "digits")
    try:
        return str(json.loads(graft(home, "train", str(digits.root), "--json"))["run_id"])
    finally:
        graft(home, "release")


def graft(home: Path, *arguments: str) -> str:
    """Run a command of ``python -m core`` on a workspace and return what it prints."""
    command = [sys.executable, "-m", "core", *arguments]
    environment = {**os.environ, "GRAFT_HOME": str(home)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def visit(browser: Browser, url: str) -> None:
    """Be the first visitor, to whom Streamlit shows a wider sidebar."""
    page = browser.new_page()
    page.goto(url)
    settle(page)
    page.close()


def photograph(browser: Browser, url: str, width: int, scheme: str, target: Path) -> None:
    """Save one page, as high as what is on it, in a visitor's context of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.goto(url)
        still(page)
        content = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(HEIGHT, min(content, MAX_HEIGHT))})
        target.write_bytes(still(page))
    finally:
        context.close()


def still(page: Page) -> bytes:
    """Return a PNG of the page once nothing on it moves: tables and figures are drawn after the script has run."""
    settle(page)
    before = page.screenshot(animations="disabled")
    for _ in range(MAX_LOOKS):
        page.wait_for_timeout(STILL_MS)
        now = page.screenshot(animations="disabled")
        if now == before:
            break
        before = now
    return before


if __name__ == "__main__":
    main()
