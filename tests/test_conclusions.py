"""What a run's numbers say: only what they support, and every sentence exists."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from core import conclusions
from core.runs import Run

FAR_ABOVE = {"value": 0.4, "low": 0.3, "high": 0.5}


def scores(accuracy: float, low: float, high: float) -> dict[str, Any]:
    return {"accuracy": accuracy, "accuracy_interval": [low, high]}


def run(
    train: float = 0.97,
    val: float = 0.93,
    num_test: int = 200,
    recipe: Mapping[str, Any] = MappingProxyType({}),
    **values: Any,
) -> Run:
    """A run that leaves nothing to be said, but for what is given."""
    metrics = {
        "train": scores(train, train - 0.02, min(1.0, train + 0.02)),
        "val": scores(val, val - 0.04, min(1.0, val + 0.04)),
        "test": scores(0.9, 0.85, 0.94),
    }
    num_images = {"train": 800, "val": 200, "test": num_test}
    return Run(
        "20261122-194512-3fa9",
        "d",
        "D",
        "done",
        0.0,
        recipe,
        metrics=metrics,
        num_images=num_images,
        **values,
    )


def keys(run: Run) -> dict[str, str]:
    """Return kind by key; saying each proves that its string exists and its fields are given."""
    found = conclusions.conclude(run)
    assert all(str(conclusion.sentence) for conclusion in found)
    return {conclusion.sentence.key.removeprefix("conclusion."): conclusion.kind for conclusion in found}


def stage_2(value: float, low: float, high: float, **values: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "epochs": 5,
        "planned": 5,
        "best_epoch": 3,
        "stopped": "",
        "loss": 0.3,
        "head_loss": 0.4,
    }
    return told | {"difference": {"value": value, "low": low, "high": high}} | values


def test_a_run_with_nothing_remarkable_is_left_alone() -> None:
    assert keys(run()) == {}


def test_a_run_that_is_not_done_says_nothing() -> None:
    assert conclusions.conclude(Run("20261122-194512-3fa9", "d", "D", "failed", 0.0, {})) == []


@pytest.mark.parametrize(
    ("told", "fine_tuned", "key", "kind"),
    [
        (stage_2(0.05, 0.02, 0.08), True, "tuning_helped", "good"),
        (stage_2(0.05, 0.02, 0.08), False, "tuning_helped_not_kept", "note"),
        (stage_2(0.01, -0.02, 0.04), True, "tuning_unclear", "note"),
        (stage_2(-0.05, -0.08, -0.02), False, "tuning_harmed", "warning"),
        (stage_2(0.01, -0.02, 0.04, stopped="patience"), True, "stopped_early", "note"),
        (stage_2(0.01, -0.02, 0.04, stopped="time", epochs=1), True, "stopped_time", "note"),
        ({"epochs": 0, "planned": 5, "stopped": "cancelled"}, False, "stopped_cancelled", "note"),
    ],
)
def test_stage_2_is_judged_by_its_interval(
    told: dict[str, Any], fine_tuned: bool, key: str, kind: str
) -> None:
    assert keys(run(stage_2=told, fine_tuned=fine_tuned))[key] == kind


STAGE_2_ALONE = {"epochs": 5, "planned": 5, "best_epoch": 5, "stopped": ""}


@pytest.mark.parametrize(
    ("schedule", "told", "is_said"),
    [
        ("constant", stage_2(0.01, -0.02, 0.04, best_epoch=5), True),
        ("constant", STAGE_2_ALONE, True),
        ("constant", STAGE_2_ALONE | {"best_epoch": 4}, False),
        ("cosine", stage_2(0.01, -0.02, 0.04, best_epoch=5), False),  # it ends at a rate of 0
        ("cosine", STAGE_2_ALONE, False),
    ],
)
def test_more_epochs_are_advised_only_where_the_learning_rate_did_not_fall(
    schedule: str, told: dict[str, Any], is_said: bool
) -> None:
    found = keys(run(stage_2=told, recipe={"schedule": schedule}))
    assert (found.get("still_falling") == "next") == is_said


@pytest.mark.parametrize("stopped", ["time", "cancelled"])
def test_a_head_that_was_stopped_is_said_to_be(stopped: str) -> None:
    told = {"epochs": 3, "planned": 20, "stopped": stopped}
    assert keys(run(stage_1=told)) == {f"head_stopped_{stopped}": "note"}
    assert run(stage_1=told).stopped == stopped
    assert run(stage_1=told | {"stopped": ""}, stage_2={"stopped": "patience"}).stopped == ""


def test_a_network_that_does_not_beat_its_controls_is_warned_of_first() -> None:
    controls = {
        "num_train": 400,
        "num_val": 100,
        "pretrained": 0.5,
        "random": 0.48,
        "pixels": 0.2,
        "majority": 0.2,
        "over_random": {"value": 0.02, "low": -0.05, "high": 0.09},
        "over_pixels": FAR_ABOVE,
    }
    assert keys(run(controls=controls)) == {"no_better_than_random": "warning"}
    assert keys(run(controls=controls | {"over_random": FAR_ABOVE})) == {}
    assert "no_better_than_majority" in keys(
        run(val=0.2, train=0.22, controls=controls | {"over_random": FAR_ABOVE})
    )


def test_learning_by_heart_is_said_only_where_the_interval_of_val_agrees() -> None:
    assert set(keys(run(train=0.99, val=0.8))) == {"overfit", "next_overfit_strength"}
    assert keys(run(train=0.96, val=0.93)) == {}


def test_a_model_that_has_not_learnt_its_own_pictures_is_told_what_to_try() -> None:
    assert set(keys(run(train=0.7, val=0.69))) == {"underfit", "next_underfit_head"}


@pytest.mark.parametrize(("train", "val"), [(0.339, 0.111), (0.85, 0.5)])
def test_what_was_not_learnt_was_not_learnt_by_heart(train: float, val: float) -> None:
    assert set(keys(run(train=train, val=val))) == {"underfit_gap", "next_underfit_gap"}


SOFT = {"head_solver": "lbfgs", "head_strength": 0.03}


@pytest.mark.parametrize(
    ("values", "advice", "says"),
    [
        ({"recipe": SOFT, "fine_tuned": True}, "next_overfit_blocks", "fewer trained blocks"),
        ({"recipe": {"weights": "random"}, "fine_tuned": True}, "next_overfit", ""),
        ({"recipe": SOFT}, "next_overfit_strength", "freedom of the head"),
        ({"recipe": SOFT, "stage_1": {"strength": 0.03}}, "next_overfit_strength", "freedom of the head"),
        ({"recipe": SOFT, "stage_1": {"strength": 1.0}}, "next_overfit", ""),  # val prefers more freedom
        ({"recipe": {"head_solver": "adam"}}, "next_overfit_dropout", "dropout"),
    ],
)
def test_less_freedom_is_advised_by_a_setting_that_the_model_has(
    values: dict[str, Any], advice: str, says: str
) -> None:
    told = {"epochs": 5, "planned": 5, "stopped": ""}
    model = run(train=0.99, val=0.8, **values | {"stage_1": told | values.get("stage_1", {})})
    assert set(keys(model)) == {"overfit", advice}
    said = str(conclusions.conclude(model)[-1].sentence)
    assert [word for word in ("blocks", "freedom", "dropout") if word in said] == [
        word for word in ("blocks", "freedom", "dropout") if word in says
    ]


def test_few_test_pictures_call_for_cross_validation() -> None:
    assert keys(run(num_test=36)) == {"few_test_images": "next"}


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0214, "+2.1"),
        (-0.05, "\u22125.0"),
        (0.0, "+0.0"),
        (-0.0, "+0.0"),
        (-0.0004, "\u22120.04"),
        (0.00049, "+0.05"),
        (-6.56e-7, "+0.0"),
        (-6.56e-6, "\u22120.0007"),
    ],
)
def test_points_have_a_sign_and_nothing_is_never_negative(share: float, said: str) -> None:
    assert conclusions.points(share) == said


def test_a_difference_is_said_in_points_with_its_sign_and_interval() -> None:
    (told, *_) = conclusions.conclude(run(stage_2=stage_2(-0.05, -0.081, -0.02)))
    assert "\u22125.0 points of accuracy" in str(told.sentence)
    assert "(95\u00a0% interval \u22128.1 to \u22122.0)" in str(told.sentence)
