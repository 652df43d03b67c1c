"""A run arrives elsewhere as it left; what was changed on the way or could be run is refused, and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core import audit, bundles, datasets, queue, runs
from core.command_line import main
from core.errors import DataError
from core.runs import Run
from core.session.context import Context, Warm
from core.session.data_jobs import audit_dataset
from core.workspace import Workspace
from tests.pictures import write_classes
from tests.worlds import CONTROLS, add_dataset, emit_epochs, finished_run

Files = dict[str, bytes]


STAGE = {"epochs": 1, "planned": 1, "stopped": ""}


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    return make_run(workspace, tmp_path)


def make_run(workspace: Workspace, tmp_path: Path) -> Run:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))
    shape = (4, len(run.class_names))
    runs.save_arrays(workspace, run.id, "head", kernel=np.ones(shape, np.float32), bias=np.zeros(shape[1]))
    runs.save_arrays(workspace, run.id, "backbone", weight_00000=np.ones(3, np.float32))
    known = {"reference": np.ones((5, 4), np.float16), "thresholds": np.array([0.5, 0.4])}
    runs.save_arrays(workspace, run.id, "familiarity", **known)
    emit_epochs(workspace, run.id, "fine_tune", 2)
    runs.set_labels(workspace, run.id, name="best", tags=["a"])
    runs.judged(workspace, run, "test")  # keeps its scores
    return run


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elsewhere")


@pytest.fixture
def bundle(workspace: Workspace, run: Run, tmp_path: Path) -> Path:
    path = tmp_path / bundles.name_of(run)
    bundles.pack(workspace, run, path)
    return path


@pytest.fixture(scope="module")
def honest_bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bundle to be forged, made once; and below a workspace that has to stay empty."""
    folder = tmp_path_factory.mktemp("honest")
    workspace = Workspace(folder / "home")
    bundles.pack(workspace, make_run(workspace, folder), folder / "b.zip")
    return (folder / "b.zip").read_bytes()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("empty"))


def repacked(path: Path, change: Callable[[Files], None], honest: bool = True) -> Path:
    """Change a bundle's files; an honest forger also writes their hashes down."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    if honest and "bundle.json" in files:
        manifest = json.loads(files["bundle.json"])
        manifest["files"] = {
            name: {"num_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
            if name != "bundle.json"
        }
        files["bundle.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, kernel=np.array([print], dtype=object), bias=np.zeros(3))
    return buffer.getvalue()


def compressed() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, logits=np.zeros((1000, 1000)))
    return buffer.getvalue()


def test_a_run_arrives_as_it_left(workspace: Workspace, run: Run, bundle: Path, elsewhere: Workspace) -> None:
    arrived = bundles.unpack(elsewhere, bundle)
    assert arrived == runs.get(elsewhere, run.id) == runs.get(workspace, run.id)
    here, there = (runs.predictions(place, run.id, "test") for place in (workspace, elsewhere))
    np.testing.assert_array_equal(here.y_prob, there.y_prob)
    pd.testing.assert_frame_equal(here.images, there.images)


def test_names_and_events_come_along_and_scores_are_computed_again(
    workspace: Workspace, run: Run, bundle: Path, elsewhere: Workspace
) -> None:
    def lie(files: Files) -> None:
        files["scores-test.json"] = b'{"format": 1, "scores": 5}'

    bundles.unpack(elsewhere, repacked(bundle, lie))
    assert runs.labels(elsewhere, run.id) == runs.labels(workspace, run.id)
    pd.testing.assert_frame_equal(runs.epochs(elsewhere, run.id), runs.epochs(workspace, run.id))
    here, there = (runs.judged(place, run, "test").to_json() for place in (workspace, elsewhere))
    assert here == there


def test_a_run_that_was_stopped_before_train_was_judged_can_be_moved(
    workspace: Workspace, run: Run, tmp_path: Path, elsewhere: Workspace
) -> None:
    runs.save(workspace, replace(run, metrics={split: run.metrics[split] for split in ("val", "test")}))
    (runs.folder(workspace, run.id) / "predictions-train.npz").unlink()
    bundles.pack(workspace, runs.get(workspace, run.id), tmp_path / "b.zip")
    assert bundles.unpack(elsewhere, tmp_path / "b.zip").id == run.id


@pytest.mark.parametrize("photos_first", [True, False])
def test_a_run_finds_its_pictures_wherever_they_lie(
    workspace: Workspace,
    run: Run,
    bundle: Path,
    elsewhere: Workspace,
    tmp_path: Path,
    photos_first: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRAFT_DEVICE", "cpu")
    root = shutil.copytree(datasets.get(workspace, run.dataset_id).root, tmp_path / "moved" / "vögel")
    other = add_dataset(elsewhere, tmp_path / "other", {"owl": 3, "wren": 3})
    dataset = datasets.add_folder(elsewhere, root)
    if photos_first:
        audit.audit(elsewhere, dataset)
    arrived = bundles.unpack(elsewhere, bundle)
    if not photos_first:
        assert arrived.dataset_id == run.dataset_id, "nobody's pictures are taken for its own"
        with queue.hold_device(elsewhere, "cpu") as held:  # so no session starts
            assert held
            context = Context(elsewhere, "cpu", Warm(), queue.submit_audit(elsewhere, dataset.id))
            audit_dataset(context, other)
            assert runs.get(elsewhere, run.id) == arrived
            audit_dataset(context, dataset)
    assert runs.get(elsewhere, run.id) == replace(runs.get(workspace, run.id), dataset_id=dataset.id)


def test_a_folder_at_the_same_path_with_other_pictures_is_not_a_runs_own(
    workspace: Workspace, run: Run, bundle: Path, elsewhere: Workspace, tmp_path: Path
) -> None:
    root = datasets.get(workspace, run.dataset_id).root
    shutil.move(root, tmp_path / "mine")
    write_classes(root, {"owl": 4, "wren": 4}, first_seed=500)
    taken = datasets.add_folder(elsewhere, root)
    assert taken.id == run.dataset_id
    mine = datasets.add_folder(elsewhere, tmp_path / "mine")
    for dataset in (taken, mine):
        audit.audit(elsewhere, dataset)
    assert bundles.unpack(elsewhere, bundle).dataset_id == mine.id


def test_the_path_of_a_weights_file_stays_at_home(
    workspace: Workspace, run: Run, tmp_path: Path, elsewhere: Workspace
) -> None:
    values = json.loads((runs.folder(workspace, run.id) / "run.json").read_bytes())
    values["recipe"]["weights"] = "/home/somebody/mine.h5"
    (runs.folder(workspace, run.id) / "run.json").write_text(json.dumps(values))
    bundles.pack(workspace, runs.get(workspace, run.id), tmp_path / "b.zip")
    assert b"somebody" not in (tmp_path / "b.zip").read_bytes()
    assert bundles.unpack(elsewhere, tmp_path / "b.zip").recipe["weights"] == "mine.h5"


def test_a_run_that_is_here_already_is_not_replaced(workspace: Workspace, run: Run, bundle: Path) -> None:
    with pytest.raises(DataError, match="in this workspace already"):
        bundles.unpack(workspace, bundle)
    assert runs.get(workspace, run.id).state == "done"


def _flip(files: Files) -> None:
    files["head.npz"] = files["head.npz"][:-1] + b"x"


def _record(**changes: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files["run.json"] = json.dumps(json.loads(files["run.json"]) | changes).encode()

    return change


def _path(path: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        table = pd.read_parquet(io.BytesIO(files["split.parquet"]))
        table.loc[0, "path"] = path
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        files["split.parquet"] = buffer.getvalue()

    return change


def _arrays(name: str, **changes: Any) -> Callable[[Files], None]:
    """Change arrays of a file; None takes one out."""

    def change(files: Files) -> None:
        with np.load(io.BytesIO(files[f"{name}.npz"])) as archive:
            arrays = {key: value for key, value in {**archive, **changes}.items() if value is not None}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files[f"{name}.npz"] = buffer.getvalue()

    return change


def _split(change: Callable[[pd.DataFrame], pd.DataFrame], **how: Any) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        buffer = io.BytesIO()
        change(pd.read_parquet(io.BytesIO(files["split.parquet"]))).to_parquet(buffer, index=False, **how)
        files["split.parquet"] = buffer.getvalue()

    return changed


def _put(name: str, data: bytes) -> Callable[[Files], None]:
    return lambda files: files.update({name: data})


def _metrics(**changes: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        metrics = json.loads(files["run.json"])["metrics"]
        _record(metrics=metrics | {"test": metrics["test"] | changes})(files)

    return change


def _original(**scores: Any) -> Callable[[Files], None]:
    return _metrics(original=scores)


def _events(*events: Any) -> Callable[[Files], None]:
    """Add events, each at a time unless it says so itself."""
    lines = "".join(json.dumps({"time": 1.8e9} | event) + "\n" for event in events)

    def change(files: Files) -> None:
        files["events.jsonl"] += lines.encode()

    return change


def _recipe(**changes: Any) -> Callable[[Files], None]:
    return lambda files: _record(recipe=json.loads(files["run.json"])["recipe"] | changes)(files)


def _manifest(**changes: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files["bundle.json"] = json.dumps(json.loads(files["bundle.json"]) | changes).encode()

    return change


BY_ORIGINAL = {
    **{"num_relabelled": 3, "num_excluded": 1},
    **{"accuracy": 0.5, "accuracy_interval": [0.2, 0.8], "macro_f1": 0.4, "macro_f1_interval": [0.1, 0.7]},
}
FORGETTING = {
    **{"run_id": "20260101-101010-abcd", "num_images": 5, "before": 0.5, "after": 0.5},
    "difference": {"value": 0.0, "low": -0.1, "high": 0.1},
}
CROSS_VALIDATION = {
    **{"num_folds": 2, "num_images": 9, "fold_accuracies": [0.4, 0.6]},
    **{"accuracy": 0.5, "accuracy_interval": [0.2, 0.8], "macro_f1": 0.4},
}
EPOCH = {
    **{"kind": "epoch", "stage": "head", "epoch": 1, "epochs": 1},
    **{"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5},
}
HEAD_CHOSEN = {"kind": "head_chosen", "strength": None, "val_loss": 1.0, "val_accuracy": 0.5}


def _cross_validation(**changes: Any) -> Callable[[Files], None]:
    return _put("cross-validation.json", json.dumps(CROSS_VALIDATION | changes).encode())


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


@pytest.mark.parametrize(
    "change",
    [
        _original(**BY_ORIGINAL),
        _original(num_relabelled=0, num_excluded=2),
        _original(),
        _cross_validation(),
        _metrics(kappa=None, kappa_interval=[None, None]),
        _record(forgetting=FORGETTING, images_per_s={"features": 42.5}),
        _record(forgetting={"run_id": "20260101-101010-abcd", "num_images": 0}, controls={}),
        _events(
            {"kind": "stage", "name": "fine_tune"},
            EPOCH,
            HEAD_CHOSEN,
            HEAD_CHOSEN | {"strength": 0.1},
            {"kind": "resumed", "epoch": 1, "history": [_without(EPOCH, "kind")]},
            {"kind": "batch_halved", "batch_size": 8},
            {"kind": "compiling"},
            {"kind": "log", "text": "x"},
        ),
    ],
)
def test_what_graft_writes_is_taken_in(
    bundle: Path, elsewhere: Workspace, change: Callable[[Files], None]
) -> None:
    bundles.unpack(elsewhere, repacked(bundle, change))


@pytest.mark.parametrize(
    ("change", "honest", "message"),
    [
        (_metrics(original=5), True, "metrics of test by the original labels is not as it should be"),
        (_metrics(original=None), True, "metrics of test by the original labels is not as it should be"),
        (_original(num_relabelled=3), True, "by the original labels is not as it should be"),
        (
            _original(**_without(BY_ORIGINAL, "macro_f1")),
            True,
            "by the original labels is not as it should be",
        ),
        (
            _original(**BY_ORIGINAL | {"num_relabelled": 0, "accuracy": "x"}),
            True,
            "by the original labels is not",
        ),
        (
            _original(**BY_ORIGINAL | {"num_excluded": -1}),
            True,
            "by the original labels is not as it should be",
        ),
        (_original(**BY_ORIGINAL | {"accuracy": 0.9}), True, "an interval of accuracy that does not hold it"),
        (_original(**BY_ORIGINAL | {"macro_f1_interval": [0.1, 1.5]}), True, "by the original labels is not"),
        (_metrics(macro_f1=7.5), True, "metrics of test is not as it should be"),
        (_metrics(macro_f1_interval=[0.1, 0.2]), True, "an interval of macro_f1 that does not hold it"),
        (_metrics(kappa=-3, kappa_interval=[-4, 0]), True, "kappa is not as it should be"),
        (_metrics(num_images=0), True, "metrics of test is not as it should be"),
        (_record(controls=CONTROLS | {"num_val": 0}), True, "controls is not as it should be"),
        (_record(controls=CONTROLS | {"num_train": 0}), True, "controls is not as it should be"),
        (_record(controls=CONTROLS | {"pixels": 1.5}), True, "controls is not as it should be"),
        (_record(seconds={"head": -5}), True, "seconds is not as it should be"),
        (_record(images_per_s={"features": -1}), True, "images_per_s is not as it should be"),
        (_record(images_per_s={"features": 0}), True, "images_per_s is not as it should be"),
        (_record(forgetting=FORGETTING | {"run_id": "../x"}), True, "forgetting names a run that is none"),
        (_record(forgetting=FORGETTING | {"after": 2}), True, "forgetting is not as it should be"),
        (
            _put("events.jsonl", b'{"kind": "log", "text": "x"}\n'),
            True,
            "events.jsonl is not as it should be",
        ),
        (_events({"kind": "log", "text": "x", "time": 1e300}), True, "events.jsonl is not as it should be"),
        (_events({"kind": "stage"}), True, "events.jsonl is not as it should be"),
        (_events({"kind": "stage", "name": "evil"}), True, "stage.evil"),
        (_events(_without(EPOCH, "loss")), True, "events.jsonl is not as it should be"),
        (_events(EPOCH | {"val_accuracy": 7}), True, "events.jsonl is not as it should be"),
        (_events(EPOCH | {"stage": "evil"}), True, "events.jsonl has an epoch of no stage"),
        (_events({"kind": "resumed", "epoch": 1}), True, "events.jsonl is not as it should be"),
        (
            _events({"kind": "resumed", "epoch": 1, "history": [5]}),
            True,
            "events.jsonl is not as it should be",
        ),
        (_events({"kind": "batch_halved"}), True, "events.jsonl is not as it should be"),
        (_events(_without(HEAD_CHOSEN, "val_loss")), True, "events.jsonl is not as it should be"),
        (_flip, False, '"head.npz" of this bundle is not as it was packed'),
        (lambda files: files.update({"extra.json": b"{}"}), False, "its list of files"),
        (lambda files: files.update({"../evil.json": b"{}"}), True, "which no bundle has"),
        (lambda files: files.update({"evil.py": b"print()"}), True, "which no bundle has"),
        (lambda files: files.update({"head.npz": pickled()}), True, "other than plain arrays"),
        (lambda files: files.update({"predictions-val.npz": compressed()}), True, "packed as no array"),
        (lambda files: files.pop("split.parquet"), True, 'lacks "split.parquet"'),
        (lambda files: files.pop("bundle.json"), True, "so it is no bundle"),
        (lambda files: files.update({"run.json": b"[]"}), True, "cannot be used by this Graft"),
        (_record(created=1e300), True, "created is not as it should be"),
        (_record(created=10**400), True, "created is not as it should be"),
        (_record(created=1e12), True, "created is not as it should be"),
        (_record(temperature=1e-300), True, "temperature is not as it should be"),
        (_record(dataset_id="../../etc"), True, "a name of its record is none"),
        (_record(dataset_name="\ud800"), True, "surrogates not allowed"),
        (_record(class_names=["owl", "owl", "wren"]), True, "the classes of its record are none"),
        (_record(class_names=["x" * 100_000, "owl", "wren"]), True, "the classes of its record are none"),
        (_record(stage_2={"epochs": 1}), True, "stage_2 is not as it should be"),
        (_record(controls={"majority": "<b>"}), True, "controls is not as it should be"),
        (_record(stage_2={**STAGE, "accuracy_interval": "ab"}), True, "stage_2 is not as it should be"),
        (_record(forgetting=[3]), True, "cannot be used by this Graft"),
        (_metrics(accuracy=1), False, '"run.json" of this bundle'),
        (
            _metrics(accuracy=0.5, accuracy_interval=[0.2, 0.8]),
            True,
            "the accuracy of test in the record is not that of its answers",
        ),
        (_metrics(macro_f1="<b>100</b>"), True, "metrics of test is not as it should be"),
        (_metrics(kappa="best", kappa_interval=[0, 1]), True, "kappa is not as it should be"),
        (_recipe(weights="/etc/passwd"), True, "its recipe names a file of a folder"),
        (_recipe(weights="run:../../x"), True, "its recipe names a run that is none"),
        (_recipe(image_size=10**9), True, "image_size is"),
        (_arrays("head", kernel=np.full((4, 3), np.nan)), True, "head.npz has numbers that are none"),
        (_arrays("head", kernel=np.ones((4, 2))), True, "head.npz has an array of shape (4, 2)"),
        (_arrays("head", kernel=None), True, "head.npz has other arrays than it should"),
        (_arrays("head", kernel=np.array(["a"] * 3)), True, "head.npz has numbers that are none"),
        (_arrays("predictions-test", logits=np.zeros((2, 3))), True, "predictions-test.npz has an array of"),
        (_arrays("predictions-test", logits=None), True, "predictions-test.npz has other arrays"),
        (_arrays("familiarity", thresholds=np.array([np.nan, 1])), True, "familiarity.npz has numbers"),
        (
            _arrays("familiarity", reference=np.ones((5, 3))),
            True,
            "familiarity.npz has an array of shape (5, 3)",
        ),
        (lambda files: files.pop("backbone.npz"), True, "backbone.npz is missing"),
        (_split(lambda table: table.drop(columns="label")), True, "other columns than those of a split"),
        (_split(lambda table: pd.concat([table, table])), True, "another number of pictures than the record"),
        (_split(lambda table: table.assign(label="moa")), True, "other classes or splits than the record"),
        (_split(lambda table: table.assign(split="zzz")), True, "other classes or splits than the record"),
        (_split(lambda table: table.assign(sha256="0")), True, "a hash in split.parquet is none"),
        (_split(lambda table: table.assign(path="a" * 9_999)), True, "longer than a path can be"),
        (_split(lambda table: table.assign(path=5)), True, "columns that are no texts"),
        (
            _split(lambda table: table.assign(path=table["path"].map(str.encode))),
            True,
            "columns that are no texts",
        ),
        (_split(lambda table: table.assign(group=b"\xff")), True, "columns that are no texts"),
        (_split(lambda table: table, compression="zstd"), True, "packed as no table of Graft is"),
        (_put("split.parquet", b"PAR1"), True, "of this bundle"),
        (_put("events.jsonl", b"5\n"), True, "events.jsonl is not as it should be"),
        (_put("events.jsonl", b'{"kind": "epoch"}\n'), True, "events.jsonl is not as it should be"),
        (_put("events.jsonl", b"[" * 100_000), True, "damaged"),
        (_put("labels.json", b"[]"), True, "labels.json is not as it should be"),
        (_put("cross-validation.json", b'{"num_folds": 5}'), True, "cross-validation.json is not as it"),
        (_put("looks.json", b"{}"), True, "which no bundle has"),
        (_record(metrics={}), True, "its record says what cannot be"),
        (_record(seconds={"head": "x"}), True, "seconds is not as it should be"),
        (_record(dataset_name=3), True, "a name of its record is none"),
        (_path("../../secret.png"), True, "leads out of the dataset's folder"),
        (_path("..\\..\\secret.png"), True, "leads out of the dataset's folder"),
        (_path("/etc/secret.png"), True, "leads out of the dataset's folder"),
        (_record(state="running"), True, '"run.json" of this bundle is not as it was packed'),
        (_manifest(format=99), False, "written by a newer Graft"),
        (_manifest(format=float("inf")), False, '"bundle.json" of this bundle'),
        (_manifest(files={"run.json": {"num_bytes": float("inf"), "sha256": ""}}), False, '"bundle.json"'),
        (_manifest(files=3), False, '"bundle.json" of this bundle'),
        (_manifest(run_id="20200101-000000-abcd"), False, '"run.json" of this bundle'),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_and_leaves_nothing(
    honest_bundle: bytes,
    empty: Workspace,
    tmp_path: Path,
    change: Callable[[Files], None],
    honest: bool,
    message: str,
) -> None:
    bundle = tmp_path / "b.zip"
    bundle.write_bytes(honest_bundle)
    with pytest.raises(DataError) as refused:
        bundles.unpack(empty, repacked(bundle, change, honest))
    assert message in str(refused.value)
    assert list(empty.runs_dir.iterdir()) == []


def test_nothing_in_a_bundle_may_be_compressed(bundle: Path, elsewhere: Workspace) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as target:
        for name in archive.namelist():
            target.writestr(name, archive.read(name))
    data = bytearray(packed.getvalue())
    data[60:90] = bytes(30)
    with pytest.raises(DataError, match="of this bundle is not as it was packed"):
        bundles.unpack(elsewhere, io.BytesIO(bytes(data)))


def test_a_name_that_cannot_be_read_is_damage(elsewhere: Workspace) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ü.json", b"{}")
    with pytest.raises(DataError, match="or it is damaged"):
        bundles.unpack(elsewhere, io.BytesIO(packed.getvalue().replace("ü".encode(), b"\xff\xff")))


@pytest.mark.parametrize("data", [b"", b"no zip at all"])
def test_what_is_no_zip_is_refused(elsewhere: Workspace, data: bytes) -> None:
    with pytest.raises(DataError, match="no bundle of a run, or it is damaged"):
        bundles.unpack(elsewhere, io.BytesIO(data))


def test_a_run_that_is_not_done_cannot_be_taken_along(workspace: Workspace, tmp_path: Path) -> None:
    run = runs.create(workspace, "birds", "Birds", {})
    with pytest.raises(DataError, match="is queued, so there is nothing to take along"):
        bundles.pack(workspace, run, tmp_path / "b.zip")


def test_a_run_moves_by_the_command_line(
    workspace: Workspace,
    run: Run,
    elsewhere: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(workspace.home))
    assert main(["bundle", run.id, "--to", str(tmp_path / "out"), "--json"]) == 0
    packed = json.loads(capsys.readouterr().out)["bundle"]
    monkeypatch.setenv("GRAFT_HOME", str(elsewhere.home))
    assert main(["import", packed]) == 0
    assert f"Run {run.id}" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "gone.zip")]) == 2
    assert "There is no file" in capsys.readouterr().err
