"""The shared widgets in a real browser: by keyboard, with names that look like code, in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

import scripts.browser
from pages.components.matrix import NAMED_WIDTH, ROW_HEIGHT
from tests.browser.conftest import settle

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<img src=https://evil.example/x.png> ![x](https://evil.example/y.png)"  # as in widgets_app.py


@pytest.fixture(scope="module")
def widgets_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the widgets' page, with the real app's settings and theme."""
    folder = tmp_path_factory.mktemp("widgets")
    shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
    shutil.copy(ROOT / "tests" / "browser" / "widgets_app.py", folder / "streamlit_app.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts.browser, "ROOT", folder)
        with scripts.browser.serving(folder / "graft", PYTHONPATH=str(ROOT)) as url:
            yield url


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_a_gallery_is_walked_and_opened_by_keyboard_and_gets_the_focus_back(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    group = page.get_by_role("group", name="Photos")
    expect(group.get_by_role("button")).to_have_count(11)
    group.get_by_role("button").first.focus()
    columns = len(group.evaluate("e => getComputedStyle(e).gridTemplateColumns").split())
    assert 1 < columns < 11
    walked = []
    for key in ("ArrowRight", "ArrowDown", "End", "ArrowRight", "Home", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        walked.append(focused(page).split(",")[0])
    assert walked == [f"Photo {n}" for n in (1, 1 + columns, 10, 10, 0, 0, 0)]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("Opened 1")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Photo 1, not readable")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(group.locator(":focus")).to_have_count(0)


def test_a_click_opens_a_picture_again_and_again(widgets_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(widgets_url)
    for _ in range(2):
        page.get_by_role("button", name="Photo 5, wrong").click()
        expect(page.get_by_role("dialog").get_by_text("Opened 5")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_gallery_shows_names_as_written_and_each_picture_in_its_own_way(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    group = page.get_by_role("group", name="Photos")
    unreadable = group.get_by_role("button", name="Photo 1, not readable")
    expect(unreadable.get_by_text(HOSTILE, exact=True)).to_be_visible()
    expect(unreadable.locator(".frame")).to_have_class("frame broken")
    expect(group.locator("img")).to_have_count(11)
    wide = group.get_by_role("button", name="Photo 2, right").locator("img")
    expect(wide).to_have_css("object-fit", "contain")
    expect(group.get_by_role("button", name="Photo 0").locator("img")).to_have_css("object-fit", "cover")
    expect(group.get_by_role("button", name="Photo 3").locator("img")).to_have_css(
        "image-rendering", "pixelated"
    )


def test_a_cell_of_the_matrix_is_reached_by_keyboard(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    expect(page.get_by_text("Chosen None")).to_be_visible()
    page.get_by_test_id("data-grid-canvas").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Chosen (0, 0)")).to_be_visible()
    settle(page)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text("Chosen (1, 1)").or_(page.get_by_text("Chosen (1, 0)"))).to_be_visible()


def test_a_cell_of_the_matrix_is_reached_by_mouse(widgets_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(widgets_url)
    grid = page.get_by_test_id("data-grid-canvas").first
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    third_of_four = box["x"] + box["width"] - 1.5 * NAMED_WIDTH
    page.mouse.click(third_of_four, box["y"] + 2.5 * ROW_HEIGHT)
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_widgets_have_no_serious_accessibility_violation(
    widgets_url: str, open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(widgets_url, color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    assert [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")] == []
