"""The cap on what a loan costs a year: held against products that are read and against fees that are charged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from math import floor

from policy.products import Product, Products
from policy.rate import value_at
from policy.schedule.instalments import schedule

# Short months move a rate by a little: the shortest ones, the end of a month, an ordinary day.
_STARTS = (date(2027, 1, 31), date(2027, 2, 1), date(2028, 1, 31), date(2027, 7, 15))


def cap_faults(products: Products) -> list[str]:
    """Products that could cost more than the cap, at their highest rate and whatever amount and term.

    The least amount costs the most, since interest is rounded to the fen; shortest and longest terms are tried with
    several days of drawing. Penalty interest is held against the cap without interest on interest, for it bears none.
    """
    faults = []
    for name, product in products.products.items():
        for form in product.repayment:
            worst, term = _worst(product, form)
            if worst > products.cap:
                faults.append(
                    f"{name}.rate: at {product.rate.most} a {product.rate.per} over {term} months, {form} costs "
                    f"{worst:.2%} a year, all in; the cap is {products.cap:.2%}. Lower the rate or the fee"
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


def _worst(product: Product, form: str) -> tuple[float, int]:
    """Highest effective annual rate, and its term."""
    rate = product.quoted(product.rate.ppm.most)
    fee = product.bill_fee if form == "bill_instalments" else Decimal(0)
    found = [
        (schedule(form, product.fen.least, rate, start, term, fee_a_month=fee).annual_rate.effective, term)  # type: ignore[arg-type]
        for term in sorted({product.term_months.least, product.term_months.most})
        for start in _STARTS
    ]
    return max(found)
