from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import file_sha256, write_tables
from lenders.delivery import holds_canonical_files, lineage, read, whose

APPLICATIONS = pd.DataFrame(
    {
        "application_id": ["a1"],
        "customer_id": ["c1"],
        "applied_at": [pd.Timestamp("2024-03-01")],
        "product": ["cash"],
        "amount_requested": [100],
    }
)


def test_lineage_names_every_raw_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.csv", "more/a.parquet", "README.md", ".hidden/x.csv", ".b.csv"):
        (tmp_path / name).write_text(name)
    found = lineage(tmp_path)
    assert list(found.files) == ["b.csv", "more/a.parquet"]
    assert found.files["b.csv"] == file_sha256(tmp_path / "b.csv")
    assert found.name == tmp_path.name
    assert lineage(tmp_path / "b.csv").files == {"b.csv": found.files["b.csv"]}
    assert lineage(tmp_path / "nowhere").files == {}


def test_the_hash_changes_with_a_byte_a_name_and_a_part_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    file = tmp_path / "one" / "a.csv"
    file.write_text("1")
    first = lineage(tmp_path / "one").sha256
    (tmp_path / "one").rename(tmp_path / "two")
    assert lineage(tmp_path / "two").sha256 == first
    assert lineage(tmp_path / "two", "2024-03").sha256 != first
    (tmp_path / "two" / "a.csv").write_text("2")
    assert lineage(tmp_path / "two").sha256 != first
    (tmp_path / "two" / "a.csv").write_text("1")
    (tmp_path / "two" / "a.csv").rename(tmp_path / "two" / "b.csv")
    assert lineage(tmp_path / "two").sha256 != first


def test_a_folder_of_tables_is_read_under_its_own_lenders_name(tmp_path: Path) -> None:
    write_tables(tmp_path / "raw", {"applications": APPLICATIONS}, lender="simulated", dates="calendar")
    tables, dates = read("tables", tmp_path / "raw")
    assert tables["applications"].num_rows == 1
    assert dates == "calendar"
    assert whose("tables", tmp_path / "raw") == "simulated"
    assert not holds_canonical_files(tmp_path / "raw")


def test_files_named_after_tables_are_read(tmp_path: Path) -> None:
    APPLICATIONS.to_csv(tmp_path / "applications.csv", index=False)
    assert holds_canonical_files(tmp_path)
    assert read("tables", tmp_path)[0]["applications"].num_rows == 1
    assert whose("tables", tmp_path) == "tables"
    assert whose("home-credit", tmp_path) == "home_credit"


def test_an_unknown_lender_is_told_before_its_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no lender 'nobody'"):
        read("nobody", tmp_path)
