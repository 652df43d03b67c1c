"""The whole journey in a real browser, on the handwritten digits: choose, audit, train, evaluate, look at errors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from core import queue, runs
from core.queue import Device
from core.workspace import Workspace
from scripts.browser import serving, settle
from tests.browser.conftest import accessible
from tests.worlds import add_dataset

CPU = Device("cpu", "CPU")
SOON, TRAINED = 60_000, 240_000
"""Milliseconds: for a session to start, and for both stages on a busy machine with two cores."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A workspace whose session is gone at the end, whatever happened."""
    folder = tmp_path / "graft"
    yield folder
    workspace = Workspace(folder)
    pid = queue.session_status(workspace, CPU).pid
    if pid and queue.is_alive(workspace, CPU.id):
        process = psutil.Process(pid)
        process.kill()
        process.wait(30)


def set_number(page: Page, label: str, value: int) -> None:
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settle(page)


def button(page: Page, key: str) -> Locator:
    # A button with a tooltip is drawn twice, once for measuring.
    return page.locator(f".st-key-{key}").get_by_role("button").first


def choose_digits(page: Page) -> None:
    """From Home to a dataset that has been looked at."""
    expect(page.get_by_role("button", name="Try the sample")).to_be_visible()
    page.get_by_role("link", name="Use my own pictures").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Data")
    button(page, "data_sample_digits").click()
    expect(button(page, "data_continue")).to_be_enabled(timeout=SOON)
    settle(page)
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("1,797")


def start_training(page: Page) -> None:
    """Train both stages on small pictures, so that it takes seconds."""
    page.get_by_text("All settings", exact=True).click()
    set_number(page, "Picture size (pixels a side)", 32)
    page.get_by_role("tab", name="Stage 1 · head").click()
    set_number(page, "Head: most epochs", 20)
    page.get_by_role("tab", name="Stage 2 · fine-tuning").click()
    set_number(page, "Fine-tuning: epochs", 1)
    button(page, "start_training").click()
    expect(page.get_by_role("button", name="Cancel").first).to_be_visible()


def test_from_choosing_pictures_to_looking_at_an_error(home: Path, open_page: Callable[..., Page]) -> None:
    with serving(home, GRAFT_DEVICE="cpu") as url:
        page = open_page(url)
        choose_digits(page)
        accessible(page)

        button(page, "data_continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Training")
        settle(page)
        accessible(page)
        start_training(page)
        expect(page.get_by_role("progressbar").first).to_be_visible()
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=TRAINED)
        page.reload()
        settle(page)
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        expect(page.get_by_role("button", name="See every error")).to_be_visible(timeout=TRAINED)
        settle(page)
        accessible(page)

        page.get_by_role("button", name="See every error").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Evaluation")
        expect(page.get_by_text("Right on", exact=False).first).to_be_visible()
        accessible(page)

        page.get_by_role("grid").get_by_role("gridcell").first.focus()
        page.keyboard.press("Enter")
        pictures = page.get_by_role("group", name="Pictures of the chosen cell")
        expect(pictures.get_by_role("button").first).to_be_visible()
        assert "cell=0-0" in page.url
        pictures.get_by_role("button").first.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("The model says")).to_be_visible()
        expect(dialog.locator(".js-plotly-plot")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

        button(page, "release_session").click()
        expect(page.get_by_text("Off; starts with the first job")).to_be_visible(timeout=SOON)
        assert not queue.is_alive(Workspace(home), CPU.id)


def test_a_killed_session_is_told_within_seconds_and_the_training_is_started_again(
    home: Path, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    workspace = Workspace(home)
    dataset = add_dataset(workspace, tmp_path / "birds")
    with serving(home, GRAFT_DEVICE="cpu") as url:
        page = open_page(f"{url}/training?dataset={dataset.id}")
        start_training(page)
        killed = running_session(workspace)
        os.kill(killed, signal.SIGKILL)
        expect(page.get_by_text("Interrupted", exact=True)).to_be_visible()
        expect(page.get_by_text("features that were extracted are kept")).to_be_visible()
        expect(page.get_by_text("Off; starts with the first job")).to_be_visible()
        first = queue.list_jobs(workspace, kind="train")[0]

        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Cancel").first).to_be_visible()
        expect(page.get_by_text("Interrupted", exact=True)).to_have_count(0)
        assert running_session(workspace) != killed
        page.get_by_role("button", name="Cancel").first.click()
        expect(page.get_by_text("Cancelled.", exact=True)).to_be_visible(timeout=SOON)
        states = [job.state for job in queue.list_jobs(workspace, kind="train")]
        assert states == ["cancelled", "interrupted"]
        assert runs.get(workspace, first.run_id).state == "cancelled", "the same run went on"


def running_session(workspace: Workspace) -> int:
    """Wait until a session works on the newest job and return its process id."""
    deadline = time.monotonic() + SOON / 1000
    while queue.list_jobs(workspace)[0].state != "running":
        assert time.monotonic() < deadline, "no session took the job"
        time.sleep(0.1)
    return queue.session_status(workspace, CPU).pid
