"""The frame in a real browser: cold deep links, names that look like code, colours, and no word to the outside."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from core import datasets
from core.workspace import Workspace
from pages.components.shell import SIDEBAR_WIDTH_PX
from scripts.browser import serving, settle

TITLES = {
    "": "Home",
    "data": "Data",
    "training": "Training",
    "evaluation": "Evaluation",
    "predict": "Predict",
    "runs": "Runs",
}
HOSTILE = "![x](https://evil.example/x.png) <img src=https://evil.example/y.png> 猫"


def _add_dataset(home: Path, folder: Path, name: str) -> str:
    for label in ("owl", "wren"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / label / f"{number}.png")
    return datasets.add_folder(Workspace(home), folder, name=name).id


def _navigation(page: Page) -> list[str]:
    return page.get_by_test_id("stSidebarNav").get_by_role("link").all_inner_texts()


def test_a_cold_deep_link_with_a_query_reaches_its_page_through_the_frame(
    tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    dataset_id = _add_dataset(tmp_path / "graft", tmp_path / "birds", HOSTILE)
    with serving(tmp_path / "graft") as url:
        page = open_page(f"{url}/training?dataset={dataset_id}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Training")
        expect(page).to_have_title("Training · Graft")
        expect(page.get_by_text(HOSTILE)).to_be_visible()
        assert page.url == f"{url}/training?dataset={dataset_id}"
        assert [text.split()[-1] for text in _navigation(page)] == list(TITLES.values())
        page.get_by_role("link", name="Evaluation").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Evaluation")
        settle(page)
        assert page.url == f"{url}/evaluation?dataset={dataset_id}"
        page.reload()
        settle(page)
        expect(page.get_by_text(HOSTILE)).to_be_visible()


def test_the_first_visitor_finds_the_sidebar_and_the_history_as_later_ones_do(
    tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    dataset_id = _add_dataset(tmp_path / "graft", tmp_path / "birds", "birds")
    with serving(tmp_path / "graft") as url:
        for _ in range(2):
            page = open_page(f"{url}/training?dataset={dataset_id}")
            sidebar = page.get_by_test_id("stSidebar").bounding_box()
            assert sidebar is not None and sidebar["width"] == SIDEBAR_WIDTH_PX
            page.go_back()
            assert page.url == "about:blank"


def test_one_click_of_the_back_button_leads_from_page_to_page(
    tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    dataset_id = _add_dataset(tmp_path / "graft", tmp_path / "birds", "birds")
    with serving(tmp_path / "graft") as url:
        page = open_page(f"{url}/training?dataset={dataset_id}")
        page.get_by_role("link", name="Evaluation").click()
        expect(page).to_have_url(f"{url}/evaluation?dataset={dataset_id}")
        settle(page)
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Training")


def test_a_cold_deep_link_to_home_under_its_own_name_shows_home(
    tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    with serving(tmp_path / "graft") as url:
        page = open_page(f"{url}/home")
        expect(page).to_have_title("Home · Graft")
        expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", TITLES)
def test_an_empty_page_has_no_serious_accessibility_violation(
    app_url: str, open_page: Callable[..., Page], path: str, scheme: str
) -> None:
    page = open_page(f"{app_url}/{path}", color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    assert [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 101), ("evil.example", 403)])
def test_only_this_machine_may_open_the_websocket(app_url: str, host: str, status: int) -> None:
    handshake = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    connection = http.client.HTTPConnection(app_url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/_stcore/stream", headers=handshake)
    assert connection.getresponse().status == status
    connection.close()
