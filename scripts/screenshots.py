"""The README's pictures: go the whole way on the handwritten digits, in the real app, and photograph it."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from core import queue, runs
from core.workspace import Workspace
from scripts.browser import ROOT, chromium, find_chromium, serving, settle

PICTURES_DIR = ROOT / "docs" / "screenshots"
WIDTH, HEIGHT = 1440, 900
MARGIN = 12
"""Pixels between what is photographed and the picture's edge."""
PATIENCE_MS = 600_000
"""For a training of a minute or two on a slow and busy machine."""
IMAGE_SIZE, EPOCHS, PHOTOGRAPHED_EPOCH = 64, 12, 3
"""Small pictures leave some errors to look at, and a few epochs make a curve."""


def main() -> None:
    """Make every picture, light ones and some dark ones."""
    path = find_chromium()
    if path is None:
        sys.exit("No Chromium was found. Install Chromium or Chrome, or set CHROMIUM to the path of one.")
    PICTURES_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "Graft")
        try:
            with serving(workspace.home) as url, chromium(path) as browser:
                with visitor(browser, "light") as page:
                    go_the_whole_way(page, url, workspace)
                    photograph_errors(page, "")
                    there = page.url
                with visitor(browser, "dark") as page:
                    page.goto(there)
                    settle(page)
                    photograph_errors(page, "-dark")
        finally:
            end_session(workspace)


@contextmanager
def visitor(browser: Browser, scheme: str) -> Iterator[Page]:
    """Give a page of a visitor who likes it light or dark."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
    finally:
        context.close()


def go_the_whole_way(page: Page, url: str, workspace: Workspace) -> None:
    """Choose the digits, train both stages and open the evaluation, photographing each page on the way."""
    page.goto(url)
    settle(page)
    page.reload()  # a server's first visitor of all has a wider sidebar
    settle(page)
    photograph(page, "home", until=page.get_by_text("Everything is kept in"))
    page.get_by_role("link", name="Use my own pictures").click()
    keyed(page, "data_sample_digits").click()
    forward = page.get_by_role("button", name="Continue to training")
    expect(forward).to_be_enabled(timeout=PATIENCE_MS)
    photograph(page, "data", max_height=1040)
    forward.click()
    expect(page.get_by_role("button", name="Start training")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.get_by_text("All settings", exact=True).click()
    set_number(page, "Picture size (pixels a side)", IMAGE_SIZE)
    page.get_by_role("tab", name="Stage 2 · fine-tuning").click()
    set_number(page, "Fine-tuning: epochs", EPOCHS)
    photograph(page, "training")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    wait_for_epoch(workspace, PHOTOGRAPHED_EPOCH)
    page.reload()
    settle(page)
    photograph(page, "training-running")
    page.get_by_role("button", name="See every error").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evaluation", timeout=PATIENCE_MS)
    settle(page)
    keyed(page, "pair_0").click()
    expect(page.get_by_role("group", name="Pictures of the chosen cell")).to_be_visible()


def photograph_errors(page: Page, suffix: str) -> None:
    """Photograph the evaluation page down to the pictures of the chosen cell, and its misclassified ones."""
    classes, errors, against = (
        page.get_by_role("heading", name=name)
        for name in ("Class by class", "Misclassified pictures", "Against what?")
    )
    photograph(page, f"evaluation{suffix}", until=classes)
    photograph(page, f"errors{suffix}", since=errors, until=against)


def photograph(
    page: Page,
    name: str,
    *,
    since: Locator | None = None,
    until: Locator | None = None,
    max_height: int = 2400,
) -> None:
    """Save a page, from the top or from an element of its main part, down to another one or to its end."""
    page.mouse.move(0, HEIGHT - 1)
    page.evaluate("document.activeElement.blur()")
    height = HEIGHT
    for _ in range(2):  # a higher window makes some pages a little higher
        settle(page)
        page.wait_for_load_state("networkidle")
        height = max(HEIGHT, page.get_by_test_id("stMain").evaluate("main => main.scrollHeight"))
        page.set_viewport_size({"width": WIDTH, "height": height})
    settle(page)
    left, top, bottom = 0.0, 0.0, float(min(height, max_height))
    if since is not None:
        left, top = (edge - MARGIN for edge in corner(since))
    if until is not None:
        bottom = corner(until)[1] - 2
    area = {"x": left, "y": top, "width": WIDTH - left, "height": bottom - top}
    taken = page.screenshot(clip=area, animations="disabled")  # type: ignore[arg-type]
    target = PICTURES_DIR / f"{name}.png"
    Image.open(io.BytesIO(taken)).convert("RGB").save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}  {target.stat().st_size / 1000:.0f} kB")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def corner(element: Locator) -> tuple[float, float]:
    """Return where an element begins, in pixels from the left and from the top."""
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"]


def keyed(page: Page, key: str) -> Locator:
    """Return the button with a key; one with a tooltip is drawn twice, once for measuring."""
    return page.locator(f".st-key-{key}").get_by_role("button").first


def set_number(page: Page, label: str, value: int) -> None:
    """Type a number into a field."""
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settle(page)


def wait_for_epoch(workspace: Workspace, number: int) -> None:
    """Wait until fine-tuning has finished so many epochs."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        (job,) = queue.list_jobs(workspace, kind="train")
        events = runs.events(workspace, job.run_id)
        if any(event.get("stage") == "fine_tune" and event["epoch"] == number for event in events):
            return
        if not job.active:
            sys.exit(f"The training ended early: {job.error.get('message', job.state)}")
        time.sleep(0.5)
    sys.exit("The training took too long.")


def end_session(workspace: Workspace) -> None:
    """End the device session, so that its workspace can be thrown away."""
    status = queue.session_status(workspace)
    if status.pid:
        os.kill(status.pid, signal.SIGTERM)
    while queue.is_alive(workspace, status.device.id):
        time.sleep(0.1)


if __name__ == "__main__":
    main()
