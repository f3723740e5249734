"""What the lender learned after the decision changes nothing, and where it would, the audit finds it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder, write_tables
from data_contracts.tables import EVENT_TABLES, TABLES
from features import batch
from features.algebra import FeatureSet
from features.audit import Audit, audit
from features.checks import references
from features.sets import feature_set
from tests.command_line import refused, run
from tests.random_records import AS_OF, applicant, frames

DAY = timedelta(days=1)
WHOLE = feature_set("application_v1")
# All that is counted of inquiries: few, so that each audit here takes a moment.
INQUIRIES = FeatureSet("inquiries", 1, tuple(f for f in WHOLE.features if f.name.startswith("inquiries_count_30d")))


def inquiry(name: str, customer: str, occurred_at: datetime, known_at: datetime) -> dict[str, Any]:
    event = {"inquiry_id": name, "customer_id": customer, "occurred_at": occurred_at, "known_at": known_at}
    return event | {"reason": "loan_approval", "institution_kind": "bank"}


def application(name: str, customer: str, applied_at: datetime) -> dict[str, Any]:
    asked = {"application_id": name, "customer_id": customer, "applied_at": applied_at}
    return asked | {"product": "cash", "amount_requested": 100_000}


def written(
    place: Path, applications: list[dict[str, Any]], records: list[dict[str, Any]], table: str = "inquiries"
) -> TableFolder:
    tables = {
        "applications": pd.DataFrame(applications),
        table: pd.DataFrame(records, columns=list(TABLES[table].names)),
    }
    return write_tables(place / "tables", tables, lender="literal", dates="calendar")


@pytest.fixture
def folder(tmp_path: Path) -> TableFolder:
    """Two applications of one customer and one of another: what is news to the first is known to the second."""
    applications = [application("a1", "c", AS_OF), application("a2", "c", AS_OF + 10 * DAY)]
    inquiries = [
        inquiry("q1", "c", AS_OF - 5 * DAY, AS_OF - 5 * DAY),
        inquiry("q2", "c", AS_OF - 1 * DAY, AS_OF + 3 * DAY),
        inquiry("q3", "c", AS_OF + 20 * DAY, AS_OF + 20 * DAY),
        inquiry("q4", "d", AS_OF - 1 * DAY, AS_OF - 1 * DAY),
    ]
    return written(tmp_path, [*applications, application("a3", "d", AS_OF)], inquiries)


def forgets_when_it_learned(folder: TableFolder, declared: FeatureSet) -> pd.DataFrame:
    """The commonest leak there is: a record counts from the moment it happened, not from when the lender learned it."""
    tables = {name: folder.read(name) for name in folder.tables}
    for name in {table.name for table in EVENT_TABLES} & tables.keys():
        tables[name]["known_at"] = tables[name]["occurred_at"]
    with TemporaryDirectory() as place:
        return batch.compute(write_tables(Path(place) / "leaky", tables, lender="leaky", dates=folder.dates), declared)


def test_an_audit_counts_what_it_removed_and_finds_nothing(folder: TableFolder) -> None:
    found = audit(folder, INQUIRIES)
    # a1 sees q1 of three, a2 sees q1 and q2 of three, a3 all of its own
    assert found == Audit(rows=3, features=1, records=7, records_removed=3, differences=[])


def test_a_planted_leak_is_found_with_its_example(folder: TableFolder) -> None:
    found = audit(folder, INQUIRIES, compute=forgets_when_it_learned)
    (leak,) = found.differences
    # only a1 is early enough not to know q2
    assert (leak.feature, leak.engine, leak.rows) == ("inquiries_count_30d", "batch", 1)
    assert (leak.application_id, leak.with_future, leak.without_future) == ("a1", 2.0, 1.0)
    assert found.to_dict()["differences"][0]["with_future"] == 2.0


def test_a_leak_into_what_was_missing_is_found(tmp_path: Path) -> None:
    recency = FeatureSet("recency", 1, tuple(f for f in WHOLE.features if f.name == "inquiries_days_since"))
    late = [inquiry("q", "c", AS_OF - 2 * DAY, AS_OF + DAY)]
    found = audit(written(tmp_path, [application("a", "c", AS_OF)], late), recency, compute=forgets_when_it_learned)
    (leak,) = found.differences
    assert leak.with_future == 2.0
    assert np.isnan(leak.without_future)
    assert found.to_dict()["differences"][0]["without_future"] is None


def test_an_online_engine_that_sees_otherwise_is_named(folder: TableFolder) -> None:
    def counts_one_more(tables: TableFolder, declared: FeatureSet) -> pd.DataFrame:
        return batch.compute(tables, declared) + 1.0

    found = audit(folder, INQUIRIES, compute=counts_one_more).differences
    assert [(one.engine, one.rows, one.with_future, one.without_future) for one in found] == [("online", 3, 1.0, 2.0)]


def test_a_payment_moved_to_another_instalment_later_stays_where_it_was_known_to_be(tmp_path: Path) -> None:
    """Corrections and children: without the later version the first instalment counts as paid, as it did then."""
    event = {"customer_id": "c", "loan_id": "l", "occurred_at": AS_OF - 100 * DAY, "known_at": AS_OF - 100 * DAY}
    due = [
        event | {"instalment_id": f"n{k}", "number": k, "amount_due": 100, "due_at": AS_OF - k * DAY} for k in (1, 2)
    ]
    paid = event | {"payment_id": "p", "instalment_id": "n1", "occurred_at": AS_OF - 3 * DAY, "amount": 100}
    payments = [paid | {"known_at": AS_OF - 3 * DAY}, paid | {"instalment_id": "n2", "known_at": AS_OF + DAY}]
    tables = {
        "applications": pd.DataFrame([application("a", "c", AS_OF)]),
        "instalments": pd.DataFrame(due),
        "payments": pd.DataFrame(payments),
    }
    folder = write_tables(tmp_path / "tables", tables, lender="literal", dates="relative")
    declared = FeatureSet(
        "own", 1, tuple(f for f in WHOLE.features if f.group == "repayment" and not references(f.value))
    )
    found = audit(folder, declared)
    assert (found.records, found.records_removed, found.differences) == (4, 1, [])
    assert audit(folder, declared, compute=forgets_when_it_learned).differences


def test_what_was_known_to_come_is_removed_too(tmp_path: Path) -> None:
    """An instalment that is scheduled and not yet due: an engine that took it for due would be found out."""
    event = {"customer_id": "c", "loan_id": "l", "occurred_at": AS_OF - 9 * DAY, "known_at": AS_OF - 9 * DAY}
    due = [event | {"instalment_id": f"n{k}", "number": k, "amount_due": 1, "due_at": AS_OF + k * DAY} for k in (-1, 1)]
    tables = {"applications": pd.DataFrame([application("a", "c", AS_OF)]), "instalments": pd.DataFrame(due)}
    folder = write_tables(tmp_path / "tables", tables, lender="literal", dates="relative")
    found = audit(folder, WHOLE)
    assert (found.records, found.records_removed, found.differences) == (2, 1, [])


def test_the_command_tells_what_it_found_and_warns_where_there_was_no_future(
    folder: TableFolder, tmp_path: Path
) -> None:
    ran = run("--json", "features", "--audit", "--data", folder.path, "--sample", 9, "--out", tmp_path / "audit.json")
    assert ran.code == 0, ran
    facts = ran.facts
    assert (facts["rows"], facts["records_removed"], facts["differences"]) == (3, 3, [])
    assert "warning" not in facts
    assert json.loads((tmp_path / "audit.json").read_text()) == facts
    known = [inquiry("q", "c", AS_OF - DAY, AS_OF - DAY)]
    timeless = written(tmp_path / "timeless", [application("a", "c", AS_OF)], known)
    assert "no future to remove" in run("--json", "features", "--audit", "--data", timeless.path).facts["warning"]
    assert "--data" in refused("features", "--audit", code=2)


def test_a_sample_is_spread_over_time_and_drawn_again_by_its_seed(tmp_path: Path) -> None:
    applications = [application(f"a{day:02d}", f"c{day:02d}", AS_OF + day * DAY) for day in range(40)]
    inquiries = [inquiry(f"q{day}", f"c{day:02d}", AS_OF, AS_OF + (day + 1) * DAY) for day in range(40)]
    folder = written(tmp_path, applications, inquiries)

    def drawn(seed: int) -> list[str]:
        asked: list[str] = []

        def noting(tables: TableFolder, declared: FeatureSet) -> pd.DataFrame:
            matrix = batch.compute(tables, declared)
            asked.extend(matrix.index)
            return matrix

        assert audit(folder, INQUIRIES, sample=4, seed=seed, compute=noting).records_removed == 4
        return asked[:4]

    first = drawn(1)
    assert [int(name[1:]) // 10 for name in first] == [0, 1, 2, 3]
    assert drawn(1) == first
    assert drawn(2) != first


def test_a_lender_without_a_table_and_one_without_applications(tmp_path: Path) -> None:
    late = [inquiry("q", "c", AS_OF - DAY, AS_OF + DAY)]
    assert audit(written(tmp_path / "a", [application("a", "c", AS_OF)], late), WHOLE).differences == []
    nobody = pd.DataFrame(columns=list(TABLES["applications"].names))
    empty = write_tables(tmp_path / "b" / "tables", {"applications": nobody}, lender="literal", dates="relative")
    with pytest.raises(SourceError, match="nothing to audit"):
        audit(empty, WHOLE)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=2, deadline=None)
def test_removing_the_future_of_random_applicants_changes_no_feature(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = [applicant(rng, number, most=(2, 12, 40)[number % 3]) for number in range(60)]
    with TemporaryDirectory() as place:
        folder = write_tables(Path(place) / "tables", frames(people), lender="random", dates="calendar")
        found = audit(folder, WHOLE)
    assert found.rows == 60
    assert found.records_removed > 100
    assert found.differences == []
