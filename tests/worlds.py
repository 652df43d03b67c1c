"""Small worlds for the tests of the pages: an audited dataset, runs in every state, and the app that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from core import audit, datasets, evaluation, queue, recipes, runs, splits
from core.datasets import Dataset
from core.progress import no_progress
from core.queue import Job
from core.recipes import Recipe
from core.runs import Run
from core.words import sentence
from core.workspace import Workspace
from tests.pictures import write_classes

ENTRY = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")
BIRDS = {"owl": 10, "wren": 10, "kite": 10}
RECIPE = recipes.validate(Recipe(backbone="tiny", head_epochs=5, fine_tune_epochs=2))


def add_dataset(
    workspace: Workspace, folder: Path, counts: Mapping[str, int] = BIRDS, *, audited: bool = True
) -> Dataset:
    """Write class folders with so many pictures each and make them a dataset."""
    dataset = datasets.add_folder(workspace, write_classes(folder, dict(counts)), name=folder.name)
    if audited:
        audit.audit(workspace, dataset, no_progress)
    return dataset


def begin_training(workspace: Workspace, dataset: Dataset, recipe: Recipe = RECIPE) -> Job:
    """Put a training in the queue and take it as a session would; the caller holds the device."""
    job = queue.submit_training(workspace, dataset.id, dataset.name, recipe)
    claimed = queue.claim(workspace, job.device, "train", "a session of the tests")
    assert claimed is not None and claimed.id == job.id
    runs.save(workspace, replace(runs.get(workspace, job.run_id), state="running"))
    return claimed


STAGE_2 = {
    "epochs": 2,
    "planned": 2,
    "best_epoch": 2,
    "stopped": "",
    "batch_size": 32,
    "head_loss": 0.25,
    "head_accuracy": 0.925,
    "loss": 0.2,
    "accuracy": 0.95,
    "difference": {"value": 0.025, "low": -0.05, "high": 0.1},
}
"""How stage 2 went in :func:`finished_run`: kept, though whether it helped cannot be told."""
CONTROLS = {
    "num_train": 18,
    "num_val": 6,
    "pretrained": 0.9,
    "random": 0.5,
    "pixels": 0.4,
    "majority": 0.3,
    "over_random": {"value": 0.4, "low": 0.2, "high": 0.6},
    "over_pixels": {"value": 0.5, "low": 0.3, "high": 0.7},
}
"""The controls of :func:`finished_run`: pretraining helps."""


def emit_epochs(workspace: Workspace, run_id: str, stage: str, num_epochs: int) -> None:
    """Write the events of so many finished epochs."""
    for epoch in range(1, num_epochs + 1):
        scores = {"loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch}
        scores |= {"val_loss": 1.2 / epoch, "val_accuracy": 1 - 0.6 / epoch}
        scores |= {"learning_rate": 1e-4 / epoch} if stage == "fine_tune" else {}
        runs.emit(workspace, run_id, "epoch", stage=stage, epoch=epoch, epochs=num_epochs, **scores)


def finished_run(
    workspace: Workspace,
    dataset: Dataset,
    mistakes: Sequence[tuple[str, str]] = (),
    *,
    without: Sequence[str] = (),
) -> Run:
    """Write a run that ended well.

    Args:
        workspace: Where to.
        dataset: An audited dataset; its classes are those of its training images.
        mistakes: In test, the first images of the first class are taken for the second, one per entry.
        without: Classes that have no image in test.
    """
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    table = table.assign(split=splits.assign(table))
    table = table[(table["split"] != "") & ~((table["split"] == "test") & table["label"].isin(list(without)))]
    class_names = tuple(sorted(table["label"][table["split"] == "train"].unique()))
    run = runs.create(workspace, dataset.id, dataset.name, RECIPE.to_json())
    runs.save_split(workspace, run.id, table)
    metrics: dict[str, dict[str, Any]] = {}
    for split in runs.SPLITS:
        labels = list(table["label"][table["split"] == split])
        y_true = np.array([class_names.index(label) for label in labels])
        said = _say(labels, list(mistakes) if split == "test" else [])
        logits = 4 * np.eye(len(class_names), dtype=np.float32)[[class_names.index(name) for name in said]]
        runs.save_arrays(workspace, run.id, f"predictions-{split}", logits=logits)
        metrics[split] = evaluation.evaluate(y_true, evaluation.softmax(logits), class_names).to_json()
    done = replace(
        run,
        state="done",
        class_names=class_names,
        num_images={split: int((table["split"] == split).sum()) for split in runs.SPLITS},
        seconds={"features": 2.0, "head": 0.5, "fine_tune": 9.5, "evaluate": 0.25},
        metrics=metrics,
        fine_tuned=True,
        stage_2=STAGE_2,
        controls=CONTROLS,
        notes=(
            sentence("note.kept", epoch=2, loss=0.2, loss_before=0.25, accuracy=95.0, accuracy_before=92.5),
        ),
    )
    runs.save(workspace, done)
    return done


def _say(labels: list[str], mistakes: list[tuple[str, str]]) -> list[str]:
    said = []
    for label in labels:
        mistake = next((pair for pair in mistakes if pair[0] == label), None)
        if mistake is not None:
            mistakes.remove(mistake)
        said.append(mistake[1] if mistake is not None else label)
    assert not mistakes, "more mistakes were asked for than there are images"
    return said


def visit(page: str, **query: str) -> AppTest:
    """Open a page of the app with a query string, as a bookmark does; GRAFT_HOME must be set."""
    app = AppTest.from_file(ENTRY, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    if page != "home":
        app.switch_page(f"pages/{page}.py").run()
    return app


def current(app: AppTest) -> dict[str, str]:
    """Return what the URL says: the current dataset and run, and the choices that it keeps."""
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def words(app: AppTest) -> str:
    """Return everything that stands on the page in Markdown, one element a line."""
    kinds = ("markdown", "caption", "error", "warning", "info", "success", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def metrics(app: AppTest) -> dict[str, str]:
    """Return the figures on the page by their labels."""
    return {element.label: element.value for element in app.metric}


def has_button(app: AppTest, key: str) -> bool:
    """Tell whether there is a button with this key."""
    return any(button.key == key for button in app.button)
