"""What is owed when a schedule is not kept: days past due, grace and penalty interest.

* A payment settles the oldest instalment first: fee, penalty interest, interest, principal (先费后息再本). What is paid
  before a due day waits for it.
* `dpd` counts from the due day of the oldest instalment that is not settled; grace does not change it.
* Penalty interest accrues daily on overdue principal, at the contract's daily rate times the product's multiple, and
  bears no interest. Within the grace days there is none; what is unpaid after them bears it from its due day on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from policy.schedule.instalments import Schedule, whole


@dataclass(frozen=True)
class Arrears:
    """A loan on a day, in fen.

    Parameters
    ----------
    dpd : int
        Days past due; 0 where all that fell due is paid.
    principal, interest, fee, penalty : int
        Overdue.
    balance : int
        Principal that is owed, overdue or not.
    paid_penalty : int
        Penalty interest paid so far.
    credit : int
        Paid, with nothing due to settle yet.
    """

    dpd: int
    principal: int
    interest: int
    fee: int
    penalty: int
    balance: int
    paid_penalty: int
    credit: int

    @property
    def overdue(self) -> int:
        """All that is overdue."""
        return self.principal + self.interest + self.fee + self.penalty


@dataclass
class _Due:
    """An instalment while it is being paid."""

    due_on: date
    principal: int
    interest: int
    fee: int
    penalty: Decimal
    counted_to: date

    @property
    def settled(self) -> bool:
        return not (self.principal or self.interest or self.fee or whole(self.penalty))


def arrears(
    plan: Schedule, payments: Sequence[tuple[date, int]], on: date, *, grace_days: int, penalty: Decimal
) -> Arrears:
    """How a loan stands on a day.

    Parameters
    ----------
    plan : Schedule
    payments : sequence of (date, fen)
        In any order; those after the day are not seen.
    on : date
    grace_days : int
    penalty : Decimal
        Multiple of the contract's rate.

    Examples
    --------
    10,000 CNY at 0.05 % a day for a month, unpaid ten days after it was due: 10 days at 0.065 % are 65 CNY.

    >>> from policy.products import Rate
    >>> from policy.schedule.instalments import schedule
    >>> plan = schedule("daily_interest", 1_000_000, Rate.daily("0.0005"), date(2027, 4, 1), 1)
    >>> found = arrears(plan, [], date(2027, 5, 11), grace_days=3, penalty=Decimal("1.3"))
    >>> found.dpd, found.principal, found.interest, found.penalty
    (10, 1000000, 15000, 6500)
    """
    dues = [_Due(row.due_on, row.principal, row.interest, row.fee, Decimal(0), row.due_on) for row in plan.instalments]
    daily = plan.rate.of_day * penalty
    credit = paid_penalty = 0
    seen = sorted((day, fen) for day, fen in payments if day <= on)
    days = sorted({*(day for day, _ in seen), *(row.due_on for row in plan.instalments if row.due_on <= on), on})
    for day in days:
        credit += sum(fen for paid_on, fen in seen if paid_on == day)
        for due in dues:
            if due.due_on > day:
                break
            _accrue(due, day, daily, grace_days)
            credit, penalised = _settle(due, credit)
            paid_penalty += penalised
    fallen = [due for due in dues if due.due_on <= on]
    late = [due for due in fallen if not due.settled]
    return Arrears(
        dpd=(on - late[0].due_on).days if late else 0,
        principal=sum(due.principal for due in fallen),
        interest=sum(due.interest for due in fallen),
        fee=sum(due.fee for due in fallen),
        penalty=sum(whole(due.penalty) for due in fallen),
        balance=sum(due.principal for due in dues),
        paid_penalty=paid_penalty,
        credit=credit,
    )


def _accrue(due: _Due, day: date, daily: Decimal, grace_days: int) -> None:
    """Penalty interest up to a day; within the grace days it waits, and what is paid meanwhile bears none."""
    if (day - due.due_on).days > grace_days:
        due.penalty += due.principal * daily * (day - due.counted_to).days
        due.counted_to = day


def _settle(due: _Due, credit: int) -> tuple[int, int]:
    """Settle an instalment from what is there; what is left of it, and what went to penalty interest."""
    penalty = whole(due.penalty)
    parts = []
    for owed in (due.fee, penalty, due.interest, due.principal):
        part = min(credit, owed)
        credit -= part
        parts.append(part)
    due.fee -= parts[0]
    due.penalty = due.penalty - parts[1] if parts[1] < penalty else Decimal(0)
    due.interest -= parts[2]
    due.principal -= parts[3]
    return credit, parts[1]
