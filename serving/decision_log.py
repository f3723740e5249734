"""Every answer, written before it leaves: who was scored (as keyed hashes), on what, by which bundle, with what result.

The log is append-only, and its entries are a chain that tells what was changed past it (`serving.log_upkeep`). A retry
of the same request for the same application gets the first answer, whoever is champion by then. Customers and
applications appear only as HMAC-SHA256 under the log's key, so the log can be searched for an applicant by whoever has
the key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data_contracts.errors import ServiceError
from data_contracts.messages import ScoreRequest
from serving.group_commit import GroupCommit
from serving.log_database import (
    KEY_VARIABLE,
    address_of,
    engine_of,
    key_of,
    migrate,
    reaching,
    require_in_place,
    writing,
)
from serving.log_entries import (
    DECISIONS,
    FACTS,
    HEAD,
    SCORE,
    Chain,
    Decision,
    decision_of,
    new_decision_id,
    row_of,
    text_of,
)
from serving.log_reading import Wanted, feature_matrix, frame

__all__ = ["LOST_HEAD", "MOST_AT_ONCE", "Decision", "DecisionLog", "feature_matrix", "new_decision_id"]

MOST_AT_ONCE = 1000
LOST_HEAD = "The decision log has lost its head (table log_head); restore the database's backup."
_PATIENCE_SECONDS = 10.0
_SHARED = (sa.exc.OperationalError, sa.exc.InterfaceError, ServiceError)

# made once: SQLAlchemy takes longer to make a statement than SQLite to run it
_HEAD = sa.select(HEAD)
_LOCKED_HEAD = _HEAD.with_for_update()
_MOVE_HEAD = sa.update(HEAD)
_FIRST = sa.select(DECISIONS).where(DECISIONS.c.request_key.in_(sa.bindparam("keys", expanding=True)))
_INSERT = sa.insert(DECISIONS)

Row = dict[str, Any]


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
        self.chain = Chain(key)
        self._key = key
        self._group: GroupCommit[Row, Row | None] = GroupCommit(self._write, MOST_AT_ONCE, _PATIENCE_SECONDS, _SHARED)

    @classmethod
    def open(
        cls, url: str, *, key: str | None = None, key_file: Path | None = None, create: bool = True
    ) -> DecisionLog:
        """Open a log, create it where there is none, and bring its tables up to date.

        Parameters
        ----------
        url : str
            `sqlite:///decisions.db` or `postgresql://user@host/database`.
        key : str, optional
            Key of the hashes; else the environment's `LENDWELL_LOG_KEY`; else the content of `key_file`.
        key_file : Path, optional
            Made with mode 0600 where it does not exist; beside the SQLite file by default.
        create : bool, default True
            False for who reads: a SQLite file that is not there is told, not made.

        Raises
        ------
        ServiceError
            Where the database cannot be reached, the key is missing or another, or a newer Lendwell wrote the log.
        """
        address = address_of(url)
        engine = engine_of(address, create=create)
        secret = key or os.environ.get(KEY_VARIABLE) or key_of(address, key_file)
        log = cls(engine, secret.encode())
        try:
            with reaching(address):
                if sa.inspect(engine).has_table(FACTS.name):  # a migration must not link entries under another key
                    log._check_key()
                migrate(engine, {"chain": log.chain})
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

    def append(self, request: ScoreRequest | None, decision: Decision) -> Decision:
        """Write a decision and return what the log holds for this request, which a retry finds to be the first answer.

        Without a request it is nobody's answer: it refers to another entry.

        The decision is on disk (SQLite in WAL with synchronous FULL, PostgreSQL's commit) when this returns. Threads
        that append at the same time share a commit.

        Raises
        ------
        ServiceError
            Where the database cannot be reached; no answer may be given then.
        """
        return self.append_many([(request, decision)])[0]

    def append_many(self, answered: Sequence[tuple[ScoreRequest | None, Decision]]) -> list[Decision]:
        """Write up to a thousand decisions in one transaction, all or none; see `append`.

        Returns
        -------
        list of Decision
            What the log holds for each request, in their order: the decision itself where it is the first answer.
        """
        if len(answered) > MOST_AT_ONCE:
            raise ServiceError(f"{len(answered)} decisions at once are more than {MOST_AT_ONCE}; append them in parts.")
        rows = [row_of(decision, request, self.pseudonym) for request, decision in answered]
        with reaching(self.engine.url):
            first = self._group.submit(rows)
        pairs = zip(answered, first, strict=True)
        return [decision if row is None else decision_of(row) for (_, decision), row in pairs]

    def _write(self, rows: Sequence[Row]) -> list[Row | None]:
        """Write what is new; the first answer's row for each that is a retry, None for each that is not."""
        keys = [row["request_key"] for row in rows if row["request_key"]]
        answers: list[Row | None] = []
        with writing(self.engine) as connection:
            head = self.head(connection, lock=True)
            known = {row["request_key"]: dict(row) for row in connection.execute(_FIRST, {"keys": keys}).mappings()}
            fresh: dict[str, Row] = {}
            for row in rows:
                first = known.get(row["request_key"]) or fresh.get(row["request_key"])
                answers.append(first)
                if first is None:
                    fresh[row["request_key"] or row["decision_id"]] = row
            self.extend(connection, head, list(fresh.values()))
        return answers

    def extend(self, connection: sa.Connection, head: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Link rows to the head and write both, within the transaction that holds the head."""
        position, mac = head["position"], head["mac"]
        for row in rows:
            position += 1
            row |= {"position": position, "previous_mac": mac}
            mac = row["mac"] = self.chain.mac(row)
        if rows:
            moved = {**head, "position": position, "mac": mac}
            connection.execute(_INSERT, rows)
            connection.execute(_MOVE_HEAD, {**moved, "seal": self.chain.seal(moved)})

    def head(self, connection: sa.Connection, *, lock: bool = False) -> Row:
        """Which entry is the last and which the last that was pruned; with `lock` nobody else appends meanwhile."""
        found = connection.execute(_LOCKED_HEAD if lock else _HEAD).mappings().first()
        if found is None:
            raise ServiceError(LOST_HEAD)
        return dict(found)

    def get(self, decision_id: str) -> tuple[Decision, str]:
        """Return a decision and its request as JSON text; `ServiceError` where the log has no such decision."""
        row = self.row(decision_id)
        return decision_of(row), text_of(row["request"])

    def row(self, decision_id: str) -> Row:
        """A decision as its row; `ServiceError` where the log has no such decision."""
        with reaching(self.engine.url), self.engine.connect() as connection:
            asked = sa.select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)
            found = connection.execute(asked).mappings().first()
        if found is None:
            raise ServiceError(f"The decision log has no decision {decision_id}. `lendwell log export` lists them.")
        return dict(found)

    def read(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        bundle: str | None = None,
        *,
        kind: str = SCORE,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Decisions in the order in which they were written.

        Parameters
        ----------
        since, until : datetime, optional
            `since <= decided_at < until`, UTC without a zone.
        bundle : str, optional
            Identity of the bundle that answered.
        kind : str, default "score"
            Of the entries, such as `decision` for whole decisions.
        columns : sequence of str, optional
            Columns of the log, all by default: requests are most of it, and who needs none saves their reading.

        Returns
        -------
        DataFrame
            One row a decision, the columns of the log; `features` holds arrays, `feature_matrix` stacks them;
            `response` and `parts` hold dicts, `request` JSON text.
        """
        return frame(self.engine, Wanted(since, until, bundle, kind), columns)

    def is_reachable(self) -> bool:
        """Whether the database answers now, from where it was opened."""
        try:
            with self.engine.connect() as connection:
                require_in_place(connection)
                self.head(connection)
            return True
        except (sa.exc.SQLAlchemyError, OSError, ServiceError):
            return False

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
