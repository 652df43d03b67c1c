"""The numbers equal scikit-learn's, the intervals keep their promise, and temperature never harms."""

from __future__ import annotations

import doctest
import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from core import evaluation
from core.errors import DataError
from core.evaluation import evaluate, fit_temperature, most_confused, softmax, top_losses, wilson_interval

# scikit-learn warns of absent and single classes, which are the point here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:A single label was found"),
    pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true"),
]
laws = settings(max_examples=50, deadline=None)  # each example resamples a thousand times

Predictions = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    """True classes and probabilities: absent classes, classes never predicted, one class, and ties."""
    num_classes = draw(st.integers(1, 6))
    num_images = draw(st.integers(1, 30))
    weight = st.integers(0, 3)
    rows = draw(
        st.lists(
            st.lists(weight, min_size=num_classes, max_size=num_classes),
            min_size=num_images,
            max_size=num_images,
        )
    )
    weights = np.array(rows, dtype=np.float64) + 1e-3
    classes = st.integers(0, num_classes - 1)
    y_true = draw(st.lists(classes, min_size=num_images, max_size=num_images))
    return np.array(y_true, dtype=np.int64), weights / weights.sum(axis=1, keepdims=True)


def names(y_prob: npt.NDArray[np.float64]) -> list[str]:
    return [f"class {i}" for i in range(y_prob.shape[1])]


@laws
@given(predictions())
def test_scores_equal_scikit_learns(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    result = evaluate(y_true, y_prob, names(y_prob))
    y_pred, labels = y_prob.argmax(axis=1), np.arange(y_prob.shape[1])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        y_true, y_pred, labels=labels, zero_division=0
    )
    assert result.num_images == len(y_true)
    assert result.accuracy.value == pytest.approx(metrics.accuracy_score(y_true, y_pred))
    np.testing.assert_allclose([scores.precision for scores in result.per_class], precision)
    np.testing.assert_allclose([scores.recall for scores in result.per_class], recall)
    np.testing.assert_allclose([scores.f1 for scores in result.per_class], f1)
    assert [scores.support for scores in result.per_class] == support.tolist()
    expected = metrics.confusion_matrix(y_true, y_pred, labels=labels)
    np.testing.assert_array_equal(result.confusion_matrix, expected)


@laws
@given(predictions())
def test_means_over_classes_equal_scikit_learns_over_classes_with_images(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    result = evaluate(y_true, y_prob, names(y_prob))
    y_pred, present = y_prob.argmax(axis=1), np.unique(y_true)
    macro_f1 = metrics.f1_score(y_true, y_pred, labels=present, average="macro", zero_division=0)
    assert result.macro_f1.value == pytest.approx(macro_f1)
    assert result.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y_true, y_pred))
    assert result.num_classes_left_out == y_prob.shape[1] - len(present)


@laws
@given(predictions())
def test_log_loss_equals_scikit_learns(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    if y_prob.shape[1] == 1:  # scikit-learn has no log loss of a single class; nothing is uncertain then
        assert evaluate(y_true, y_prob, ["only"]).log_loss == 0.0
        return
    expected = metrics.log_loss(y_true, y_prob, labels=np.arange(y_prob.shape[1]))
    assert evaluate(y_true, y_prob, names(y_prob)).log_loss == pytest.approx(expected)


def test_a_certain_error_keeps_log_loss_finite_as_in_scikit_learn() -> None:
    y_prob = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = metrics.log_loss([1, 1], y_prob, labels=[0, 1])
    assert evaluate([1, 1], y_prob, ["a", "b"]).log_loss == pytest.approx(expected)


def test_of_equally_probable_classes_the_first_is_predicted() -> None:
    result = evaluate([1], [[0.25, 0.375, 0.375]], ["a", "b", "c"])
    assert result.confusion_matrix.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@laws
@given(predictions())
def test_intervals_hold_their_value_and_stay_between_0_and_1(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    result = evaluate(y_true, y_prob, names(y_prob))
    for low, value, high in [
        (estimate.low, estimate.value, estimate.high) for estimate in (result.accuracy, result.macro_f1)
    ]:
        assert 0.0 <= low <= value <= high <= 1.0


def test_intervals_are_the_same_each_time_and_depend_on_the_seed() -> None:
    rng = np.random.default_rng(1)
    y_true = rng.integers(4, size=200)
    y_prob = softmax(rng.normal(size=(200, 4)) + 2 * np.eye(4)[y_true])
    first, again, other = (evaluate(y_true, y_prob, list("abcd"), seed=seed).macro_f1 for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("num_images", [60, 4000])
def test_the_bootstrap_equals_one_that_redraws_the_images_of_each_class(num_images: int) -> None:
    rng = np.random.default_rng(2)
    y_true = np.sort(rng.integers(3, size=num_images))
    y_prob = softmax(rng.normal(size=(num_images, 3)) + 1.5 * np.eye(3)[y_true])
    y_pred = y_prob.argmax(axis=1)
    members = [np.flatnonzero(y_true == label) for label in range(3)]
    scores = []
    for _ in range(400):
        drawn = np.concatenate([rng.choice(rows, size=len(rows)) for rows in members])
        scores.append(metrics.f1_score(y_true[drawn], y_pred[drawn], average="macro"))
    low, high = np.quantile(scores, [0.025, 0.975])
    found = evaluate(y_true, y_prob, list("abc")).macro_f1
    tolerance = 0.15 * (high - low)
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)


def test_a_class_of_one_image_leaves_its_score_open() -> None:
    y_true = np.array([0] * 10 + [1])
    y_pred = np.array([0] * 11)  # the next image of class 1 may well be right
    found = evaluate(y_true, np.eye(2)[y_pred], list("ab")).macro_f1
    assert found.value < 0.5
    assert found.high > 0.7 and found.low < 0.4


@pytest.mark.parametrize("num_images", [4, 40])
def test_a_perfect_score_on_few_images_is_not_certain(num_images: int) -> None:
    y_true = np.arange(num_images) % 2
    found = evaluate(y_true, np.eye(2)[y_true], list("ab"))
    assert found.macro_f1.value == found.macro_f1.high == 1.0
    assert found.macro_f1.low == pytest.approx(found.accuracy.low, abs=0.15)


@pytest.mark.parametrize(
    ("num_classes", "num_images", "accuracy"),
    [(60, 1, 0.2), (40, 2, 0.5), (6, 6, 0.9), (3, 20, 0.97), (2, 6, 0.9), (4, 40, 0.8)],
)
def test_the_interval_of_macro_f1_holds_the_true_score_nine_times_in_ten_however_small_the_classes(
    num_classes: int, num_images: int, accuracy: float
) -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(40):
        others = rng.dirichlet(np.full(num_classes - 1, 0.3), size=num_classes)
        rates = np.zeros((num_classes, num_classes))
        rates[~np.eye(num_classes, dtype=bool)] = ((1 - accuracy) * others).ravel()
        np.fill_diagonal(rates, accuracy)
        true_score = (2 * accuracy / (1 + rates.sum(axis=0))).mean()
        y_true = np.repeat(np.arange(num_classes), num_images)
        y_pred = [rng.choice(num_classes, p=rates[label]) for label in y_true]
        found = evaluate(y_true, np.eye(num_classes)[y_pred], names(np.eye(num_classes))).macro_f1
        held += found.low <= true_score <= found.high
    assert held >= 34  # of a right 90 % interval fewer come once in 100 times


def test_wilson_covers_the_true_share_about_95_times_in_100() -> None:
    rng = np.random.default_rng(3)
    intervals = [wilson_interval(int(right), 40) for right in rng.binomial(40, 0.9, size=2000)]
    covered = np.mean([interval.low <= 0.9 <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.98


def test_wilson_is_never_certain_after_few_answers() -> None:
    assert wilson_interval(10, 10).low == pytest.approx(0.7225, abs=1e-4)
    assert wilson_interval(10, 10).high == 1.0
    assert wilson_interval(0, 10).high == pytest.approx(0.2775, abs=1e-4)


def test_an_evaluation_becomes_json_and_keeps_its_numbers() -> None:
    result = evaluate([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], ["<b>owl</b>", "梟"])
    read = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert read["accuracy"] == pytest.approx(2 / 3)
    assert read["accuracy_interval"] == [result.accuracy.low, result.accuracy.high]
    assert read["class_names"] == ["<b>owl</b>", "梟"]
    assert read["per_class"][1] == {
        "name": "梟", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2,
    }  # fmt: skip
    assert read["confusion_matrix"] == [[1, 0], [1, 1]]


def test_20_000_images_of_120_classes_do_not_overflow_or_lose_any() -> None:
    rng = np.random.default_rng(4)
    y_true = rng.integers(120, size=20_000)
    y_prob = softmax(rng.normal(size=(20_000, 120)) + 4 * np.eye(120)[y_true]).astype(np.float32)
    result = evaluate(y_true, y_prob, [str(i) for i in range(120)])
    assert result.confusion_matrix.sum() == 20_000
    assert result.accuracy.value == pytest.approx(metrics.accuracy_score(y_true, y_prob.argmax(axis=1)))


def test_no_image_is_refused_in_plain_words() -> None:
    with pytest.raises(DataError) as caught:
        evaluate([], np.zeros((0, 2)), ["a", "b"])
    message = "Received 0 images. Expected at least 1 to judge a model by. Choose another split."
    assert str(caught.value) == message


def test_scores_of_a_diverged_training_are_refused_in_plain_words() -> None:
    for call in (lambda: evaluate([0, 1], [[np.nan, 1], [0, 1]], ["a", "b"]),
                 lambda: fit_temperature([[np.inf, 1], [0, 1]], [0, 1])):  # fmt: skip
        with pytest.raises(DataError, match=r"1 of 2 images.*has diverged. Train again with a smaller"):
            call()


@pytest.mark.parametrize(
    ("y_true", "class_names", "message"),
    [
        ([0, 1], ["a"], "2 classes and 1 class names"),
        ([0], ["a", "b"], r"Received \(1,\) true classes and \(2, 2\) scores"),
        ([0, 2], ["a", "b"], "Received class indices 0 to 2. Expected 0 to 1"),
        ([-1, 0], ["a", "b"], "Received class indices -1 to 0"),
    ],
)
def test_arguments_that_do_not_fit_each_other_are_named(
    y_true: list[int], class_names: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(y_true, [[0.5, 0.5], [0.5, 0.5]], class_names)


@laws
@given(predictions(), st.floats(0.1, 10.0))
def test_softmax_rows_are_probabilities_and_keep_the_prediction(
    drawn: Predictions, temperature: float
) -> None:
    logits = np.log(drawn[1]) * 50
    y_prob = softmax(logits, temperature)
    np.testing.assert_allclose(y_prob.sum(axis=1), 1.0)
    assert (y_prob[np.arange(len(logits)), logits.argmax(axis=1)] == y_prob.max(axis=1)).all()


@laws
@given(predictions(), st.floats(0.05, 20.0))
def test_a_fitted_temperature_is_never_worse_than_none(drawn: Predictions, scale: float) -> None:
    y_true, y_prob = drawn
    logits = np.log(y_prob) * scale
    temperature = fit_temperature(logits, y_true)
    low, high = evaluation.TEMPERATURE_RANGE
    assert low <= temperature <= high

    def loss(at: float) -> float:
        return float(-np.log(softmax(logits, at)[np.arange(len(y_true)), y_true] + 1e-300).mean())

    assert loss(temperature) <= loss(1.0) + 1e-9


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found_again(true_temperature: float) -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(20_000, 5)) * 2
    y_true = np.array([rng.choice(5, p=row) for row in softmax(logits, true_temperature)])
    assert fit_temperature(logits, y_true) == pytest.approx(true_temperature, rel=0.03)


def test_a_flawless_validation_set_does_not_make_the_model_certain() -> None:
    y_true = np.arange(40) % 2
    y_prob = softmax(np.eye(2)[y_true], fit_temperature(np.eye(2)[y_true], y_true))
    assert 0.97 < y_prob.max() < 0.995  # 41 answers of which one is a coin toss: 0.988


def test_most_confused_pairs_come_first_with_their_share_of_all_errors() -> None:
    counts = [[50, 3, 0], [4, 40, 0], [1, 2, 9]]
    assert most_confused(counts, ["a", "b", "c"]) == [
        ("b", "a", 4, 0.4),
        ("a", "b", 3, 0.3),
        ("c", "b", 2, 0.2),
        ("c", "a", 1, 0.1),
    ]
    assert counts[0][0] == 50


def test_without_errors_nothing_is_confused() -> None:
    assert most_confused(np.diag([3, 0, 2]), ["a", "b", "c"]) == []


@laws
@given(predictions())
def test_top_losses_order_all_images_by_the_probability_of_their_true_class(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    order = top_losses(y_true, y_prob)
    assert sorted(order.tolist()) == list(range(len(y_true)))
    true_prob = y_prob[order, y_true[order]]
    assert (np.diff(true_prob) >= 0).all()
    ties = np.diff(true_prob) == 0
    assert (np.diff(order)[ties] > 0).all()


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(evaluation).failed == 0
