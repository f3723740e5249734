"""Whether anything in the decision log was changed, removed or put in; and what is removed when its time is over.

Pruning takes the oldest entries, and with them what challengers and people said of them. What it did is an entry
itself, and the head keeps the hash of the last entry that went, so that the chain of those that stay can be verified
from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from data_contracts.append_only import Break, Link, breaks
from data_contracts.errors import ServiceError
from serving.decision_log import LOST_HEAD, DecisionLog
from serving.log_database import reaching, writing
from serving.log_entries import DECISIONS, HEAD, PRUNED, Decision, new_decision_id, row_of
from serving.log_reading import Wanted, rows
from serving.reviews import REVIEWS
from serving.shadow_log import SHADOWS

MOST_BREAKS = 20
_ATTEMPTS = 5
_AT_ONCE = 500  # rows that are removed in one transaction, so that whoever answers waits for milliseconds

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Verified:
    """What was found of the chain.

    Parameters
    ----------
    entries : int
        How many were looked at.
    pruned : int
        Position up to which entries were removed by pruning.
    head : str
        `POSITION:HASH` of the last entry. Kept elsewhere, it tells later whether the log was cut off or written anew
        by somebody who has the key.
    breaks : list of Break
        Where the chain does not hold, the first `MOST_BREAKS`; empty where it is whole.
    """

    entries: int
    pruned: int
    head: str
    breaks: list[Break]


def verify(log: DecisionLog, known_head: str | None = None, progress: Progress | None = None) -> Verified:
    """Compute every entry's hash anew and follow the chain from the last pruned entry to the head.

    Entries that are appended meanwhile are left to the next time.

    Parameters
    ----------
    log : DecisionLog
    known_head : str, optional
        Head of an earlier verification: that entry must still be there, unless it was pruned.
    progress : callable, optional
        Called with what is done and the share of the whole.
    """
    known = _read_head(known_head)
    for _ in range(_ATTEMPTS):
        head = _head_and_last(log)
        seen = _Seen(log, head, progress)
        faults = list(islice(seen.faults(known), MOST_BREAKS))
        if not faults or _head_and_last(log)["pruned_position"] == head["pruned_position"]:
            break  # otherwise entries were pruned meanwhile, and what seems to be removed may be only that
    faults.sort(key=lambda fault: fault.position)
    return Verified(seen.entries, head["pruned_position"], f"{head['position']}:{head['mac']}", faults)


def _head_and_last(log: DecisionLog) -> dict[str, Any]:
    """The head, and as `last` the position of the last entry that is there, both of one moment."""
    with reaching(log.engine.url), log.engine.connect() as connection:
        last = sa.select(sa.func.max(DECISIONS.c.position)).scalar_subquery().label("last")
        found = connection.execute(sa.select(HEAD, last)).mappings().first()
    if found is None:
        raise ServiceError(LOST_HEAD)
    return dict(found)


class _Seen:
    """What was met on the way along the chain."""

    def __init__(self, log: DecisionLog, head: dict[str, Any], progress: Progress | None) -> None:
        self._log = log
        self._head = head
        self._progress = progress
        self.entries = 0
        self._last = head["pruned_position"]
        self._mac = head["pruned_mac"]

    def faults(self, known: tuple[int, str]) -> Iterator[Break]:
        """Where the chain does not hold, where its end does not, and whether the head of once is still in it."""
        yield from breaks(self._links(), self._head["pruned_position"], self._head["pruned_mac"])
        yield from self._faults_of_head()
        yield from self._faults_of_known(*known)

    def _links(self) -> Iterator[Link]:
        """Each entry up to the head that was not pruned."""
        pruned, end = self._head["pruned_position"], self._head["position"]
        for row in rows(self._log.engine, Wanted(after=pruned)):
            if row["position"] > end:
                return
            self.entries += 1
            self._last, self._mac = row["position"], row["mac"]
            if self._progress and self.entries % 500 == 0:
                self._progress("entries", (self._last - pruned) / (end - pruned))
            yield self._log.chain.link(row)

    def _faults_of_head(self) -> Iterator[Break]:
        """Entries that are missing at the end or were put there, and a head that was changed."""
        head = self._head
        if self._log.chain.seal(head) != head["seal"]:
            yield Break(head["position"], "The head (table log_head) was changed: it does not have its seal.")
        for gone in range(self._last + 1, head["position"] + 1):
            yield Break(gone, f"Entry {gone} was removed.")
        for more in range(head["position"] + 1, (head["last"] or 0) + 1):
            yield Break(more, f"Entry {more} was put in behind the head.")
        if self._last == head["position"] and self._mac != head["mac"]:
            yield Break(head["position"], f"Entry {head['position']} is not the one that the head names.")

    def _faults_of_known(self, position: int, mac: str) -> Iterator[Break]:
        """Whether the entry that was the head once is still there."""
        if position <= self._head["pruned_position"]:
            return
        with reaching(self._log.engine.url), self._log.engine.connect() as connection:
            there = connection.scalar(sa.select(DECISIONS.c.mac).where(DECISIONS.c.position == position))
        if there != mac:
            yield Break(position, f"Entry {position} is not the one that was the head once: it is gone or another.")


def _read_head(text: str | None) -> tuple[int, str]:
    if text is None:
        return 0, ""
    position, colon, mac = text.partition(":")
    if not (colon and position.isdecimal() and len(mac) == 64):
        raise ServiceError("--head is not POSITION:HASH as an earlier `lendwell log verify` told it.")
    return int(position), mac


def prune(log: DecisionLog, before: datetime, now: datetime, progress: Progress | None = None) -> int:
    """Remove the oldest entries, up to the first that was decided at `before` or later; returns how many went.

    The entries go in the order of the chain: where a clock had jumped, an old entry may stay behind a newer one, but
    none goes too early. A retry of a request whose answer went is answered anew. What challengers scored and people
    decided of an entry goes with it, in the same transaction.

    Parameters
    ----------
    log : DecisionLog
    before, now : datetime
        UTC without a zone.
    progress : callable, optional
        Called with what is done and the share of the whole.
    """
    position = DECISIONS.c.position
    with reaching(log.engine.url), writing(log.engine) as connection:
        head = log.head(connection, lock=True)
        staying = sa.select(sa.func.min(position)).where(
            DECISIONS.c.decided_at >= before, position > head["pruned_position"]
        )
        first = connection.scalar(staying)
        last = head["position"] if first is None else first - 1
        if last > head["pruned_position"]:
            mac = connection.scalar(sa.select(DECISIONS.c.mac).where(position == last))
            if mac is None:
                raise ServiceError(f"The decision log has no entry {last}: `lendwell log verify` tells what is broken.")
            told = {"up_to": last, "mac": mac, "decided_before": before.isoformat()}
            log.extend(connection, head | {"pruned_position": last, "pruned_mac": mac}, [_note(told, now)])
        begin = connection.scalar(sa.select(sa.func.min(position)))
    removed = 0
    for end in range((begin or 0) + _AT_ONCE - 1, last + _AT_ONCE, _AT_ONCE):
        with reaching(log.engine.url), writing(log.engine) as connection:
            if log.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what went is not read out of free pages
            removed += _remove(connection, position <= min(end, last))
        if progress:
            progress("entries", min(end, last) / last)
    return removed


def _remove(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    """Remove entries with what belongs to them; how many entries went."""
    gone = list(connection.scalars(sa.select(DECISIONS.c.decision_id).where(which)))
    removed = connection.execute(sa.delete(DECISIONS).where(which)).rowcount
    for table in (SHADOWS, REVIEWS):  # after the entries: a review is kept as long as its decision is there
        if sa.inspect(connection).has_table(table.name):  # no reviews before anybody looked for some
            connection.execute(sa.delete(table).where(table.c.decision_id.in_(gone)))
    return removed


def _note(told: dict[str, Any], now: datetime) -> dict[str, Any]:
    return row_of(Decision(new_decision_id(), "", now, "", told, kind=PRUNED), None, str)
