"""Twins of test pictures in train: counted before duplicates are kept together, and measured by the same probe."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from core import audit, datasets, leakage, queue, recipes, splits
from core.errors import JobError
from core.session import leak_job
from core.session.context import Context, Warm
from core.workspace import Workspace
from tests.pictures import write_classes
from tests.worlds import RECIPE


def table(given: str = "", copies: int = 2) -> pd.DataFrame:
    """20 pictures of two classes; each of the first ten stands in ``copies`` files."""
    rows = [
        {"path": f"{label}/{index}-{copy}.png", "sha256": f"{label}{index}", "label": label}
        for label in ("owl", "wren")
        for index in range(10)
        for copy in range(copies if index < 5 else 1)
    ]
    made = pd.DataFrame(rows)
    return made.assign(group=made["sha256"], usable=True, given_split=given)


def test_a_split_by_chance_parts_twins_which_ours_never_does() -> None:
    files = table(copies=4)
    chance = leakage.unguarded(files)
    assert leakage.with_twins(files, chance).sum() > 0
    ours = splits.assign(files)
    assert leakage.with_twins(files, ours).sum() == 0
    assert set(chance) == {"train", "val", "test"}


def test_a_given_split_is_taken_as_it_is_and_its_twins_counted() -> None:
    files = table()
    files["given_split"] = np.where(files["path"].str.endswith("-1.png"), "test", "train")
    split = leakage.unguarded(files, (0.7, 0.15, 0.15))
    assert (split[files["given_split"] == "test"] == "test").all()
    assert leakage.with_twins(files, split).sum() == 10 - sum(
        split[files["path"].str.endswith("-0.png") & files["sha256"].duplicated(keep=False)] == "val"
    )


def test_without_the_given_split_a_new_one_is_made_of_all_pictures() -> None:
    files = table()
    files["given_split"] = np.where(files["path"].str.contains("/[89]-"), "test", "train")
    assert splits.without_given(files, keep=True) is files
    made = splits.without_given(files)
    split = splits.assign(made)
    assert set(split[files["given_split"] == "test"]) != {"test"}
    assert split.equals(splits.assign(files.assign(given_split="")))
    assert splits.fingerprint(made, split) != splits.fingerprint(files, splits.assign(files))


def test_the_worth_of_twins_is_that_of_scikit_learns_probe_with_and_without_them() -> None:
    random = np.random.default_rng(0)
    num = 60
    labels = np.array(["owl", "wren"])[np.arange(num) % 2]
    files = pd.DataFrame({"sha256": [f"s{index}" for index in range(num)], "label": labels})
    files = files.assign(group=[f"g{index % 45}" for index in range(num)])
    files.loc[45:, "label"] = files["label"][:15].to_numpy()  # twins have the class of their first picture
    matrix = random.normal(size=(num, 40)).astype(np.float32)
    matrix[45:] = matrix[:15] + random.normal(scale=0.05, size=(15, 40))
    split = pd.Series(["train"] * 45 + ["test"] * 15)
    split[30:45] = "test"
    found = leak_job.measure(matrix, files, split)

    y_true = (files["label"] == "wren").to_numpy()
    train, test = (split == "train").to_numpy(), (split == "test").to_numpy()
    without = train & ~np.isin(np.arange(num), np.arange(15))
    for name, rows in (("with_twins", train), ("without_twins", without)):
        probe = LogisticRegression(max_iter=1000).fit(matrix[rows], y_true[rows])
        assert found[name] == pytest.approx((probe.predict(matrix[test]) == y_true[test]).mean())
    assert (found["num_train"], found["num_left_out"], found["num_test"], found["num_twins"]) == (
        30,
        15,
        30,
        15,
    )
    assert found["twins_with"] > found["twins_without"]
    difference = found["difference"]
    assert difference["value"] == pytest.approx(found["with_twins"] - found["without_twins"])
    assert difference["low"] <= difference["value"] <= difference["high"]


def test_without_twins_there_is_nothing_to_measure() -> None:
    files = pd.DataFrame({"sha256": list("abcd"), "group": list("abcd"), "label": ["x", "y"] * 2})
    with pytest.raises(JobError, match="nothing to measure"):
        leak_job.measure(np.zeros((4, 2), np.float32), files, pd.Series(["train", "train", "test", "test"]))


def test_what_was_measured_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 1, "wren": 1}))
    assert leakage.load(workspace, dataset.id) is None
    audit.audit(workspace, dataset)
    leakage.save(workspace, dataset.id, {"num_twins": 3})
    assert leakage.load(workspace, dataset.id) == {"num_twins": 3}


def test_a_probe_on_the_network_of_an_untrained_recipe_takes_the_pretrained_one() -> None:
    recipe = recipes.for_probe(
        recipes.PRESETS["from-scratch"], fractions=(0.5, 0.25, 0.25), seed=3, keep_given=False
    )
    assert (recipe.weights, recipe.fractions, recipe.seed, recipe.keep_given) == (
        "",
        (0.5, 0.25, 0.25),
        3,
        False,
    )


def test_the_twins_that_flowers12_has_in_train_and_test_are_found_and_kept_apart(
    workspace: Workspace, shared_data: Path
) -> None:
    files = audit.audit(workspace, datasets.add_folder(workspace, shared_data / "flowers12"))
    twins = leakage.with_twins(files, leakage.unguarded(files))
    # Val is drawn from the given train, so some groups may stand in val and test instead.
    in_val = leakage.with_twins(files, leakage.unguarded(files), among="val")
    assert files["group"][twins | in_val].nunique() >= 23  # so many were known when the folder was made
    assert leakage.with_twins(files, splits.assign(files)).sum() == 0


def test_the_job_measures_a_given_split_on_real_features(
    served: None, workspace: Workspace, tmp_path: Path
) -> None:
    root = tmp_path / "birds"
    write_classes(root / "train", {"owl": 6, "wren": 6})
    write_classes(root / "val", {"owl": 1, "wren": 1}, first_seed=100)
    write_classes(root / "test", {"owl": 3, "wren": 3}, first_seed=200)
    shutil.copy(root / "train" / "owl" / "000.png", root / "test" / "owl" / "twin.png")
    dataset = datasets.add_folder(workspace, root)
    files = audit.audit(workspace, dataset)
    job = queue.submit_leak(workspace, dataset.id, RECIPE)
    claimed = queue.claim(workspace, "cpu", "train", "a session of the tests")
    assert claimed is not None and claimed.id == job.id
    assert leak_job.do_leak(Context(workspace, "cpu", Warm(), claimed), claimed) == {"dataset_id": dataset.id}
    worth = leakage.load(workspace, dataset.id)
    assert worth is not None
    assert (worth["num_train"], worth["num_left_out"]) == (12, 1)
    assert (worth["num_test"], worth["num_twins"]) == (7, 1)
    assert worth["fingerprint"] == splits.fingerprint(files, leakage.unguarded(files))
