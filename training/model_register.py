"""The model register: who did what with which version of a model, when and why; nothing in it is ever changed.

It is one table in SQLite or PostgreSQL. Triggers refuse UPDATE and DELETE; for whoever takes the triggers away, each
entry carries the SHA-256 of itself and of the entry before, so that a changed or removed one breaks the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data_contracts.append_only import FIRST, Link, alone, breaks, guard
from data_contracts.errors import RegistryError
from data_contracts.months import utc
from training.standing import Act
from training.store import with_driver

_LOCK_NUMBER = 20_260_701  # names the register among PostgreSQL's advisory locks
_PATIENCE_SECONDS = 30

_metadata = sa.MetaData()
_REGISTER = sa.Table(
    "model_register",
    _metadata,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("bundle_identity", sa.Text, nullable=False),
    sa.Column("verdict_sha256", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous_sha256", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Entry:
    """An act as it stands in the register.

    Parameters
    ----------
    position : int
        1 for the first, without gaps.
    at, model, version, action, by, bundle_identity, verdict_sha256, reason : str
        See `Act`; `at` in UTC.
    details : str
        Further facts as JSON.
    previous_sha256, sha256 : str
        Of the entry before and of this one, that of the entry before included.
    """

    position: int
    at: str
    model: str
    version: str
    action: Any
    by: str
    bundle_identity: str
    verdict_sha256: str
    reason: str
    details: str
    previous_sha256: str
    sha256: str = ""

    def hashed(self) -> str:
        """SHA-256 of all but `sha256` itself."""
        facts = {name: value for name, value in asdict(self).items() if name != "sha256"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def act(self) -> Act:
        """What was done; `RegistryError` where the entry was changed into something else."""
        try:
            at, details = utc(datetime.fromisoformat(self.at)), json.loads(self.details)
        except ValueError as fault:
            raise RegistryError(
                f"Entry {self.position} of the model register cannot be read ({fault}). "
                f"`lendwell register {self.model} --verify` lists what was changed."
            ) from fault
        same = ("model", "version", "action", "by", "bundle_identity", "verdict_sha256", "reason")
        return Act(**{name: getattr(self, name) for name in same}, at=at, details=details)


class ModelRegister:
    """The register of all models of a lender, made where there is none.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.

    Raises
    ------
    RegistryError
        Where the database cannot be reached.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with ModelRegister(f"sqlite:///{folder.name}/register.db") as register:
    ...     entry = register.append(Act("cash", "1", "registered", "its author", datetime(2026, 7, 1), "b1" * 32))
    ...     entry.position, entry.at, register.faults()
    (1, '2026-07-01T00:00:00.000Z', [])
    >>> folder.cleanup()
    """

    def __init__(self, url: str) -> None:
        with _reported(url):
            address = sa.make_url(with_driver(url))
            if address.get_backend_name() not in ("sqlite", "postgresql"):
                raise RegistryError(f"The model register lies in SQLite or PostgreSQL, not in {address.drivername}.")
            waits = "timeout" if address.get_backend_name() == "sqlite" else "connect_timeout"
            self._engine = sa.create_engine(address, connect_args={waits: _PATIENCE_SECONDS})
            with self._engine.connect() as connection:
                there = sa.inspect(connection).has_table(_REGISTER.name)
            if not there:
                self._make()
        self._url = url

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def __enter__(self) -> ModelRegister:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, act: Act, allow: Callable[[Sequence[Entry]], object] | None = None) -> Entry:
        """Write an act down; it is on disk when this returns.

        Parameters
        ----------
        act : Act
        allow : callable, optional
            Called with the entries of the act's model before it is written, while nobody else can write; what it raises
            keeps the act out.
        """
        with _reported(self._url), alone(self._engine, _LOCK_NUMBER) as connection:
            if allow is not None:
                allow(_entries(connection, act.model))
            last = connection.execute(sa.select(_REGISTER).order_by(_REGISTER.c.position.desc()).limit(1)).first()
            draft = Entry(
                position=1 if last is None else last.position + 1,
                at=act.moment,
                model=act.model,
                version=act.version,
                action=act.action,
                by=act.by,
                bundle_identity=act.bundle_identity,
                verdict_sha256=act.verdict_sha256,
                reason=act.reason,
                details=json.dumps(dict(act.details), sort_keys=True, ensure_ascii=False),
                previous_sha256=FIRST if last is None else last.sha256,
            )
            written = Entry(**{**asdict(draft), "sha256": draft.hashed()})
            connection.execute(sa.insert(_REGISTER).values(**asdict(written)))
        return written

    def entries(self, model: str | None = None) -> list[Entry]:
        """Entries in their order, of one model or of all."""
        with _reported(self._url), self._engine.connect() as connection:
            return _entries(connection, model)

    def faults(self, marks: Mapping[int, str] | None = None) -> list[str]:
        """What was changed or removed; empty where the chain is whole.

        Parameters
        ----------
        marks : mapping of int to str, optional
            SHA-256 of entries by position, as they were kept elsewhere: the chain alone cannot tell whether its last
            entries are gone, or all of it was written anew.
        """
        entries = self.entries()
        links = [Link(one.position, one.previous_sha256, one.sha256, one.hashed()) for one in entries]
        found = [fault.problem for fault in breaks(links)]
        last = entries[-1].position if entries else 0
        held = {entry.position: entry.sha256 for entry in entries}
        for at, sha256 in sorted((marks or {}).items()):
            if at > last:
                found.append(f"Entry {at} was removed: the registry has its mark.")
            elif held.get(at, sha256) != sha256:
                found.append(f"Entry {at} is not the one that the registry has a mark of.")
        return found

    def _make(self) -> None:
        with alone(self._engine, _LOCK_NUMBER) as connection:
            if not sa.inspect(connection).has_table(_REGISTER.name):
                _metadata.create_all(connection)
                guard(connection, _REGISTER.name, "the model register is append-only")


def _entries(connection: sa.Connection, model: str | None) -> list[Entry]:
    asked = sa.select(_REGISTER).order_by(_REGISTER.c.position)
    if model is not None:
        asked = asked.where(_REGISTER.c.model == model)
    return [Entry(**row) for row in connection.execute(asked).mappings()]


@contextmanager
def _reported(url: str) -> Iterator[None]:
    """Tell a fault of the database as such, without the password that its address may hold."""
    try:
        yield
    except sa.exc.SQLAlchemyError as fault:
        cause = str(getattr(fault, "orig", None) or fault).strip().splitlines()[0]
        raise RegistryError(
            f"The model register at {url.rsplit('@', 1)[-1]} cannot be used ({cause}). Check LENDWELL_REGISTER_URL, "
            "that the database runs and that this account may write to it."
        ) from fault
