"""The decision: outcome, amount, rate, schedule and reasons; one applicant and many agree; a replay shows nothing."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.replies import Reason
from policy.decision import Decision, Policy, decide, local_day, replay_differences
from policy.products import read_products
from policy.reasons import BIT, OUTCOMES
from policy.rules import RuleBook
from policy.strategy import read_strategy
from policy.terms import COLUMNS

NOON = datetime(2026, 7, 1, 4)
BOOK = RuleBook.load()
PRODUCTS = read_products()
POLICY = Policy(PRODUCTS, read_strategy(Path(__file__).parent / "strategy.toml", PRODUCTS), BOOK.on(local_day(NOON)))


@dataclass(frozen=True)
class Scored:
    pd: float
    score: float = 600.0
    reasons: list[Reason] = field(default_factory=list)


TOO_MANY = Reason(code="R07", features=["inquiries_count_90d"], zh="近期查询过多", en="Many inquiries", log_odds=0.5,
                  points=20.0)  # fmt: skip
APPLICATION: dict[str, Any] = {
    "product": "emergency_cash", "amount_requested": 300_000, "term_months": 3, "age_years": 25.0,
    "income_monthly": 800_000, "phone_age_days": 800.0, "employment": "employee",
}  # fmt: skip
FEATURES = {"loans_instalment_sum": 0.0, "tradelines_instalment_sum": 0.0, "loans_active_principal_sum": 0.0}


def decided(pd: float = 0.02, features: dict[str, float] | None = None, **changed: Any) -> Decision:
    application = {**APPLICATION, **changed}
    return POLICY.decide(application, {**FEATURES, **(features or {})}, Scored(pd, reasons=[TOO_MANY]), NOON)


def codes(decision: Decision, severity: str) -> list[str]:
    return [reason.code for reason in decision.reasons if reason.severity == severity]


def test_a_small_amount_of_a_low_risk_is_granted_with_its_schedule() -> None:
    found = decided()
    assert (found.outcome, found.amount, found.term_months) == ("approve", 300_000, 3)
    assert (found.rate.ppm, found.rate.per) == (300, "day")
    assert [(row.due_on.isoformat(), row.interest) for row in found.schedule.instalments] == [
        ("2026-08-01", 2_790), ("2026-09-01", 1_860), ("2026-10-01", 900),
    ]  # fmt: skip
    assert codes(found, "decline") == codes(found, "refer") == []
    assert found.annual_rate.effective < 0.24


def test_the_schedule_starts_on_the_day_in_china() -> None:
    late = POLICY.decide(APPLICATION, FEATURES, Scored(0.02), datetime(2026, 7, 1, 16, 30))
    assert late.schedule.drawn_on == date(2026, 7, 2)


def test_a_rule_that_declines_outweighs_every_score() -> None:
    found = decided(pd=0.001, age_years=17.0)
    assert (found.outcome, found.amount, found.rate, found.schedule) == ("decline", 0, None, None)
    assert found.reasons[0].source == "rule"
    assert found.reasons[0].severity == "decline"
    assert all(reason.source != "score" for reason in found.reasons)  # the score is not why


def test_a_score_that_would_only_refer_is_no_reason_of_a_decline() -> None:
    found = decided(pd=0.09, age_years=17.0)  # the rules decline; the PD lies between the cut-offs
    assert (found.outcome, "S03" in found.trace["policy"]) == ("decline", True)
    assert {(reason.source, reason.severity) for reason in found.reasons} == {
        ("rule", "decline"),
        ("policy", "decline"),
    }


def test_a_limit_bound_by_the_loss_is_told_with_the_score_s_reasons_where_it_leads_to_the_outcome() -> None:
    stricter = POLICY.with_strategy(POLICY.strategy.changed("emergency_cash", expected_loss_most=10.0))
    found = stricter.decide(APPLICATION, FEATURES, Scored(0.06, reasons=[TOO_MANY]), NOON)
    assert [reason.code for reason in found.reasons] == ["L01", "R07"]  # 10 / (0.06 x 0.45) CNY is below 1,000


def test_a_high_risk_is_declined_with_the_score_s_own_reasons() -> None:
    found = decided(pd=0.2)
    assert found.outcome == "decline"
    assert codes(found, "decline")[0] == "S01"
    assert [(r.source, r.code, r.zh, r.en) for r in found.reasons if r.source == "score"] == [
        ("score", "R07", "近期查询过多", "Many inquiries")
    ]


def test_between_the_cut_offs_a_person_decides_on_a_proposal() -> None:
    found = decided(pd=0.09)
    assert found.outcome == "refer"
    assert found.reasons[0].code == "S03"
    assert found.amount > 0
    assert found.schedule.principal == found.amount


def test_a_request_above_the_highest_amount_is_offered_that() -> None:
    renovation = {"product": "renovation", "term_months": 24, "age_years": 40.0, "income_monthly": 5_000_000}
    known = {"application_amount_requested": 250_000.0, "application_goods_price": 400_000.0,
             "application_income_monthly": 50_000.0}  # fmt: skip
    found = decided(pd=0.005, features=known, **renovation, amount_requested=25_000_000)
    assert (found.outcome, found.amount) == ("approve", 20_000_000)
    runs = {**known, "loans_active_principal_sum": 60_000.0}
    for employment, outcome, rule in (("employee", "decline", "CMP-004"), ("business_owner", "refer", "CMP-005")):
        beside = decided(
            pd=0.005, features=runs, **renovation, amount_requested=25_000_000, employment=employment
        )  # a loan for the business is none of the consumer's, and no record tells them apart
        assert (beside.outcome, codes(beside, outcome)[0]) == (outcome, rule)


def test_reasons_are_in_two_languages_and_the_record_is_json() -> None:
    found = decided(pd=0.09)
    assert all(reason.zh and reason.en and reason.zh != reason.en for reason in found.reasons)
    assert json.loads(json.dumps(found.record(), ensure_ascii=False, allow_nan=False)) == found.record()


def test_the_trace_tells_every_figure_on_the_way() -> None:
    trace = decided(pd=0.07).trace
    assert trace["score"] == {"pd": 0.07, "score": 600.0}
    assert trace["price"]["needed"] == pytest.approx(0.1310215)
    assert set(trace["limit"]["bounds"]) == {"loss", "burden", "income", "exposure", "product"}
    assert trace["facts"]["application"]["income_monthly"] == 800_000
    assert trace["rules"]["rules"] == BOOK.on(local_day(NOON)).identity
    assert len(decided().verdict.trace) == len(POLICY.rules.rules) >= 200


def test_what_no_product_offers_is_declined() -> None:
    found = decided(product="car", term_months=None, amount_requested=None)
    assert found.outcome == "decline"
    assert "P01" in codes(found, "decline")


def test_declarations_in_one_call_decide_the_same() -> None:
    found = decide(APPLICATION, FEATURES, Scored(0.05), BOOK, PRODUCTS, POLICY.strategy, NOON)
    assert found == POLICY.decide(APPLICATION, FEATURES, Scored(0.05), NOON)


missing = st.just(None)
applications = st.fixed_dictionaries({
    "product": st.sampled_from([*PRODUCTS.products, "cash", "other"]),
    "amount_requested": st.integers(0, 7 * 10**7) | st.sampled_from([10**5, 5 * 10**5, 5 * 10**6, 10**7]) | missing,
    "term_months": st.integers(0, 72) | st.sampled_from([1, 3, 6, 12, 36, 60]) | missing,
    "age_years": st.floats(16, 70) | st.sampled_from([18.0, 20.0, 30.0, 31.0, 45.0, 46.0]) | missing,
    "income_monthly": st.integers(0, 10**8) | missing,
    "phone_age_days": st.floats(0, 4000) | missing,
    "employment": st.sampled_from(["employee", "business_owner", "student", "unemployed"]) | missing,
})  # fmt: skip
money = st.floats(0, 2e6) | st.sampled_from([0.0, 0.005, 1234.565]) | st.just(math.nan)
features = st.fixed_dictionaries({
    **dict.fromkeys(FEATURES, money),
    "inquiries_count_90d": st.integers(0, 30).map(float) | st.just(math.nan),
    "loans_refused_count": st.integers(0, 5).map(float) | st.just(math.nan),
})  # fmt: skip
pds = st.floats(0, 1) | st.sampled_from([0.0, 0.05, 0.06, 0.08, 0.15, 0.2, 1.0]) | st.just(math.nan)
many = st.lists(st.tuples(applications, features, pds), min_size=1, max_size=12)


@given(many)
@settings(max_examples=60, deadline=None)
def test_one_and_many_agree_to_the_bit(rows: list[tuple[dict[str, Any], dict[str, float], float]]) -> None:
    frame = pd.DataFrame([{**application, **known, "pd": pd_} for application, known, pd_ in rows])
    found = POLICY.decide_frame(frame)
    for (application, known, pd_), row in zip(rows, found.itertuples(), strict=True):
        alone = POLICY.decide(application, known, Scored(pd_), NOON)
        assert (alone.outcome, alone.amount) == (row.outcome, row.amount)
        trace = alone.trace
        assert (trace["price"]["ppm"], trace["price"]["year"]) == (row.rate_ppm, row.annual_rate)
        assert trace["limit"]["fen"] == row.limit
        assert sum(BIT[code] for code in trace["policy"]) == row.reasons
        assert (alone.verdict.severity is None) == (row.rule_severity == 0)
        if alone.amount and not math.isnan(pd_):
            assert trace["price"]["profit"] * alone.amount / 100 == row.expected_profit


@given(applications, features, pds)
@settings(max_examples=150, deadline=None)
def test_every_offer_is_within_product_cap_and_limit(
    application: dict[str, Any], known: dict[str, float], pd_: float
) -> None:
    found = POLICY.decide(application, known, Scored(pd_), NOON)
    assert found.outcome in OUTCOMES
    if found.outcome == "approve":
        assert found.amount > 0
    if not found.amount:
        assert found.rate is found.schedule is None
        return
    product = PRODUCTS[found.product]
    assert product.fen.holds(found.amount)
    assert product.term_months.holds(found.term_months)
    assert product.rate.ppm.holds(found.rate.ppm)
    assert found.amount <= min(application["amount_requested"], found.trace["limit"]["fen"])
    assert found.annual_rate.effective <= float(PRODUCTS.cap)
    assert sum(row.principal for row in found.schedule.instalments) == found.amount
    assert found.outcome != "decline"


@given(applications, features, pds)
@settings(max_examples=60, deadline=None)
def test_a_higher_risk_is_never_lent_more_or_cheaper(
    application: dict[str, Any], known: dict[str, float], pd_: float
) -> None:
    if math.isnan(pd_):
        return
    lower, higher = (POLICY.decide(application, known, Scored(at), NOON) for at in (pd_ / 2, pd_))
    assert OUTCOMES.index(lower.outcome) <= OUTCOMES.index(higher.outcome)
    assert lower.amount >= higher.amount
    assert lower.trace["price"]["ppm"] <= higher.trace["price"]["ppm"]


def test_the_order_and_the_company_of_rows_do_not_matter() -> None:
    rng = np.random.default_rng(11)
    n = 4_000
    frame = pd.DataFrame({
        "product": rng.choice([*PRODUCTS.products, "other"], n), "amount_requested": rng.integers(10**4, 6 * 10**7, n),
        "term_months": rng.integers(1, 61, n), "age_years": rng.uniform(18, 60, n),
        "income_monthly": np.where(rng.random(n) < 0.1, np.nan, rng.integers(10**5, 10**7, n)),
        "loans_instalment_sum": rng.uniform(0, 5e3, n), "tradelines_instalment_sum": rng.uniform(0, 5e3, n),
        "loans_active_principal_sum": rng.uniform(0, 1e5, n), "pd": rng.beta(1, 20, n),
    })  # fmt: skip
    whole, turned = POLICY.decide_frame(frame), POLICY.decide_frame(frame[::-1])
    pd.testing.assert_frame_equal(turned[::-1], whole)
    parts = pd.concat([POLICY.decide_frame(frame[:1]), POLICY.decide_frame(frame[1:])])
    pd.testing.assert_frame_equal(parts, whole)
    known = POLICY.rules.fire(frame)
    pd.testing.assert_frame_equal(POLICY.decide_frame(frame, known), whole)


def test_another_strategy_shares_rules_and_tables() -> None:
    stricter = POLICY.with_strategy(POLICY.strategy.changed("emergency_cash", approve_pd=0.01))
    assert stricter.tables is POLICY.tables
    assert stricter.decide(APPLICATION, FEATURES, Scored(0.02), NOON).outcome == "refer"


def test_a_replay_shows_no_difference() -> None:
    given_ = {"data": "d", "model": "m", "calibrator": "c"}
    for pd_ in (0.01, 0.09, 0.3):
        before = POLICY.decide(APPLICATION, FEATURES, Scored(pd_), NOON, given_).record()
        after = json.loads(json.dumps(POLICY.decide(APPLICATION, FEATURES, Scored(pd_), NOON, given_).record()))
        assert replay_differences(before, after) == []


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"strategy": {"burden_most": 0.02}}, ["limit", "decision"]),
        ({"strategy": {"margin_rate": 0.1}}, ["price", "decision"]),
        ({"strategy": {"approve_pd": 0.01}}, ["cut_offs", "decision"]),
        ({"pd": 0.03, "calibrator": "other"}, ["calibrator", "score", "limit"]),
        ({"income": 700_000}, ["data", "limit"]),
        ({"debt": 10.0}, ["features", "limit"]),
    ],
)
def test_a_change_is_told_by_its_cause(changed: dict[str, Any], parts: list[str]) -> None:
    before = POLICY.decide(APPLICATION, FEATURES, Scored(0.02), NOON, {"calibrator": "c"}).record()
    policy = POLICY.with_strategy(POLICY.strategy.changed("emergency_cash", **changed.get("strategy", {})))
    after = policy.decide(
        {**APPLICATION, "income_monthly": changed.get("income", 800_000)},
        {**FEATURES, "tradelines_instalment_sum": changed.get("debt", 0.0)},
        Scored(changed.get("pd", 0.02)),
        NOON,
        {"calibrator": changed.get("calibrator", "c")},
    ).record()
    found = [difference.part for difference in replay_differences(before, after)]
    assert set(parts) <= set(found)
    causes = {"data", "features", "model", "calibrator", "rules", "products", "cut_offs"} - set(parts)
    assert not causes & set(found)


def test_a_change_of_rules_is_told() -> None:
    before = decided().record()
    after = copy.deepcopy(before)
    after["identities"]["rules"] = "another"
    after["trace"]["rules"]["fired"] = []
    assert {difference.part for difference in replay_differences(before, after)} == {"rules"}


def test_what_a_decision_needs_is_what_a_frame_needs() -> None:
    assert set(COLUMNS) <= {*APPLICATION, *FEATURES, "pd"}
