"""Repayment forms: published examples, month ends, and what must hold for every loan."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import DeclarationError
from policy.products import Form, Rate, read_products
from policy.rate import of_periods
from policy.schedule.instalments import Schedule, schedule

PRODUCTS = read_products()
days = st.dates(date(2024, 1, 1), date(2032, 12, 31))


@pytest.mark.parametrize(
    ("form", "principal", "years", "first", "second", "interest"),
    [
        # https://ccv168.com/wenda/220578.html: 630,000 at 4.90 % over 30 years, both ways
        ("equal_instalments", 63_000_000, 30, 334_358, 334_358, 57_368_820),
        ("equal_principal", 63_000_000, 30, 432_250, 431_535, 46_433_625),
        # http://372181.com/wenda/229816.html: one million at 4.9 % over 20 years
        ("equal_instalments", 100_000_000, 20, 654_444, 654_444, 57_066_560),
    ],
)
def test_chinese_mortgage_calculators(
    form: Form, principal: int, years: int, first: int, second: int, interest: int
) -> None:
    plan = schedule(form, principal, Rate.annual("0.049"), date(2020, 1, 1), 12 * years)
    assert [row.amount for row in plan.instalments[:2]] == [first, second]
    assert abs(plan.interest - interest) < 12 * years  # they do not round the interest of each month


def test_a_textbook_amortisation_to_the_cent() -> None:
    # 10,000 at 1 % a month over 12 months: 888.49 a month, of which 100.00 are interest at first, then 92.12, 84.15
    plan = schedule("equal_instalments", 1_000_000, Rate.annual("0.12"), date(2027, 1, 1), 12)
    assert [(row.amount, row.interest, row.principal, row.balance) for row in plan.instalments[:3]] == [
        (88_849, 10_000, 78_849, 921_151),
        (88_849, 9_212, 79_637, 841_514),
        (88_849, 8_415, 80_434, 761_080),
    ]
    assert plan.instalments[-1].balance == 0


def test_interest_by_the_quarter_and_principal_at_the_end() -> None:
    plan = schedule("interest_quarterly", 10_000_000, Rate.annual("0.08"), date(2027, 11, 30), 12)
    assert [(row.due_on.isoformat(), row.interest, row.principal, row.balance) for row in plan.instalments] == [
        ("2028-02-29", 200_000, 0, 10_000_000),
        ("2028-05-30", 200_000, 0, 10_000_000),
        ("2028-08-30", 200_000, 0, 10_000_000),
        ("2028-11-30", 200_000, 10_000_000, 0),
    ]


def test_daily_interest_counts_the_days_of_each_month() -> None:
    plan = schedule("daily_interest", 300_000, Rate.daily("0.0005"), date(2027, 1, 31), 3)
    # 28 days on 3,000, 31 on 2,000, 30 on 1,000 at 0.05 %
    assert [(row.due_on.isoformat(), row.interest, row.principal) for row in plan.instalments] == [
        ("2027-02-28", 4_200, 100_000),
        ("2027-03-31", 3_100, 100_000),
        ("2027-04-30", 1_500, 100_000),
    ]


def test_a_bill_in_instalments_discloses_what_its_fee_costs() -> None:
    # 12,000 in 12 instalments at 0.6 % a month: banks disclose 13.03 % a year
    plan = schedule("bill_instalments", 1_200_000, Rate.annual("0"), date(2027, 1, 1), 12, fee_a_month=Decimal("0.006"))
    assert [(row.principal, row.fee, row.interest) for row in plan.instalments] == [(100_000, 7_200, 0)] * 12
    assert round(of_periods([flow for _, flow in plan.flows], 12).nominal, 4) == 0.1303


def test_a_due_day_is_counted_from_the_day_of_drawing() -> None:
    plan = schedule("equal_principal", 120_000, Rate.annual("0.06"), date(2027, 10, 31), 6)
    assert [row.due_on.isoformat() for row in plan.instalments] == [
        "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
    ]  # fmt: skip


def whole_loan(plan: Schedule) -> None:
    """What holds for every loan."""
    assert sum(row.principal for row in plan.instalments) == plan.principal
    assert plan.instalments[-1].balance == 0
    assert all(min(row.principal, row.interest, row.fee, row.balance) >= 0 for row in plan.instalments)
    balance = plan.principal
    for row in plan.instalments:
        balance -= row.principal
        assert row.balance == balance
    dues = [row.due_on for row in plan.instalments]
    assert dues == sorted(dues)
    assert dues[0] >= plan.drawn_on


@st.composite
def loans(draw: st.DrawFn) -> tuple[Schedule, str]:
    """A loan as any product may give it."""
    name = draw(st.sampled_from(sorted(PRODUCTS.products)))
    product = PRODUCTS[name]
    form = draw(st.sampled_from(product.repayment))
    ppm = draw(st.sampled_from(product.rate.ppm.values))
    amount, term = draw(st.sampled_from(product.fen.values)), draw(st.sampled_from(product.term_months.values))
    fee = product.bill_fee if form == "bill_instalments" else Decimal(0)
    return schedule(form, amount, product.quoted(ppm), draw(days), term, fee_a_month=fee), name


@given(loans())
@settings(max_examples=200, deadline=None)
def test_every_loan_is_whole_and_within_the_cap(loan: tuple[Schedule, str]) -> None:
    plan, _ = loan
    whole_loan(plan)
    assert plan.annual_rate.effective <= PRODUCTS.cap
    assert plan.annual_rate.nominal <= plan.annual_rate.effective


@given(
    st.sampled_from(["equal_instalments", "equal_principal", "interest_quarterly"]),
    st.integers(1, 10**9),
    st.integers(0, 360_000),
    days,
    st.integers(1, 120),
)
@settings(max_examples=200, deadline=None)
def test_any_amount_rate_and_term_is_repaid_to_the_fen(form: Form, fen: int, ppm: int, start: date, term: int) -> None:
    plan = schedule(form, fen, Rate(ppm=ppm, per="year"), start, term)
    whole_loan(plan)
    exact = {
        "equal_instalments": plan.interest,
        "equal_principal": fen * ppm * (term + 1) / 24e6,
        "interest_quarterly": fen * ppm * term / 12e6,
    }[form]
    assert abs(plan.interest - exact) <= term * (1 + ppm * term / 12e6)  # rounding, of principal and of interest


def test_a_loan_beyond_the_calendar_is_told() -> None:
    with pytest.raises(DeclarationError, match="10 months after 9999-03-01 lies beyond the year 9999"):
        schedule("equal_principal", 120_000, Rate.annual("0.06"), date(9999, 3, 1), 12)


def test_a_loan_that_cannot_be_names_every_fault() -> None:
    with pytest.raises(DeclarationError) as raised:
        schedule("daily_interest", 0, Rate.annual("0.06"), date(2027, 1, 31), 0, fee_a_month=Decimal("0.01"))
    told = str(raised.value)
    for fault in ("principal is 0 fen", "term is 0 months", "does not go with a rate a year", "bill_instalments only"):
        assert fault in told
