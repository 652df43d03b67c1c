"""Acting on the audit on the Data page: health, one check at a time, thresholds, decisions, undo."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from PIL import ImageFilter
from streamlit.testing.v1 import AppTest

from core import audit, curation, datasets, queue
from core.audit import Thresholds
from core.datasets import Dataset
from core.workspace import Workspace
from pages.components.csv_file import as_csv
from pages.components.picker import Act, read_act
from tests.pictures import encode, write, write_classes
from tests.test_near_duplicates import scene

ENTRY = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")


@pytest.fixture
def app(served: None) -> AppTest:
    st.cache_data.clear()
    st.cache_resource.clear()
    return AppTest.from_file(ENTRY, default_timeout=30).switch_page("pages/data.py")


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    root = write_classes(tmp_path / "birds", {"owl": 12, "wren": 12})
    shutil.copy(root / "owl" / "000.png", root / "wren" / "again.png")
    (root / "owl" / "page.jpg").write_bytes(b"<html>not found</html>")
    dataset = datasets.add_folder(workspace, root)
    audit.audit(workspace, dataset)
    return dataset


def show(app: AppTest, dataset: Dataset, check: str = "", tab: str = "") -> AppTest:
    app.query_params["dataset"] = dataset.id
    if check:
        app.session_state["data_tab"], app.session_state[f"data_check_{dataset.id}"] = "Checks", check
    if tab:
        app.session_state["data_tab"] = tab
    app.run()
    assert not app.exception
    return app


def decide(workspace: Workspace, dataset: Dataset, paths: list[str], kind: str, value: str = "") -> None:
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    curation.decide_about(workspace, dataset.id, table, paths, kind, value)


def pictures(app: AppTest) -> str:
    return next(metric.value for metric in app.metric if metric.label == "Pictures")


def texts(app: AppTest) -> str:
    return "\n".join(str(element.value) for kind in ("markdown", "caption") for element in app.get(kind))


def sent(app: AppTest) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(app.get("bidi_component")[0].proto.json)
    return data


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


# --- health


def test_each_group_of_checks_has_a_line_the_worst_first(app: AppTest, birds: Dataset) -> None:
    show(app, birds)
    lines = [text for text in texts(app).split("\n") if text.startswith(":material/") and text.endswith("**")]
    assert [line.split("**")[1] for line in lines] == [
        "Files",
        "Duplicates",
        "Pictures",
        "Classes, splits",
        "Shortcuts",
    ]
    assert "Unreadable files **1**" in labels(app)
    assert ":red-badge[Problem]" in texts(app)
    assert ":green-badge[Fine]" in texts(app)


def test_a_finding_leads_to_its_files(app: AppTest, birds: Dataset) -> None:
    show(app, birds).button(key="data_health_label_conflict").click().run()
    assert not app.exception
    assert app.selectbox(key=f"data_check_{birds.id}").value == "label_conflict"
    cards = sent(app)["cards"]
    assert [card["id"] for card in cards] == ["owl/000.png", "wren/again.png"]
    assert {card["heading"] for card in cards} == {"Group 1: 2 files"}
    assert "at least one label is wrong" in texts(app)


def test_a_group_of_one_class_has_copies_to_spare_and_a_contradictory_one_has_none(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    assert sent(show(app, birds, check="exact_duplicate"))["spare"] == []
    decide(workspace, birds, ["wren/again.png"], "relabel", "owl")
    assert sent(app.run())["spare"] == ["wren/again.png"]


def test_what_cannot_be_opened_is_shown_with_its_reason_and_cannot_be_relabelled(
    app: AppTest, birds: Dataset
) -> None:
    data = sent(show(app, birds, check="unreadable"))
    assert "web page" in data["cards"][0]["subtitle"]
    assert data["actions"] == ["exclude", "keep"]


def test_classes_that_are_flagged_are_listed(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    dataset = datasets.add_folder(
        workspace, write_classes(tmp_path / "few", {"owl": 9, "wren": 9, "kite": 1})
    )
    audit.audit(workspace, dataset)
    show(app, dataset, check="tiny_class")
    assert app.dataframe[0].value["class"].tolist() == ["kite"]


def test_too_few_pictures_for_shortcuts_are_told(app: AppTest, birds: Dataset) -> None:
    show(app, birds, check="shortcut")
    assert "too few pictures to tell" in app.info[0].value


# --- acting


CHECKED: dict[str, Callable[[Any], Any]] = {
    "an unknown action": lambda act: act | {"kind": "delete"},
    "no card": lambda act: act | {"ids": []},
    "a card that is not shown": lambda act: act | {"ids": ["../../etc/passwd"]},
    "a class that is not there": lambda act: act | {"kind": "relabel", "value": "eagle"},
    "no class": lambda act: act | {"kind": "relabel"},
    "a value too many": lambda act: act | {"value": "owl"},
    "a number": lambda act: 7,
    "nothing": lambda act: None,
}


@pytest.mark.parametrize("change", CHECKED.values(), ids=CHECKED)
def test_what_a_browser_asks_for_is_checked(change: Callable[[Any], Any]) -> None:
    act = {"kind": "exclude", "value": "", "ids": ["a"]}
    offered = frozenset({"a", "b"}), ("exclude", "relabel"), ("owl", "wren")
    assert read_act(act, *offered) == Act("exclude", "", ("a",))
    assert read_act(change(act), *offered) is None
    relabel = {"kind": "relabel", "value": "owl", "ids": ["a", "c", "b"]}
    assert read_act(relabel, *offered) == Act("relabel", "owl", ("a", "b"))


def test_what_is_excluded_leaves_the_counts_and_undo_brings_it_back(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    assert pictures(show(app, birds)) == "25"
    decide(workspace, birds, ["owl/001.png", "owl/002.png"], "exclude")
    assert pictures(app.run()) == "23"
    assert "2 excluded, 0 relabelled in all" in texts(app)
    undo = app.button(key="data_undo")
    assert undo.label == "Undo: exclude 2 files"
    undo.click().run()
    assert pictures(app) == "25"
    redo = app.button(key="data_redo")
    assert redo.label == "Redo: exclude 2 files"
    redo.click().run()
    assert pictures(app) == "23"


def test_undo_of_what_somebody_else_did_meanwhile_is_refused_and_nothing_lost(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    decide(workspace, birds, ["owl/001.png"], "exclude")
    show(app, birds)
    decide(workspace, birds, ["owl/002.png"], "exclude")
    app.button(key="data_undo").click().run()
    assert "in the meantime" in app.error[0].value
    assert len(curation.load(workspace, birds.id).decisions) == 2


def test_without_decisions_there_is_nothing_to_undo(app: AppTest, birds: Dataset) -> None:
    assert not [label for label in labels(show(app, birds)) if label.startswith(("Undo", "Redo"))]


def test_a_check_whose_files_are_all_decided_says_so(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    decide(workspace, birds, ["owl/page.jpg"], "keep", "unreadable")
    show(app, birds, check="unreadable")
    assert "everything is decided" in app.success[0].value


# --- thresholds


def test_a_threshold_moves_the_count_at_once_is_kept_and_goes_back(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    show(app, birds, check="too_small")
    slider = app.slider(key=f"data_threshold_{birds.id}_too_small")
    assert slider.value == 32
    slider.set_value(40).run()
    assert [metric.value for metric in app.metric if metric.label == "Found"] == ["25"]
    assert "Too small pictures **25**" in labels(app)
    assert "under 40 pixels" in texts(app)
    assert audit.load_thresholds(workspace, birds.id) == Thresholds(too_small=40)
    app.button(key=f"data_threshold_{birds.id}_too_small_reset").click().run()
    assert app.slider(key=f"data_threshold_{birds.id}_too_small").value == 32
    assert audit.load_thresholds(workspace, birds.id) == Thresholds()


def test_a_threshold_that_another_browser_moved_is_shown(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    show(app, birds, check="blurry")
    audit.save_thresholds(workspace, birds.id, Thresholds(blurry=0.9))
    app.run()
    assert app.slider(key=f"data_threshold_{birds.id}_blurry").value == 0.9


def test_the_likeness_of_twins_moves_the_checks_about_them_and_never_the_split(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    blurred = scene(1).filter(ImageFilter.GaussianBlur(6))  # alike by 0.98
    for path, picture in (("owl/one.jpg", scene(1)), ("owl/two.jpg", blurred)):
        (birds.root / path).write_bytes(encode(picture, "JPEG"))
    before = audit.audit(workspace, birds).set_index("path")
    assert before.loc["owl/one.jpg", "group"] == before.loc["owl/two.jpg", "group"]
    show(app, birds, check="near_duplicate")
    assert {card["id"] for card in sent(app)["cards"]} == {"owl/one.jpg", "owl/two.jpg"}
    app.slider(key=f"data_threshold_{birds.id}_near_duplicate").set_value(0.99).run()
    assert [metric.value for metric in app.metric if metric.label == "Found"] == ["0"]
    assert "everything is decided" in app.success[0].value
    show(app, birds, check="near_label_conflict")
    assert app.slider(key=f"data_threshold_{birds.id}_near_duplicate").value == 0.99
    kept = audit.load_decided(workspace, birds.id)
    assert kept is not None and kept["group"].tolist() == before["group"].tolist()


# --- whole classes


@pytest.fixture
def uneven(workspace: Workspace, tmp_path: Path) -> Dataset:
    root = write_classes(tmp_path / "uneven", {"owl": 12, "wren": 12, "_[tit](x)_": 2})
    (root / "empty").mkdir()
    dataset = datasets.add_folder(workspace, root)
    audit.audit(workspace, dataset)
    return dataset


@pytest.mark.parametrize(("kind", "label"), [("exclude", ""), ("relabel", "wren")])
def test_all_pictures_of_a_class_are_decided_about_in_one_step(
    app: AppTest, workspace: Workspace, uneven: Dataset, kind: str, label: str
) -> None:
    show(app, uneven, check="tiny_class")
    key = f"data_class_tiny_class_{uneven.id}"
    assert app.selectbox(key=key).options == ["_[tit](x)_"]
    if label:
        assert app.button(key=f"{key}_relabel").disabled
        app.selectbox(key=f"{key}_label__[tit](x)_").set_value(label).run()
    app.button(key=f"{key}_{kind}").click().run()
    assert not app.exception
    decided = curation.load(workspace, uneven.id).decisions
    assert {(one.path, one.kind, one.value) for one in decided} == {
        (f"_[tit](x)_/{number:03}.png", kind, label) for number in range(2)
    }
    assert "everything is decided" in app.success[0].value  # nor is the class called empty now
    show(app, uneven, check="empty_class")
    assert app.selectbox(key=f"data_class_empty_class_{uneven.id}").options == ["empty"]
    assert "no picture that could be excluded" in texts(app)
    app.button(key="data_undo").click().run()
    assert curation.load(workspace, uneven.id).decisions == ()


@pytest.mark.parametrize("name", audit.RANGES)
def test_every_threshold_can_be_moved(app: AppTest, birds: Dataset, name: str) -> None:
    show(app, birds, check=name)
    assert app.slider(key=f"data_threshold_{birds.id}_{name}").value == getattr(Thresholds(), name)


# --- the list


def test_nothing_decided_says_how_to(app: AppTest, birds: Dataset) -> None:
    assert "Nothing is decided yet" in texts(show(app, birds, tab="Decisions"))


def test_decisions_are_listed_narrowed_down_and_taken_back(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    decide(workspace, birds, ["owl/001.png", "wren/003.png"], "exclude")
    decide(workspace, birds, ["wren/again.png"], "relabel", "owl")
    decide(workspace, birds, ["owl/page.jpg"], "keep", "unreadable")
    show(app, birds, tab="Decisions")
    listed = app.dataframe[0].value
    assert listed.to_dict("list") == {
        "path": ["owl/001.png", "owl/page.jpg", "wren/003.png", "wren/again.png"],
        "kind": ["Excluded", "Not an issue", "Excluded", "Relabelled"],
        "value": ["", "Unreadable files", "", "owl"],
        "state": ["holds"] * 4,
    }
    app.button_group(key="data_decision_kinds").set_value(["exclude"]).run()
    assert app.dataframe[0].value["path"].tolist() == ["owl/001.png", "wren/003.png"]
    app.text_input(key="data_decisions_search").set_value("WREN").run()
    assert app.dataframe[0].value["path"].tolist() == ["wren/003.png"]
    assert app.button(key="data_decisions_clear").disabled


def test_a_decision_that_does_not_hold_is_shown(app: AppTest, workspace: Workspace, birds: Dataset) -> None:
    decide(workspace, birds, ["owl/001.png"], "exclude")
    write(birds.root / "owl" / "001.png", 999)
    audit.audit(workspace, birds)
    show(app, birds, tab="Decisions")
    assert any("1 decision does not hold" in warning.value for warning in app.warning)
    assert app.dataframe[0].value["state"].tolist() == ["the file has changed"]
    assert pictures(app) == "25"


def test_decisions_come_from_a_csv_file_and_one_that_makes_no_sense_changes_nothing(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    show(app, birds, tab="Decisions")
    for text, count in (
        ("path,decision\nowl/1000.png,exclude\n", 0),
        ("path,decision\nowl/001.png,exclude\n", 1),
    ):
        app.file_uploader(key="data_decisions_upload").upload("decisions.csv", text.encode(), "text/csv")
        app.button(key="data_decisions_submit").click().run()
        assert not app.exception
        assert len(curation.load(workspace, birds.id).decisions) == count
        assert bool(app.error) == (count == 0)


def test_the_manifest_holds_every_score_and_decision(workspace: Workspace, birds: Dataset) -> None:
    decide(workspace, birds, ["owl/001.png"], "exclude")
    table = audit.load_decided(workspace, birds.id)
    assert table is not None
    manifest = audit.manifest(table, Thresholds())
    assert len(manifest) == 26
    assert {f"{name}_score" for name in audit.FILE_CHECKS} <= set(manifest.columns)
    assert manifest.loc[manifest["path"] == "owl/001.png", "excluded"].tolist() == [True]
    assert pd.read_csv(io.BytesIO(as_csv(manifest))).shape == manifest.shape


def test_hostile_names_stay_data(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    hostile = "![x](https:evil.example)"
    folder = write_classes(tmp_path / "set", {hostile: 6, "owl": 6})
    shutil.copy(folder / "owl" / "000.png", folder / hostile / f"{hostile}.png")
    dataset = datasets.add_folder(workspace, folder)
    audit.audit(workspace, dataset)
    decide(workspace, dataset, [f"{hostile}/{hostile}.png"], "relabel", "owl")
    for tab in ("Checks", "Decisions"):
        show(app, dataset, tab=tab)
        assert "![" not in "".join(texts(app).split("`")[::2])
        assert not [label for label in labels(app) if "![" in label]
    assert os.path.exists(folder / hostile / f"{hostile}.png")


# --- the cleaned copy


def copied(app: AppTest, dataset: Dataset, path: Path) -> AppTest:
    show(app, dataset, tab="Decisions")
    app.text_input(key=f"data_cleaned_path_{dataset.id}").set_value(str(path))
    app.button(key="data_cleaned_submit").click().run()
    assert not app.exception
    return app


def test_a_cleaned_copy_is_a_job_whose_end_is_told(
    app: AppTest, workspace: Workspace, birds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_ROOTS", str(tmp_path))
    copied(app, birds, tmp_path / "clean")
    job = queue.claim(workspace, "cpu", "data", "a-session")
    assert job is not None
    assert (job.kind, job.args["target"], job.args["way"]) == ("clean_copy", str(tmp_path / "clean"), "copy")
    assert app.run().button(key=f"cancel_{job.id}")
    assert "data_cleaned_submit" not in [button.key for button in app.button]
    queue.finish(workspace, job, "done", result={"target": str(tmp_path / "clean"), "num_images": 25})
    app.run()
    assert f"25 pictures were written to `{tmp_path / 'clean'}`." in [said.value for said in app.success]


def test_a_copy_that_did_not_come_about_says_what_is_left_and_can_be_asked_for_again(
    app: AppTest, workspace: Workspace, birds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_ROOTS", str(tmp_path))
    copied(app, birds, tmp_path / "mine")
    job = queue.claim(workspace, "cpu", "data", "a-session")
    assert job is not None
    queue.finish(workspace, job, "failed", message="The disk is full.")
    app.run()
    assert not app.exception
    assert "The disk is full" in app.error[0].value
    assert "Nothing of the copy is left" in texts(app)
    assert app.text_input(key=f"data_cleaned_path_{birds.id}").value == str(tmp_path / "mine")


def test_a_copy_outside_of_the_allowed_folders_is_refused(
    app: AppTest, workspace: Workspace, birds: Dataset
) -> None:
    copied(app, birds, Path("/etc/clean"))
    assert "outside of the folders that may be chosen" in app.error[0].value
    assert queue.list_jobs(workspace) == []
