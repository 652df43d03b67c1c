"""A metadata.csv as people make them: read whatever program wrote it, joined by path, and never in anybody's way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import audit, datasets, metadata
from core.datasets import Dataset
from core.errors import DataError
from core.metadata import Field, Filter, reading
from core.workspace import Workspace
from tests.pictures import write_classes

PATHS = ["owl/000.png", "owl/001.png", "wren/000.png", "wren/é.png"]
TABLE = "path,camera,age\nowl/000.png,Canon,3\nowl/001.png,Nikon,\nwren/é.png,Canon,7.5\n"


def read(tmp_path: Path, data: bytes | str, paths: list[str] = PATHS) -> metadata.Metadata:
    (tmp_path / "metadata.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    found = metadata.read(tmp_path, paths)
    assert found is not None
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_usual_way_to_write_a_table_is_read(
    tmp_path: Path, encoding: str, delimiter: str, newline: str
) -> None:
    text = TABLE.replace(",", delimiter).replace("\n", newline)
    found = read(tmp_path, text.encode(encoding))
    assert found.notes == ()
    assert list(found.columns.index) == ["owl/000.png", "owl/001.png", "wren/é.png"]
    assert found.columns["camera"].tolist() == ["Canon", "Nikon", "Canon"]
    assert found.columns["age"].tolist()[::2] == [3.0, 7.5]
    assert pd.isna(found.columns["age"].iloc[1])


def test_paths_are_found_however_they_are_written(tmp_path: Path) -> None:
    text = 'Camera,PATH\na,./owl/000.png\nb,owl\\001.png\nc,"wren/e\u0301.png"\n'
    assert read(tmp_path, text).columns["Camera"].to_dict() == {
        "owl/000.png": "a",
        "owl/001.png": "b",
        "wren/é.png": "c",
    }


def test_of_two_names_that_look_alike_each_is_found_by_its_own_spelling(tmp_path: Path) -> None:
    composed, apart = "owl/\u00e9.png", "owl/e\u0301.png"
    found = read(tmp_path, f"path,a\n{apart},x\n{composed},y\n", [composed, apart])
    assert (found.notes, found.columns["a"].to_dict()) == ((), {apart: "x", composed: "y"})


def test_a_spreadsheets_own_way_of_writing_is_understood(tmp_path: Path) -> None:
    text = 'sep=;\npath;"light; sun, moon, stars";"t"\nowl/000.png;\'=dim;-3\n\'=owl/0.png;x;4\n1;2\n'
    found = read(tmp_path, text, [*PATHS, "=owl/0.png"])
    assert found.columns.to_dict("list") == {"light; sun, moon, stars": ["=dim", "x"], "t": [-3.0, 4.0]}
    assert list(found.columns.index) == ["owl/000.png", "=owl/0.png"]
    assert "(line 5)" in str(found.notes[0])


def test_rows_that_do_not_fit_are_named_by_their_line_and_the_rest_is_used(tmp_path: Path) -> None:
    text = TABLE + "\nowl/000.png,Again,1\nwren/000.png,Leica\n../../etc/passwd,x,1\nwren/000.png,Leica,2,9\n"
    found = read(tmp_path, text)
    assert len(found.columns) == 3
    assert [str(note) for note in found.notes] == [
        "metadata.csv: 2 rows have more or fewer fields than the first and are ignored (lines 7, 9).",
        "metadata.csv: 1 row names a picture again and is ignored (line 6).",
        "metadata.csv: 1 row names a file that is not there (line 8).",
    ]


def test_many_lines_are_not_all_named(tmp_path: Path) -> None:
    found = read(tmp_path, "path,a\n" + "x,1\n" * 2000)
    assert str(found.notes[0]).endswith("(lines 2, 3, 4, 5, 6, …).")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"file,camera\na,b\n", r'begins with the columns "file", "camera"\. Expected one named "path"'),
        (b"path,a,a\n", "each with a name of its own"),
        (b"path,a,\n", "each with a name of its own"),
        (b"", 'Expected one named "path"'),
        (b"\x00\x01\x02\x00", "is no text"),
        (b"\xff\xfea", "is no UTF-16 text"),
        (b'path,a\nowl/000.png,"' + b"x" * 200_000, r"Line 2 of metadata.csv cannot be read"),
    ],
    ids=["no path", "twice", "unnamed", "empty", "binary", "half a sign", "never closed"],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, data)


def test_a_link_and_a_huge_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        metadata.read(tmp_path, PATHS)
    (tmp_path / "metadata.csv").unlink()
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        read(tmp_path, TABLE)


@pytest.fixture
def birds(workspace: Workspace, tmp_path: Path) -> Dataset:
    dataset = datasets.add_folder(workspace, write_classes(tmp_path / "birds", {"owl": 2, "wren": 1}))
    (dataset.root / "metadata.csv").write_text("path,camera,size\nowl/000.png,Canon,1\nwren/000.png,,2\n")
    return dataset


def update(workspace: Workspace, dataset: Dataset) -> metadata.Metadata | None:
    table = audit.audit(workspace, dataset)
    return metadata.update(workspace, dataset, table["path"].tolist())


def test_what_was_read_is_kept(workspace: Workspace, birds: Dataset) -> None:
    update(workspace, birds)
    found = metadata.load(workspace, birds.id)
    assert found is not None
    assert found.columns["camera"].to_dict() == {"owl/000.png": "Canon", "wren/000.png": ""}
    known = metadata.of_pictures(workspace, birds.id, ["wren/000.png", "owl/001.png", "owl/000.png"])
    assert known["camera"].tolist() == ["", "", "Canon"]
    assert known["size"].isna().tolist() == [False, True, False]


def test_a_broken_file_never_stops_an_audit_and_a_removed_one_is_forgotten(
    workspace: Workspace, birds: Dataset
) -> None:
    (birds.root / "metadata.csv").write_bytes(b"\0")
    found = update(workspace, birds)
    assert found is not None and "is no text" in found.problem
    loaded = metadata.load(workspace, birds.id)
    assert loaded is not None and loaded.problem == found.problem
    assert metadata.of_pictures(workspace, birds.id, ["owl/000.png"]).columns.empty
    (birds.root / "metadata.csv").unlink()
    assert update(workspace, birds) is None
    assert metadata.load(workspace, birds.id) is None
    assert len(metadata.of_pictures(workspace, birds.id, ["owl/000.png"])) == 1


def test_columns_are_filters_of_their_kind(tmp_path: Path) -> None:
    rows = "".join(f"p{index},{index % 3},{index / 7},name {index},same\n" for index in range(60))
    columns = read(
        tmp_path, f"path,few,number,text,one\n{rows}", [f"p{index}" for index in range(60)]
    ).columns
    few, number, text = metadata.fields(columns)
    assert few == Field("few", "choice", ("0", "1", "2"))
    assert (number.kind, number.low, number.high) == ("number", 0.0, 59 / 7)
    assert text == Field("text", "text")
    passed = metadata.matching(columns, {"few": Filter(values=("1",)), "number": Filter(low=1, high=2)})
    assert passed == {f"p{index}" for index in range(60) if index % 3 == 1 and 1 <= index / 7 <= 2}
    assert metadata.matching(columns, {"text": Filter(text="NAME 5(")}) == set()
    assert metadata.matching(columns, {"text": Filter(text="NAME 59")}) == {"p59"}
    assert len(metadata.matching(columns, {})) == 60


# --- filters in a URL, and slices -----------------------------------------------------------------------------------

OFFERED = (
    Field("camera", "choice", ("Canon", "Nikon")),
    Field("age", "number", low=0.0, high=10.0),
    Field("note", "text"),
)


def test_filters_come_back_from_a_url_as_they_were() -> None:
    wanted = {
        "camera": Filter(values=("Nikon",)),
        "age": Filter(low=2.5, high=7.0),
        "note": Filter(text="ö &"),
    }
    assert metadata.from_text(metadata.to_text(wanted), OFFERED) == wanted
    assert metadata.to_text({"camera": Filter()}) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[1]",
        '{"camera":["Leica"]}',
        '{"camera":"Canon"}',
        '{"age":[1]}',
        '{"age":["1","2"]}',
        '{"age":[NaN,2]}',
        '{"age":[7,2]}',
        '{"age":[-5,99]}',
        '{"age":[true,2]}',
        '{"age":[-Infinity,1' + "0" * 400 + "]}",
        '{"note":["x"]}',
        '{"lens":["x"]}',
    ],
)
def test_filters_in_a_url_that_do_not_fit_the_columns_are_left_out(text: str) -> None:
    assert metadata.from_text(text, OFFERED) == {}


@given(
    st.one_of(
        st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan")), st.sampled_from([0.0, 1.0])), min_size=1),
        st.lists(st.sampled_from(["", *map(str, range(40))]), min_size=1),
    )
)
def test_every_picture_is_in_one_part(values: list[float] | list[str]) -> None:
    found = metadata.parts(pd.Series(values, dtype=float if isinstance(values[0], float) else str))
    assert sorted(row for part in found for row in part.rows) == list(range(len(values)))
    assert all(len(part.rows) for part in found)


def test_numbers_are_parted_at_their_quartiles_and_few_of_them_by_value() -> None:
    found = metadata.parts(pd.Series([float(number) for number in range(1, 9)] + [float("nan")]))
    assert [(part.kind, len(part.rows)) for part in found] == [("range", 2)] * 4 + [("unknown", 1)]
    assert [(part.low, part.high) for part in found[:4]] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert [part.value for part in metadata.parts(pd.Series([3.0, 0.5, 3.0]))] == ["0.5", "3"]


def test_rare_values_are_one_part_together() -> None:
    values = [f"{number:02d}" for number in range(25)] + ["24", "23"]
    found = metadata.parts(pd.Series(values))
    named = [part.value for part in found[:-1]]
    assert named == sorted([*values[:18], "23", "24"])
    assert (found[-1].kind, len(found[-1].rows)) == ("others", 5)


def test_an_identifier_keeps_its_zeros(tmp_path: Path) -> None:
    found = read(tmp_path, "path,id,age\n" + "".join(f"{path},00{n},{n}\n" for n, path in enumerate(PATHS)))
    assert found.columns["id"].tolist()[:2] == ["000", "001"]
    assert found.columns["age"].tolist()[:2] == [0.0, 1.0]
