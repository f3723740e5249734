"""The decision log's database: its address, durable connections, its key, its tables brought up to date."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from data_contracts.append_only import alone
from data_contracts.errors import ServiceError

KEY_VARIABLE = "LENDWELL_LOG_KEY"
_LOCK_NUMBER = 20_250_301  # names the log's migrations among PostgreSQL's advisory locks
_MIGRATING = threading.Lock()  # Alembic keeps its context in a module, so one thread at a time
_PATIENCE_SECONDS = 5
_INODES: WeakKeyDictionary[sa.Engine, int | None] = WeakKeyDictionary()  # of the files that engines were made for
# a commit is on disk before it is acknowledged, whatever the server's default; who waits for the head gives up in time
_POSTGRESQL = {
    "connect_timeout": _PATIENCE_SECONDS,
    "tcp_user_timeout": _PATIENCE_SECONDS * 1000,
    "options": f"-c synchronous_commit=on -c lock_timeout={_PATIENCE_SECONDS}s",
}


def address_of(url: str) -> sa.URL:
    """Read the address of a log; `ServiceError` where it is none in SQLite or PostgreSQL."""
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


def engine_of(address: sa.URL, *, create: bool = True) -> sa.Engine:
    """Connections whose commits survive the loss of power.

    A SQLite file is made for its owner only where there is none; `ServiceError` without `create`.
    """
    if address.drivername != "sqlite":
        return sa.create_engine(address, pool_pre_ping=True, connect_args=_POSTGRESQL)
    path = Path(address.database or "").absolute()
    if not create and not path.is_file():
        raise ServiceError(f"There is no decision log {path}. Name it with --home or --log-url.")
    with suppress(OSError):  # told at the first connection
        os.close(os.open(path, os.O_CREAT, 0o600))
    inode = _inode(path)

    def connect() -> sqlite3.Connection:
        # a file that went away is not begun anew behind the back of whoever moved it, nor is another one written into
        if inode is not None and _inode(path) != inode:
            raise sqlite3.OperationalError("its file was moved away or replaced")
        place = f"file:{quote(str(path))}?mode=rw"
        return sqlite3.connect(place, uri=True, timeout=_PATIENCE_SECONDS, check_same_thread=False)

    engine = sa.create_engine(address, creator=connect)
    _INODES[engine] = inode

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
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes: the only one in SQLite; in PostgreSQL the only one once it has the log's head."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            require_in_place(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def require_in_place(connection: sa.Connection) -> None:
    """`ServiceError` where the SQLite file was moved away or replaced: what is written now, nobody would find."""
    if connection.dialect.name == "sqlite":
        path = Path(connection.engine.url.database or "").absolute()
        if _inode(path) != _INODES.get(connection.engine):
            raise ServiceError(f"The decision log {path} was moved away or replaced while it was in use. Put it back.")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


@contextmanager
def reaching(address: sa.URL, what: str = "decision log") -> Iterator[None]:
    """Tell a fault of the database as such, with its address and without its password."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as fault:
        # the cause only: SQLAlchemy's own text repeats the row, and with it the request
        cause = str(getattr(fault, "orig", None) or type(fault).__name__).strip().splitlines()[0]
        raise ServiceError(
            f"The {what} {address.render_as_string(hide_password=True)} cannot be reached or written ({cause}). "
            "Check that the database runs, has room, that nobody else holds it and that this account may write to it."
        ) from None


def migrate(engine: sa.Engine, attributes: Mapping[str, Any]) -> None:
    """Bring the tables up to date; one process does it, the others wait and find it done.

    Parameters
    ----------
    engine : Engine
    attributes : mapping
        What migrations need besides the connection.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    with _MIGRATING, alone(engine, _LOCK_NUMBER) as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes.update({"connection": connection, **attributes})
        try:
            command.upgrade(config, "head")
        except CommandError as fault:
            raise ServiceError(
                f"The decision log was written by a newer Lendwell ({fault}); serve with that version."
            ) from fault


def key_of(address: sa.URL, path: Path | None) -> str:
    """Read the key from its file, making it first where there is none; a half-written key is never seen."""
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
