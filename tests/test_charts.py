"""Figures show what the tables say, read well on light and dark pages, and never read a name as HTML."""

from __future__ import annotations

import doctest
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import charts, words
from core.charts import bars, canvas, curves, palette
from core.charts.confusion import EMPTY
from core.charts.scatter import MARKER_ROOM, NAME_LINE, PLOT_HEIGHT
from core.evaluation import ClassScores, reliability

HOSTILE = "<b>owl</b> <img src=https://evil.example/x.png>"
ESCAPED = "&lt;b&gt;owl&lt;/b&gt; &lt;img src=https://evil.example/x.png&gt;"
LIGHT_PAGE, DARK_PAGE = "#FCFDFC", "#111816"  # the backgrounds of .streamlit/config.toml


def table(**classes: dict[str, int]) -> pd.DataFrame:
    rows = [
        (name, split) for name, counts in classes.items() for split, n in counts.items() for _ in range(n)
    ]
    return pd.DataFrame(rows, columns=["label", "split"])


def epochs(num_head: int, num_fine_tune: int) -> pd.DataFrame:
    numbers = np.arange(num_head + num_fine_tune)
    return pd.DataFrame(
        {
            "stage": ["head"] * num_head + ["fine_tune"] * num_fine_tune,
            "loss": 1 / (numbers + 1),
            "val_loss": 1 / (numbers + 1) + 0.1,
            "accuracy": 1 - 0.5 / (numbers + 1),
            "val_accuracy": 0.9 - 0.5 / (numbers + 1),
        }
    )


def scores(name: str, f1: float, support: int) -> ClassScores:
    return ClassScores(name, f1, f1, f1, support)


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def everything(figure: go.Figure) -> str:
    return str(figure.to_json())


def test_class_counts_are_those_of_the_table_with_their_totals() -> None:
    figure = charts.class_counts(
        table(owl={"train": 7, "val": 2, "test": 1}, wren={"train": 4, "": 9}), ["wren", "owl", "empty"]
    )
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [
        ("train", [4, 7, 0]),
        ("validation", [0, 2, 0]),
        ("test", [0, 1, 0]),
    ]
    assert texts(figure) == ["4", "10", "0"]  # it may have pictures that are in no split
    assert list(figure.layout.yaxis.ticktext) == ["wren", "owl", "empty"]


def test_splits_differ_by_pattern_and_not_by_colour_alone() -> None:
    figure = charts.class_counts(table(owl={"train": 1}), ["owl"])
    assert len({trace.marker.pattern.shape for trace in figure.data}) == len(figure.data)


def test_learning_curves_part_the_stages_by_a_line_between_their_names() -> None:
    figure = charts.learning_curves(epochs(3, 5))
    assert [shape.x0 for shape in figure.layout.shapes] == [3.5, 3.5]
    named = [(note.text, note.x, note.xanchor) for note in figure.layout.annotations]
    assert named.count(("head", 3.5, "right")) == 2
    assert named.count(("fine-tuning", 3.5, "left")) == 2


@pytest.mark.parametrize("num_epochs", [1, 8])
def test_learning_curves_name_each_line_beside_the_grid_instead_of_in_a_legend(num_epochs: int) -> None:
    figure = charts.learning_curves(epochs(num_epochs, 0))
    notes = [note for note in figure.layout.annotations if note.text in ("train", "validation")]
    assert [note.text for note in notes] == ["train", "validation", "validation", "train"]
    assert [(note.x, note.xanchor, note.xref) for note in notes[::3]] == [
        (1, "left", "x domain"),
        (1, "left", "x2 domain"),
    ]
    assert [note.y for note in notes] == sorted(trace.y[-1] for trace in figure.data[:2]) + sorted(
        trace.y[-1] for trace in figure.data[2:]
    )
    assert figure.layout.showlegend is False
    assert len({trace.line.dash for trace in figure.data}) == 2


def test_one_measure_has_one_panel_with_its_own_scale() -> None:
    (losses, accuracies) = (
        charts.learning_curves(epochs(3, 5), measures=(name,)) for name in charts.MEASURES
    )
    assert [len(figure.data) for figure in (losses, accuracies)] == [2, 2]
    assert losses.layout.yaxis.tickformat is None
    assert accuracies.layout.yaxis.tickformat == ".0%"
    assert accuracies.layout.yaxis.range[1] < 1.02


def test_what_the_head_alone_reaches_is_a_named_line_that_is_always_in_sight() -> None:
    reference = {"loss": 4.0, "accuracy": 0.31}
    loss, accuracy = (
        charts.learning_curves(epochs(0, 5), measures=(name,), reference=reference)
        for name in charts.MEASURES
    )
    assert [shape.y0 for figure in (loss, accuracy) for shape in figure.layout.shapes] == [4.0, 0.31]
    assert loss.layout.yaxis.range[1] > 4.0
    assert accuracy.layout.yaxis.range[0] < 0.31
    assert all("╌╌ head, validation" in texts(figure) for figure in (loss, accuracy))
    assert "╌╌ head, validation" not in texts(charts.learning_curves(epochs(0, 5)))


def test_the_learning_rate_is_drawn_from_zero() -> None:
    figure = charts.learning_rate_curve(pd.DataFrame({"learning_rate": [1e-4, 5e-5, 0.0]}))
    assert list(figure.data[0].y) == [1e-4, 5e-5, 0.0]
    low, high = figure.layout.yaxis.range
    assert low == 0 and high > 1e-4
    assert texts(figure) == ["<b>Learning rate</b>"]


@pytest.mark.parametrize("num_epochs", [1, 2, 11, 60, 400])
def test_learning_curves_of_any_length_count_epochs_from_1(num_epochs: int) -> None:
    figure = charts.learning_curves(epochs(num_epochs, 0))
    assert [list(trace.x) for trace in figure.data] == [list(range(1, num_epochs + 1))] * 4
    assert num_epochs / figure.layout.xaxis.dtick <= 10
    assert figure.layout.xaxis.range == (0.5, num_epochs + 0.5)
    assert not figure.layout.shapes


def test_learning_curves_draw_what_there_is() -> None:
    only_train = epochs(2, 0)[["stage", "loss"]]
    assert [trace.name for trace in charts.learning_curves(only_train).data] == ["train"]
    late = epochs(4, 0).assign(val_loss=[None, 0.5, 0.4, None], val_accuracy=None)
    figure = charts.learning_curves(late)
    assert [trace.name for trace in figure.data] == ["train", "validation", "train"]
    assert [note.y for note in figure.layout.annotations if note.text == "validation"] == [0.4]


@pytest.mark.parametrize("accuracies", [[0.0], [1.0], [0.381], [0.2, 0.97], [0.985, 0.991]])
def test_the_axis_of_accuracy_holds_every_value_and_shows_nothing_impossible(accuracies: list[float]) -> None:
    table = pd.DataFrame({"stage": "head", "accuracy": accuracies})
    low, high = charts.learning_curves(table).layout.yaxis2.range
    assert -0.02 < low < min(accuracies) <= max(accuracies) < high < 1.02


def test_the_axis_of_loss_begins_at_0() -> None:
    for losses in ([0.0], [2.0, 1.5]):
        low, high = charts.learning_curves(pd.DataFrame({"stage": "head", "loss": losses})).layout.yaxis.range
        assert low == 0
        assert high > max(losses)


def test_names_that_would_touch_at_the_ends_of_lines_are_moved_apart() -> None:
    touching = epochs(2, 0).assign(val_loss=lambda table: table["loss"] + 1e-4)
    notes = [
        note
        for note in charts.learning_curves(touching).layout.annotations
        if note.text in ("train", "validation")
    ]
    lower, upper = notes[:2]
    assert upper.yshift - lower.yshift >= 16


def test_probability_bars_say_which_class_is_true() -> None:
    figure = charts.probability_bars(["owl", "wren"], [0.982, 0.018], true_name="wren")
    assert texts(figure) == ["98.2\u00a0%", "1.8\u00a0% · true class"]
    shares = figure.data[-1]
    assert list(shares.x) == [0.982, 0.018]
    assert shares.marker.color[0] != shares.marker.color[1]


def test_f1_dots_begin_with_the_worst_class_and_end_with_those_without_images() -> None:
    ranked = [scores("good", 0.9, 5), scores("absent", 0.0, 0), scores("bad", 0.1, 5), scores("zero", 0.0, 5)]
    figure = charts.f1_dots(ranked)
    assert list(figure.layout.yaxis.ticktext) == ["zero", "bad", "good", "absent"]
    assert texts(figure) == ["0.00 · 0 / 5", "0.10 · 0 / 5", "0.90 · 4 / 5", "no pictures"]
    assert figure.data[0].hovertext[-1] == "<b>absent</b><br>no pictures"
    assert list(figure.data[-1].x) == [0.0, 0.1, 0.9]


def test_of_many_classes_the_worst_have_f1_dots_in_a_figure_of_the_height_that_is_said() -> None:
    per_class = [scores(f"class {n:03}", (n // 2) / 60, 1 + n % 2) for n in range(120)]
    figure = charts.f1_dots(per_class, most=14)
    worst = [
        f"class {n:03}" for pair in range(7) for n in (2 * pair + 1, 2 * pair)
    ]  # of two alike the larger one
    assert list(figure.layout.yaxis.ticktext) == worst
    assert figure.layout.height == charts.bars_height(14)


def test_of_many_classes_those_are_drawn_that_are_surely_bad_and_not_those_with_a_single_unlucky_image() -> (
    None
):
    unlucky = [replace(scores(f"unlucky {n}", 0.0, 1), intervals={"f1": (0.0, 1.0)}) for n in range(20)]
    lucky = replace(scores("lucky", 1.0, 3), intervals={"f1": (0.4, 1.0)})
    bad = replace(scores("bad", 0.2, 40), intervals={"f1": (0.1, 0.35)})
    worse = replace(scores("worse", 0.0, 9), intervals={"f1": (0.0, 0.3)})
    figure = charts.f1_dots([lucky, *unlucky, bad, worse], most=3)
    assert list(figure.layout.yaxis.ticktext) == ["worse", "unlucky 0", "bad"]
    dots = figure.data[-1]
    assert dots.error_x.array == pytest.approx((0.3, 1.0, 0.15))
    assert dots.error_x.arrayminus == pytest.approx((0.0, 0.0, 0.1))


def test_classes_whose_names_look_alike_keep_their_own_bars() -> None:
    twins = ["a very long name of a class, first", "a very long name of a class, worst"]
    figure = charts.probability_bars(twins, [0.6, 0.4])
    assert list(figure.data[-1].y) == [0, 1]


@pytest.mark.parametrize(
    "figure",
    [
        charts.class_counts(table(owl={"train": 1}), []),
        charts.learning_curves(pd.DataFrame({"stage": []})),
        charts.learning_curves(pd.DataFrame()),
        charts.probability_bars([], []),
        charts.f1_dots([]),
    ],
)
def test_without_data_a_figure_says_so(figure: go.Figure) -> None:
    assert texts(figure) == ["Nothing to show yet"]
    assert not figure.data


def test_a_class_without_any_image_in_the_table_is_drawn_all_the_same() -> None:
    figure = charts.class_counts(pd.DataFrame({"label": [], "split": []}), ["owl"])
    assert texts(figure) == ["0"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: charts.class_counts(table(**{name: {"train": 1}}), [name]),
        lambda name: charts.probability_bars([name], [0.5], true_name=name),
        lambda name: charts.f1_dots([scores(name, 0.5, 3)]),
        lambda name: charts.learning_curves(epochs(1, 0).assign(stage=name)),
    ],
)
def test_names_are_never_read_as_html(draw: Callable[[str], go.Figure]) -> None:
    shown = everything(draw(HOSTILE)).encode().decode("unicode_escape")
    assert ESCAPED in shown
    assert "<img" not in shown
    assert "<b>owl" not in shown


@pytest.fixture
def translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A language "xx" that marks each word of the figures."""
    shutil.copy(words.LANGUAGES_DIR / "en.toml", tmp_path)
    marked = "".join(f'{name} = "ⓧ{name}"\n' for name in charts.WORDS)
    (tmp_path / "xx.toml").write_text("[chart]\n" + marked, "utf-8")
    monkeypatch.setattr(words, "LANGUAGES_DIR", tmp_path)
    words._strings.cache_clear()
    yield
    words._strings.cache_clear()


@pytest.mark.usefixtures("translated")
def test_every_word_can_be_said_in_another_language() -> None:
    figures = [
        charts.class_counts(table(owl={"train": 1}), ["owl", "none"], "xx"),
        charts.learning_curves(epochs(1, 1), "xx", reference={"loss": 0.5}),
        charts.learning_rate_curve(pd.DataFrame({"learning_rate": [1e-4, 1e-5]}), "xx"),
        charts.learning_curves(pd.DataFrame(), "xx"),
        charts.probability_bars(["owl"], [1.0], "owl", "xx"),
        charts.f1_dots([scores("owl", 1.0, 3), scores("none", 0.0, 0)], "xx"),
        charts.reliability_diagram(RELIABLE, RELIABLE, "xx"),
    ]
    shown = " ".join(everything(figure) for figure in figures).encode().decode("unicode_escape")
    assert [name for name in charts.WORDS if f"ⓧ{name}" not in shown] == []
    english = [words.say(f"chart.{name}") for name in charts.WORDS]
    assert [word for word in english if f">{word}" in shown or f'"{word}"' in shown] == []


@pytest.mark.parametrize("color", [palette.BLUE, palette.VERMILION, palette.GREEN, palette.GRAY])
@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
def test_lines_and_bars_stand_out_on_light_and_dark_pages(color: str, page: str) -> None:
    assert charts.contrast(color, page) >= 3


@pytest.mark.parametrize("dark", [False, True])
def test_text_in_every_possible_cell_is_readable(dark: bool) -> None:
    colors = charts.shade_colors(dark)
    assert min(charts.contrast(*pair) for pair in colors) >= 4.5
    counts = np.array([[share, 100 - share] for share in range(101)])
    shades = charts.confusion_shades(counts)
    assert shades.max() == len(colors) - 1
    assert sorted(set(shades[counts == 0])) == [EMPTY]


@pytest.mark.parametrize("dark", [False, True])
def test_a_larger_share_of_the_row_is_farther_from_the_page(dark: bool) -> None:
    counts = np.array([[share, 100 - share] for share in range(1, 101)])
    page = DARK_PAGE if dark else LIGHT_PAGE
    colors = charts.shade_colors(dark)
    distances = [
        charts.contrast(colors[shade][0], page) for shade in charts.confusion_shades(counts)[:, 0].tolist()
    ]
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(distances))


@pytest.mark.parametrize("dark", [False, True])
def test_changes_are_coloured_by_whether_they_are_better_and_how_large_they_are(dark: bool) -> None:
    shades = charts.change_shades([[4, -4], [1, -2]])
    colors = charts.change_colors(dark)
    assert shades.tolist() == [[511, 511], [64, 128]]
    assert charts.change_shades([[0, 0], [0, 0]]).tolist() == [[EMPTY] * 2] * 2
    assert min(charts.contrast(*pair) for pair in colors) >= 4.5
    page = DARK_PAGE if dark else LIGHT_PAGE
    for half in (colors[:256], colors[256:]):
        distances = [charts.contrast(background, page) for background, _ in half]
        assert all(later >= earlier - 0.02 for earlier, later in pairwise(distances))


def test_rare_classes_are_coloured_like_frequent_ones() -> None:
    shades = charts.confusion_shades([[8, 2], [200, 800]])
    assert shades[0, 0] == shades[1, 1]
    assert shades[0, 1] == shades[1, 0]


def test_cells_without_images_have_no_shade_even_where_a_class_has_none() -> None:
    assert charts.confusion_shades([[0, 0], [0, 3]]).tolist() == [[EMPTY, EMPTY], [EMPTY, 255]]


@given(st.text(max_size=60), st.integers(3, 30))
def test_shortened_names_fit_and_keep_their_ends(name: str, length: int) -> None:
    short = charts.shorten(name, length)
    assert len(short) <= length
    if short != name:
        assert name.startswith(short.split("…")[0])
        assert short[-1] == name[-1]


@pytest.mark.parametrize("module", [bars, canvas, curves, palette])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


RELIABLE = reliability(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45]]))


def test_a_reliability_diagram_has_a_point_per_bin_with_pictures_and_whiskers_once_calibrated() -> None:
    diagonal, before, after = charts.reliability_diagram(RELIABLE, RELIABLE).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(after.y) == pytest.approx([0.5, 1.0])
    assert list(after.customdata) == [2, 1]
    assert after.error_y.visible and not before.error_y.visible
    assert (before.line.dash, before.marker.symbol) != (after.line.dash, after.marker.symbol)


def test_runs_are_points_with_whiskers_and_their_names_are_not_read_as_html() -> None:
    table = pd.DataFrame(
        {
            "name": ["<b>x</b>", "y"],
            "x": [10.0, 100.0],
            "y": [0.5, 0.75],
            "low": [0.4, 0.7],
            "high": [0.6, 0.8],
        }
    ).assign(kind=["a", "b"])
    first, second = charts.cost_scatter(table, "seconds", "accuracy").data
    assert list(first.customdata) == ["&lt;b&gt;x&lt;/b&gt;"]
    assert list(first.error_y.array) == pytest.approx([0.1])
    assert first.marker.symbol != second.marker.symbol
    assert charts.cost_scatter(table, "seconds", "accuracy").layout.xaxis.type == "log"
    axis = charts.cost_scatter(table.assign(x=[1.9, 21.0]), "seconds", "accuracy").layout.xaxis
    assert (list(axis.tickvals), list(axis.ticktext)) == ([2, 5, 10, 20], ["2", "5", "10", "20"])
    axis = charts.cost_scatter(table.assign(x=[0.5, 3_000.0]), "seconds", "accuracy").layout.xaxis
    assert list(axis.ticktext) == ["1", "10", "100", "1,000"]
    near = charts.cost_scatter(table.assign(x=[50.0, 100.0]), "seconds", "accuracy", named=True)
    assert near.layout.xaxis.type is None and near.layout.xaxis.range[0] == 0
    assert "&lt;b&gt;x&lt;/b&gt;" in [name.text for name in near.layout.annotations]
    assert "annotations" in charts.cost_scatter(table[:0], "s", "a").to_dict()["layout"]


def test_names_beside_points_do_not_stand_on_one_another() -> None:
    y = [0.88, 0.87, 0.86, 0.86, 0.60]
    table = pd.DataFrame({"name": list("abcde"), "x": [30.0, 31, 32, 4, 30], "y": y, "kind": "k"})
    table = table.assign(low=table["y"] - 0.03, high=table["y"] + 0.03)
    figure = charts.cost_scatter(table, "ms", "accuracy", named=True)
    low, high = figure.layout.yaxis.range
    lines = {
        name.text: name.ay + PLOT_HEIGHT * (high - name.y) / (high - low)
        for name in figure.layout.annotations
    }
    near = sorted(lines[name] for name in "abc")
    assert near[1] - near[0] >= NAME_LINE <= near[2] - near[1]
    for other in "bc":  # points to the right of a
        assert abs(lines["a"] - PLOT_HEIGHT * (high - y["abc".index(other)]) / (high - low)) >= MARKER_ROOM
    shifts = {name.text: name.ay for name in figure.layout.annotations}
    assert shifts["d"] == shifts["e"] == 0  # nothing else is near


def test_curves_of_runs_differ_by_more_than_colour_and_runs_without_the_measure_are_left_out() -> None:
    epochs = pd.DataFrame({"val_loss": [1.0, 0.5], "val_accuracy": [0.5, 0.75]})
    drawn = charts.curves_over(["one", "two", "none"], [epochs, epochs, pd.DataFrame()], "loss").data
    assert [curve.name for curve in drawn] == ["one", "two"]
    assert drawn[0].line.dash != drawn[1].line.dash
    assert "annotations" in charts.curves_over(["none"], [pd.DataFrame()], "loss").to_dict()["layout"]
