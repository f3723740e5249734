"""Price and limit worked by hand, one applicant at a time."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy.judgement import Judgement, judge
from policy.products import Rate, read_products
from policy.reasons import told
from policy.schedule.instalments import level_instalment, schedule
from policy.strategy import Strategy, read_strategy
from policy.terms import Asked, RateTables, strategy_arrays

PRODUCTS = read_products()
TABLES = RateTables.of(PRODUCTS)
BASE = read_strategy(Path(__file__).parent / "strategy.toml")
FACTS: dict[str, Any] = {
    "product": "renovation", "amount_requested": 10_000_000, "term_months": 36, "age_years": 35.0,
    "income_monthly": 2_000_000, "loans_instalment_sum": 0.0, "tradelines_instalment_sum": 0.0,
    "loans_active_principal_sum": 0.0, "pd": 0.01,
}  # fmt: skip


def judged(strategy: Strategy = BASE, **changed: Any) -> Judgement:
    facts = {**FACTS, **changed}
    asked = Asked.of({name: [math.nan if value is None else value] for name, value in facts.items()}, TABLES.names)
    return judge(asked, TABLES, strategy_arrays(strategy, TABLES.names))


def codes(found: Judgement) -> list[str]:
    return [reason.code for reason in told(int(found.reasons[0]))]


def test_a_low_risk_pays_the_lowest_rate_of_the_band() -> None:
    found = judged()
    assert (found.outcome[0], found.amount[0], found.price.ppm[0], codes(found)) == (0, 10_000_000, 60_000, [])


def test_the_rate_follows_the_risk_up_to_the_next_step() -> None:
    # emergency cash: 2.5 % + 2 % + (1 % + 0.07 x 0.45 / 0.45 years) / 0.93 = 13.102 % a year, 0.03590 % a day
    found = judged(product="emergency_cash", amount_requested=300_000, term_months=3, age_years=25, pd=0.07)
    assert found.price.needed[0] == pytest.approx(0.1310215)
    assert (found.price.ppm[0], codes(found)) == (360, ["R02"])
    # 0.45 years x (13.14 % - 4.5 %) x 0.93 less the 3.15 % that is lost
    assert found.price.profit[0] == pytest.approx(0.45 * (0.1314 - 0.045) * 0.93 - 0.0315)


def test_the_rate_that_is_needed_earns_the_margin() -> None:
    found = judged(pd=0.1)
    year, life = found.price.needed[0], (found.price.profit[0] + 0.05) / (0.9 * (found.price.year[0] - 0.03))
    assert life * (year - 0.03) * 0.9 - 0.05 == pytest.approx(0.005 * life)


def test_a_risk_that_no_rate_covers_is_declined() -> None:
    # at the highest rate a loss is expected: PD 0.14 is below the cut-off, but above break-even
    found = judged(pd=0.14)
    assert found.price.ppm[0] == 80_000
    assert found.price.profit[0] < 0
    assert "R01" in codes(found)
    assert found.outcome[0] == 2


def test_the_burden_leaves_room_for_what_is_paid_elsewhere() -> None:
    # 55 % of 6,000 less 1,000 here and 500 elsewhere: 1,800 a month carry so much at 6 % over 36 months
    found = judged(income_monthly=600_000, loans_instalment_sum=1_000.0, tradelines_instalment_sum=500.0)
    lent = int(found.limit.fen[0])
    assert (
        level_instalment(lent, Rate.annual("0.06"), 36)
        <= 180_000
        < level_instalment(lent + 100_000, Rate.annual("0.06"), 36)
    )
    assert (found.amount[0], found.outcome[0], codes(found)) == (lent, 0, ["L12"])


def test_the_expected_loss_bounds_the_amount() -> None:
    # 4,000 CNY / (0.045 x 0.5) = 177,777.78 CNY
    found = judged(amount_requested=20_000_000, pd=0.045)
    assert (found.limit.fen[0], codes(found)) == (17_700_000, ["L11"])


def test_income_and_exposure_bound_the_amount() -> None:
    by_income = judged(product="business", amount_requested=50_000_000, term_months=12, age_years=40,
                       income_monthly=1_000_000)  # fmt: skip
    assert (by_income.limit.fen[0], codes(by_income)) == (36_000_000, ["L13"])
    by_exposure = judged(loans_active_principal_sum=170_000.0)
    assert (by_exposure.limit.fen[0], codes(by_exposure)) == (8_000_000, ["L14"])


def test_more_than_the_product_has_is_offered_at_its_highest() -> None:
    found = judged(amount_requested=30_000_000)
    assert (found.amount[0], found.outcome[0], codes(found)) == (20_000_000, 0, ["L15"])


@pytest.mark.parametrize(
    ("changed", "outcome", "reasons"),
    [
        ({"product": "other"}, 2, ["P01"]),
        ({"age_years": 29.99}, 2, ["P02"]),
        ({"age_years": 30.0}, 0, []),
        ({"age_years": 45.99}, 0, []),
        ({"age_years": 46.0}, 2, ["P02"]),
        ({"term_months": 61}, 2, ["P03"]),
        ({"term_months": 11}, 2, ["P03"]),
        ({"amount_requested": 4_999_999}, 2, ["P04"]),
        ({"pd": 0.15}, 2, ["S01", "R01"]),
        ({"pd": 0.0500001}, 1, ["S03"]),
        ({"pd": 0.05}, 0, []),
        ({"pd": None}, 1, ["S02", "R02"]),
        ({"age_years": None}, 1, ["P05"]),
        ({"income_monthly": None}, 1, ["L02", "L13"]),
        ({"income_monthly": None, "loans_active_principal_sum": 240_000.0}, 2, ["L01", "L02"]),
        ({"income_monthly": 100_000}, 2, ["L01", "L12"]),
        ({"amount_requested": 20_000_000, "income_monthly": 550_000}, 1, ["L03"]),
        ({"pd": 0.0}, 0, []),
    ],
)
def test_outcomes_at_their_boundaries(changed: dict[str, Any], outcome: int, reasons: list[str]) -> None:
    found = judged(**changed)
    assert found.outcome[0] == outcome
    assert [code for code in codes(found) if code in reasons or code[0] in "PS"] == reasons


def test_a_business_term_is_whole_quarters() -> None:
    business = {"product": "business", "amount_requested": 10_000_000, "age_years": 40}
    assert codes(judged(term_months=7, **business))[0] == "P03"
    assert codes(judged(term_months=9, **business)) == []


def test_an_amount_is_rounded_down_to_the_step_of_the_product() -> None:
    assert judged(amount_requested=10_099_999).amount[0] == 10_000_000
    small = {"product": "emergency_cash", "term_months": 1, "age_years": 25}
    assert judged(amount_requested=123_456, **small).amount[0] == 120_000


def test_what_is_stated_without_income_is_lent_to_a_bound() -> None:
    small = {"product": "emergency_cash", "term_months": 3, "age_years": 25, "income_monthly": None}
    found = judged(amount_requested=300_000, **small)
    assert (found.amount[0], found.outcome[0], codes(found)) == (200_000, 0, ["L13"])


@pytest.mark.parametrize("name", list(PRODUCTS.products))
def test_tables_agree_with_schedules(name: str) -> None:
    """The burden is the heaviest instalment a month, the life the years for which the money is out."""
    product, place = PRODUCTS[name], TABLES.names.index(name)
    terms = product.term_months.values
    start = date(2027, 7, 1)  # a month of 31 days
    for step in (0, product.rate.ppm.size - 1):
        rate = product.quoted(product.rate.ppm.values[step])
        for at, term in enumerate(terms):
            plan = schedule(product.form, 10_000_000, rate, start, term)
            burden = TABLES.burden[TABLES.first[place] + step * len(terms) + at] * 10_000_000
            rows = plan.instalments
            heaviest = rows[0].interest / 3 if name == "business" else max(row.amount for row in rows[:-1] or rows)
            assert burden == pytest.approx(heaviest, abs=2)
            if step == 0 and name != "emergency_cash":
                year = float(rate.of_year)
                assert TABLES.life[TABLES.life_first[place] + at] == pytest.approx(
                    plan.interest / year / 10_000_000, abs=1e-4
                )


def test_a_strategy_without_a_product_is_refused() -> None:
    from data_contracts.errors import DeclarationError

    lacking = BASE.model_copy(update={"products": {"business": BASE.products["business"]}})
    with pytest.raises(DeclarationError, match="does not say how to decide emergency_cash, renovation, education"):
        strategy_arrays(lacking, TABLES.names)


def test_columns_that_are_lacking_are_named() -> None:
    from data_contracts.errors import DeclarationError

    with pytest.raises(DeclarationError, match="A decision needs term_months, pd; give the columns product, "):
        Asked.of({name: [0] for name in FACTS if name not in ("pd", "term_months")}, TABLES.names)


def test_many_are_judged_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    rows = [
        {**FACTS, "product": name, "amount_requested": int(rng.integers(5 * 10**4, 6 * 10**7)), "term_months": term,
         "age_years": float(rng.uniform(18, 60)), "pd": float(rng.uniform(0, 0.25))}
        for name in TABLES.names for term in (3, 12, 24)
    ]  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in FACTS}
    strategy = strategy_arrays(BASE, TABLES.names)
    together = judge(Asked.of(columns, TABLES.names), TABLES, strategy)
    for at, row in enumerate(rows):
        alone = judged(**row)
        assert together.reasons[at] == alone.reasons[0]
        assert together.amount[at] == alone.amount[0]
        assert together.price.profit[at] == alone.price.profit[0]
