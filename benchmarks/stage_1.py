"""Stage 1 against the textbook: a head on features that are computed once, against a frozen network in the graph.

    python benchmarks/stage_1.py FOLDER [--backbone NAME] [--epochs 10] [--measured-epochs 10]

The textbook is ``image_dataset_from_directory``, the frozen network with pooling and a softmax, Adam 1e-3, and ten
epochs of ``fit``; ours is the recipe ``linear-probe``: features, then logistic regression. The same files are learnt
from and the same judge, links to them make the textbook's folders. Between the textbook's epochs ours begins anew,
with nothing cached, so that other work on the machine slows both. With ``--measured-epochs`` fewer than ``--epochs``
the rest counts as the mean of those after the first, and the table says so.

Prints seconds of the wall clock, and of processor time, and validation accuracies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workplaces import scratch_workspace
from core import audit, backbones, datasets, feature_store, features, recipes, runs, splits, training
from core.backbones import Backbone
from core.heads import Head
from core.workspace import Workspace

RECIPE = recipes.validate(recipes.preset("linear-probe"))


@dataclass
class Seconds:
    """What something took each time it was done."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Add what the block takes."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.processor.append(time.process_time() - processor)

    def told(self) -> str:
        """Return the medians, processor time in brackets."""
        return f"{statistics.median(self.wall):.1f} ({statistics.median(self.processor):.1f})"


@dataclass(frozen=True)
class Split:
    """Files of train, val and test: paths, hashes and true classes."""

    paths: dict[str, list[Path]]
    hashes: dict[str, list[str]]
    y_true: dict[str, np.ndarray]
    class_names: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--measured-epochs", type=int, default=0)
    arguments = parser.parse_args()
    with scratch_workspace() as workspace:
        compare(workspace, arguments)


def compare(workspace: Workspace, arguments: argparse.Namespace) -> None:
    """Measure in a workspace where nothing is cached, and print the table."""
    split = split_of(workspace, arguments.folder)
    backbone = backbones.build(workspace, arguments.backbone)
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning")

    first, fresh, again, theirs = Seconds(), Seconds(), Seconds(), Seconds()
    with first.measure():
        head, matrix = ours(workspace, backbone, split)
    fit_epoch = textbook(workspace, backbone, split)
    measured = arguments.measured_epochs or arguments.epochs
    accuracy = 0.0
    for _ in range(measured):
        with theirs.measure():
            accuracy = fit_epoch()
        feature_store.clear(workspace)
        with fresh.measure():
            ours(workspace, backbone, split)
        with again.measure():
            head, matrix = ours(workspace, backbone, split)
    our_accuracy = float((head.logits(matrix).argmax(axis=1) == split.y_true["val"]).mean())
    wall, processor = (total(values, arguments.epochs) for values in (theirs.wall, theirs.processor))
    how = "" if measured == arguments.epochs else f", from {measured} measured ones"
    print(
        f"\n{arguments.folder.name}, {arguments.backbone}: {len(split.paths['train'])} pictures to learn from\n\n"
        "| | seconds (processor) | textbook / ours | val accuracy |\n|---|---|---|---|\n"
        f"| textbook, {arguments.epochs} epochs{how} | {wall:.1f} ({processor:.1f}) | | {accuracy:.1%} |"
    )
    for name, seconds in {"nothing cached": fresh, "with the conversion": first, "again": again}.items():
        ratio = wall / statistics.median(seconds.wall)
        by_processor = processor / statistics.median(seconds.processor)
        print(f"| ours, {name} | {seconds.told()} | {ratio:.1f} ({by_processor:.1f}) | {our_accuracy:.1%} |")
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def total(seconds: list[float], epochs: int) -> float:
    """Return the seconds of all epochs; those not measured as the mean of those after the first."""
    later = statistics.mean(seconds[1:] or seconds)
    return sum(seconds) + (epochs - len(seconds)) * later


def split_of(workspace: Workspace, folder: Path, seed: int = RECIPE.seed) -> Split:
    """Return the files of the default split, or of another seed's."""
    dataset = datasets.add_folder(workspace, folder)
    table = audit.audit(workspace, dataset)
    table = table.assign(split=splits.assign(table, RECIPE.fractions, seed))
    class_names = sorted(table["label"][table["split"] == "train"].unique())
    index = {name: number for number, name in enumerate(class_names)}
    parts = {name: table[table["split"] == name] for name in runs.SPLITS}
    return Split(
        paths={name: [dataset.pictures / path for path in part["path"]] for name, part in parts.items()},
        hashes={name: list(part["sha256"]) for name, part in parts.items()},
        y_true={name: part["label"].map(index).to_numpy() for name, part in parts.items()},
        class_names=class_names,
    )


def ours(workspace: Workspace, backbone: Backbone, split: Split) -> tuple[Head, np.ndarray]:
    """Do stage 1; return the head and the features of val."""
    paths, hashes = split.paths["train"] + split.paths["val"], split.hashes["train"] + split.hashes["val"]
    matrix = features.extract(workspace, backbone, paths, hashes).matrix
    num_train = len(split.paths["train"])
    parts = {"train": matrix[:num_train], "val": matrix[num_train:]}
    trained = training.train_head(
        parts, split.y_true, len(split.class_names), RECIPE, lambda kind, **values: None
    )
    return trained.head, parts["val"]


def textbook(workspace: Workspace, backbone: Backbone, split: Split) -> Callable[[], float]:
    """Return what trains one epoch of the textbook's and returns the accuracy on val."""
    folders = {name: linked(workspace, name, split) for name in ("train", "val")}
    data: dict[str, Any] = {
        name: keras.utils.image_dataset_from_directory(
            folder, image_size=backbone.image_size, seed=0, label_mode="categorical", verbose=False
        )
        for name, folder in folders.items()
    }
    backbone.model.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.model.output)
    outputs = keras.layers.Dense(len(split.class_names), activation="softmax")(pooled)
    model = keras.Model(backbone.model.input, outputs)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])

    def fit_epoch() -> float:
        history = model.fit(data["train"], validation_data=data["val"], epochs=1, verbose=0).history
        return float(history["val_accuracy"][-1])

    return fit_epoch


def linked(workspace: Workspace, name: str, split: Split) -> Path:
    """Return a folder of class folders with links to the files of a split."""
    root = workspace.home / "stage_1" / name
    shutil.rmtree(root, ignore_errors=True)
    for number, (path, label) in enumerate(zip(split.paths[name], split.y_true[name], strict=True)):
        target = root / split.class_names[label] / f"{number:05d}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return root


if __name__ == "__main__":
    main()
