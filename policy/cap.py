"""The cap on what a loan costs a year: held against products that are read and against fees that are charged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from math import floor, inf

from data_contracts.errors import DeclarationError
from policy.products import Form, Product, Products
from policy.rate import DAYS_A_YEAR, AnnualRate, value_at
from policy.schedule.instalments import schedule, whole

# Short months move a rate by a little: the shortest ones, the end of a month, an ordinary day.
_STARTS = (date(2027, 1, 31), date(2027, 2, 1), date(2028, 1, 31), date(2027, 7, 15))
_UNTOLD = 1000  # a year; what costs more is not told in figures


def cap_faults(products: Products) -> list[str]:
    """Products that could cost more than the cap, at their highest rate and whatever amount and term.

    The least amount costs the most, since interest is rounded to the fen. Drawn on several days, the shortest and the
    longest term are tried, and every term of bill instalments, whose cost is highest somewhere between; a line also
    drawn and repaid from day to day for a year. Penalty interest is held against the cap without interest on interest,
    for it bears none.
    """
    faults = []
    for name, product in products.products.items():
        for form in product.repayment:
            worst, how = _worst(product, form)
            if worst > products.cap:
                faults.append(
                    f"{name}.rate: at {product.rate.most} a {product.rate.per} {how}, {form} costs "
                    f"{_told(worst)} a year, all in; the cap is {products.cap:.2%}. Lower the rate or the fee"
                )
        overdue = product.quoted(product.rate.ppm.most).of_year * product.penalty
        if overdue > products.cap:
            faults.append(
                f"{name}.penalty: {product.penalty} times the highest rate is {overdue:.2%} a year; the cap is "
                f"{products.cap:.2%}. Lower the multiple or the rate"
            )
    return faults


def fee_within(cap: Decimal, flows: Sequence[tuple[date, float]], on: date, fee: int) -> int:
    """A fee on a day, cut back to what the cap leaves beside all other flows of the loan, in fen.

    Examples
    --------
    1,000 CNY paid back with 10 after 30 days cost 12.9 % a year; a fee of 20 would make it 43 %.

    >>> flows = [(date(2027, 1, 1), -100_000.0), (date(2027, 1, 31), 101_000.0)]
    >>> fee_within(Decimal("0.24"), flows, date(2027, 1, 31), 2_000)
    783
    """
    room = -value_at(float(cap), flows, on)
    return max(min(fee, floor(room)), 0)


def _worst(product: Product, form: Form) -> tuple[float, str]:
    """Highest effective annual rate, and how it comes about."""
    terms = product.term_months
    tried = terms.values if form == "bill_instalments" else sorted({terms.least, terms.most})
    found = [(_cost(product, form, start, term), f"over {term} months") for term in tried for start in _STARTS]
    if form == "daily_interest":
        found.append((_day_by_day(product), "from day to day"))
    return max(found)


def _cost(product: Product, form: Form, start: date, term: int) -> float:
    """Effective annual rate of the least amount at the highest rate; infinite where it cannot be computed."""
    fee = product.bill_fee if form == "bill_instalments" else Decimal(0)
    rate = product.quoted(product.rate.ppm.most)
    plan = schedule(form, product.fen.least, rate, start, term, fee_a_month=fee)
    try:
        return plan.annual_rate.effective
    except DeclarationError:  # it costs more than any loan
        return inf


def _day_by_day(product: Product) -> float:
    """Effective annual rate of the least amount of a line, drawn and repaid with interest every day."""
    least, rate = product.fen.least, product.quoted(product.rate.ppm.most)
    return AnnualRate.of_period(whole(least * rate.of_day) / least, DAYS_A_YEAR).effective


def _told(rate: float) -> str:
    return f"{rate:.2%}" if rate < _UNTOLD else f"more than {_UNTOLD:.0%}"
