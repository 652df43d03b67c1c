"""The shared widgets in a real browser: by keyboard, with names that look like code, in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

import scripts.browser
from core import charts
from tests.browser.conftest import settle

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<img src=https://evil.example/x.png> ![x](https://evil.example/y.png)"  # as in widgets_app.py
ROOM = 770  # pixels of the matrix beside the most confused pairs on a page of 1440
SLOW_MS = 30_000  # for 14,400 cells on a busy machine
CELLS = [(row, column) for row in range(4) for column in range(4)]


@pytest.fixture(scope="module")
def widgets_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the widgets' page, with the real app's settings and theme."""
    folder = tmp_path_factory.mktemp("widgets")
    shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
    shutil.copy(ROOT / "tests" / "browser" / "widgets_app.py", folder / "server.py")
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


def cell(page: Page, row: int, column: int) -> Locator:
    return page.get_by_role("grid").locator("tbody tr").nth(row).locator("td").nth(column)


def place(page: Page) -> tuple[int, int]:
    """Return the row and the column of the cell that has the focus."""
    row, column = page.evaluate(
        "[document.activeElement.parentElement.sectionRowIndex, document.activeElement.cellIndex - 1]"
    )
    return row, column


def test_a_cell_of_the_matrix_is_reached_chosen_left_and_let_go_by_keyboard(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    expect(page.get_by_text("Chosen None")).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(16)
    page.get_by_role("checkbox", name="Shares").focus()
    page.keyboard.press("Tab")
    assert place(page) == (0, 0)
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert place(page) == (1, 2)
    expect(page.get_by_text("Chosen None")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()
    settle(page)
    expect(cell(page, 1, 2)).to_be_focused()
    expect(cell(page, 1, 2)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose 3-0")).to_be_focused()
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(cell(page, 1, 2)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.get_by_text("Chosen (1, 0)")).to_be_visible()
    settle(page)
    expect(page.locator("td[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Chosen None")).to_be_visible()
    settle(page)
    expect(cell(page, 1, 0)).to_be_focused()
    expect(page.locator("td[aria-selected=true]")).to_have_count(0)


def test_the_focus_walks_the_matrix_and_stops_at_its_edges(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{widgets_url}?classes=30")
    cell(page, 0, 0).focus()
    walked = []
    for key in (
        "ArrowUp",
        "ArrowLeft",
        "End",
        "ArrowRight",
        "Control+End",
        "ArrowDown",
        "Home",
        "Control+Home",
    ):
        page.keyboard.press(key)
        walked.append(place(page))
    assert walked == [(0, 0), (0, 0), (0, 29), (0, 29), (29, 29), (29, 29), (29, 0), (0, 0)]
    page.keyboard.press("PageDown")
    down = place(page)[0]
    assert 5 < down < 25
    page.keyboard.press("PageUp")
    assert place(page) == (0, 0)
    expect(page.get_by_text("Chosen None")).to_be_visible()


def test_a_click_chooses_a_cell_of_the_matrix_and_a_second_one_lets_it_go(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    cell(page, 1, 2).click()
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()
    settle(page)
    cell(page, 3, 3).click()
    expect(page.get_by_text("Chosen (3, 3)")).to_be_visible()
    settle(page)
    cell(page, 3, 3).click()
    expect(page.get_by_text("Chosen None")).to_be_visible()
    settle(page)
    cell(page, 0, 0).dblclick()
    expect(page.get_by_text("Chosen (0, 0)")).to_be_visible()


def test_what_is_chosen_elsewhere_is_not_undone_by_what_was_clicked_before(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    cell(page, 1, 2).click()
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Choose 3-0").click()
    expect(page.get_by_text("Chosen (3, 0)")).to_be_visible()
    settle(page)
    page.get_by_text("Shares", exact=True).click()
    expect(cell(page, 0, 0)).to_have_text("90\u00a0%")
    settle(page)
    expect(page.get_by_text("Chosen (3, 0)")).to_be_visible()
    expect(cell(page, 3, 0)).to_have_attribute("aria-selected", "true")
    expect(cell(page, 3, 0)).to_have_attribute("tabindex", "0")


def test_the_matrix_keeps_its_choice_and_the_focus_when_the_theme_changes(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    cell(page, 3, 3).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Chosen (3, 3)")).to_be_visible()
    settle(page)
    light, dark = (dict(charts.shade_colors(is_dark)) for is_dark in (False, True))
    before = background(cell(page, 3, 3))
    assert before in light
    page.emulate_media(color_scheme="dark")
    expect(cell(page, 3, 3)).not_to_have_css("background-color", rgb(before))
    settle(page)
    assert background(cell(page, 3, 3)) in dark
    expect(cell(page, 3, 3)).to_be_focused()
    expect(cell(page, 3, 3)).to_have_attribute("aria-selected", "true")


def background(shown: Locator) -> str:
    """Return a cell's colour as ``#rrggbb``."""
    parts = str(shown.evaluate("e => getComputedStyle(e).backgroundColor"))[4:-1].split(",")
    return "#" + "".join(f"{int(part):02x}" for part in parts)


def rgb(color: str) -> str:
    """Return ``#rrggbb`` as browsers write it."""
    return f"rgb({', '.join(str(int(color[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_the_matrix_says_what_stands_in_a_cell_with_names_as_written(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    grid = page.get_by_role("grid", name="Confusion matrix")
    said = f"2 pictures of {HOSTILE}, taken for 猫: 20\u00a0% of the class"
    expect(grid.get_by_role("gridcell", name=said, exact=True)).to_have_text("2")
    owls = "9 pictures of owl, recognised: 90\u00a0% of the class"
    expect(grid.get_by_role("gridcell", name=owls, exact=True)).to_have_text("9")
    expect(cell(page, 2, 0)).to_have_text("·")
    expect(cell(page, 2, 0)).to_have_attribute(
        "aria-label", "0 pictures of 猫, taken for owl: 0\u00a0% of the class"
    )
    expect(grid.get_by_role("rowheader", name=HOSTILE, exact=True)).to_have_attribute(
        "title", f"{HOSTILE}, 10 pictures"
    )
    expect(grid.get_by_role("columnheader", name=HOSTILE, exact=True)).to_be_visible()
    cell(page, 1, 2).hover()
    expect(cell(page, 1, 2)).to_have_attribute("title", said)
    expect(grid.locator("img")).to_have_count(0)


@pytest.mark.parametrize(("width", "upright"), [(1440, False), (420, True)])
def test_names_stand_only_where_they_do_not_fit_above_their_columns(
    widgets_url: str, open_page: Callable[..., Page], width: int, upright: bool
) -> None:
    page = open_page(widgets_url, viewport={"width": width, "height": 900})
    expect(page.get_by_role("grid")).to_be_visible()
    name = page.get_by_role("columnheader").locator(".name").last.bounding_box()
    assert name is not None
    assert (name["height"] > name["width"]) == upright
    expect(page.locator(".graft-matrix .scrolls")).to_be_hidden()
    assert sideways(page) <= 0


@pytest.mark.parametrize("length", [3, 11, 60])
def test_12_classes_fit_beside_the_most_confused_pairs(
    widgets_url: str, open_page: Callable[..., Page], length: int
) -> None:
    page = open_page(f"{widgets_url}?classes=12&length={length}")
    grid = page.get_by_role("grid")
    expect(grid).to_be_visible()
    expect(page.locator(".graft-matrix .scrolls")).to_be_hidden()
    box = grid.bounding_box()
    assert box is not None and box["width"] <= ROOM
    names = grid.locator("th.column .name").all()
    clipped = [
        name.evaluate("e => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1")
        for name in names
    ]
    assert not any(clipped)


def sideways(page: Page) -> int:
    """Return by how many pixels the page can be scrolled sideways."""
    return int(page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth"))


@pytest.mark.parametrize("width", [1440, 420])
def test_120_classes_are_drawn_and_scrolled_under_their_headers(
    widgets_url: str, open_page: Callable[..., Page], width: int
) -> None:
    page = open_page(f"{widgets_url}?classes=120", viewport={"width": width, "height": 900})
    expect(page.locator(".graft-matrix td")).to_have_count(14_400, timeout=SLOW_MS)
    expect(page.locator(".graft-matrix .scrolls")).to_have_text(
        "There are 120 classes: scroll the table to see them all."
    )
    assert sideways(page) <= 0
    page.locator(".graft-matrix td").first.focus()
    keys = ["Control+End", *["ArrowLeft"] * 8, "PageUp", "PageUp", "Home", "End", "PageDown"]
    for (
        key
    ) in keys:  # on a narrow page 8 steps to the left lead under the names of the rows, did it not scroll
        page.keyboard.press(key)
        assert uncovered(page, *place(page)), key
    reached = place(page)
    assert reached[1] == 119
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Chosen {reached}")).to_be_visible(timeout=SLOW_MS)
    assert place(page) == reached


def uncovered(page: Page, row: int, column: int) -> bool:
    """Tell whether a cell and the names of its row and its column are in sight, and none covers another."""
    return bool(
        page.evaluate(
            """([row, column]) => {
                const table = document.querySelector(".graft-matrix table");
                const cell = table.tBodies[0].rows[row].cells[column + 1];
                const parts = [cell, cell.parentElement.cells[0], table.tHead.rows[0].cells[column + 1]];
                return parts.every((part) => {
                    const box = part.getBoundingClientRect();
                    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                    const corners = [[x, y], [box.left + 3, y], [box.right - 3, y], [x, box.top + 3]];
                    return corners.every((at) => part.contains(document.elementFromPoint(...at)));
                });
            }""",
            [row, column],
        )
    )


def test_right_cells_and_the_chosen_one_are_told_apart_by_more_than_their_colour(
    widgets_url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(widgets_url)
    cell(page, 3, 0).click()
    expect(page.get_by_text("Chosen (3, 0)")).to_be_visible()
    page.mouse.move(0, 0)
    rings = {at: cell(page, *at).evaluate("e => getComputedStyle(e).boxShadow") for at in CELLS}
    right = {ring for (row, column), ring in rings.items() if row == column}
    assert "none" not in right
    assert {ring for (row, column), ring in rings.items() if row != column} == {"none", rings[3, 0]}
    assert rings[3, 0] not in right
    expect(cell(page, 3, 0)).to_have_css("font-weight", "700")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_widgets_have_no_serious_accessibility_violation(
    widgets_url: str, open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(widgets_url, color_scheme=scheme)
    expect(page.get_by_role("gridcell")).to_have_count(16)
    cell(page, 1, 2).click()
    expect(page.get_by_text("Chosen (1, 2)")).to_be_visible()
    settle(page)
    found = Axe().run(page).response["violations"]
    assert [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")] == []
