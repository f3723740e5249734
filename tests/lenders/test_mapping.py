from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest

from data_contracts.errors import SourceError
from lenders.mapping import Mapped, at, choice, import_files
from lenders.raw_files import RawFile, columns
from tests.raw_folder import Row, raw_folder, rows_of

LOANS = RawFile(
    "loans",
    columns(ids="nr", numbers="yuan", texts="state", times="day"),
    aliases={"yuan": ("rmb",)},
    also=("contracts",),
)
PEOPLE = RawFile("people", columns(ids="nr", numbers="age"), needed=False)
LOAN = {
    "loan_id": "CAST(nr AS VARCHAR)",
    **at("beijing(day)"),
    "principal": "fen(yuan)",
    "status": choice("state", {"paid": "closed"}, otherwise="granted"),
    "term_months": "whole(age)",
}
MAPPINGS = (
    Mapped(
        "loans",
        LOAN,
        "loans LEFT JOIN people USING (nr) WHERE yuan > 0",
        "loan_id",
        files=("loans",),
        kept={"loans": "loans WHERE yuan > 0"},
        left_out="they are of no amount",
        extension=(
            "people",
            "UNION ALL BY NAME SELECT CAST(-nr AS VARCHAR) AS loan_id FROM people ANTI JOIN loans USING (nr)",
        ),
    ),
    Mapped("outcomes", {"loan_id": "nr"}, "loans", "1", files=("loans",), given="SELECT 1 FROM loans WHERE yuan > 99"),
    Mapped("payments", {"loan_id": "nr"}, "people", "1", files=("people",)),
)
FIRST: Row = {"nr": 1, "yuan": 12.345, "state": "paid", "day": "2024-03-01"}
SECOND: Row = {"nr": 2, "yuan": 7.0, "state": "late", "day": "2024-03-02 09:00:00"}


def read(path: Path) -> dict[str, pa.Table]:
    return import_files(path, (LOANS, PEOPLE), MAPPINGS, "some lender")


def test_what_is_declared_is_what_comes(tmp_path: Path) -> None:
    tables = rows_of(read(raw_folder(tmp_path, {"loans": [SECOND, FIRST]})))
    assert list(tables) == ["loans"]  # nothing for outcomes, no file for payments
    first, second = tables["loans"]
    assert (first["loan_id"], first["principal"], first["status"], first["term_months"]) == ("1", 12_35, "closed", None)
    assert first["occurred_at"].isoformat() == "2024-02-29T16:00:00"
    assert (second["status"], second["known_at"].isoformat()) == ("granted", "2024-03-02T01:00:00")


def test_a_file_that_need_not_be_there_adds_what_it_has(tmp_path: Path) -> None:
    people = [{"nr": 1, "age": 30.4}, {"nr": 3, "age": 50}]
    tables = rows_of(read(raw_folder(tmp_path, {"loans": [FIRST | {"yuan": 100.0}], "people": people})))
    assert [(row["loan_id"], row["term_months"]) for row in tables["loans"]] == [("-3", None), ("1", 30)]
    assert (len(tables["outcomes"]), len(tables["payments"])) == (1, 2)


def test_order_of_rows_ending_and_names_never_matter(tmp_path: Path) -> None:
    renamed = [{("rmb" if name == "yuan" else name): value for name, value in row.items()} for row in (SECOND, FIRST)]
    ways = (
        raw_folder(tmp_path / "a", {"loans": [FIRST, SECOND]}),
        raw_folder(tmp_path / "b", {"loans": [SECOND, FIRST]}, ending="csv"),
        raw_folder(tmp_path / "c", {"contracts": renamed}),
    )
    first, *others = [read(way) for way in ways]
    assert all(other == first for other in others)


def test_the_name_that_stands_first_counts(tmp_path: Path) -> None:
    tables = read(raw_folder(tmp_path, {"contracts": [SECOND], "loans": [FIRST]}))
    assert tables["loans"]["loan_id"].to_pylist() == ["1"]


def test_rows_that_are_not_used_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lenders"):
        read(raw_folder(tmp_path, {"loans": [FIRST, SECOND | {"yuan": 0.0}]}))
    assert "loans.parquet: 1 of 2 rows left out, they are of no amount" in caplog.text


def test_what_stands_for_a_missing_value_is_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("nr,yuan\n1,n/a\n2,\n3,4\n", encoding="utf-8")
    raw = RawFile("x", columns(ids="nr", numbers="yuan"), missing=("", "n/a"))
    tables = import_files(tmp_path, (raw,), (Mapped("t", {"nr": "nr", "yuan": "yuan"}, "x", "nr", files=("x",)),), "x")
    assert tables["t"]["yuan"].to_pylist() == [None, None, 4.0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["has no loans or contracts (.parquet or .csv), which some lender needs", "it holds nothing"]),
        ({"people": [{"nr": 1, "age": 3}]}, ["has no loans or contracts", "it holds people.parquet"]),
        ({"loans": [{"nr": 1, "yuan": 1.0}]}, ["loans.parquet lacks the columns state, day"]),
        ({"loans": [FIRST | {"yuan": "many"}]}, ["loans.parquet, column yuan: numbers are needed"]),
        ({"loans": [FIRST | {"day": "1.3.2024"}]}, ["loans.parquet cannot be read", "1.3.2024"]),
    ],
)
def test_bad_sources_name_cause_and_way_out(tmp_path: Path, files: dict[str, list[Row]], words: list[str]) -> None:
    with pytest.raises(SourceError) as raised:
        read(raw_folder(tmp_path, files))
    assert [word for word in words if word not in str(raised.value)] == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"There is no folder .*nowhere; name the folder that holds the files of some lender"
    ):
        read(tmp_path / "nowhere")
