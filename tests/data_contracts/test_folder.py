from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import (
    Batch,
    TableFolder,
    arrow_schema,
    file_sha256,
    to_arrow,
    write_batch,
    write_manifest,
    write_tables,
)
from data_contracts.tables import LOAN_MONTHS, OUTCOMES, TABLES

MOMENT = pd.Timestamp("2024-03-01 04:00:00.123456")


def months(dpd: list[int | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "loan_id": [f"l{number}" for number in range(len(dpd))],
            "customer_id": "c",
            "occurred_at": MOMENT,
            "known_at": MOMENT,
            "status": "active",
            "instalments_left": 3,
            "dpd": pd.array(dpd, dtype="Int64"),
        }
    )


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "out", {"loan_months": months([2**62 + 1, None])}, lender="tiny", dates="relative")
    table = folder.read("loan_months")
    assert table["dpd"].tolist() == [2**62 + 1, pd.NA]
    assert table["instalments_left"].tolist() == [3, 3]
    assert table["occurred_at"].tolist() == [MOMENT, MOMENT]
    assert folder.rows("loan_months") == 2
    assert (folder.lender, folder.dates, folder.tables) == ("tiny", "relative", ("loan_months",))


def test_booleans_with_missing_values_stay_booleans(tmp_path: Path) -> None:
    outcome = {"application_id": ["a", "b"], "customer_id": "c", "occurred_at": MOMENT, "known_at": MOMENT}
    table = pd.DataFrame(outcome | {"defaulted": pd.array([True, None], dtype="boolean")})
    folder = write_tables(tmp_path / "out", {"outcomes": table}, lender="tiny", dates="relative")
    assert folder.read("outcomes", ["defaulted"])["defaulted"].tolist() == [True, pd.NA]
    assert to_arrow(OUTCOMES, table).column("dpd_max").null_count == 2


def test_columns_come_in_the_order_of_the_contract() -> None:
    shuffled = months([1])[["dpd", "status", "known_at", "loan_id", "occurred_at", "customer_id", "instalments_left"]]
    assert to_arrow(LOAN_MONTHS, shuffled).schema == arrow_schema(LOAN_MONTHS)
    assert to_arrow(LOAN_MONTHS, pa.Table.from_pandas(shuffled)).schema == arrow_schema(LOAN_MONTHS)


def test_same_records_have_the_same_identity_and_others_another(tmp_path: Path) -> None:
    one, two, other = (
        write_tables(tmp_path / name, {"loan_months": months([dpd])}, lender="tiny", dates="relative")
        for name, dpd in (("one", 1), ("two", 1), ("other", 2))
    )
    assert one.identity == two.identity
    assert one.identity != other.identity
    (file,) = one.files("loan_months")
    assert file_sha256(Path(file)) == file_sha256(Path(two.files("loan_months")[0]))
    assert one.batches[0].facts["files"]["loan_months"] == {"loan_months/all.parquet": file_sha256(Path(file))}


def test_files_hold_the_rows_learned_in_a_month_utc(tmp_path: Path) -> None:
    rows = months([1, 2, 3]).assign(
        known_at=[pd.Timestamp("2024-02-29 23:59:59"), pd.Timestamp("2023-12-31"), pd.Timestamp("2024-03-01 00:00")]
    )
    folder = write_tables(tmp_path / "out", {"loan_months": rows}, lender="tiny", dates="calendar")
    assert [Path(file).name for file in folder.files("loan_months")] == [
        "2023-12.parquet", "2024-02.parquet", "2024-03.parquet"
    ]  # fmt: skip
    assert folder.read("loan_months")["dpd"].tolist() == [2, 1, 3]


def test_a_table_in_which_a_record_comes_again_is_told(tmp_path: Path) -> None:
    again = pd.concat([months([1, 2]), months([3]).assign(known_at=MOMENT + pd.Timedelta(days=1))])
    assert write_tables(tmp_path / "a", {"loan_months": again}, lender="t", dates="relative").corrected == (
        "loan_months",
    )
    assert write_tables(tmp_path / "b", {"loan_months": months([1, 2])}, lender="t", dates="relative").corrected == ()


def test_writing_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_tables(out, {"loan_months": months([1])}, lender="tiny", dates="relative")
    outcome = {"application_id": ["a"], "customer_id": "c", "occurred_at": MOMENT, "known_at": MOMENT}
    write_tables(out, {"outcomes": pd.DataFrame(outcome)}, lender="tiny", dates="relative")
    assert TableFolder.open(out).tables == ("outcomes",)
    assert sorted(path.name for path in out.iterdir()) == ["batches", "lender.json"]
    assert len(list((out / "batches").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iban": "DE00"}, "Table loan_months: unknown column 'iban'"),
        ({"dpd": "many"}, "Table loan_months, column dpd: not int64"),
        ({"dpd": 1.5}, "Table loan_months, column dpd: not int64"),
    ],
)
def test_a_frame_that_does_not_fit_leaves_the_old_state(tmp_path: Path, change: dict[str, object], words: str) -> None:
    out = tmp_path / "out"
    before = write_tables(out, {"loan_months": months([1])}, lender="tiny", dates="relative")
    with pytest.raises(SourceError, match=words):
        write_tables(out, {"loan_months": months([2]).assign(**change)}, lender="tiny", dates="relative")
    assert TableFolder.open(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SourceError, match="is no folder of canonical tables; name another"):
        write_tables(tmp_path, {"loan_months": months([1])}, lender="tiny", dates="relative")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_folders_that_are_none_say_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no folder .*`lendwell simulate` or `lendwell import`"):
        TableFolder.open(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"no lender\.json.*lendwell import LENDER SOURCE"):
        TableFolder.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"lender": "tiny", "dates": "relative"})])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "lender.json").write_text(text)
    with pytest.raises(SourceError, match=r"lender\.json cannot be read .*import the lender's files again"):
        TableFolder.open(tmp_path)


def test_missing_and_truncated_tables_are_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "out", {"loan_months": months([1])}, lender="tiny", dates="relative")
    with pytest.raises(SourceError, match="has no table transactions; it has loan_months"):
        folder.read("transactions")
    file = Path(folder.files("loan_months")[0])
    file.write_bytes(file.read_bytes()[:50])
    for read in (folder.read, folder.rows):
        with pytest.raises(SourceError, match=r"Table loan_months .* cannot be read"):
            read("loan_months")
    with pytest.raises(
        SourceError, match=r"all\.parquet is not the file that was written: it was cut short or changed"
    ):
        TableFolder.open(folder.path)
    file.unlink()
    with pytest.raises(SourceError, match=r"all\.parquet is gone, though its folder lists it"):
        TableFolder.open(folder.path)
    with pytest.raises(SourceError, match=r"all\.parquet is gone, though its batch lists it"):
        folder.read("loan_months")


def test_a_changed_account_of_a_batch_is_told(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "out", {"loan_months": months([1])}, lender="tiny", dates="relative")
    told = folder.batches[0].path / "batch.json"
    told.write_text(told.read_text().replace('"loan_months": 1', '"loan_months": 2'))
    with pytest.raises(SourceError, match=r"batch\.json is not the file that was written"):
        TableFolder.open(folder.path)


def test_two_batches_read_as_one_and_one_source_makes_one_batch(tmp_path: Path) -> None:
    def batch(dpd: int, source: str) -> Batch:
        rows = to_arrow(LOAN_MONTHS, months([dpd]))
        return write_batch(tmp_path, {"loan_months": rows}, "relative", {"source": {"sha256": source}})

    first, again, second, other = batch(1, "a"), batch(1, "a"), batch(2, "b"), batch(2, "c")
    assert first.identity == again.identity
    assert len({first.identity, second.identity, other.identity}) == 3
    write_manifest(tmp_path, "tiny", "relative", [first, second], ["loan_months"])
    folder = TableFolder.open(tmp_path)
    assert folder.read("loan_months")["dpd"].tolist() == [1, 2]
    assert folder.rows("loan_months") == 2
    assert [one.identity for one in folder.batches] == [first.identity, second.identity]
    assert folder.corrected == ("loan_months",)


def test_every_contract_has_a_schema() -> None:
    for table in TABLES.values():
        assert arrow_schema(table).names == list(table.names)


def test_a_fraction_is_refused_where_whole_numbers_are_stored() -> None:
    frame = pd.DataFrame({"dpd": pd.Series([1.5, 2], dtype=object)})
    with pytest.raises(SourceError, match="Table loan_months, column dpd: not int64"):
        to_arrow(TABLES["loan_months"], frame)
