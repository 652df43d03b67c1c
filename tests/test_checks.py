"""Every check finds what it is for on pictures with known answers, and leaves the rest alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from core import audit, datasets
from core.audit import Thresholds, judgement
from core.audit.measures import measure
from core.errors import DataError
from core.workspace import Workspace
from tests.pictures import encode, write_classes
from tests.test_near_duplicates import scene

EXIF_ORIENTATION, EXIF_ARTIST, EXIF_GPS = 0x0112, 0x013B, 0x8825


def with_exif(tags: dict[int, object]) -> Image.Exif:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    return exif


def flat(value: float, spread: float = 0.0, seed: int = 0) -> Image.Image:
    """Return a picture of one brightness, or of noise around it."""
    values = np.random.default_rng(seed).normal(value, spread, (120, 160, 1))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8).repeat(3, axis=2))


def dimmed(seed: int, low: int, high: int) -> Image.Image:
    return scene(seed).point(lambda value: low + value * (high - low) // 255)


PLANTED: dict[str, Callable[[], dict[str, bytes]]] = {
    "blank": lambda: {"white.jpg": encode(flat(255), "JPEG"), "grey.png": encode(flat(120, 1))},
    "dark": lambda: {"dark.jpg": encode(dimmed(901, 0, 30), "JPEG")},
    "bright": lambda: {"bright.jpg": encode(dimmed(902, 235, 255), "JPEG")},
    "blurry": lambda: {
        f"soft-{side}.jpg": encode(
            scene(903 + side, (side, side * 3 // 4)).filter(ImageFilter.GaussianBlur(side / 60)), "JPEG"
        )
        for side in (200, 400, 1200)
    },
    "too_small": lambda: {"small.png": encode(scene(904, (31, 40)))},
    "too_large": lambda: {"large.png": encode(Image.new("L", (10_000, 5_001)).convert("1"))},
    "odd_aspect": lambda: {"long.jpg": encode(scene(905, (900, 200)), "JPEG")},
    "greyscale": lambda: {"grey.jpg": encode(scene(906).convert("L").convert("RGB"), "JPEG")},
    "colour_mode": lambda: {
        "grey.jpg": encode(scene(907).convert("L"), "JPEG"),
        "print.jpg": encode(scene(908).convert("CMYK"), "JPEG"),
        "palette.png": encode(scene(909).convert("P")),
        "alpha.png": encode(scene(910).convert("RGBA")),
    },
    "animated": lambda: {
        "moving.webp": encode(scene(911), "WEBP", save_all=True, append_images=[scene(912)]),
        "pages.tif": encode(scene(913), "TIFF", save_all=True, append_images=[scene(914)]),
    },
    "unsupported_format": lambda: {
        "web.webp": encode(scene(915), "WEBP"),
        "scan.tif": encode(scene(916), "TIFF"),
        "unknown.jxl": b"\xff\x0a" + bytes(40),
    },
    "exif_orientation": lambda: {
        "lying.jpg": encode(scene(917), "JPEG", exif=with_exif({EXIF_ORIENTATION: 6}))
    },
    "private_metadata": lambda: {
        "author.jpg": encode(scene(918), "JPEG", exif=with_exif({EXIF_ARTIST: "Somebody"})),
        "place.jpg": encode(
            scene(919), "JPEG", exif=with_exif({EXIF_GPS: {2: (52.0, 30.0, 0.0), 4: (13.0, 24.0, 0.0)}})
        ),
    },
    "odd_name": lambda: {
        "with space.jpg": encode(scene(920), "JPEG"),
        "UPPER.JPG": encode(scene(921), "JPEG"),
        "裤子.jpg": encode(scene(922), "JPEG"),
        "photo.jpg_100w": encode(scene(923), "JPEG"),
    },
    "placeholder": lambda: {"imageNotFound.jpg": encode(scene(924), "JPEG")},
}
"""Files for each check; their names do not tell which check they are for."""

ALSO = {
    "odd_name": {"extension_mismatch"},
    "blank": {"greyscale", "exact_duplicate"},
    "animated": {"unsupported_format"},
    "colour_mode": {"greyscale"},
}
"""What else is true of some of the files planted for a check."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_check_finds_all_that_it_is_for_and_others_stay_silent(
    name: str, tmp_path: Path, workspace: Workspace
) -> None:
    root = tmp_path / "data"
    for label, first in (("a", 0), ("b", 100)):
        (root / label).mkdir(parents=True)
        for seed in range(first, first + 4):
            (root / label / f"{seed}.jpg").write_bytes(encode(scene(seed), "JPEG"))
    planted = PLANTED[name]()
    for file_name, data in planted.items():
        (root / "a" / file_name).write_bytes(data)
    table = audit.audit(workspace, datasets.add_folder(workspace, root))
    found = {check.name: set(check.paths) for check in audit.checks(table, ["a", "b"], "classes")}
    wanted = {f"a/{file_name}" for file_name in planted}
    if name == "too_large":
        found["colour_mode"] -= wanted
        found["blank"] -= wanted
        found["greyscale"] -= wanted
    assert found[name] == wanted
    assert {other for other, paths in found.items() if paths} - ALSO.get(name, set()) == {name}


def test_scores_are_between_0_and_1_and_flags_are_bools(tmp_path: Path, workspace: Workspace) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 3})
    (root / "a/broken.jpg").write_bytes(b"broken")
    (root / "a/blank.png").write_bytes(encode(flat(200)))
    table = audit.audit(workspace, datasets.add_folder(workspace, root))
    judged = audit.judge(table)
    assert list(judged.columns) == [
        column for name in audit.FILE_CHECKS for column in (f"{name}_score", f"is_{name}")
    ]
    assert judged.index.equals(table.index)
    for name in audit.FILE_CHECKS:
        assert judged[f"{name}_score"].between(0, 1).all()
        assert judged[f"is_{name}"].dtype == bool
    assert set(audit.FILE_CHECKS) < set(audit.CHECK_NAMES)


THRESHOLDS = {
    "too_small": (0, 1000),
    "too_large": (1000, 0.000001),
    "odd_aspect": (1000, 1.01),
    "blank": (0, 1.0),
    "dark": (0, 1.0),
    "bright": (1.0, 0.0),
    "blurry": (0, 1.0),
}
"""Of each threshold a value by which nothing and one by which everything is flagged."""


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_moves_flags_but_no_score(name: str, tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "data/a").mkdir(parents=True)
    for seed in range(6):
        (tmp_path / f"data/a/{seed}.jpg").write_bytes(encode(scene(seed), "JPEG"))
    table = audit.audit(workspace, datasets.add_folder(workspace, tmp_path / "data"))
    none, all_of_them = (audit.judge(table, Thresholds(**{name: value})) for value in THRESHOLDS[name])
    assert not none[f"is_{name}"].any()
    assert all_of_them[f"is_{name}"].all()
    assert none[f"{name}_score"].equals(all_of_them[f"{name}_score"])


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_impossible_thresholds_are_refused(value: float) -> None:
    with pytest.raises(DataError, match='"blurry". Expected a number of at least 0'):
        Thresholds(blurry=value)


def test_likeness_that_nothing_is_kept_of_is_refused() -> None:
    with pytest.raises(DataError, match=r'0\.8 for "near_duplicate". Expected at least 0\.9'):
        Thresholds(near_duplicate=0.8)


def test_the_words_of_a_check_give_its_threshold() -> None:
    table = pd.DataFrame({"usable": [True], "label": ["a"], "problem": [""]})
    assert table["usable"].all()
    check = audit.Check("too_small", "warning", 0, (), Thresholds(too_small=48))
    assert "under 48 pixels" in str(check.why)


def test_sharpness_does_not_depend_on_the_size_of_the_picture() -> None:
    sharp = scene(1, (1600, 1200))
    blurred = sharp.filter(ImageFilter.GaussianBlur(1600 / 80))
    for picture, low, high in ((sharp, 0.5, 1.0), (blurred, 0.0, 0.4)):
        found = [
            measure(np.asarray(picture.resize((side, side * 3 // 4), Image.Resampling.BOX))).sharpness
            for side in (224, 400, 1600)
        ]
        assert all(low <= value <= high for value in found), found
        assert max(found) - min(found) < 0.12


def test_measures_of_known_pictures() -> None:
    half = np.zeros((200, 200, 3), dtype=np.uint8)
    half[:, 100:] = (255, 0, 0)
    found = measure(half)
    assert (found.red, found.green, found.blue) == (0.5, 0, 0)
    assert found.colourfulness == 1
    assert found.brightness == pytest.approx(76 / 255 / 2, abs=0.001)
    assert (found.darkest, found.lightest, found.contrast) == (
        0,
        pytest.approx(76 / 255),
        pytest.approx(76 / 255),
    )
    assert measure(np.full((5, 5, 3), 9, dtype=np.uint8)).sharpness == 1  # too small to tell


def test_grey_pictures_among_grey_ones_are_no_finding(tmp_path: Path, workspace: Workspace) -> None:
    for label, first in (("a", 0), ("b", 100)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for seed in range(first, first + 4):
            (tmp_path / "data" / label / f"{seed}.png").write_bytes(encode(scene(seed).convert("L")))
    table = audit.audit(workspace, datasets.add_folder(workspace, tmp_path / "data"))
    assert not audit.judge(table)[["is_greyscale", "is_colour_mode"]].any(axis=None)


def test_the_same_file_in_several_classes_is_taken_for_a_placeholder(
    tmp_path: Path, workspace: Workspace
) -> None:
    root = write_classes(tmp_path / "data", {"a": 3, "b": 3})
    for path in ("a/x.png", "b/x.png", "b/y.png"):
        (root / path).write_bytes(encode(scene(7)))
    judged = audit.judge(table := audit.audit(workspace, datasets.add_folder(workspace, root)))
    assert set(table["path"][judged["is_placeholder"]]) == {"a/x.png", "b/x.png", "b/y.png"}


@pytest.mark.parametrize("name", ["piano_image_03", "volcano_photo_1", "rhino-picture2", "albino photo"])
def test_a_word_within_a_name_makes_no_placeholder(name: str) -> None:
    assert not judgement._PLACEHOLDER_NAME.search(name)
    assert judgement._PLACEHOLDER_NAME.search(f"no_image_{name}")


def test_thresholds_can_be_moved_on_20_000_rows_at_once() -> None:
    rows = 20_000
    rng = np.random.default_rng(0)
    hashes = [f"{value:064x}" for value in rng.integers(0, 2**62, rows)]
    table = pd.DataFrame(
        {
            "path": [f"a/{row}.jpg" for row in range(rows)],
            "label": rng.choice(["a", "b"], rows),
            "given_split": "",
            "sha256": hashes,
            "group": hashes,
            "likeness": 0.0,
            "kind": "image",
            "problem": "",
            "usable": True,
            "format": "JPEG",
            "mode": "RGB",
            "width": 500,
            "height": 375,
            "size": rng.integers(20_000, 60_000, rows),
            "orientation": 1,
            "animated": False,
            "private": "",
        }
        | {
            name: rng.random(rows)
            for name in ("darkest", "lightest", "brightness", "contrast", "sharpness", "colourfulness")
        }
        | {name: rng.random(rows) for name in ("red", "green", "blue")}
    )
    began = time.process_time()
    audit.judge(table, Thresholds(blurry=0.3))
    assert time.process_time() - began < 2  # about 0.2 s; slow machines and coverage tools take longer
