"""The Data page while pictures are brought in: folders, uploads, the flower photos, and a folder that was moved."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import audit, datasets, metadata, queue
from core.datasets import Dataset
from core.workspace import Workspace
from tests.pictures import encode, noise, write_classes
from tests.test_uploads import PICTURES, make_zip
from tests.worlds import ENTRY, add_dataset, words


@pytest.fixture
def app(served: None) -> AppTest:
    st.cache_data.clear()
    return AppTest.from_file(ENTRY, default_timeout=30).switch_page("pages/data.py")


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def walk(app: AppTest, opener: str, *keys: str) -> AppTest:
    """Open the dialog and press its buttons; each press runs the whole app in a test, so it is opened again."""
    click(app, opener)
    for key in keys:
        click(click(app, key), opener)
    return app


def test_a_folder_outside_of_the_allowed_ones_is_refused(app: AppTest, workspace: Workspace) -> None:
    run(app).text_input(key="data_folder").set_value("/etc")
    click(app, "data_folder_submit")
    assert "lies outside of the folders that may be chosen here" in app.error[0].value
    assert datasets.list_datasets(workspace) == []


def test_browsing_leads_through_folders_to_a_dataset(
    app: AppTest, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAFT_ROOTS", "")
    birds = write_classes(tmp_path / "home" / "![x](evil.example)" / "birds", {"owl": 2, "wren": 2})
    walk(run(app), "data_browse")
    assert app.button(key="browse_row_0").label == "`![x](evil.example)`"
    walk(app, "data_browse", "browse_use")
    assert "is your home folder" in words(app)
    walk(app, "data_browse", "browse_row_0")
    assert "Looks like a dataset" in words(app)
    walk(app, "data_browse", "browse_row_0")
    assert "In this folder: 4 pictures in 2 class folders." in words(app)
    walk(app, "data_browse", "browse_above_0", "browse_row_0", "browse_row_0")
    click(app, "browse_use")
    assert [dataset.root for dataset in datasets.list_datasets(workspace)] == [birds]


def test_a_zip_is_put_aside_for_a_job_and_the_field_emptied(app: AppTest, workspace: Workspace) -> None:
    run(app)
    app.file_uploader[0].set_value(("my birds.zip", make_zip(PICTURES), "application/zip")).run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace)
    assert (job.kind, job.args["name"]) == ("upload", "my birds.zip")
    assert app.file_uploader[0].value is None
    assert "`my birds`" in words(app)
    dataset, _ = datasets.add_upload(workspace, job.args["token"], job.args["name"])
    audit.audit(workspace, dataset)
    claimed = queue.claim(workspace, "cpu", "data", "a session of the tests")
    assert claimed is not None
    queue.finish(workspace, claimed, "done", result={"dataset_id": dataset.id})
    run(app)
    assert dataset.id in app.query_params["dataset"]


def test_a_refused_upload_is_explained_and_not_offered_again(app: AppTest, workspace: Workspace) -> None:
    run(app)
    app.file_uploader[0].set_value(("x.zip", b"no zip", "application/zip")).run()
    job = queue.claim(workspace, "cpu", "data", "a session of the tests")
    assert job is not None
    queue.finish(workspace, job, "failed", message="It leads out.")
    run(app)
    assert "It leads out" in words(app)
    assert "Upload it again, or choose other pictures." in words(app)
    assert not any(button.key == f"retry_{job.id}" for button in app.button)


def test_a_cancelled_upload_can_be_unpacked_after_all(app: AppTest, workspace: Workspace) -> None:
    run(app)
    app.file_uploader[0].set_value(("x.zip", make_zip(PICTURES), "application/zip")).run()
    (job,) = queue.list_jobs(workspace)
    queue.cancel(workspace, job.id)
    click(run(app), f"retry_{job.id}")
    assert [(one.state, one.args) for one in queue.list_jobs(workspace)] == [
        ("queued", job.args),
        ("cancelled", job.args),
    ]


def test_a_folder_is_uploaded_file_by_file(app: AppTest, workspace: Workspace) -> None:
    run(app).segmented_control(key="upload_kind").set_value("folder").run()
    files = [(f"pics/{label}/1.png", encode(noise(1)), "image/png") for label in ("owl", "wren")]
    app.file_uploader[0].set_value(files).run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace)
    dataset, _ = datasets.add_upload(workspace, job.args["token"], job.args["name"])
    assert (dataset.name, list(datasets.read_layout(dataset.root).class_names)) == ("pics", ["owl", "wren"])


def test_flowers_are_fetched_only_after_size_and_licence_were_shown(
    app: AppTest, workspace: Workspace
) -> None:
    click(run(app), "data_sample_flowers")
    assert "229 MB" in words(app) and "CC BY" in words(app) and "checksum" in words(app)
    assert queue.list_jobs(workspace) == []
    click(app, "data_fetch")
    assert [job.args for job in queue.list_jobs(workspace)] == [{"sample": "flowers"}]


def _moved(workspace: Workspace, tmp_path: Path) -> Dataset:
    dataset = add_dataset(workspace, tmp_path / "birds")
    dataset.root.rename(tmp_path / "home" / "elsewhere")
    return dataset


def test_a_moved_folder_is_located_and_keeps_its_dataset(
    app: AppTest, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / "other").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAFT_ROOTS", "")
    dataset = _moved(workspace, tmp_path)
    next((tmp_path / "home" / "elsewhere").rglob("000.png")).unlink()
    app.query_params["dataset"] = dataset.id
    walk(run(app), "locate", "browse_row_1", "browse_use")
    assert "No picture was found" in words(app) or "is empty" in words(app)
    assert datasets.get(workspace, dataset.id).root == dataset.root
    walk(app, "locate", "browse_above_0", "browse_row_0")
    click(app, "browse_use")
    assert "Found again, but of 30 pictures 1 is missing or changed" in words(app)
    assert datasets.get(workspace, dataset.id).root == tmp_path / "home" / "elsewhere"
    assert [job.kind for job in queue.list_jobs(workspace)] == ["audit"]


def test_a_dataset_whose_folder_is_gone_says_so_in_the_list(
    app: AppTest, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    _moved(workspace, tmp_path)
    click(run(app), "data_another")
    assert "cannot be reached now" in words(app)


def _with_metadata(workspace: Workspace, tmp_path: Path, text: str) -> Dataset:
    dataset = add_dataset(workspace, tmp_path / "birds")
    (dataset.root / "metadata.csv").write_text(text)
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    metadata.update(workspace, dataset, table["path"].tolist())
    return dataset


def test_metadata_filters_the_pictures_of_a_class(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    rows = "".join(f"owl/{index:03d}.png,{('![x](e)', 'b')[index % 2]}\n" for index in range(10))
    dataset = _with_metadata(workspace, tmp_path, "path,camera\n" + rows + "gone.png,c\n")
    app.query_params["dataset"] = dataset.id
    run(app)
    assert "1 row names a file that is not there" in words(app)
    app.multiselect(key=f"metadata_{dataset.id}_camera").set_value(["b"]).run()
    assert not app.exception
    assert "No picture of this class passes the filters." not in words(app)
    app.selectbox(key=f"data_class_{dataset.id}").set_value("wren").run()
    assert "No picture of this class passes the filters." in words(app)


def test_metadata_that_cannot_be_read_is_a_note(app: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    dataset = _with_metadata(workspace, tmp_path, "file,camera\n")
    app.query_params["dataset"] = dataset.id
    run(app)
    assert any("Expected one named `path`" in warning.value for warning in app.warning)
