"""Raw events as sequences of tokens, for the sequence net: the order and timing that aggregates lose.

The same NumPy code makes the tokens of a whole folder and of one request, so both give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from features.algebra import US_PER_DAY
from features.versions import newest, without_superseded


@dataclass(frozen=True)
class TokenSource:
    """How the records of a table become tokens: their time, and which columns give kind, amount and state."""

    table: str
    kind: str | None = None
    amount: str | None = None
    state: str | None = None
    state_unit: float = 1.0
    time: str = "occurred_at"


TOKEN_SOURCES = (
    TokenSource("tradelines", kind="kind", amount="amount", state="overdue_days", state_unit=30.0),
    TokenSource("tradeline_months", kind="status", amount="balance", state="overdue_bucket"),
    TokenSource("inquiries", kind="institution_kind"),
    TokenSource("transactions", kind="category", amount="amount"),
    TokenSource("card_months", kind="status", amount="balance", state="dpd", state_unit=30.0),
    TokenSource("loan_months", kind="status", state="dpd", state_unit=30.0),
    TokenSource("instalments", amount="amount_due", time="due_at"),
    TokenSource("payments", amount="amount"),
)
SOURCES = tuple(source.table for source in TOKEN_SOURCES)
KINDS = tuple(
    f"{source.table}:{category}"
    for source in TOKEN_SOURCES
    if source.kind
    for category in TABLES[source.table].column(source.kind).categories
)
_KIND_NUMBERS = {kind: at + 1 for at, kind in enumerate(KINDS)}
_MOST_STATE = 6.0


@dataclass(frozen=True)
class EventSequences:
    """The last events of each applicant before `as_of`, oldest first, padded at the front.

    Parameters
    ----------
    source : ndarray of int64, shape (n, length)
        0 is padding, k is `sources[k - 1]`.
    kind : ndarray of int64, shape (n, length)
        0 is padding or unknown, k is `kinds[k - 1]` (a source and a category of it).
    values : ndarray of float32, shape (n, length, 3)
        log1p of days before `as_of`, log1p of the amount in CNY (0 where there is none), state (overdue bucket or
        days past due over 30, at most 6; 0 where there is none).
    sources, kinds : tuple of str
        What the numbers mean.
    """

    source: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    sources: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> EventSequences:
        """Sequences of the given rows, in that order."""
        return EventSequences(self.source[rows], self.kind[rows], self.values[rows], self.sources, self.kinds)

    @classmethod
    def empty(cls, n: int, length: int) -> EventSequences:
        """Sequences of `n` applicants of whom no event is known."""
        numbers = np.zeros((n, length), dtype=np.int64)
        return cls(numbers, numbers.copy(), np.zeros((n, length, 3), dtype=np.float32), SOURCES, KINDS)


def from_folder(folder: TableFolder, length: int) -> EventSequences:
    """The last `length` events of every application of a folder, in ascending order of `application_id`."""
    import duckdb

    parts = [
        _select(folder, number, source)
        for number, source in enumerate(TOKEN_SOURCES, start=1)
        if source.table in folder.tables
    ]
    with connect(threads=2, memory_limit="2GB") as connection:
        try:
            connection.execute(
                "create temp table apps as select customer_id, applied_at as as_of, "
                "row_number() over (order by application_id) - 1 as row "
                f"from {folder.scan('applications')}"
            )
            found = connection.execute("select count(*) from apps").fetchone()
            sequences = EventSequences.empty(found[0] if found else 0, length)
            if parts:
                query = (
                    f"select *, row_number() over (partition by row order by age, source desc, key desc) - 1 as back "
                    f"from ({' union all '.join(parts)}) where age >= 0 qualify back < {length}"
                )
                _fill(sequences, connection.execute(query).fetchnumpy())
        except duckdb.Error as fault:
            raise SourceError(f"The tables in {folder.path} cannot be read ({fault}).") from fault
    return sequences


def from_records(
    records: Mapping[str, Sequence[Mapping[str, Any]] | None], as_of: datetime, length: int
) -> EventSequences:
    """The last `length` events of one applicant; of each record its newest version known at `as_of`."""
    tokens = []
    for number, source in enumerate(TOKEN_SOURCES, start=1):
        table = TABLES[source.table]
        key = table.key[0]
        for row in newest(records.get(source.table) or (), itemgetter(*table.key), as_of):
            if row[source.time] <= as_of:
                age = as_of - row[source.time]
                tokens.append(
                    (
                        (age.days * 86_400 + age.seconds) * 1_000_000 + age.microseconds,
                        -number,
                        row[key],
                        _KIND_NUMBERS.get(f"{source.table}:{row.get(source.kind)}", 0) if source.kind else 0,
                        row.get(source.amount) if source.amount else None,
                        _over(row.get(source.state), source.state_unit) if source.state else None,
                    )
                )
    # Two passes: keys are strings and want descending order, the rest ascending.
    tokens.sort(key=lambda token: token[2], reverse=True)
    tokens.sort(key=lambda token: token[:2])
    sequences = EventSequences.empty(1, length)
    last = tokens[:length]
    if last:
        ages, numbers, _, kinds, amounts, states = zip(*last, strict=True)
        columns = {
            "row": 0,
            "age": ages,
            "source": [-number for number in numbers],
            "kind": kinds,
            "amount": amounts,
            "state": states,
            "back": range(len(last)),
        }
        _fill(sequences, columns)
    return sequences


def _select(folder: TableFolder, number: int, source: TokenSource) -> str:
    table = TABLES[source.table]
    kind = f"map_extract_value({_numbers(source)}, t.{source.kind})" if source.kind else "0"
    amount = f"t.{source.amount}" if source.amount else "null"
    state = f"t.{source.state} / {source.state_unit}" if source.state else "null"
    return (
        f"select row, date_diff('microsecond', t.{source.time}, as_of) as age, {number} as source, "
        f"t.{table.key[0]} as key, coalesce({kind}, 0)::bigint as kind, {amount}::double as amount, "
        f"{state}::double as state "
        f"from apps join {folder.scan(table.name)} as t using (customer_id) {without_superseded(folder, table)}"
        f"where t.known_at <= as_of"
    )


def _numbers(source: TokenSource) -> str:
    """The numbers of a source's kinds as a DuckDB map."""
    own = {kind.split(":", 1)[1]: at for kind, at in _KIND_NUMBERS.items() if kind.startswith(f"{source.table}:")}
    return "map {" + ", ".join(f"'{kind}': {at}" for kind, at in own.items()) + "}"


def _over(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _fill(sequences: EventSequences, tokens: Mapping[str, Any]) -> None:
    """Write tokens into their rows; `back` counts from the newest event."""
    length = sequences.source.shape[1]
    at = (np.asarray(tokens["row"]), length - 1 - np.asarray(tokens["back"]))
    sequences.source[at] = np.asarray(tokens["source"])
    sequences.kind[at] = np.asarray(tokens["kind"])
    days = np.asarray(tokens["age"], dtype=np.float64) / US_PER_DAY
    amount = np.maximum(_or_zero(tokens["amount"]), 0.0) / 100.0
    state = _or_zero(tokens["state"])
    values = np.stack([np.log1p(days), np.log1p(amount), np.clip(state, 0.0, _MOST_STATE)], axis=-1)
    sequences.values[at] = values.astype(np.float32)


def _or_zero(values: Any) -> npt.NDArray[np.float64]:
    """Floats with 0 where a value is missing, from lists with None and from masked arrays."""
    filled = values.filled(np.nan) if isinstance(values, np.ma.MaskedArray) else values
    return np.nan_to_num(np.asarray(filled, dtype=np.float64))
