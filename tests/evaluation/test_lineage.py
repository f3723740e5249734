from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest

from data_contracts.intake import Lineage, accept
from evaluation.lineage import origin
from features.sets import feature_set


@pytest.fixture(scope="module")
def taken_in(trained, tmp_path_factory):
    """The lender's tables, come by an intake of which one inquiry is no good."""
    folder, _, bundle = trained
    tables = {name: folder.read_arrow(name) for name in folder.tables}
    inquiries = tables["inquiries"].to_pandas()
    inquiries.loc[0, "known_at"] = inquiries.loc[0, "occurred_at"].replace(year=1999)
    received = datetime(2100, 1, 1)
    receipt = accept(
        tmp_path_factory.mktemp("taken") / "tables",
        tables | {"inquiries": inquiries},
        lender="simulated",
        dates="relative",
        source=Lineage("2024 delivery", {"inquiries.csv": "ab" * 32}),
        received_at=received,
    )
    return receipt.folder, bundle


def test_what_the_simulator_writes_tells_no_source(trained):
    folder, _, bundle = trained
    found = origin(bundle, folder, "application")
    assert not found.told
    assert found.faults == ()
    by_name = {table.name: table for table in found.tables}
    assert by_name["inquiries"].kept_out is None
    assert by_name["inquiries"].rows == folder.rows("inquiries")
    assert by_name["inquiries"].sha256 == folder.hashes["inquiries"]


def test_an_intake_tells_source_and_faults(taken_in):
    folder, bundle = taken_in
    found = origin(bundle, folder, "application")
    assert found.told
    (batch,) = found.batches
    assert batch.source["name"] == "2024 delivery"
    by_name = {table.name: table for table in found.tables}
    assert by_name["inquiries"].kept_out == 1
    assert by_name["applications"].kept_out == 0
    assert [(fault.table, fault.rows) for fault in found.faults if fault.level == "reject"] == [("inquiries", 1)]


def test_which_tables_the_model_reads_and_may_read(trained):
    folder, _, bundle = trained
    by_name = {table.name: table for table in origin(bundle, folder, "application").tables}
    assert by_name["inquiries"].features > 10
    assert by_name["inquiries"].consent
    assert by_name["inquiries"].allowed
    assert not by_name["outcomes"].used
    assert not by_name["outcomes"].allowed
    assert origin(bundle, folder, "application").refused == ()
    at_collection = {table.name for table in origin(bundle, folder, "collection").refused}
    assert {"inquiries", "transactions"} <= at_collection
    assert "loans" not in at_collection


def test_a_model_without_a_sequence_net_hears_no_events(trained):
    folder, _, _ = trained
    silent = SimpleNamespace(feature_set=feature_set("application_v1"), model=SimpleNamespace(parts_={}))
    assert not any(table.heard for table in origin(silent, folder, "application").tables)
