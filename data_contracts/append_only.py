"""Tables that are only appended to: guards in the database, and a chain that tells what was changed past them.

Each entry carries the hash of itself and of the entry before, so a changed, removed or inserted one breaks the chain.
The model register and the decision log are such tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

FIRST = "0" * 64  # what the first entry follows


@dataclass(frozen=True)
class Link:
    """What an entry says of itself and of the one before, and what its hash should be.

    Parameters
    ----------
    position : int
        1 for the first entry, without gaps.
    previous, hashed : str
        Hashes of the entry before and of this one, as they are written.
    computed : str
        Hash of this one, computed anew from all it holds, `previous` included.
    """

    position: int
    previous: str
    hashed: str
    computed: str


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, and why."""

    position: int
    problem: str


def breaks(links: Iterable[Link], position: int = 0, hashed: str = FIRST) -> Iterator[Break]:
    """Where a chain does not hold, in the order of its entries.

    Parameters
    ----------
    links : iterable of Link
        Entries in the order of their positions.
    position, hashed : int, str
        The entry that the first of them follows.

    Examples
    --------
    >>> whole = [Link(1, FIRST, "a", "a"), Link(2, "a", "b", "b"), Link(3, "b", "c", "c")]
    >>> list(breaks(whole)), list(breaks([whole[0], whole[2]]))
    ([], [Break(position=2, problem='Entry 2 was removed.')])
    """
    for link in links:
        for gone in range(position + 1, link.position):
            yield Break(gone, f"Entry {gone} was removed.")
        if link.position == position + 1 and link.previous != hashed:
            yield Break(link.position, f"Entry {link.position} does not follow the one before it.")
        if link.hashed != link.computed:
            yield Break(link.position, f"Entry {link.position} was changed: it does not have its SHA-256.")
        position, hashed = link.position, link.hashed


def guard(connection: sa.Connection, table: str, said: str, removable: str = "0") -> None:
    """Let the database refuse UPDATE, DELETE and TRUNCATE of a table, and rows that are put among the earlier ones.

    Parameters
    ----------
    connection : Connection
        Within a transaction, to SQLite or PostgreSQL.
    table, said : str
        Name of the table, which has a column `position`, and what a refusal says; words of our own.
    removable : str, default "0"
        SQL of the position up to which rows may be removed, such as a query; it may ask of `OLD`, the row in question.
    """
    for statement in _GUARDS[connection.dialect.name]:
        connection.execute(sa.text(statement.format(table=table, said=f"'{said}'", removable=removable)))


_GUARDS = {
    "sqlite": (
        "CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, {said}); END",
        (
            "CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} WHEN OLD.position > ({removable}) "
            "BEGIN SELECT RAISE(ABORT, {said}); END"
        ),
        # INSERT OR REPLACE would delete without a word
        (
            "CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} "
            "WHEN NEW.position <= (SELECT max(position) FROM {table}) BEGIN SELECT RAISE(ABORT, {said}); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF TG_OP = 'DELETE' THEN IF OLD.position <= ({removable}) THEN RETURN OLD; END IF; END IF; "
            "RAISE EXCEPTION {said}; END $$"
        ),
        (
            "CREATE TRIGGER {table}_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"
        ),
        (
            "CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
        ),
    ),
}


@contextmanager
def alone(engine: sa.Engine, lock_number: int) -> Iterator[sa.Connection]:
    """A transaction beside which no other process writes; on PostgreSQL none that asks for the same lock."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_number)))
        yield connection
