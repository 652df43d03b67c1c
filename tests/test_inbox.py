"""Photos that somebody asks about are put aside safely, keep their names for people only, and go after a day."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import pytest

from core import answers, demonstration, inbox
from core.errors import DataError, NotFound
from core.workspace import Workspace
from tests.pictures import encode, noise, write

DEMO = demonstration.mark("a-secret")


def named(name: str, data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name
    return file


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_name_never_becomes_a_path(workspace: Workspace) -> None:
    data = encode(noise(1))
    token = inbox.put(workspace, [named("../../evil.png", data), named("..\\x\\猫.JPG", data)])
    found = inbox.photos(workspace, token)
    assert sorted(found.values()) == ["evil.png", "猫.JPG"]
    assert all(path.parent == workspace.uploads_dir / ".asked" / token for path in found)
    assert all(path.read_bytes() == data for path in found)
    assert inbox.names(workspace, found) == {str(path): name for path, name in found.items()}


def test_a_zip_is_unpacked_and_what_is_no_picture_left_out(workspace: Workspace) -> None:
    packed = zipped(**{"a/owl.png": encode(noise(1)), "a/readme.txt": b"x", "b.png": encode(noise(2))})
    found = inbox.photos(workspace, inbox.put(workspace, [named("photos.zip", packed)]))
    assert sorted(found.values()) == ["a/owl.png", "b.png"]
    assert all(path.is_file() for path in found)


@pytest.mark.parametrize("packed", [b"no zip", zipped(**{"../evil.png": b"x"})])
def test_a_zip_that_is_refused_leaves_nothing(workspace: Workspace, packed: bytes) -> None:
    with pytest.raises(DataError):
        inbox.put(workspace, [named("photos.zip", packed)])
    assert list((workspace.uploads_dir / ".asked").iterdir()) == []


def test_too_much_at_once_is_refused(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="Received more than 0 MB"):
        inbox.put(workspace, [named("a.png", bytes(2_000))], max_bytes=1_000)
    with pytest.raises(DataError, match=r"at once\. Send fewer\.$"):
        inbox.put(workspace, [named("a.png", bytes(2_000))], max_bytes=1_000, demo=DEMO)


def test_zips_count_as_they_are_unpacked_all_together(workspace: Workspace) -> None:
    def packed(name: str) -> io.BytesIO:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.bmp", os.urandom(2_000) + bytes(18_000))
        assert len(buffer.getvalue()) < 5_000
        return named(name, buffer.getvalue())

    inbox.put(workspace, [packed("1.zip")], max_bytes=30_000)
    with pytest.raises(DataError):
        inbox.put(workspace, [packed("1.zip"), packed("2.zip")], max_bytes=30_000)


def test_photos_go_after_a_day(workspace: Workspace) -> None:
    token = inbox.put(workspace, [named("a.png", encode(noise(1)))])
    old = time.time() - inbox.KEPT_S - 60
    os.utime(workspace.uploads_dir / ".asked" / token, (old, old))
    inbox.put(workspace, [named("b.png", encode(noise(2)))])
    with pytest.raises(NotFound, match="kept for a day"):
        inbox.photos(workspace, token)


def test_what_a_demos_visitors_put_aside_goes_after_an_hour_or_with_the_demo(workspace: Workspace) -> None:
    def put(age_s: float, demo: str = "") -> Path:
        token = inbox.put(workspace, [named("a.png", b"x")], 1_000, demo=demo)
        (path,) = inbox.photos(workspace, token)
        then = time.time() - age_s
        os.utime(path.parent, (then, then))
        return path

    own, other = put(inbox.VISITORS_KEPT_S + 60), put(0, demonstration.mark("of another demo"))
    new, late = put(60, DEMO), put(inbox.VISITORS_KEPT_S + 60, DEMO)  # who puts photos aside clears, too
    inbox.clear(workspace)
    assert [path.exists() for path in (own, other, late, new)] == [True, True, False, True]
    inbox.clear(workspace, ended_demo=DEMO)
    assert [path.exists() for path in (own, other, new)] == [True, True, False]
    assert not inbox.are_there([str(other), str(new)]) and inbox.are_there([str(own)])


def test_an_inbox_that_cannot_be_listed_does_not_keep_the_other_one(workspace: Workspace) -> None:
    token = inbox.put(workspace, [named("a.png", b"x")], 1_000, demo=DEMO)
    (path,) = inbox.photos(workspace, token)
    (workspace.uploads_dir / ".asked").write_bytes(b"no folder")
    inbox.clear(workspace, ended_demo=DEMO)
    assert not path.exists()


def test_visitors_photos_lie_apart_and_the_oldest_go_first(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = inbox.put(workspace, [named("own.png", bytes(900))])
    monkeypatch.setattr(inbox, "MAX_VISITORS_BYTES", 2_500)
    monkeypatch.setattr(inbox, "MIN_FREE_BYTES", 0)
    asked = []
    for age in (50, 40, 30):
        asked.append(inbox.put(workspace, [named(f"{age}.png", bytes(900))], 1_000, demo=DEMO))
        then = time.time() - age
        os.utime(workspace.uploads_dir / ".asked-by-visitors" / asked[-1], (then, then))
    with pytest.raises(NotFound):
        inbox.photos(workspace, asked[0])
    kept = [inbox.photos(workspace, token) for token in (*asked[1:], own)]
    assert [list(found.values()) for found in kept] == [["40.png"], ["30.png"], ["own.png"]]
    assert inbox.names(workspace, kept[0]) == {str(path): "40.png" for path in kept[0]}


def test_visitors_do_not_get_the_last_of_the_disk(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(DataError, match="has no room for photos now"):
        inbox.put(workspace, [named("a.png", b"x")], demo=DEMO)
    assert inbox.photos(workspace, inbox.put(workspace, [named("a.png", b"x")]))


@pytest.mark.parametrize("token", ["", "..", "../../runs", "0" * 32])
def test_a_token_leads_nowhere_else(workspace: Workspace, token: str) -> None:
    with pytest.raises(NotFound):
        inbox.photos(workspace, token)


def test_a_folder_gives_its_pictures_or_says_that_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        inbox.below(tmp_path / "gone")
    with pytest.raises(DataError, match="has no pictures"):
        inbox.below(tmp_path)
    path = write(tmp_path / "b" / "a.png", 1)
    assert inbox.below(tmp_path) == [path]


def test_answers_are_a_table_with_flags_and_a_column_a_class() -> None:
    said = [
        {"path": "a", "predicted": "owl", "probability": 0.8, "probabilities": [0.8, 0.2], "unsure": True},
        {"path": "b", "error": "Damaged."},
    ]
    table = answers.to_table(said, ["owl", "wren"])
    assert list(table.columns[-2:]) == ["p(owl)", "p(wren)"]
    assert table["flags"].tolist() == ["unsure", "unreadable"]
    assert table.loc[0, "p(wren)"] == 0.2 and table["error"].tolist() == ["", "Damaged."]


def test_a_file_whose_name_is_not_unicode_costs_the_others_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"bad\xff.jpg")
    said = [{"path": str(odd), "error": "Damaged."}, {"path": "b.jpg", "predicted": "owl"}]
    table = answers.to_table(said, ["owl"])
    assert table["path"].tolist() == [f"{tmp_path}/bad\\xff.jpg", "b.jpg"]
    assert len(table.to_csv(index=False).encode().splitlines()) == 3
    assert inbox.names(workspace, [odd]) == {str(odd): "bad\\xff.jpg"}


def test_files_of_a_folder_are_known_by_their_paths_in_it(workspace: Workspace, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg"]
    assert list(inbox.names(workspace, paths, tmp_path).values()) == ["a/1.jpg", "b/1.jpg"]
    assert list(inbox.names(workspace, paths, tmp_path / "a").values()) == ["1.jpg", "1.jpg"]


def test_the_most_doubtful_come_first() -> None:
    said = [
        {"path": "sure", "probability": 0.9},
        {"path": "unlike", "probability": 0.99, "unlike": True},
        {"path": "torn", "probability": 0.4},
        {"path": "broken", "error": "x"},
    ]
    assert [answer["path"] for answer in answers.by_doubt(said)] == ["broken", "unlike", "torn", "sure"]
