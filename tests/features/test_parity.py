"""One declaration, one number: batch equals online, the future is never seen, row order means nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.folder import Dates, TableFolder, write_tables
from data_contracts.tables import EVENT_TABLES, TABLES
from features import batch
from features.algebra import US_PER_DAY
from features.online import Plan, compile_plan
from features.sequences import EventSequences, from_folder, from_records
from features.sets import feature_set
from tests.random_records import AS_OF, applicant, frames

SET = feature_set("application_v1")
LENGTH = 40
US = timedelta(microseconds=1)
Applicant = tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(SET)


def people(seed: int, number: int = 300) -> list[Applicant]:
    """Applicants with at most 2, 12 or 40 records a table."""
    rng = np.random.default_rng(seed)
    return [applicant(rng, at, most=(2, 12, 12, 12, 40)[at % 5]) for at in range(number)]


def online(plan: Plan, applicants: list[Applicant], absent: tuple[str, ...] = ()) -> npt.NDArray[np.float64]:
    return np.stack(
        [plan.compute(row, {k: v for k, v in records.items() if k not in absent}, AS_OF) for row, records in applicants]
    )


@contextmanager
def written(tables: dict[str, pd.DataFrame], dates: Dates = "relative") -> Iterator[TableFolder]:
    """Tables on disk: a file each, or with real dates a file a month."""
    with TemporaryDirectory() as place:
        yield write_tables(Path(place) / "tables", tables, lender="random", dates=dates)


def differences(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Features that differ, with a pair of values: by 1e-9 of the value, or of 1 where it is smaller."""
    far = np.abs(left - right) > 1e-9 * np.maximum(1.0, np.abs(right))
    far |= np.isnan(left) != np.isnan(right)
    found = {}
    for column in np.flatnonzero(far.any(axis=0)):
        row = int(np.argmax(far[:, column]))
        found[SET.names[column]] = (float(left[row, column]), float(right[row, column]))
    return found


def token_bytes(sequences: EventSequences) -> tuple[bytes, bytes, bytes]:
    return sequences.source.tobytes(), sequences.kind.tobytes(), sequences.values.tobytes()


@pytest.mark.parametrize("seed", [11, 12])
def test_batch_equals_online(plan: Plan, seed: int) -> None:
    applicants = people(seed)
    with written(frames(applicants), "calendar" if seed == 11 else "relative") as folder:
        matrix = batch.compute(folder, SET)
    assert matrix.index.tolist() == [row["application_id"] for row, _ in applicants]
    assert matrix.columns.tolist() == list(SET.names)
    assert set(matrix.dtypes) == {np.dtype("float64")}
    assert differences(matrix.to_numpy(), online(plan, applicants)) == {}


def test_random_records_correct_every_table() -> None:
    """The guard of this file: where nothing is corrected, nothing is shown of corrections."""
    with written(frames(people(18, number=60))) as folder:
        assert set(folder.corrected) == {table.name for table in EVENT_TABLES}


def test_the_same_tables_give_the_same_bits_each_time() -> None:
    """Months are files, which threads read in an order of chance."""
    with written(frames(people(19)), "calendar") as folder:
        matrices = {batch.compute(folder, SET).to_numpy().tobytes() for _ in range(2)}
    assert len(matrices) == 1


def test_random_records_reach_every_feature(plan: Plan) -> None:
    values = online(plan, people(13))
    given_somewhere = ~np.isnan(values).all(axis=0)
    varied = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T])
    dull = [name for name, ok in zip(SET.names, given_somewhere & varied, strict=True) if not ok]
    assert set(dull) <= {"application_hour"}  # all apply at one moment


@pytest.mark.parametrize("absent", [("payments",), ("tradelines", "transactions"), tuple(t.name for t in EVENT_TABLES)])
def test_batch_equals_online_where_the_lender_lacks_tables(plan: Plan, absent: tuple[str, ...]) -> None:
    applicants = people(14, number=60)
    tables = {name: frame for name, frame in frames(applicants).items() if name not in absent}
    with written(tables) as folder:
        matrix = batch.compute(folder, SET).to_numpy()
    assert differences(matrix, online(plan, applicants, absent)) == {}
    lacking = [at for at, f in enumerate(SET.features) if f.name.startswith(f"{absent[0]}_")]
    assert lacking
    assert np.isnan(matrix[:, lacking]).all()


def test_many_moments_of_many_customers(plan: Plan) -> None:
    """Several applications of one customer, each with its own as_of, one of them before anything was known."""
    applicants = people(15, number=40)
    rows, expected = [], []
    for row, records in applicants:
        for back in (0, 45, 400, 5000):
            moment = AS_OF - timedelta(days=back)
            application = row | {"application_id": f"{row['application_id']}-{back:04d}", "applied_at": moment}
            rows.append(application)
            expected.append(plan.compute(application, records, moment))
    asked = pd.DataFrame(rows[::-1]).convert_dtypes(dtype_backend="numpy_nullable")
    tables = frames(applicants) | {"applications": asked}
    with written(tables) as folder:
        matrix = batch.compute(folder, SET)
    assert matrix.index.tolist() == [row["application_id"] for row in rows]
    assert differences(matrix.to_numpy(), np.stack(expected)) == {}


Rows = list[dict[str, Any]]
Change = Callable[[np.random.Generator, Rows, str], Rows]


def _without_what_is_later(_: np.random.Generator, rows: Rows, table: str) -> Rows:
    return [row for row in rows if row["known_at"] <= AS_OF]


def _with_more_of_the_future(rng: np.random.Generator, rows: Rows, table: str) -> Rows:
    """Copies with other values that become known after `as_of`: new records, new versions, payments of old ones."""
    key = TABLES[table].key[0]
    later = []
    for at, row in enumerate(rows):
        other = dict(row, known_at=AS_OF + int(rng.integers(1, 10)) * US)
        amounts = {name: 123_456 for name in row if name in ("amount", "balance", "paid")}
        same_key = rng.random() < 0.5
        later.append(other | amounts | ({} if same_key else {key: f"later-{at}"}))
    return rows + later


def _in_another_order(rng: np.random.Generator, rows: Rows, table: str) -> Rows:
    return [rows[at] for at in rng.permutation(len(rows))]


def _with_columns_in_another_order(_: np.random.Generator, rows: Rows, table: str) -> Rows:
    return [dict(reversed(row.items())) for row in rows]


@pytest.mark.parametrize(
    "change",
    [_without_what_is_later, _with_more_of_the_future, _in_another_order, _with_columns_in_another_order],
    ids=lambda change: change.__name__.strip("_"),
)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_what_must_not_change_an_applicant(plan: Plan, change: Change, seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    application, records = applicant(rng, 0, most)
    changed = {table: change(rng, rows, table) for table, rows in records.items()}
    before, after = plan.compute(application, records, AS_OF), plan.compute(application, changed, AS_OF)
    assert differences(before[None], after[None]) == {}
    assert token_bytes(from_records(records, AS_OF, LENGTH)) == token_bytes(from_records(changed, AS_OF, LENGTH))


def test_the_future_does_not_change_a_batch() -> None:
    rng, applicants = np.random.default_rng(5), people(16, number=60)
    later = [
        (row, {name: _with_more_of_the_future(rng, rows, name) for name, rows in records.items()})
        for row, records in applicants
    ]
    with written(frames(applicants)) as folder:
        before, tokens_before = batch.compute(folder, SET), from_folder(folder, LENGTH)
    with written(frames(later)) as folder:
        after, tokens_after = batch.compute(folder, SET), from_folder(folder, LENGTH)
    assert differences(before.to_numpy(), after.to_numpy()) == {}
    assert token_bytes(tokens_before) == token_bytes(tokens_after)


def test_a_plan_keeps_nothing_from_one_applicant_to_the_next(plan: Plan) -> None:
    first, second = people(17, number=2)
    alone = plan.compute(*first, AS_OF)
    plan.compute(*second, AS_OF)
    assert plan.compute(*first, AS_OF).tobytes() == alone.tobytes()


def test_a_record_at_the_edge_of_a_window_moves_with_as_of(plan: Plan) -> None:
    """The guard of this file: a shift of one microsecond is seen."""
    asked = {"inquiry_id": "q", "occurred_at": AS_OF - timedelta(days=30), "known_at": AS_OF - timedelta(days=30)}
    at = SET.names.index("inquiries_count_30d")
    assert plan.compute({}, {"inquiries": [asked]}, AS_OF)[at] == 0.0
    assert plan.compute({}, {"inquiries": [asked]}, AS_OF - US)[at] == 1.0


@pytest.mark.parametrize("seed", [21, 22])
def test_sequences_of_a_folder_equal_those_of_requests_bit_for_bit(seed: int) -> None:
    applicants = people(seed)
    with written(frames(applicants)) as folder:
        together = from_folder(folder, LENGTH)
    alone = [from_records(records, AS_OF, LENGTH) for _, records in applicants]
    assert len(together) == len(applicants)
    assert together.source.any()
    for name in ("source", "kind", "values"):
        stacked = np.concatenate([getattr(one, name) for one in alone])
        assert getattr(together, name).dtype == stacked.dtype
        assert getattr(together, name).tobytes() == stacked.tobytes(), name


def test_sequences_where_the_lender_lacks_tables() -> None:
    applicants = people(24, number=30)
    tables = frames(applicants)
    with written({name: tables[name] for name in ("applications", "inquiries", "payments")}) as folder:
        together = from_folder(folder, LENGTH)
    kept = [{k: records[k] for k in ("inquiries", "payments")} | {"transactions": None} for _, records in applicants]
    alone = [from_records(records, AS_OF, LENGTH) for records in kept]
    assert together.values.tobytes() == np.concatenate([one.values for one in alone]).tobytes()


def test_sequences_of_a_folder_without_events() -> None:
    with written({"applications": frames(people(25, number=3))["applications"]}) as folder:
        assert token_bytes(from_folder(folder, 5)) == token_bytes(EventSequences.empty(3, 5))


def test_days_are_counted_in_microseconds() -> None:
    assert timedelta(days=1) / US == US_PER_DAY
