"""Repaying ahead of the schedule, in part or whole: a shorter term or a lower instalment, and a fee within the cap."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal

from data_contracts.errors import DeclarationError
from policy.cap import fee_within
from policy.products import MONTHS_A_YEAR
from policy.schedule.instalments import Instalment, Schedule, run, whole

Then = Literal["shorter_term", "lower_instalment"]


def prepay(plan: Schedule, on: date, principal: int, then: Then, *, fee: Decimal, cap: Decimal) -> Schedule:
    """The schedule after a prepayment, the prepayment among its rows.

    What fell due by that day counts as paid. With the prepayment goes the interest of the days since then, on all that
    is owed: a period's interest is spread evenly over its days. The fee is a share of the principal repaid ahead, cut
    back where it would lift the loan's cost over the cap even if the rest were settled the same day: on whatever day
    the rest is repaid, it costs less.

    Parameters
    ----------
    plan : Schedule
    on : date
        From the day of drawing to the day before the last due day.
    principal : int
        Fen to repay ahead; all that is owed settles the loan.
    then : {"shorter_term", "lower_instalment"}
        Keep the instalment and end sooner (缩短期限), or keep the due days and pay less on each (减少月供).
    fee, cap : Decimal
        The product's.

    Raises
    ------
    DeclarationError
        Where the day or amount is out of range, or the form has no instalment to keep (`interest_quarterly`).

    Examples
    --------
    >>> from policy.products import Rate
    >>> from policy.schedule.instalments import schedule
    >>> plan = schedule("equal_instalments", 1_200_000, Rate.annual("0.06"), date(2027, 1, 15), 12)
    >>> terms = {"fee": Decimal("0.01"), "cap": Decimal("0.24")}
    >>> shorter = prepay(plan, date(2027, 4, 15), 400_000, "shorter_term", **terms)
    >>> lower = prepay(plan, date(2027, 4, 15), 400_000, "lower_instalment", **terms)
    >>> [(len(found.instalments), found.instalments[4].amount) for found in (plan, shorter, lower)]
    [(12, 103280), (9, 103280), (13, 57717)]
    """
    kept = tuple(row for row in plan.instalments if row.due_on <= on)
    coming = tuple(row for row in plan.instalments if row.due_on > on)
    balance = kept[-1].balance if kept else plan.principal
    _require(plan, on, principal, balance, then, bool(coming))
    regular = [row for row in kept if not row.ahead]
    opened = regular[-1].due_on if regular else plan.drawn_on
    since = kept[-1].due_on if kept else plan.drawn_on
    period = (coming[0].due_on - opened).days
    months = (regular[-1].number if regular else 0, *(row.number for row in coming))
    stride = 3 if plan.form == "interest_quarterly" else 1
    interest = _accrued(plan, balance, (on - since).days, period, _span(plan, months, stride))
    paid = Instalment(0, on, principal, interest, 0, balance - principal, ahead=True)
    rest: tuple[Instalment, ...] = ()
    if balance > principal:
        rest = run(
            plan.form,
            balance - principal,
            plan.rate,
            on,
            [row.due_on for row in coming],
            months=_months(plan, months, stride),
            fee_a_month=plan.fee_a_month,
            first_share=Decimal((coming[0].due_on - on).days) / period,
            level=None if then == "lower_instalment" else _level(plan, coming[0]),
            number=coming[0].number,
        )
    settled = [*replace(plan, instalments=(*kept, paid)).flows, (on, float(balance - principal))]
    charged = fee_within(cap, settled, on, whole(principal * fee))
    return replace(plan, instalments=(*kept, replace(paid, fee=charged), *rest))


def _months(plan: Schedule, numbers: tuple[int, ...], stride: int) -> tuple[int, ...]:
    """Months from the drawing to each due day; the last quarter of an odd term is shorter."""
    return tuple(min(number * stride, plan.term_months) for number in numbers)


def _span(plan: Schedule, numbers: tuple[int, ...], stride: int) -> int:
    before, after = _months(plan, numbers[:2], stride)
    return after - before


def _accrued(plan: Schedule, balance: int, days: int, period: int, span: int) -> int:
    """Interest of the days since the last payment."""
    if plan.form == "bill_instalments":
        return 0
    if plan.form == "daily_interest":
        return whole(balance * plan.rate.of_day * days)
    return whole(balance * plan.rate.of_year * span / MONTHS_A_YEAR * days / period)


def _level(plan: Schedule, following: Instalment) -> int:
    """What an instalment goes on to be."""
    return following.amount if plan.form == "equal_instalments" else following.principal


def _require(plan: Schedule, on: date, principal: int, balance: int, then: Then, open_: bool) -> None:
    faults = []
    if on < plan.drawn_on or not open_:
        faults.append(f"{on} does not lie between the day of drawing and the last due day")
    elif not 0 < principal <= balance:
        faults.append(f"{principal} fen cannot be repaid ahead of {balance} that are owed")
    if then == "shorter_term" and plan.form == "interest_quarterly" and principal < balance:
        faults.append("interest_quarterly has no instalment of principal to keep; give lower_instalment")
    if faults:
        raise DeclarationError(f"No prepayment: {'; '.join(faults)}.")
