"""Features of many applications at once: SQL compiled once for a feature set, run by DuckDB."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pandas as pd

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from features.algebra import FeatureSet
from features.relational import Relations, matrix, schema_of

Progress = Callable[[str, float], None]
_VERSIONS = "versions_"


def compute(
    folder: TableFolder, feature_set: FeatureSet, *, threads: int = 2, progress: Progress | None = None
) -> pd.DataFrame:
    """Compute a feature set for every application of a folder.

    Each source is added up by one thread in the order of the files, several sources at once: the same tables give the
    same bits each time, whatever the number of threads.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables; features of tables that it lacks are missing.
    feature_set : FeatureSet
        What to compute.
    threads : int, default 2
        Sources that are computed at once.
    progress : callable, optional
        Called with a step and the share that is done.

    Returns
    -------
    DataFrame, shape (n_applications, n_features)
        float64, NaN where missing, indexed by `application_id` in ascending order.

    Raises
    ------
    SourceError
        When the tables cannot be read.
    """
    import duckdb

    try:
        with _connection() as connection, ThreadPoolExecutor(threads) as pool:
            _prepare(connection, folder)
            tables = _Tables(connection, pool, progress)
            try:
                query = _queries(folder, feature_set, tables.write)
                tables.wait()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            frame: pd.DataFrame = connection.execute(query).df()
    except duckdb.Error as fault:
        raise SourceError(f"The tables in {folder.path} cannot be read ({fault}); run `lendwell validate`.") from fault
    return frame.set_index("application_id").sort_index().astype("float64")


def explain(folder: TableFolder, feature_set: FeatureSet) -> dict[str, str]:
    """SQL that `compute` runs: versions of corrected records, aggregates by source, and what puts them together."""
    queries: dict[str, str] = {}
    last = _queries(folder, feature_set, queries.__setitem__)
    return {**queries, "matrix": last}


def _queries(folder: TableFolder, feature_set: FeatureSet, write: Callable[[str, str], None]) -> str:
    """Hand over each table that is to be written, by name and query, as soon as it is known; returns the last query."""
    present = tuple((name, schema_of(folder, name)) for name in folder.tables)
    return _program(feature_set, present, folder.corrected).queries(write)


@functools.lru_cache(maxsize=16)
def _program(feature_set: FeatureSet, present: tuple[tuple[str, Any], ...], corrected: tuple[str, ...]) -> _Program:
    return _Program(feature_set, dict(present), corrected)


class _Program:
    """Queries of a feature set over tables of some shape, kept once they are compiled."""

    def __init__(self, feature_set: FeatureSet, schemas: dict[str, Any], corrected: tuple[str, ...]) -> None:
        self._feature_set = feature_set
        self._schemas = schemas
        self._corrected = [name for name in corrected if name in schemas and name in feature_set.tables]
        self._kept: dict[str, str] = {}
        self._last = ""
        self._one_compiles = threading.Lock()

    def queries(self, write: Callable[[str, str], None]) -> str:
        """Hand over the tables to write; returns the last query."""
        with self._one_compiles:
            if not self._last:
                self._last = self._compile(write)
                return self._last
        for name, query in self._kept.items():
            write(name, query)
        return self._last

    def _compile(self, write: Callable[[str, str], None]) -> str:
        import ibis

        def keep(name: str, schema: Any, query: str) -> Any:
            self._kept[name] = query
            write(name, query)
            return ibis.table(schema, name=name)

        tables = {name: ibis.table(schema, name=name) for name, schema in self._schemas.items()}
        applications = {**self._schemas["applications"], "applicant": "int32"}
        tables["applications"] = ibis.table(applications, name="applications")
        again = {
            name: keep(f"{_VERSIONS}{name}", _versions_schema(self._schemas[name], name), _versions(name))
            for name in self._corrected
        }
        result = matrix(
            Relations(tables, again),
            self._feature_set,
            lambda name, table: keep(name, table.schema(), str(ibis.to_sql(table, dialect="duckdb"))),
        )
        return str(ibis.to_sql(result, dialect="duckdb"))


def _versions(name: str) -> str:
    """What `features.relational.versions` says, the few that come again found by a hash, which is faster."""
    keys = ", ".join(("customer_id", *TABLES[name].key))
    return (
        f"with again as materialized (select hash({keys}) as h from {name} group by h having count(*) > 1) "
        f"select {keys}, known_at, lead(known_at) over (partition by {keys} order by known_at) as superseded_at "
        f"from {name} where hash({keys}) in (from again)"
    )


def _versions_schema(schema: Any, name: str) -> dict[str, Any]:
    keys = ("customer_id", *TABLES[name].key, "known_at")
    return {key: schema[key] for key in keys} | {"superseded_at": "timestamp(6)"}


class _Tables:
    """Writes tables side by side, while further queries are still being compiled."""

    def __init__(self, connection: Any, pool: ThreadPoolExecutor, progress: Progress | None) -> None:
        self._connection = connection
        self._pool = pool
        self._progress = progress
        self._written: dict[str, Future[None]] = {}

    def write(self, name: str, query: str) -> None:
        """Begin to write a table, after the versions of records, which passes read."""
        before = [written for other, written in self._written.items() if other.startswith(_VERSIONS)]
        # The one thread of a cursor of its own: it adds in the order of the files.
        job = functools.partial(
            _create, self._connection.cursor(), name, query, [] if name.startswith(_VERSIONS) else before
        )
        self._written[name] = self._pool.submit(job)

    def wait(self) -> None:
        """Until all are written; raises what went wrong."""
        for number, (name, written) in enumerate(self._written.items()):
            if self._progress:
                self._progress(f"features: {name}", number / len(self._written))
            written.result()


def _create(cursor: Any, name: str, query: str, before: list[Future[None]]) -> None:
    for written in before:
        written.result()
    cursor.execute(f"create table {name} as {query}")


@contextlib.contextmanager
def _connection() -> Iterator[Any]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1, "memory_limit": "3GB"})
    try:
        yield connection
    finally:
        connection.close()


def _prepare(connection: Any, folder: TableFolder) -> None:
    for name in folder.tables:
        if name != "applications":
            connection.execute(f"create view {name} as from {folder.scan(name)}")
    # A whole number is joined and grouped by faster than the text of an application_id.
    connection.execute(
        "create table applications as select *, row_number() over (order by application_id)::int as applicant "
        f"from {folder.scan('applications')}"
    )
