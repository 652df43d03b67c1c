"""Lists filtered by metadata, scores slice by slice of it and of the audit, and links that bring both back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from core import audit, metadata, runs
from core.audit import Thresholds
from core.datasets import Dataset
from core.runs import Run
from core.workspace import Workspace
from tests.worlds import add_dataset, current, finished_run, visit, words

pytestmark = pytest.mark.usefixtures("served")

QUIET = Thresholds(too_small=0, blank=0, dark=0, bright=1, blurry=0, greyscale=0, near_duplicate=0.99)
"""Thresholds by which the audit finds nothing in generated pictures."""


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    return add_dataset(workspace, tmp_path / "birds")


def with_metadata(workspace: Workspace, dataset: Dataset) -> Run:
    """Write a run with two errors, of pictures that were taken by camera a in the light of 1 and 2."""
    run = finished_run(workspace, dataset, [("owl", "wren"), ("kite", "owl")])
    answers = runs.answers(run, runs.predictions(workspace, run.id, "test"))
    table = pd.DataFrame({"path": answers["path"], "camera": "b", "light": range(1, 7), "[x](y)": "same"})
    table.loc[answers["wrong"], "camera"] = "a"
    table.to_csv(dataset.root / "metadata.csv", index=False)
    metadata.update(workspace, dataset, list(answers["path"]))
    return run


def test_without_metadata_the_only_slices_are_those_of_the_audit_and_nothing_is_filtered_by(
    workspace: Workspace, birds: Dataset
) -> None:
    audit.save_thresholds(workspace, birds.id, QUIET)
    app = visit("evaluation", run=finished_run(workspace, birds, [("owl", "wren")]).id)
    assert app.selectbox(key="slices").options == ["what the audit found"]
    assert app.selectbox(key="errors_flag").options == []
    assert not app.multiselect


def test_scores_of_slices_equal_scikit_learns_and_small_ones_are_marked(
    workspace: Workspace, birds: Dataset
) -> None:
    run = with_metadata(workspace, birds)
    said = runs.predictions(workspace, run.id, "test")
    app = visit("evaluation", run=run.id, slices="camera")
    assert not app.exception
    (table,) = [element.value for element in app.dataframe if "remark" in element.value]
    assert list(table["part"]) == ["a", "b"]
    camera = metadata.of_pictures(workspace, birds.id, list(said.images["path"]))["camera"].to_numpy()
    y_pred = said.y_prob.argmax(axis=1)
    for name, row in table.set_index("part").iterrows():
        at = camera == name
        assert row["accuracy"] == 100 * accuracy_score(said.y_true[at], y_pred[at])
        assert row["macro_f1"] == pytest.approx(
            f1_score(said.y_true[at], y_pred[at], average="macro", labels=sorted(set(said.y_true[at])))
        )
    assert list(table["accuracy_interval"]) == ["0.0 – 65.8", "51.0 – 100.0"]
    assert set(table["remark"]) == {"⚠ too few to judge"}
    assert "2 slices are too small." in words(app)
    assert any("slices_csv" in button.proto.id for button in app.get("download_button"))
    app.selectbox(key="slices").set_value("light").run()
    (table,) = [element.value for element in app.dataframe if "remark" in element.value]
    assert len(table) == 4 and table["part"].iloc[0] == "1 to 2"
    assert current(app)["slices"] == "light"


def test_scores_on_what_the_audit_found_equal_scikit_learns_and_follow_the_thresholds(
    workspace: Workspace, birds: Dataset
) -> None:
    run = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    audit.save_thresholds(workspace, birds.id, QUIET)
    table, said = audit.load_table(workspace, birds.id), runs.predictions(workspace, run.id, "test")
    assert table is not None
    lightest = table.set_index("path")["lightest"].loc[said.images["path"]].to_numpy()
    middle = float(np.median(lightest))
    audit.save_thresholds(workspace, birds.id, replace(QUIET, dark=middle))
    app = visit("evaluation", run=run.id, slices=" audit")
    assert not app.exception
    (shown,) = [element.value for element in app.dataframe if "remark" in element.value]
    assert list(shown["part"]) == ["Dark pictures", "nothing found"]
    y_pred, is_dark = said.y_prob.argmax(axis=1), lightest < middle
    for accuracy, at in zip(shown["accuracy"], (is_dark, ~is_dark), strict=True):
        assert accuracy == 100 * accuracy_score(said.y_true[at], y_pred[at])
    assert current(app)["slices"] == " audit"


@pytest.mark.parametrize("seed", range(3))
def test_pictures_are_in_the_part_of_each_check_that_flags_them_or_in_the_last(seed: int) -> None:
    rng = np.random.default_rng(seed)
    paths = [f"{number}.jpg" for number in range(12)]
    flags = {name: frozenset(path for path in paths if rng.random() < 0.2) for name in ("blurry", "dark")}
    parts = {
        part.value or part.kind: {paths[row] for row in part.rows}
        for part in runs.flagged_parts(paths, flags)
    }
    expected = {name: set(flagged) for name, flagged in flags.items() if flagged}
    expected["unflagged"] = set(paths) - flags["blurry"] - flags["dark"]
    assert parts == {name: members for name, members in expected.items() if members}


def test_a_link_brings_back_every_filter_of_the_list(workspace: Workspace, birds: Dataset) -> None:
    run = with_metadata(workspace, birds)
    link = {
        "errors_order": "margin",
        "errors_of": "owl",
        "errors_said": "wren",
        "errors_confidence": "20-100",
    }
    app = visit("evaluation", run=run.id, where=json.dumps({"camera": ["a"], "light": [1, 4]}), **link)
    assert not app.exception
    assert app.selectbox(key="errors_order").value == "margin"
    assert app.selectbox(key="errors_of").value == "owl"
    assert app.slider(key="errors_confidence").value == (20, 100)
    assert app.multiselect(key=f"errors_metadata_{birds.id}_camera").value == ["a"]
    assert {name: current(app)[name] for name in link} == link
    app.multiselect(key=f"errors_metadata_{birds.id}_camera").set_value(["b"]).run()
    assert "No picture fits these filters." in words(app)
    assert json.loads(current(app)["where"])["camera"] == ["b"]
    app.selectbox(key="errors_of").set_value(None).run()
    assert "errors_of" not in current(app)
    app.switch_page("pages/runs.py").run()
    assert not {"where", *link} & current(app).keys()


@pytest.mark.parametrize(
    "query",
    [
        {"errors_of": "penguin", "errors_order": "x", "errors_flag": "blurry"},
        {"errors_confidence": "90-20", "where": "{", "slices": "no such column"},
        {"errors_confidence": "0-900", "where": '{"camera":["z"]}', "slices": "[x](y)"},
    ],
)
def test_what_a_link_says_that_cannot_be_is_ignored(
    workspace: Workspace, birds: Dataset, query: dict[str, str]
) -> None:
    app = visit("evaluation", run=with_metadata(workspace, birds).id, **query)
    assert not app.exception
    assert not query.keys() & current(app).keys()
    assert "No picture fits these filters." not in words(app)
