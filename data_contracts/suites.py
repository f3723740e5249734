"""The contracts compiled to Great Expectations suites, and the check of tables against them.

Great Expectations judges every rule it has an expectation for; DuckDB only brings it the rows: in pieces, so that
millions of rows need little memory, and for keys only the rows whose key is not plainly unique.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Column, ForeignKey, Table
from data_contracts.engine import connect
from data_contracts.errors import ContractError, SourceError
from data_contracts.findings import Finding, Tables, conform, shown
from data_contracts.folder import TableFolder, arrow_schema, arrow_to_pandas
from data_contracts.tables import TABLES

with warnings.catch_warnings():  # its import of a module that Python retires is not ours to mend
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as gx
    from great_expectations import expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation import Expectation

gxe: Any = expectations  # it does not declare what it exports

ROWS_AT_ONCE = 250_000
EXAMPLES = 5


def row_suite(table: Table, references: Iterable[ForeignKey] = ()) -> gx.ExpectationSuite:
    """Compile what must hold for each row by itself: values given, in range, of their categories, in order, referenced.

    Parameters
    ----------
    table : Table
        The contract.
    references : iterable of ForeignKey
        Foreign keys to check: the row then carries what was found in the other table as `table.column`.

    Examples
    --------
    >>> from data_contracts.tables import LOAN_MONTHS
    >>> len(row_suite(LOAN_MONTHS).expectations)  # 5 not missing, 1 of categories, 2 in range, 1 in order
    9
    """
    expected = [expectation for column in table.columns for expectation in _column_expectations(column)]
    for earlier, later in table.ordered:
        expected.append(
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=later,
                column_B=earlier,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                meta=_rule(f"{later}, {earlier}", f"in order, {later} not before {earlier}", later, earlier),
            )
        )
    for key in references:
        expected.append(
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A=key.columns[0],
                column_B=_found(key),
                ignore_row_if="both_values_are_missing",
                meta=_rule(", ".join(key.columns), f"found in table {key.table}", *key.columns),
            )
        )
    # Not `add_expectation`, which asks for a data context though the suite belongs to none.
    return gx.ExpectationSuite(name=table.name, expectations=expected)


def key_suite(table: Table) -> gx.ExpectationSuite:
    """Compile the rule that no two rows share their key (with `known_at` where the table is versioned)."""
    key = table.row_key
    meta = _rule(", ".join(key), "unique", *key)
    expectation = (
        gxe.ExpectColumnValuesToBeUnique(column=key[0], meta=meta)
        if len(key) == 1
        else gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key), meta=meta)
    )
    return gx.ExpectationSuite(name=f"{table.name} key", expectations=[expectation])


def column_suite(table: Table) -> gx.ExpectationSuite:
    """Compile the rule that a table has the columns of its contract and no other."""
    expectation = gxe.ExpectTableColumnsToMatchSet(column_set=list(table.names), exact_match=True)
    return gx.ExpectationSuite(name=f"{table.name} columns", expectations=[expectation])


def fresh_suite(table: Table, newest_application: pd.Timestamp) -> gx.ExpectationSuite:
    """Compile the rule that records reach to within `fresh_days` of the newest application."""
    days = table.fresh_days or 0
    expectation = gxe.ExpectColumnMaxToBeBetween(
        column="known_at",
        min_value=newest_application - pd.Timedelta(days=days),
        meta=_rule("known_at", f"fresh, the newest within {days} days of the newest application", "known_at"),
    )
    return gx.ExpectationSuite(name=f"{table.name} fresh", expectations=[expectation])


def check_tables(source: Path | TableFolder | Tables) -> list[Finding]:
    """Check canonical tables, on disk or in memory, against their contracts.

    Parameters
    ----------
    source : Path, TableFolder or mapping of str to DataFrame or pyarrow.Table
        A folder of canonical tables, or the tables by name. In memory a nullable column may be left out and a type
        be another that holds the same values, as `write_tables` makes both good.

    Returns
    -------
    list of Finding
        Every rule that does not hold, by table; empty where all hold.

    Raises
    ------
    SourceError
        Where a folder or a file cannot be read.

    Examples
    --------
    >>> [finding.rule for finding in check_tables({"outcomes": pd.DataFrame({"application_id": ["1"]})})]
    ['there', 'there', 'there']
    """
    source = TableFolder.open(source) if isinstance(source, Path) else source
    names = source.tables if isinstance(source, TableFolder) else tuple(source)
    findings = [
        Finding(name, "", f"one of the canonical tables ({', '.join(TABLES)})", 0)
        for name in names
        if name not in TABLES
    ]
    with connect() as engine:
        check = _Check(engine)
        for name in names:
            if name in TABLES:
                findings += check.admit(TABLES[name], source)
        for name in check.sound:
            try:
                findings += check.table(TABLES[name])
            except duckdb.Error as fault:
                raise SourceError(f"Table {name} cannot be read ({fault}); write it anew.") from fault
    return findings


def require_valid(source: Path | TableFolder | Tables) -> None:
    """Stop with one message that lists every finding, where canonical tables break their contracts.

    Raises
    ------
    ContractError
        Naming for each finding the table, the column, the rule, how many rows and the first offending values.
    """
    findings = check_tables(source)
    if findings:
        count = f"{len(findings)} rule{'s do' if len(findings) != 1 else ' does'} not hold"
        raise ContractError(
            f"The tables break their contract, {count}:\n"
            + "\n".join(f"  {finding}" for finding in findings)
            + "\nMend these records where they come from, or the lender's mapping, and run the step again."
        )


@dataclass
class _Check:
    """The tables of one check, as views in one engine; `sound` are the columns of each that can be checked further."""

    engine: duckdb.DuckDBPyConnection
    sound: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
        self._whole = asset.add_batch_definition_whole_dataframe("rows")

    def admit(self, table: Table, source: TableFolder | Tables) -> list[Finding]:
        """Make a table a view, and find what is wrong with its columns."""
        if isinstance(source, TableFolder):
            path = source.file(table.name)
            self.rows[table.name] = source.rows(table.name)
            schema = pq.read_schema(path)
            self.engine.read_parquet(str(path)).create_view(table.name)
        else:
            arrow = conform(table, source[table.name])
            self.rows[table.name] = arrow.num_rows
            schema = arrow.schema
            self.engine.register(table.name, arrow)
        findings = list(self._columns(table, schema))
        wrong = {finding.column for finding in findings}
        self.sound[table.name] = tuple(name for name in table.names if name in schema.names and name not in wrong)
        return findings

    def table(self, table: Table) -> list[Finding]:
        """Check the rows of an admitted table."""
        have = self.sound[table.name]
        references = [key for key in table.foreign_keys if set(key.columns) <= set(self.sound.get(key.table, ()))]
        findings = self._judge(table, row_suite(table, references), self._pieces(table, references))
        if set(table.row_key) <= set(have):
            findings += self._judge(table, key_suite(table), [self._suspects(table)])
        newest = self._newest("applications", "applied_at")
        latest = self._newest(table.name, "known_at")
        if table.fresh_days is not None and newest is not None and latest is not None:
            piece = pd.DataFrame({"known_at": [latest]})
            stale = self._judge(table, fresh_suite(table, newest), [piece])
            findings += [replace(finding, rows=self.rows[table.name]) for finding in stale]
        return findings

    def _columns(self, table: Table, schema: pa.Schema) -> Iterator[Finding]:
        rows = self.rows[table.name]
        (verdict,) = self._validate(column_suite(table), schema.empty_table().to_pandas())
        odd = verdict["result"].get("details", {}).get("mismatched", {})
        for name in odd.get("missing", ()):
            yield Finding(table.name, name, "there", rows)
        for name in odd.get("unexpected", ()):
            yield Finding(table.name, name, f"absent, or one of the table's columns ({', '.join(table.names)})", rows)
        # the types come from the file itself: pandas knows no integer with missing values, and Great Expectations
        # does not know the string type of pandas 3
        for wanted in arrow_schema(table):
            if wanted.name in schema.names and (found := schema.field(wanted.name).type) != wanted.type:
                if pa.types.is_large_string(found) and pa.types.is_string(wanted.type):
                    continue
                yield Finding(table.name, wanted.name, f"of type {wanted.type}, it is {found}", rows)

    def _pieces(self, table: Table, references: list[ForeignKey]) -> Iterator[pd.DataFrame]:
        columns = [f"t.{_name(name)}" for name in self.sound[table.name]]
        joins = ""
        for number, key in enumerate(references):
            keys = ", ".join(map(_name, key.columns))
            met = " AND ".join(f"t.{_name(name)} = r{number}.{_name(name)}" for name in key.columns)
            joins += f" LEFT JOIN (SELECT DISTINCT {keys} FROM {_name(key.table)}) r{number} ON {met}"
            columns.append(f"r{number}.{_name(key.columns[0])} AS {_name(_found(key))}")
        rows = self.engine.sql(f"SELECT {', '.join(columns)} FROM {_name(table.name)} t{joins}")
        coded = [column.name for column in table.columns if column.categories and column.name in self.sound[table.name]]
        for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
            piece = pa.Table.from_batches([batch])
            for name in coded:  # Great Expectations fingerprints each piece: codes take a tenth of the time of strings
                piece = piece.set_column(piece.column_names.index(name), name, piece[name].dictionary_encode())
            yield arrow_to_pandas(piece)

    def _suspects(self, table: Table) -> pd.DataFrame:
        """Keys whose hash occurs more than once: all that can be equal, and next to none that is not."""
        keys = ", ".join(map(_name, table.row_key))
        hashed = f"SELECT hash({keys}) AS h FROM {_name(table.name)}"
        return arrow_to_pandas(
            self.engine.sql(
                f"SELECT {keys} FROM {_name(table.name)} WHERE hash({keys}) IN "
                f"(SELECT h FROM ({hashed}) GROUP BY h HAVING count(*) > 1)"
            ).to_arrow_table()
        )

    def _newest(self, table: str, column: str) -> pd.Timestamp | None:
        if column not in self.sound.get(table, ()):
            return None
        found = self.engine.sql(f"SELECT max({_name(column)}) FROM {_name(table)}").fetchall()
        return None if found[0][0] is None else pd.Timestamp(found[0][0])

    def _judge(self, table: Table, suite: gx.ExpectationSuite, pieces: Iterable[pd.DataFrame]) -> list[Finding]:
        found: dict[tuple[str, str], Finding] = {}
        have = set(self.sound[table.name])
        possible = [expectation for expectation in suite.expectations if set((expectation.meta or {})["needs"]) <= have]
        asked = gx.ExpectationSuite(name=suite.name, expectations=list(possible))
        for piece in pieces:
            for verdict in self._validate(asked, piece):
                if verdict["success"]:
                    continue
                meta, result = verdict["expectation_config"]["meta"], verdict["result"]
                offending = result.get("partial_unexpected_list", [result.get("observed_value")])
                values = () if meta["rule"] == _GIVEN else tuple(map(shown, offending))
                place = (meta["column"], meta["rule"])
                before = found.get(place, Finding(table.name, *place, 0))
                found[place] = replace(
                    before,
                    rows=before.rows + result.get("unexpected_count", 0),
                    examples=(before.examples + values)[:EXAMPLES],
                )
        order = {name: place for place, name in enumerate(table.names)}
        return sorted(found.values(), key=lambda finding: order.get(finding.column.split(",")[0], len(order)))

    def _validate(self, suite: gx.ExpectationSuite, piece: pd.DataFrame) -> list[dict[str, Any]]:
        batch = self._whole.get_batch(batch_parameters={"dataframe": piece})
        answer = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": EXAMPLES})
        verdicts = [verdict.to_json_dict() | {"result": verdict.result or {}} for verdict in answer.results]
        for verdict in verdicts:  # an expectation that could not be computed must not pass for a fault of the records
            if not verdict["result"]:
                failed = verdict["expectation_config"]["type"]
                raise RuntimeError(f"{suite.name}: {failed} could not be computed: {verdict['exception_info']}")
        return verdicts


_GIVEN = "given"


def _rule(column: str, rule: str, *needs: str) -> dict[str, Any]:
    return {"column": column, "rule": rule, "needs": list(needs)}


def _column_expectations(column: Column) -> Iterator[Expectation]:
    name = column.name
    if not column.nullable:
        yield gxe.ExpectColumnValuesToNotBeNull(column=name, meta=_rule(name, _GIVEN, name))
    if column.categories:
        listed = list(column.categories)
        meta = _rule(name, f"one of {', '.join(listed)}", name)
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=listed, meta=meta)
    if column.dtype == "float64" or column.low is not None or column.high is not None:
        finite = sys.float_info.max if column.dtype == "float64" else None
        low = column.low if column.low is not None or finite is None else -finite
        high = column.high if column.high is not None or finite is None else finite
        unit = f" {column.unit}" if column.unit else ""
        meta = _rule(name, f"from {_number(low)} to {_number(high)}{unit}", name)
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta=meta)


def _number(bound: float | None) -> str:
    if bound is None or abs(bound) == sys.float_info.max:
        return "anything finite"
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def _found(key: ForeignKey) -> str:
    return f"{key.table}.{key.columns[0]}"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
