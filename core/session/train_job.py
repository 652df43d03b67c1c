"""The training job: where dataset, features, both stages and the run's record come together."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core import audit, datasets, evaluation, features, recipes, runs, splits, training
from core.datasets import Dataset
from core.errors import JobError, NotFound
from core.queue import Job
from core.recipes import Recipe
from core.session.data_jobs import audit_dataset
from core.session.executor import Context
from core.session.networks import build_backbone
from core.words import Sentence, Value, listed, sentence

MAX_NAMED = 5
"""Classes and files that notes name before they count the rest."""
MIN_MEASURED = 200
"""Images below which the speed of extracting features says more about starting than about going on."""


@dataclass
class Clock:
    """Wall seconds per stage of a training."""

    seconds: dict[str, float]

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)


def do_train(context: Context, job: Job) -> dict[str, Any]:
    """Train a run from its dataset to its predictions."""
    workspace, clock = context.workspace, Clock({})
    run = runs.get(workspace, job.run_id)
    run = replace(run, state="running", error="")
    runs.save(workspace, run)
    recipe = recipes.validate(recipes.from_json(run.recipe))

    with clock.measure("audit"):
        dataset = _dataset(context, job)
        audit_dataset(context, dataset)
        table, class_names, notes = _training_table(context, dataset, recipe)
    with clock.measure("prepare"):
        context.stage("prepare")
        backbone = context.warm.get(
            f"{recipe.backbone}, {recipe.image_size} px", lambda: build_backbone(context, recipe, job)
        )
    with clock.measure("features"):
        context.stage("features")
        extracted = features.extract(
            workspace,
            backbone,
            [dataset.root / path for path in table["path"]],
            list(table["sha256"]),
            resize=recipe.resize,
            progress=context.progress,
        )
        context.log(
            f"Features: {extracted.num_computed} computed, {extracted.num_cached} taken from the cache."
        )
    table, matrix, lost = _without_lost(table, extracted)
    notes += lost
    table, matrix, class_names = _without_unlearnt(table, matrix, class_names, notes)
    _check_splits(table)
    y_true = _encode(table, class_names)

    with clock.measure("head"):
        context.stage("head")
        members = {split: (table["split"] == split).to_numpy() for split in runs.SPLITS}
        head = training.train_head(
            {split: matrix[rows] for split, rows in members.items()},
            {split: y_true[rows] for split, rows in members.items()},
            len(class_names),
            recipe,
            _listener(context, []),
        )
    logits = {split: head.logits(matrix[rows]) for split, rows in members.items()}

    tuned = None
    epoch_seconds: list[float] = []
    parts = {
        split: training.Images([dataset.root / path for path in table["path"][rows]], y_true[rows])
        for split, rows in members.items()
    }
    if recipe.fine_tune_epochs:
        with clock.measure("fine_tune"):
            context.stage("fine_tune")
            tuned = training.fine_tune(backbone, head, parts, recipe, _listener(context, epoch_seconds))
        tuned, note = _choose(tuned, logits["val"], y_true[members["val"]])
        notes.append(note)
        if tuned:
            head, logits = tuned.head, dict(tuned.logits)
    context.log(str(notes[-1]) if notes else "Stage 1 only.")

    with clock.measure("evaluate"):
        context.stage("evaluate")
        table, logits, y_true = _without_unread(table, logits, y_true, notes)
        run = _evaluated(run, recipe, table, class_names, logits, y_true)
        runs.save_split(workspace, run.id, table)
        runs.save_arrays(workspace, run.id, "head", kernel=head.kernel, bias=head.bias)
        if tuned:
            weights = {f"weight_{index:05d}": values for index, values in enumerate(tuned.weights)}
            runs.save_arrays(workspace, run.id, "backbone", **weights)
        for split in runs.SPLITS:
            runs.save_arrays(workspace, run.id, f"predictions-{split}", logits=logits[split])
    run = replace(
        run,
        state="done",
        seconds={"fine_tune": 0.0} | clock.seconds,
        images_per_s=_speeds(clock, extracted.num_computed, epoch_seconds, len(parts["train"].paths)),
        fine_tuned=tuned is not None,
        weights_sha256=backbone.weights_sha256,
        notes=tuple(notes),
    )
    runs.save(workspace, run)
    return {"run_id": run.id}


def _speeds(clock: Clock, num_computed: int, epoch_seconds: list[float], num_train: int) -> dict[str, float]:
    """Return images per second of the stages in which images went through the network, the first step left out."""
    speeds = {}
    if num_computed >= MIN_MEASURED:
        speeds["features"] = round(num_computed / clock.seconds["features"], 2)
    if len(epoch_seconds) > 1:  # the first epoch holds the compiling
        speeds["fine_tune"] = round(num_train / statistics.median(epoch_seconds[1:]), 2)
    return speeds


def _dataset(context: Context, job: Job) -> Dataset:
    """Return the dataset to train on; a sample that is not there yet is made."""
    try:
        return datasets.get(context.workspace, job.dataset_id)
    except NotFound:
        if not job.args.get("sample"):
            raise
        context.stage("sample")
        return datasets.add_sample(context.workspace, job.args["sample"], context.progress)


def _training_table(
    context: Context, dataset: Dataset, recipe: Recipe
) -> tuple[pd.DataFrame, list[str], list[Sentence]]:
    """Return path, sha256, label and split of the images to use, the classes to learn, and notes."""
    table = audit.load_table(context.workspace, dataset.id)
    if table is None:
        raise NotFound(f'The dataset "{dataset.name}" has not been audited. Open it on the Data page first.')
    full = table = table.assign(split=splits.assign(table, recipe.fractions, recipe.seed))
    table = table[table["split"] != ""].sort_values("path", ignore_index=True)
    class_names = sorted(table["label"][table["split"] == "train"].unique())
    unseen = ~table["label"].isin(class_names)
    notes = []
    if unseen.any():
        names = _quoted(sorted(table["label"][unseen].unique()))
        notes.append(sentence("note.unseen", n=int(unseen.sum()), names=names))
    return table[~unseen].reset_index(drop=True), class_names, notes + _warnings(full, dataset)


def _warnings(table: pd.DataFrame, dataset: Dataset) -> list[Sentence]:
    """Return what the audit found that bears on the scores, in a sentence each."""
    layout = datasets.read_layout(dataset.root)
    notes = []
    small = splits.small_classes(table)
    if small:
        names = _quoted(small)
        notes.append(sentence("note.small", min_class_images=splits.MIN_CLASS_IMAGES, names=names))
    empty = sorted(set(layout.class_names) - set(table.loc[table["usable"], "label"]))
    if empty:
        notes.append(sentence("note.empty", names=_quoted(empty)))
    unusable = int((table["problem"] != "").sum())
    if unusable:
        notes.append(sentence("note.unusable", files=sentence("count.files", n=unusable)))
    leaked = int((table["usable"] & (table["split"] == "")).sum())
    if leaked:
        notes.append(sentence("note.leaked", files=sentence("count.files", n=leaked)))
    return notes


def _quoted(names: list[str]) -> Value:
    """Name classes in quotes, which pages turn into code spans."""
    shown = listed([f'"{name}"' for name in names[:MAX_NAMED]])
    if len(names) <= MAX_NAMED:
        return shown
    return sentence("list.more", names=shown, n=len(names) - MAX_NAMED)


def _without_lost(
    table: pd.DataFrame, extracted: features.Features
) -> tuple[pd.DataFrame, np.ndarray, list[Sentence]]:
    """Leave out the files that could be read by the audit but not any more."""
    lost = sorted(extracted.unreadable)
    kept = np.ones(len(table), dtype=bool)
    kept[lost] = False
    notes = [sentence("note.lost", path=table["path"][row]) for row in lost[:MAX_NAMED]]
    if len(lost) > MAX_NAMED:
        notes.append(sentence("note.lost_more", n=len(lost) - MAX_NAMED))
    return table[kept].reset_index(drop=True), extracted.matrix[kept], notes


def _without_unlearnt(
    table: pd.DataFrame, matrix: np.ndarray, class_names: list[str], notes: list[Sentence]
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Leave out classes whose training images have all been lost since the audit."""
    left = sorted(table["label"][table["split"] == "train"].unique())
    if len(left) < 2:
        raise JobError(
            f"Only {len(left)} of {len(class_names)} classes have training images that can still be read. "
            "Is the folder still there? Look at it again, then train again."
        )
    if left != class_names:
        notes.append(sentence("note.unlearnt", names=_quoted(sorted(set(class_names) - set(left)))))
    kept = table["label"].isin(left).to_numpy()
    return table[kept].reset_index(drop=True), matrix[kept], left


def _check_splits(table: pd.DataFrame) -> None:
    for split in runs.SPLITS:
        if not (table["split"] == split).any():
            raise JobError(
                f"No image of {split} could be read any more. Look at the Data page, then train again."
            )


def _encode(table: pd.DataFrame, class_names: list[str]) -> np.ndarray:
    index = {name: number for number, name in enumerate(class_names)}
    return table["label"].map(index).to_numpy(dtype=np.int64)


def _listener(context: Context, epoch_seconds: list[float]) -> training.Listen:
    def listen(kind: str, **values: Any) -> None:
        if kind == "progress":
            context.progress(values["done"], values["total"])
        else:
            context.emit(kind, **values)
        if kind == "epoch" and "seconds" in values:
            epoch_seconds.append(values["seconds"])

    return listen


def _choose(
    tuned: training.FineTuned, probe_logits: np.ndarray, y_true: np.ndarray
) -> tuple[training.FineTuned | None, Sentence]:
    """Keep stage 2 only if it is no worse than the probe on val, and say what was decided."""
    probe_loss, probe_accuracy = training.scores(probe_logits, y_true)
    loss, accuracy = training.scores(tuned.logits["val"], y_true)
    figures = {
        "loss": loss,
        "loss_before": probe_loss,
        "accuracy": 100 * accuracy,
        "accuracy_before": 100 * probe_accuracy,
    }
    if loss <= probe_loss:
        return tuned, sentence("note.kept", epoch=tuned.epoch, **figures)
    return None, sentence("note.not_kept", **figures)


def _without_unread(
    table: pd.DataFrame, logits: Mapping[str, np.ndarray], y_true: np.ndarray, notes: list[Sentence]
) -> tuple[pd.DataFrame, dict[str, np.ndarray], np.ndarray]:
    """Leave out the images that vanished during stage 2."""
    read = np.ones(len(table), dtype=bool)
    for split in runs.SPLITS:
        read[(table["split"] == split).to_numpy()] = ~np.isnan(logits[split]).any(axis=1)
    if not read.all():
        notes.append(sentence("note.lost_later", n=int((~read).sum())))
    kept = {split: values[~np.isnan(values).any(axis=1)] for split, values in logits.items()}
    return table[read].reset_index(drop=True), kept, y_true[read]


def _evaluated(
    run: runs.Run,
    recipe: Recipe,
    table: pd.DataFrame,
    class_names: list[str],
    logits: Mapping[str, np.ndarray],
    y_true: np.ndarray,
) -> runs.Run:
    """Return the run with its temperature, fitted on val, and its scores."""
    members = {split: (table["split"] == split).to_numpy() for split in runs.SPLITS}
    temperature = evaluation.fit_temperature(logits["val"], y_true[members["val"]])
    metrics = {}
    for split, rows in members.items():
        probabilities = evaluation.softmax(logits[split], temperature)
        scores = evaluation.evaluate(y_true[rows], probabilities, class_names).to_json()
        metrics[split] = {
            name: value
            for name, value in scores.items()
            if name not in ("per_class", "confusion_matrix", "class_names")
        }
    return replace(
        run,
        recipe=recipe.to_json(),
        class_names=tuple(class_names),
        num_images={split: int(rows.sum()) for split, rows in members.items()},
        metrics=metrics,
        split_fingerprint=splits.fingerprint(table, table["split"]),
        temperature=temperature,
    )
