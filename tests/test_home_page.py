"""Home tells a visitor where they stand and what comes next, in every state of the journey."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import augmentation, datasets, queue, recipes, runs
from core.datasets import Dataset
from core.workspace import Workspace
from tests.worlds import add_dataset, begin_training, current, finished_run, has_button, visit, words

pytestmark = pytest.mark.usefixtures("served")

HOSTILE = "![x](https://evil.example/x.png) <b>猫</b>\n# big"


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def test_a_first_visitor_is_greeted_and_offered_the_sample(workspace: Workspace) -> None:
    app = visit("home")
    assert not app.exception
    assert "From a folder of pictures to a model you understand" in words(app)
    assert has_button(app, "try_sample")
    assert not has_button(app, "continue")
    assert "No pictures chosen yet." in words(app)
    assert str(workspace.home) in words(app)


def test_the_sample_is_trained_on_with_one_click(workspace: Workspace) -> None:
    app = visit("home")
    app.button(key="try_sample").click().run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="train")
    assert (job.dataset_id, job.args["sample"], job.state) == ("digits", "digits", "queued")
    run = runs.get(workspace, job.run_id)
    recipe = recipes.from_json(run.recipe)
    assert (recipe.image_size, augmentation.preset_name(recipe.augment)) == (96, "shift")
    assert current(app)["run"] == run.id
    assert app.title[0].value == "Training"
    app.switch_page("pages/home.py").run()
    assert not has_button(app, "try_sample")
    assert "A training is under way." in words(app)
    assert has_button(app, f"cancel_{job.id}")


def test_the_same_training_wanted_twice_is_one(workspace: Workspace) -> None:
    for app in [visit("home"), visit("home")]:  # both have the page open before either presses
        app.button(key="try_sample").click().run()
        assert not app.exception
    assert len(queue.list_jobs(workspace, kind="train")) == 1


def test_a_visitor_without_a_url_finds_what_is_under_way_or_was_done_last(workspace: Workspace) -> None:
    visit("home").button(key="try_sample").click().run()
    (job,) = queue.list_jobs(workspace, kind="train")
    assert current(visit("home"))["run"] == job.run_id
    # The sample's dataset is younger than the run that had it made; the run still comes first.
    datasets.add_sample(workspace, "digits")
    assert current(visit("home"))["run"] == job.run_id
    runs.set_state(workspace, job.run_id, "failed", "power")
    assert current(visit("home"))["run"] == job.run_id
    assert current(visit("home", run="nonsense"))["run"] == job.run_id


def test_a_dataset_that_was_not_looked_at_sends_to_the_data_page(
    workspace: Workspace, tmp_path: Path
) -> None:
    unread = add_dataset(workspace, tmp_path / "birds", audited=False)
    app = visit("home", dataset=unread.id)
    assert "`birds` has not been looked at yet." in words(app)
    app.button(key="continue").click().run()
    assert app.title[0].value == "Data"


def test_a_dataset_sends_to_the_training_page(birds: Dataset) -> None:
    app = visit("home", dataset=birds.id)
    assert "`birds`: 30 pictures of 3 classes." in words(app)
    assert "Nothing trained yet." in words(app)
    app.button(key="continue").click().run()
    assert app.title[0].value == "Training"


def test_a_dataset_that_cannot_be_split_says_why(workspace: Workspace, tmp_path: Path) -> None:
    one_class = add_dataset(workspace, tmp_path / "birds", {"owl": 9})
    app = visit("home", dataset=one_class.id)
    assert not app.exception
    assert "1 class has training pictures\\: `owl`\\. A classifier needs at least 2\\." in words(app)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("running", "A training is under way."),
        ("failed", "The last training failed; see why."),
        ("cancelled", "The last training was cancelled."),
        ("interrupted", "The last training was interrupted."),
    ],
)
def test_a_training_that_is_not_done_sends_to_the_training_page(
    workspace: Workspace, birds: Dataset, state: str, said: str
) -> None:
    run_id = begin_training(workspace, birds).run_id
    runs.set_state(workspace, run_id, state)
    app = visit("home", run=run_id)
    assert said in words(app)
    assert "Comes after the training." in words(app)
    app.button(key="continue").click().run()
    assert app.title[0].value == "Training"


def test_a_finished_run_shows_its_score_and_sends_to_the_evaluation_page(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    app = visit("home", run=run.id)
    assert "83.3\u00a0% right on 6 test pictures (95\u00a0% interval 44\u00a0% to 97\u00a0%)." in words(app)
    app.button(key="continue").click().run()
    assert app.title[0].value == "Evaluation"
    assert current(app)["run"] == run.id


def test_a_run_whose_dataset_was_removed_still_shows_its_score(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    datasets.remove(workspace, birds.id)
    app = visit("home", run=run.id)
    assert not app.exception
    assert "100.0\u00a0% right on 6 test pictures" in words(app)


def test_a_dataset_whose_folder_is_gone_does_not_block_the_page(birds: Dataset, workspace: Workspace) -> None:
    run = finished_run(workspace, birds)
    shutil.rmtree(birds.root)
    app = visit("home", run=run.id)
    assert not app.exception
    assert not app.error
    assert "100.0\u00a0% right" in words(app)


def test_a_name_cannot_become_markdown(workspace: Workspace, tmp_path: Path) -> None:
    hostile = add_dataset(workspace, tmp_path / "x", audited=False)
    with workspace.db() as db:
        db.execute("UPDATE datasets SET name = ? WHERE id = ?", (HOSTILE, hostile.id))
    app = visit("home", dataset=hostile.id)
    assert "`![x](https://evil.example/x.png) <b>猫</b> # big` has not been looked at yet." in words(app)
