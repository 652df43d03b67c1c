"""Which backbone suits a dataset: what is kept, what follows from it, and how the page shows it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core import audit, catalog, curation, datasets, queue, ranking, splits
from core.curation import Decision
from core.datasets import Dataset
from core.errors import NotFound, RecipeError
from core.progress import no_progress
from core.ranking import Ranked, Ranking
from core.workspace import Workspace
from pages.components import dataset as dataset_view
from tests.pictures import write
from tests.worlds import add_dataset, has_button, visit, words

TITLES = {name: spec.title for name, spec in catalog.CATALOG.items()}
BEST = Ranked("efficientnet-lite0", 0.9, 0.85, 0.94, None, 30.0, 18.0)
EQUAL = Ranked("mobilenet-v2", 0.89, 0.84, 0.93, (0.01, -0.02, 0.04), 12.0, 14.0)
WORSE = Ranked("mobilenet", 0.7, 0.6, 0.8, (0.2, 0.1, 0.3), 9.0, 17.0)
BROKEN = Ranked("vgg16", error='Its weights "vgg16.h5" are damaged.')
FOUND = Ranking([BEST, EQUAL, WORSE, BROKEN], num_images=200, num_available=900, num_folds=5)


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def test_what_was_found_is_kept_as_it_was(workspace: Workspace, birds: Dataset) -> None:
    assert ranking.load(workspace, birds.id) is None
    ranking.save(workspace, birds.id, FOUND)
    assert ranking.load(workspace, birds.id) == FOUND


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({"entries": [{"backbone": 3}]}), '{"entries": 7}']
)
def test_a_damaged_file_is_no_ranking(workspace: Workspace, birds: Dataset, text: str) -> None:
    ranking.save(workspace, birds.id, FOUND)
    (workspace.datasets_dir / birds.id / ranking.FILE).write_text(text)
    assert ranking.load(workspace, birds.id) is None


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([BEST], None),
        ([BEST, BROKEN], None),
        ([BEST, WORSE], "EfficientNet-Lite0 is the most accurate here, 90.0 %, and ahead of all others"),
        ([BEST, EQUAL, WORSE], "MobileNetV2 cannot be told from it by accuracy (89.0 %) and needs 12 ms"),
        (
            [BEST, replace(EQUAL, ms_per_image=29.0)],
            "Take EfficientNet-Lite0: 90.0 %, and 30 ms for a picture.",
        ),
    ],
)
def test_the_advice_follows_from_the_intervals_and_the_times(entries: list[Ranked], said: str | None) -> None:
    advice = ranking.advice(replace(FOUND, entries=entries), TITLES)
    assert advice is None if said is None else said in str(advice)


def test_only_backbones_of_the_catalog_are_ranked_on_datasets_that_exist(
    workspace: Workspace, birds: Dataset
) -> None:
    with pytest.raises(RecipeError, match="No backbone was chosen"):
        queue.submit_ranking(workspace, birds.id, [], (0.7, 0.15, 0.15), 0)
    with pytest.raises(RecipeError, match='Unknown backbone "resnet5000"'):
        queue.submit_ranking(workspace, birds.id, ["resnet5000"], (0.7, 0.15, 0.15), 0)
    with pytest.raises(NotFound):
        queue.submit_ranking(workspace, "owls-00000000", ["tiny"], (0.7, 0.15, 0.15), 0)


# --- the page -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("served")
def test_a_ranking_is_asked_for_watched_and_shown(workspace: Workspace, birds: Dataset) -> None:
    app = visit("training", dataset=birds.id)
    assert not has_button(app, "rank_backbones")  # behind a fold, which is closed
    ranking.save(workspace, birds.id, FOUND)
    queue.submit_ranking(workspace, birds.id, ["mobilenet-v2", "tiny"], (0.7, 0.15, 0.15), 3)
    job = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert job is not None and job.args["backbones"] == ["mobilenet-v2", "tiny"] and job.args["seed"] == 3
    queue.report(workspace, job.id, {"stage": "rank", "done": 20, "total": 60, "eta_s": 12.0})
    app = visit("training", dataset=birds.id)
    assert not app.exception
    assert "Judging backbones · 20 of 60 · about 12 s left" in [bar.text for bar in app.get("progress")]
    assert not has_button(app, "rank_backbones")  # one at a time
    said = words(app)
    assert "MobileNetV2 cannot be told from it by accuracy" in said
    assert "VGG16: Its weights `vgg16.h5` are damaged" in said
    assert "Judged by 200 of 900 pictures" in said
    table = app.dataframe[0].value if app.dataframe else None
    assert table is not None and list(table["backbone"]) == ["EfficientNet-Lite0", "MobileNetV2", "MobileNet"]
    assert list(table["behind"]) == ["", "1.0 (-2.0 to 4.0)", "20.0 (10.0 to 30.0)"]


@pytest.mark.usefixtures("served")
def test_a_ranking_tells_its_age_and_when_it_is_of_other_pictures_or_another_split(
    workspace: Workspace, birds: Dataset
) -> None:
    def shown() -> str:
        app = visit("training", dataset=birds.id)
        app.session_state["backbone_ranking"] = True
        app.run()
        assert not app.exception
        return words(app)

    table = audit.load_decided(workspace, birds.id)
    assert table is not None
    split = splits.assign(table)
    an_hour_ago = time.time() - 3_600
    made = Ranking(
        FOUND.entries, 200, 900, 5, created=an_hour_ago, fingerprint=ranking.fingerprint(table, split)
    )
    ranking.save(workspace, birds.id, made)
    said = shown()
    assert "60 min ago" in said
    assert "Rank again before" not in said

    def exclude(name: str) -> None:
        row = table[split == name].iloc[0]
        curation.decide(workspace, birds.id, [Decision(row["path"], "exclude", "", row["sha256"])])

    exclude("test")  # which judges no backbone
    assert "Rank again before" not in shown()
    exclude("train")
    assert "or under other labels than when this ranking was made" in shown()
    table = audit.load_decided(workspace, birds.id)
    assert table is not None
    now = ranking.fingerprint(table, splits.assign(table))
    ranking.save(workspace, birds.id, replace(made, fingerprint=now, created=time.time() - 30 * 86400))
    said = shown()
    assert "30 days ago" in said and "Rank again before" not in said
    dataset_view.keep_split(birds, dataset_view.split_choice(birds)._replace(seed=7))
    assert "Rank again before" in shown()
    ranking.save(workspace, birds.id, replace(made, fingerprint=""))  # of an older Graft: nothing is known
    assert "Rank again before" not in shown()


@pytest.mark.usefixtures("served")
def test_another_seed_is_no_other_ranking_where_the_folder_brings_its_split(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, name in enumerate(("train", "val", "test")):
        for label in ("owl", "wren"):
            for row in range(4):
                write(tmp_path / "given" / name / label / f"{row}.png", 100 * number + 10 * row + len(label))
    given = datasets.add_folder(workspace, tmp_path / "given", name="given")
    audit.audit(workspace, given, no_progress)
    found = dataset_view.fingerprint(given, dataset_view.split_choice(given), without_test=True)
    other = dataset_view.split_choice(given)._replace(seed=7, fractions=(0.5, 0.25, 0.25))
    assert found and dataset_view.fingerprint(given, other, without_test=True) == found


@pytest.mark.usefixtures("served")
def test_a_ranking_that_failed_says_why_and_can_be_asked_for_again(
    workspace: Workspace, birds: Dataset
) -> None:
    queue.submit_ranking(workspace, birds.id, ["tiny"], (0.7, 0.15, 0.15), 0)
    job = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert job is not None
    app = visit("training", dataset=birds.id)
    queue.finish(workspace, job, "failed", message='The disk is full in "/data".')
    app.run()
    assert "The disk is full in `/data`" in words(app)
    assert has_button(app, "rank_backbones")
