"""The contracts find planted faults and little else: `benchmarks.faults`, small.

Each kind is planted into the records of its own customers, so that one judgement answers for all of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.faults import RECEIVED_AT as RECEIVED
from benchmarks.faults import Delivery, Score, Tables, deliver, file_score, refused, reported, summary
from data_contracts.monthly import monthly_deliveries
from lenders.simulated import simulate
from lenders.simulated.faults import FAULTS, plant

ROWS = [name for name, fault in FAULTS.items() if fault.level == "row"]
BATCHES = [name for name, fault in FAULTS.items() if fault.level == "batch"]
CUSTOMERS = 1_000


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Delivery, Delivery]:
    """Half a year for faults in rows, a month for faults of a whole table."""
    tables = simulate(CUSTOMERS, 36, seed=5).tables
    months = [(came, part) for _, came, part in monthly_deliveries(tables, RECEIVED)]
    folder = tmp_path_factory.mktemp("accepted")
    return deliver(months, 20, 26, folder / "half"), deliver(months, 25, 26, folder / "month")


def test_faults_in_rows_are_found_and_sound_rows_pass(deliveries: tuple[Delivery, Delivery]) -> None:
    half, _ = deliveries
    kinds = {kind: _of_customers(half.tables, number) for number, kind in enumerate(ROWS)}
    planted = {kind: plant(tables, kind, rate=0.02, seed=3, accepted=half.before) for kind, tables in kinds.items()}
    whole: Tables = {
        name: pa.concat_tables([each.tables[name] for each in planted.values() if name in each.tables])
        for name in half.tables
    }
    found = reported(half.judge(whole))
    starts = dict.fromkeys(whole, 0)
    scores, faulty = {}, {name: np.array([], np.int64) for name in whole}
    for kind, each in planted.items():
        score = Score("row")
        for name in each.rows:
            rows, detectable = starts[name] + each.rows[name], starts[name] + each.detectable[name]
            faulty[name] = np.union1d(faulty[name], rows)
            score += Score("row", len(rows), len(detectable), int(np.isin(detectable, found.get(name, [])).sum()))
        for name in each.tables:
            starts[name] += each.tables[name].num_rows
        scores[kind] = score
    assert sum(score.detectable > 0 for score in scores.values()) >= 36
    assert {kind for kind, score in scores.items() if score.recall < 0.9} == set()
    assert summary(scores)["recall"] >= 0.99
    told = sum(len(rows) for rows in found.values())
    false = sum(int((~np.isin(rows, faulty[name])).sum()) for name, rows in found.items())
    assert told > 300
    assert false <= 0.01 * told


def test_a_sound_month_is_not_refused(deliveries: tuple[Delivery, Delivery]) -> None:
    _, month = deliveries
    assert refused(month.judge(month.tables), month.tables) == set()


@pytest.mark.parametrize("kind", BATCHES)
def test_a_faulty_table_is_refused_and_no_other(deliveries: tuple[Delivery, Delivery], kind: str) -> None:
    """In the largest table, as few rows tell no distribution from another."""
    _, month = deliveries
    name = "transactions" if "transactions" in FAULTS[kind].tables else "tradeline_months"
    planted = plant(month.tables, kind, rate=1.0, seed=3, accepted=month.before, within=(name,))
    beside = {other: planted.tables[other] for other in (name, "tradelines", "applications", "consents")}
    assert refused(month.judge(beside), beside) == {name}


@pytest.mark.parametrize("kind", [name for name, fault in FAULTS.items() if fault.level == "file"])
def test_damaged_files_are_refused(deliveries: tuple[Delivery, Delivery], kind: str, tmp_path: Path) -> None:
    _, month = deliveries
    tables = {name: month.tables[name] for name in ("applications", "loans")}
    assert file_score(tables, kind, tmp_path / "tables", seed=3, times=3) == Score("file", 3, 3, 3, 3)


def _of_customers(tables: Tables, number: int) -> Tables:
    """Records of one part of the customers: as many parts as there are kinds."""
    found = {}
    for name, table in tables.items():
        digits = pc.cast(pc.utf8_slice_codeunits(table["customer_id"], 1), pa.int64()).to_numpy()
        found[name] = table.filter(pa.array(digits % len(ROWS) == number))
    return found
