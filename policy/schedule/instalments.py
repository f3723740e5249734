"""What falls due when: repayment forms of a loan that is paid out at once, in whole fen.

Rounding: each instalment and each interest is rounded half up to the fen; the last instalment takes what rounding left,
so that principal is repaid to the fen and the last balance is zero. Days: a month is a twelfth of a year and a quarter
a fourth, whatever their days; daily interest counts the day of drawing and not the day of payment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import pairwise

from data_contracts.errors import DeclarationError
from policy.products import LONGEST, MONTHS_A_YEAR, Form, Rate
from policy.rate import AnnualRate, of_dates
from policy.schedule.calendar import due_days


@dataclass(frozen=True)
class Instalment:
    """What falls due on a day, in fen.

    Parameters
    ----------
    number : int
        1 for the first.
    due_on : date
    principal, interest, fee : int
        Parts of what is due.
    balance : int
        Principal that is still owed when this is paid.
    ahead : bool
        Whether it is a prepayment; it has the number 0.
    """

    number: int
    due_on: date
    principal: int
    interest: int
    fee: int
    balance: int
    ahead: bool = False

    @property
    def amount(self) -> int:
        """All that is due."""
        return self.principal + self.interest + self.fee


@dataclass(frozen=True)
class Schedule:
    """A loan's instalments.

    Parameters
    ----------
    form : str
        Of repayment.
    principal : int
        Fen that are lent.
    rate : Rate
    drawn_on : date
    term_months : int
        As it was agreed.
    instalments : tuple of Instalment
    fee_a_month : Decimal
        Of the principal, for bill instalments.
    """

    form: Form
    principal: int
    rate: Rate
    drawn_on: date
    term_months: int
    instalments: tuple[Instalment, ...]
    fee_a_month: Decimal = Decimal(0)

    @property
    def interest(self) -> int:
        """Interest in all."""
        return sum(one.interest for one in self.instalments)

    @property
    def fees(self) -> int:
        """Fees in all."""
        return sum(one.fee for one in self.instalments)

    @property
    def flows(self) -> list[tuple[date, float]]:
        """Flows of money as the borrower pays them: what is lent is negative."""
        return [(self.drawn_on, -self.principal), *((one.due_on, one.amount) for one in self.instalments)]

    @property
    def annual_rate(self) -> AnnualRate:
        """What it costs a year, all in."""
        return of_dates(self.flows)


def schedule(
    form: Form, principal: int, rate: Rate, drawn_on: date, term_months: int, *, fee_a_month: Decimal = Decimal(0)
) -> Schedule:
    """The instalments of a loan.

    Parameters
    ----------
    form : str
        `equal_instalments` (等额本息), `equal_principal` (等额本金), `interest_quarterly` (按季付息，到期还本),
        `daily_interest` (按日计息：a drawing repaid in equal parts of principal each month), `bill_instalments`
        (账单分期：equal parts of principal with a fee and no interest).
    principal : int
        Fen.
    rate : Rate
        A year, or a day for `daily_interest`; without effect on bill instalments.
    drawn_on : date
    term_months : int
    fee_a_month : Decimal
        Of the principal; for bill instalments only.

    Raises
    ------
    DeclarationError
        Where amount or term is not positive, or rate or fee do not go with the form.

    Examples
    --------
    One million at 4.9 % over 30 years in equal instalments, the standard example of Chinese mortgage calculators:

    >>> found = schedule("equal_instalments", 100_000_000, Rate.annual("0.049"), date(2020, 1, 1), 360)
    >>> found.instalments[0].amount, found.instalments[-1].balance
    (530727, 0)
    """
    _require(form, principal, rate, term_months, fee_a_month)
    months = (0, *_months(form, term_months))
    dues = due_days(drawn_on, months[1:])
    rows = run(form, principal, rate, drawn_on, dues, months=months, fee_a_month=fee_a_month)
    return Schedule(form, principal, rate, drawn_on, term_months, rows, fee_a_month)


def run(
    form: Form,
    balance: int,
    rate: Rate,
    start: date,
    dues: Sequence[date],
    *,
    months: Sequence[int],
    fee_a_month: Decimal = Decimal(0),
    first_share: Decimal = Decimal(1),
    level: int | None = None,
    number: int = 1,
) -> tuple[Instalment, ...]:
    """Let a balance be repaid on due days; `schedule` and what is left after a prepayment are both this.

    Parameters
    ----------
    start : date
        From which daily interest counts.
    months : sequence of int
        Months from the drawing to the due day before the first, 0 where there is none, and to each due day.
    first_share : Decimal
        Share of the first period that is still to come.
    level : int, optional
        What an instalment is to be (of `equal_principal` and the like: its principal); the balance may then be repaid
        before the last due day. Otherwise equal over the due days.
    number : int
        Of the first instalment.
    """
    spans = [after - before for before, after in pairwise(months)]
    fee = whole(balance * fee_a_month)
    part = _part(form, balance, rate, len(dues), level)
    rows: list[Instalment] = []
    for place, due in enumerate(dues):
        share = first_share if place == 0 else Decimal(1)
        days = (due - (dues[place - 1] if place else start)).days
        interest = whole(_interest(form, balance, rate, spans[place], days, share))
        principal = balance if place == len(dues) - 1 else min(balance, part(interest))
        balance -= principal
        rows.append(Instalment(number + place, due, principal, interest, fee, balance))
        if balance == 0 and level is not None:
            break  # repaid before its time
    return tuple(rows)


def whole(fen: Decimal) -> int:
    """Whole fen, half up (四舍五入)."""
    return int(fen.quantize(Decimal(1), ROUND_HALF_UP))


def level_instalment(balance: int, rate: Rate, count: int) -> int:
    """Equal monthly instalment in fen that repays a balance.

    Examples
    --------
    >>> level_instalment(1_000_000, Rate.annual("0.12"), 12)
    88849
    """
    monthly = rate.of_year / MONTHS_A_YEAR
    if not monthly:
        return whole(Decimal(balance) / count)
    return whole(balance * monthly / (1 - (1 + monthly) ** -count))


def _part(form: Form, balance: int, rate: Rate, count: int, level: int | None) -> Callable[[int], int]:
    """Principal of an instalment, given its interest."""
    if form == "equal_instalments":
        instalment = level_instalment(balance, rate, count) if level is None else level
        return lambda interest: max(instalment - interest, 0)
    if form == "interest_quarterly":
        return lambda _: 0
    equal = level if level is not None else int((Decimal(balance) / count).quantize(Decimal(1), ROUND_FLOOR))
    return lambda _: equal


def _interest(form: Form, balance: int, rate: Rate, span: int, days: int, share: Decimal) -> Decimal:
    if form == "bill_instalments":
        return Decimal(0)
    if form == "daily_interest":
        return balance * rate.of_day * days
    return balance * rate.of_year * span / MONTHS_A_YEAR * share


def _months(form: Form, term: int) -> tuple[int, ...]:
    step = 3 if form == "interest_quarterly" else 1
    return (*range(step, term, step), term)


def _require(form: Form, principal: int, rate: Rate, term: int, fee: Decimal) -> None:
    faults = []
    if principal <= 0:
        faults.append(f"principal is {principal} fen; lend more than nothing")
    if not 0 < term <= LONGEST:
        faults.append(f"term is {term} months; give 1 to {LONGEST}")
    if (form == "daily_interest") != (rate.per == "day") and form != "bill_instalments":
        faults.append(f"{form} does not go with a rate a {rate.per}")
    if fee and form != "bill_instalments":
        faults.append("a fee a month goes with bill_instalments only")
    if faults:
        raise DeclarationError(f"No schedule: {'; '.join(faults)}.")
