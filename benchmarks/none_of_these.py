"""Does a model say "none of these" of what it has never seen, and how often does it say so wrongly?

    python benchmarks/none_of_these.py KNOWN OUTSIDE [OUTSIDE ...] [--backbone NAME] [--most 240]

A head is trained on the class folders of KNOWN (70/15/15, seed 0), and both thresholds are set on its validation
pictures as a run does it. Asked are its own test pictures, up to so many pictures of each OUTSIDE folder, and near
misses: each class of KNOWN in turn is left out of training and thresholds, and the model that does not know it is
asked about all its pictures. Prints the share that is turned away for being unlike anything seen, for the model being
unsure, and for either, with Wilson's 95 % interval, and the area under the ROC curve of the distance and of the doubt
(1 minus the probability of the first answer) between the model's own test pictures and the others.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import audit, backbones, datasets, evaluation, familiarity, features, recipes, splits, training
from core.backbones import Backbone
from core.familiarity import Familiarity
from core.heads import Head
from core.recipes import Recipe
from core.workspace import Workspace, open_workspace


@dataclass(frozen=True, eq=False)
class Model:
    """What is asked."""

    head: Head
    temperature: float
    known: Familiarity

    def doubts(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances of pictures, 0…2, and the doubts, 0…1: each of shape (pictures,)."""
        y_prob = evaluation.softmax(self.head.logits(matrix), self.temperature)
        return self.known.distances(matrix), 1 - y_prob.max(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("known", type=Path)
    parser.add_argument("outside", type=Path, nargs="+")
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--most", type=int, default=240, help="pictures of each folder outside")
    arguments = parser.parse_args()
    workspace = open_workspace()
    backbone = backbones.build(workspace, arguments.backbone)
    table, matrix = pictures(workspace, backbone, arguments.known)
    print("| asked | pictures | unlike | unsure | either | AUROC distance | AUROC doubt |")
    print("|---|---|---|---|---|---|---|")
    split = splits.assign(table).to_numpy()
    model = train(table["label"], split, matrix)
    own = matrix[split == "test"]
    report(f"{arguments.known.name}, test", model, own)
    for folder in arguments.outside:
        _, other = pictures(workspace, backbone, folder, arguments.most)
        report(folder.name, model, other, own)
    near_misses(table, matrix)


def near_misses(table: pd.DataFrame, matrix: np.ndarray) -> None:
    """Print a line per class that is left out."""
    for label in sorted(table["label"].unique()):
        kept = (table["label"] != label).to_numpy()
        rest = table[kept].reset_index(drop=True)
        split = splits.assign(rest).to_numpy()
        model = train(rest["label"], split, matrix[kept])
        # A near-duplicate of a picture that was learnt from is no stranger.
        learnt = set(splits.together(rest)[split == "train"])
        strange = ~kept & ~splits.together(table).isin(learnt).to_numpy()
        own = matrix[kept][split == "test"]
        report(f"near miss: {label}", model, matrix[strange], own)


def pictures(
    workspace: Workspace, backbone: Backbone, folder: Path, most: int | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the usable pictures of a folder, or so many evenly drawn, and their features."""
    dataset = datasets.add_folder(workspace, folder)
    table = audit.audit(workspace, dataset)
    table = table[table["usable"]]
    if most is not None and len(table) > most:
        table = table.iloc[np.linspace(0, len(table) - 1, most).astype(int)]
    paths = [dataset.pictures / path for path in table["path"]]
    found = features.extract(workspace, backbone, paths, list(table["sha256"]))
    return table.reset_index(drop=True), found.matrix


def train(labels: pd.Series, split: np.ndarray, matrix: np.ndarray) -> Model:
    """Train a head and set the thresholds, as a run does it."""
    class_names = sorted(labels[split == "train"].unique())
    y_true = labels.map({name: number for number, name in enumerate(class_names)}).to_numpy()
    rows = {name: split == name for name in ("train", "val")}
    head = training.train_head(
        {name: matrix[of] for name, of in rows.items()},
        {name: y_true[of].astype(np.int64) for name, of in rows.items()},
        len(class_names),
        recipes.validate(Recipe()),
        lambda kind, **values: None,
    ).head
    logits = head.logits(matrix[rows["val"]])
    temperature = evaluation.fit_temperature(logits, y_true[rows["val"]].astype(np.int64))
    y_prob = evaluation.softmax(logits, temperature)
    return Model(head, temperature, familiarity.measure(matrix[rows["train"]], matrix[rows["val"]], y_prob))


def report(name: str, model: Model, asked: np.ndarray, own: np.ndarray | None = None) -> None:
    """Print one line of the table; ``own``: features of the model's own test pictures to tell others from."""
    distances, doubts = model.doubts(asked)
    unlike, unsure = distances > model.known.max_distance, 1 - doubts < model.known.min_confidence
    shares = " | ".join(told(turned) for turned in (unlike, unsure, unlike | unsure))
    areas = ["", ""]
    if own is not None:
        truth = np.repeat([0, 1], [len(own), len(asked)])
        areas = [
            f"{roc_auc_score(truth, np.concatenate(pair)):.3f}"
            for pair in zip(model.doubts(own), (distances, doubts), strict=True)
        ]
    print(f"| {name} | {len(asked):,} | {shares} | {areas[0]} | {areas[1]} |", flush=True)


def told(turned: np.ndarray) -> str:
    """Return a share with its interval."""
    share = evaluation.wilson_interval(int(turned.sum()), len(turned))
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


if __name__ == "__main__":
    main()
