"""The Data page in each of its states: nothing, choosing, under way, failed, done, refused, changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import audit, datasets, queue
from core.datasets import Dataset
from core.queue import Job
from core.workspace import Workspace, read_json
from pages.components import split_facts
from tests.pictures import write, write_classes
from tests.users import open_folder, unprivileged

ENTRY = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")
HOSTILE_CLASSES = (
    "![x](https:evil.example)",
    "<img src=x onerror=alert(1)>",
    ":red[red] $x$ `tick`",
    "猫と犬",
)


@pytest.fixture
def app(served: None) -> AppTest:
    st.cache_data.clear()
    return AppTest.from_file(ENTRY, default_timeout=30).switch_page("pages/data.py")


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return _audited(workspace, write_classes(tmp_path / "birds", {"owl": 20, "wren": 10}))


def _audited(workspace: Workspace, folder: Path) -> Dataset:
    dataset = datasets.add_folder(workspace, folder)
    audit.audit(workspace, dataset)
    return dataset


def _open(app: AppTest, dataset: Dataset, tab: str = "") -> AppTest:
    app.query_params["dataset"] = dataset.id
    if tab:
        app.session_state["data_tab"] = tab
    app.run()
    assert not app.exception
    return app


def _texts(app: AppTest) -> str:
    return "\n".join(
        str(element.value) for kind in ("markdown", "caption", "text") for element in app.get(kind)
    )


def _metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def _running(workspace: Workspace) -> Job:
    job = queue.claim(workspace, "cpu", "data", "a-session")
    assert job is not None
    return job


def _use_folder(app: AppTest, path: str | Path) -> AppTest:
    app.text_input(key="data_folder").set_value(str(path))
    app.button(key="data_folder_submit").click().run()
    assert not app.exception
    return app


# --- nothing yet


def test_the_first_visit_offers_the_samples_and_a_folder(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert not app.button(key="data_sample_digits").disabled
    assert app.text_input(key="data_folder").value == ""
    assert "91 MB to download" in _texts(app)
    assert "├── owl/" in app.code[0].value


def test_the_digits_are_made_by_a_job_and_then_shown(app: AppTest, workspace: Workspace) -> None:
    app.run().button(key="data_sample_digits").click().run()
    job = _running(workspace)
    assert (job.kind, job.args, job.dataset_id) == ("sample", {"sample": "digits"}, "digits")
    app.run()
    assert app.button(key="data_sample_digits").disabled
    assert app.button(key=f"cancel_{job.id}")

    pictures = write_classes(workspace.samples_dir / "digits", {"0": 6, "1": 6})
    dataset = datasets.registry.register(
        workspace, "digits", "Handwritten digits", pictures, "digits", "UCI", "CC BY 4.0"
    )
    audit.audit(workspace, dataset)
    queue.finish(workspace, job, "done", result={"dataset_id": "digits"})
    app.run()
    assert not app.exception
    assert _metrics(app)["Pictures"] == "12"
    assert "licence CC BY 4.0" in _texts(app)
    assert "Source: UCI" in _texts(app)


def test_the_solar_cells_are_fetched_only_after_their_licence_was_shown(
    app: AppTest, workspace: Workspace
) -> None:
    app.run().button(key="data_sample_solar-cells").click().run()
    assert "CC BY-NC-SA 4.0" in _texts(app)
    assert queue.list_jobs(workspace) == []
    app.button(key="data_fetch").click().run()
    assert [job.args for job in queue.list_jobs(workspace)] == [{"sample": "solar-cells"}]


# --- a folder


def test_a_folder_becomes_the_current_dataset_and_is_looked_at(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "猫 写真", {"猫": 3, "犬": 3})
    _use_folder(app.run(), f'"{folder}"')
    (dataset,) = datasets.list_datasets(workspace)
    assert dataset.root == folder
    assert [(job.kind, job.dataset_id) for job in queue.list_jobs(workspace)] == [("audit", dataset.id)]
    assert dataset.id in app.query_params["dataset"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "There is no folder"),
        (lambda path: path.write_bytes(b"x"), "is a file of 1 byte\\."),
        (lambda path: path.mkdir(), "is empty"),
        (lambda path: write(path / "1.png", 1), "has 1 picture directly in it"),
    ],
    ids=["missing", "file", "empty", "no class"],
)
def test_a_folder_that_cannot_be_used_is_explained_and_the_path_kept(
    app: AppTest, workspace: Workspace, tmp_path: Path, make: object, message: str
) -> None:
    path = tmp_path / "somewhere"
    make(path)  # type: ignore[operator]
    _use_folder(app.run(), path)
    assert message in app.error[0].value
    assert app.text_input(key="data_folder").value == str(path)
    assert datasets.list_datasets(workspace) == []


def test_a_folder_without_permission_is_explained(app: AppTest) -> None:
    with open_folder() as folder:
        secret = write_classes(folder / "secret", {"owl": 1})
        secret.chmod(0)
        app.run()
        with _unprivileged_listing():
            _use_folder(app, secret)
        secret.chmod(0o755)
    assert "ermission" in app.error[0].value


@contextlib.contextmanager
def _unprivileged_listing() -> Iterator[None]:
    """Look at folders without root's rights, while the workspace stays writable."""
    original = datasets.registry.require_pictures

    def listing(root: Path, shown: str = "") -> None:
        with unprivileged():
            original(root, shown)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.registry, "require_pictures", listing)
        yield


# --- under way, and ended badly


def test_a_job_under_way_shows_how_far_it_is_and_can_be_cancelled(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 3, "wren": 3}))
    queue.submit(workspace, "audit", {"dataset_id": dataset.id}, dataset_id=dataset.id)
    job = _running(workspace)
    queue.report(workspace, job.id, {"stage": "audit", "done": 2, "total": 6, "rate": 1.0, "eta_s": 4.0})
    _open(app, dataset)
    assert "2 of 6" in app.get("progress")[0].proto.text
    assert not app.metric
    assert app.button(key="data_look_again").disabled
    app.button(key=f"cancel_{job.id}").click().run()
    assert queue.get(workspace, job.id).state == "cancelling"
    assert app.button(key=f"cancel_{job.id}").disabled


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_a_job_that_ended_badly_says_so_and_is_tried_again(
    app: AppTest, workspace: Workspace, tmp_path: Path, state: str
) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 3, "wren": 3}))
    queue.submit(workspace, "audit", {"dataset_id": dataset.id}, dataset_id=dataset.id)
    job = _running(workspace)
    queue.finish(workspace, job, state, message='The disk with "![x](https://evil)" is gone.')
    _open(app, dataset)
    if state != "cancelled":
        assert "`![x](https://evil)`" in (app.error or app.warning)[0].value
    app.button(key=f"retry_{job.id}").click().run()
    assert [job.state for job in queue.list_jobs(workspace)] == ["queued", state]


def test_a_failed_second_look_leaves_what_the_first_one_found(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    queue.submit(workspace, "audit", {"dataset_id": birds.id}, dataset_id=birds.id)
    queue.finish(workspace, _running(workspace), "failed", message="It went wrong.")
    _open(app, birds)
    assert app.error[0].value == "It went wrong\\."
    assert _metrics(app)["Pictures"] == "30"


def test_a_dataset_that_was_never_looked_at_offers_to_do_it(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 3, "wren": 3}))
    _open(app, dataset).button(key="data_look").click().run()
    assert [job.dataset_id for job in queue.list_jobs(workspace)] == [dataset.id]


# --- done


def test_what_was_found_begins_with_a_verdict_and_five_figures(app: AppTest, birds: Dataset) -> None:
    _open(app, birds)
    assert app.success[0].value.startswith("All 30 pictures in 2 classes can be used")
    assert _metrics(app) == {
        "Pictures": "30",
        "Classes": "2",
        "Training": "20",
        "Validation": "5",
        "Test": "5",
    }
    assert not app.button(key="data_continue").disabled


def test_continue_leads_to_training_with_the_same_dataset(app: AppTest, birds: Dataset) -> None:
    _open(app, birds).button(key="data_continue").click().run()
    assert app.title[0].value == "Training"
    assert birds.id in app.query_params["dataset"]


def _split_file(dataset: Dataset) -> Path:
    return Path(os.environ["GRAFT_HOME"]) / "datasets" / dataset.id / "split.json"


def test_shares_and_seed_change_the_split_and_are_kept_for_the_training(app: AppTest, birds: Dataset) -> None:
    _open(app, birds, tab="Classes and split")
    app.number_input(key=f"data_val_{birds.id}").set_value(30.0).run()
    app.number_input(key=f"data_seed_{birds.id}").set_value(7).run()
    kept = read_json(_split_file(birds))
    assert (kept["fractions"], kept["seed"], kept["keep_given"]) == ([0.55, 0.3, 0.15], 7, True)
    assert len(kept["fingerprint"]) == 64
    assert _metrics(app)["Validation"] == "9"


def test_the_counts_per_class_stand_in_a_table_too(app: AppTest, birds: Dataset) -> None:
    _open(app, birds, tab="Classes and split")
    counts = app.dataframe[0].value
    assert counts.loc["owl"].to_dict() == {"train": 14, "val": 3, "test": 3, "total": 20}
    assert "2 times as many pictures" in _texts(app)


def test_a_given_split_is_kept_and_only_what_is_missing_can_be_chosen(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    write_classes(tmp_path / "set" / "train", {"owl": 20, "wren": 20})
    write_classes(tmp_path / "set" / "test", {"owl": 5, "wren": 5}, first_seed=100)
    dataset = _audited(workspace, tmp_path / "set")
    _open(app, dataset, tab="Classes and split")
    assert "already split into train and test" in _texts(app)
    assert _metrics(app)["Test"] == "10"
    assert [box.label for box in app.number_input] == ["Validation, % of train", "Seed"]
    app.number_input(key=f"data_val_{dataset.id}").set_value(50.0).run()
    assert _metrics(app)["Validation"] == "20"
    assert sum(read_json(_split_file(dataset))["fractions"]) == pytest.approx(1)


def test_a_whole_given_split_leaves_nothing_to_choose(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    for seed, name in enumerate(("train", "valid", "test")):
        write_classes(tmp_path / "set" / name, {"owl": 4, "wren": 4}, first_seed=100 * seed)
    _open(app, _audited(workspace, tmp_path / "set"), tab="Classes and split")
    assert not app.number_input
    assert "brings its own split" in _texts(app)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"owl": 6}, "A classifier needs at least 2"),
        ({"owl": 2, "wren": 2}, "No picture is left for validation"),
    ],
)
def test_a_split_that_is_refused_says_why_and_bars_the_training(
    app: AppTest, workspace: Workspace, tmp_path: Path, counts: dict[str, int], reason: str
) -> None:
    dataset = _audited(workspace, write_classes(tmp_path / "few", counts))
    _open(app, dataset, tab="Classes and split")
    assert reason in app.error[0].value
    assert app.error[0].proto.title == "These pictures cannot be trained on yet"
    assert not app.success and "can be used" not in _texts(app)
    assert app.button(key="data_continue").disabled
    assert _metrics(app)["Training"] == "–"
    assert list(app.dataframe[0].value.columns) == ["total"]


def test_small_classes_are_named(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "birds", {"owl": 10, "wren": 10, "![x](https:evil)": 2})
    _open(app, _audited(workspace, folder), tab="Classes and split")
    assert any("`![x](https:evil)`" in warning.value for warning in app.warning)


def test_what_a_given_split_leaves_out_is_told_and_not_counted(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    for seed, name in enumerate(("train", "val", "test")):
        write_classes(tmp_path / "set" / name, {"owl": 4, "wren": 4}, first_seed=100 * seed)
    write_classes(tmp_path / "set" / "test", {"![x](https:evil)": 2}, first_seed=900)
    write_classes(tmp_path / "set" / "train", {"kite": 2}, first_seed=1000)
    shutil.copy(
        tmp_path / "set" / "test" / "owl" / "000.png", tmp_path / "set" / "test" / "wren" / "copy.png"
    )
    _open(app, _audited(workspace, tmp_path / "set"), tab="Classes and split")
    (told,) = [warning.value for warning in app.warning if "Left out" in warning.value]
    unseen, conflict, small = told.split("\n\n")
    assert unseen.startswith("Left out 2 pictures of `![x](https:evil)`\\: ")
    assert "more than one class" in conflict and "2 files" in conflict
    assert "`kite`" in small
    assert _metrics(app)["Test"] == "7"


def test_a_given_split_that_judges_no_class_that_is_learnt_bars_the_training(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    for seed, (name, classes) in enumerate({"train": "ab", "val": "a", "test": "c"}.items()):
        write_classes(tmp_path / "set" / name, dict.fromkeys(classes, 4), first_seed=100 * seed)
    _open(app, _audited(workspace, tmp_path / "set"), tab="Classes and split")
    assert "4\\: no training picture shows their class \\(`c`\\)" in app.error[0].value
    assert app.button(key="data_continue").disabled


def test_the_verdict_names_the_gravest_finding_first(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "birds", {"owl": 10, "wren": 10, "empty": 0})
    (folder / "owl" / "page.jpg").write_bytes(b"<html>not found</html>")
    _open(app, _audited(workspace, folder))
    assert app.warning[0].proto.title == "Problem: Unreadable files"
    assert "Found\\: Unreadable files \\(1\\)" in app.warning[0].value


def test_what_is_no_problem_is_not_called_one(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "birds", {"owl": 10, "wren": 10, "empty": 0})
    _open(app, _audited(workspace, folder))
    assert app.warning[0].proto.title == "Worth a look"


def test_many_classes_are_said_to_scroll(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "many", {f"species {number} " + 30 * "x": 3 for number in range(19)})
    _open(app, _audited(workspace, folder), tab="Classes and split")
    assert "19 classes; the chart and the table scroll." in [caption.value for caption in app.caption]
    assert app.dataframe[0].value.index[0] == "species 0 xxxx…xxxxxxxxxxxxx"


def test_a_part_that_has_another_name_now_gives_way_to_the_first(app: AppTest, birds: Dataset) -> None:
    _open(app, birds, tab="No such part")
    assert app.selectbox(key=f"data_class_{birds.id}")


def test_a_sample_that_is_not_waited_for_does_not_take_the_page(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    _open(app, birds).button(key="data_another").click().run()
    app.button(key="data_sample_digits").click().run()
    app.button(key=f"data_open_{birds.id}").click().run()
    queue.finish(workspace, _running(workspace), "done", result={"dataset_id": "digits"})
    app.run()
    assert birds.id in app.query_params["dataset"]
    assert app.metric


def test_sizes_are_told_in_ranges(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "birds", {"owl": 5, "wren": 5})
    Image.new("RGB", (300, 400)).save(folder / "owl" / "large.png")
    _open(app, _audited(workspace, folder), tab="Sizes and formats")
    assert "36 to 300 pixels" in _texts(app)
    ranges = app.dataframe[0].value
    assert ranges["count"].tolist() == [10, 0, 0, 1]


@pytest.mark.parametrize("tab", ["Pictures", "Classes and split", "Checks", "Decisions", "Sizes and formats"])
def test_hostile_names_stay_text_in_every_part(
    app: AppTest, workspace: Workspace, tmp_path: Path, tab: str
) -> None:
    folder = tmp_path / "![folder](https:evil.example)"
    dataset = _audited(workspace, write_classes(folder, dict.fromkeys(HOSTILE_CLASSES, 5)))
    _open(app, dataset, tab=tab)
    outside_code = "".join(_texts(app).replace("``", "").split("`")[::2])
    for sign in ("![", "<img", ":red[", "$x$"):
        assert sign not in outside_code


@pytest.mark.skipif(
    not hasattr(os, "fsencode") or os.uname().sysname != "Linux", reason="needs raw file names"
)
def test_names_that_are_not_text_are_shown_and_left_out(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "birds", {"owl": 5, "wren": 5})
    (folder / "owl" / "000.png").rename(os.fsdecode(os.fsencode(folder / "owl") + b"/bad\xff.png"))
    _open(app, _audited(workspace, folder), tab="Checks")
    cards = json.loads(app.get("bidi_component")[0].proto.json)["cards"]
    assert [card["id"] for card in cards] == ["owl/bad\\xff.png"]
    assert _metrics(app)["Pictures"] == "9"


# --- the folder moves on


def test_changes_in_the_folder_are_told_and_looked_at(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    write(birds.root / "owl" / "new.png", 999)
    (birds.root / "wren" / "000.png").unlink()
    write(birds.root / "wren" / "001.png", 998)
    _open(app, birds)
    assert "1 new, 1 gone, 1 changed" in app.info[0].value
    app.button(key="data_look_again").click().run()
    assert [job.dataset_id for job in queue.list_jobs(workspace)] == [birds.id]


def test_a_vanished_folder_is_told_and_what_was_found_stays(app: AppTest, birds: Dataset) -> None:
    shutil.rmtree(birds.root)
    _open(app, birds)
    assert "cannot be opened" in app.warning[0].value
    assert _metrics(app)["Pictures"] == "30"
    assert app.info[0].proto.title == "What was found last time"
    assert not app.success and app.button(key="data_continue").disabled


# --- several datasets


def test_other_pictures_lists_what_is_known_and_leads_back(app: AppTest, birds: Dataset) -> None:
    _open(app, birds).button(key="data_another").click().run()
    assert "30 pictures" in _texts(app)
    assert not app.metric
    app.button(key="data_back").click().run()
    assert app.metric


def test_a_listed_dataset_is_opened(app: AppTest, birds: Dataset) -> None:
    app.run().button(key="data_another").click().run()
    app.button(key=f"data_open_{birds.id}").click().run()
    assert not app.exception
    assert _metrics(app)["Pictures"] == "30"


def test_deleting_asks_first_and_leaves_the_users_pictures(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    _open(app, birds).button(key="data_another").click().run()
    app.button(key=f"data_delete_{birds.id}").click().run()
    assert "its pictures stay as they are" in _texts(app)
    assert datasets.list_datasets(workspace) == [birds]
    app.button(key="data_delete_yes").click().run()
    assert not app.exception
    assert datasets.list_datasets(workspace) == []
    assert not (workspace.datasets_dir / birds.id).exists()
    assert len(list(birds.root.rglob("*.png"))) == 30
    assert "dataset" not in app.query_params


def test_a_dataset_that_is_worked_on_cannot_be_deleted(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    queue.submit(workspace, "audit", {"dataset_id": birds.id}, dataset_id=birds.id)
    app.run().button(key="data_another").click().run()
    assert app.button(key=f"data_delete_{birds.id}").disabled


# --- what the page is made of


def test_a_rerun_takes_the_facts_from_the_cache(
    app: AppTest, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    _open(app, birds)
    for name in ("checks", "load_table", "load_decided", "flagged"):
        monkeypatch.setattr(audit, name, lambda *args: pytest.fail("computed again"))
    monkeypatch.setattr(split_facts.splits, "assign", lambda *args: pytest.fail("computed again"))
    app.run()
    assert not app.exception
    assert _metrics(app)["Pictures"] == "30"
