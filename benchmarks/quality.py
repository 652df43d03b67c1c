"""How good are the recipes? The default against the head alone and against the textbook, on the same splits.

    python benchmarks/quality.py DATA [DATA ...] [--recipe NAME ...] [--change NAME=JSON ...] [--seeds 3] [--folds 5]
                                 [--backbone NAME] [--image-size N] [--results FILE]

DATA is a folder of class folders, or the name of a sample (``digits``, ``solar-cells``). Without ``--folds`` each
seed makes a split of its own (a given split is kept) and test answers of all seeds are pooled. With ``--folds`` each
image is judged once, by a model that has not seen it or a file with the same bytes; validation is carved from train.

``--change`` alters fields of the recipes, such as ``fine_tune_epochs=10`` or ``augment='{"rotation": 180}'``.

Trains through the queue and a device session of the workspace (``GRAFT_HOME``), as the app does. Every finished
training is a line of the results file, and is not done again when the script is started once more.

Prints test accuracy with Wilson's 95 % interval over all answers, macro F1, the paired difference to the first recipe
with its interval, and the median seconds of a training without audit, features and controls. Over several seeds the
same image may be judged more than once, so these intervals are a little too narrow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import audit, datasets, evaluation, queue, recipes, runs, splits
from core.datasets import Dataset
from core.errors import GraftError
from core.workspace import Workspace, open_workspace

RECIPES = ("linear-probe", "two-stages", "textbook")


@dataclass(frozen=True)
class Task:
    """One training of the comparison.

    Args:
        data: Name of the data.
        dataset: What is trained on.
        recipe: Name of the preset.
        part: ``seed 0``, … or ``fold 0``, ….
        seed: Seed of the recipe.
    """

    data: str
    dataset: Dataset
    recipe: str
    part: str
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+")
    parser.add_argument("--recipe", nargs="+", default=list(RECIPES))
    parser.add_argument("--change", nargs="+", default=[], metavar="NAME=JSON")
    parser.add_argument("--backbone", default=recipes.preset(recipes.DEFAULT_PRESET).backbone)
    parser.add_argument("--image-size", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("quality.jsonl"))
    arguments = parser.parse_args()
    workspace = open_workspace()
    for data in arguments.data:
        for task in tasks(workspace, data, arguments):
            do(workspace, task, arguments)
    report(read(arguments.results))


def tasks(workspace: Workspace, data: str, arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield the trainings of one kind of data, all recipes of a part before the next part."""
    dataset = dataset_of(workspace, data)
    if arguments.folds:
        for number, fold in enumerate(fold_datasets(workspace, dataset, arguments.folds)):
            for recipe in arguments.recipe:
                yield Task(dataset.name, fold, recipe, f"fold {number}", 0)
        return
    for seed in range(arguments.seeds):
        for recipe in arguments.recipe:
            yield Task(dataset.name, dataset, recipe, f"seed {seed}", seed)


def dataset_of(workspace: Workspace, data: str) -> Dataset:
    """Return a sample, made where it is missing, or a folder as a dataset."""
    if data in datasets.SAMPLES:
        dataset = datasets.add_sample(workspace, data)
    else:
        dataset = datasets.add_folder(workspace, Path(data))
    audit.audit(workspace, dataset)
    return dataset


def fold_datasets(workspace: Workspace, dataset: Dataset, num_folds: int) -> Iterator[Dataset]:
    """Yield for each fold a dataset whose test is that fold; its files are copies."""
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    table = table[table["usable"]].reset_index(drop=True)
    fold = splits.folds(table, num_folds)
    for number in range(num_folds):
        root = (
            workspace.home.with_name(f"{workspace.home.name}-quality") / f"{dataset.id}-{num_folds}-{number}"
        )
        for path, label, of in zip(table["path"], table["label"], fold, strict=True):
            target = root / ("test" if of == number else "train") / label / Path(path).name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((dataset.pictures / path).read_bytes())
        added = datasets.add_folder(workspace, root, name=f"{dataset.name}, fold {number}")
        audit.audit(workspace, added)
        yield replace(added, sample=dataset.sample)


def do(workspace: Workspace, task: Task, arguments: argparse.Namespace) -> None:
    """Train one task, unless it is among the results already."""
    backbone, size = arguments.backbone, arguments.image_size
    key = [task.data, backbone, size, " ".join([task.recipe, *arguments.change]), task.part]
    if any(result["key"] == key for result in read(arguments.results)):
        return
    changes = {
        name: json.loads(value) for name, _, value in (text.partition("=") for text in arguments.change)
    }
    if size:
        changes["image_size"] = size
    preset = recipes.preset(task.recipe, task.dataset.sample)
    recipe = recipes.from_json(preset.to_json() | changes | {"backbone": backbone, "seed": task.seed})
    try:
        job = queue.submit_training(workspace, task.dataset.id, task.dataset.name, recipe)
        queue.wait(workspace, job.id)
    except GraftError as error:
        print(f"{key}: {error}", file=sys.stderr)
        return
    run = runs.get(workspace, job.run_id)
    said = runs.predictions(workspace, run.id, "test")
    result = {
        "key": key,
        "y_true": said.y_true.tolist(),
        "y_pred": said.y_prob.argmax(axis=1).tolist(),
        "paths": list(said.images["path"]),
        "num_classes": len(run.class_names),
        "fine_tuned": run.fine_tuned,
        "stage_2": dict(run.stage_2),
        "seconds": dict(run.seconds),
    }
    with arguments.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    accuracy = run.metrics["test"]["accuracy"]
    print(
        f"{' · '.join(map(str, key))}: {accuracy:.1%} in {sum(run.seconds.values()):.0f} s", file=sys.stderr
    )


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(results: list[dict[str, Any]]) -> None:
    """Print a line of the table for each data, network and recipe."""
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the end\n")
    print(
        "| data | network | px | recipe | trainings | test accuracy | macro F1 | against the first | kept | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(tuple(result["key"][:4]), []).append(result)
    for (data, backbone, size, recipe), members in groups.items():
        reference = next(others for key, others in groups.items() if key[:3] == (data, backbone, size))
        print(
            f"| {data} | {backbone} | {size or 'own'} | {recipe} | {len(members)} | {scores(members)} "
            f"| {difference(reference, members)} | {sum(member['fine_tuned'] for member in members)} "
            f"| {statistics.median(map(seconds, members)):.0f} |"
        )


def scores(members: list[dict[str, Any]]) -> str:
    """Return accuracy with its interval, and macro F1, over all answers."""
    y_true = np.concatenate([member["y_true"] for member in members])
    y_pred = np.concatenate([member["y_pred"] for member in members])
    num_classes = max(member["num_classes"] for member in members)
    accuracy = evaluation.wilson_interval(int((y_true == y_pred).sum()), len(y_true))
    one_hot = np.eye(num_classes)[y_pred]
    macro_f1 = evaluation.evaluate(y_true, one_hot, [str(number) for number in range(num_classes)]).macro_f1
    return f"{accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}) | {macro_f1.value:.3f}"


def difference(reference: list[dict[str, Any]], members: list[dict[str, Any]]) -> str:
    """Return how much better a recipe is than the first one on the parts that both have judged."""
    if reference is members:
        return "–"
    theirs = {result["key"][4]: result for result in reference}
    first, second = [], []
    for member in members:
        other = theirs.get(member["key"][4])
        if other is not None and other["paths"] == member["paths"]:
            first += np.equal(other["y_true"], other["y_pred"]).tolist()
            second += np.equal(member["y_true"], member["y_pred"]).tolist()
    if not first:
        return "–"
    found = evaluation.paired_difference(first, second)
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}) points"


def seconds(member: dict[str, Any]) -> float:
    """Return the seconds of a training without those that a second one does not need again."""
    return sum(
        value for name, value in member["seconds"].items() if name not in ("features", "audit", "controls")
    )


if __name__ == "__main__":
    main()
