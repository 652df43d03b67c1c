"""What a session keeps warm: by size, least recently used goes first."""

from __future__ import annotations

from typing import Any

import pytest

from core import recipes
from core.recipes import Recipe
from core.session import networks
from core.session.context import WARM_BYTES, Warm
from core.session.executor import MEMORY_SHARE, WARM_SHARE


def ask(warm: Warm, key: str, num_bytes: int) -> bool:
    """Ask for something and return whether it had to be made."""
    made: list[str] = []

    def make() -> Any:
        made.append(key)
        return object()

    warm.get(key, make, num_bytes)
    return bool(made)


def test_the_least_recently_used_makes_room() -> None:
    warm = Warm(100)
    for key in ("first", "second", "first"):
        ask(warm, key, 40)
    assert ask(warm, "third", 40)
    assert warm.names() == ["first", "third"]
    assert ask(warm, "small", 20) and warm.names() == ["first", "third", "small"]
    warm.forget("third")
    assert ask(warm, "other", 40) and warm.names() == ["first", "small", "other"]


def test_the_two_asked_for_last_stay_however_large_they_are() -> None:
    warm = Warm(100)
    ask(warm, "small", 10)
    assert ask(warm, "network", 500) and ask(warm, "features", 500)
    assert warm.names() == ["network", "features"]
    assert not ask(warm, "network", 500) and not ask(warm, "features", 500)
    assert ask(warm, "small", 10) and warm.names() == ["features", "small"]


def test_what_grew_while_it_was_used_counts_when_room_is_needed() -> None:
    warm, grown = Warm(100), [0]
    warm.get("first", object, 20, further_bytes=lambda item: grown[0])
    ask(warm, "second", 20)
    ask(warm, "third", 20)
    grown[0] = 40
    assert ask(warm, "fourth", 20) and warm.names() == ["second", "third", "fourth"]


def test_what_could_not_be_made_takes_no_room() -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    warm = Warm(100)
    ask(warm, "first", 60)
    with pytest.raises(ZeroDivisionError):
        warm.get("second", fail, 40)
    assert ask(warm, "third", 40) and warm.names() == ["first", "third"]


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "mobilenet-v2", "resnet50"])
def test_two_runs_are_asked_in_turn_on_a_laptop_and_none_is_made_twice(backbone: str) -> None:
    warm = Warm(min(WARM_BYTES, 8e9 * MEMORY_SHARE * WARM_SHARE))
    num_bytes = networks.num_bytes(recipes.validate(Recipe(backbone=backbone)))
    neighbours = 4 * 20_000 * 1280
    asked = [
        (f"{kind} {run}", size) for run in "AB" for kind, size in (("run", num_bytes), ("near", neighbours))
    ]
    assert [ask(warm, *one) for one in asked * 2] == [True] * 4 + [False] * 4
