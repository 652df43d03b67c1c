"""A property that tells the class by itself is named; chance, imbalance and duplicates are not taken for one."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from core import audit
from core.audit.checks import _shortcut
from core.audit.shortcuts import MAX_P, PROPERTIES
from core.audit.thresholds import Thresholds


def make_table(
    num_pictures: int, num_classes: int = 2, seed: int = 0, shares: list[float] | None = None
) -> pd.DataFrame:
    """Return a table of pictures whose properties have nothing to do with their class."""
    rng = np.random.default_rng(seed)
    hashes = [hashlib.sha256(f"{seed} {row}".encode()).hexdigest() for row in range(num_pictures)]
    return pd.DataFrame(
        {
            "sha256": hashes,
            "group": hashes,
            "usable": True,
            "label": rng.choice([f"class {index}" for index in range(num_classes)], num_pictures, p=shares),
            "size": rng.integers(20_000, 60_000, num_pictures),
            "width": rng.choice([320, 500, 640], num_pictures),
            "height": rng.choice([240, 375, 480], num_pictures),
            "format": rng.choice(["JPEG", "PNG"], num_pictures),
            "mode": "RGB",
        }
        | {name: rng.random(num_pictures) for name in ("brightness", "red", "green", "blue")}
    )


def found(table: pd.DataFrame) -> set[str]:
    return {shortcut.name for shortcut in audit.shortcuts(table) if shortcut.found()}


PLANTED = {
    "file_size": lambda t, second: t.assign(size=t["size"] + 50_000 * second),
    "dimensions": lambda t, second: t.assign(
        width=t["width"] * (1 + second), height=t["height"] * (1 + second)
    ),
    "aspect": lambda t, second: t.assign(width=400 + 100 * second, height=400),
    "brightness": lambda t, second: t.assign(brightness=t["brightness"] / 2 + 0.4 * second),
    "colour": lambda t, second: t.assign(red=t["red"] + 1.5 * second),
    "format": lambda t, second: t.assign(format=np.where(second, "PNG", "JPEG")),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_property_that_tells_the_class_is_named(name: str) -> None:
    table = make_table(300)
    second = (table["label"] == "class 1").to_numpy().astype(int)
    table = PLANTED[name](table, second)
    allowed = {"aspect": {"dimensions"}}.get(name, set())
    assert name in found(table)
    assert found(table) - allowed == {name}
    best = next(shortcut for shortcut in audit.shortcuts(table) if shortcut.name == name)
    assert best.accuracy > 0.85
    assert best.p_value < 1e-6


def test_the_threshold_says_how_much_is_too_much_but_chance_is_never_found() -> None:
    table = make_table(300)
    second = (table["label"] == "class 1").to_numpy()
    some = second & (np.arange(300) % 3 > 0)
    table = table.assign(format=np.where(some, "PNG", "JPEG"))
    (gain,) = (shortcut.gain for shortcut in audit.shortcuts(table) if shortcut.name == "format")
    for threshold, named in ((gain - 0.01, ["format"]), (gain + 0.01, [])):
        assert _shortcut(table, (), Thresholds(shortcut=threshold)) == named
    assert _shortcut(make_table(300), (), Thresholds(shortcut=0.01)) == []


def test_nothing_is_named_where_there_is_nothing_to_name() -> None:
    for seed in range(30):
        assert found(make_table(120 + 20 * seed, num_classes=2 + seed % 5, seed=seed)) == set()


def test_chance_is_accepted_as_rarely_as_promised() -> None:
    p_values = [min(s.p_value for s in audit.shortcuts(make_table(200, seed=seed))) for seed in range(200)]
    assert np.mean(np.array(p_values) <= MAX_P) <= 0.03


def test_an_unequal_share_of_classes_is_no_shortcut() -> None:
    assert found(make_table(600, 3, shares=[0.9, 0.07, 0.03])) == set()


def test_duplicates_do_not_make_a_shortcut() -> None:
    table = pd.concat(
        [make_table(60)] * 10, ignore_index=True
    )  # each picture ten times, always with its class
    assert found(table) == set()


def test_few_pictures_and_a_single_class_are_not_judged() -> None:
    assert audit.shortcuts(make_table(40)) == []
    assert audit.shortcuts(make_table(100, num_classes=1)) == []
    assert audit.shortcuts(make_table(100).assign(usable=False)) == []


def test_what_is_found_is_said_with_the_property_to_blame() -> None:
    check = audit.Check("shortcut", "warning", 2, ("brightness", "file_size"))
    assert "brightness, file size." in str(check.why)
    assert check.of == "properties"
