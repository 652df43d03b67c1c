"""Is stage 1 as good as scikit-learn's LogisticRegression on the same features and splits?

    python benchmarks/probe.py FOLDER [FOLDER ...] [--backbone NAME ...] [--seeds 5]

Each seed makes a split of its own (70/15/15); both classifiers learn from train and are judged on test.
Prints the mean test accuracy of both over the seeds, their difference, and the seconds each took to fit.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import audit, backbones, datasets, features, recipes, splits, training
from core.recipes import Recipe
from core.workspace import open_workspace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--backbone", nargs="+", default=["efficientnet-lite0"])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print("| data | backbone | stage 1 | LogisticRegression | difference | seconds | seconds |")
    print("|---|---|---|---|---|---|---|")
    for folder in arguments.folders:
        for backbone in arguments.backbone:
            compare(folder, backbone, arguments.seeds)


def compare(folder: Path, backbone_name: str, num_seeds: int) -> None:
    """Print one line of the table."""
    workspace = open_workspace()
    dataset = datasets.add_folder(workspace, folder)
    table = audit.audit(workspace, dataset)
    table = table[table["usable"]].reset_index(drop=True)
    backbone = backbones.build(workspace, backbone_name)
    paths = [dataset.pictures / path for path in table["path"]]
    matrix = features.extract(workspace, backbone, paths, list(table["sha256"])).matrix
    scores = [one_seed(seed, table, matrix) for seed in range(num_seeds)]
    ours, theirs, our_seconds, their_seconds = np.array(scores).mean(axis=0)
    print(
        f"| {folder.name} | {backbone_name} | {ours:.2%} | {theirs:.2%} | {100 * (ours - theirs):+.2f} points "
        f"| {our_seconds:.2f} | {their_seconds:.2f} |",
        flush=True,
    )


def one_seed(seed: int, table: object, matrix: np.ndarray) -> tuple[float, float, float, float]:
    """Return test accuracies and fitting seconds of both on one split."""
    split = splits.assign(table, seed=seed)  # type: ignore[arg-type]
    class_names = sorted(table["label"][split == "train"].unique())  # type: ignore[index]
    y_true = table["label"].map({name: i for i, name in enumerate(class_names)}).to_numpy()  # type: ignore[index]
    rows = {name: (split == name).to_numpy() for name in ("train", "val", "test")}
    recipe = recipes.validate(replace(Recipe(), seed=seed))
    began = time.perf_counter()
    head = training.train_head(
        {name: matrix[rows[name]] for name in ("train", "val")},
        {name: y_true[rows[name]] for name in ("train", "val")},
        len(class_names),
        recipe,
        lambda kind, **values: None,
    ).head
    our_seconds = time.perf_counter() - began
    began = time.perf_counter()
    reference = LogisticRegression(max_iter=1000).fit(matrix[rows["train"]], y_true[rows["train"]])
    their_seconds = time.perf_counter() - began
    truth = y_true[rows["test"]]
    ours = float((head.logits(matrix[rows["test"]]).argmax(axis=1) == truth).mean())
    return ours, float(reference.score(matrix[rows["test"]], truth)), our_seconds, their_seconds


if __name__ == "__main__":
    main()
