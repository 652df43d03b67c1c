"""Stage 2 against plain ``fit`` on the same layers: seconds of an epoch and of a whole stage, and test accuracy.

    python benchmarks/stage_2.py FOLDER [--backbone NAME] [--blocks 0.34 0.06] [--epochs 5] [--seeds 3] [--one-split]

Ours keeps what leaves the last frozen block. The textbook is ``fit`` on ``image_dataset_from_directory``, decoding
included, from the same head, with the same layers learning and no augmentation. After each of our epochs the textbook
takes one, so that other work on the machine slows both. Three tables:

1. An epoch when all is kept: no augmentation, epochs after the first of each (which compiles and fills).
2. A whole stage of the default recipe (four variations of each picture), all counted: compiling, filling, validation.
3. Test accuracy of that recipe, with what is kept and with every epoch beginning at the pixels, and of the textbook
   from the same head; each seed has a split of its own (a given split is kept; with ``--one-split`` the first one's).

Seconds are of the wall clock and, in brackets, of processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stage_1 import Split, linked, split_of
from benchmarks.workplaces import scratch_workspace
from core import augmentation, backbones, features, recipes, training
from core.backbones import Backbone
from core.heads import Head, write_head
from core.recipes import Recipe
from core.training import Images
from core.training.learner import trained_blocks
from core.workspace import Workspace


@dataclass
class Epochs:
    """Hears stage 2, and lets the textbook take an epoch after each of ours."""

    other: Callable[[], object]
    ours: list[tuple[float, float]] = field(default_factory=list)
    theirs: list[tuple[float, float]] = field(default_factory=list)
    began: tuple[float, float] = (0.0, 0.0)

    def begin(self) -> None:
        """Start the clock of our first epoch."""
        self.began = now()

    def __call__(self, kind: str, **values: Any) -> None:
        if kind == "log":
            print(values["text"], file=sys.stderr)
        if kind == "epoch":
            self.ours.append(since(self.began))
            began = now()
            self.other()
            self.theirs.append(since(began))
            self.begin()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--blocks", type=float, nargs="+", default=[0.34, 0.06])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one-split", action="store_true", help="judge all seeds on the split of the first")
    arguments = parser.parse_args()
    with scratch_workspace() as workspace:
        measure(workspace, arguments)


def measure(workspace: Workspace, arguments: argparse.Namespace) -> None:
    """Print the three tables."""
    default = replace(
        recipes.preset(recipes.DEFAULT_PRESET), backbone=arguments.backbone, fine_tune_epochs=arguments.epochs
    )
    default = recipes.validate(default)
    split = split_of(workspace, arguments.folder)
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning")
    print(
        f"\n{arguments.folder.name}, {arguments.backbone}, {len(split.paths['train'])} pictures to learn from"
    )

    print("\n| an epoch, all kept | ours | textbook | textbook / ours |\n|---|---|---|---|")
    for blocks in arguments.blocks:
        recipe = replace(
            default,
            fine_tune_blocks=blocks,
            views=0,
            augment=augmentation.PRESETS["none"],
            fine_tune_epochs=3,
        )
        epochs = side_by_side(workspace, split, recipe)
        print_line(f"upper {blocks:.0%} of the blocks", median(epochs.ours[1:]), median(epochs.theirs[1:]))
    print(
        f"\n| a stage of {arguments.epochs} epochs | ours | textbook | textbook / ours |\n|---|---|---|---|"
    )
    epochs = side_by_side(workspace, split, default)
    print_line("default recipe", total(epochs.ours), total(epochs.theirs))

    if arguments.seeds:
        print("\n| seed | kept | from the pixels | textbook |\n|---|---|---|---|")
    found = []
    for seed in range(arguments.seeds):
        split = split_of(workspace, arguments.folder, 0 if arguments.one_split else seed)
        found.append(accuracies(workspace, split, replace(default, seed=seed)))
        print(f"| {seed} | " + " | ".join(f"{accuracy:.1%}" for accuracy in found[-1]) + " |", flush=True)
    if found:
        print("| mean | " + " | ".join(f"{accuracy:.1%}" for accuracy in np.mean(found, axis=0)) + " |")
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def side_by_side(workspace: Workspace, split: Split, recipe: Recipe) -> Epochs:
    """Do stage 2 and as many epochs of the textbook's."""
    backbone = backbones.build(workspace, recipe.backbone)
    head = head_of(workspace, backbone, split, recipe)
    epochs = Epochs(Textbook(workspace, split, recipe, head).fit_epoch)
    epochs.begin()
    training.fine_tune(
        backbone, head, images_of(split), len(split.class_names), recipe, epochs, scratch=workspace.home
    )
    return epochs


def accuracies(workspace: Workspace, split: Split, recipe: Recipe) -> list[float]:
    """Return test accuracies of stage 2 with what is kept, of it from the pixels, and of the textbook."""
    backbone = backbones.build(workspace, recipe.backbone)
    head, images, found = head_of(workspace, backbone, split, recipe), images_of(split), []
    for scratch in (workspace.home, None):
        tuned = training.fine_tune(
            backbone, head, images, len(split.class_names), recipe, lambda kind, **_: None, scratch=scratch
        )
        with backbones.lend(backbone, tuned.weights) as lent:
            extracted = features.extract(workspace, lent, split.paths["test"], split.hashes["test"])
        logits = tuned.head.logits(extracted.matrix)
        found.append(float((logits.argmax(axis=1) == images["test"].y_true).mean()))
    theirs = Textbook(workspace, split, recipe, head)
    for _ in range(recipe.fine_tune_epochs):
        theirs.fit_epoch()
    return [*found, theirs.accuracy()]


def images_of(split: Split) -> dict[str, Images]:
    """Return the images of each split."""
    return {name: Images(paths, split.y_true[name]) for name, paths in split.paths.items()}


def head_of(workspace: Workspace, backbone: Backbone, split: Split, recipe: Recipe) -> Head:
    """Return the head of stage 1, without views."""
    parts = {
        name: features.extract(workspace, backbone, split.paths[name], split.hashes[name]).matrix
        for name in ("train", "val")
    }
    return training.train_head(
        parts, split.y_true, len(split.class_names), recipe, lambda kind, **_: None
    ).head


class Textbook:
    """Plain ``fit`` from the same head, with the same layers learning."""

    def __init__(self, workspace: Workspace, split: Split, recipe: Recipe, head: Head) -> None:
        backbone = backbones.build(workspace, recipe.backbone)
        self._data = {
            name: keras.utils.image_dataset_from_directory(
                linked(workspace, name, split),
                image_size=backbone.image_size,
                batch_size=recipe.batch_size,
                seed=recipe.seed,
                label_mode="categorical",
                verbose=False,
            )
            for name in split.paths
        }
        self._model = backbones.classifier(backbone, len(split.class_names))
        write_head(self._model, head)
        backbones.unfreeze(self._model, backbone.blocks, trained_blocks(backbone, recipe))
        self._model.compile(
            keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
            metrics=["accuracy"],
        )

    def fit_epoch(self) -> None:
        """Take an epoch, with validation."""
        self._model.fit(self._data["train"], validation_data=self._data["val"], epochs=1, verbose=0)

    def accuracy(self) -> float:
        """Return the accuracy on test."""
        return float(self._model.evaluate(self._data["test"], verbose=0, return_dict=True)["accuracy"])


def now() -> tuple[float, float]:
    """Return the wall clock and processor time, seconds."""
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Return the seconds since :func:`now` said ``began``."""
    return time.perf_counter() - began[0], time.process_time() - began[1]


def median(seconds: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of wall clock and processor time."""
    return statistics.median(wall for wall, _ in seconds), statistics.median(own for _, own in seconds)


def total(seconds: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the sums of wall clock and processor time."""
    return sum(wall for wall, _ in seconds), sum(own for _, own in seconds)


def print_line(name: str, ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    """Print a line of a table."""
    print(
        f"| {name} | {ours[0]:.1f} ({ours[1]:.1f}) | {theirs[0]:.1f} ({theirs[1]:.1f}) "
        f"| {theirs[0] / ours[0]:.2f} ({theirs[1] / ours[1]:.2f}) |",
        flush=True,
    )


if __name__ == "__main__":
    main()
