"""Two models on the same images: the difference, and whether it may be chance."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.evaluation import comparison, holm, mcnemar, paired_difference

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(answers)
def test_the_difference_is_what_was_seen_lies_in_its_interval_and_turns_with_its_sides(
    drawn: list[tuple[bool, bool]],
) -> None:
    first, second = np.array(drawn).T
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.value == pytest.approx(second.mean() - first.mean())
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_it_equals_the_published_formula() -> None:
    # 12 images won, 4 lost of 100: p12 = 13/102, p21 = 5/102.
    first = np.array([False] * 12 + [True] * 4 + [True] * 84)
    second = np.array([True] * 12 + [False] * 4 + [True] * 84)
    found = paired_difference(first, second)
    middle = 8 / 102
    half = 1.959964 * np.sqrt((18 / 102 - middle**2) / 102)
    assert found == pytest.approx((0.08, middle - half, middle + half), abs=1e-6)
    assert not found.is_clear


def test_its_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        both = rng.choice(4, size=60, p=[0.7, 0.15, 0.05, 0.1])  # both, only second, only first, none
        found = paired_difference(np.isin(both, [0, 2]), np.isin(both, [0, 1]))
        covered += found.low <= 0.1 <= found.high
    assert 0.93 < covered / 2000 < 0.98


def test_a_clear_difference_is_called_so() -> None:
    assert paired_difference([False] * 30, [True] * 30).is_clear
    assert not paired_difference([True] * 30, [True] * 30).is_clear


def test_answers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected two of the same shape"):
        paired_difference([True], [True, False])


def test_the_examples_hold() -> None:
    assert doctest.testmod(comparison).failed == 0


@given(answers)
def test_mcnemar_equals_the_exact_binomial_test_and_does_not_mind_the_sides(
    drawn: list[tuple[bool, bool]],
) -> None:
    first, second = np.array(drawn).T
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(first, second) == mcnemar(second, first)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_difference_clearer_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    if p_values:
        assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


grouped = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=24)


@given(grouped)
def test_by_groups_the_test_is_that_of_all_signs_of_their_sums(drawn: list[tuple[bool, bool, int]]) -> None:
    first, second, groups = (np.array(column) for column in zip(*drawn, strict=True))
    sums = np.bincount(groups, weights=second.astype(int) - first.astype(int), minlength=6)
    totals = np.array(list(itertools.product((-1, 1), repeat=6))) @ sums
    assert mcnemar(first, second, groups) == pytest.approx((abs(totals) >= abs(sums.sum())).mean())


@given(answers)
def test_groups_of_one_change_nothing(drawn: list[tuple[bool, bool]]) -> None:
    first, second = np.array(drawn).T
    alone = np.arange(len(drawn))[::-1]
    assert mcnemar(first, second, alone) == mcnemar(first, second)
    assert paired_difference(first, second, alone) == paired_difference(first, second)


def test_copies_make_no_difference_clearer() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random(60) < 0.7, rng.random(60) < 0.8
    copied = [np.tile(right, 4) for right in (first, second)]
    groups = np.tile(np.arange(60), 4)
    once, by_group, naive = (
        paired_difference(first, second),
        paired_difference(*copied, groups),
        paired_difference(*copied),
    )
    assert by_group == pytest.approx(once, abs=0.01)
    assert naive.high - naive.low < 0.6 * (by_group.high - by_group.low)
    assert mcnemar(*copied, groups) == pytest.approx(mcnemar(first, second))
    everything = np.zeros(240)
    assert paired_difference(*copied, everything).high - paired_difference(*copied, everything).low > 1


def test_many_groups_of_many_sizes_are_tested_without_overflow() -> None:
    rng = np.random.default_rng(5)
    groups = rng.integers(4000, size=20_000)
    first, second = rng.random((2, 20_000)) < 0.5
    sums = np.bincount(groups, weights=second.astype(int) - first.astype(int))
    z = abs(sums.sum()) / np.sqrt((sums**2).sum())
    assert mcnemar(first, second, groups) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.02)
