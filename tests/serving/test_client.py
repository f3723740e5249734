"""Requests made from tables: what was known at `applied_at`, corrections and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import RequestError, SourceError
from data_contracts.folder import TableFolder, write_tables
from data_contracts.messages import parse_request
from data_contracts.tables import EVENT_TABLES, TABLES
from features.batch import compute
from features.online import compile_plan
from features.sequences import from_folder, from_records
from features.sets import feature_set
from serving.client import request_from_tables, requests_from_tables
from tests.random_records import AS_OF, applicant, frames

PEOPLE = [applicant(np.random.default_rng(seed), seed) for seed in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TableFolder:
    """Random applicants; its name is one that readers of Parquet like to take for a column."""
    path = tmp_path_factory.mktemp("tables") / "product=cash" / "tables"
    return write_tables(path, frames(PEOPLE), lender="random", dates="calendar")


def test_a_request_holds_every_version_known_by_then(folder: TableFolder) -> None:
    assert set(folder.corrected) == {table.name for table in EVENT_TABLES}
    for (application, records), request in zip(PEOPLE, requests_from_tables(folder, folder_names()), strict=True):
        assert request.as_of == AS_OF == application["applied_at"]
        for name, rows in request.records().items():
            key = TABLES[name].row_key
            sent = sorted(tuple(row[column] for column in key) for row in rows or ())
            assert sent == sorted(tuple(r[c] for c in key) for r in records[name] if r["known_at"] <= AS_OF)


def folder_names() -> list[str]:
    return [application["application_id"] for application, _ in PEOPLE]


def test_a_request_gives_the_features_and_events_of_its_tables(folder: TableFolder) -> None:
    declared = feature_set("application_v1")
    matrix, events, plan = compute(folder, declared), from_folder(folder, 20), compile_plan(declared)
    for at, asked in enumerate(requests_from_tables(folder, folder_names())):
        request = parse_request(asked.model_dump_json(exclude_none=True))  # as it arrives
        online = plan.compute(request.application_record(), request.records(), request.as_of)
        np.testing.assert_allclose(online, matrix.iloc[at].to_numpy(), rtol=1e-9, atol=1e-9)
        alone = from_records(request.records(), request.as_of, 20)
        assert alone.values.tobytes() == events.take([at]).values.tobytes()
        assert alone.kind.tobytes() == events.take([at]).kind.tobytes()


def test_an_unknown_application_is_told(folder: TableFolder) -> None:
    with pytest.raises(RequestError, match="no application of that id; its table `applications` lists them"):
        request_from_tables(folder, "nobody")


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "tables", frames(PEOPLE[:1]), lender="random", dates="calendar")
    Path(folder.files("inquiries")[0]).write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"Table inquiries in .* cannot be read .* write it anew"):
        request_from_tables(folder, folder_names()[0])
