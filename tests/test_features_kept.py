"""The line about stored features: what they take, how often they were of use, and deleting them after a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import feature_store, queue
from core.workspace import Workspace
from tests.worlds import add_dataset, begin_training, has_button, visit, words

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def stored(workspace: Workspace) -> Path:
    """Three megabytes of features, asked for four times and known three times."""
    space = workspace.features_dir / "0123456789abcdef"
    space.mkdir(parents=True)
    (space / "shard.npy").write_bytes(bytes(3_000_000))
    feature_store.count(workspace, num_hits=3, num_computed=1)
    return space


def test_without_stored_features_nothing_is_said() -> None:
    assert "Stored features" not in words(visit("training"))
    assert not has_button(visit("training"), "clear_features")


def test_size_and_hits_are_said_and_the_limit_in_the_hint(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_FEATURES_GB", "7")
    app = visit("training")
    assert not app.exception
    (line,) = [caption for caption in app.caption if caption.value.startswith("Stored features")]
    assert line.value == "Stored features: 3 MB, 75\u00a0% of the features asked for were there already."
    assert "Beyond 7 GB" in line.help


def test_they_are_deleted_after_a_question(workspace: Workspace, stored: Path) -> None:
    app = visit("training")
    app.button(key="clear_features").click().run()
    assert not app.exception
    assert "3 MB of stored features will be deleted." in words(app)
    assert stored.exists()
    app.button(key="clear_features_yes").click().run()
    assert not app.exception
    assert not stored.exists()
    assert "Stored features" not in words(app)


def test_they_stay_while_a_job_uses_them(workspace: Workspace, tmp_path: Path, stored: Path) -> None:
    job = begin_training(workspace, add_dataset(workspace, tmp_path / "birds"))
    app = visit("training", run=job.run_id)
    assert app.button(key="clear_features").disabled
    queue.finish(workspace, job, "failed", message="It broke.")
    app.run()
    assert not app.button(key="clear_features").disabled


@pytest.mark.parametrize("kind", ["leak", "rank", "explain", "export"])
def test_every_kind_of_job_that_uses_them_counts(workspace: Workspace, stored: Path, kind: str) -> None:
    queue.submit(workspace, kind, {})
    assert visit("training").button(key="clear_features").disabled


def test_a_limit_that_is_no_number_is_said_and_the_page_still_there(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_FEATURES_GB", "much")
    app = visit("training")
    assert not app.exception
    assert "Expected how many gigabytes of features to keep" in app.error[0].value
