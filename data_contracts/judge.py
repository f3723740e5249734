"""Tables judged against their contracts: which rows are kept out and why, and whether the whole batch is refused.

DuckDB only brings Great Expectations the rows: in pieces, so that millions of them need little memory, with whatever a
rule looks up in other rows and tables beside them, and for keys only the rows whose key is not plainly unique.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Rule, Table
from data_contracts.engine import connect
from data_contracts.errors import ContractError, SourceError
from data_contracts.experts import Experts
from data_contracts.findings import Finding, Tables, conform, shown
from data_contracts.folder import TableFolder, arrow_schema, arrow_to_pandas
from data_contracts.profile import Days, Profile, changes, profile
from data_contracts.suites import (
    ExpectationSuite,
    change_suite,
    column_suite,
    fresh_suite,
    generated_rules,
    key_suite,
    row_suite,
)
from data_contracts.tables import TABLES

ROWS_AT_ONCE = 500_000
EXAMPLES = 5
_RECEIVED = "9999-01-01"
_ABOUT_THE_WHOLE = ("fresh", "volume", "distribution")


@dataclass(frozen=True)
class Judgement:
    """What a check of tables against their contracts found.

    Parameters
    ----------
    findings : tuple of Finding
        Every rule that does not hold, by table.
    rejected, flagged : mapping of str to mapping of str to ndarray of int64
        By table and rule, the numbers of the rows (from 0) that break it.
    profiles : mapping of str to dict
        What each table looks like, for the next batch to be held against.
    """

    findings: tuple[Finding, ...]
    rejected: Mapping[str, Mapping[str, np.ndarray]]
    flagged: Mapping[str, Mapping[str, np.ndarray]]
    profiles: Mapping[str, Profile]

    def of(self, *levels: str) -> list[Finding]:
        """Findings of the given levels."""
        return [finding for finding in self.findings if finding.level in levels]


def judge(
    source: Path | TableFolder | Tables,
    *,
    accepted: TableFolder | None = None,
    received_at: datetime | None = None,
) -> Judgement:
    """Judge canonical tables, on disk or in memory, by their contracts.

    Parameters
    ----------
    source : Path, TableFolder or mapping of str to DataFrame or pyarrow.Table
        A folder of canonical tables, or the tables by name. In memory a nullable column may be left out and a type
        be another that holds the same values, as `write_tables` makes both good.
    accepted : TableFolder, optional
        What was accepted before: references and rules over several rows see it, and the last batch's profiles are what
        volume and distribution are held against.
    received_at : datetime, optional
        When the records came, UTC: nothing can be known later.

    Raises
    ------
    SourceError
        Where a folder or a file cannot be read.

    Examples
    --------
    >>> [finding.rule for finding in judge({"loan_months": pd.DataFrame({"loan_id": ["1"]})}).findings]
    ['columns', 'columns', 'columns', 'columns']
    """
    source = TableFolder.open(source) if isinstance(source, Path) else source
    names = source.tables if isinstance(source, TableFolder) else tuple(source)
    unknown = ", ".join(TABLES)
    findings = [
        Finding(name, "", "table", f"one of the canonical tables ({unknown})", f"规范表之一（{unknown}）", "batch", 0)
        for name in names
        if name not in TABLES
    ]
    findings += _not_delivered(source, accepted)
    with connect() as engine:
        bench = _Bench(engine, accepted, received_at)
        for name in names:
            if name in TABLES:
                findings += bench.admit(TABLES[name], source)
        bench.join_accepted()
        profiles = {}
        for name in bench.sound:
            try:
                findings += bench.table(TABLES[name])
                profiles[name] = bench.profiles.get(name, {})
            except duckdb.Error as fault:
                raise SourceError(f"Table {name} cannot be read ({fault}); write it anew.") from fault
    return Judgement(tuple(findings), bench.rejected, bench.flagged, profiles)


def _not_delivered(source: TableFolder | Tables, accepted: TableFolder | None) -> Iterator[Finding]:
    """Tables that came in earlier batches and do not now: a source is out, and its features grow old."""
    delivered = source.tables if isinstance(source, TableFolder) else tuple(source)
    for name in accepted.tables if accepted else ():
        there = name in delivered and (isinstance(source, TableFolder) or len(source[name]))
        if not there and accepted is not None and accepted.rows(name):
            yield Finding(name, "", "delivered", "delivered, as it was before", "如前次一样报送", "flag", 0)


def check_tables(source: Path | TableFolder | Tables) -> list[Finding]:
    """Every rule of the contracts that does not hold, flags among them; see `judge`."""
    return list(judge(source).findings)


def require_valid(source: Path | TableFolder | Tables) -> None:
    """Stop with one message that lists every finding, where canonical tables break their contracts; flags may be.

    Raises
    ------
    ContractError
        Naming for each finding the table, the column, the rule, how many rows and the first offending values.
    """
    findings = judge(source).of("batch", "reject")
    if findings:
        raise ContractError(
            f"The tables break their contract, {told(findings)}\n"
            "Mend these records where they come from, or the lender's mapping, and run the step again."
        )


def told(findings: Iterable[Finding]) -> str:
    """Findings as lines for people, the first with their number."""
    lines = [f"  {finding}" for finding in findings]
    return f"{len(lines)} rule{'s do' if len(lines) != 1 else ' does'} not hold:\n" + "\n".join(lines)


@dataclass
class _Bench:
    """The tables of one check, as views in one engine.

    A table `t` is there as `batch_t`, the rows to be judged with their number `_row`, and as `t`, these and all
    accepted ones; `sound` are the columns of each that can be checked further.
    """

    engine: duckdb.DuckDBPyConnection
    accepted: TableFolder | None
    received_at: datetime | None
    sound: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    flagged: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    visible: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._experts = Experts()
        received = f"TIMESTAMP '{self.received_at or _RECEIVED}'"
        self.engine.execute(f"CREATE TEMP TABLE moments AS SELECT {received} AS received_at")

    def admit(self, table: Table, source: TableFolder | Tables) -> list[Finding]:
        """Make a table a view, and find what is wrong with its columns."""
        if isinstance(source, TableFolder):
            self.rows[table.name] = source.rows(table.name)
            schema = pq.read_schema(source.files(table.name)[0])
            self.engine.execute(
                f"CREATE VIEW batch_{table.name} AS SELECT *, row_number() OVER () - 1 AS _row "
                f"FROM {source.scan(table.name)}"
            )
        else:
            arrow = conform(table, source[table.name])
            self.rows[table.name] = arrow.num_rows
            schema = arrow.schema
            numbers = pa.array(np.arange(arrow.num_rows))
            self.engine.register(f"batch_{table.name}", arrow.append_column("_row", numbers))
        findings = list(self._columns(table, schema))
        wrong = {finding.column for finding in findings}
        self.sound[table.name] = tuple(name for name in table.names if name in schema.names and name not in wrong)
        return findings

    def join_accepted(self) -> None:
        """Views over what is judged and what was accepted before, by the tables' own names."""
        before = self.accepted.tables if self.accepted else ()
        for name in TABLES:
            parts = []
            if name in self.sound:
                self.visible[name] = self.sound[name]
                parts.append(f"SELECT {', '.join(map(_name, self.sound[name])) or 'NULL'} FROM batch_{name}")
            if self.accepted and name in before:
                self.visible.setdefault(name, TABLES[name].names)
                parts.append(f"SELECT {', '.join(map(_name, self.visible[name]))} FROM {self.accepted.scan(name)}")
            if parts and self.visible[name]:
                self.engine.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")

    def table(self, table: Table) -> list[Finding]:
        """Check the rows of an admitted table."""
        have = self.sound[table.name]
        if not have:
            return []
        keyed = set(table.row_key) <= set(have)
        self._find_suspects(table, keyed)
        rules = [rule for rule in self._rules(table) if self._possible(table, rule)]
        findings = self._judge(table, row_suite(table, rules), self._pieces(table, rules))
        if keyed:
            suspects = self._frame(f"SELECT {_listed(table.row_key)}, _row FROM suspects WHERE copy = 0")
            findings += self._judge(table, key_suite(table), [suspects])
        findings += self._fresh(table)
        findings += self._changes(table)
        return self._in_order(table, findings)

    def _rules(self, table: Table) -> tuple[Rule, ...]:
        generated = generated_rules(table, consents="consents" in self.visible, received=self.received_at is not None)
        return generated + table.rules

    def _possible(self, table: Table, rule: Rule) -> bool:
        own = set(rule.columns) <= set(self.sound[table.name])
        return own and all(set(columns) <= set(self.visible.get(name, ())) for name, columns in rule.reads.items())

    def _find_suspects(self, table: Table, keyed: bool) -> None:
        """Rows whose key occurs more than once, by its hash; `copy` counts the rows before it with the same values."""
        have = _listed(self.sound[table.name])
        keys = f"hash({_listed(table.row_key)})" if keyed else "_row"
        view = f"batch_{table.name}"
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE suspects AS SELECT *, "
            f"row_number() OVER (PARTITION BY hash({have}) ORDER BY _row) - 1 AS copy FROM {view} "
            f"WHERE {keys} IN (SELECT h FROM (SELECT {keys} AS h FROM {view}) GROUP BY h HAVING count(*) > 1)"
        )
        self.engine.execute("CREATE OR REPLACE TEMP TABLE repeated AS SELECT _row FROM suspects WHERE copy > 0")

    def _fresh(self, table: Table) -> list[Finding]:
        newest = self._newest("applications", "applied_at")
        latest = self._newest(table.name, "known_at")
        if table.fresh_days is None or newest is None or latest is None:
            return []
        stale = self._judge(table, fresh_suite(table, newest), [pd.DataFrame({"known_at": [latest]})])
        return [replace(finding, rows=self.rows[table.name], examples=(str(latest),)) for finding in stale]

    def _changes(self, table: Table) -> list[Finding]:
        before = self._last_profile(table.name)
        learned = "known_at" if "known_at" in table.names else "applied_at"
        if learned not in self.sound[table.name] or not (self.rows[table.name] or before):
            return []
        self.engine.execute(
            f"CREATE OR REPLACE TEMP VIEW judged AS SELECT {_listed(self.sound[table.name])} FROM batch_{table.name}"
        )
        if self.rows[table.name]:
            self.profiles[table.name] = profile(self.engine, "judged", table, self.days)
        if before is None:
            return []
        now = profile(self.engine, "judged", table, self.days, like=before)
        measured = list(changes(before, now, table))
        row = pd.DataFrame({f"{rule}:{column}": [value] for column, rule, value, *_ in measured})
        limits = [(column, rule, *rest) for column, rule, _, *rest in measured]
        found = self._judge(table, change_suite(table, limits), [row])  # type: ignore[arg-type]
        values = {(column, rule): value for column, rule, value, *_ in measured}
        return [
            replace(finding, rows=self.rows[table.name], examples=(f"{values[finding.column, finding.rule]:.3g}",))
            for finding in found
        ]

    @cached_property
    def days(self) -> Days:
        """What is recent in these tables; made-up dates have no days that mean anything."""
        if self.accepted is not None and self.accepted.dates == "relative":
            return Days()
        starts, ends = [], []
        for name, columns in self.sound.items():
            learned = "known_at" if "known_at" in TABLES[name].names else "applied_at"
            if learned in columns:
                told = f"{learned} <= (SELECT received_at FROM moments)"
                ((first, last),) = self.engine.sql(
                    f"SELECT min({learned}), max({learned}) FILTER ({told}) FROM batch_{name}"
                ).fetchall()
                if first is not None and last is not None:
                    starts.append(first)
                    ends.append(last)
        earlier = [profile["until"] for name in TABLES if (profile := self._last_profile(name)) and profile["until"]]
        return Days.between(starts, ends, datetime.fromisoformat(max(earlier)) if earlier else None)

    def _last_profile(self, name: str) -> Profile | None:
        for batch in reversed(self.accepted.batches if self.accepted else ()):
            found = batch.facts.get("profiles", {}).get(name)
            if found:
                return dict(found)
        return None

    def _columns(self, table: Table, schema: pa.Schema) -> Iterator[Finding]:
        rows = self.rows[table.name]
        (verdict,) = self._experts.validate(column_suite(table), schema.empty_table().to_pandas(), "BASIC")
        odd = verdict["result"].get("details", {}).get("mismatched", {})
        for name in odd.get("missing", ()):
            yield Finding(table.name, name, "columns", "there", "存在", "batch", rows)
        for name in odd.get("unexpected", ()):
            own = ", ".join(table.names)
            yield Finding(
                table.name,
                name,
                "columns",
                f"absent, or one of the table's columns ({own})",
                "不存在或为该表的列",
                "batch",
                rows,
            )
        # the types come from the file itself: pandas knows no integer with missing values, and Great Expectations
        # does not know the string type of pandas 3
        for wanted in arrow_schema(table):
            if wanted.name in schema.names and (found := schema.field(wanted.name).type) != wanted.type:
                if pa.types.is_large_string(found) and pa.types.is_string(wanted.type):
                    continue
                yield Finding(
                    table.name,
                    wanted.name,
                    "type",
                    f"of type {wanted.type}, it is {found}",
                    f"类型为{wanted.type}",
                    "batch",
                    rows,
                )

    def _pieces(self, table: Table, rules: list[Rule]) -> Iterator[pd.DataFrame]:
        have = self.sound[table.name]
        checked = [column for column in table.columns if column.name in have]
        columns, coded, joins = ["t._row"], [], ""
        for column in checked:
            if column.categories:
                coded.append(column.name)
            elif column.dtype in ("string", "timestamp", "bool"):  # only whether it is given matters
                if not column.nullable:
                    columns.append(
                        f"CASE WHEN t.{_name(column.name)} IS NOT NULL THEN 1::DOUBLE END AS {_name(column.name)}"
                    )
                continue
            columns.append(f"t.{_name(column.name)}")
        for number, rule in enumerate(rules):
            holds = rule.holds
            if rule.lookup is not None:
                joins += f" LEFT JOIN ({rule.lookup}) l{number} ON {_aliased(rule.on, number)}"
                holds = _aliased(holds, number)
            columns.append(f"coalesce({holds}, true) AS {_name(rule.name)}")
        rows = self.engine.sql(f"SELECT {', '.join(columns)} FROM batch_{table.name} t{joins}")
        for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
            piece = pa.Table.from_batches([batch])
            for name in coded:  # Great Expectations fingerprints each piece: codes take a tenth of the time of strings
                piece = piece.set_column(piece.column_names.index(name), name, piece[name].dictionary_encode())
            yield arrow_to_pandas(piece).set_index("_row").rename_axis(None)

    def _frame(self, sql: str) -> pd.DataFrame:
        return arrow_to_pandas(self.engine.sql(sql).to_arrow_table()).set_index("_row").rename_axis(None)

    def _newest(self, table: str, column: str) -> pd.Timestamp | None:
        if column not in self.sound.get(table, ()):
            return None
        found = self.engine.sql(f"SELECT max({_name(column)}) FROM batch_{table}").fetchall()
        return None if found[0][0] is None else pd.Timestamp(found[0][0])

    def _judge(self, table: Table, suite: ExpectationSuite, pieces: Iterable[pd.DataFrame]) -> list[Finding]:
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        metas: dict[tuple[str, str], dict[str, Any]] = {}
        for piece in pieces:
            for meta, rows in self._experts.broken(suite, piece):
                place = (meta["column"], meta["rule"])
                metas[place] = meta
                found.setdefault(place, []).append(rows)
        return [self._finding(table, metas[place], np.unique(np.concatenate(rows))) for place, rows in found.items()]

    def _finding(self, table: Table, meta: dict[str, Any], rows: np.ndarray) -> Finding:
        if meta["rule"] in _ABOUT_THE_WHOLE:
            rows = rows[:0]
        elif meta["level"] in ("reject", "flag") and len(rows):
            kept = self.rejected if meta["level"] == "reject" else self.flagged
            by_rule = kept.setdefault(table.name, {})
            earlier = by_rule.get(meta["rule"], np.array([], dtype=np.int64))
            by_rule[meta["rule"]] = np.union1d(earlier, rows)
        examples = () if meta["rule"] == "given" else self._examples(table, meta["column"], rows)
        said = (meta["column"], meta["rule"], meta["en"], meta["zh"], meta["level"])
        return Finding(table.name, *said, len(rows), examples)

    def _examples(self, table: Table, columns: str, rows: np.ndarray) -> tuple[str, ...]:
        names = columns.split(", ")
        if not len(rows) or not set(names) <= set(self.sound[table.name]):
            return ()
        first = ", ".join(map(str, rows[:EXAMPLES]))
        read = f"SELECT {_listed(names)} FROM batch_{table.name} WHERE _row IN ({first}) ORDER BY _row"
        found = self.engine.sql(read).fetchall()
        return tuple(shown(row[0] if len(names) == 1 else dict(zip(names, row, strict=True))) for row in found)

    def _in_order(self, table: Table, findings: list[Finding]) -> list[Finding]:
        order = {name: place for place, name in enumerate(table.names)}
        return sorted(findings, key=lambda finding: order.get(finding.column.split(",")[0], len(order)))


def _aliased(sql: str, number: int) -> str:
    """SQL of a rule with its lookup's own alias, as several rules are joined at once."""
    return re.sub(r"\bl\.", f"l{number}.", sql)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
