"""A delivery sorted into rows that pass, rows that are known already, and rows held back, each with its reasons.

Nothing here touches a disk: an intake writes what is sorted, a dry run only counts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.declare import Column, ForeignKey, Table
from data_contracts.engine import connect
from data_contracts.findings import Finding, Tables, conform
from data_contracts.folder import TableFolder, arrow_schema, to_arrow
from data_contracts.judge import judge
from data_contracts.months import learned_column
from data_contracts.profile import CHANGES, Profile
from data_contracts.tables import TABLES

Rows = npt.NDArray[np.int64]
ByRule = dict[str, dict[str, Rows]]

CONTRADICTS, PARENT = "contradicts_accepted", "parent_held"
_OWN = {
    CONTRADICTS: (
        "as it was accepted before; a correction comes with a later known_at",
        "与已接收的记录一致；更正须带更晚的known_at",
    ),
    PARENT: ("of a record that was accepted, not of one in quarantine", "属于已接收而非被隔离的记录"),
}


@dataclass(frozen=True)
class Sorted:
    """What became of each row of a delivery.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        The rows as they came, in the contract's types.
    known : mapping of str to ndarray of int64
        Rows that were accepted before, with the same values.
    held : mapping of str to mapping of str to ndarray of int64
        By table and rule, the rows that go to quarantine.
    flagged : mapping of str to mapping of str to ndarray of int64
        The same for rows that pass and are counted.
    findings : tuple of Finding
        Every rule that does not hold; those of level "batch" refuse the whole delivery, whose rows are then not told
        apart further.
    profiles : mapping of str to dict
        What each table looks like, for the next batch to be held against.
    corrected : tuple of str
        Tables in which some record comes again, with what was accepted before.
    """

    tables: Mapping[str, pa.Table]
    known: Mapping[str, Rows]
    held: Mapping[str, Mapping[str, Rows]]
    flagged: Mapping[str, Mapping[str, Rows]]
    findings: tuple[Finding, ...]
    profiles: Mapping[str, Profile]
    corrected: tuple[str, ...]

    def held_rows(self, table: str) -> Rows:
        """Numbers of the rows of a table that are held, for whatever reason."""
        return _union(self.held.get(table, {}))

    def passed(self, table: str) -> pa.Table:
        """Rows that are new and good."""
        rows = self.tables[table]
        out = np.union1d(self.known[table], self.held_rows(table))
        return to_arrow(TABLES[table], rows.filter(_without(rows.num_rows, out)) if len(out) else rows)

    def judged_rows(self, table: str) -> int:
        """How many rows of a table are new, good or not."""
        return int(self.tables[table].num_rows - len(self.known[table]))

    def quarantine(self, table: str) -> pa.Table:
        """Rows that are held, as they came, with their number in the delivery (from 0), rules broken and reasons."""
        rows = self.held_rows(table)
        kept = self.tables[table].take(pa.array(rows))
        place = {int(row): at for at, row in enumerate(rows)}
        told: list[list[Finding]] = [[] for _ in rows]
        for finding in self.findings:
            if finding.table == table and finding.level == "reject":
                broken = self.held[table].get(finding.rule, _none())
                for row in _of_column(finding, TABLES[table], kept, np.array([place[int(row)] for row in broken])):
                    told[row].append(finding)
        kept = kept.append_column("row", pa.array(rows))
        kept = kept.append_column("rules", _lists([finding.rule for finding in of] for of in told))
        kept = kept.append_column("reasons_en", _lists([f"{_where(f)}must be {f.en}" for f in of] for of in told))
        return kept.append_column("reasons_zh", _lists([f"{_where(f)}应{f.zh}" for f in of] for of in told))


def sort_out(
    tables: Tables, *, accepted: TableFolder | None, received_at: datetime | None, accept_changes: bool = False
) -> Sorted:
    """Sort the rows of a delivery by their contracts and by what was accepted before.

    Parameters
    ----------
    tables : mapping of str to DataFrame or pyarrow.Table
        Canonical tables by name.
    accepted : TableFolder or None
        What was accepted before.
    received_at : datetime or None
        When the delivery came, UTC without a zone; None where the lender's dates are made up.
    accept_changes : bool
        Whether volume and distributions may differ from those of the last batch: they are then only flagged.

    Examples
    --------
    >>> import pandas as pd
    >>> day = pd.Timestamp("2024-03-01")
    >>> consent = {"customer_id": "c", "occurred_at": day, "known_at": day, "provider": "bureau"}
    >>> rows = pd.DataFrame([consent | {"consent_id": "1", "decision_point": "application"},
    ...                      consent | {"consent_id": "2", "decision_point": "whatever"}])
    >>> found = sort_out({"consents": rows}, accepted=None, received_at=None)
    >>> found.passed("consents").num_rows, found.quarantine("consents")["rules"].to_pylist()
    (1, [['category']])
    """
    arrow = {name: conform(TABLES[name], frame) for name, frame in tables.items() if name in TABLES}
    fitting = [name for name, rows in arrow.items() if _fits(TABLES[name], rows)]
    with connect() as engine:
        desk = _Desk(engine, arrow, accepted)
        for name in fitting:
            desk.lay_out(name)
        others = {name: frame for name, frame in tables.items() if name not in TABLES}
        judged = judge({**others, **desk.to_judge()}, accepted=accepted, received_at=received_at)
        for level, kept in ((judged.rejected, desk.held), (judged.flagged, desk.flagged)):
            for name, rules in level.items():
                numbers = desk.numbers[name]
                for rule, rows in rules.items():
                    kept.setdefault(name, {})[rule] = rows if numbers is None else numbers[rows]
        found = [_flagged_change(finding) if accept_changes else finding for finding in judged.findings]
        whole = [finding for finding in found if finding.level == "batch"]
        if not whole:
            desk.follow_parents()
        corrected = () if whole else tuple(name for name in fitting if desk.comes_again(name))
    findings = (*found, *desk.findings())
    return Sorted(arrow, desk.known, desk.held, desk.passing_flags(), findings, judged.profiles, corrected)


def _flagged_change(finding: Finding) -> Finding:
    return replace(finding, level="flag") if finding.rule in CHANGES else finding


@dataclass
class _Desk:
    """The delivered tables in one engine, each as `delivered_NAME` with the number of its rows, `_row`."""

    engine: duckdb.DuckDBPyConnection
    tables: Mapping[str, pa.Table]
    accepted: TableFolder | None
    known: dict[str, Rows] = field(default_factory=dict)
    held: ByRule = field(default_factory=dict)
    flagged: ByRule = field(default_factory=dict)
    numbers: dict[str, Rows | None] = field(default_factory=dict)
    """Of the rows to be judged; None where they are all."""

    def __post_init__(self) -> None:
        self.known = {name: _none() for name in self.tables}
        self.numbers = dict.fromkeys(self.tables)

    def lay_out(self, name: str) -> None:
        """Take a table in, and find what of it was accepted before: the same, or otherwise."""
        rows = self.tables[name]
        self.engine.register(f"delivered_{name}", rows.append_column("_row", pa.array(np.arange(rows.num_rows))))
        if self.accepted is None or name not in self.accepted.tables or not rows.num_rows:
            return
        table = TABLES[name]
        learned = learned_column(rows)
        ends = pc.min_max(rows[learned]).as_py()
        when = f"AND a.{learned} BETWEEN $low AND $high" if learned in table.row_key else ""
        same = " AND ".join(f'b."{column}" IS NOT DISTINCT FROM a."{column}"' for column in table.names)
        met = " AND ".join(f'b."{column}" = a."{column}"' for column in table.row_key)
        found = self.engine.execute(
            f"SELECT b._row AS row, bool_or({same}) AS same FROM delivered_{name} b "
            f"JOIN {self.accepted.scan(name)} a ON {met} {when} GROUP BY 1 ORDER BY 1",
            {"low": ends["min"], "high": ends["max"]} if when else {},
        ).fetchnumpy()
        there, is_same = _rows(found["row"]), np.asarray(found["same"], dtype=bool)
        self.known[name] = there[is_same]
        if not is_same.all():
            self.held[name] = {CONTRADICTS: there[~is_same]}
        if len(there):
            self.numbers[name] = _rows(np.flatnonzero(_without(rows.num_rows, there)))

    def to_judge(self) -> dict[str, pa.Table]:
        """Rows that were not there before."""
        return {
            name: rows if (numbers := self.numbers[name]) is None else rows.take(pa.array(numbers))
            for name, rows in self.tables.items()
        }

    def follow_parents(self) -> None:
        """Hold rows whose record is held, so that what is accepted holds its own references."""
        for name in TABLES:  # a table stands after those it refers to
            for key in TABLES[name].foreign_keys if name in self.tables else ():
                if key.table in self.held:
                    orphans = self._orphans(name, key)
                    if len(orphans):
                        rules = self.held.setdefault(name, {})
                        rules[PARENT] = np.union1d(rules.get(PARENT, _none()), orphans)

    def comes_again(self, name: str) -> bool:
        """Whether some record that passes comes more than once, with what was accepted."""
        table = TABLES[name]
        if self.accepted is not None and name in self.accepted.corrected:
            return True
        if table.row_key == table.key:
            return False
        keys = _listed(table.key)
        self._register("left_out", np.union1d(self.known[name], _union(self.held.get(name, {}))))
        new = f"SELECT {keys} FROM delivered_{name} ANTI JOIN left_out USING (_row)"
        ((rows, distinct),) = self.engine.sql(f"SELECT count(*), count(DISTINCT hash({keys})) FROM ({new})").fetchall()
        if rows > distinct or self.accepted is None or name not in self.accepted.tables:
            return bool(rows > distinct)
        before = f"SELECT {keys} FROM {self.accepted.scan(name)}"
        return bool(self.engine.sql(f"FROM ({before}) SEMI JOIN ({new}) USING ({keys}) LIMIT 1").fetchall())

    def passing_flags(self) -> ByRule:
        """Flags of rows that pass."""
        kept = {
            name: {rule: np.setdiff1d(rows, _union(self.held.get(name, {}))) for rule, rows in rules.items()}
            for name, rules in self.flagged.items()
        }
        return {name: {rule: rows for rule, rows in rules.items() if len(rows)} for name, rules in kept.items()}

    def findings(self) -> Iterator[Finding]:
        """What was found here, beyond the contracts' judgement."""
        for name, rules in self.held.items():
            for rule, (en, zh) in _OWN.items():
                if rule in rules:
                    key = TABLES[name].row_key if rule == CONTRADICTS else self._parent_columns(name)
                    yield Finding(name, ", ".join(key), rule, en, zh, "reject", len(rules[rule]))

    def _parent_columns(self, name: str) -> list[str]:
        return [column for key in TABLES[name].foreign_keys if key.table in self.held for column in key.columns]

    def _orphans(self, name: str, key: ForeignKey) -> Rows:
        self._register("held", _union(self.held[key.table]))
        columns = _listed(key.columns)
        parents = f"SELECT {columns}, _row FROM delivered_{key.table}"
        lost = f"SELECT DISTINCT {columns} FROM ({parents}) SEMI JOIN held USING (_row)"
        others = [f"SELECT {columns} FROM ({parents}) ANTI JOIN held USING (_row)"]
        if self.accepted is not None and key.table in self.accepted.tables:
            others.append(f"SELECT {columns} FROM {self.accepted.scan(key.table)}")
        alone = f"FROM ({lost}) ANTI JOIN ({' UNION ALL '.join(others)}) USING ({columns})"
        held = self.engine.sql(f"SELECT _row FROM delivered_{name} SEMI JOIN ({alone}) USING ({columns})").fetchnumpy()
        return np.setdiff1d(_rows(held["_row"]), self.known[name])

    def _register(self, name: str, rows: Rows) -> None:
        self.engine.register(name, pa.table({"_row": rows}))


def _of_column(finding: Finding, table: Table, rows: pa.Table, broken: Rows) -> Rows:
    """Of rows that break a rule, those that break it in the finding's column: several columns share these rules."""
    if finding.rule not in ("given", "category", "range") or not len(broken):
        return broken
    column = table.column(finding.column)
    return broken[_breaks(column, finding.rule, rows[column.name].take(pa.array(broken)).combine_chunks())]


def _breaks(column: Column, rule: str, values: pa.Array) -> npt.NDArray[np.bool_]:
    if rule == "given":
        broken = pc.is_null(values)
    elif rule == "category":
        broken = pc.invert(pc.is_in(values, value_set=pa.array(column.categories, values.type)))
    else:
        number = values.cast(pa.float64(), safe=False)
        low, high = (-np.inf if column.low is None else column.low), (np.inf if column.high is None else column.high)
        inside = pc.and_(pc.greater_equal(number, low), pc.less_equal(number, high))
        broken = pc.invert(pc.and_(inside, pc.is_finite(number)))
    found = broken if rule == "given" else pc.and_(pc.is_valid(values), pc.fill_null(broken, False))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _fits(table: Table, rows: pa.Table) -> bool:
    return set(rows.column_names) == set(table.names) and all(
        rows.schema.field(column.name).type == column.type for column in arrow_schema(table)
    )


def _where(finding: Finding) -> str:
    return f"{finding.column}: " if finding.column else ""


def _lists(texts: Iterator[list[str]]) -> pa.Array:
    return pa.array(list(texts), pa.list_(pa.string()))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _rows(values: Any) -> Rows:
    return np.asarray(values, dtype=np.int64)


def _none() -> Rows:
    return np.array([], dtype=np.int64)


def _union(rules: Mapping[str, Rows]) -> Rows:
    return np.unique(np.concatenate([_none(), *rules.values()]))


def _without(rows: int, out: Rows) -> npt.NDArray[np.bool_]:
    keep = np.ones(rows, dtype=bool)
    keep[out] = False
    return keep
