"""Decisions: kept whatever happens, undone and done again, laid over the table, taken along as CSV."""

from __future__ import annotations

import json
import signal
import string
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import curation
from core.curation import Curation, Decision
from core.curation.journal import journal_path
from core.errors import DataError, WorkspaceError
from core.workspace import Workspace

CLASSES = ("owl", "wren", "kite")
ROOT = Path(__file__).resolve().parents[1]


def make_table(num_files: int = 6) -> pd.DataFrame:
    """Return as much of an audited table as decisions read."""
    return pd.DataFrame(
        {
            "path": [f"{CLASSES[i % 2]}/{i}.png" for i in range(num_files)],
            "label": [CLASSES[i % 2] for i in range(num_files)],
            "sha256": [f"{i:064x}" for i in range(num_files)],
            "usable": [True] * num_files,
        }
    ).astype({"path": str, "label": str, "sha256": str})


paths = st.sampled_from([f"{CLASSES[i % 2]}/{i}.png" for i in range(6)])
hashes = st.sampled_from([f"{i:064x}" for i in range(6)])
texts = st.text(string.ascii_letters + " ,;\"\n\r'=-猫", min_size=1, max_size=8).filter(
    lambda text: text.strip()
)
decisions = st.one_of(
    st.builds(Decision, paths, st.just("exclude"), st.just(""), hashes),
    st.builds(Decision, paths, st.just("relabel"), st.sampled_from(CLASSES), hashes),
    st.builds(Decision, paths, st.sampled_from(("keep", "tag", "note")), texts, hashes),
)
batches = st.lists(decisions, min_size=1, max_size=4)


def exclude(*paths: str) -> list[Decision]:
    return curation.decide_on(make_table(), paths, "exclude")


# --- one decision


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a.png", "delete"), 'Received the decision "delete". Expected one of "exclude", "relabel"'),
        (
            ("a.png", "relabel", " "),
            'the value " " for the decision "relabel" about "a.png". Expected a value',
        ),
        (("a.png", "exclude", "owl"), "Expected none"),
        (("a.png", "note", 1001 * "x"), "1,001 characters .* at most 1,000"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(values: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Decision(*values)


def test_a_class_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(DataError, match='"eagle".*"kite", "owl", "wren"'):
        curation.require_class("eagle", CLASSES)


# --- the journal


def test_nothing_is_decided_about_a_new_dataset(workspace: Workspace) -> None:
    assert curation.load(workspace, "birds") == Curation()
    assert curation.version(workspace, "birds") == ""


@settings(deadline=None, max_examples=25)
@given(st.lists(batches, max_size=5))
def test_decisions_come_back_as_they_were_made(
    tmp_path_factory: pytest.TempPathFactory, made: list[list[Decision]]
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("journal") / "graft")
    expected: dict[Any, Decision] = {}
    for batch in made:
        expected |= {decision.key: decision for decision in batch}
        found = curation.decide(workspace, "birds", batch)
        assert found == curation.load(workspace, "birds")
    assert {decision.key: decision for decision in curation.load(workspace, "birds").decisions} == expected


@settings(deadline=None, max_examples=25)
@given(st.lists(batches, min_size=1, max_size=5), st.data())
def test_undo_and_redo_lead_back_and_forth_through_the_same_states(
    tmp_path_factory: pytest.TempPathFactory, made: list[list[Decision]], data: st.DataObject
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("journal") / "graft")
    states = [curation.load(workspace, "birds").decisions]
    for batch in made:
        now = curation.load(workspace, "birds").decisions
        gone = data.draw(st.lists(st.sampled_from(now), max_size=2)) if now else []
        after = curation.decide(workspace, "birds", batch, gone).decisions
        if after != states[-1]:
            states.append(after)
    for state in reversed(states[:-1]):
        last = curation.load(workspace, "birds").undoable
        assert last is not None
        assert curation.undo(workspace, "birds", last.id).decisions == state
    assert curation.load(workspace, "birds").undoable is None
    for state in states[1:]:
        first = curation.load(workspace, "birds").redoable
        assert first is not None
        assert curation.redo(workspace, "birds", first.id).decisions == state
    assert curation.load(workspace, "birds").redoable is None


def test_a_later_decision_takes_the_place_of_an_earlier_one_of_its_kind(workspace: Workspace) -> None:
    for value in ("wren", "kite"):
        curation.decide(workspace, "birds", [Decision("owl/0.png", "relabel", value)])
    for value in ("blurry", "dark"):
        curation.decide(workspace, "birds", [Decision("owl/0.png", "keep", value)])
    held = [(decision.kind, decision.value) for decision in curation.load(workspace, "birds").decisions]
    assert held == [("keep", "blurry"), ("keep", "dark"), ("relabel", "kite")]


def test_a_new_decision_ends_what_could_be_done_again(workspace: Workspace) -> None:
    first = curation.decide(workspace, "birds", exclude("owl/0.png")).undoable
    assert first is not None
    assert curation.undo(workspace, "birds", first.id).redoable == first
    assert curation.decide(workspace, "birds", exclude("wren/1.png")).redoable is None


def test_what_changes_nothing_is_not_noted(workspace: Workspace) -> None:
    curation.decide(workspace, "birds", exclude("owl/0.png"))
    before = curation.version(workspace, "birds")
    curation.decide(workspace, "birds", exclude("owl/0.png"))
    curation.decide(workspace, "birds", cleared=exclude("owl/2.png"))
    curation.decide(workspace, "birds")
    assert curation.version(workspace, "birds") == before


def test_an_action_says_what_it_did(workspace: Workspace) -> None:
    made = curation.decide(workspace, "birds", exclude("owl/0.png", "wren/1.png")).undoable
    assert made is not None
    assert (made.kind, made.num_paths) == ("exclude", 2)
    taken_back = curation.decide(workspace, "birds", cleared=exclude("owl/0.png")).undoable
    assert taken_back is not None
    assert (taken_back.kind, taken_back.num_paths) == ("clear", 1)
    both = curation.decide(
        workspace, "birds", [Decision("owl/2.png", "note", "odd")], exclude("wren/1.png")
    ).undoable
    assert both is not None
    assert (both.kind, both.num_paths) == ("several", 2)


def test_who_would_undo_what_somebody_else_did_is_told_so(workspace: Workspace) -> None:
    mine = curation.decide(workspace, "birds", exclude("owl/0.png")).undoable
    theirs = curation.decide(workspace, "birds", exclude("wren/1.png"))
    assert mine is not None
    for step in (curation.undo, curation.redo):
        with pytest.raises(DataError, match="another one was made, undone or redone in the meantime"):
            step(workspace, "birds", mine.id)
    assert curation.load(workspace, "birds") == theirs


def test_two_writers_at_once_lose_nothing(workspace: Workspace) -> None:
    def decide(writer: int) -> None:
        for number in range(10):
            curation.decide(workspace, "birds", [Decision(f"owl/{writer}-{number}.png", "exclude")])

    writers = [threading.Thread(target=decide, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(curation.load(workspace, "birds").decisions) == 40


_ENDLESS = """
import sys
from pathlib import Path
from core import curation
from core.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
number = 0
while True:
    curation.decide(workspace, "birds", [curation.Decision(f"owl/{number}.png", "exclude")])
    number += 1
    print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_has_told(workspace: Workspace) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(workspace.home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(5)][-1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(curation.load(workspace, "birds").decisions) >= told
    after = curation.decide(workspace, "birds", [Decision("wren/1.png", "exclude")])
    assert after == curation.load(workspace, "birds")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 400))
def test_a_journal_cut_anywhere_keeps_the_whole_actions_before_and_takes_new_ones(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("journal") / "graft")
    lengths = []
    for name in ("owl/0.png", "wren/1.png", "owl/2.png"):
        curation.decide(workspace, "birds", exclude(name))
        lengths.append(journal_path(workspace, "birds").stat().st_size)
    path = journal_path(workspace, "birds")
    path.write_bytes(path.read_bytes()[:cut])
    whole = sum(length - 1 <= cut for length in lengths)
    assert len(curation.load(workspace, "birds").decisions) == whole
    assert len(curation.decide(workspace, "birds", exclude("wren/5.png")).decisions) == whole + 1
    assert len(curation.load(workspace, "birds").decisions) == whole + 1


@pytest.mark.parametrize(
    "line", [b"[]", b"7", b'{"kind": "decide"}', b"\xff\x00", b'{"id": "x", "kind": "undo"}']
)
def test_a_line_that_makes_no_sense_is_passed_over(workspace: Workspace, line: bytes) -> None:
    curation.decide(workspace, "birds", exclude("owl/0.png"))
    path = journal_path(workspace, "birds")
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert [decision.path for decision in curation.load(workspace, "birds").decisions] == ["owl/0.png"]


def test_a_journal_that_cannot_be_written_says_so_and_decides_nothing(workspace: Workspace) -> None:
    journal_path(workspace, "birds").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="Nothing was decided"):
        curation.decide(workspace, "birds", exclude("owl/0.png"))
    with pytest.raises(WorkspaceError, match="may not be read"):
        curation.load(workspace, "birds")


def test_the_fingerprint_is_of_what_bears_on_a_training_in_any_order() -> None:
    one, other = exclude("owl/0.png", "wren/1.png")
    remark = Decision("owl/0.png", "note", "odd")
    assert curation.fingerprint([one, other]) == curation.fingerprint([other, remark, one])
    assert curation.fingerprint([one]) != curation.fingerprint([other])
    assert curation.fingerprint([remark]) == curation.fingerprint([]) == ""


# --- laid over the table


def test_decisions_exclude_relabel_and_keep() -> None:
    table = make_table()
    made = [
        *curation.decide_on(table, ["owl/0.png"], "exclude"),
        *curation.decide_on(table, ["wren/1.png"], "relabel", "owl"),
        *curation.decide_on(table, ["owl/2.png"], "keep", "dark"),
        *curation.decide_on(table, ["owl/2.png"], "keep", "blurry"),
        *curation.decide_on(table, ["wren/3.png"], "note", "odd"),
    ]
    decided = curation.apply(table, made, CLASSES).set_index("path")
    assert decided["usable"].tolist() == [False, True, True, True, True, True]
    assert decided["excluded"].tolist() == [True, False, False, False, False, False]
    assert decided.loc["wren/1.png", ["label", "given_label"]].tolist() == ["owl", "wren"]
    assert set(decided.loc["owl/2.png", "kept"].split()) == {"dark", "blurry"}


def test_a_decision_about_other_bytes_a_lost_file_or_a_lost_class_is_suspended_and_shown() -> None:
    table = make_table()
    made = [
        Decision("owl/0.png", "exclude", sha256="other bytes"),
        Decision("owl/9.png", "exclude", sha256=table["sha256"][0]),
        *curation.decide_on(table, ["owl/2.png"], "relabel", "eagle"),
        *curation.decide_on(table, ["owl/4.png"], "exclude"),
    ]
    told = curation.standing(table, made, CLASSES)
    assert told["state"].tolist() == ["changed", "missing", "no_class", "active"]
    assert told["row"].tolist() == [0, -1, 2, 4]
    decided = curation.apply(table, made, CLASSES)
    assert decided["label"].tolist() == table["label"].tolist()
    assert decided["usable"].tolist() == [True, True, True, True, False, True]


@settings(deadline=None, max_examples=50)
@given(batches, batches)
def test_laying_decisions_over_leaves_the_table_and_can_be_taken_back(
    first: list[Decision], second: list[Decision]
) -> None:
    table = make_table()
    before = table.copy()
    decided = curation.apply(table, first, CLASSES)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(curation.as_found(decided), table)
    again = curation.apply(decided, second, CLASSES)
    pd.testing.assert_frame_equal(again, curation.apply(table, second, CLASSES))
    assert not (again["usable"] & again["excluded"]).any()


def test_no_decision_changes_nothing_even_of_no_file() -> None:
    for table in (make_table(), make_table(0)):
        decided = curation.apply(table, [], CLASSES)
        pd.testing.assert_frame_equal(curation.as_found(decided), table)
        assert not decided["excluded"].any()


# --- CSV


@settings(deadline=None, max_examples=50)
@given(st.lists(decisions, max_size=6))
def test_decisions_travel_as_csv(made: list[Decision]) -> None:
    assert curation.from_csv(curation.to_csv(made), make_table(), CLASSES) == made


def test_a_table_written_by_hand_needs_a_path_and_a_decision() -> None:
    text = "\ufeffpath,decision,value\nowl/0.png,exclude,\nwren/1.png,relabel,kite\n"
    first, second = curation.from_csv(text.encode(), make_table(), CLASSES)
    assert first == Decision("owl/0.png", "exclude", sha256=f"{0:064x}")
    assert (second.kind, second.value) == ("relabel", "kite")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"path,decision,path\na,exclude,b\n", "each once"),
        (b"path,decision" + b",x" * 999 + b"\n", '"x" and 996 more. Expected'),
        (b"path,decision\n" + b"x" * 4097 + b",exclude\n", "4,097 characters. Expected at most 4,096"),
        (b"path,decision\n" + b"x" * 200_000 + b",exclude\n", "Save it as CSV in UTF-8"),
        (b"path,decision,value,sha256\nowl/0.png,exclude,,beef\n", 'Received "beef" as the hash'),
        (b"", "has no columns. Expected the columns path, decision, value, sha256"),
        (b"file,verdict\na,b\n", 'has the columns "file", "verdict"'),
        (b"path,decision\nowl/9.png,exclude\n", 'Row 2 .*no file "owl/9.png"'),
        (b"path,decision,value\nowl/0.png,exclude,\nowl/0.png,relabel,eagle\n", 'Row 3 .*the class "eagle"'),
        (b"path,decision\nowl/0.png,delete\n", 'Row 2 .*the decision "delete"'),
        (b"path,decision\nowl/0.png\n", 'Row 2 .*the decision ""'),
        (b"path,decision\nowl/0.png,exclude,too,many,cells\n", "Row 2 .*more cells than columns"),
        ("path,decision\növl,exclude\n".encode("latin-1"), "Save it as CSV in UTF-8"),
        (b'path,decision\n"owl/0.png,exclude\n', "Save it as CSV in UTF-8"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_whole(text: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        curation.from_csv(text, make_table(), CLASSES)


@pytest.mark.parametrize("start", ["", "\ufeff", "sep=;\r\n"])
def test_decisions_come_back_from_a_spreadsheet(start: str) -> None:
    note = Decision("owl/0.png", "note", "-5 °C; really", f"{0:064x}")
    text = curation.to_csv([note]).decode("utf-8-sig")
    assert "'-5 °C" in text
    saved = start + 'path;decision;value;sha256\r\nowl/0.png;note;"\'-5 °C; really";' + f"{0:064x}\r\n"
    assert curation.from_csv(saved.encode(), make_table(), CLASSES) == [note]


def test_paths_are_found_whichever_way_their_accents_are_composed() -> None:
    table = make_table().assign(path=[f"owl/e\u0301{i}.png" for i in range(6)])
    (found,) = curation.from_csv("path,decision\nowl/\u00e90.png,exclude\n".encode(), table, CLASSES)
    assert found == Decision("owl/e\u03010.png", "exclude", sha256=f"{0:064x}")


def test_a_table_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.curation.csv_file.MAX_ROWS", 1)
    with pytest.raises(DataError, match="Row 3 .*at most 1 decisions"):
        curation.from_csv(b"path,decision\nowl/0.png,exclude\nowl/2.png,exclude\n", make_table(), CLASSES)
    monkeypatch.setattr("core.curation.csv_file.MAX_BYTES", 10)
    with pytest.raises(DataError, match="Expected at most"):
        curation.from_csv(b"path,decision\nowl/0.png,exclude\n", make_table(), CLASSES)


def test_the_journal_is_text_that_other_programs_read(workspace: Workspace) -> None:
    curation.decide(workspace, "birds", [Decision("猫/0.png", "note", "sieht\nseltsam aus")])
    (line,) = journal_path(workspace, "birds").read_text("utf-8").splitlines()
    assert json.loads(line)["made"][0]["path"] == "猫/0.png"
