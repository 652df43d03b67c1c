"""The forms that values of a bundle's JSON must have: which type, between which bounds, under which names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_TIME_S = 2**32
"""Seconds since the epoch, in the year 2106, from which no run can be."""
MAX_NAME_CHARS = 255
ROUNDING = 1e-6
"""How far a number may lie outside its bounds, or a value outside its interval."""


@dataclass(frozen=True)
class Number:
    """The form of a finite number.

    Args:
        low: The smallest that it can be.
        high: The largest.
        is_whole: Whether it has no fraction.
    """

    low: float = -(2.0**63)
    high: float = 2.0**63
    is_whole: bool = False

    def holds(self, value: object) -> bool:
        """Return whether a value is such a number."""
        is_number = isinstance(value, int if self.is_whole else int | float) and not isinstance(value, bool)
        return is_number and self.low - ROUNDING <= value <= self.high + ROUNDING  # type: ignore[operator]


NUMBER = Number()
AMOUNT = Number(0)
SHARE = Number(0, 1)
COUNT = Number(0, 2**53, is_whole=True)
AT_LEAST_ONE = Number(1, 2**53, is_whole=True)
TIME = Number(0, MAX_TIME_S)
_CHANGE = Number(-1, 1)
DIFFERENCE = {"value": _CHANGE, "low": _CHANGE, "high": _CHANGE}
"""Of two shares."""


def fit(name: str, value: Any, form: Any) -> None:
    """Refuse a value of JSON that has not a form.

    Args:
        name: Where it is from.
        value: The value.
        form: A :class:`Number`, a type, a list of forms, or names with the form of each; names that the form does not
            have are left alone.

    Raises:
        ValueError: It has another form.
    """
    inner: list[tuple[Any, Any]] = []
    if isinstance(form, Number):
        fits = form.holds(value)
    elif isinstance(form, dict):
        fits = isinstance(value, Mapping) and set(form) <= set(value)
        inner = [(value[key], form[key]) for key in form] if fits else []
    elif isinstance(form, list):
        fits = isinstance(value, list | tuple) and len(value) == len(form)
        inner = list(zip(value, form, strict=True)) if fits else []
    else:
        fits = isinstance(value, form)
    if not fits:
        raise ValueError(f"{name} is not as it should be")
    for one, its_form in inner:
        fit(name, one, its_form)


def fit_estimate(name: str, scores: Any, measure: str, form: Number) -> None:
    """Refuse a measure that has not a form, or whose interval, which stands beside it, does not hold it.

    Raises:
        ValueError: It is so.
    """
    interval = f"{measure}_interval"
    fit(name, scores, {measure: form, interval: [form, form]})
    low, high = scores[interval]
    if not low - ROUNDING <= scores[measure] <= high + ROUNDING:
        raise ValueError(f"{name} has an interval of {measure} that does not hold it")
