"""Rates of return against published examples: Regulation Z, the European Union's directive, Chinese calculators."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import DeclarationError
from policy.rate import AnnualRate, of_dates, of_periods, value_at


@pytest.mark.parametrize(
    ("flows", "periods", "nominal"),
    [
        # Regulation Z (12 CFR 1026), appendix J, (c)(1)(i): 24 monthly payments of 230 on 5,000
        ([-5000, *[230] * 24], 12, 0.0969),
        # 100,000 at 6 % over 30 years: 599.55 a month, the textbook mortgage of the United States
        ([-100_000, *[599.55] * 360], 12, 0.06),
        # https://ccv168.com/wenda/220578.html: 630,000 at 4.90 % over 30 years, 3,343.58 a month
        ([-630_000, *[3343.58] * 360], 12, 0.049),
        # a bill of 12,000 in 12 instalments at 0.6 % a month, as Chinese banks disclose it: 13.03 % a year
        ([-12_000, *[1072] * 12], 12, 0.1303),
    ],
)
def test_nominal_rates_of_published_examples(flows: list[float], periods: int, nominal: float) -> None:
    assert round(of_periods(flows, periods).nominal, 4) == nominal


@pytest.mark.parametrize(
    ("months", "flows", "aprc"),
    [
        # directive 98/7/EC, annex III, on a basis of equal months: its four examples
        ([18], [-1000, 1200], 0.1292),
        ([18], [-950, 1200], 0.1685),
        ([12, 24], [-1000, 600, 600], 0.1307),
        ([3, 6, 12], [-1000, 272, 272, 544], 0.1319),
    ],
)
def test_effective_rates_of_the_european_directive(months: list[int], flows: list[float], aprc: float) -> None:
    spread = [0.0] * (months[-1] + 1)
    spread[0] = flows[0]
    for month, flow in zip(months, flows[1:], strict=True):
        spread[month] = flow
    assert round(of_periods(spread, 12).effective, 4) == aprc


def test_dated_flows_of_the_european_directive() -> None:
    # the same annex on a calendar basis: 546 days from 1 January 1994 to 1 July 1995
    assert round(of_dates([(date(1994, 1, 1), -1000), (date(1995, 7, 1), 1200)]).effective, 4) == 0.1296


def test_dated_and_periodic_flows_agree_on_a_year_of_365_days() -> None:
    dated = of_dates([(date(2027, 1, 1), -1000.0), (date(2028, 1, 1), 1100.0)])
    assert dated.effective == pytest.approx(0.1, abs=1e-12)
    assert dated.nominal == pytest.approx(12 * (1.1 ** (1 / 12) - 1), abs=1e-12)


@given(st.floats(0.0001, 0.2), st.integers(1, 60))
def test_the_rate_of_an_annuity_is_found_again(monthly: float, months: int) -> None:
    payment = 1e6 * monthly / (1 - (1 + monthly) ** -months)
    found = of_periods([-1e6, *[payment] * months], 12)
    assert found.nominal == pytest.approx(12 * monthly, rel=1e-8)
    assert found.effective >= found.nominal


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 10**6)), min_size=1, max_size=8))
def test_flows_are_worth_nothing_at_their_rate(payments: list[tuple[int, int]]) -> None:
    start = date(2027, 1, 1)
    lent = sum(fen for _, fen in payments) * 0.9
    flows = [(start, -lent), *sorted((date.fromordinal(start.toordinal() + day), float(fen)) for day, fen in payments)]
    if min(day for day, _ in payments) < 30:
        return  # a few days on a large margin: beyond what a loan may cost
    rate = of_dates(flows).effective
    assert value_at(rate, flows, start) == pytest.approx(0, abs=1e-6 * lent)


@pytest.mark.parametrize("flows", [[-100, 90], [100, 0], [-100, 0, 0]])
def test_what_has_no_rate_says_why(flows: list[float]) -> None:
    with pytest.raises(DeclarationError, match=r"No rate can be computed: .* lent and .* paid"):
        of_periods(flows, 12)


def test_what_is_paid_back_without_more_costs_nothing() -> None:
    assert of_periods([-100, 50, 50], 12) == AnnualRate(0.0, 0.0)
