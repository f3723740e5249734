"""Planted faults: what was changed is in the key, nothing else was touched, and the key is honest about what shows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder, write_tables
from lenders.simulated import simulate
from lenders.simulated.faults import FAULTS, Planted, damage, plant
from lenders.simulated.faults.case import put, whole_tables

ROWS = [name for name, fault in FAULTS.items() if fault.level == "row"]
BATCHES = [name for name, fault in FAULTS.items() if fault.level == "batch"]


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return whole_tables(simulate(customers=250, months=18, seed=4).tables)


def test_there_are_as_many_kinds_as_promised_and_each_says_what_it_is() -> None:
    assert len(FAULTS) >= 60
    assert all(fault.en and fault.zh and fault.detectable for fault in FAULTS.values())
    assert all((fault.change is None) == (fault.level == "file") for fault in FAULTS.values())


@pytest.mark.parametrize("kind", ROWS)
def test_the_key_names_exactly_the_rows_that_were_changed(tables: dict[str, pa.Table], kind: str) -> None:
    planted = plant(tables, kind, rate=0.01, seed=1)
    assert planted.rows, f"{kind} found no occasion"
    for name, table in planted.tables.items():
        before, rows = tables[name], planted.rows.get(name, np.array([], np.int64))
        length = before.num_rows
        same = [i for i in range(length) if i not in set(rows.tolist())]
        assert table.take(same).equals(before.take(same))
        assert set(range(length, table.num_rows)) <= set(rows.tolist())
        assert set(planted.detectable.get(name, rows).tolist()) <= set(rows.tolist())
        if kind != "conflicting_record":  # of a pair the first is as it was
            assert not any(table.slice(i, 1).equals(before.slice(i, 1)) for i in rows.tolist() if i < length)


@pytest.mark.parametrize("kind", ROWS)
def test_rates_are_kept(tables: dict[str, pa.Table], kind: str) -> None:
    for name, rows in plant(tables, kind, rate=0.01, seed=1).rows.items():
        pairs = 2 if kind == "conflicting_record" else 1
        assert 1 <= len(rows) <= pairs * max(round(0.01 * tables[name].num_rows), 1)


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_fault_changes_the_named_tables_alone(tables: dict[str, pa.Table], kind: str) -> None:
    (name, *_) = FAULTS[kind].tables
    planted = plant(tables, kind, rate=1.0, seed=1, within=(name,))
    assert list(planted.rows) == [name]
    assert not planted.tables[name].equals(tables[name])
    assert all(planted.tables[other] is not None and planted.tables[other].equals(table)
               for other, table in tables.items() if other != name)  # fmt: skip


def test_the_same_seed_plants_the_same_faults_and_another_seed_others(tables: dict[str, pa.Table]) -> None:
    first, again, other = (plant(tables, "missing_field", rate=0.01, seed=seed) for seed in (5, 5, 6))
    assert _rows(first) == _rows(again) != _rows(other)
    assert all(first.tables[name].equals(again.tables[name]) for name in tables)


def test_swapped_days_are_detectable_only_where_they_contradict() -> None:
    """Learned a day after; 12 January is never spoilt to itself, and 31 is no month."""
    days = ["2024-07-03", "2024-03-07", "2024-07-07", "2024-07-31"]
    occurred = np.array(days, dtype="datetime64[us]") + np.timedelta64(4, "h")  # noon in China
    sound = {
        "inquiries": pa.table({
            "inquiry_id": ["a", "b", "c", "d"], "customer_id": ["x"] * 4,
            "occurred_at": occurred, "known_at": occurred + np.timedelta64(1, "D"),
            "reason": ["self"] * 4, "institution_kind": ["bank"] * 4,
        })
    }  # fmt: skip
    planted = plant(sound, "swapped_day_month", rate=1.0, seed=1)
    assert planted.rows["inquiries"].tolist() == [0, 1]
    assert planted.tables["inquiries"]["occurred_at"].to_pylist()[:2] == [
        datetime(2024, 3, 7, 4),  # four months before it was learned, where a day is usual
        datetime(2024, 7, 3, 4),  # after it was learned
    ]
    assert planted.detectable["inquiries"].tolist() == [0, 1]


def test_local_time_is_not_detectable_where_it_was_learned_later_still() -> None:
    occurred = np.array(["2024-07-03", "2024-07-03"], dtype="datetime64[us]")
    sound = {
        "inquiries": pa.table({
            "inquiry_id": ["a", "b"], "customer_id": ["x"] * 2, "occurred_at": occurred,
            "known_at": occurred + np.array([7, 9], dtype="timedelta64[h]"),
            "reason": ["self"] * 2, "institution_kind": ["bank"] * 2,
        })
    }  # fmt: skip
    planted = plant(sound, "local_time_for_utc", rate=1.0, seed=1)
    assert planted.rows["inquiries"].tolist() == [0, 1]
    assert planted.detectable["inquiries"].tolist() == [0]


def test_a_salary_alone_contradicts_nothing() -> None:
    def paid(months: int) -> dict[str, pa.Table]:
        day = np.array(["2024-01-15"], dtype="datetime64[us]") + np.arange(months) * np.timedelta64(30, "D")
        texts = {"direction": "in", "category": "salary", "channel": "transfer", "counterparty_kind": "employer"}
        return {
            "transactions": pa.table({
                "transaction_id": [f"t{k}" for k in range(months)], "customer_id": ["x"] * months,
                "occurred_at": day, "known_at": day, "amount": [800_000] * months,
                **{name: [value] * months for name, value in texts.items()},
            })
        }  # fmt: skip

    few, enough = (plant(paid(months), "wrong_unit", rate=0.1, seed=1) for months in (3, 4))
    assert [len(few.rows["transactions"]), len(few.detectable["transactions"])] == [1, 0]
    assert [len(enough.rows["transactions"]), len(enough.detectable["transactions"])] == [1, 1]


@pytest.mark.parametrize("kind", [name for name, fault in FAULTS.items() if fault.level == "file"])
def test_a_damaged_folder_is_refused(tables: dict[str, pa.Table], kind: str, tmp_path: Path) -> None:
    write_tables(tmp_path / "tables", {"loans": tables["loans"]}, lender="simulated", dates="calendar")
    damaged = damage(tmp_path / "tables", kind, seed=3)
    assert damaged.parent.name == "loans"
    with pytest.raises(SourceError, match=damaged.name):
        TableFolder.open(tmp_path / "tables").files("loans")


@pytest.mark.parametrize("kind", ["no_such_fault", "truncated_file"])
def test_a_kind_that_cannot_be_planted_is_told(tables: dict[str, pa.Table], kind: str) -> None:
    with pytest.raises(SourceError, match=rf"'{kind}' can be planted.*sign_flip"):
        plant(tables, kind, rate=0.01, seed=1)


def test_damage_needs_a_fault_of_files_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No fault 'sign_flip' damages files.*truncated_file"):
        damage(tmp_path, "sign_flip", seed=1)
    with pytest.raises(SourceError, match="holds no Parquet file"):
        damage(tmp_path, "truncated_file", seed=1)


def test_put_replaces_in_order_and_keeps_the_rest() -> None:
    table = pa.table({"a": pa.array([1, 2, 3, 4]), "b": ["w", "x", "y", "z"]})
    spoilt = put(table, "a", np.array([1, 3]), np.array([20, 40]))
    assert spoilt["a"].to_pylist() == [1, 20, 3, 40]
    assert put(spoilt, "b", np.array([0, 2]), None)["b"].to_pylist() == [None, "x", None, "z"]
    assert table["a"].to_pylist() == [1, 2, 3, 4]


def _rows(planted: Planted) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in planted.rows.items()}
