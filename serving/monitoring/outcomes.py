"""Outcomes as they mature, beside the decision log: which applications defaulted, by the log's own pseudonyms.

A store of its own: a table in the log's PostgreSQL, or a SQLite file in the home, so that an import never makes an
answer wait for the log's file. It is append-only. A correction is a further row; of several rows of one application the
one that was observed last counts, and of those the one imported last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data_contracts.append_only import alone
from data_contracts.errors import SourceError
from data_contracts.folder import file_sha256
from serving.log_database import reaching

COLUMNS = ("application_id", "defaulted", "observed_at")
MOST_ROWS = 5_000_000
_AT_ONCE = 5_000
_OUTCOME = ["application_key", "defaulted", "observed_at"]
_STORE = "store of outcomes"
_LOCK_NUMBER = 20_260_601  # names imports of outcomes among PostgreSQL's advisory locks
_PATIENCE = {"connect_timeout": 5, "options": "-c lock_timeout=5s"}  # as long as SQLite waits by itself
_BAD = {"1": 1, "1.0": 1, "true": 1, "0": 0, "0.0": 0, "false": 0}

metadata = sa.MetaData()
OUTCOMES = sa.Table(
    "outcomes",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("application_key", sa.String(64), nullable=False, index=True),
    sa.Column("defaulted", sa.Integer, nullable=False),
    sa.Column("observed_at", sa.DateTime, nullable=False),
    sa.Column("imported_at", sa.DateTime, nullable=False),
    sa.Column("file_sha256", sa.String(64), nullable=False, index=True),
)


@dataclass(frozen=True)
class Receipt:
    """What an import did.

    Parameters
    ----------
    rows : int
        Of the file.
    new, corrected, known : int
        Applications without an outcome so far, with another one so far, and with this very one.
    """

    rows: int
    new: int
    corrected: int
    known: int


def read_outcomes(path: Path) -> pd.DataFrame:
    """Read a file of outcomes and check it.

    Parameters
    ----------
    path : Path
        CSV or Parquet with `application_id`, `defaulted` (0, 1, true, false) and `observed_at` (ISO 8601; UTC where it
        has no offset).

    Returns
    -------
    DataFrame
        `application_id` as text, `defaulted` as 0 and 1, `observed_at` in UTC without a zone.

    Raises
    ------
    SourceError
        The file is missing, unreadable, or a value is not what its column says.
    """
    if not path.is_file():
        raise SourceError(f"There is no file of outcomes {path}.")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST_ROWS + 1)
    except (OSError, ValueError) as fault:
        raise SourceError(f"{path} cannot be read as {path.suffix or 'CSV'} ({fault}).") from None
    if lacking := [name for name in COLUMNS if name not in table.columns]:
        raise SourceError(f"{path} lacks {', '.join(lacking)}; it needs {', '.join(COLUMNS)}.")
    if len(table) > MOST_ROWS:
        raise SourceError(f"{path} has more than {MOST_ROWS:,} rows; split it.")
    return _checked(table, path)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    who = table["application_id"].astype("string").fillna("").str.strip()
    bad = table["defaulted"].astype("string").str.strip().str.lower().map(_BAD)
    seen = pd.to_datetime(table["observed_at"], utc=True, errors="coerce", format="ISO8601")
    for name, fault in (("application_id", who == ""), ("defaulted", bad.isna()), ("observed_at", seen.isna())):
        if fault.any():
            first = int(fault.to_numpy().argmax()) + 1
            wanted = {"application_id": "a text", "defaulted": "0 or 1", "observed_at": "an ISO 8601 moment"}[name]
            raise SourceError(
                f"{path}: {int(fault.sum())} rows have no valid {name}, first row {first}; it must be {wanted}."
            )
    found = pd.DataFrame({"application_id": who, "defaulted": bad.astype("int64"), "observed_at": seen})
    found["observed_at"] = found["observed_at"].dt.tz_localize(None).astype("datetime64[us]")
    again = found.duplicated(["application_id", "observed_at"], keep=False)
    unlike = found[again].groupby(["application_id", "observed_at"])["defaulted"].nunique() > 1
    if unlike.any():
        told = f"{int(unlike.sum())} applications have two outcomes of the same moment"
        raise SourceError(f"{path}: {told}; keep one of each.")
    return found.drop_duplicates().sort_values("observed_at", kind="stable").reset_index(drop=True)


class OutcomeStore:
    """Outcomes by pseudonym, in SQLite or PostgreSQL.

    Parameters
    ----------
    engine : sqlalchemy.Engine

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with OutcomeStore.open(f"sqlite:///{folder.name}/outcomes.db") as store:
    ...     len(store.current())
    0
    >>> folder.cleanup()
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> OutcomeStore:
        """Open a store and create its table where there is none; `ServiceError` where it cannot be reached."""
        address = sa.make_url(url)
        if address.drivername in ("postgresql", "postgres"):
            address = address.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, connect_args={} if address.drivername == "sqlite" else _PATIENCE)
        try:
            with reaching(address, _STORE):
                metadata.create_all(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def __enter__(self) -> OutcomeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def take_in(self, path: Path, pseudonym: Callable[[str], str], now: datetime) -> Receipt:
        """Append what a file tells beyond what is known, all of it or nothing.

        Parameters
        ----------
        path : Path
            As `read_outcomes` takes it.
        pseudonym : callable
            `DecisionLog.pseudonym`: applications stand here, as in the log, as keyed hashes only.
        now : datetime
            UTC without a zone.

        Raises
        ------
        ServiceError
            The store cannot be reached, or another import holds it.
        """
        table, mark = read_outcomes(path), file_sha256(path)
        told = table.assign(application_key=table["application_id"].map(pseudonym))
        # what is known is read where nobody else writes, lest two imports at once append the same outcome
        with reaching(self._engine.url, _STORE), alone(self._engine, _LOCK_NUMBER) as connection:
            found, counts = _beyond(_current(connection), told)
            rows = [{**row, "imported_at": now, "file_sha256": mark} for row in found]
            for start in range(0, len(rows), _AT_ONCE):
                connection.execute(sa.insert(OUTCOMES), rows[start : start + _AT_ONCE])
        return Receipt(len(table), **counts)

    def current(self) -> pd.DataFrame:
        """The outcome of each application that has one: `application_key`, `defaulted`, `observed_at`."""
        with reaching(self._engine.url, _STORE), self._engine.connect() as connection:
            return _current(connection)


def _current(connection: sa.Connection) -> pd.DataFrame:
    columns = [OUTCOMES.c[name] for name in _OUTCOME]
    rows = connection.execute(sa.select(*columns).order_by(OUTCOMES.c.observed_at, OUTCOMES.c.position)).all()
    frame = pd.DataFrame([tuple(row) for row in rows], columns=_OUTCOME)
    frame["observed_at"] = frame["observed_at"].astype("datetime64[us]")
    return frame.drop_duplicates("application_key", keep="last").reset_index(drop=True)


def _beyond(known: pd.DataFrame, told: pd.DataFrame) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What is told beyond what is known, and how many rows are of new, corrected and known applications."""

    def outcomes(frame: pd.DataFrame) -> Iterator[tuple[str, tuple[int, pd.Timestamp]]]:
        for key, bad, seen in zip(*(frame[name] for name in _OUTCOME), strict=True):
            yield key, (bad, seen)

    state = dict(outcomes(known))
    rows, counts = [], {"new": 0, "corrected": 0, "known": 0}
    for key, (bad, seen) in outcomes(told):
        before = state.get(key)
        if before is not None and (before == (bad, seen) or seen < before[1]):
            counts["known"] += 1  # this very one, or overtaken
            continue
        counts["new" if before is None else "known" if before[0] == bad else "corrected"] += 1
        state[key] = (bad, seen)
        rows.append({"application_key": key, "defaulted": int(bad), "observed_at": seen.to_pydatetime()})
    return rows, counts
