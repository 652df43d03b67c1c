"""Runs on the same images: matched by what they show, held against each other, judged once, named by people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import evaluation, runs
from core.datasets import Dataset
from core.errors import NotFound
from core.evaluation import Judgement
from core.workspace import Workspace, read_json, write_json
from tests.worlds import add_dataset, finished_run


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def images(hashes: str, labels: str) -> pd.DataFrame:
    return pd.DataFrame({"sha256": list(hashes), "label": list(labels)})


def test_images_are_matched_by_bytes_and_label_and_copies_one_by_one() -> None:
    first, second = runs.match([images("abcca", "xyzzx"), images("caxca", "zxxzy")])
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (2, 0), (3, 3)]


def test_runs_are_compared_on_the_images_that_all_have_judged(workspace: Workspace, birds: Dataset) -> None:
    first = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    second = finished_run(workspace, birds, [("owl", "wren"), ("wren", "kite")])
    fewer = finished_run(workspace, birds, without=["kite"])
    both = runs.compare(workspace, [first.id, second.id], "test")
    assert (both.num_images, both.num_left_out) == (6, (0, 0))
    assert both.differences[0].value == 0.0
    assert both.p_values == (1.0,)
    assert list(both.changed(1, fixed=True)["true"]) == ["kite"]
    assert list(both.changed(1, fixed=False)["true"]) == ["wren"]
    (fixed,) = both.changed(1, fixed=True).to_dict("records")
    assert (fixed["before"], fixed["predicted"]) == ("owl", "kite")
    assert (
        fixed["before_probability"] == both.answers[0]["probability"][both.answers[0]["true"] == "kite"].max()
    )
    np.testing.assert_array_equal(
        both.confusions[1] - both.confusions[0], [[1, -1, 0], [0, 0, 0], [1, 0, -1]]
    )
    for run, table, said in zip(both.runs, both.answers, both.said, strict=True):
        assert list(table["path"]) == list(both.answers[0]["path"])
        assert list(said.images["path"].iloc[table["row"]]) == list(table["path"])
        assert run.id in (first.id, second.id)
    three = runs.compare(workspace, [first.id, second.id, fewer.id], "test")
    assert (three.num_images, three.num_left_out) == (4, (2, 2, 0))
    assert [scores.num_images for scores in three.scores] == [4, 4, 4]
    assert len(three.p_values) == 2


def test_runs_without_an_image_in_common_are_not_compared(
    workspace: Workspace, birds: Dataset, tmp_path: Path
) -> None:
    cars = add_dataset(workspace, tmp_path / "cars", {"bus": 8, "van": 8})
    table = runs.load_split(workspace, finished_run(workspace, cars).id)
    other = finished_run(workspace, cars)
    runs.save_split(workspace, other.id, table.assign(sha256=table["sha256"] + "x"))
    run = finished_run(workspace, birds)
    with pytest.raises(NotFound, match="no test picture in common"):
        runs.compare(workspace, [run.id, other.id], "test")
    capitals = finished_run(workspace, birds)
    images = runs.load_split(workspace, capitals.id)
    runs.save_split(workspace, capitals.id, images.assign(label=images["label"].str.title()))
    names = tuple(name.title() for name in capitals.class_names)
    runs.save(workspace, replace(capitals, class_names=names))
    said = f'6 validation pictures in common, but under other labels: .*"kite" in the run {run.id}, "Kite" in'
    with pytest.raises(NotFound, match=said):
        runs.compare(workspace, [run.id, capitals.id], "val")


def test_the_facts_in_which_runs_differ_are_named(workspace: Workspace, birds: Dataset) -> None:
    first = finished_run(workspace, birds)
    second = replace(first, recipe={**first.recipe, "seed": 7, "augment": {}}, split_fingerprint="ab" * 16)
    table = runs.differing_settings([first, second]).set_index("fact")
    assert table.loc["seed"].tolist() == [0, 7]
    assert table.loc["split"].tolist() == ["", "abababab"]
    assert "backbone" not in table.index
    assert any(name.startswith("augment.") for name in table.index)
    assert runs.differing_settings([first, first]).empty
    original = {"test": {**first.metrics["test"], "original": {"num_relabelled": 2, "num_excluded": 1}}}
    reviewed = replace(first, curation_fingerprint="cd" * 16, metrics={**first.metrics, **original})
    table = runs.differing_settings([first, reviewed]).set_index("fact")
    assert table["run_1"].to_dict() == {"decisions": "cdcdcdcd", "relabelled": 2, "excluded": 1}


def test_a_run_is_judged_once_and_another_format_anew(
    workspace: Workspace, birds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren")])
    found = runs.judged(workspace, run, "test")
    assert found.scores.accuracy.value == pytest.approx(5 / 6)
    path = runs.folder(workspace, run.id) / "scores-test.json"
    kept = read_json(path)
    assert Judgement.from_json(kept).to_json() == found.to_json()  # type: ignore[union-attr]
    for damage in ({}, {"format": 0}, kept | {"before": {}}):
        write_json(path, damage)
        assert runs.judged(workspace, run, "test").to_json() == found.to_json()
    monkeypatch.setattr("core.runs.judging.judge", lambda *_: pytest.fail("judged twice"))
    assert runs.judged(workspace, run, "test").to_json() == found.to_json()


def test_a_run_is_held_against_the_commonest_class_and_the_run_before(
    workspace: Workspace, birds: Dataset
) -> None:
    earlier = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    run = finished_run(workspace, birds, [("owl", "wren")])
    majority, before = runs.references(workspace, run, "test")
    assert (majority.kind, majority.name) == ("majority", "kite")  # all classes are as common, so the first
    assert majority.accuracy.value == pytest.approx(2 / 6)
    assert (before.kind, before.name, before.num_images) == ("before", earlier.id, 6)
    assert before.lead.value == pytest.approx(1 / 6)
    assert before.p_value == 1.0
    logits = {
        split: runs.load_arrays(workspace, earlier.id, f"predictions-{split}")["logits"]
        for split in runs.SPLITS
    }
    runs.save_head_alone(workspace, run.id, logits, 1.0)
    assert [found.kind for found in runs.references(workspace, run, "test")] == [
        "majority",
        "head_alone",
        "before",
    ]


def test_looks_at_test_are_counted_over_the_runs_of_a_split(workspace: Workspace, birds: Dataset) -> None:
    first, second = finished_run(workspace, birds), finished_run(workspace, birds)
    assert runs.num_looks(workspace, first) == (0, 0)
    for run, minute in ((first, 0), (first, 59), (first, 60), (second, 60), (second, 61)):
        # One look an hour, so that loading a page again adds none, be it half a second later.
        runs.note_look(workspace, run.id, now=1e9 + 60 * minute + 0.6)
        runs.note_look(workspace, run.id, now=1e9 + 60 * minute + 0.7)
    assert runs.num_looks(workspace, second) == (3, 2)
    (runs.folder(workspace, second.id) / "looks.txt").write_text("not a time\n1000000000\n")
    assert runs.num_looks(workspace, second) == (3, 2)


def test_looks_at_almost_the_same_test_pictures_go_on_counting_after_a_decision(
    workspace: Workspace, birds: Dataset
) -> None:
    before, after = finished_run(workspace, birds), finished_run(workspace, birds)
    images = runs.load_split(workspace, after.id)
    tested = images["split"] == "test"
    relabelled = images.assign(
        label=images["label"].where(~tested | (images.index != tested.idxmax()), "wren")
    )
    runs.save_split(workspace, after.id, relabelled)
    apart = finished_run(workspace, birds)
    runs.save_split(
        workspace, apart.id, images.assign(split=images["split"].map({"train": "test", "test": "train"}))
    )
    runs.note_look(workspace, before.id)
    for run, expected in ((replace(after, split_fingerprint="a"), (1, 1)), (apart, (0, 0))):
        assert runs.num_looks(workspace, replace(run, split_fingerprint=f"of {run.id}")) == expected


def test_a_look_that_cannot_be_noted_stops_nothing(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    (runs.folder(workspace, run.id) / "looks.txt").mkdir()
    runs.note_look(workspace, run.id)
    assert runs.num_looks(workspace, run) == (0, 0)


def test_what_people_call_a_run_comes_back_on_one_line(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    assert runs.labels(workspace, run.id) == runs.Labels()
    runs.set_labels(workspace, run.id, name="  the\nbest ", tags=["a", " a", "", "b" * 500])
    runs.set_labels(workspace, run.id, archived=True)
    kept = runs.labels(workspace, run.id)
    assert (kept.name, kept.archived) == ("the best", True)
    assert kept.tags == ("a", "b" * 80)
    (runs.folder(workspace, run.id) / "labels.json").write_text("[]")
    assert runs.labels(workspace, run.id) == runs.Labels()


def test_a_judgement_that_cannot_be_kept_is_given_all_the_same(workspace: Workspace, birds: Dataset) -> None:
    run = finished_run(workspace, birds)
    (runs.folder(workspace, run.id) / "scores-test.json").mkdir()
    assert runs.judged(workspace, run, "test").scores.accuracy == evaluation.wilson_interval(6, 6)
