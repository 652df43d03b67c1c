"""Is stage 1 as good as scikit-learn's LogisticRegression on the same features and splits?

    python benchmarks/probe.py FOLDER [FOLDER ...] [--backbone NAME ...] [--seeds 5]

Each seed makes a split of its own (70/15/15); all learn from train and are judged on test. Stage 1 chooses its freedom
(scikit-learn's C) by val, or keeps to 1 as scikit-learn does. Its answers are calibrated on val, as those
of a run are. Prints the mean test accuracy and log loss of each over the seeds, the difference of the first to the
last, and the seconds that each took to fit; then the mean log loss on val of a head of each freedom, not calibrated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workplaces import scratch_workspace
from core import audit, backbones, datasets, evaluation, features, recipes, runs, splits, training
from core.heads import Head
from core.recipes import Recipe
from core.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--backbone", nargs="+", default=["efficientnet-lite0"])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning\n")
    print(
        "| data | backbone | stage 1 | stage 1, C = 1 | LogisticRegression | difference | log loss | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    by_freedom = []
    with scratch_workspace() as workspace:
        for folder in arguments.folders:
            for backbone in arguments.backbone:
                losses = compare(workspace, folder, backbone, arguments.seeds)
                by_freedom.append(f"| {folder.name} | {backbone} | {told(losses, 3, ' | ')} |")
    print(f"\n| data | backbone | {' | '.join(f'C {freedom:g}' for freedom in recipes.HEAD_STRENGTHS)} |")
    print("|---|---|" + "---|" * len(recipes.HEAD_STRENGTHS))
    print("\n".join(by_freedom))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def compare(workspace: Workspace, folder: Path, backbone_name: str, num_seeds: int) -> np.ndarray:
    """Print one line of the table; return the losses on val by freedom."""
    dataset = datasets.add_folder(workspace, folder)
    table = audit.audit(workspace, dataset)
    table = table[table["usable"]].reset_index(drop=True)
    backbone = backbones.build(workspace, backbone_name)
    paths = [dataset.pictures / path for path in table["path"]]
    matrix = features.extract(workspace, backbone, paths, list(table["sha256"])).matrix
    splits_of = [Split(table, matrix, seed) for seed in range(num_seeds)]
    judged = np.array([one_seed(split) for split in splits_of]).mean(axis=0)
    right, losses, seconds = judged.T
    print(
        f"| {folder.name} | {backbone_name} | {' | '.join(f'{share:.2%}' for share in right)} "
        f"| {100 * (right[0] - right[-1]):+.2f} points | {told(losses)} | {told(seconds)} |",
        flush=True,
    )
    on_val: np.ndarray = np.mean([split.losses_by_freedom() for split in splits_of], axis=0)
    return on_val


class Split:
    """Features and classes of one seed's split, and the ways to learn from them."""

    def __init__(self, table: pd.DataFrame, matrix: np.ndarray, seed: int) -> None:
        split = splits.assign(table, seed=seed)
        class_names = sorted(table["label"][split == "train"].unique())
        y_true = table["label"].map({name: i for i, name in enumerate(class_names)}).to_numpy()
        self._num_classes = len(class_names)
        self._matrix = {name: matrix[(split == name).to_numpy()] for name in runs.SPLITS}
        self.y_true = {name: y_true[(split == name).to_numpy()] for name in runs.SPLITS}
        self.recipe = recipes.validate(replace(recipes.preset("linear-probe"), seed=seed))

    def stage_1(self, recipe: Recipe) -> np.ndarray:
        """Return probabilities on test of stage 1, calibrated on val."""
        head = self._head(recipe)
        logits = {name: head.logits(self._matrix[name]) for name in ("val", "test")}
        temperature = evaluation.fit_temperature(logits["val"], self.y_true["val"])
        answers: np.ndarray = softmax(logits["test"] / temperature, axis=1)
        return answers

    def reference(self) -> np.ndarray:
        """Return those of scikit-learn."""
        model = LogisticRegression(max_iter=1000).fit(self._matrix["train"], self.y_true["train"])
        probabilities: np.ndarray = model.predict_proba(self._matrix["test"])
        return probabilities

    def losses_by_freedom(self) -> list[float]:
        """Return the log loss on val of a head of each freedom."""
        recipes_of = [
            replace(self.recipe, head_search=False, head_strength=freedom)
            for freedom in recipes.HEAD_STRENGTHS
        ]
        logits = [self._head(recipe).logits(self._matrix["val"]) for recipe in recipes_of]
        labels = range(self._num_classes)
        return [log_loss(self.y_true["val"], softmax(one, axis=1), labels=labels) for one in logits]

    def _head(self, recipe: Recipe) -> Head:
        return training.train_head(
            self._matrix, self.y_true, self._num_classes, recipe, lambda kind, **values: None
        ).head


def one_seed(split: Split) -> list[tuple[float, float, float]]:
    """Return test accuracy, log loss and fitting seconds of each way on one split."""
    fixed, truth, judged = replace(split.recipe, head_search=False), split.y_true["test"], []
    ways: list[Callable[[], np.ndarray]] = [
        lambda: split.stage_1(split.recipe),
        lambda: split.stage_1(fixed),
        split.reference,
    ]
    for way in ways:
        began = time.perf_counter()
        answers = way()
        seconds = time.perf_counter() - began
        loss = log_loss(truth, answers, labels=range(answers.shape[1]))
        judged.append((float((answers.argmax(axis=1) == truth).mean()), float(loss), seconds))
    return judged


def told(values: np.ndarray, digits: int = 2, between: str = ", ") -> str:
    """Return a figure of each."""
    return between.join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
