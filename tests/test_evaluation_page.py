"""The evaluation page in every state of a run, with classes called anything."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import audit, curation, datasets, queue, runs
from core.datasets import Dataset
from core.errors import GraftError
from core.progress import no_progress
from core.workspace import Workspace
from pages.components import photos
from tests.pictures import write_classes
from tests.worlds import add_dataset, begin_training, current, finished_run, has_button, metrics, visit, words

pytestmark = pytest.mark.usefixtures("served")

HOSTILE = ("![x](evil.example)", "<img src=x onerror=alert(1)>", "two\nlines", "猫头鹰", ":red[$x$] `code`")


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def _choose_cell(app: AppTest, run_id: str, true: int, predicted: int, split: str = "test") -> None:
    app.session_state[f"matrix_{run_id}_{split}"] = {"cell": (true, predicted)}
    app.run()
    assert not app.exception


def _components(app: AppTest, name: str) -> list[dict[str, Any]]:
    """Return what the page handed to its components of this name."""
    protos = [element.proto for element in app.get("bidi_component")]
    return [json.loads(proto.json) for proto in protos if proto.component_name == name]


def _classes(app: AppTest) -> Any:
    (table,) = [table for table in app.dataframe if "support" in table.value]
    return table


def _galleries(app: AppTest) -> int:
    return len(_components(app, "graft_gallery"))


def _matrix(app: AppTest) -> dict[str, Any]:
    (matrix,) = _components(app, "graft_matrix")
    return matrix


# --- without a model ----------------------------------------------------------------------------------------------


def test_without_a_run_the_sample_is_offered() -> None:
    app = visit("evaluation")
    assert not app.exception
    assert "There is nothing to look at yet." in words(app)
    assert has_button(app, "train_sample")


def test_the_sample_is_trained_on_with_one_click_and_shown_on_the_way(workspace: Workspace) -> None:
    app = visit("evaluation")
    app.button(key="train_sample").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="train")
    assert current(app)["run"] == job.run_id
    assert app.title[0].value == "Training"
    assert has_button(app, f"cancel_{job.id}")


def test_a_dataset_without_a_finished_run_leads_to_its_training(workspace: Workspace, birds: Dataset) -> None:
    app = visit("evaluation", dataset=birds.id)
    assert not app.exception
    assert "There is nothing to look at yet." in words(app)


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_a_run_that_ended_without_a_model_says_so(workspace: Workspace, birds: Dataset, state: str) -> None:
    job = begin_training(workspace, birds)
    queue.finish(workspace, job, state, message="It ended.")
    app = visit("evaluation", run=job.run_id)
    assert not app.exception
    assert "This run ended without a model, so there is nothing to evaluate." in words(app)
    assert has_button(app, f"retry_{job.id}")


def test_a_run_that_does_not_exist_gives_way_to_the_newest_one_that_does(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    app = visit("evaluation", run="20260101-000000-abcd")
    assert not app.exception
    assert not app.error
    assert current(app)["run"] == run.id


# --- a finished run -----------------------------------------------------------------------------------------------


def test_a_finished_run_is_judged_on_test_with_intervals(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert not app.error
    assert "**Right on 5 of 6 test pictures**, which it had never seen." in words(app)
    assert metrics(app) == {"Accuracy": "83.3\u00a0%", "Macro F1": "0.822", "Errors": "1"}
    assert app.metric[0].delta == "43.6\u00a0% to 97.0\u00a0%"
    assert "Most often `owl` is taken for `wren`: 1 picture" in words(app)
    assert "The hardest class is `owl`, with an F1 of 0.667." in words(app)
    assert "1 picture was misclassified." in words(app)
    table = _classes(app).value
    assert dict(zip(table["name"], table["support"], strict=True)) == {"kite": 2, "owl": 2, "wren": 2}
    assert list(table["recall"]) == ["1.000 (0.34 – 1.00)", "0.500 (0.09 – 0.91)", "1.000 (0.34 – 1.00)"]


@pytest.mark.parametrize(
    ("split", "said", "warned"),
    [
        ("val", "**Right on 6 of 6 validation pictures**", "these scores are a little too good"),
        ("train", "**Right on 18 of 18 training pictures**", "these scores say nothing about new pictures"),
    ],
)
def test_other_splits_come_with_a_warning(
    workspace: Workspace, birds: Dataset, split: str, said: str, warned: str
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id)
    app.segmented_control(key="split").set_value(split).run()
    assert not app.exception
    assert said in words(app)
    assert warned in app.info[0].value


def test_a_run_without_errors_is_not_celebrated_too_soon(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert "Nothing was confused." in words(app)
    assert "Before you celebrate" in app.success[0].value
    assert _galleries(app) == 0


def test_at_most_5_of_the_classes_left_out_are_named(workspace: Workspace, tmp_path: Path) -> None:
    names = [f"species {number}" for number in range(9)]
    many = add_dataset(workspace, tmp_path / "many", dict.fromkeys(names, 4))
    app = visit("evaluation", run=finished_run(workspace, many, without=names[2:]).id)
    named = ", ".join(f"`{name}`" for name in names[2:7])
    assert rf"leave out 7 classes that have no picture in this split\: {named} and 2 more\." in words(app)


def test_where_nothing_was_confused_the_matrix_has_the_whole_width(
    workspace: Workspace, birds: Dataset
) -> None:
    confused = visit("evaluation", run=finished_run(workspace, birds, [("owl", "wren")]).id)
    flawless = visit("evaluation", run=finished_run(workspace, birds).id)
    assert "Most confused pairs" in words(confused)
    assert "Most confused pairs" not in words(flawless)


def test_errors_show_what_they_are_sorted_by(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id)
    (item,) = _components(app, "graft_gallery")[0]["items"]
    assert item["title"] == "96.5\u00a0% · wren"
    assert item["subtitle"] == "True class: 1.8\u00a0% · owl"


def test_a_run_that_is_always_wrong_is_shown(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("wren", "kite"), ("kite", "owl")] * 2)
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert metrics(app)["Accuracy"] == "0.0\u00a0%"
    assert "6 pictures were misclassified." in words(app)


def test_a_class_without_test_images_is_left_out_of_macro_f1(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")], without=["kite"])
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert "Means over classes, among them macro F1 and balanced accuracy, leave out 1 class" in words(app)
    table = _classes(app).value
    assert table[["precision", "recall", "f1"]].isna().all(axis=1).tolist() == [True, False, False]
    assert "–: not defined." in words(app)
    assert _classes(app).proto.placeholder == "–"
    assert "The hardest class is `owl`" in words(app)
    _choose_cell(app, run.id, 0, 0)
    assert "**0 pictures of `kite`, recognised.**" in words(app)


# --- cells and photos ---------------------------------------------------------------------------------------------


def test_a_chosen_cell_shows_its_photos_and_stands_in_the_url(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id)
    assert _galleries(app) == 1
    _choose_cell(app, run.id, 1, 2)
    assert "**1 picture of `owl`, taken for `wren`.**" in words(app)
    assert current(app)["cell"] == "1-2"
    assert _galleries(app) == 2
    _choose_cell(app, run.id, 1, 1)
    assert "**1 picture of `owl`, recognised.**" in words(app)
    _choose_cell(app, run.id, 1, 0)
    assert "**0 pictures of `owl`, taken for `kite`.**" in words(app)
    assert _galleries(app) == 1


def test_a_cell_in_the_url_is_chosen(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id, cell="1-2")
    assert not app.exception
    assert "**1 picture of `owl`, taken for `wren`.**" in words(app)


def test_the_chosen_cell_stays_when_cells_show_shares(workspace: Workspace, birds: Dataset) -> None:
    app = visit("evaluation", run=finished_run(workspace, birds, [("owl", "wren")]).id, cell="1-2")
    app.segmented_control(key="matrix_shows").set_value("share").run()
    assert not app.exception
    assert _matrix(app)["show"] == "shares"
    assert _matrix(app)["chosen"] == [1, 2]
    assert current(app)["cell"] == "1-2"


def test_the_pictures_of_a_cell_come_next_after_the_matrix(workspace: Workspace, birds: Dataset) -> None:
    app = visit("evaluation", run=finished_run(workspace, birds, [("owl", "wren")]).id, cell="1-2")
    names = [element.proto.component_name for element in app.get("bidi_component")]
    assert names == ["graft_matrix", "graft_gallery", "graft_gallery"]
    assert _components(app, "graft_gallery")[0]["label"] == "Pictures of the chosen cell"


@pytest.mark.parametrize("cell", ["9-9", "-1-2", "a-b", "1", "1-2-3", "²-1"])
def test_a_cell_in_the_url_that_cannot_be_is_ignored(workspace: Workspace, birds: Dataset, cell: str) -> None:
    run = finished_run(workspace, birds)
    app = visit("evaluation", run=run.id, cell=cell)
    assert not app.exception
    assert "cell" not in current(app)


def test_the_most_confused_pairs_lead_to_their_cells(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("owl", "wren"), ("kite", "owl")])
    app = visit("evaluation", run=run.id)
    assert app.button(key="pair_0").label == "2 (67\u00a0%) `owl` → `wren`"
    app.button(key="pair_1").click().run()
    assert not app.exception
    assert "**1 picture of `kite`, taken for `owl`.**" in words(app)


def test_of_pairs_confused_once_each_none_is_called_the_worst(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    app = visit("evaluation", run=run.id)
    assert "No pair of classes stands out: 2 pairs are confused, by one picture each." in words(app)


def test_errors_of_one_class_can_be_looked_at_alone(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("owl", "kite"), ("kite", "owl")])
    app = visit("evaluation", run=run.id)
    box = app.selectbox(key="errors_of")
    assert box.options == ["kite", "owl"]
    box.set_value("kite").run()
    assert not app.exception
    assert _galleries(app) == 1
    app.segmented_control(key="split").set_value("val").run()
    app.segmented_control(key="split").set_value("test").run()
    assert not app.exception


# --- awkward data -------------------------------------------------------------------------------------------------


def test_class_names_can_never_become_markdown(workspace: Workspace, tmp_path: Path) -> None:
    hostile = add_dataset(workspace, tmp_path / "hostile", dict.fromkeys(HOSTILE, 7))
    run = finished_run(workspace, hostile, [(name, other) for name in HOSTILE for other in HOSTILE[:1]][1:])
    app = visit("evaluation", run=run.id)
    assert not app.exception
    shown = words(app) + "\n".join(button.label for button in app.button)
    assert "`![x](evil.example)`" in shown
    assert "`two lines`" in shown
    assert "`猫头鹰`" in shown
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", shown)
    assert not [sign for sign in ("![", "<img", ":red[", "lines") if sign in outside]
    _choose_cell(app, run.id, 0, 1)


def test_40_classes_are_drawn(workspace: Workspace, tmp_path: Path) -> None:
    names = [f"species {number:02d}" for number in range(40)]
    many = add_dataset(workspace, tmp_path / "many", dict.fromkeys(names, 4))
    run = finished_run(workspace, many, [(name, names[0]) for name in names[1:]])
    app = visit("evaluation", run=run.id)
    assert not app.exception
    matrix = _matrix(app)
    assert matrix["names"] == names[:16]  # of the most confused pairs
    app.segmented_control(key="zoom").set_value("all").run()
    matrix = _matrix(app)
    assert matrix["names"] == names
    assert np.shape(matrix["counts"]) == (40, 40)
    assert matrix["scrolls"].startswith("There are 40 classes")
    assert "F1 of the 14 classes, of 40, that are most surely hard" in words(app)
    assert len([button for button in app.button if str(button.key).startswith("pair_")]) == 10
    assert len(app.get("pagination")) == 1
    begun = app.get("pagination")[0].proto.id
    app.query_params["errors_page"] = "2"
    app.run()
    assert app.get("pagination")[0].proto.id != begun  # the state of a widget with a default is not written
    assert len(_components(app, "graft_gallery")[0]["items"]) == 39 - 24
    app.segmented_control(key="list").set_value("all").run()  # another list begins with its first page
    assert len(_components(app, "graft_gallery")[0]["items"]) == 24
    assert "errors_page" not in current(app)


def test_a_folder_that_is_gone_leaves_the_scores_and_says_so(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    shutil.rmtree(birds.root)
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert f"their folder `{birds.root}` was moved, renamed or deleted" in app.warning[0].value
    assert metrics(app)["Accuracy"] == "83.3\u00a0%"
    assert _galleries(app) == 1


def test_a_photo_that_was_shown_is_grey_once_its_file_is_gone(birds: Dataset) -> None:
    path = next(birds.root.rglob("*.png"))
    name = str(path.relative_to(birds.root))
    before = photos.small(birds.root, name, "one")
    path.unlink()
    after = photos.small(birds.root, name, "one")
    assert before[1] and not after[1]
    assert before[0] != after[0]


def test_a_removed_dataset_leaves_the_scores(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    datasets.remove(workspace, birds.id)
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert "their dataset was removed from Graft" in app.warning[0].value


def test_a_photo_that_is_gone_does_not_take_the_others_along(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("owl", "wren")])
    lost = runs.predictions(workspace, run.id, "test").images["path"].iloc[2]
    (birds.root / lost).unlink()
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert not app.warning
    assert _galleries(app) == 1


def test_pictures_that_came_since_the_training_change_nothing(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    write_classes(birds.root, {"penguin": 5}, first_seed=500)
    audit.audit(workspace, birds, no_progress)
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert metrics(app)["Accuracy"] == "83.3\u00a0%"


def test_damaged_predictions_are_explained(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    (runs.folder(workspace, run.id) / "predictions-test.npz").write_bytes(b"PK but not a zip")
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert "is damaged" in app.error[0].value
    assert "Train the run again\\." in app.error[0].value


def test_missing_predictions_are_explained(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    (runs.folder(workspace, run.id) / "predictions-test.npz").unlink()
    app = visit("evaluation", run=run.id)
    assert not app.exception
    assert "Train it again\\." in app.error[0].value


def test_another_run_brings_its_own_matrix(workspace: Workspace, birds: Dataset) -> None:
    first = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=first.id, cell="1-2")
    assert "**1 picture of `owl`, taken for `wren`.**" in words(app)
    second = finished_run(workspace, birds)
    runs.save(workspace, replace(second, created=second.created + 60))
    app.query_params["run"] = second.id
    app.run()
    assert not app.exception
    assert metrics(app)["Accuracy"] == "100.0\u00a0%"


# --- a photo that is open -----------------------------------------------------------------------------------------


def _row_of_mistake(workspace: Workspace, run_id: str) -> dict[str, Any]:
    run = runs.get(workspace, run_id)
    answers = runs.answers(run, runs.predictions(workspace, run_id, "test"))
    return dict(answers[answers["wrong"]].iloc[0])


def test_a_photo_in_the_url_is_open_and_one_that_cannot_be_is_not(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("owl", "kite")])
    row = _row_of_mistake(workspace, run.id)
    app = visit("evaluation", run=run.id, photo=str(row["row"]))
    assert not app.exception
    assert "This is `owl`." in words(app)
    assert "1 of 2" in words(app)
    assert app.button(key="photo_left").disabled
    app.button(key="photo_right").click().run()
    assert not app.exception
    assert "2 of 2" in words(app)
    for wrong in ("99", "x", "-1"):
        app = visit("evaluation", run=run.id, photo=wrong)
        assert not app.exception
        assert "photo" not in current(app)


def test_numbers_too_long_to_be_read_and_choices_that_have_no_place_are_ignored_and_leave_the_url(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    long = "9" * 5000
    query = {"cell": f"{long}-1", "photo": long, "errors_page": long, "errors_confidence": f"{long}-{long}"}
    query |= {"zoom": "x", "slices": "x", "where": "x", "cell_page": "2", "explain": "x"}
    app = visit("evaluation", run=run.id, split="val", **query)
    assert not app.exception
    assert current(app) == {"dataset": birds.id, "run": run.id, "split": "val"}


def test_the_wish_to_see_where_it_looked_stands_in_the_url_and_leaves_the_arrow_keys_alone(
    workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise GraftError("Not now.")

    monkeypatch.setattr(queue, "submit_explanation", refuse)
    run = finished_run(workspace, birds, [("owl", "wren")])
    row = str(_row_of_mistake(workspace, run.id)["row"])
    app = visit("evaluation", run=run.id, photo=row)
    assert not app.toggle  # while the focus is in an input, no arrow key is heard
    app.button(key="explain_wanted").click().run()
    assert current(app)["explain"] == "shown"
    app = visit("evaluation", run=run.id, photo=row, explain="shown")
    assert "Not now" in app.error[0].value
    app.button(key="explain_wanted").click().run()
    assert not app.error
    assert "explain" not in current(app)


def test_a_decision_about_a_photo_is_kept_and_tells_that_the_run_is_older(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    row = _row_of_mistake(workspace, run.id)
    app = visit("evaluation", run=run.id, photo=str(row["row"]))
    assert not app.warning
    key = f"decide_{row['row']}"
    app.selectbox(key=f"{key}_label").set_value("wren").run()
    app.button(key=f"{key}_save").click().run()
    assert not app.exception
    (decision,) = curation.load(workspace, birds.id).decisions
    assert (decision.path, decision.kind, decision.value) == (row["path"], "relabel", "wren")
    assert "were excluded, relabelled or added since this run was trained" in app.warning[0].value
    app.button(key=f"{key}_clear").click().run()
    assert curation.load(workspace, birds.id).decisions == ()
    assert not app.warning


# --- views of the matrix, lists, looks ----------------------------------------------------------------------------


def test_the_order_and_the_view_of_the_matrix_stand_in_the_url(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id, order="similarity", matrix_shows="predicted", diagonal="hidden")
    assert not app.exception
    matrix = _matrix(app)
    assert matrix["names"] == ["owl", "wren", "kite"]
    assert matrix["show"] == "shares"
    assert matrix["shades"][0] == [-1, 255, -1]
    app.segmented_control(key="order").set_value("given").run()
    assert "order" not in current(app)


def test_lists_show_the_surest_errors_and_what_was_right_by_a_hair(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("evaluation", run=run.id, list="confident")
    assert _galleries(app) == 1  # taken for a wren with 96.5 %
    app.segmented_control(key="list").set_value("unsure").run()
    assert not app.exception
    assert "No picture fits these filters." in words(app)
    app.segmented_control(key="list").set_value("all").run()
    assert len(_components(app, "graft_gallery")[0]["items"]) == 6


def test_how_often_test_was_looked_at_is_counted_once_an_hour_and_said(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds)
    app = visit("evaluation", run=run.id)
    assert "Test was looked at 1 time" in words(app)
    looks = runs.folder(workspace, run.id) / "looks.txt"
    looks.write_text(f"{float(looks.read_text()) - 3600:.0f}\n")
    assert "Test was looked at 2 times" in words(visit("evaluation", run=run.id))
    assert "Test was looked at 2 times" in words(visit("evaluation", run=run.id))  # loaded again
    assert "looked at" not in words(visit("evaluation", run=run.id, split="val"))


@pytest.mark.parametrize("page", ["home", "training"])
def test_other_pages_that_show_a_score_on_test_count_as_a_look_at_it(
    workspace: Workspace, birds: Dataset, page: str
) -> None:
    run = finished_run(workspace, birds)
    app = visit(page, run=run.id)
    (runs.folder(workspace, run.id) / "looks.txt").unlink()
    app.run()
    assert runs.num_looks(workspace, run) == (1, 1)


def test_the_accuracy_is_held_against_the_commonest_class_and_the_run_before(
    workspace: Workspace, birds: Dataset
) -> None:
    finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    app = visit("evaluation", run=finished_run(workspace, birds).id)
    assert "Always the commonest class, `kite`" in words(app)
    assert "on 6 pictures that both judged" in words(app)
    assert "100.0\u00a0% (61.0\u00a0% to 100.0\u00a0%)" in words(app)
    assert "cannot be told on so few pictures (p = 0.500)" in words(app)
    assert "| In words |" in words(app)  # a column without a heading is told to nobody who cannot see it
