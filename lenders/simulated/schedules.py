"""What falls due on own loans and when it is paid: what term loans and credit lines share, and term loans.

Loans of one term have instalments a month, business loans interest a quarter and the principal at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lenders.simulated.decisions import Decisions
from lenders.simulated.people import People
from lenders.simulated.requests import BUSINESS
from lenders.simulated.timeline import DAY, HOUR, NEVER, Floats, Ints, Timeline, months_later, sigmoid, whole

_LATEST_CASUAL = 27  # days late by negligence: never a default


@dataclass(frozen=True)
class Schedule:
    """Instalments in order of loan and number; arrays of shape (instalments,).

    Parameters
    ----------
    loan : ndarray of int64
        Row in the drawn loans.
    number, drawn_at, due_at, amount : ndarray of int64
        Place in the schedule, moments, fen.
    paid_at : ndarray of int64
        When the last of it is paid, `NEVER` or more where it is not.
    settled : ndarray of int64
        Fen that settle it: less than `amount` where an early payment saves interest.
    part, part_at : ndarray of int64
        Fen paid before the rest, 0 for none, and when.
    """

    loan: Ints
    number: Ints
    drawn_at: Ints
    due_at: Ints
    amount: Ints
    paid_at: Ints
    settled: Ints
    part: Ints
    part_at: Ints

    def __len__(self) -> int:
        return len(self.loan)

    def take(self, rows: Ints) -> Schedule:
        """The given instalments, in that order."""
        return Schedule(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def paid_by(self, moments: Ints) -> Ints:
        """Fen paid on each instalment by a moment of its own."""
        paid: Ints = self.part * (self.part_at <= moments) + (self.settled - self.part) * (self.paid_at <= moments)
        return paid

    def owed_by(self, moments: Ints) -> Ints:
        """Fen that each instalment asks for as it stands at a moment of its own, paid or not."""
        return np.where(self.paid_at <= moments, self.settled, self.amount)


def together(first: Schedule, second: Schedule) -> Schedule:
    """Both schedules in order of loan and number."""
    both = Schedule(
        **{f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Schedule)}
    )
    return both.take(np.lexsort((both.number, both.loan)))


def instalment_monthly(product: Ints, amount: Floats, term: Ints, annual_rate: Floats) -> Floats:
    """Instalment a month in CNY: an annuity, for business loans the interest alone.

    Examples
    --------
    >>> product, amount, term = np.array([0, 3]), np.array([3_000.0, 120_000.0]), np.array([3, 12])
    >>> instalment_monthly(product, amount, term, np.array([0.12, 0.08])).round(2).tolist()
    [1020.07, 800.0]
    """
    monthly = annual_rate / 12
    annuity: Floats = amount * monthly / (1 - (1 + monthly) ** -term)
    return np.where(product == BUSINESS, amount * monthly, annuity)


def term_loans(
    decisions: Decisions, loans: Ints, of: Ints, drawn_at: Ints, people: People, timeline: Timeline,
    rng: np.random.Generator,
) -> Schedule:  # fmt: skip
    """Schedule of the loans that are paid out at once.

    Parameters
    ----------
    loans, of, drawn_at : ndarray of int64, shape (n,)
        Row in the drawn loans, row in the decisions, moment.
    """
    quarterly = decisions.product[of] == BUSINESS
    stride = np.where(quarterly, 3, 1)
    counts = decisions.term[of] // stride
    at = np.repeat(np.arange(len(of)), counts)
    number = 1 + np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    month = number * stride[at]
    due_at = months_later(drawn_at[at], month)
    principal, term = decisions.amount[of], decisions.term[of]
    monthly = instalment_monthly(decisions.product[of], principal, term, decisions.annual_rate[of])
    amount = whole(100 * np.where(quarterly[at], 3 * monthly[at] + (principal * 1.0)[at] * (month == term[at]),
                                  monthly[at]))  # fmt: skip
    paid_at = _paid_at(decisions, of, at, month, due_at, people, timeline, rng)
    paid_at = np.maximum(paid_at, drawn_at[at] + HOUR)
    part, part_at = parts(drawn_at[at], due_at, paid_at, amount, rng)
    return Schedule(loans[at], number, drawn_at[at], due_at, amount, paid_at, amount, part, part_at)


def _paid_at(
    decisions: Decisions, of: Ints, at: Ints, month: Ints, due_at: Ints, people: People, timeline: Timeline,
    rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """Instalments early, on the day or late by negligence; then long arrears, cured or not; then early repayment."""
    who, loans = decisions.customer[of][at], len(of)
    strain = people.strain[who, timeline.month_of(due_at)]
    paid_at = due_at + casual_delay(people.willingness[who], people.ability[who], strain, rng)
    missed, cured = decisions.missed[of][at], decisions.cured[of][at]

    begins = np.full(loans, NEVER)
    first = (missed > 0) & (month == missed)
    begins[at[first]] = due_at[first]
    cured_at = begins + rng.integers(31, 85, loans) * DAY - 9 * HOUR
    caught = (missed > 0) & (due_at >= begins[at])
    paid_at = np.where(caught & cured, np.maximum(paid_at, cured_at[at]), paid_at)
    paid_at = np.where(caught & ~cured, NEVER, paid_at)

    prepays, share = rng.random(loans) < 0.22, rng.random(loans)
    ahead = prepays[at] & (missed == 0) & (month > (share * decisions.term[of])[at])
    settled_at = np.full(loans, NEVER)
    np.minimum.at(settled_at, at[ahead], paid_at[ahead])
    return np.where(ahead, settled_at[at], paid_at)


def casual_delay(willingness: Floats, ability: Floats, strain: Floats, rng: np.random.Generator) -> Ints:
    """Microseconds from the due moment (the end of a day) to a payment of somebody who means to pay."""
    n = len(strain)
    late = rng.random(n) < sigmoid(-2.3 - 1.0 * willingness + 0.8 * strain)
    early = rng.random(n) < sigmoid(-1.2 + 0.5 * ability - 0.5 * strain)
    days_late, days_early = np.minimum(rng.geometric(0.17, n), _LATEST_CASUAL), rng.integers(1, 13, n)
    days = np.where(late, days_late, np.where(early, -days_early, 0))
    hours_before_midnight = (rng.uniform(2, 15, n) * HOUR).astype(np.int64)
    return days * DAY - hours_before_midnight


def parts(drawn_at: Ints, due_at: Ints, paid_at: Ints, settled: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Fen and moment of a first part: some instalments are paid in two, some stop at the first."""
    n = len(due_at)
    in_time = paid_at < NEVER
    late = in_time & (paid_at > due_at)
    in_two = rng.random(n) < np.where(late, 0.18, np.where(in_time, 0.02, 0.06))
    part_at = np.where(in_time, paid_at, due_at + 20 * DAY) - rng.integers(1, 11, n) * DAY
    in_two &= part_at > drawn_at
    part = np.where(in_two, whole(settled * rng.uniform(0.2, 0.8, n)), 0)
    return part, np.where(in_two, part_at, NEVER)
