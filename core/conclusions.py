"""What the numbers of a finished run say, in sentences: did fine-tuning help, is it learnt by heart, what next.

Only what the numbers support is said. All of it rests on train and val; test is never used to advise, or advice
followed again and again would fit the model to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.evaluation import Difference
from core.recipes import RANDOM_WEIGHTS
from core.runs import STOPPED, Run
from core.words import Sentence, sentence

OVERFIT_GAP = 0.1
"""Accuracy on train minus that on val from which one speaks of learning by heart, if val's interval agrees."""
UNDERFIT_ACCURACY = 0.9
"""Accuracy on train below which the model has not even learnt what it was shown."""
FEW_TEST_IMAGES = 100
"""Test images below which one score says little, and cross-validation is offered."""

NOTHING = 1e-4
"""Points below which a difference is rounding."""

KINDS = ("warning", "good", "note", "next")
"""What a conclusion may be, in the order in which they are said."""


@dataclass(frozen=True)
class Conclusion:
    """One thing to know.

    Args:
        kind: One of :data:`KINDS`; ``"next"`` is something to try.
        sentence: What to say.
    """

    kind: str
    sentence: Sentence


def conclude(run: Run) -> list[Conclusion]:
    """Return what a finished run's numbers say, warnings first, then what to try next.

    Args:
        run: A run in state ``"done"``; one of an older Graft has fewer numbers and says less.
    """
    if run.state != "done":
        return []
    found = [*_stage_1(run), *_stage_2(run), *_controls(run), *_fit(run), *_size(run)]
    return sorted(found, key=lambda conclusion: KINDS.index(conclusion.kind))


def points(share: float) -> str:
    """Return a difference of accuracies in percentage points, with its sign."""
    number = 100 * share
    if abs(number) < NOTHING:
        number = 0.0  # there is no minus nothing
    # On which side of 0 a bound lies is what is read from it.
    signed = f"{number:+.1f}" if not number or abs(number) >= 0.05 else f"{number:+.1g}"
    return signed.replace("-", "\N{MINUS SIGN}")


def _difference(stored: Mapping[str, float]) -> Difference:
    return Difference(stored["value"], stored["low"], stored["high"])


def _interval(difference: Difference) -> dict[str, str]:
    return {
        "points": points(difference.value),
        "low": points(difference.low),
        "high": points(difference.high),
    }


def _stage_1(run: Run) -> Iterator[Conclusion]:
    stopped = run.stage_1.get("stopped", "")
    if stopped in STOPPED:
        done, planned = run.stage_1["epochs"], run.stage_1["planned"]
        yield Conclusion("note", sentence(f"conclusion.head_stopped_{stopped}", n=done, planned=planned))


def _stage_2(run: Run) -> Iterator[Conclusion]:
    told = run.stage_2
    if not told:
        return
    if "difference" in told:
        difference = _difference(told["difference"])
        numbers = _interval(difference)
        if difference.high < 0:
            yield Conclusion("warning", sentence("conclusion.tuning_harmed", **numbers))
        elif difference.low > 0:
            key = "tuning_helped" if run.fine_tuned else "tuning_helped_not_kept"
            yield Conclusion("good" if run.fine_tuned else "note", sentence(f"conclusion.{key}", **numbers))
        else:
            num_val = run.num_images.get("val", 0)
            yield Conclusion("note", sentence("conclusion.tuning_unclear", n=num_val, **numbers))
    yield from _course(told, run.recipe.get("schedule", ""))


def _course(told: Mapping[str, Any], schedule: str) -> Iterator[Conclusion]:
    """How the epochs of stage 2 went."""
    stopped, done, planned = told.get("stopped", ""), told.get("epochs", 0), told.get("planned", 0)
    if stopped == "patience":
        yield Conclusion("note", sentence("conclusion.stopped_early", epoch=told["best_epoch"], done=done))
    elif stopped in STOPPED:
        yield Conclusion("note", sentence(f"conclusion.stopped_{stopped}", n=done, planned=planned))
    # Where the learning rate falls to nothing the last epoch is the best one as a rule, however many there are.
    elif schedule == "constant" and done > 1 and told.get("best_epoch") == done:
        yield Conclusion("next", sentence("conclusion.still_falling", n=done))


def _controls(run: Run) -> Iterator[Conclusion]:
    told = run.controls
    for name in ("random", "pixels"):
        if f"over_{name}" not in told:
            continue
        difference = _difference(told[f"over_{name}"])
        if difference.low <= 0:
            numbers = {
                "pretrained": f"{100 * told['pretrained']:.1f}",
                "control": f"{100 * told[name]:.1f}",
                "n": told["num_val"],
            }
            yield Conclusion("warning", sentence(f"conclusion.no_better_than_{name}", **numbers))
    if told and told["majority"] >= run.metrics["val"]["accuracy"]:
        share = f"{100 * told['majority']:.1f}"
        yield Conclusion("warning", sentence("conclusion.no_better_than_majority", share=share))


def _fit(run: Run) -> Iterator[Conclusion]:
    """Learnt by heart, or not even learnt?"""
    train, val = run.metrics.get("train"), run.metrics.get("val")
    if not train or not val:
        return
    numbers = {"train": f"{100 * train['accuracy']:.1f}", "val": f"{100 * val['accuracy']:.1f}"}
    high = val["accuracy_interval"][1]
    has_learnt = train["accuracy"] >= UNDERFIT_ACCURACY
    falls_off = train["accuracy"] - val["accuracy"] >= OVERFIT_GAP and train["accuracy"] > high
    if has_learnt and falls_off:
        yield Conclusion("note", sentence("conclusion.overfit", **numbers))
        yield Conclusion("next", sentence(f"conclusion.{_less_freedom(run)}"))
    elif falls_off:
        # Neither more freedom nor less is what both of them ask for.
        yield Conclusion("note", sentence("conclusion.underfit_gap", **numbers))
        yield Conclusion("next", sentence("conclusion.next_underfit_gap"))
    elif not has_learnt:
        yield Conclusion("note", sentence("conclusion.underfit", **numbers))
        key = "next_underfit" if run.stage_2 else "next_underfit_head"
        yield Conclusion("next", sentence(f"conclusion.{key}"))


def _less_freedom(run: Run) -> str:
    """Return which advice names the setting that gives the model of this run less freedom."""
    recipe = run.recipe
    if run.fine_tuned:
        # Blocks that begin with random weights have to learn all the same.
        return "next_overfit" if recipe.get("weights") == RANDOM_WEIGHTS else "next_overfit_blocks"
    if recipe.get("head_solver") == "adam":
        return "next_overfit_dropout"
    # A run of an older Graft, which did not search, held its head against one of more freedom only.
    found_freer = run.stage_1.get("strength", 0.0) > recipe.get("head_strength", 1.0)
    if recipe.get("head_search", found_freer):
        return "next_overfit"  # validation has found a smaller C to be worse
    return "next_overfit_strength"


def _size(run: Run) -> Iterator[Conclusion]:
    num_test = run.num_images.get("test", 0)
    if 0 < num_test < FEW_TEST_IMAGES and run.recipe.get("head_epochs", 1):
        yield Conclusion("next", sentence("conclusion.few_test_images", n=num_test))
