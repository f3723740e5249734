"""Emergency cash: a credit line that is drawn and repaid at will, and its monthly statements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lenders.simulated.decisions import LINE_MONTHS, Decisions
from lenders.simulated.people import People
from lenders.simulated.schedules import Schedule, casual_delay, parts
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    NEVER,
    Flags,
    Floats,
    Ints,
    Timeline,
    known_before,
    moments_column,
    months_later,
    sigmoid,
    whole,
)

_LONGEST = 3  # months in which a drawing is repaid
_LEAST = 10_000  # fen that are drawn at least, and in steps of
_LATE_DAYS = 30
_STATEMENTS = LINE_MONTHS + _LONGEST


@dataclass(frozen=True)
class Lines:
    """Credit lines with their drawings, in order of line and time.

    Parameters
    ----------
    loan, limit : ndarray of int64, shape (lines,)
        Row in the drawn loans, fen.
    billing : ndarray of int64, shape (lines, 16)
        Moment of the opening's day in each month on book: when dues fall and statements are drawn up.
    ends_at : ndarray of int64, shape (lines,)
        When the line can no longer be drawn.
    line, at, principal : ndarray of int64, shape (drawings,)
        Which line, moment, fen.
    cash : ndarray of bool, shape (drawings,)
        Whether it went to the customer's account; otherwise it paid a merchant.
    schedule : Schedule
        Instalments of the drawings.
    """

    loan: Ints
    limit: Ints
    billing: Ints
    ends_at: Ints
    line: Ints
    at: Ints
    principal: Ints
    cash: Flags
    schedule: Schedule


@dataclass
class _Book:
    """Lines while they are drawn: principal and moment of payment by line, month of the drawing and instalment."""

    limit: Ints
    term: Ints
    missed: Ints
    cured: Flags
    cured_at: Ints
    life: Ints
    stop_at: Ints
    customer: Ints
    billing: Ints
    at: Ints
    principal: Ints
    paid_at: Ints


def draw_lines(
    decisions: Decisions, loans: Ints, of: Ints, drawn_at: Ints, people: People, timeline: Timeline,
    rng: np.random.Generator,
) -> Lines:  # fmt: skip
    """Let customers draw their lines, repay and draw again, until a line is given up, replaced or gone wrong.

    Parameters
    ----------
    loans, of, drawn_at : ndarray of int64, shape (lines,)
        Row in the drawn loans, row in the decisions, moment of the first drawing.
    """
    book = _open(decisions, of, drawn_at, rng)
    for on_book in range(LINE_MONTHS):
        _draw(book, on_book, people, timeline, rng)
    schedule, cash = _schedule(book, loans, decisions.annual_rate[of] / 365, timeline, rng)
    drawn = book.principal.sum(axis=2)
    line, month = np.nonzero((drawn > 0) & (book.at < timeline.end))
    ends_at = np.minimum(book.billing[np.arange(len(of)), book.life], book.stop_at)
    at, principal = book.at[line, month], drawn[line, month]
    return Lines(loans, book.limit, book.billing, ends_at, line, at, principal, cash[line, month], schedule)


def _open(decisions: Decisions, of: Ints, drawn_at: Ints, rng: np.random.Generator) -> _Book:
    n, missed, customer = len(of), decisions.missed[of], decisions.customer[of]
    billing = months_later(drawn_at[:, None], np.arange(_STATEMENTS + 1)[None, :])
    stop_at = np.full(n, NEVER)  # a customer has one line: the next one replaces it
    order = np.lexsort((drawn_at, customer))
    again = customer[order][1:] == customer[order][:-1]
    stop_at[order[:-1][again]] = drawn_at[order[1:][again]]
    return _Book(
        limit=whole(100 * decisions.amount[of]),
        term=decisions.term[of],
        missed=missed,
        cured=decisions.cured[of],
        cured_at=billing[np.arange(n), missed] + rng.integers(31, 85, n) * DAY - 9 * HOUR,
        life=np.maximum(np.minimum(rng.geometric(0.2, n), LINE_MONTHS), missed),
        stop_at=stop_at,
        customer=customer,
        billing=billing,
        at=np.concatenate([drawn_at[:, None], np.full((n, LINE_MONTHS - 1), NEVER)], axis=1),
        principal=np.zeros((n, LINE_MONTHS, _LONGEST), np.int64),
        paid_at=np.full((n, LINE_MONTHS, _LONGEST), NEVER),
    )


def _draw(book: _Book, month: int, people: People, timeline: Timeline, rng: np.random.Generator) -> None:
    """Enter the drawings of a month on book: who is late settles first, who will fail at the next due day draws."""
    n = len(book.limit)
    luck, share, days = rng.random(n), rng.random(n), rng.uniform(0.5, 20, n)
    at = book.at[:, 0] if month == 0 else book.billing[:, month] + (days * DAY).astype(np.int64)
    wants = np.ones(n, bool)
    before = slice(0, month)
    due = 1 + np.arange(LINE_MONTHS)[:, None] + np.arange(_LONGEST)  # month on book by month of drawing and instalment
    if month:
        strain = people.strain[book.customer, timeline.month_of(at)]
        wants = luck < sigmoid(-0.9 + 0.3 * people.hunger[book.customer] + 0.35 * strain)
        wants &= (month < book.life) & (at < book.stop_at) & ((month < book.missed) | (book.missed == 0))
        owes = (book.principal[:, before] > 0) & (due[before] == book.missed[:, None, None])
        wants |= (book.missed == month + 1) & ~owes.any(axis=(1, 2))
        late = (book.paid_at[:, before] > at[:, None, None]) & (due[before] <= month) & wants[:, None, None]
        book.paid_at[:, before] = np.where(late, at[:, None, None] - HOUR, book.paid_at[:, before])
    used = (book.principal[:, before] * (book.paid_at[:, before] > at[:, None, None])).sum(axis=(1, 2))
    free = book.limit - used
    wish = np.where(share < 0.4, 1.0, 0.2 + 0.8 * share)
    amount = np.maximum((wish * free).astype(np.int64) // _LEAST, 1) * _LEAST
    rows = np.flatnonzero(wants & (free >= _LEAST))
    book.at[rows, month] = at[rows]
    equal = amount // book.term
    for place in range(_LONGEST):
        last = book.term == place + 1
        part = np.where(last, amount - equal * place, np.where(book.term > place, equal, 0))
        book.principal[rows, month, place] = part[rows]
    book.paid_at[rows, month] = _paid_at(book, rows, month, at[rows], people, timeline, rng)


def _paid_at(
    book: _Book, rows: Ints, month: int, at: Ints, people: People, timeline: Timeline, rng: np.random.Generator
) -> Ints:
    """Moment of payment of a drawing's instalments, shape (rows, 3): around the due day, at will, cured or never."""
    who, missed = book.customer[rows], book.missed[rows]
    will, able, term = people.willingness[who], people.ability[who], book.term[rows]
    ends = book.billing[rows, month + term]
    at_will = (rng.random(len(rows)) < 0.3) & ((missed == 0) | (month + term < missed))
    settles = at + ((ends - at) * rng.uniform(0.03, 1.0, len(rows))).astype(np.int64)
    paid = []
    for place in range(_LONGEST):
        due_at = book.billing[rows, month + 1 + place]
        strain = people.strain[who, timeline.month_of(due_at)]
        paid_at = np.maximum(due_at + casual_delay(will, able, strain, rng), at + HOUR)
        paid_at = np.where(at_will, np.minimum(paid_at, settles), paid_at)
        caught = (missed > 0) & (month + 1 + place >= missed)
        cured_at = np.where(book.cured[rows], np.maximum(paid_at, book.cured_at[rows]), NEVER)
        paid.append(np.where(caught, cured_at, paid_at))
    return np.stack(paid, axis=1)


def _schedule(
    book: _Book, loans: Ints, daily_rate: Floats, timeline: Timeline, rng: np.random.Generator
) -> tuple[Schedule, Flags]:
    """Instalments of all drawings before the end, and which drawings (by line and month) went to the account."""
    line, month, place = np.nonzero((book.principal > 0) & (book.at < timeline.end)[:, :, None])
    principal, paid_at = book.principal[line, month, place], book.paid_at[line, month, place]
    drawn_at, due_at = book.at[line, month], book.billing[line, month + 1 + place]

    def with_interest(until: Ints) -> Ints:
        days = np.maximum(-((drawn_at - until) // DAY), 1)
        return principal + whole(principal * daily_rate[line] * days)

    settled = with_interest(np.minimum(paid_at, due_at))
    first = np.searchsorted(line, line)
    number = 1 + np.arange(len(line)) - first
    part, part_at = parts(drawn_at, due_at, paid_at, settled, rng)
    schedule = Schedule(loans[line], number, drawn_at, due_at, with_interest(due_at), paid_at, settled, part, part_at)
    return schedule, rng.random(book.at.shape) < 0.7


def statements(
    lines: Lines, closed_at: Ints, customer: pa.Array, loan_id: pa.Array, end: int, rng: np.random.Generator
) -> pa.Table:
    """Build `card_months`: a statement a month from the first due day on, until the line is closed.

    Balance is what the instalments of all drawings ask for less what was paid on them, interest to the due day
    included; the least to be paid is what fell due by then and was not paid before the month.

    Parameters
    ----------
    closed_at : ndarray of int64, shape (lines,)
        When each line is repaid for good.
    customer, loan_id : pa.Array, shape (lines,)
        Whose, and the identifier that serves as the card's.
    """
    schedule, n = lines.schedule, len(lines.loan)
    line = np.searchsorted(lines.loan, schedule.loan)
    months = []
    for month in range(1, _STATEMENTS + 1):
        now = lines.billing[:, month]
        before = lines.billing[:, month - 1] if month > 1 else np.zeros(n, np.int64)
        owed, paid, earlier = schedule.owed_by(now[line]), schedule.paid_by(now[line]), schedule.paid_by(before[line])
        due = schedule.due_at <= now[line]
        open_ = schedule.drawn_at <= now[line]
        dpd = np.zeros(n, np.int64)
        overdue = due & (schedule.paid_at > now[line])
        np.maximum.at(dpd, line[overdue], -((schedule.due_at - now[line])[overdue] // DAY))
        drawings = (lines.at <= now[lines.line]) & (lines.at > before[lines.line])
        shown = np.flatnonzero((before < closed_at) & (now < end))
        months.append(np.stack([
            shown,
            np.full(len(shown), month),
            _sum(line, (owed - paid) * open_, n)[shown],
            _sum(line, (owed - earlier) * due, n)[shown],
            _sum(line, paid - earlier, n)[shown],
            *(_sum(lines.line, values, n)[shown] for values in (
                lines.principal * drawings, lines.principal * (drawings & lines.cash), drawings, drawings & lines.cash
            )),
            dpd[shown],
        ]))  # fmt: skip
    which, month, balance, least, paid, drawn, cash, times, cash_times, dpd = np.concatenate(months, axis=1)
    at = lines.billing[which, month]
    table = pa.table({
        "card_id": loan_id.take(pa.array(which)),
        "customer_id": customer.take(pa.array(which)),
        "occurred_at": moments_column(at),
        "known_at": moments_column(at + (rng.uniform(0.5, 3, len(at)) * DAY).astype(np.int64)),
        "credit_limit": lines.limit[which],
        "balance": balance,
        "minimum_due": least,
        "paid": paid,
        "drawn": drawn,
        "drawn_cash": cash,
        "drawings": times,
        "drawings_cash": cash_times,
        "dpd": dpd,
        "status": _status(dpd, balance, paid + drawn),
    })  # fmt: skip
    return known_before(table, end)


def _status(dpd: Ints, balance: Ints, moved: Ints) -> pa.Array:
    """How each month ended, by the words of the contract."""
    settled = np.where(moved > 0, "paid_in_full", "unused")
    return pa.array(np.where(dpd >= _LATE_DAYS, "late", np.where(balance > 0, "carried", settled)).tolist())


def _sum(line: Ints, values: Ints | Flags, lines: int) -> Ints:
    return np.bincount(line, values, lines).astype(np.int64)  # exact: far below 2**53
