"""Pages in the middle of things, in a real browser: readable for everybody, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core import datasets, images, queue, runs
from core.errors import UnreadableImage
from core.queue import Job
from core.workspace import Workspace
from scripts.browser import serving, settle
from tests.browser.conftest import accessible
from tests.pictures import encode, noise
from tests.worlds import add_dataset, begin_training, emit_epochs, finished_run

KEEP_TIMERS = """
window.timers = [];
const setTimer = window.setInterval;
window.setInterval = (fire, ...rest) => (window.timers.push(fire), setTimer(fire, ...rest));
"""
PRESS_AS_TIMERS_FIRE = "button => { button.click(); window.timers.forEach(fire => fire()); }"
"""What a browser that was busy for a second does: what is pressed is sent after the timers that are due."""
NOT_INK = """() => {
  const ink = getComputedStyle(document.querySelector('[data-testid="stMain"]')).color;
  const texts = [...document.querySelectorAll('[data-testid="stPlotlyChart"] text')];
  return texts.filter(text => getComputedStyle(text).fill !== ink).map(text => text.outerHTML);
}"""
"""Returns texts of figures that are not in the colour of the page's texts."""
NAMES = ("![x](evil.example)", "<img src=x>", "猫头鹰")


@pytest.fixture(scope="module")
def held_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose device is held, so that nothing moves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_DEVICE", "cpu")
        workspace = Workspace(tmp_path_factory.mktemp("states") / "graft")
        with queue.hold_device(workspace, "cpu") as held:
            assert held
            yield workspace


@pytest.fixture(scope="module")
def world(held_workspace: Workspace) -> Iterator[tuple[str, dict[str, str]]]:
    """A server and the ids of a running, a failed and a finished run."""
    ids = _runs(held_workspace, held_workspace.home.parent)
    with serving(held_workspace.home) as url:
        yield url, ids


def _runs(workspace: Workspace, folder: Path) -> dict[str, str]:
    dataset = add_dataset(workspace, folder / "birds", dict.fromkeys(NAMES, 10))
    failed = begin_training(workspace, dataset)
    queue.finish(workspace, failed, "failed", message="It broke.", traceback="Traceback: it broke")
    running = begin_training(workspace, dataset)
    for stage in ("head", "fine_tune"):
        runs.emit(workspace, running.run_id, "stage", name=stage)
        emit_epochs(workspace, running.run_id, stage, 2)
    queue.report(
        workspace, running.id, {"stage": "fine_tune", "done": 3, "total": 4, "rate": 2.0, "eta_s": 2}
    )
    mistakes = [(NAMES[0], NAMES[2]), (NAMES[1], NAMES[0])]
    earlier = finished_run(workspace, dataset, [*mistakes, (NAMES[2], NAMES[0])])
    done = finished_run(workspace, dataset, mistakes)
    return {"failed": failed.run_id, "running": running.run_id, "earlier": earlier.id, "done": done.id}


@pytest.mark.parametrize(
    ("state", "page", "said"),
    [
        ("running", "training", "3 of 4"),
        ("failed", "training", "It broke."),
        ("done", "evaluation", "Right on 4 of 6"),
        ("done", "training", "Against what?"),
        ("running", "", "A training is under way."),
    ],
)
def test_a_page_in_the_middle_of_things_has_no_serious_accessibility_violation(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page], state: str, page: str, said: str
) -> None:
    url, ids = world
    shown = open_page(f"{url}/{page}?run={ids[state]}")
    expect(shown.get_by_text(said).first).to_be_visible()
    accessible(shown)
    # The theme has changed since the figures were drawn; axe does not look at their texts.
    assert shown.evaluate(NOT_INK) == []


def test_an_error_opened_large_shows_hostile_names_as_they_are(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}&cell=0-2")
    page.get_by_role("group", name="Pictures of the chosen cell").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"This is {NAMES[0]}.")).to_be_visible()
    expect(dialog.get_by_text("The model says 猫头鹰")).to_be_visible()
    expect(dialog.get_by_role("img").first).to_be_visible()
    accessible(page)


def test_the_dialog_of_a_photo_is_walked_through_by_keyboard(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}")
    page.get_by_role("group", name="Misclassified pictures").get_by_role("button").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    expect(dialog.get_by_role("button", name="Previous")).to_be_disabled()
    settle(page)
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("2 of 2")).to_be_visible()
    settle(page)
    for _ in range(8):  # Tab goes round within the dialog
        page.keyboard.press("Tab")
        assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile("photo="))


def test_the_photos_of_a_cell_are_reached_and_opened_by_keyboard(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}")
    expect(page.get_by_role("gridcell").first).to_be_visible()
    page.get_by_role("radio", name="Shown").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("gridcell").first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("cell=0-2"))
    photos = page.get_by_role("group", name="Pictures of the chosen cell")
    expect(photos.get_by_role("button")).to_have_count(1)
    settle(page)
    expect(page.get_by_role("gridcell").nth(2)).to_be_focused()
    page.keyboard.press("Tab")
    expect(photos.get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text(f"This is {NAMES[0]}.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(photos.get_by_role("button")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("gridcell").nth(2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(photos).to_have_count(0)
    assert "cell" not in page.url


def test_the_back_button_brings_back_the_split_and_the_cell_of_the_url(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}")
    page.locator(".st-key-pairs").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("cell=0-2"))
    expect(page.get_by_role("group", name="Pictures of the chosen cell").get_by_role("button")).to_have_count(
        1
    )
    settle(page)
    page.get_by_role("radio", name="validation").click()
    expect(page).to_have_url(re.compile("split=val"))
    expect(page.get_by_text("Right on 6 of 6 validation pictures")).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_text("Right on 4 of 6 test pictures")).to_be_visible()
    expect(page.get_by_role("group", name="Pictures of the chosen cell").get_by_role("button")).to_have_count(
        1
    )
    assert "split" not in page.url
    assert "cell=0-2" in page.url
    settle(page)
    page.go_back()
    expect(page.get_by_role("group", name="Pictures of the chosen cell")).to_have_count(0)
    assert "cell" not in page.url


def test_closing_a_photo_and_leaving_by_a_link_are_one_step_of_the_back_button_each(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}")
    page.get_by_role("group", name="Misclassified pictures").get_by_role("button").first.click()
    expect(page.get_by_role("dialog").get_by_text("1 of 2")).to_be_visible()
    settle(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog").get_by_text("2 of 2")).to_be_visible()
    settle(page)
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("photo="))
    expect(page.get_by_role("dialog")).to_have_count(0)
    settle(page)
    page.locator(".st-key-pairs").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("cell=0-2"))
    settle(page)
    page.get_by_role("link", name="Runs").click()
    expect(page).to_have_url(re.compile("/runs"))
    settle(page)
    page.go_back()
    expect(page).to_have_url(re.compile("evaluation.*cell=0-2"))
    settle(page)
    page.go_back()
    expect(page).not_to_have_url(re.compile("cell="))


@pytest.mark.parametrize(("width", "stacked"), [(1440, False), (800, False), (480, True), (390, True)])
def test_loss_and_accuracy_go_one_below_the_other_where_the_page_is_narrow(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page], width: int, stacked: bool
) -> None:
    url, ids = world
    page = open_page(f"{url}/training?run={ids['running']}", viewport={"width": width, "height": 900})
    figures = page.locator(".js-plotly-plot")
    expect(figures).to_have_count(3)  # the last one is the learning rate
    loss, accuracy = figures.nth(0).bounding_box(), figures.nth(1).bounding_box()
    assert loss is not None and accuracy is not None
    assert (accuracy["y"] > loss["y"] + loss["height"] / 2) == stacked


def test_the_most_confused_pairs_stand_in_columns(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/evaluation?run={ids['done']}")
    predicted = page.locator(".st-key-pairs button code:last-of-type")
    expect(predicted).to_have_count(2)
    boxes = [name.bounding_box() for name in predicted.all()]
    assert len({box["x"] for box in boxes if box is not None}) == 1


def test_runs_are_compared_by_keyboard_and_by_everybody(
    world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/runs?compared={ids['done']},{ids['earlier']}&compare_split=test")
    expect(page.get_by_role("heading", name="Fixed: 1 picture")).to_be_visible()
    accessible(page, ["dark"])  # the other theme has the same parts
    change = page.get_by_role("grid", name="Difference of the confusion matrices")
    cell = change.get_by_role("gridcell", name=f"taken for {NAMES[0]}: \N{MINUS SIGN}1 (1 → 0 pictures)")
    change.get_by_role("gridcell").first.focus()
    for key in ("Control+End", "Home"):
        page.keyboard.press(key)
    expect(cell).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("compare_cell=2-0"))
    left = page.get_by_role("group", name="Pictures that left the cell").get_by_role("button")
    expect(left).to_have_count(1)
    settle(page)
    left.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text(f"This is {NAMES[2]}.")).to_be_visible()
    expect(page).to_have_url(re.compile("compare_photo=[0-9]+"))
    settle(page)
    page.keyboard.press("Escape")
    expect(left).to_be_focused()
    expect(page).not_to_have_url(re.compile("compare_photo="))


def drop(page: Page, workspace: Workspace, files: dict[str, bytes]) -> None:
    """Drop photos on Predict and answer as a session would, but for the network."""
    page.locator("input[type=file][multiple]").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files.items()]
    )
    _answer(workspace, taken(page, workspace, "predict"))


def _answer(workspace: Workspace, job: Job) -> None:
    paths = [Path(path) for path in job.args["paths"]]
    said = {"predicted": NAMES[2], "probability": 0.8, "unlike": False, "unsure": False}
    said |= {"top": [{"class": NAMES[2], "probability": 0.8}, {"class": NAMES[0], "probability": 0.2}]}
    answers = [
        {"path": str(path)} | ({"error": str(found)} if isinstance(found, UnreadableImage) else said)
        for path, found in zip(paths, images.iterate_decoded(paths, (32, 32)), strict=True)
    ]
    queue.finish(workspace, job, "done", result={"predictions": answers})


def taken(page: Page, workspace: Workspace, kind: str) -> Job:
    """Wait until something was asked, and take it."""
    expect(page.locator("[class*=st-key-cancel_]").first).to_be_visible()
    job = queue.claim(workspace, "cpu", "answer", "a session of the tests")
    assert job is not None and job.kind == kind
    return job


def test_a_photo_is_dropped_answered_and_explained_and_what_is_none_is_refused_in_words(
    held_workspace: Workspace, world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/predict?run={ids['done']}")
    drop(page, held_workspace, {"holiday.png": encode(noise(9_100))})
    expect(page.get_by_text(f"The model says {NAMES[2]}, 80.0")).to_be_visible()
    page.get_by_role("button", name="Where did it look?").click()
    job = taken(page, held_workspace, "explain")
    looked = {"classes": [NAMES[2]], "maps": [[[0.0, 1.0]]], "probabilities": [0.8], "is_exact": True}
    queue.finish(held_workspace, job, "done", result=looked | {"compares": "features", "neighbours": [[]]})
    expect(page.get_by_text("is what spoke for the class")).to_be_visible()

    drop(page, held_workspace, {"a.png": b"only words", "b.png": encode(Image.new("1", (13_000, 12_000)))})
    expect(page.get_by_text("2 photos, 0 doubtful, 2 not readable")).to_be_visible()
    refused = page.get_by_role("group", name="Photos and what the model says of them").get_by_role("button")
    expect(refused).to_have_text([re.compile("not readable"), re.compile("not readable")])
    refused.nth(1).click()
    expect(page.get_by_role("dialog").get_by_text("Expected at most 150 megapixels")).to_be_visible()


def test_what_is_pressed_just_as_a_timer_fires_happens_once(
    held_workspace: Workspace, world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/predict?run={ids['done']}")
    drop(page, held_workspace, {"once.png": encode(noise(9_101))})
    page.add_init_script(KEEP_TIMERS)
    page.reload()
    settle(page)
    page.get_by_role("button", name="Where did it look?").evaluate(PRESS_AS_TIMERS_FIRE)
    job = taken(page, held_workspace, "explain")
    settle(page)
    assert [one.id for one in queue.list_jobs(held_workspace, kind="explain", active=True)] == [job.id]
    queue.finish(held_workspace, job, "cancelled")


def test_what_cannot_be_deleted_is_said_in_the_question_and_the_page_keeps_its_style(
    held_workspace: Workspace, world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, _ = world
    dataset = add_dataset(held_workspace, held_workspace.home.parent / "wanted", {"a": 3}, audited=False)
    page = open_page(f"{url}/data?dataset={dataset.id}")
    page.get_by_role("button", name="Other pictures").click()
    page.locator(f".st-key-data_delete_{dataset.id}").get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    delete = dialog.locator(".st-key-data_delete_yes").get_by_role("button")
    expect(delete).to_be_visible()
    job = queue.submit_audit(held_workspace, dataset.id)
    delete.click()
    expect(dialog.get_by_text("It is being worked on. Cancel that first.")).to_be_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('style')].some(e => e.textContent.includes('graft-chips'))"
    )
    queue.cancel(held_workspace, job.id)
    settle(page)
    delete.dblclick()
    expect(dialog).to_have_count(0)
    settle(page)
    expect(page.get_by_text("There is no dataset")).to_have_count(0)
    assert dataset.id not in [known.id for known in datasets.list_datasets(held_workspace)]


def test_a_photo_is_taken_with_the_camera_and_answered(
    held_workspace: Workspace, world: tuple[str, dict[str, str]], open_page: Callable[..., Page]
) -> None:
    url, ids = world
    page = open_page(f"{url}/predict?run={ids['done']}")
    page.get_by_text("Camera", exact=True).click()
    # Before the first picture of the camera the button does nothing.
    page.wait_for_function(
        "document.querySelector('video')?.readyState === HTMLMediaElement.HAVE_ENOUGH_DATA"
    )
    page.get_by_role("button", name="Take Photo").click()
    _answer(held_workspace, taken(page, held_workspace, "predict"))
    expect(page.get_by_text(f"The model says {NAMES[2]}, 80.0")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("camera.*jpg"))).to_be_visible()
