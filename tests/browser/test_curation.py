"""Acting on the audit in a real browser: a gallery without a mouse, undo, thresholds, names that look like code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core import audit, curation, datasets, queue
from core.curation import Decision
from core.datasets import Dataset
from core.workspace import Workspace
from scripts.browser import serving, settle
from tests.browser.conftest import accessible
from tests.pictures import write_classes

HOSTILE = "![x](evil.example)"
NUM_COPIES = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Workspace]]:
    folder = tmp_path_factory.mktemp("curation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_DEVICE", "cpu")
        workspace = Workspace(folder / "graft")
        with queue.hold_device(workspace, "cpu") as held:
            assert held
            with serving(workspace.home) as url:
                yield url, workspace


@pytest.fixture
def birds(server: tuple[str, Workspace], tmp_path: Path) -> Dataset:
    """Six pictures with a copy each in the same class, of two other names."""
    root = write_classes(tmp_path / "birds", {HOSTILE: 14, "wren": 14})
    for number in range(NUM_COPIES):
        shutil.copy(root / "wren" / f"{number:03d}.png", root / "wren" / f"{number:03d} copy.png")
    dataset = datasets.add_folder(server[1], root)
    audit.audit(server[1], dataset)
    return dataset


@pytest.fixture
def page(server: tuple[str, Workspace], birds: Dataset, open_page: Callable[..., Page]) -> Page:
    """The Data page, at what the check for exact duplicates found."""
    page = open_page(f"{server[0]}/data?dataset={birds.id}")
    page.get_by_role("button", name="Exact duplicates 12").click()
    expect(cards(page)).to_have_count(12)
    settle(page)
    return page


def cards(page: Page) -> Locator:
    return page.get_by_role("listbox").get_by_role("option")


def decided(server: tuple[str, Workspace], dataset: Dataset) -> list[Decision]:
    return list(curation.load(server[1], dataset.id).decisions)


def test_pictures_are_walked_selected_and_excluded_by_keyboard_and_undo_brings_them_back(
    server: tuple[str, Workspace], birds: Dataset, page: Page
) -> None:
    cards(page).first.focus()
    for key in ("ArrowRight", "Space", "ArrowRight", "ArrowRight", "Space"):
        page.keyboard.press(key)
    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(cards(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("x")
    expect(cards(page)).to_have_count(8)
    expect(page.get_by_role("listbox").locator(":focus")).to_have_count(1)
    assert [(one.path, one.kind) for one in decided(server, birds)] == [
        ("wren/000.png", "exclude"),
        ("wren/001.png", "exclude"),
    ]
    page.get_by_role("button", name="Undo: exclude 2 files").click()
    expect(cards(page)).to_have_count(12)
    expect(page.get_by_role("button", name="Redo: exclude 2 files")).to_be_visible()
    assert decided(server, birds) == []


def test_a_key_decides_about_the_picture_that_has_the_focus_when_none_is_selected(
    server: tuple[str, Workspace], birds: Dataset, page: Page
) -> None:
    cards(page).last.focus()
    page.keyboard.press("k")
    expect(cards(page)).to_have_count(11)
    assert [(one.kind, one.value) for one in decided(server, birds)] == [("keep", "exact_duplicate")]


def test_selections_grow_by_shift_all_at_once_and_go_by_escape(page: Page) -> None:
    cards(page).first.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Nothing selected")).to_be_visible()
    page.keyboard.press("Control+a")
    expect(page.get_by_text("12 selected")).to_be_visible()
    page.keyboard.press("Escape")
    cards(page).first.click()
    cards(page).nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("5 selected")).to_be_visible()


def test_up_and_down_lead_through_the_rows_of_groups(page: Page) -> None:
    cards(page).first.focus()
    page.keyboard.press("ArrowDown")
    here = page.evaluate("document.activeElement.getBoundingClientRect().top")
    first = cards(page).first.evaluate("card => card.getBoundingClientRect().top")
    assert here > first
    page.keyboard.press("ArrowUp")
    expect(cards(page).first).to_be_focused()
    page.keyboard.press("End")
    expect(cards(page).last).to_be_focused()


def test_spare_copies_are_selected_at_once_and_relabelled_to_a_class_with_a_hostile_name(
    server: tuple[str, Workspace], birds: Dataset, page: Page
) -> None:
    page.get_by_role("button", name="Select spare copies").click()
    expect(page.get_by_text(f"{NUM_COPIES} selected")).to_be_visible()
    relabel = page.get_by_role("button", name="Relabel", exact=True)
    expect(relabel).to_have_attribute("aria-disabled", "true")
    page.get_by_role("combobox", name="Class to relabel to").last.select_option(HOSTILE)
    relabel.click()
    expect(page.get_by_text(f"0 excluded, {NUM_COPIES} relabelled in all")).to_be_visible()
    assert {one.value for one in decided(server, birds)} == {HOSTILE}
    expect(page.get_by_role("button", name="Label conflicts 12")).to_be_visible()


def test_a_picture_is_enlarged_by_enter_and_the_focus_comes_back(page: Page) -> None:
    cards(page).nth(2).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(cards(page).nth(2)).to_be_focused()


def test_a_photo_that_is_open_takes_a_tag(server: tuple[str, Workspace], birds: Dataset, page: Page) -> None:
    cards(page).first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Decide about it").click()
    page.get_by_role("textbox", name="Tag").fill(HOSTILE)
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(dialog.get_by_text(HOSTILE, exact=True)).to_be_visible()
    accessible(page)
    settle(page)
    for left in (1, 0):  # the first closes what the decision was made in, the second the photo
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(left)
    assert [(one.kind, one.value) for one in decided(server, birds)] == [("tag", HOSTILE)]


def test_a_threshold_moves_counts_and_is_there_for_the_next_visitor(
    server: tuple[str, Workspace], birds: Dataset, open_page: Callable[..., Page]
) -> None:
    audit.save_thresholds(server[1], birds.id, audit.Thresholds(too_small=36))
    page = open_page(f"{server[0]}/data?dataset={birds.id}")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_role("combobox", name="Check").fill("Too small")
    page.keyboard.press("Enter")
    settle(page)
    slider = page.get_by_role("slider")
    expect(slider).to_have_value("36")
    slider.press("ArrowRight")
    expect(page.get_by_role("button", name="Too small pictures 34")).to_be_visible()
    settle(page)
    assert audit.load_thresholds(server[1], birds.id).too_small == 37
    other = open_page(f"{server[0]}/data?dataset={birds.id}")
    expect(other.get_by_role("button", name="Too small pictures 34")).to_be_visible()
    page.get_by_role("button", name="Back to 32").click()
    expect(page.get_by_role("button", name="Too small pictures 34")).to_have_count(0)


def test_two_visitors_lose_none_of_each_others_decisions(
    server: tuple[str, Workspace], birds: Dataset, page: Page, open_page: Callable[..., Page]
) -> None:
    other = open_page(f"{server[0]}/data?dataset={birds.id}")
    other.get_by_role("button", name="Exact duplicates 12").click()
    expect(cards(other)).to_have_count(12)
    for shown, place in ((page, 0), (other, 11)):
        cards(shown).nth(place).focus()
        shown.keyboard.press("x")
        settle(shown)
    expect(other.get_by_text("2 excluded, 0 relabelled in all")).to_be_visible()
    assert len(decided(server, birds)) == 2


def test_checks_and_decisions_have_no_serious_accessibility_violation(
    server: tuple[str, Workspace], birds: Dataset, page: Page
) -> None:
    cards(page).first.click()
    accessible(page)
    cards(page).first.focus()
    page.keyboard.press("x")
    expect(cards(page)).to_have_count(10)
    page.get_by_role("tab", name="Decisions").click()
    expect(page.get_by_role("heading", name="Write a cleaned copy")).to_be_visible()
    accessible(page)
