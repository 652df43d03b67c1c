from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import audit, datasets, images, splits
from core.audit import near_duplicates
from core.audit import table as audit_table
from core.datasets import Dataset
from core.errors import Cancelled, DataError, UnreadableImage
from core.progress import no_progress
from core.workspace import Workspace
from tests.pictures import encode, noise, write, write_classes
from tests.users import open_folder, unprivileged

LONG_AGO_NS = 1_600_000_000 * 10**9


def settle(root: Path) -> None:
    """Date all files back, so that they count as settled."""
    for path in root.rglob("*"):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)


def flagged(workspace: Workspace, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return what each check flags, without those that flag nothing."""
    table = audit.audit(workspace, dataset)
    layout = datasets.read_layout(dataset.root)
    found = audit.checks(table, layout.class_names, layout.kind)
    assert tuple(check.name for check in found) == audit.CHECK_NAMES
    assert all(check.num_flagged == len(check.paths) for check in found)
    return {check.name: check.paths for check in found if check.num_flagged}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened."""
    names: list[str] = []
    read_bytes = images.read_bytes

    def noting(path: Path) -> bytes:
        names.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(images, "read_bytes", noting)
    return names


def test_the_table_tells_what_each_picture_is(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 1, "b": 0})
    write(root / "b/photo.jpg", 7, "JPEG")
    table = audit.audit(workspace, datasets.add_folder(workspace, root)).set_index("path")
    for path, image_format in (("a/000.png", "PNG"), ("b/photo.jpg", "JPEG")):
        row = table.loc[path]
        assert row["sha256"] == hashlib.sha256((root / path).read_bytes()).hexdigest()
        assert (row["width"], row["height"], row["format"], row["mode"]) == (48, 36, image_format, "RGB")
        assert (row["problem"], row["why"], row["usable"]) == ("", "", True)


def test_the_table_is_kept_and_read_back_the_same(tmp_path: Path, workspace: Workspace) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "data", {"a": 2, "b": 1, "empty": 0}))
    assert audit.load_table(workspace, dataset.id) is None
    assert audit.load_layout(workspace, dataset.id) is None
    table = audit.audit(workspace, dataset)
    stored = audit.load_table(workspace, dataset.id)
    assert stored is not None
    pd.testing.assert_frame_equal(stored, table)
    assert audit.load_layout(workspace, dataset.id) == datasets.Layout("classes", ("a", "b", "empty"))
    names = {path.name for path in (workspace.datasets_dir / dataset.id).iterdir()}
    assert names == {"files.parquet", "layout.json"}


def test_a_damaged_table_counts_as_none_and_is_made_again(tmp_path: Path, workspace: Workspace) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "data", {"a": 2, "b": 1}))
    table = audit.audit(workspace, dataset)
    path = workspace.datasets_dir / dataset.id / "files.parquet"
    for damage in (b"", b"not parquet", path.read_bytes()[:-20]):
        path.write_bytes(damage)
        assert audit.load_table(workspace, dataset.id) is None
    path.with_name("layout.json").write_text("[]")
    assert audit.load_layout(workspace, dataset.id) is None
    assert audit.audit(workspace, dataset)["sha256"].equals(table["sha256"])


def test_only_changed_files_are_opened_again(tmp_path: Path, workspace: Workspace, opened: list[str]) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 3})
    settle(root)
    dataset = datasets.add_folder(workspace, root)
    first = audit.audit(workspace, dataset)
    assert len(opened) == 6
    opened.clear()
    told: list[tuple[int, int]] = []
    again = audit.audit(workspace, dataset, lambda done, total: told.append((done, total)))
    assert opened == []
    assert told == [(6, 6)]
    pd.testing.assert_frame_equal(again, first)

    write(root / "a/000.png", 99)
    write(root / "b/new.png", 98)
    (root / "b/001.png").unlink()
    os.replace(root / "b/002.png", root / "b/renamed.png")
    table = audit.audit(workspace, dataset).set_index("path")
    assert sorted(opened) == ["000.png", "new.png", "renamed.png"]
    assert table.loc["a/000.png", "sha256"] == hashlib.sha256((root / "a/000.png").read_bytes()).hexdigest()
    assert "b/001.png" not in table.index


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(
    tmp_path: Path, workspace: Workspace
) -> None:
    root = write_classes(tmp_path / "data", {"a": 1, "b": 1})
    for name in ("a/000.png", "b/000.png"):
        (root / name).write_bytes(encode(noise(int(name[0] == "b")), "BMP"))
    settle(root)
    dataset = datasets.add_folder(workspace, root)
    before = audit.audit(workspace, dataset)["sha256"].tolist()
    (root / "b/other").write_bytes(encode(noise(5), "BMP"))
    os.replace(root / "b/other", root / "b/000.png")
    settle(root)
    after = audit.audit(workspace, dataset)["sha256"].tolist()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_file_changed_within_the_clocks_grain_is_read_again(
    tmp_path: Path, workspace: Workspace, opened: list[str]
) -> None:
    root = write_classes(tmp_path / "data", {"a": 1, "b": 1})
    dataset = datasets.add_folder(workspace, root)
    audit.audit(workspace, dataset)
    opened.clear()
    audit.audit(workspace, dataset)
    assert len(opened) == 2


def test_rows_of_an_older_version_are_measured_again(
    tmp_path: Path, workspace: Workspace, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_classes(tmp_path / "data", {"a": 1, "b": 1})
    settle(root)
    dataset = datasets.add_folder(workspace, root)
    monkeypatch.setattr(audit_table, "AUDIT_VERSION", "0.0")
    audit.audit(workspace, dataset)
    monkeypatch.undo()
    assert len(opened) == 2
    table = audit.audit(workspace, dataset)
    assert set(table["version"]) == {audit_table.AUDIT_VERSION}


@pytest.mark.parametrize("save_every", [1000, 5])
def test_a_cancelled_audit_goes_on_where_it_stopped(
    tmp_path: Path,
    workspace: Workspace,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    save_every: int,
) -> None:
    monkeypatch.setattr(audit_table, "SAVE_EVERY", save_every)
    root = write_classes(tmp_path / "data", {"a": 20, "b": 20})
    settle(root)
    dataset = datasets.add_folder(workspace, root)

    def stop(done: int, total: int) -> None:
        assert total == 40
        if done == 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        audit.audit(workspace, dataset, stop)
    assert audit.load_table(workspace, dataset.id) is None
    assert len(opened) < 40
    opened.clear()
    table = audit.audit(workspace, dataset)
    assert len(opened) == 28
    assert table["usable"].all()


def test_a_file_that_vanishes_meanwhile_does_not_stop_the_audit(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 30, "b": 30})
    dataset = datasets.add_folder(workspace, root)

    def vanish(done: int, total: int) -> None:
        (root / "b/029.png").unlink(missing_ok=True)

    table = audit.audit(workspace, dataset, vanish).set_index("path")
    assert table.loc["b/029.png", "problem"] == "missing"
    assert table["usable"].sum() == 59
    assert len(audit.audit(workspace, dataset)) == 59


def test_permission_given_later_is_noticed(workspace: Workspace) -> None:
    with open_folder() as root:
        write_classes(root, {"a": 1, "b": 2})
        settle(root)
        dataset = datasets.add_folder(workspace, root)
        audit.audit(workspace, dataset)
        (root / "a/000.png").chmod(0)
        with unprivileged(), pytest.raises(UnreadableImage):
            images.read_bytes(root / "a/000.png")
        path = workspace.datasets_dir / dataset.id / "files.parquet"
        table = pd.read_parquet(path)
        table.loc[0, "problem"] = "no_permission"
        table.to_parquet(path)
        (root / "a/000.png").chmod(0o644)
        assert audit.audit(workspace, dataset)["usable"].all()


def test_a_vanished_dataset_is_a_clear_error(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 1})
    dataset = datasets.add_folder(workspace, root)
    os.replace(root, tmp_path / "moved")
    with pytest.raises(DataError, match="Put it back"):
        audit.audit(workspace, dataset)


def test_each_check_flags_what_it_is_for_and_nothing_else(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 4, "b": 4, "train": 3, "empty": 0, "A ": 3})
    (root / "a/broken.jpg").write_bytes(encode(noise(50), "JPEG")[:-300])
    (root / "a/empty.jpg").touch()
    (root / "a/photo.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    (root / "a/really_a_png.jpg").write_bytes(encode(noise(51)))
    (root / "a/copy.png").write_bytes((root / "a/000.png").read_bytes())
    (root / "b/from_a.png").write_bytes((root / "a/001.png").read_bytes())
    (root / "a/tiny.png").write_bytes(encode(noise(52, (40, 31))))
    (root / "a/notes.txt").write_text("hello")
    (root / "metadata.csv").write_text("path\n")
    write(root / "stray.png", 53)
    write(root / "a/deep/1.png", 54)
    write(root / "a/.hidden.png", 55)
    write_classes(root, {"two": 2}, first_seed=60)
    (root / "a/link.png").symlink_to("000.png")
    (root / "a/dead.png").symlink_to("nothing")
    (root / "a/out.png").symlink_to(write(tmp_path / "out.png", 70))
    dataset = datasets.add_folder(workspace, root)
    assert flagged(workspace, dataset) == {
        "unreadable": ("a/empty.jpg",),
        "truncated": ("a/broken.jpg",),
        "unsupported_format": ("a/photo.jxl",),
        "label_conflict": ("a/001.png", "b/from_a.png"),
        "exact_duplicate": ("a/000.png", "a/001.png", "a/copy.png", "b/from_a.png"),
        "empty_class": ("empty",),
        "tiny_class": ("two",),
        "too_small": ("a/tiny.png",),
        "outside_class": ("stray.png",),
        "symlink_broken": ("a/dead.png",),
        "symlink_outside": ("a/out.png",),
        "split_like_class": ("train",),
        "similar_class_names": ("A ", "a"),
        "extension_mismatch": ("a/really_a_png.jpg",),
        "non_image": ("a/notes.txt",),
        "hidden": ("a/.hidden.png",),
        "nested": ("a/deep/1.png",),
        "symlink": ("a/link.png",),
    }


def test_the_same_file_in_two_splits_is_a_leak(tmp_path: Path, workspace: Workspace) -> None:
    for index, name in enumerate(("train", "test")):
        write_classes(tmp_path / "data" / name, {"a": 3, "b": 3}, first_seed=10 * index)
    data = (tmp_path / "data/train/a/000.png").read_bytes()
    (tmp_path / "data/test/a/copy.png").write_bytes(data)
    dataset = datasets.add_folder(workspace, tmp_path / "data")
    assert flagged(workspace, dataset) == {
        "leak": ("test/a/copy.png", "train/a/000.png"),
        "exact_duplicate": ("test/a/copy.png", "train/a/000.png"),
    }


def _verdict(table: pd.DataFrame, found: list[audit.Check]) -> str:
    return " ".join(map(str, audit.verdict(table, found)))


def test_the_verdict_names_three_troubles_and_counts_the_rest() -> None:
    table = pd.DataFrame({"usable": [True, True], "kind": ["image", "image"], "label": ["a", "b"]})
    names = ("leak", "truncated", "too_small", "symlink_broken", "tiny_class")
    found = [audit.Check(name, "warning", 1200, ()) for name in names]
    assert _verdict(table, found).endswith(
        "Found: Leak between splits (1,200), Truncated pictures (1,200), Too small pictures (1,200) and 2 more."
    )
    notes = [audit.Check("nested", "note", 7, ()), audit.Check("hidden", "note", 0, ())]
    assert _verdict(table, found[:1] + notes).endswith("Found: Leak between splits (1,200) and 1 more.")
    assert _verdict(table, notes).endswith("No check found a problem.")


def test_where_files_are_hidden_the_verdict_speaks_of_those_that_can_be_seen() -> None:
    table = pd.DataFrame({"usable": [True, True], "kind": ["image", "image"], "label": ["a", "b"]})
    found = [audit.Check("no_permission", "error", 1, ("c",))]
    assert _verdict(table, found).startswith("All 2 pictures that can be seen, in 2 classes, can be used.")


def test_a_sound_dataset_has_nothing_to_flag(tmp_path: Path, workspace: Workspace) -> None:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "data", {"a": 3, "b": 3}))
    table = audit.audit(workspace, dataset)
    found = audit.checks(table, ["a", "b"], "classes")
    assert {check.num_flagged for check in found} == {0}
    assert _verdict(table, found) == "All 6 pictures in 2 classes can be used. No check found a problem."


def test_severities_are_known_and_the_most_severe_come_first(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "empty").mkdir()
    dataset = datasets.Dataset("empty", "empty", tmp_path / "empty", "", "", "", 0.0, tmp_path / "added")
    table = audit.audit(workspace, dataset)
    assert table.empty
    found = audit.checks(table, [], "classes")
    order = [("error", "warning", "note").index(check.severity) for check in found]
    assert order == sorted(order)
    assert all(str(check.why).endswith(".") and str(check.title) for check in found)
    assert _verdict(table, found) == "No picture can be used. See below what is wrong with the files."


def test_the_verdict_names_what_matters_most(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 1})
    (root / "a/bad.jpg").touch()
    dataset = datasets.add_folder(workspace, root)
    table = audit.audit(workspace, dataset)
    found = audit.checks(table, ["a", "b"], "classes")
    assert _verdict(table, found) == (
        "4 of 5 pictures in 2 classes can be used. Found: Unreadable files (1), Tiny classes (1)."
    )
    only_one = table[table["label"] == "a"]
    assert _verdict(only_one, audit.checks(only_one, ["a"], "classes")) == (
        "3 of 4 pictures in 1 class can be used. A classifier needs at least 2 classes."
    )


def test_names_that_look_like_markup_pass_through_unchanged(tmp_path: Path, workspace: Workspace) -> None:
    name = "<b>![x](y)<i>\n"
    root = write_classes(tmp_path / "data", {name: 3, "b": 3})
    (root / name / "bad\n.jpg").touch()
    dataset = datasets.add_folder(workspace, root)
    bad = (f"{name}/bad\n.jpg",)
    assert flagged(workspace, dataset) == {"unreadable": bad, "odd_name": bad}
    stored = audit.load_table(workspace, dataset.id)
    assert stored is not None
    assert name in set(stored["label"])


@pytest.fixture(scope="module")
def torture(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("torture") / "data"
    subprocess.run([shared_data / "copy_torture", root], check=True)
    return root


CHECK_OF_KIND = {
    "truncated": "truncated",
    "unreadable": "unreadable",
    "non-image": "non_image",
    "placeholder": "placeholder",
    "mode": "colour_mode",
    "multiframe": "animated",
    "ext-mismatch": "extension_mismatch",
    "format": "unsupported_format",
    "name": "odd_name",
    "exif-orientation": "exif_orientation",
    "exact-dup": "exact_duplicate",
    "exact-dup+mislabel": "label_conflict",
    "near-dup": "near_duplicate",
    "near-dup-flip": "near_duplicate",
    "tiny": "too_small",
    "blank": "blank",
    "aspect": "odd_aspect",
    "huge": "too_large",
    "blurry": "blurry",
    "dark": "dark",
    "empty-class": "empty_class",
    "class-of-1": "tiny_class",
    "nested": "nested",
    "symlink": "symlink",
    "broken-symlink": "symlink_broken",
    "symlink-outside": "symlink_outside",
    "class-named-train": "split_like_class",
    "hidden-dir": "hidden",
    "root-image": "outside_class",
}
"""Kinds of the torture manifest and the check that has to find each; a mislabel is for a trained model to find."""


def check_for(entry: dict[str, str]) -> str | None:
    # What the system hides is hidden first, whatever it is.
    return "hidden" if Path(entry["path"]).name.startswith(".") else CHECK_OF_KIND.get(entry["kind"])


def test_everything_planted_in_the_torture_folder_is_found(
    torture: Path, shared_data: Path, workspace: Workspace
) -> None:
    found = flagged(workspace, datasets.add_folder(workspace, torture))
    entries = json.loads((shared_data / "torture-manifest.json").read_text())["entries"]
    assert {entry["kind"] for entry in entries} == {*CHECK_OF_KIND, "mislabel"}
    for entry in entries:
        name = check_for(entry)
        of_a_class = name in ("empty_class", "tiny_class", "split_like_class")
        wanted = entry["path"].split("/")[0] if of_a_class else entry["path"]
        assert name is None or wanted in found.get(name, ()), entry
    few = {
        "blank": 3,  # and the one of a single pixel
        "blurry": 1,
        "dark": 1,
        "odd_aspect": 1,
        "too_large": 1,
        "too_small": 2,
        "placeholder": 1,
    }
    for name, count in few.items():
        assert len(found[name]) == count, found[name]


def test_sound_pictures_of_the_torture_folder_are_usable(
    torture: Path, shared_data: Path, workspace: Workspace
) -> None:
    table = audit.audit(workspace, datasets.add_folder(workspace, torture)).set_index("path")
    entries: list[dict[str, Any]] = json.loads((shared_data / "torture-manifest.json").read_text())["entries"]
    unusable = {"unreadable", "truncated", "hidden", "non_image", "outside_class"}
    unusable |= {"symlink", "symlink_broken", "symlink_outside"}
    bad = {entry["path"] for entry in entries if check_for(entry) in unusable}
    if "HEIF" not in images.FORMATS:
        bad.add("shoes/IMG_5195.HEIC")
    assert set(table.index[~table["usable"]]) == bad
    huge = table.loc["t-shirt/huge_12000x9000.jpg"]
    assert (huge["width"], huge["height"]) == (12_000, 9_000)
    for orientation in (3, 6, 8):
        row = table.loc[f"shoes/exif_orientation_{orientation}.jpg"]
        assert row["height"] > row["width"]


def test_real_photos_are_all_usable(shared_data: Path, workspace: Workspace) -> None:
    for name, num_images in (("clothing-6x40", 240), ("dog-breeds", 1000), ("flowers12", 960)):
        dataset = datasets.add_folder(workspace, shared_data / name)
        table = audit.audit(workspace, dataset, no_progress)
        assert table["usable"].sum() == num_images


def test_the_planted_duplicates_of_trashnet_are_conflicts(shared_data: Path, workspace: Workspace) -> None:
    found = flagged(workspace, datasets.add_folder(workspace, shared_data / "trashnet-half"))
    names = {Path(path).stem for path in found["label_conflict"]}
    assert names == {"glass115", "metal91", "glass176", "plastic152", "glass389", "plastic332"}


def test_near_duplicates_get_a_group_that_copies_share(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 3})
    large = noise(70, (240, 180))
    (root / "a/large.png").write_bytes(encode(large))
    (root / "a/copy.png").write_bytes(encode(large))
    (root / "b/small.jpg").write_bytes(encode(large.resize((120, 90)), "JPEG"))
    dataset = datasets.add_folder(workspace, root)
    table = audit.audit(workspace, dataset).set_index("path")
    together = ["a/copy.png", "a/large.png", "b/small.jpg"]
    assert table.loc[together, "group"].nunique() == 1
    assert table.loc[together[0], "group"] == table.loc[together, "sha256"].min()
    assert (table.loc[together, "likeness"] > 0.96).all()
    others = table.drop(together)
    assert (others["group"] == others["sha256"]).all()
    assert not others["likeness"].any()
    found = flagged(workspace, dataset)
    assert found["near_duplicate"] == found["near_label_conflict"] == tuple(together)
    kept = audit.load_table(workspace, dataset.id)
    assert kept is not None and kept["twin_likeness"].max() > 0.96
    stricter = audit.flagged_paths(kept, audit.Thresholds(near_duplicate=1.01))
    assert "near_duplicate" not in stricter and "near_label_conflict" not in stricter
    assert found["exact_duplicate"] == ("a/copy.png", "a/large.png")
    assert "label_conflict" not in found
    (root / "b/small.jpg").unlink()
    table = audit.audit(workspace, dataset).set_index("path")
    assert table.loc["a/large.png", "group"] == table.loc["a/large.png", "sha256"]


def test_groups_are_not_searched_for_again_while_the_pictures_are_the_same(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 3})
    (root / "b/copy.png").write_bytes((root / "a/000.png").read_bytes())
    settle(root)
    dataset = datasets.add_folder(workspace, root)
    first = audit.audit(workspace, dataset)
    monkeypatch.setattr(near_duplicates, "group", None)
    pd.testing.assert_frame_equal(audit.audit(workspace, dataset), first)
    (root / "b/copy.png").unlink()  # a file less, but the same contents
    assert set(audit.audit(workspace, dataset)["group"]) == set(first["group"])


def test_a_near_duplicate_in_another_split_is_a_leak_of_its_own(tmp_path: Path, workspace: Workspace) -> None:
    for index, name in enumerate(("train", "test")):
        write_classes(tmp_path / "data" / name, {"a": 3, "b": 3}, first_seed=10 * index)
    (tmp_path / "data/test/a/smaller.jpg").write_bytes(encode(noise(0).resize((60, 45)), "JPEG", quality=90))
    found = flagged(workspace, datasets.add_folder(workspace, tmp_path / "data"))
    both = ("test/a/smaller.jpg", "train/a/000.png")
    assert found == {"near_leak": both, "near_duplicate": both}


def test_the_twins_of_flowers_are_found_and_a_split_by_groups_has_none(
    shared_data: Path, workspace: Workspace
) -> None:
    table = audit.audit(workspace, datasets.add_folder(workspace, shared_data / "flowers12"))
    sides = table.groupby("group")["given_split"].nunique()
    assert (sides > 1).sum() >= 23
    for given in (table["given_split"], ""):
        split = splits.assign(table.assign(given_split=given))
        used = split[split != ""]
        assert (used.groupby(table["group"]).nunique() == 1).all()


def test_of_trashnet_only_the_same_things_seen_twice_are_near_duplicates(
    shared_data: Path, workspace: Workspace
) -> None:
    found = flagged(workspace, datasets.add_folder(workspace, shared_data / "trashnet-half"))
    pairs = [("metal11", "metal221"), ("metal50", "metal120"), ("paper135", "paper496")]
    pairs += [("paper39", "paper467"), ("paper474", "paper89")]  # looked at; the copies are exact duplicates
    assert {Path(path).stem for path in found["near_duplicate"]} == {name for pair in pairs for name in pair}
    assert len(found["exact_duplicate"]) == 6
