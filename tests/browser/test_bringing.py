"""Bringing pictures in, in a real browser: a folder found by keyboard, a zip that is refused, and one that is taken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core import audit, datasets, metadata, queue
from core.session.context import Context, Warm
from core.session.data_jobs import do_upload
from core.workspace import Workspace
from scripts.browser import serving, settle
from tests.browser.conftest import accessible
from tests.pictures import write_classes
from tests.test_uploads import PICTURES, make_zip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[str, Workspace, Path]]:
    """A server that may read one folder; the device is held, so that jobs wait."""
    home = tmp_path / "home"
    write_classes(home / "holidays" / "birds", {"owl": 3, "wren": 3})
    (home / "notes").mkdir()
    workspace = Workspace(tmp_path / "graft")
    with queue.hold_device(workspace, "cpu") as held:
        assert held
        with serving(workspace.home, GRAFT_DEVICE="cpu", HOME=str(home), GRAFT_ROOTS="") as url:
            yield url, workspace, home


def press_on(page: Page, name: str) -> None:
    """Walk with Tab to a button of the dialog and press it."""
    wanted = page.get_by_role("dialog").get_by_role("button", name=name, exact=False).first
    expect(wanted).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if wanted.evaluate("button => button === document.activeElement"):
            page.keyboard.press("Enter")
            settle(page)
            return
    pytest.fail(f"Tab does not reach {name}")


def test_a_folder_is_found_and_used_by_keyboard(
    world: tuple[str, Workspace, Path], open_page: Callable[..., Page]
) -> None:
    url, workspace, home = world
    page = open_page(f"{url}/data")
    accessible(page)
    page.get_by_role("button", name="Browse").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("no pictures seen").first).to_be_visible()
    press_on(page, "holidays")
    expect(dialog.get_by_text("Looks like a dataset")).to_be_visible()
    accessible(page)
    press_on(page, "birds")
    expect(dialog.get_by_text("In this folder: 6 pictures in 2 class folders.")).to_be_visible()
    press_on(page, "Use this folder")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text(str(home / "holidays" / "birds"))).to_be_visible()
    (dataset,) = datasets.list_datasets(workspace)
    assert dataset.root == home / "holidays" / "birds"


def test_a_path_that_leads_out_is_refused_and_escape_closes_the_dialog(
    world: tuple[str, Workspace, Path], open_page: Callable[..., Page]
) -> None:
    url, workspace, _ = world
    page = open_page(f"{url}/data")
    page.get_by_role("textbox", name="Path of the folder").fill("/etc")
    page.keyboard.press("Enter")
    expect(page.get_by_text("lies outside of the folders that may be chosen here")).to_be_visible()
    page.get_by_role("button", name="Browse").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert datasets.list_datasets(workspace) == []


def upload(page: Page, data: bytes) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": "birds.zip", "mimeType": "application/zip", "buffer": data}
    )


def work(page: Page, workspace: Workspace) -> None:
    """Wait until the upload is in the queue and do its job, as a session would."""
    expect(page.locator("[class*=st-key-cancel_]").first).to_be_visible()
    job = queue.claim(workspace, "cpu", "data", "a session of the tests")
    assert job is not None and job.kind == "upload"
    try:
        result = do_upload(Context(workspace, "cpu", Warm(), job), job)
    except Exception as error:
        queue.finish(workspace, job, "failed", message=str(error))
    else:
        queue.finish(workspace, job, "done", result=result)


def test_a_hostile_zip_is_refused_with_a_reason_and_a_good_one_becomes_the_dataset(
    world: tuple[str, Workspace, Path], open_page: Callable[..., Page]
) -> None:
    url, workspace, _ = world
    page = open_page(f"{url}/data")
    upload(page, make_zip(PICTURES | {"../../![x](evil.example).png": b"x"}))
    work(page, workspace)
    expect(page.get_by_text("leads out of the folder it is unpacked to")).to_be_visible()
    settle(page)
    accessible(page)
    assert datasets.list_datasets(workspace) == []

    upload(page, make_zip(PICTURES))
    work(page, workspace)
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("4")
    (dataset,) = datasets.list_datasets(workspace)
    assert dataset.root.is_relative_to(workspace.uploads_dir)
    assert list(workspace.uploads_dir.iterdir()) == [dataset.root]


def test_split_twins_means_and_filters_are_accessible(
    world: tuple[str, Workspace, Path], open_page: Callable[..., Page]
) -> None:
    url, workspace, home = world
    root = home / "split"
    write_classes(root / "train", {"owl": 8, "wren": 8})
    write_classes(root / "test", {"owl": 3, "wren": 3}, first_seed=50)
    shutil.copy(root / "train" / "owl" / "000.png", root / "test" / "owl" / "twin.png")
    (root / "metadata.csv").write_text("path,camera\ntrain/owl/000.png,Canon\ntrain/wren/000.png,Nikon\n")
    dataset = datasets.add_folder(workspace, root)
    table = audit.audit(workspace, dataset)
    audit.update_class_means(workspace, dataset, table)
    metadata.update(workspace, dataset, table["path"].tolist())

    page = open_page(f"{url}/data?dataset={dataset.id}")
    page.get_by_role("button", name="Filter by metadata").click()
    expect(page.get_by_role("combobox", name="camera")).to_be_visible()
    accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Classes and split").click()
    expect(page.get_by_text("1 of 7 test pictures had a twin in train")).to_be_visible()
    expect(page.get_by_role("img", name="Mean of 11 pictures of owl")).to_be_visible()
    settle(page)
    accessible(page)
    page.get_by_text("Make a new one").click()
    expect(page.get_by_text("to learn from", exact=False).first).to_be_visible()
