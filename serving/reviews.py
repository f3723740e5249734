"""The queue of applications that a person decides, and what the person decided: once, by name, kept.

What waits is read from the decision log: every decision that referred. What a person decides is a row of `reviews`, a
table beside the log that is only appended to: a row goes when its decision was pruned, and not before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from data_contracts.append_only import alone, guard
from data_contracts.errors import RequestError
from serving.decision_log import DecisionLog
from serving.log_database import reaching
from serving.log_entries import DECISION, DECISIONS

_LOCK_NUMBER = 20_260_802  # names the reviews among PostgreSQL's advisory locks
_LONGEST, _MOST = 2000, 1000

_metadata = sa.MetaData()
REVIEWS = sa.Table(
    "reviews",
    _metadata,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("decision_id", sa.String(32), nullable=False, unique=True),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
)

_REVIEW_COLUMNS = (REVIEWS.c.outcome, REVIEWS.c.by, REVIEWS.c.reason, REVIEWS.c.at)
_REFERRED = '"outcome":"refer"'  # as the log writes it

# SQL: a row may be removed whose decision is not in the log any more
_REMOVABLE = (
    "CASE WHEN EXISTS (SELECT 1 FROM decisions WHERE decisions.decision_id = OLD.decision_id) "
    "THEN 0 ELSE OLD.position END"
)

ReviewOutcome = Literal["approve", "decline"]


@dataclass(frozen=True)
class Review:
    """What a person decided.

    Parameters
    ----------
    decision_id : str
        The decision that referred.
    outcome : {"approve", "decline"}
    by, reason : str
        Who, in which role, and why.
    at : datetime
        UTC without a zone.
    """

    decision_id: str
    outcome: ReviewOutcome
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Referred:
    """An application that a person decides.

    Parameters
    ----------
    decision_id : str
    referred_at : datetime
    response : dict
        The decision as it was answered, with its trace.
    review : Review or None
        None where it still waits.
    """

    decision_id: str
    referred_at: datetime
    response: dict[str, Any]
    review: Review | None


class ReviewQueue:
    """Referred applications of a decision log, and their reviews.

    Parameters
    ----------
    log : DecisionLog
        Where the table of reviews is not there yet, it is made beside it.
    """

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        with reaching(log.engine.url):
            if not sa.inspect(log.engine).has_table(REVIEWS.name):
                self._make()

    def list(self, since: datetime | None = None, *, waiting: bool = True) -> list[Referred]:
        """Referred applications, the longest waiting first, a thousand at most.

        Parameters
        ----------
        since : datetime, optional
            Only those referred from then on, UTC without a zone.
        waiting : bool, default True
            Only those that nobody has decided yet.
        """
        decided = REVIEWS.c.decision_id.is_not(None)
        wanted = [DECISIONS.c.kind == DECISION, DECISIONS.c.response.contains(_REFERRED, autoescape=True)]
        wanted += [DECISIONS.c.decided_at >= since] if since is not None else []
        wanted += [~decided] if waiting else []
        asked = (
            sa.select(DECISIONS.c.decision_id, DECISIONS.c.decided_at, DECISIONS.c.response, *_REVIEW_COLUMNS)
            .outerjoin_from(DECISIONS, REVIEWS, DECISIONS.c.decision_id == REVIEWS.c.decision_id)
            .where(*wanted)
            .order_by(DECISIONS.c.position)
            .limit(_MOST)
        )
        with reaching(self._log.engine.url), self._log.engine.connect() as connection:
            rows = connection.execute(asked).mappings().all()
        return [_referred(row, msgspec.json.decode(row["response"])) for row in rows]

    def get(self, decision_id: str) -> Referred:
        """A referred application; `RequestError` where there is none of that id."""
        decision, _ = self._log.get(decision_id)
        if decision.kind != DECISION or decision.response["outcome"] != "refer":
            raise RequestError(f"{decision_id} was not referred to a person; `lendwell review list` shows what was.")
        return Referred(decision_id, decision.decided_at, decision.response, self._review(decision_id))

    def decide(self, review: Review) -> Referred:
        """Record what a person decided; it is on disk when this returns.

        Raises
        ------
        RequestError
            Where there is no such referred application, it was decided before, or nobody or no reason is named.
        """
        for name in ("by", "reason"):
            if not 0 < len(getattr(review, name).strip()) <= _LONGEST:
                raise RequestError(f"--{name} is empty or longer than {_LONGEST} characters; say who decides, and why.")
        referred = self.get(review.decision_id)
        with reaching(self._log.engine.url), alone(self._log.engine, _LOCK_NUMBER) as connection:
            asked = sa.select(REVIEWS).where(REVIEWS.c.decision_id == review.decision_id)
            first = connection.execute(asked).mappings().first()
            if first is not None:
                raise RequestError(
                    f"{review.decision_id} was decided before: {first['outcome']} by {first['by']} on "
                    f"{first['at']:%Y-%m-%d %H:%M} UTC. What was decided is kept; a new request is decided anew."
                )
            last = connection.scalar(sa.select(sa.func.max(REVIEWS.c.position))) or 0
            connection.execute(sa.insert(REVIEWS).values(position=last + 1, **asdict(review)))
        return Referred(referred.decision_id, referred.referred_at, referred.response, review)

    def _review(self, decision_id: str) -> Review | None:
        asked = sa.select(*_REVIEW_COLUMNS).where(REVIEWS.c.decision_id == decision_id)
        with reaching(self._log.engine.url), self._log.engine.connect() as connection:
            row = connection.execute(asked).mappings().first()
        return None if row is None else Review(decision_id, **row)

    def _make(self) -> None:
        with alone(self._log.engine, _LOCK_NUMBER) as connection:
            if not sa.inspect(connection).has_table(REVIEWS.name):
                _metadata.create_all(connection)
                guard_reviews(connection)


def guard_reviews(connection: sa.Connection) -> None:
    """Let the database keep every review as long as the decision that it belongs to, and as it was written."""
    guard(connection, REVIEWS.name, "reviews are only appended to", removable=_REMOVABLE)


def _referred(row: sa.RowMapping, response: dict[str, Any]) -> Referred:
    decided = {column.name: row[column.name] for column in _REVIEW_COLUMNS}
    review = None if decided["outcome"] is None else Review(row["decision_id"], **decided)
    return Referred(row["decision_id"], row["decided_at"], response, review)
