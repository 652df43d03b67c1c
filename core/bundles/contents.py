"""What the files of a bundle must hold for pages and jobs to work with them: checked whole before a run is taken in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core import recipes, runs, words
from core.bundles.forms import AMOUNT, COUNT, MAX_NAME_CHARS, NUMBER, SHARE, TIME, fit, fit_estimate
from core.bundles.record import require_recipe, require_record
from core.runs import Run
from core.workspace import read_json

MAX_PICTURES = 5_000_000
MAX_TABLE_BYTES = 4_000_000_000
"""Of all texts of the table of pictures, each row's counted: a file of a few kilobytes may repeat one without end."""
MAX_TEXT_BYTES = 4_096
"""Of one path, hash or label: as long as a path can be on usual systems."""
MAX_JSON_BYTES = 200_000_000

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COLUMNS = ("path", "sha256", "label", "split")
_COMPRESSIONS = {"SNAPPY", "UNCOMPRESSED"}
"""Snappy, as Graft writes it, makes a page at most some twenty times as large; others have no such bound."""

_CROSS_VALIDATION = {"num_folds": COUNT, "num_images": COUNT, "macro_f1": SHARE, "fold_accuracies": list}
_LABELS = {"name": str, "tags": list, "archived": bool}
_SCORES = {"loss": NUMBER, "accuracy": SHARE, "val_loss": NUMBER, "val_accuracy": SHARE}
_EPOCH = {"stage": str, "epoch": COUNT, "epochs": COUNT, **_SCORES}
_EVENTS = {
    "stage": {"name": str},
    "epoch": _EPOCH,
    "resumed": {"epoch": COUNT, "history": list},
    "batch_halved": {"batch_size": COUNT},
    "head_chosen": {"val_loss": NUMBER, "val_accuracy": SHARE},
    "log": {"text": str},
}
"""What pages read of each kind of event; one of another kind is a line without words."""


def require_sound(place: Path, run: Run) -> None:
    """Refuse an unpacked run that a page or a job would stumble over.

    Args:
        place: The folder with its files.
        run: Its record.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: A file of it holds what cannot be.
        GraftError: Its recipe is none that this Graft can use, or a file cannot be read.
    """
    for path in [*place.glob("*.json"), *place.glob("*.jsonl")]:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"{path.name} is larger than {MAX_JSON_BYTES / 1e6:g} MB")
    json.dumps(read_json(place / "run.json"), ensure_ascii=False).encode()  # refuses halves of characters
    require_record(run)
    require_recipe(recipes.from_json(run.recipe), run, has_weights=(place / "backbone.npz").exists())
    y_true = _require_split(place / "split.parquet", run)
    _require_arrays(place, run, y_true)
    _require_beside(place)


def _require_split(path: Path, run: Run) -> dict[str, np.ndarray]:
    """Refuse a table of pictures that is not that of the record; return the true classes of each split.

    Nothing is unpacked that could be larger than the record says.
    """
    with pq.ParquetFile(path) as file:
        about, schema = file.metadata, file.schema_arrow
        names = schema.names
        chunks = [
            about.row_group(group).column(column)
            for group in range(about.num_row_groups)
            for column in range(about.num_columns)
        ]
    if about.num_rows != sum(run.num_images.values()) or about.num_rows > MAX_PICTURES:
        raise ValueError("split.parquet has another number of pictures than the record")
    if not set(_COLUMNS) <= set(names) <= {*_COLUMNS, "group"} or len(set(names)) != len(names):
        raise ValueError("split.parquet has other columns than those of a split")
    # Bytes that are no texts have the same physical type.
    if not all(_is_text(schema.field(name).type) for name in names):
        raise ValueError("split.parquet has columns that are no texts")
    if any(chunk.compression not in _COMPRESSIONS or chunk.physical_type != "BYTE_ARRAY" for chunk in chunks):
        raise ValueError("split.parquet is packed as no table of Graft is")
    table = pq.read_table(path, read_dictionary=names)
    num_bytes = sum(_require_texts(table[name], may_be_empty=name == "group") for name in names)
    if num_bytes > MAX_TABLE_BYTES:
        raise ValueError("split.parquet holds more text than any dataset has")
    if not all(map(_is_inside, _unique(table, "path"))):
        raise ValueError("a path in it leads out of the dataset's folder")
    if not all(map(_SHA256.fullmatch, _unique(table, "sha256"))):
        raise ValueError("a hash in split.parquet is none")
    split = table["split"].cast(pa.string()).to_numpy()
    index = {name: number for number, name in enumerate(run.class_names)}
    unknown = -1
    labels = [index.get(label, unknown) for label in table["label"].to_pylist()]
    y_true = np.array(labels, dtype=np.int64)
    counts = {name: int((split == name).sum()) for name in runs.SPLITS}
    if (y_true == unknown).any() or counts != dict(run.num_images):
        raise ValueError("split.parquet has other classes or splits than the record")
    return {name: y_true[split == name] for name in runs.SPLITS}


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _require_texts(column: pa.ChunkedArray, *, may_be_empty: bool) -> int:
    """Refuse what is no column of short texts; return the bytes of all of them."""
    if column.null_count and not may_be_empty:
        raise ValueError("a text in split.parquet is missing")
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary.cast(pa.binary()))
        if (pc.max(lengths).as_py() or 0) > MAX_TEXT_BYTES:
            raise ValueError("a text in split.parquet is longer than a path can be")
        total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return total


def _unique(table: pa.Table, name: str) -> list[str]:
    found: list[str] = pc.unique(table[name].cast(pa.string())).to_pylist()
    return found


def _is_inside(path: str) -> bool:
    parts = {*PurePosixPath(path).parts, *PureWindowsPath(path).parts}
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path


def _require_arrays(place: Path, run: Run, y_true: Mapping[str, np.ndarray]) -> None:
    num_classes = len(run.class_names)
    head = _arrays(place, "head", ("kernel", "bias"), ("hidden_kernel", "hidden_bias"))
    num_features = _require_head(head, num_classes)
    for split, truth in y_true.items():
        if split not in run.metrics:
            continue
        logits = _arrays(place, f"predictions-{split}", ("logits",))["logits"]
        _require_shape(f"predictions-{split}.npz", logits, (len(truth), num_classes))
        right = float((logits.argmax(axis=1) == truth).mean()) if len(truth) else math.nan
        if not math.isclose(right, run.metrics[split]["accuracy"], abs_tol=1e-6):
            raise ValueError(f"the accuracy of {split} in the record is not that of its answers")
    if (place / "head-alone.npz").exists():
        alone = _arrays(place, "head-alone", ("temperature", "val", "test"), ("train",))
        _require_shape("head-alone.npz", alone.pop("temperature"), (), above=0)
        for split, logits in alone.items():
            _require_shape("head-alone.npz", logits, (len(y_true[split]), num_classes))
    if (place / "out-of-fold.npz").exists():
        _require_out_of_fold(place, sum(map(len, y_true.values())), num_classes)
    if (place / "familiarity.npz").exists():
        known = _arrays(place, "familiarity", ("reference", "thresholds"))
        _require_shape("familiarity.npz", known["thresholds"], (2,))
        _require_shape("familiarity.npz", known["reference"], (max(1, len(known["reference"])), num_features))
    if (place / "backbone.npz").exists():
        _arrays(place, "backbone")


def _require_head(head: Mapping[str, np.ndarray], num_classes: int) -> int:
    """Refuse a head whose arrays do not fit together; return how many features it stands on."""
    hidden = "hidden_kernel" in head or "hidden_bias" in head
    kernel = head["kernel"]
    num_inputs = len(kernel) if kernel.ndim else 0
    _require_shape("head.npz", kernel, (max(1, num_inputs), num_classes))
    _require_shape("head.npz", head["bias"], (num_classes,))
    if not hidden:
        return num_inputs
    num_features = max(1, len(head["hidden_kernel"]))
    _require_shape("head.npz", head["hidden_kernel"], (num_features, num_inputs))
    _require_shape("head.npz", head["hidden_bias"], (num_inputs,))
    return num_features


def _require_out_of_fold(place: Path, num_images: int, num_classes: int) -> None:
    kept = _arrays(place, "out-of-fold", ("rows", "fold", "y_prob"))
    num_judged = len(kept["rows"])
    _require_shape("out-of-fold.npz", kept["y_prob"], (num_judged, num_classes), above=-1e-9)
    for name in ("rows", "fold"):
        _require_shape("out-of-fold.npz", kept[name], (num_judged,), above=-1)
        if kept[name].dtype.kind not in "iu":
            raise ValueError("out-of-fold.npz has rows that are none")
    if num_judged and kept["rows"].max() >= num_images:
        raise ValueError("out-of-fold.npz has rows that are none")


def _arrays(
    place: Path, name: str, needed: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Return the arrays of a file, all of them finite numbers, with the names that it must have."""
    with np.load(place / f"{name}.npz", allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    if needed and not set(needed) <= set(arrays) <= {*needed, *optional}:
        raise ValueError(f"{name}.npz has other arrays than it should")
    for values in arrays.values():
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"{name}.npz has numbers that are none")
    return arrays


def _require_shape(name: str, values: np.ndarray, shape: tuple[int, ...], above: float = -math.inf) -> None:
    if values.shape != shape or (values.size and not values.min() > above):
        raise ValueError(f"{name} has an array of shape {values.shape} that does not fit the record")


def _require_beside(place: Path) -> None:
    """Refuse what is kept beside the record where it is not as Graft writes it."""
    if (place / "cross-validation.json").exists():
        found = read_json(place / "cross-validation.json")
        fit("cross-validation.json", found, _CROSS_VALIDATION)
        fit_estimate("cross-validation.json", found, "accuracy", SHARE)
        fit(
            "cross-validation.json", found["fold_accuracies"], [SHARE] * max(1, len(found["fold_accuracies"]))
        )
    if (place / "labels.json").exists():
        found = read_json(place / "labels.json")
        fit("labels.json", found, _LABELS)
        if not all(
            isinstance(text, str) and len(text) <= MAX_NAME_CHARS for text in [found["name"], *found["tags"]]
        ):
            raise ValueError("labels.json has a name that is none")
    if (place / "events.jsonl").exists():
        for line in (place / "events.jsonl").read_text("utf-8", errors="replace").splitlines():
            _require_event(line)


def _require_event(line: str) -> None:
    try:
        event = json.loads(line)
    except ValueError:  # a killed process left it torn; it is skipped where it is read
        return
    fit("events.jsonl", event, {"kind": str, "time": TIME})
    kind = event["kind"]
    fit("events.jsonl", event, _EVENTS.get(kind, {}))
    if kind == "stage":
        words.say(f"stage.{event['name']}")  # raises KeyError where no stage is called so
    history = event["history"] if kind == "resumed" else []
    for epoch in [event] if kind == "epoch" else history:
        fit("events.jsonl", epoch, _EPOCH)
        numbers = {name for name, value in epoch.items() if value is not None} - {"kind", "stage"}
        fit("events.jsonl", epoch, dict.fromkeys(numbers, NUMBER))
        if epoch["stage"] not in runs.STAGES:
            raise ValueError("events.jsonl has an epoch of no stage")
    if kind == "head_chosen" and event.get("strength") is not None:
        fit("events.jsonl", event, {"strength": AMOUNT})
