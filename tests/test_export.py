"""An exported model does what the app does, needs nothing of Graft, and what does not agree is not handed out."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import datasets, export, exports, images, queue, recipes, runs
from core.__main__ import main
from core.errors import Cancelled, JobError
from core.evaluation import wilson_interval
from core.export.children import run_script
from core.recipes import Recipe
from core.session.context import Context, Warm
from core.session.export_job import _calibration, do_export
from core.workspace import Workspace
from tests.pictures import encode, noise, write
from tests.worlds import add_dataset, finished_run

RECIPE = Recipe(
    backbone="tiny", head_epochs=10, fine_tune_epochs=1, fine_tune_blocks=0.5, batch_size=8, head_search=False
)
ALL = ["keras", "savedmodel", "litert", "litert-fp16", "litert-int8"]
LABELS = ("night", "day ☀ | *x*")


def eventually(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_DEVICE", "cpu")
        workspace = Workspace(tmp_path_factory.mktemp("shared") / "graft")
        patch.setenv("GRAFT_HOME", str(workspace.home))
        yield workspace
        status = queue.session_status(workspace)
        if status.pid:
            os.kill(status.pid, signal.SIGKILL)
            eventually(lambda: not queue.is_alive(workspace, "cpu"))


@pytest.fixture(scope="module")
def run(home: Workspace, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    root = tmp_path_factory.mktemp("photos") / "sky ![x](y)"
    rng = np.random.default_rng(0)
    for name, (low, high) in zip(LABELS, ((0, 140), (115, 255)), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(low, high, (36, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    dataset = datasets.add_folder(home, root)
    job = queue.submit_training(home, dataset.id, dataset.name, RECIPE)
    return runs.get(home, queue.wait(home, job.id).run_id)


@pytest.fixture(scope="module")
def told(home: Workspace, run: runs.Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command says of an export in all formats, and the unpacked zip."""
    folder = tmp_path_factory.mktemp("exported")
    answer = subprocess.run(
        [sys.executable, "-m", "core", "export", run.id, "--to", str(folder), "--json"],
        cwd=queue.PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    said: dict[str, Any] = json.loads(answer.stdout)
    with zipfile.ZipFile(said["zip"]) as archive:
        archive.extractall(folder)
    return said | {"folder": folder / "model"}


def _predict(folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run the zip's script; ``-I`` keeps Graft's folder from it."""
    return subprocess.run(
        [sys.executable, "-I", "-W", "ignore", str(folder / "predict.py"), *map(str, paths)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_format_agrees_with_the_app_on_the_whole_test_split(
    home: Workspace, run: runs.Run, told: dict[str, Any]
) -> None:
    artefacts = {item["format"]: item for item in told["certificate"]["artefacts"]}
    assert list(artefacts) == ALL
    assert told["certificate"]["num_images"] == run.num_images["test"]
    for name in ("keras", "savedmodel", "litert"):
        assert artefacts[name]["passed"], artefacts[name]
        assert artefacts[name]["agreement"] == 1 and artefacts[name]["max_difference"] <= 1e-3
    assert told["certificate"]["app_accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])
    assert 0 < artefacts["litert-int8"]["max_difference"] < 0.2
    assert artefacts["litert-int8"]["num_bytes"] < artefacts["litert"]["num_bytes"]
    kept = exports.certificate(home, run.id)
    assert kept is not None and json.loads(json.dumps(kept.to_json())) == told["certificate"]


def test_the_zip_has_all_that_a_stranger_needs(run: runs.Run, told: dict[str, Any]) -> None:
    folder = told["folder"]
    there = {path.name for path in folder.iterdir()}
    assert there >= {"predict.py", "check.py", "requirements.txt", "model.json", "labels.txt", "recipe.json"}
    assert there >= {"data.json", "README.md", "CERTIFICATE.md", "certificate.json", "golden", "model.tflite"}
    assert (folder / "labels.txt").read_text("utf-8").splitlines() == list(run.class_names)
    assert "ai-edge-litert" in (folder / "requirements.txt").read_text("utf-8")
    assert "`sky ![x](y)`" in (folder / "README.md").read_text("utf-8")
    assert json.loads((folder / "data.json").read_text("utf-8"))["fingerprint"] == run.split_fingerprint
    texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.suffix in {".json", ".md", ".txt"}]
    assert not any(str(Path.home()) in text or "/tmp" in text for text in texts)


def test_the_script_says_what_the_app_says_of_awkward_pictures(
    home: Workspace, run: runs.Run, told: dict[str, Any], tmp_path: Path
) -> None:
    awkward = sorted(path for path in (told["folder"] / "golden").iterdir() if path.suffix != ".json")
    assert {"phone.heic", "alpha.png", "cmyk.jpg", "grey-16-bit.png", "grey.png", "rotated-by-exif.jpg"} < {
        path.name for path in awkward
    }
    odd = tmp_path / "a\tb\n\u202e☀.png"
    odd.write_bytes(awkward[0].read_bytes())
    awkward.append(odd)
    app = queue.wait(home, queue.submit_prediction(home, run, awkward).id).result["predictions"]
    lines = _predict(told["folder"], *awkward).stdout.splitlines()
    assert len(lines) == len(awkward)
    for line, path, answer in zip(lines, awkward, app, strict=True):
        where, label, probability = line.split("\t")
        shown = str(path).replace(odd.name, "a\\tb\\n\\u202e☀.png")
        assert (where, label) == (shown, answer["predicted"])
        assert float(probability) == pytest.approx(answer["probability"], abs=1e-3)


def test_the_golden_check_notices_a_model_that_was_changed(told: dict[str, Any]) -> None:
    folder = told["folder"]
    check = [sys.executable, "-W", "ignore", "check.py"]
    good = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    settings = json.loads((folder / "model.json").read_text("utf-8"))
    expected = json.loads((folder / "golden" / "expected.json").read_text("utf-8"))
    turned = {name: values[::-1] for name, values in expected.items()}
    (folder / "golden" / "expected.json").write_text(json.dumps(turned), encoding="utf-8")
    bad = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    (folder / "golden" / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    assert bad.returncode == 1 and f"within {settings['tolerance']:g}" in bad.stdout


def test_the_script_goes_on_after_what_is_no_photo(tmp_path: Path, told: dict[str, Any]) -> None:
    (tmp_path / "text.jpg").write_text("not a photo")
    bomb = Image.new("1", (20_000, 20_000))
    (tmp_path / "bomb.png").write_bytes(encode(bomb))
    (tmp_path / "good.png").write_bytes(encode(noise(1)))
    answer = _predict(told["folder"], tmp_path / "text.jpg", tmp_path / "bomb.png", tmp_path / "good.png")
    assert answer.returncode == 1
    assert [line.split("\t")[0] for line in answer.stdout.splitlines()] == [str(tmp_path / "good.png")]
    assert answer.stderr.count("cannot be read as a photo") == 2 and "Traceback" not in answer.stderr


def test_a_cancelled_export_leaves_nothing_and_keeps_the_earlier_one(
    home: Workspace, run: runs.Run, told: dict[str, Any]
) -> None:
    before = exports.zip_path(home, run.id).stat()
    job = queue.submit_export(home, run, ALL)
    eventually(lambda: queue.get(home, job.id).progress.get("stage") == "convert")
    queue.cancel(home, job.id)
    with pytest.raises(JobError, match="Cancelled"):
        queue.wait(home, job.id)
    assert exports.zip_path(home, run.id).stat() == before
    assert list(runs.folder(home, run.id).glob(".export-*")) == []


def test_pictures_that_were_changed_are_not_judged_and_counted(
    home: Workspace, run: runs.Run, told: dict[str, Any]
) -> None:
    root = datasets.get(home, run.dataset_id).root
    split = runs.load_split(home, run.id)
    path = root / str(split["path"][split["split"] == "test"].iloc[0])
    kept = path.read_bytes()
    path.write_bytes(encode(noise(5)))
    try:
        queue.wait(home, queue.submit_export(home, run, ["litert"]).id)
    finally:
        path.write_bytes(kept)
    certificate = exports.certificate(home, run.id)
    assert certificate is not None
    assert (certificate.num_skipped, certificate.num_images) == (1, run.num_images["test"] - 1)


def test_a_training_or_test_picture_that_was_changed_is_used_for_nothing(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.png", number) for number in range(4)]
    sha256 = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    train = pd.DataFrame({"path": [path.name for path in paths], "sha256": sha256})
    pictures = datasets.Pictures(tmp_path, tmp_path / "added")
    write(paths[1], 99)
    kept = _calibration(pictures, train, (32, 32), "stretch")
    expected = [images.decode(paths[row].read_bytes(), (32, 32), "stretch") for row in (0, 2, 3)]
    np.testing.assert_array_equal(kept, np.stack(expected))

    def predict(pixels: np.ndarray) -> np.ndarray:
        return np.ones((len(pixels), 1))

    def golden(name: str, row: int) -> int:
        chosen = slice(row, row + 1)
        folder = tmp_path / name
        labels = ["owl"]
        return export.write_golden(
            folder, paths[chosen], sha256[chosen], labels, (32, 32), "stretch", predict
        )

    # A photo of ours, as phones keep them, is among the golden ones in any case.
    assert (golden("changed", 1), golden("as it was", 2)) == (1, 7)
    for path in paths:
        path.unlink()
    with pytest.raises(JobError, match="Not one training picture is where it was and as it was"):
        _calibration(pictures, train, (32, 32), "stretch")


@pytest.mark.usefixtures("served")
def test_a_run_without_its_pictures_says_how_it_finds_them(workspace: Workspace, tmp_path: Path) -> None:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "birds"))
    datasets.remove(workspace, run.dataset_id)
    job = queue.submit_export(workspace, run, ["keras"])
    with pytest.raises(JobError, match='pictures of "birds".*the run finds them by their bytes'):
        do_export(Context(workspace, "cpu", Warm(), job), job)


def test_an_export_to_what_is_no_folder_is_refused(
    run: runs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["export", run.id, "--to", str(tmp_path / "file")]) == 2
    assert "Expected a folder for the zip" in capsys.readouterr().err


def test_an_unknown_format_is_refused_with_those_there_are(
    run: runs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", run.id, "--to", str(tmp_path), "--format", "keras,pickle"]) == 2
    assert 'Received "pickle". Expected one or more of: keras, savedmodel' in capsys.readouterr().err


def test_a_folder_is_asked_about_and_comes_as_csv(
    run: runs.Run, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = told["folder"] / "golden"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8) + np.uint8([255, 0, 255])).save(tmp_path / "odd.png")
    assert (
        main(["predict", run.id, str(golden), str(tmp_path / "odd.png"), "--csv", str(tmp_path / "a.csv")])
        == 0
    )
    table = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert len(table) == len(capsys.readouterr().out.splitlines())
    probabilities = table[[f"p({name})" for name in run.class_names]].to_numpy()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert table["label"].tolist() == [run.class_names[row.argmax()] for row in probabilities]
    assert table["flags"].tolist()[-1].split()[0] == "unlike"


def test_a_script_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import sys\nprint('{\"done\": 1}')\nsys.exit('out of luck')\n")
    heard: list[dict[str, Any]] = []
    assert run_script(script, tmp_path / "job", heard.append, lambda: None) == "out of luck"
    assert heard == [{"done": 1}]


def test_what_differs_lies_apart_and_what_cannot_be_run_is_left_out(
    home: Workspace, run: runs.Run, tmp_path: Path
) -> None:
    (tmp_path / "saved_model").mkdir()
    for name in ("saved_model/half", "model.keras", "model.tflite"):
        (tmp_path / name).write_bytes(b"x")
    y_true, y_prob = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])
    good, other = (
        exports.judge(name, y_true, y_prob, answers, 1.0)
        for name, answers in (("keras", y_prob), ("litert", y_prob[::-1]))
    )
    found = (good, exports.broken("savedmodel", "The disk was full."), other)
    certificate = exports.Certificate(run.id, 0.0, 2, 0, 1.0, (0.3, 1.0), "m", {}, found)
    recipe, split = recipes.from_json(run.recipe), runs.load_split(home, run.id)
    export.finish(tmp_path, run, recipe, (32, 32), split, certificate)
    assert (tmp_path / "model.keras").exists() and (tmp_path / "failed-its-check" / "model.tflite").exists()
    assert not list(tmp_path.rglob("half"))


def test_what_the_pictures_are_too_few_for_is_handed_out_and_said_to_be_so(
    home: Workspace, run: runs.Run, tmp_path: Path
) -> None:
    (tmp_path / "model-int8.tflite").write_bytes(b"x")
    y_true, y_prob = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])
    found = (exports.judge("litert-int8", y_true, y_prob, y_prob, 1.0),)
    certificate = exports.Certificate(run.id, 0.0, 2, 0, 1.0, (0.3, 1.0), "m", {}, found)
    recipe, split = recipes.from_json(run.recipe), runs.load_split(home, run.id)
    export.finish(tmp_path, run, recipe, (32, 32), split, certificate)
    assert (tmp_path / "model-int8.tflite").exists()
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "`predict.py` runs `model-int8.tflite`, of which the test pictures were too few to tell" in card
    assert "0 of 1 passed, of 1 the pictures are too few to tell." in card
    test = run.metrics["test"]
    for words, name in (("macro F1", "macro_f1"), ("log loss", "log_loss")):
        low, high = test[f"{name}_interval"]
        assert f"{words} {test[name]:.3f} ({low:.3f} to {high:.3f})" in card


def test_a_file_that_cannot_be_run_is_told_without_where_it_lies(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "predict.py").write_text("import sys\nsys.exit(f'{__file__} is broken')\n")
    table = pd.DataFrame({"path": ["a.png"], "sha256": ["0"]})
    said = runs.Predictions(table, np.array([0]), np.array([[0.9, 0.1]]))
    (found,) = export.check(package, ["litert"], {}, tmp_path, said).artefacts
    assert (found.trouble, found.passed) == ("predict.py is broken", False)


def test_near_duplicates_among_the_test_pictures_count_as_fewer(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "model.tflite").write_bytes(b"x")
    (package / "predict.py").write_text(
        "SETTINGS = {'image_size': [1, 1], 'labels': ['owl', 'wren']}\n"
        "decode = bool\n"
        "def load(model): return lambda pixels: [0.9, 0.1]\n"
    )
    paths = [f"{number}.png" for number in range(8)]
    for name in paths:
        (tmp_path / name).write_bytes(name.encode())
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in paths]
    table = pd.DataFrame({"path": paths, "sha256": hashes, "group": [*"aaaabbb", ""]})
    said = runs.Predictions(table, np.zeros(8, dtype=int), np.tile([0.9, 0.1], (8, 1)))
    found = export.check(package, ["litert"], {}, tmp_path, said)
    of_three = wilson_interval(3, 3)
    assert (found.num_images, found.num_groups, found.app) == (8, 3, of_three)
    assert found.artefacts[0].agreement_interval == (of_three.low, of_three.high)


def test_a_script_ends_at_once_when_nobody_wants_its_result(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import time\ntime.sleep(600)\n")

    def stop() -> None:
        raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_script(script, tmp_path / "job", lambda event: None, stop)
    assert time.monotonic() - began < 30
