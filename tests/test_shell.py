"""The frame around the pages: what is current, how it follows the URL, and what happens when something fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import audit, datasets, runs
from core.workspace import Workspace
from pages.components import shell

ENTRY = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")
PAGES = [f"pages/{name}.py" for name in shell.ICONS]


@pytest.fixture
def app(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    return AppTest.from_file(ENTRY, default_timeout=20)


def _dataset(workspace: Workspace, folder: Path, name: str) -> str:
    for label in ("owl", "wren"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / label / f"{number}.png")
    return datasets.add_folder(workspace, folder, name=name).id


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> str:
    return _dataset(workspace, tmp_path / "birds", "Birds")


@pytest.fixture
def fish(workspace: Workspace, tmp_path: Path) -> str:
    return _dataset(workspace, tmp_path / "fish", "Fish")


@pytest.fixture
def birds_run(workspace: Workspace, birds: str) -> str:
    return runs.create(workspace, birds, "Birds", {"backbone": "tiny"}).id


def _params(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def _chips(app: AppTest) -> str:
    return "".join(element.value for element in app.html if "<p " in element.value)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_renders_with_nothing_in_the_workspace(app: AppTest, page: str) -> None:
    app.run().switch_page(page).run()
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1


def test_the_url_brings_dataset_and_run(app: AppTest, birds: str, birds_run: str) -> None:
    app.query_params["run"] = birds_run
    app.run()
    assert _params(app) == {"dataset": birds, "run": birds_run}
    assert "Birds" in _chips(app)
    assert "tiny" in _chips(app)


def test_what_is_current_survives_a_change_of_page(app: AppTest, birds: str) -> None:
    app.query_params["dataset"] = birds
    app.run()
    app.query_params.clear()
    app.switch_page("pages/data.py").run()
    assert _params(app) == {"dataset": birds}
    assert "Birds" in _chips(app)


@pytest.mark.parametrize("unknown", ["nothing-of-that-name", "../../etc", "", "%00"])
def test_unknown_ids_in_the_url_are_ignored(app: AppTest, birds: str, unknown: str) -> None:
    app.query_params["dataset"] = birds
    app.run()
    app.query_params["dataset"] = unknown
    app.query_params["run"] = unknown
    app.run()
    assert not app.exception
    assert not app.error
    assert _params(app) == {"dataset": birds}


def _captions(app: AppTest) -> str:
    return "\n".join(element.value for element in app.caption)


UNKNOWN = "20200101-000000-abcd"


@pytest.mark.parametrize(
    ("kind", "instead"), [("dataset", "Shown instead: Dataset `Birds`."), ("run", "No run is chosen.")]
)
def test_an_unknown_id_in_the_url_is_said_once_with_what_is_shown_instead(
    app: AppTest, birds: str, kind: str, instead: str
) -> None:
    app.query_params[kind] = UNKNOWN
    app.run()
    (told,) = [line for line in _captions(app).splitlines() if "There is no" in line]
    assert f"There is no {kind} `{UNKNOWN}`" in told
    assert told.endswith(instead)
    app.run()
    assert "There is no" not in _captions(app)


def test_of_an_unknown_dataset_and_run_each_is_said_with_its_own_replacement(
    app: AppTest, birds: str, birds_run: str
) -> None:
    app.query_params.update(dataset=UNKNOWN, run=UNKNOWN)
    app.run()
    dataset, run = [line for line in _captions(app).splitlines() if "There is no" in line]
    assert "There is no dataset" in dataset and dataset.endswith("Shown instead: Dataset `Birds`.")
    assert "There is no run" in run and "Shown instead: Run `tiny" in run


def test_a_known_run_beside_an_unknown_dataset_leads_to_its_own_dataset_and_says_so(
    app: AppTest, birds: str, birds_run: str
) -> None:
    app.query_params.update(dataset=UNKNOWN, run=birds_run)
    app.run()
    assert _params(app) == {"dataset": birds, "run": birds_run}
    assert "Shown instead: Dataset `Birds`." in _captions(app)
    assert "There is no run" not in _captions(app)


def test_a_run_whose_dataset_was_removed_is_not_called_missing(
    app: AppTest, workspace: Workspace, birds: str, birds_run: str
) -> None:
    datasets.remove(workspace, birds)
    app.query_params.update(dataset=birds, run=birds_run)
    app.run()
    assert _params(app) == {"run": birds_run}
    assert "There is no" not in _captions(app)


def test_another_dataset_sends_away_a_run_that_is_not_about_it(
    app: AppTest, fish: str, birds_run: str
) -> None:
    app.query_params["run"] = birds_run
    app.run()
    app.query_params["dataset"] = fish
    app.run()
    assert _params(app) == {"dataset": fish}


def test_a_url_that_names_both_is_followed_as_a_whole(
    app: AppTest, workspace: Workspace, fish: str, birds: str, birds_run: str
) -> None:
    fish_run = runs.create(workspace, fish, "Fish", {"backbone": "tiny"}).id
    app.query_params.update(dataset=fish, run=fish_run)
    app.run()
    app.query_params.update(dataset=birds, run=birds_run)
    app.run()
    assert _params(app) == {"dataset": birds, "run": birds_run}


def test_what_was_deleted_is_current_no_more(
    app: AppTest, workspace: Workspace, birds: str, birds_run: str
) -> None:
    app.query_params["run"] = birds_run
    app.run()
    runs.set_state(workspace, birds_run, "cancelled")
    runs.delete(workspace, birds_run)
    app.run()
    assert _params(app) == {"dataset": birds}


def test_a_damaged_run_does_not_block_the_pages(
    app: AppTest, workspace: Workspace, birds: str, birds_run: str
) -> None:
    app.query_params["run"] = birds_run
    app.run()
    (runs.folder(workspace, birds_run) / "run.json").write_text("{")
    app.run()
    assert not app.exception
    assert not app.error
    assert _params(app) == {"dataset": birds}


def test_names_cannot_become_html_in_the_header(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    hostile = _dataset(workspace, tmp_path / "hostile", "<img src=x onerror=alert(1)>")
    app.query_params["dataset"] = hostile
    app.run()
    assert "<img" not in _chips(app)
    assert "&lt;img" in _chips(app)


def test_a_workspace_that_cannot_be_used_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("GRAFT_HOME", str(blocked / "graft"))
    app = AppTest.from_file(ENTRY, default_timeout=20).run()
    assert not app.exception
    assert "Set GRAFT\\_HOME" in app.error[0].value


@pytest.mark.parametrize("page", PAGES)
def test_a_device_that_is_not_there_is_explained_and_every_page_still_opens(
    app: AppTest, workspace: Workspace, birds: str, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    audit.audit(workspace, datasets.get(workspace, birds))
    monkeypatch.setenv("GRAFT_DEVICE", "tpu")
    app.query_params["dataset"] = birds
    app.run().switch_page(page).run()
    assert not app.exception
    assert len(app.title) == 1
    (told,) = app.sidebar.error
    assert told.value.startswith("GRAFT\\_DEVICE is `tpu`\\. Expected a device of this machine")


def _failing(message: str) -> None:
    from core.errors import DataError
    from pages.components import shell

    with shell.errors():
        raise DataError(message)


def test_the_error_boundary_shows_names_as_code() -> None:
    app = AppTest.from_function(_failing, args=('No folder "![x](https://evil.example)".',)).run()
    assert app.error[0].value == "No folder `![x](https://evil.example)`\\."
    assert not app.exception


def _buggy() -> None:
    from pages.components import shell

    with shell.errors():
        raise ZeroDivisionError("a bug")


def test_the_error_boundary_lets_bugs_pass() -> None:
    app = AppTest.from_function(_buggy).run()
    assert len(app.exception) == 1
    assert not app.error
