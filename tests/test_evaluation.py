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
from sklearn.calibration import calibration_curve

from core import evaluation
from core.errors import DataError
from core.evaluation import (
    calibration,
    comparison,
    confusion,
    curves,
    evaluate,
    fit_temperature,
    intervals,
    most_confused,
    softmax,
    top_losses,
    wilson_interval,
)
from core.evaluation.intervals import Groups

# scikit-learn warns of absent and single classes, which are the point here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:A single label was found"),
    pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true"),
]
laws = settings(max_examples=30, deadline=None)  # each example resamples a thousand times

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
    balanced = metrics.balanced_accuracy_score(y_true, y_pred)
    assert result.measures["balanced_accuracy"].value == pytest.approx(balanced)
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        for average in ("macro", "weighted"):
            expected = score(y_true, y_pred, labels=present, average=average, zero_division=0)
            assert result.measures[f"{average}_{name}"].value == pytest.approx(expected)
    assert result.num_classes_left_out == y_prob.shape[1] - len(present)


@laws
@given(predictions())
def test_log_loss_equals_scikit_learns(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    if y_prob.shape[1] == 1:  # scikit-learn has no log loss of a single class; nothing is uncertain then
        assert evaluate(y_true, y_prob, ["only"]).measures["log_loss"].value == 0.0
        return
    expected = metrics.log_loss(y_true, y_prob, labels=np.arange(y_prob.shape[1]))
    assert evaluate(y_true, y_prob, names(y_prob)).measures["log_loss"].value == pytest.approx(expected)


@laws
@given(predictions())
def test_agreement_beyond_chance_equals_scikit_learns(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    found = evaluate(y_true, y_prob, names(y_prob)).measures
    y_pred = y_prob.argmax(axis=1)
    assert found["matthews"].value == pytest.approx(metrics.matthews_corrcoef(y_true, y_pred))
    if len({*y_true.tolist(), *y_pred.tolist()}) == 1:  # by chance alone it would be as right
        assert np.isnan(found["kappa"].value)
    else:
        assert found["kappa"].value == pytest.approx(metrics.cohen_kappa_score(y_true, y_pred))


@laws
@given(predictions())
def test_top_k_accuracy_equals_scikit_learns_where_the_first_of_equals_counts(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    found, num_classes = evaluate(y_true, y_prob, names(y_prob)).measures, y_prob.shape[1]
    assert {name for name in found if name.startswith("top")} == {
        f"top_{k}_accuracy" for k in (3, 5) if k < num_classes
    }
    for k in (3, 5):
        if k < num_classes:  # scikit-learn takes the last of equals
            expected = metrics.top_k_accuracy_score(
                num_classes - 1 - y_true, y_prob[:, ::-1], k=k, labels=np.arange(num_classes)
            )
            assert found[f"top_{k}_accuracy"].value == pytest.approx(expected)


@laws
@given(predictions())
def test_ranking_and_specificity_of_each_class_equal_scikit_learns(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    y_pred = y_prob.argmax(axis=1)
    for label, scores in enumerate(evaluate(y_true, y_prob, names(y_prob)).per_class):
        is_class = y_true == label
        if is_class.any():
            expected = metrics.average_precision_score(is_class, y_prob[:, label])
            assert scores.average_precision == pytest.approx(expected)
        else:
            assert np.isnan(scores.average_precision)
        if is_class.any() and not is_class.all():
            assert scores.roc_auc == pytest.approx(metrics.roc_auc_score(is_class, y_prob[:, label]))
        else:
            assert np.isnan(scores.roc_auc)
        if is_class.all():
            assert np.isnan(scores.specificity)
        else:
            expected = metrics.recall_score(~is_class, y_pred != label, zero_division=0)
            assert scores.specificity == pytest.approx(expected)


def test_a_certain_error_keeps_log_loss_finite_as_in_scikit_learn() -> None:
    y_prob = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = metrics.log_loss([1, 1], y_prob, labels=[0, 1])
    assert evaluate([1, 1], y_prob, ["a", "b"]).measures["log_loss"].value == pytest.approx(expected)


def test_of_equally_probable_classes_the_first_is_predicted() -> None:
    result = evaluate([1], [[0.25, 0.375, 0.375]], ["a", "b", "c"])
    assert result.confusion_matrix.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@laws
@given(predictions())
def test_intervals_hold_their_value_and_stay_between_0_and_1(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    result = evaluate(y_true, y_prob, names(y_prob))
    largest = {"log_loss": np.inf}
    smallest = {"kappa": -1.0, "matthews": -1.0}
    for name, (value, low, high) in result.measures.items():
        if not np.isnan(value):
            assert smallest.get(name, 0.0) <= low <= value <= high <= largest.get(name, 1.0), name
    for scores in result.per_class:
        for name in evaluation.CLASS_MEASURES:
            value, low, high = scores.estimate(name)
            assert np.isnan(value) or 0.0 <= low <= value <= high <= 1.0, name


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


def test_where_there_were_errors_a_perfect_score_is_ruled_out() -> None:
    y_true = np.repeat(np.arange(6), 6)
    y_pred = y_true.copy()
    y_pred[[0, 12, 30, 31]] = [5, 5, 0, 0]
    found = evaluate(y_true, np.eye(6)[y_pred], list("abcdef")).macro_f1
    assert 0.7 < found.low < found.value < found.high < 0.99


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
    owl = read["per_class"][1]
    assert (owl["name"], owl["support"], owl["recall"]) == ("梟", 2, 0.5)
    assert owl["recall_interval"] == list(result.per_class[1].intervals["recall"])
    assert read["confusion_matrix"] == [[1, 0], [1, 1]]


@laws
@given(predictions())
def test_an_evaluation_is_rebuilt_from_its_json(drawn: Predictions) -> None:
    result = evaluate(*drawn, names(drawn[1]))
    again = evaluation.Evaluation.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    assert json.dumps(again.to_json()) == json.dumps(result.to_json())
    np.testing.assert_array_equal(again.confusion_matrix, result.confusion_matrix)


def test_images_that_hang_together_count_as_fewer() -> None:
    rng = np.random.default_rng(8)
    y_true = np.arange(60) % 3
    y_prob = softmax(rng.normal(size=(60, 3)) + 1.5 * np.eye(3)[y_true])
    alone = evaluate(y_true, y_prob, list("abc"))
    groups = np.tile(np.arange(60), 4)
    copied = evaluate(np.tile(y_true, 4), np.tile(y_prob, (4, 1)), list("abc"), groups=groups)
    naive = evaluate(np.tile(y_true, 4), np.tile(y_prob, (4, 1)), list("abc"))
    assert copied.num_groups == 60
    for name in ("accuracy", "macro_f1", "matthews", "log_loss"):
        width, expected, too_narrow = (
            found.measures[name].high - found.measures[name].low for found in (copied, alone, naive)
        )
        assert width == pytest.approx(expected, rel=0.25), name
        assert too_narrow < 0.7 * width, name


def test_the_bootstrap_draws_whole_groups_and_keeps_the_size_of_classes() -> None:
    y_true = np.array([0, 0, 1, 1, 1])
    groups = Groups(["a", "a", "b", "c", "c"], y_true)
    (weights,) = groups.resamples(200, seed=0)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 4])
    assert (weights[:, 0] == 1).all()  # the only group of its class
    assert set(weights[:, 2] + weights[:, 3]) == {2.0}


@pytest.mark.parametrize(("num_images", "accuracy"), [(40, 0.9), (200, 0.7)])
def test_the_interval_of_each_measure_holds_the_true_one_about_nine_times_in_ten(
    num_images: int, accuracy: float
) -> None:
    rng = np.random.default_rng(9)

    def world(count: int) -> Predictions:
        y_true = np.arange(count) % 4
        shown = np.where(rng.random(count) < accuracy, y_true, rng.integers(4, size=count))
        return y_true, softmax(rng.normal(size=(count, 4)) + 2.5 * np.eye(4)[shown])

    truth = evaluate(*world(10_000), list("abcd"))
    held = dict.fromkeys([*truth.measures, "average_precision", "roc_auc"], 0)
    for _ in range(40):
        found = evaluate(*world(num_images), list("abcd"))
        for name, (true_value, _, _) in truth.measures.items():
            held[name] += found.measures[name].low <= true_value <= found.measures[name].high
        for name in ("average_precision", "roc_auc"):
            low, high = found.per_class[0].intervals[name]
            held[name] += low <= getattr(truth.per_class[0], name) <= high
    assert min(held.values()) >= 34, held  # of a right 90 % interval fewer come once in 100 times


def test_a_flawless_ranking_of_few_images_is_not_certain() -> None:
    scores = evaluate([0, 0, 0, 1], np.eye(2)[[0, 0, 0, 1]], ["a", "b"]).per_class[0]
    assert (scores.average_precision, scores.roc_auc) == (1.0, 1.0)
    assert scores.intervals["average_precision"][0] == pytest.approx(wilson_interval(3, 3).low)
    assert scores.intervals["roc_auc"][0] == pytest.approx(wilson_interval(1, 1).low)


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


@laws
@given(predictions())
def test_reliability_equals_scikit_learns_calibration_curve(drawn: Predictions) -> None:
    y_true, y_prob = drawn
    found = evaluation.reliability(y_true, y_prob)
    right, confidence = y_prob.argmax(axis=1) == y_true, y_prob.max(axis=1)
    prob_true, prob_pred = calibration_curve(right, confidence, n_bins=evaluation.NUM_BINS)
    filled = [part for part in found.bins if part.num_images]
    np.testing.assert_allclose([part.accuracy.value for part in filled], prob_true)
    np.testing.assert_allclose([part.confidence for part in filled], prob_pred)
    shares = np.array([part.num_images for part in filled]) / len(y_true)
    assert found.error.value == pytest.approx((shares * np.abs(prob_true - prob_pred)).sum())
    assert 0 <= found.error.low <= found.error.value <= found.error.high <= 1
    again = evaluation.Reliability.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert json.dumps(again.to_json()) == json.dumps(found.to_json())


def test_the_temperature_makes_an_overconfident_model_honest() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(4000, 5))
    y_true = np.array([rng.choice(5, p=row) for row in softmax(logits)])
    boastful = 3 * logits
    before = evaluation.reliability(y_true, softmax(boastful)).error
    after = evaluation.reliability(y_true, softmax(boastful, fit_temperature(boastful, y_true))).error
    assert after.high < before.low


@laws
@given(predictions(), st.sampled_from(evaluation.ORDERS))
def test_an_order_has_each_class_once(drawn: Predictions, order: str) -> None:
    matrix = evaluate(*drawn, names(drawn[1])).confusion_matrix
    assert sorted(evaluation.class_order(matrix, order).tolist()) == list(range(len(matrix)))


def test_classes_stand_as_given_by_frequency_or_beside_what_they_are_confused_with() -> None:
    counts = np.diag([5, 50, 20, 50, 9])
    counts[0, 3], counts[3, 0], counts[1, 4] = 4, 3, 10
    assert evaluation.class_order(counts, "given").tolist() == [0, 1, 2, 3, 4]
    assert evaluation.class_order(counts, "frequency").tolist() == [1, 3, 2, 0, 4]
    assert evaluation.class_order(counts, "similarity").tolist() == [0, 3, 1, 4, 2]
    with pytest.raises(ValueError, match='order "size". Expected one of: given, frequency, similarity'):
        evaluation.class_order(counts, "size")


def test_the_classes_of_the_most_confused_pairs_are_as_many_as_have_room() -> None:
    counts = np.diag([9] * 6)
    counts[0, 5], counts[2, 5], counts[1, 3] = 4, 3, 2
    assert evaluation.confused_classes(counts, 3).tolist() == [0, 2, 5]
    assert evaluation.confused_classes(counts, 4).tolist() == [0, 2, 5]
    assert evaluation.confused_classes(counts, 9).tolist() == [0, 1, 2, 3, 5]
    assert evaluation.confused_classes(np.diag([3, 2]), 5).tolist() == []


def test_margins_are_the_lead_over_the_next_class() -> None:
    np.testing.assert_allclose(evaluation.margins([[0.5, 0.25, 0.25], [0.125, 0.0, 0.875]]), [0.25, 0.75])
    assert evaluation.margins([[1.0]]).tolist() == [1.0]


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
    modules = (comparison, confusion, curves, intervals, calibration)
    tried = [doctest.testmod(module) for module in modules]
    assert all(found.attempted and not found.failed for found in tried)
