"""Is stage 1 as good as scikit-learn's LogisticRegression on the same features and splits?

    python benchmarks/probe.py FOLDER [FOLDER ...] [--backbone NAME ...] [--seeds 5]

Each seed makes a split of its own (70/15/15); all learn from train and are judged on test. Stage 1 chooses its freedom
(scikit-learn's C) by val, or keeps to 1 as scikit-learn does. Its answers are calibrated on val, as those
of a run are. Prints the mean test accuracy and log loss of each over the seeds, the difference of the first to the
last, and the seconds that each took to fit.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import audit, backbones, datasets, evaluation, features, recipes, splits, training
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
    print(
        "| data | backbone | stage 1 | stage 1, C = 1 | LogisticRegression | difference | log loss | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
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
    judged = np.array([one_seed(seed, table, matrix) for seed in range(num_seeds)]).mean(axis=0)
    right, losses, seconds = judged.T
    print(
        f"| {folder.name} | {backbone_name} | {' | '.join(f'{share:.2%}' for share in right)} "
        f"| {100 * (right[0] - right[-1]):+.2f} points | {told(losses)} | {told(seconds)} |",
        flush=True,
    )


def one_seed(seed: int, table: pd.DataFrame, matrix: np.ndarray) -> list[tuple[float, float, float]]:
    """Return test accuracy, log loss and fitting seconds of each way on one split."""
    split = splits.assign(table, seed=seed)
    class_names = sorted(table["label"][split == "train"].unique())
    y_true = table["label"].map({name: i for i, name in enumerate(class_names)}).to_numpy()
    rows = {name: (split == name).to_numpy() for name in ("train", "val", "test")}
    recipe = recipes.validate(replace(recipes.preset("linear-probe"), seed=seed))

    def stage_1(recipe: Recipe) -> np.ndarray:
        trained = training.train_head(
            {name: matrix[rows[name]] for name in ("train", "val")},
            {name: y_true[rows[name]] for name in ("train", "val")},
            len(class_names),
            recipe,
            lambda kind, **values: None,
        )
        logits = {name: trained.head.logits(matrix[rows[name]]) for name in ("val", "test")}
        temperature = evaluation.fit_temperature(logits["val"], y_true[rows["val"]])
        answers: np.ndarray = softmax(logits["test"] / temperature, axis=1)
        return answers

    def reference() -> np.ndarray:
        model = LogisticRegression(max_iter=1000).fit(matrix[rows["train"]], y_true[rows["train"]])
        probabilities: np.ndarray = model.predict_proba(matrix[rows["test"]])
        return probabilities

    truth, judged = y_true[rows["test"]], []
    for way in (lambda: stage_1(recipe), lambda: stage_1(replace(recipe, head_search=False)), reference):
        began = time.perf_counter()
        answers = way()
        seconds = time.perf_counter() - began
        loss = log_loss(truth, answers, labels=range(len(class_names)))
        judged.append((float((answers.argmax(axis=1) == truth).mean()), float(loss), seconds))
    return judged


def told(values: np.ndarray) -> str:
    """Return a figure of each way."""
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
