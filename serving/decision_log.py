"""Every answer, written before it leaves: who was scored (as keyed hashes), on what, by which bundle, with what result.

The log is append-only. A retry of the same request on the same bundle gets the first answer. Customers and applications
appear only as HMAC-SHA256 under the log's key, so the log can be searched for an applicant by whoever has the key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data_contracts.errors import ServiceError
from data_contracts.messages import ScoreRequest

KEY_VARIABLE = "LENDWELL_LOG_KEY"
_LOCK_NUMBER = 20_250_301  # names the log's migrations among PostgreSQL's advisory locks
_MIGRATING = threading.Lock()  # Alembic keeps its context in a module, so one thread at a time

metadata = sa.MetaData()
FACTS = sa.Table("log_facts", metadata, sa.Column("name", sa.String), sa.Column("value", sa.Text))
DECISIONS = sa.Table(
    "decisions",
    metadata,
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("decision_id", sa.String),
    sa.Column("request_id", sa.String),
    sa.Column("decided_at", sa.DateTime),
    sa.Column("decision_point", sa.String),
    sa.Column("application_key", sa.String),
    sa.Column("customer_key", sa.String),
    sa.Column("bundle_name", sa.String),
    sa.Column("bundle_version", sa.String),
    sa.Column("bundle_identity", sa.String),
    sa.Column("feature_set_identity", sa.String),
    sa.Column("request", sa.Text),
    sa.Column("request_sha256", sa.String),
    sa.Column("features", sa.Text),
    sa.Column("log_odds", sa.Double),
    sa.Column("pd", sa.Double),
    sa.Column("score", sa.Double),
    sa.Column("response", sa.Text),
)


@dataclass(frozen=True)
class Decision:
    """One answer as it stands in the log.

    Parameters
    ----------
    decision_id, request_id : str
        The answer's own id and that of the call that led to it.
    decided_at : datetime
        UTC without a zone.
    decision_point : str
        Such as `application`.
    bundle_name, bundle_version, bundle_identity, feature_set_identity : str
        What answered.
    features : ndarray of float64, shape (n_features,)
        In the order of the feature set, NaN where missing.
    log_odds, pd, score : float
        The result.
    response : dict
        The answer, without the application's id, which the log knows only as a hash.
    """

    decision_id: str
    request_id: str
    decided_at: datetime
    decision_point: str
    bundle_name: str
    bundle_version: str
    bundle_identity: str
    feature_set_identity: str
    features: npt.NDArray[np.float64]
    log_odds: float
    pd: float
    score: float
    response: dict[str, Any]


class DecisionLog:
    """The decision log in SQLite or PostgreSQL.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with DecisionLog.open(f"sqlite:///{folder.name}/decisions.db", key="a key of the examples") as log:
    ...     len(log.read())
    0
    >>> folder.cleanup()
    """

    def __init__(self, engine: sa.Engine, key: bytes) -> None:
        self.engine = engine
        self._key = key
        # SQLite has one writer; waiting in line is fairer and faster than its polling for the file lock
        self._line: threading.Lock | nullcontext[None] = (
            threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @classmethod
    def open(cls, url: str, *, key: str | None = None, key_file: Path | None = None) -> DecisionLog:
        """Open a log, create it where there is none, and bring its tables up to date.

        Parameters
        ----------
        url : str
            `sqlite:///decisions.db` or `postgresql://user@host/database`.
        key : str, optional
            Key of the hashes; else the environment's `LENDWELL_LOG_KEY`; else the content of `key_file`.
        key_file : Path, optional
            Made with mode 0600 where it does not exist; beside the SQLite file by default.

        Raises
        ------
        ServiceError
            Where the database cannot be reached, the key is missing or another, or a newer Lendwell wrote the log.
        """
        address = _address(url)
        secret = key or os.environ.get(KEY_VARIABLE) or _key_from_file(address, key_file)
        engine = _engine(address)
        log = cls(engine, secret.encode())
        try:
            with _reaching(address):
                log._migrate()
                log._check_key()
        except BaseException:
            engine.dispose()
            raise
        return log

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pseudonym(self, identifier: str) -> str:
        """HMAC-SHA256 of a customer's or application's id under the log's key, in hexadecimal."""
        return hmac.new(self._key, identifier.encode(), hashlib.sha256).hexdigest()

    def append(self, request: ScoreRequest, decision: Decision) -> Decision:
        """Write a decision and return what the log holds for this request, which a retry finds to be the first answer.

        The decision is on disk (SQLite in WAL with synchronous FULL, PostgreSQL's commit) when this returns.

        Raises
        ------
        ServiceError
            Where the database cannot be reached; nothing is written then.
        """
        text = request.logged_text(self.pseudonym)
        application = request.application_record()
        row = {
            **{name: value for name, value in vars(decision).items() if name not in ("features", "response")},
            "application_key": self.pseudonym(application["application_id"]),
            "customer_key": self.pseudonym(application["customer_id"]),
            "request": text,
            "request_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "features": msgspec.json.encode(decision.features.tolist()).decode(),  # NaN becomes null
            "response": msgspec.json.encode(decision.response).decode(),
        }
        with _reaching(self.engine.url), self._line:
            try:
                with self.engine.begin() as connection:
                    connection.execute(sa.insert(DECISIONS).values(row))
                return decision
            except sa.exc.IntegrityError:
                first = self._first(row)
                if first is None:
                    raise
                return first

    def _first(self, row: dict[str, Any]) -> Decision | None:
        same = ("application_key", "request_sha256", "bundle_identity")
        found = self._select(*(DECISIONS.c[name] == row[name] for name in same))
        return _decision(found[0]) if found else None

    def get(self, decision_id: str) -> tuple[Decision, str]:
        """Return a decision and its request as JSON text; `ServiceError` where the log has no such decision."""
        with _reaching(self.engine.url):
            found = self._select(DECISIONS.c.decision_id == decision_id)
        if not found:
            raise ServiceError(f"The decision log has no decision {decision_id}. `lendwell log export` lists them.")
        return _decision(found[0]), str(found[0]["request"])

    def read(
        self, since: datetime | None = None, until: datetime | None = None, bundle: str | None = None
    ) -> pd.DataFrame:
        """Decisions in the order in which they were written.

        Parameters
        ----------
        since, until : datetime, optional
            `since <= decided_at < until`, UTC without a zone.
        bundle : str, optional
            Identity of the bundle that answered.

        Returns
        -------
        DataFrame
            One row a decision, the columns of the log; `features` holds arrays, `feature_matrix` stacks them;
            `response` holds dicts.
        """
        wanted = []
        if since is not None:
            wanted.append(DECISIONS.c.decided_at >= since)
        if until is not None:
            wanted.append(DECISIONS.c.decided_at < until)
        if bundle is not None:
            wanted.append(DECISIONS.c.bundle_identity == bundle)
        with _reaching(self.engine.url):
            rows = self._select(*wanted)
        frame = pd.DataFrame([dict(row) for row in rows], columns=list(DECISIONS.c.keys()))
        frame["features"] = pd.Series([_features(text) for text in frame["features"]], dtype=object)
        frame["response"] = pd.Series([msgspec.json.decode(text) for text in frame["response"]], dtype=object)
        frame["decided_at"] = frame["decided_at"].astype("datetime64[us]")
        return frame

    def is_reachable(self) -> bool:
        """Whether the database answers now."""
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.select(1))
            return True
        except sa.exc.SQLAlchemyError:
            return False

    def _select(self, *conditions: sa.ColumnElement[bool]) -> Sequence[sa.RowMapping]:
        query = sa.select(DECISIONS).where(*conditions).order_by(DECISIONS.c.position)
        with self.engine.connect() as connection:
            return connection.execute(query).mappings().all()

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        with _MIGRATING, self.engine.connect() as connection:
            # one process migrates, the others wait and find it done
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as fault:
                raise ServiceError(
                    f"The decision log was written by a newer Lendwell ({fault}); serve with that version."
                ) from fault
            connection.commit()

    def _check_key(self) -> None:
        mark = self.pseudonym("which key is this")
        asked = sa.select(FACTS.c.value).where(FACTS.c.name == "key_mark")
        with self.engine.connect() as connection:
            known = connection.scalar(asked)
        if known is None:
            try:
                with self.engine.begin() as connection:
                    connection.execute(sa.insert(FACTS).values(name="key_mark", value=mark))
                return
            except sa.exc.IntegrityError:  # another process that opened the new log was first: its mark counts
                with self.engine.connect() as connection:
                    known = connection.execute(asked).scalar_one()
        if not hmac.compare_digest(known, mark):
            raise ServiceError(
                "The decision log was written under another key. Give that key in LENDWELL_LOG_KEY, or restore its "
                "key file; with a new key a retry would not find its first answer."
            )


def feature_matrix(decisions: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Features of decisions of one bundle as a frame: one row a decision, float64, NaN where missing.

    Raises
    ------
    ServiceError
        Where the decisions hold other than `len(names)` features: they come from another feature set.
    """
    lengths = {len(features) for features in decisions["features"]} - {len(names)}
    if lengths:
        raise ServiceError(
            f"The decisions hold {sorted(lengths)} features, not {len(names)}; read one bundle's: read(bundle=...)."
        )
    values = np.stack(decisions["features"].to_list()) if len(decisions) else np.empty((0, len(names)))
    return pd.DataFrame(values, index=pd.Index(decisions["decision_id"], name="decision_id"), columns=list(names))


def new_decision_id() -> str:
    """A fresh id for a decision, 32 hexadecimal digits."""
    return uuid.uuid4().hex


def _decision(row: sa.RowMapping) -> Decision:
    facts = {name: row[name] for name in Decision.__dataclass_fields__ if name not in ("features", "response")}
    return Decision(**facts, features=_features(row["features"]), response=msgspec.json.decode(row["response"]))


def _features(text: str) -> npt.NDArray[np.float64]:
    return np.array(msgspec.json.decode(text, type=list[float | None]), dtype=np.float64)


def _address(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError as fault:
        raise ServiceError(
            "The address of the decision log is no database URL; write sqlite:///PATH or postgresql://USER@HOST/DATABASE."
        ) from fault
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ServiceError(f"The decision log lies in SQLite or PostgreSQL, not in {address.drivername}.")
    if address.drivername == "sqlite" and not address.database:
        raise ServiceError("The decision log must outlive its process: name a file, sqlite:///PATH.")
    return address


def _engine(address: sa.URL) -> sa.Engine:
    if address.drivername != "sqlite":
        return sa.create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 5})
    engine = sa.create_engine(address, connect_args={"timeout": 10})

    @sa.event.listens_for(engine, "connect")
    def _durable(connection: Any, _: Any) -> None:
        for wait in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, None):  # SQLite does not wait by itself for this change
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as fault:
                if wait is None or "locked" not in str(fault):
                    raise
                time.sleep(wait)
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives the loss of power

    return engine


@contextmanager
def _reaching(address: sa.URL) -> Iterator[None]:
    """Tell a fault of the database as such, with its address and without its password."""
    try:
        yield
    except sa.exc.SQLAlchemyError as fault:
        # the cause only: SQLAlchemy's own text repeats the row, and with it the request
        cause = str(getattr(fault, "orig", None) or type(fault).__name__).strip().splitlines()[0]
        raise ServiceError(
            f"The decision log {address.render_as_string(hide_password=True)} cannot be reached or written ({cause}). "
            "Check that the database runs and that this account may write to it."
        ) from None


def _key_from_file(address: sa.URL, path: Path | None) -> str:
    """Read the key, making it first where there is none; a half-written key is never seen."""
    if path is None:
        if address.drivername != "sqlite":
            raise ServiceError(f"A decision log in PostgreSQL needs a key for its hashes: set {KEY_VARIABLE}.")
        path = Path(f"{address.database}.key")
    try:
        if not path.exists():
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
            try:
                os.link(draft, path)  # fails where another process was first: its key counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ServiceError(f"The key of the decision log, {path}, cannot be read or made ({fault}).") from None
    if not key:
        raise ServiceError(f"The key of the decision log, {path}, is empty; restore it or set {KEY_VARIABLE}.")
    return key
