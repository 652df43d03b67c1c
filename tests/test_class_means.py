"""A mean picture per class: the average of its pictures, made once, and never in the way of the audit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import audit, datasets, queue
from core.audit import class_means
from core.datasets import Dataset
from core.errors import Cancelled
from core.progress import no_progress
from core.session.context import Context, Warm
from core.session.data_jobs import do_audit
from core.workspace import Workspace
from tests.pictures import write_classes
from tests.worlds import visit, words


def write_grey(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40 + value % 7, 30), (value, value, value)).save(path)


@pytest.fixture
def greys(workspace: Workspace, tmp_path: Path) -> Dataset:
    for label, values in {"dark": (0, 40, 80), "light": (200, 240)}.items():
        for value in values:
            write_grey(tmp_path / "greys" / label / f"{value}.png", value)
    return datasets.add_folder(workspace, tmp_path / "greys")


def level(mean: audit.ClassMean) -> float:
    with Image.open(io.BytesIO(mean.picture)) as picture:
        assert picture.size == (class_means.SIDE, class_means.SIDE)
        return float(np.asarray(picture.convert("L")).mean())


def test_the_mean_of_a_class_is_the_average_of_its_pictures(workspace: Workspace, greys: Dataset) -> None:
    table = audit.audit(workspace, greys)
    assert audit.load_class_means(workspace, greys.id) == []
    audit.update_class_means(workspace, greys, table)
    dark, light = audit.load_class_means(workspace, greys.id)
    assert [(mean.label, mean.num_pictures) for mean in (dark, light)] == [("dark", 3), ("light", 2)]
    assert level(dark) == pytest.approx(40, abs=2)
    assert level(light) == pytest.approx(220, abs=2)


def test_copies_count_once_and_lost_or_unusable_pictures_not_at_all(
    workspace: Workspace, greys: Dataset
) -> None:
    for name in ("copy.png", "copy2.png"):
        (greys.root / "dark" / name).write_bytes((greys.root / "dark" / "80.png").read_bytes())
    (greys.root / "dark" / "broken.png").write_bytes(b"broken")
    table = audit.audit(workspace, greys)
    (greys.root / "light" / "240.png").unlink()
    audit.update_class_means(workspace, greys, table)
    dark, light = audit.load_class_means(workspace, greys.id)
    assert (dark.num_pictures, light.num_pictures) == (3, 1)
    assert level(light) == pytest.approx(200, abs=2)


def test_the_same_pictures_are_averaged_once_and_others_anew(workspace: Workspace, greys: Dataset) -> None:
    table = audit.audit(workspace, greys)
    told: list[int] = []
    for _ in range(2):
        audit.update_class_means(workspace, greys, table, lambda done, total: told.append(total))
    assert told == [5] * 5
    audit.update_class_means(workspace, greys, table[table["label"] == "dark"], no_progress)
    assert [mean.label for mean in audit.load_class_means(workspace, greys.id)] == ["dark"]


def test_of_a_large_class_only_some_pictures_are_taken(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_means, "MAX_PER_CLASS", 4)
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 9, "wren": 2}))
    audit.update_class_means(workspace, dataset, audit.audit(workspace, dataset))
    assert [mean.num_pictures for mean in audit.load_class_means(workspace, dataset.id)] == [4, 2]
    monkeypatch.setattr(class_means, "MAX_PICTURES", 2)
    audit.update_class_means(workspace, dataset, audit.audit(workspace, dataset))
    assert [mean.num_pictures for mean in audit.load_class_means(workspace, dataset.id)] == [1, 1]


def test_a_damaged_file_is_made_anew(workspace: Workspace, greys: Dataset) -> None:
    table = audit.audit(workspace, greys)
    path = workspace.datasets_dir / greys.id / "class-means.npz"
    path.write_bytes(b"damaged")
    assert audit.load_class_means(workspace, greys.id) == []
    audit.update_class_means(workspace, greys, table)
    assert len(audit.load_class_means(workspace, greys.id)) == 2


def test_who_stops_while_classes_are_averaged_has_the_audit_all_the_same(
    served: None, workspace: Workspace, greys: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit(workspace, "audit", {"dataset_id": greys.id}, dataset_id=greys.id)
    job = queue.claim(workspace, "cpu", "data", "a session of the tests")
    assert job is not None

    def stop(*_: object) -> None:
        raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr("core.session.data_jobs.audit.update_class_means", stop)
        assert do_audit(Context(workspace, "cpu", Warm(), job), job)["num_images"] == 5
    assert audit.load_class_means(workspace, greys.id) == []
    assert do_audit(Context(workspace, "cpu", Warm(), job), job)["num_images"] == 5
    assert len(audit.load_class_means(workspace, greys.id)) == 2


def test_the_data_page_shows_the_means_with_their_names(
    served: None, workspace: Workspace, greys: Dataset
) -> None:
    table = audit.audit(workspace, greys)
    for make in (False, True):
        if make:
            audit.update_class_means(workspace, greys, table)
        app = visit("data", dataset=greys.id)
        app.session_state["data_tab"] = "Classes and split"
        app.run()
        assert not app.exception
        assert ("Look again* makes them" in words(app)) is not make
        assert ("`dark`" in words(app).splitlines()) is make
