"""The page that asks a run about other photos and takes its model away, in every state."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import corrections, datasets, exports, queue, runs
from core.exports import Certificate, broken, judge
from core.queue import Job
from core.runs import Run
from core.workspace import Workspace
from pages.components import explanation, predict_answers
from tests.pictures import write
from tests.worlds import add_dataset, begin_training, current, finished_run, has_button, visit, words

pytestmark = pytest.mark.usefixtures("served")

HOSTILE = "![x](evil.example)"


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    return finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))


def _claim(workspace: Workspace, lane: str) -> Job:
    job = queue.claim(workspace, "cpu", lane, "a session of the tests")
    assert job is not None
    return job


def _answer(path: Path, **changes: Any) -> dict[str, Any]:
    top = [{"class": "owl", "probability": 0.8}, {"class": HOSTILE, "probability": 0.2}]
    said = {"path": str(path), "predicted": "owl", "probability": 0.8, "top": top}
    return (
        said | {"probabilities": [0.0, 0.8, 0.2], "unlike": False, "unsure": False, "distance": 0.1} | changes
    )


def _asked(workspace: Workspace, run: Run, answers: list[dict[str, Any]]) -> AppTest:
    """Open the page of a visitor whose question was answered."""
    queue.submit_prediction(workspace, run, [Path(answer["path"]) for answer in answers])
    job = _claim(workspace, "answer")
    queue.finish(workspace, job, "done", result={"predictions": answers})
    app = visit("predict", run=run.id)
    app.session_state["predict_jobs"] = [job.id]
    app.run()
    assert not app.exception
    return app


def test_without_a_run_the_sample_is_offered() -> None:
    app = visit("predict")
    assert not app.exception
    assert "There is no model yet." in words(app)
    assert has_button(app, "train_sample")


def test_a_run_under_way_says_that_its_model_comes_later(workspace: Workspace, tmp_path: Path) -> None:
    job = begin_training(workspace, add_dataset(workspace, tmp_path / "birds"))
    app = visit("predict", run=job.run_id)
    assert not app.exception
    assert "The model comes after the training." in words(app)


def test_a_sure_answer_is_said_with_its_probability(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    app = _asked(workspace, run, [_answer(write(tmp_path / "a.png", 1))])
    assert "The model says `owl`, 80.0\N{NO-BREAK SPACE}% sure." in words(app)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unlike": True}, "**Perhaps none of these.**"),
        ({"unsure": True}, "**Not sure.** At best `owl`"),
        ({"unlike": True}, "19 of 20 of the 6 validation pictures"),
        ({"unsure": True}, "it may turn away anything from 0\N{NO-BREAK SPACE}% to 45\N{NO-BREAK SPACE}%"),
        ({"unlike": None}, "The model says"),
    ],
)
def test_doubt_is_said_in_words(
    workspace: Workspace, run: Run, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    app = _asked(workspace, run, [_answer(write(tmp_path / "a.png", 1), **changes)])
    assert said in words(app)


def test_what_is_no_photo_says_why(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    app = _asked(workspace, run, [{"path": str(tmp_path / HOSTILE), "error": "This is not a picture."}])
    assert "This is not a picture" in words(app)
    assert f"`{HOSTILE}`" in words(app)


def test_many_photos_come_as_a_gallery_most_doubtful_first(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    paths = [write(tmp_path / "photos" / f"{number}.png", number) for number in range(4)]
    answers = [
        _answer(paths[0]),
        _answer(paths[1], probability=0.5),
        _answer(paths[2], unlike=True, probability=0.99),
        {"path": str(paths[3]), "error": "Damaged."},
    ]
    app = _asked(workspace, run, answers)
    assert "**4 photos**, 1 doubtful, 1 not readable." in words(app)
    (shown,) = [
        json.loads(element.proto.json)["items"]
        for element in app.get("bidi_component")
        if element.proto.component_name == "graft_gallery"
    ]
    assert [Path(item["id"]).stem for item in shown] == ["3", "2", "1", "0"]
    (csv,) = [button for button in app.get("download_button") if button.key.startswith("predict_csv_")]
    assert csv.label.startswith("All answers (CSV) of `tiny")


def test_where_two_runs_disagree_stands_first_with_what_the_other_says(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    other = finished_run(workspace, datasets.get(workspace, run.dataset_id), [("owl", "wren")])
    paths = [write(tmp_path / "photos" / f"{number}.png", number) for number in range(3)]
    app = _asked(workspace, run, [_answer(path) for path in paths])
    assert "disagree" not in words(app)
    queue.submit_prediction(workspace, other, paths)
    second = _claim(workspace, "answer")
    said = [_answer(path) for path in paths[:2]] + [_answer(paths[2], predicted="wren", probability=0.75)]
    queue.finish(workspace, second, "done", result={"predictions": said})
    app.session_state["predict_jobs"] = [*app.session_state["predict_jobs"], second.id]
    app.run()
    assert not app.exception
    assert "The two runs disagree on **1 of 3**" in words(app)
    (shown,) = [
        json.loads(element.proto.json)["items"]
        for element in app.get("bidi_component")
        if element.proto.component_name == "graft_gallery"
    ]
    assert [Path(item["id"]).stem for item in shown] == ["2", "0", "1"]
    assert ["other run: wren 75.0" in json.dumps(item, ensure_ascii=False) for item in shown] == [
        True,
        False,
        False,
    ]


def test_the_answers_to_a_folder_come_back_with_its_url_and_name_files_by_their_paths_in_it(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "asked"
    odd = folder / "b" / os.fsdecode(b"1\xff.png")
    paths = [write(folder / "a" / "1.png", 1), write(odd, 2)]
    queue.submit_prediction(workspace, run, paths, folder)
    job = _claim(workspace, "answer")
    queue.finish(workspace, job, "done", result={"predictions": [_answer(path) for path in paths]})
    app = visit("predict", run=run.id, asked=str(job.id))
    assert not app.exception and "**2 photos**" in words(app)
    assert current(app)["asked"] == str(job.id)
    (shown,) = [
        json.loads(element.proto.json)["items"]
        for element in app.get("bidi_component")
        if element.proto.component_name == "graft_gallery"
    ]
    assert [item["subtitle"] for item in shown] == ["a/1.png", "b/1\\xff.png"]
    app.switch_page("pages/data.py").run()
    assert "asked" not in current(app)


@pytest.mark.parametrize("asked", ["99", "x", "-", "9" * 30])
def test_a_url_that_names_no_question_of_this_run_shows_none(
    workspace: Workspace, run: Run, asked: str
) -> None:
    begin_training(workspace, datasets.get(workspace, run.dataset_id))
    app = visit("predict", run=run.id, asked=asked)
    assert not app.exception and "photos**" not in words(app)
    app = visit("predict", run=run.id, asked="1")  # a training
    assert not app.exception and "photos**" not in words(app)


def test_a_folder_outside_of_what_may_be_read_is_refused(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    app = visit("predict", run=run.id)
    app.session_state["predict_way"] = "folder"
    app.run()
    app.text_input(key="predict_folder").set_value("/etc")
    (submit,) = [button for button in app.button if "FormSubmitter" in str(button.key)]
    submit.click().run()
    assert "lies outside of the folders" in words(app)
    assert queue.list_jobs(workspace, kind="predict") == []


def test_a_test_picture_is_offered_with_its_class(run: Run) -> None:
    app = visit("predict", run=run.id)
    app.session_state["predict_way"] = "test"
    app.run()
    assert not app.exception
    assert "the model has not learnt from them" in words(app)


# --- correcting it ------------------------------------------------------------------------------------------------


def _correct(app: AppTest, label: str) -> AppTest:
    (choice,) = [one for one in app.selectbox if str(one.key).startswith("correct_")]
    choice.set_value(label).run()
    app.button(key=choice.key.replace("_label", "_add")).click().run()
    assert not app.exception
    return app


def test_a_corrected_photo_is_added_and_taken_back(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    app = _asked(workspace, run, [_answer(write(tmp_path / "a.png", 9_001))])
    _correct(app, "wren")
    assert "Added to the training pictures of `birds` as `wren`" in words(app)
    assert [job.kind for job in queue.list_jobs(workspace, active=True)] == ["audit"]
    pictures = datasets.get(workspace, run.dataset_id).pictures
    assert datasets.list_added(pictures)["label"].tolist() == ["wren"]
    assert "Added to the training pictures" in words(app.run()), "it is said as long as it is so"
    (undo,) = [button for button in app.button if str(button.key).endswith("_take_back")]
    undo.click().run()
    assert not app.exception and datasets.list_added(pictures).empty
    assert any(str(one.key).startswith("correct_") for one in app.selectbox)
    assert not [button for button in app.button if str(button.key).endswith("_take_back")]


def test_a_photo_that_repeats_a_test_picture_is_refused_in_words(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    split = runs.load_split(workspace, run.id)
    own = datasets.get(workspace, run.dataset_id).root / split["path"][split["split"] == "test"].iloc[0]
    (tmp_path / "again.png").write_bytes(own.read_bytes())
    app = _correct(_asked(workspace, run, [_answer(tmp_path / "again.png")]), "wren")
    assert "a test picture" in words(app) and "It was not added" in words(app)
    assert datasets.list_added(datasets.get(workspace, run.dataset_id).pictures).empty
    app = _asked(workspace, run, [_answer(own)])
    assert "a picture of the dataset itself" in words(app)
    assert not [one for one in app.selectbox if str(one.key).startswith("correct_")]


def test_where_the_dataset_is_gone_it_is_said(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    datasets.remove(workspace, run.dataset_id)
    app = _asked(workspace, run, [_answer(write(tmp_path / "a.png", 9_002))])
    assert "This answer cannot be corrected here" in words(app)


def test_added_photos_are_listed_on_the_data_page_and_taken_back(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    path = corrections.add_photo(workspace, run, write(tmp_path / "a.png", 9_003), "wren")
    pictures = datasets.get(workspace, run.dataset_id).pictures
    app = visit("data", dataset=run.dataset_id)
    app.session_state["data_tab"] = "Decisions"
    app.run()
    assert not app.exception and "1 photo that you added" in words(app)
    assert path in [
        item["id"]
        for element in app.get("bidi_component")
        if element.proto.component_name == "graft_gallery"
        for item in json.loads(element.proto.json)["items"]
    ]
    assert (pictures / path).is_file()


# --- taking it away -----------------------------------------------------------------------------------------------


def test_the_export_is_one_button(workspace: Workspace, run: Run) -> None:
    app = visit("predict", run=run.id)
    app.button(key="export_start").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="export")
    assert job.args["run_id"] == run.id and job.args["formats"] == list(exports.DEFAULT_FORMATS)
    assert has_button(app, f"cancel_{job.id}")
    assert app.button(key="export_start").disabled


def test_what_is_familiar_is_measured_before_a_run_is_packed(workspace: Workspace, run: Run) -> None:
    def downloads(app: AppTest) -> list[str]:
        return [button.key for button in app.get("download_button")]

    app = visit("predict", run=run.id)
    assert "bundle_download" not in downloads(app)
    app.button(key="bundle_measure").click().run()
    assert not app.exception and "bundle_download" not in downloads(app)
    job = _claim(workspace, "many")
    assert (job.args["run_id"], job.args["paths"]) == (run.id, [])
    queue.finish(workspace, job, "failed", message="Its weights are not here.")
    app.run()
    assert "Its weights are not here" in words(app) and "could not be measured" in words(app)
    assert "bundle_download" in downloads(app)
    runs.save_arrays(workspace, run.id, "familiarity", thresholds=np.zeros(2))
    app = visit("predict", run=run.id)
    assert "bundle_download" in downloads(app) and "could not be measured" not in words(app)


def test_an_export_that_failed_says_why_and_can_be_done_again(workspace: Workspace, run: Run) -> None:
    queue.submit_export(workspace, run, ["litert"])
    job = _claim(workspace, "train")
    queue.finish(workspace, job, "failed", message="Not one of the test pictures is where it was.")
    app = visit("predict", run=run.id)
    assert "Not one of the test pictures is where it was" in words(app)
    app.button(key=f"retry_{job.id}").click().run()
    assert queue.list_jobs(workspace, kind="export")[0].args["formats"] == ["litert"]


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_what_was_exported_before_is_told_apart_from_what_did_not_work(
    workspace: Workspace, run: Run, state: str
) -> None:
    y_prob = np.array([[0.9, 0.1]])
    good = judge("keras", np.array([0]), y_prob, y_prob, 2.0)
    exports.save(workspace, Certificate(run.id, 0.0, 1, 0, 1.0, (0.2, 1.0), "m", {}, (good,)))
    exports.zip_path(workspace, run.id).write_bytes(b"zip")
    queue.submit_export(workspace, run, ["litert"])
    queue.finish(workspace, _claim(workspace, "train"), state, message="It ended.")
    app = visit("predict", run=run.id)
    assert not app.exception
    assert "it stays until another one is done" in words(app)
    assert "From the beginning: LiteRT. Nothing of the last attempt was kept." in words(app)
    assert has_button(app, f"retry_{queue.list_jobs(workspace, kind='export')[0].id}")


def test_the_certificate_marks_what_failed(workspace: Workspace, run: Run) -> None:
    y_true = np.array([0, 1, 1])
    app_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    good = judge("keras", y_true, app_prob, app_prob, 2.0)
    certificate = Certificate(
        run.id,
        0.0,
        3,
        1,
        1.0,
        (0.4, 1.0),
        "a *machine*",
        {},
        (
            good,
            broken("litert", f"It died of {HOSTILE}"),
            judge("litert-int8", y_true, app_prob, app_prob, 1.0),
        ),
        num_groups=2,
    )
    exports.save(workspace, certificate)
    exports.zip_path(workspace, run.id).write_bytes(b"zip")
    app = visit("predict", run=run.id)
    assert not app.exception
    assert (
        "**1 of 3 formats passed** on 3 test pictures. **They are too few to tell of 1 more.** What failed"
        in words(app)
    )
    assert "LiteRT, 8 bits: it gives the app's answer on 43." in words(app)
    assert "1 test picture has changed or gone" in words(app)
    assert "3 pictures are 2 independent ones" in words(app)
    assert HOSTILE not in words(app)
    table = app.table[0].value
    assert table.iloc[0, 0] == "Keras" and "passed" in table.iloc[0, 1]
    assert "failed" in table.iloc[1, 1] and set(table.iloc[1, 2:]) == {"–"}
    assert "too few pictures to tell" in table.iloc[2, 1]


def test_a_student_stands_beside_its_teacher(workspace: Workspace, run: Run) -> None:
    student = finished_run(workspace, datasets.get(workspace, run.dataset_id), [("owl", "wren")])
    student = replace(student, recipe={**student.recipe, "teacher": f"run:{run.id}"})
    runs.save(workspace, student)
    assert "Beside its teacher" not in [element.value for element in visit("predict", run=run.id).header]
    app = visit("predict", run=student.id)
    assert not app.exception
    table = app.table[0].value
    assert [cell.split(":")[0] for cell in table.iloc[:, 0]] == ["Teacher", "Student"]
    assert set(table.iloc[:, 1]) == {"–"}
    assert "On the same 6 test pictures." in words(app)
    assert "Export this run with LiteRT" in words(app) and f"Export the teacher `{run.id}`" in words(app)
    runs.delete(workspace, run.id)
    app = visit("predict", run=student.id)
    assert not app.exception
    assert f"The teacher `{run.id}` was deleted" in words(app)


def test_without_its_zip_there_is_no_certificate(workspace: Workspace, run: Run) -> None:
    exports.save(workspace, Certificate(run.id, 0.0, 3, 0, 1.0, (0.4, 1.0), "m", {}, ()))
    assert "Parity certificate" not in [element.value for element in visit("predict", run=run.id).header]


# --- why ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("are_here", [True, False])
@pytest.mark.parametrize("compares", ["features", "before", ""])
def test_where_it_looked_is_shown_when_asked_for(
    workspace: Workspace, run: Run, tmp_path: Path, compares: str, are_here: bool
) -> None:
    path = write(tmp_path / "a.png", 1)
    app = _asked(workspace, run, [_answer(path)])
    app.button(key="predict_why_ask").click().run()
    assert not app.exception
    job = _claim(workspace, "answer")
    assert (job.kind, job.args["path"], job.args["classes"]) == ("explain", str(path), ["owl"])
    neighbour = {"path": "owl/0.png", "sha256": "0", "label": "owl", "likeness": 0.9, "is_duplicate": False}
    found = {"classes": ["owl"], "maps": [[[0.0, 1.0]]], "probabilities": [0.8], "is_exact": True}
    found |= {"compares": compares}
    queue.finish(workspace, job, "done", result=found | {"neighbours": [[neighbour] if compares else []]})
    if not are_here:  # as of a run from another machine
        datasets.remove(workspace, run.dataset_id)
    app.run()
    assert not app.exception
    said = words(app)
    assert "In colour and inside the line is what spoke for the class" in said
    assert ("Of `owl`" in said) is (are_here and bool(compares))
    assert ("before fine-tuning" in said) is (are_here and compares == "before")
    assert ("that this run was trained on are not in this workspace" in said) is not are_here


def test_where_it_looked_is_offered_of_a_photo_among_many(
    workspace: Workspace, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{number}.png", number) for number in range(2)]
    monkeypatch.setattr(explanation, "PATIENCE_S", 0.0)
    monkeypatch.setattr(predict_answers, "gallery", lambda *_, **__: datasets.written(str(paths[1])))
    app = _asked(workspace, run, [_answer(path) for path in paths])
    app.button(key="predict_why_ask").click().run()
    assert not app.exception
    job = _claim(workspace, "answer")
    assert (job.kind, job.args["path"], job.args["classes"]) == ("explain", str(paths[1]), ["owl"])
    found = {"classes": ["owl"], "maps": [[[0.0, 1.0]]], "probabilities": [0.8], "is_exact": True}
    queue.finish(workspace, job, "done", result=found | {"compares": "", "neighbours": [[]]})
    app.run()
    assert not app.exception
    assert "In colour and inside the line is what spoke for the class" in words(app)


def test_what_is_no_photo_has_no_reason(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    app = _asked(workspace, run, [{"path": str(tmp_path / "x"), "error": "This is not a picture."}])
    assert not has_button(app, "predict_why_ask")
