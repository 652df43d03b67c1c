"""The workspace: written whole or not at all, migrated after a backup, clear when it cannot be used."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from core import workspace as rooms
from core.errors import WorkspaceError
from core.workspace import (
    MIGRATIONS,
    Workspace,
    directory_size,
    read_json,
    remove_directory,
    replacing,
    write_json,
)


def test_the_home_is_graft_home_or_a_visible_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "elsewhere"))
    assert rooms.default_home() == tmp_path / "elsewhere"
    monkeypatch.delenv("GRAFT_HOME")
    assert rooms.default_home() == Path.home() / "Graft"


def test_opening_twice_changes_nothing(workspace: Workspace) -> None:
    with workspace.db() as db:
        db.execute("INSERT INTO datasets (id, name, root, created) VALUES ('a', 'A', '/a', 0)")
    with Workspace(workspace.home).db() as db:
        assert db.execute("SELECT name FROM datasets").fetchone()["name"] == "A"
    assert not list(workspace.backups_dir.iterdir())


def test_an_older_workspace_is_migrated_after_a_backup(workspace: Workspace) -> None:
    with workspace.db() as db:
        db.execute("INSERT INTO datasets (id, name, root, created) VALUES ('a', 'A', '/a', 0)")
    newer = Workspace(
        workspace.home, (*MIGRATIONS, "ALTER TABLE datasets ADD COLUMN colour TEXT DEFAULT 'green'")
    )
    with newer.db() as db:
        assert db.execute("SELECT colour FROM datasets").fetchone()["colour"] == "green"
    (backup,) = workspace.backups_dir.iterdir()
    copy = sqlite3.connect(backup)
    assert [row[1] for row in copy.execute("PRAGMA table_info(datasets)")].count("colour") == 0
    assert copy.execute("SELECT name FROM datasets").fetchone() == ("A",)
    copy.close()


def test_a_failing_migration_leaves_the_old_workspace(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError):
        Workspace(
            workspace.home, (*MIGRATIONS, "ALTER TABLE datasets ADD COLUMN x TEXT; ALTER TABLE missing ADD y")
        )
    with Workspace(workspace.home).db() as db:
        assert "x" not in [row["name"] for row in db.execute("PRAGMA table_info(datasets)")]


def test_a_newer_workspace_is_refused_with_the_remedy(workspace: Workspace) -> None:
    with workspace.db() as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    with pytest.raises(WorkspaceError, match=r"newer Graft .*Update Graft, or set GRAFT_HOME"):
        Workspace(workspace.home)


def test_a_file_in_the_place_of_the_folder_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="Set GRAFT_HOME to a folder that you may write to"):
        Workspace(tmp_path / "file")


def test_a_workspace_is_not_begun_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "photos" / "owl").mkdir(parents=True)
    with pytest.raises(
        WorkspaceError, match=r'has other files, such as "owl", .* GRAFT_HOME to an empty folder'
    ):
        Workspace(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["owl"]


@pytest.mark.parametrize("there", [[], [".DS_Store"], ["lost+found"], ["runs"]])
def test_a_folder_that_is_empty_for_its_user_becomes_a_workspace(tmp_path: Path, there: list[str]) -> None:
    for name in there:
        (tmp_path / "home" / name).mkdir(parents=True)
    assert Workspace(tmp_path / "home").db_path.exists()


def test_a_workspace_may_hold_more_and_lose_its_database(workspace: Workspace) -> None:
    (workspace.home / "notes.txt").write_text("mine")
    Workspace(workspace.home)
    workspace.db_path.rename(workspace.home / "damaged.db")
    assert Workspace(workspace.home).db_path.exists()


def test_a_deleted_workspace_does_not_come_back_by_itself(workspace: Workspace) -> None:
    shutil.rmtree(workspace.home)
    with pytest.raises(WorkspaceError, match=r"moved or deleted"), workspace.db():
        pass
    workspace.home.mkdir()
    with pytest.raises(WorkspaceError, match=r"moved or deleted"), workspace.transaction():
        pass
    assert not list(workspace.home.iterdir())


def test_a_damaged_database_is_a_plain_error(workspace: Workspace) -> None:
    workspace.db_path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(WorkspaceError, match=r"is damaged\. Move it away"):
        Workspace(workspace.home)


def test_a_transaction_is_undone_by_an_exception(workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError), workspace.transaction() as db:
        db.execute("INSERT INTO datasets (id, name, root, created) VALUES ('a', 'A', '/a', 0)")
        raise ZeroDivisionError
    with workspace.db() as db:
        assert db.execute("SELECT COUNT(*) FROM datasets").fetchone()[0] == 0


def test_many_threads_may_write_at_once(workspace: Workspace) -> None:
    def write(number: int) -> None:
        for index in range(10):
            with workspace.transaction() as db:
                db.execute(
                    "INSERT INTO datasets (id, name, root, created) VALUES (?, '', ?, 0)",
                    (f"{number}-{index}", f"/{number}/{index}"),
                )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with workspace.db() as db:
        assert db.execute("SELECT COUNT(*) FROM datasets").fetchone()[0] == 40


def test_a_failed_write_keeps_the_old_file_and_leaves_no_scrap(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"good": True})
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half a rec")
        raise ZeroDivisionError
    assert read_json(path) == {"good": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_cannot_be_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="could not be written"):
        write_json(tmp_path / "missing" / "record.json", {})


def test_a_damaged_record_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{half")
    with pytest.raises(WorkspaceError, match="missing or damaged"):
        read_json(tmp_path / "record.json")


def test_a_removed_directory_is_gone_and_links_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "precious").write_bytes(b"x" * 100)
    (inside / "file").write_bytes(b"x" * 10)
    (inside / "link").symlink_to(outside)
    assert directory_size(inside) < 100 + 10
    remove_directory(inside)
    assert not inside.exists()
    assert (outside / "precious").exists()
