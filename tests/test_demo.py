"""The demo shows one model to who has the link, within limits, and serves no other page."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from core import demonstration, queue, runs
from core.errors import DataError, NotFound, WeightsError
from core.runs import Run
from core.workspace import Workspace
from scripts import demo
from tests.pictures import encode, noise, write
from tests.worlds import add_dataset, finished_run, words

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "a-secret"

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = finished_run(workspace, add_dataset(workspace, tmp_path / "![x](evil)"))
    monkeypatch.setenv(demonstration.RUN, run.id)
    monkeypatch.setenv(demonstration.TOKEN, TOKEN)
    return run


def visit(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "demo" / "page.py"), default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize("query", [{}, {"token": ""}, {"token": "guess"}, {"token": "gëss"}])
def test_without_the_token_nothing_is_told(run: Run, query: dict[str, str]) -> None:
    app = visit(**query)
    assert "Ask whoever showed you this page" in words(app)
    assert "owl" not in words(app) and not app.get("file_uploader")


def test_without_a_token_on_the_server_nobody_gets_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(demonstration.TOKEN)
    assert "Ask whoever showed you this page" in words(visit(token=""))


def test_the_model_and_what_it_knows_are_shown(run: Run) -> None:
    said = words(visit(token=TOKEN))
    assert "This model tells apart `kite`, `owl`, `wren`." in said
    assert "`![x](evil)`" in said


def test_a_visitor_corrects_nothing_and_sees_no_training_picture(
    run: Run, workspace: Workspace, tmp_path: Path
) -> None:
    queue.submit_prediction(workspace, run, [write(tmp_path / "a.png", 9_000)])
    job = queue.claim(workspace, "cpu", "answer", "a session of the tests")
    assert job is not None
    said = {"predicted": "owl", "probability": 0.8, "top": [{"class": "owl", "probability": 0.8}]}
    queue.finish(workspace, job, "done", result={"predictions": [{"path": job.args["paths"][0], **said}]})
    app = visit(token=TOKEN)
    app.session_state["predict_jobs"] = [job.id]
    app.run()
    assert not app.exception and "The model says `owl`" in words(app)
    assert not app.button and not app.selectbox


def _told(run: Run, workspace: Workspace, tmp_path: Path, state: str, **ended: Any) -> AppTest:
    """Open the page of a visitor whose question came to this."""
    queue.submit_prediction(workspace, run, [write(tmp_path / "a.png", 9_100)])
    job = queue.claim(workspace, "cpu", "answer", "a session of the tests")
    assert job is not None
    if state != "running":
        queue.finish(workspace, job, state, **ended)
    app = visit(token=TOKEN)
    app.session_state["predict_jobs"] = [job.id]
    app.run()
    assert not app.exception
    return app


def test_what_failed_is_told_to_the_log_and_not_to_a_visitor(
    run: Run, workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "/home/me/.keras/models"
    error = {"message": f'Expected the file in "{secret}".', "traceback": f'File "{secret}/x.py", line 1'}
    app = _told(run, workspace, tmp_path, "failed", **error)
    app.run()
    said = words(app)
    assert "That did not work just now" in said and secret not in said
    assert not app.button and not app.code and not app.expander
    assert [secret in record.getMessage() for record in caplog.records if record.name == "graft.demo"] == [
        True
    ]


def test_a_visitor_stops_nothing(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    assert not _told(run, workspace, tmp_path, "running").button


def test_a_run_that_is_gone_is_told_to_the_log(
    run: Run, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    runs.delete(workspace, run.id)
    assert "That did not work just now" in words(visit(token=TOKEN))
    assert "There is no run" in caplog.text


def test_what_was_dropped_is_put_apart_and_leaves_the_memory(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[MemoryUploadedFileManager] = []
    remove = MemoryUploadedFileManager.remove_file

    def noted(manager: MemoryUploadedFileManager, *which: Any, **named: Any) -> None:
        remove(manager, *which, **named)
        freed.append(manager)

    monkeypatch.setattr(MemoryUploadedFileManager, "remove_file", noted)
    app = visit(token=TOKEN)
    app.get("file_uploader")[0].set_value([("owl.png", encode(noise(9_101)), "image/png")]).run()
    assert not app.exception
    (job,) = queue.list_jobs(workspace, kind="predict")
    (path,) = map(Path, job.args["paths"])
    assert path.is_relative_to(workspace.uploads_dir / ".asked-by-visitors") and path.is_file()
    assert path.parent.name.startswith(demonstration.mark(TOKEN)) and TOKEN not in str(path)
    assert [manager.get_stats() for manager in freed] == [{}]


def test_a_visitor_whose_photos_were_deleted_is_told_so(
    run: Run, workspace: Workspace, tmp_path: Path
) -> None:
    app = _told(run, workspace, tmp_path, "failed", message="x")
    (tmp_path / "a.png").unlink()
    app.run()
    assert "These photos were deleted" in words(app) and "did not work" not in words(app)


def test_more_than_is_allowed_is_refused(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Expected at most 12 at once"):
        demonstration.require_room(13, [])
    waiting = [queue.submit_prediction(workspace, run, [tmp_path]) for _ in range(demonstration.MAX_WAITING)]
    with pytest.raises(DataError, match="Many are asking just now"):
        demonstration.require_room(1, waiting)
    demonstration.require_room(12, waiting[1:])


def test_a_run_whose_pretrained_weights_are_not_here_is_not_shown(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    recipe = {**run.recipe, "backbone": "mobilenet_v2_0.35", "image_size": 224}
    demonstration.require_model(replace(run, recipe=recipe))  # fine-tuned, so its weights are its own
    with pytest.raises(
        WeightsError, match="needs its pretrained network. To be downloaded first .* that fetches it"
    ):
        demonstration.require_model(replace(run, recipe=recipe, fine_tuned=False))


def test_only_a_finished_run_is_shown(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="is queued, so it has no model to show"):
        demonstration.require_model(runs.create(workspace, "birds", "Birds", {}))


def test_the_server_listens_where_it_is_told_and_answers_to_no_other_name() -> None:
    arguments = demo.server("192.168.1.5", 8600, ["192.168.1.5"])
    assert "--server.address=192.168.1.5" in arguments
    names = [argument.split("=")[1] for argument in arguments if "allowedHosts" in argument]
    assert names == ["192.168.1.5", "127.0.0.1", "localhost", "::1"]
    assert f"--server.maxUploadSize={demonstration.MAX_FILE_MB}" in arguments


def test_all_addresses_are_told_by_those_that_others_can_use() -> None:
    for host in ("0.0.0.0", "::"):
        found = demo.names_of(host)
        assert found and not set(found) & {"0.0.0.0", "::", ""}
    assert demo.names_of("::1") == ("::1",)
    assert demo.link("::1", 8600, "x") == "http://[::1]:8600/?token=x"
    assert demo.link("box.local", 8600, "x") == "http://box.local:8600/?token=x"


@pytest.mark.parametrize(
    ("host", "is_one"), [("::1", True), ("a-b.c", True), ("1.2.3.4", True), ("a:b", False)]
)
def test_a_host_is_a_name_or_an_address(host: str, is_one: bool) -> None:
    assert demo.is_host(host) == is_one


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("127.0.1.1", "0.0.0.0"),
        ("203.0.113.77", "0.0.0.0"),
        ("2001:db8::7", "::"),
    ],
)
def test_an_address_that_is_not_this_machines_is_answered_from_all_its_own(host: str, place: str) -> None:
    assert demo.listen_at(host) == place


def test_the_entry_point_has_no_pages_beside_it() -> None:
    assert not (ROOT / "demo" / "pages").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RUN": ""}, "Name the run to show"),
        ({"RUN": "x"}, '"x" is not the id of a run'),
        ({"RUN": "x", "HOST": "a b;c"}, "Expected the name or address"),
    ],
)
def test_a_demo_that_cannot_be_says_why(workspace: Workspace, settings: dict[str, str], message: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=ROOT,
        env=os.environ | {"HOST": "", "PORT": ""} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1 and message in answer.stderr
