"""What passes its check and what does not, and what is kept of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import exports, runs
from core.errors import RecipeError
from core.exports import Certificate, broken, judge
from core.workspace import Workspace
from tests.worlds import add_dataset, finished_run

Y_TRUE = np.array([0, 1, 0, 1] * 25)
APP = np.where(Y_TRUE[:, None] == [0, 1], 0.9, 0.1)


def certificate(*artefacts: exports.Artefact, run_id: str = "20260101-000000-abcd") -> Certificate:
    return Certificate(run_id, 0.0, 100, 3, 1.0, (0.96, 1.0), "a | machine", {"keras": "3"}, artefacts)


def test_the_same_answers_pass() -> None:
    found = judge("litert", Y_TRUE, APP, APP + np.array([5e-4, -5e-4]), 1.5)
    assert found.passed
    assert (found.accuracy, found.agreement, found.latency_ms) == (1.0, 1.0, 1.5)
    assert found.max_difference == pytest.approx(5e-4)


def test_a_single_precision_format_fails_by_one_answer_or_one_probability() -> None:
    one_off = APP.copy()
    one_off[7] = one_off[7, ::-1]
    assert not judge("litert", Y_TRUE, APP, one_off, 1.0).passed
    apart = APP.copy()
    apart[7] += [2e-3, -2e-3]
    found = judge("litert", Y_TRUE, APP, apart, 1.0)
    assert found.agreement == 1 and not found.passed


def test_a_tie_may_fall_either_way() -> None:
    app = APP.copy()
    app[3] = [0.50002, 0.49998]
    received = app.copy()
    received[3] = received[3, ::-1]
    found = judge("litert", Y_TRUE, app, received, 1.0)
    assert found.passed and found.num_ties == 1 and found.agreement == 1


def test_fewer_bits_fail_only_where_accuracy_is_clearly_lower() -> None:
    rng = np.random.default_rng(0)
    noisy = APP + rng.normal(0, 0.01, APP.shape)
    assert judge("litert-int8", Y_TRUE, APP, noisy, 1.0).verdict == "passed"
    wrong = APP.copy()
    wrong[:20] = wrong[:20, ::-1]
    found = judge("litert-int8", Y_TRUE, APP, wrong, 1.0)
    assert found.accuracy == 0.8 and found.against_app is not None and found.against_app["high"] < 0
    assert found.verdict == "failed"


@pytest.mark.parametrize(
    ("num_images", "num_other", "verdict"),
    [(36, 3, "unclear"), (36, 0, "passed"), (8, 0, "unclear"), (400, 20, "passed"), (400, 80, "failed")],
)
def test_fewer_bits_pass_where_the_pictures_show_that_nine_in_ten_answers_stay(
    num_images: int, num_other: int, verdict: str
) -> None:
    # As many answers become right as become wrong, so accuracy alone would let all of them pass.
    y_true = np.zeros(num_images, dtype=int)
    app = np.tile([0.9, 0.1], (num_images, 1))
    app[::2] = [0.1, 0.9]
    received = app.copy()
    received[:num_other] = received[:num_other, ::-1]
    found = judge("litert-int8", y_true, app, received, 1.0)
    assert (found.verdict, found.passed) == (verdict, verdict == "passed")
    kept = certificate(judge("litert", y_true, app, app, 1.0), found)
    assert kept.to_json()["artefacts"][1]["verdict"] == verdict
    assert ("too few pictures to tell**" in exports.to_markdown(kept)) == (verdict == "unclear")


def test_near_duplicates_count_as_fewer_in_every_interval() -> None:
    received = APP.copy()
    received[::10] = received[::10, ::-1]
    alone = judge("litert-int8", Y_TRUE, APP, received, 1.0)
    # Ten of each: they hang together in what they are and in what is said of them.
    repeated = [np.repeat(part, 10, axis=0) for part in (Y_TRUE, APP, received)]
    groups = np.repeat(np.arange(100), 10)
    found = judge("litert-int8", *repeated, 1.0, groups)
    taken_apart = judge("litert-int8", *repeated, 1.0)
    for name in ("accuracy", "agreement"):
        assert getattr(found, name) == getattr(alone, name) == 0.9
        interval = getattr(found, f"{name}_interval")
        assert interval == pytest.approx(getattr(alone, f"{name}_interval"), abs=2e-3)
        assert interval[0] < getattr(taken_apart, f"{name}_interval")[0] - 0.02
    assert alone.against_app is not None and found.against_app is not None
    assert found.against_app == pytest.approx(alone.against_app, abs=5e-3)


def test_the_certificate_says_how_near_duplicates_count() -> None:
    kept = certificate(judge("keras", Y_TRUE, APP, APP, 1.0))
    assert "Near-duplicates, if there are any among them, count as if" in exports.to_markdown(kept), (
        "of an older Graft"
    )
    assert "ear-duplicates" not in exports.to_markdown(replace(kept, num_images=0))
    assert "count as fewer in all intervals: 90 groups" in exports.to_markdown(replace(kept, num_groups=90))
    assert "ear-duplicates" not in exports.to_markdown(replace(kept, num_groups=100))


def test_what_is_not_a_number_fails() -> None:
    received = APP.copy()
    received[0, 0] = np.nan
    found = judge("litert-fp16", Y_TRUE, APP, received, 1.0)
    assert not found.passed and "not a number" in found.trouble


def test_a_certificate_comes_back_as_it_was_kept(workspace: Workspace) -> None:
    run = runs.create(workspace, "birds", "Birds", {})
    kept = certificate(judge("keras", Y_TRUE, APP, APP, 1.0), broken("onnx", "It died."), run_id=run.id)
    assert exports.certificate(workspace, run.id) is None
    exports.save(workspace, kept)
    assert exports.certificate(workspace, run.id) == kept


def test_a_new_zip_never_lies_beside_the_certificate_of_the_one_before(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.create(workspace, "birds", "Birds", {})
    kept = certificate(judge("keras", Y_TRUE, APP, APP, 1.0), run_id=run.id)
    packed = runs.folder(workspace, run.id) / "packed.zip"

    def pack(data: bytes) -> Path:
        packed.write_bytes(data)
        return packed

    exports.save(workspace, kept, pack(b"first"))
    assert exports.certificate(workspace, run.id) == kept
    assert exports.zip_path(workspace, run.id).read_bytes() == b"first" and not packed.exists()

    def killed(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["core.exports.certificate"], "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        exports.save(workspace, kept, pack(b"second"))
    assert exports.certificate(workspace, run.id) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"artefacts": 3}'])
def test_a_damaged_certificate_is_none(workspace: Workspace, text: str) -> None:
    run = runs.create(workspace, "birds", "Birds", {})
    (runs.folder(workspace, run.id) / "certificate.json").write_text(text)
    assert exports.certificate(workspace, run.id) is None


def test_the_table_tells_failures_and_keeps_its_columns() -> None:
    text = exports.to_markdown(
        certificate(judge("keras", Y_TRUE, APP, APP, 1.0), broken("litert", "It | died\nat once."))
    )
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows}) == 1
    assert "**failed**: It / died at once." in text
    assert "3 more have changed or gone since" in text
    assert "| 100.0 % (96.3 % to 100.0 %) | 100.0 % (96.3 % to 100.0 %) |" in text, "accuracy, and agreement"


def test_formats_are_taken_once_and_in_order() -> None:
    assert exports.validate(["litert", "keras", "litert"]) == ("keras", "litert")
    with pytest.raises(RecipeError, match="Received no format"):
        exports.validate([])


def test_a_missing_package_is_told_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="pip install -r requirements-onnx.txt") as refused:
        exports.validate(["onnx"])
    assert sys.executable in str(refused.value), "another Python would keep the packages to itself"


def test_a_zip_is_called_by_safe_letters_only(workspace: Workspace) -> None:
    run = runs.create(workspace, "x", "../Größe 猫 & more/", {})
    assert exports.zip_name(run) == f"gr--e-----more-{run.id}.zip"


def test_a_student_and_its_file_with_8_bits_stand_beside_the_teacher(
    workspace: Workspace, tmp_path: Path
) -> None:
    birds = add_dataset(workspace, tmp_path / "birds")
    teacher = finished_run(workspace, birds)
    student = finished_run(workspace, birds, [("owl", "wren"), ("kite", "owl")])
    found = runs.compare(workspace, [teacher.id, student.id], "test")
    first, second = exports.beside_teacher(found, None, None)
    assert (first.model, first.accuracy, first.lead) == ("teacher", 1.0, None)
    assert (second.model, second.accuracy, second.num_images) == ("student", pytest.approx(4 / 6), 6)
    assert second.lead is not None and second.lead.value == pytest.approx(-2 / 6)
    assert first.num_bytes is None and second.latency_ms is None
    whole = replace(judge("litert", Y_TRUE, APP, APP, 9.0), num_bytes=2_000_000)
    wrong = APP.copy()
    wrong[:20] = wrong[:20, ::-1]
    small = replace(judge("litert-int8", Y_TRUE, APP, wrong, 2.0), num_bytes=600_000)
    certified = certificate(whole, small, run_id=student.id)
    lines = exports.beside_teacher(found, None, certified)
    assert [line.model for line in lines] == ["teacher", "student", "student_int8"]
    assert [line.num_bytes for line in lines] == [None, 2_000_000, 600_000]
    assert [line.latency_ms for line in lines] == [None, 9.0, 2.0]
    assert (lines[2].accuracy, lines[2].num_images, lines[2].verdict) == (0.8, 100, "failed")
    assert lines[2].lead is not None and lines[2].lead.value == pytest.approx(-0.2)
    table = exports.to_table(lines)
    assert list(table["difference"].isna()) == [True, False, False]
    assert list(table["size_bytes"].fillna(0)) == [0, 2_000_000, 600_000]
    without = exports.beside_teacher(found, certified, certificate(whole, broken("litert-int8", "It died.")))
    assert [line.num_bytes for line in without] == [2_000_000, 2_000_000]
