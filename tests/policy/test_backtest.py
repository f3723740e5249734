from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from data_contracts.errors import DeclarationError, SourceError
from policy.backtest import backtest, contrast, decided, figures, legacy, profit
from policy.outcomes import inferred, of_truth
from policy.targets import decision_times, targets
from tests.policy.conftest import make_past

CASH = ["emergency_cash"] * 4
# approved, approved and bad, referred (between 8 and 12 %), declined
FOUR = np.array([0.02, 0.05, 0.1, 0.5])


def test_figures_of_four_applicants_by_hand(policy) -> None:
    past = make_past(CASH, FOUR, np.array([0, 1, 1, 0]))
    version = decided("base", past, policy)
    found = figures(past, version)
    assert version.outcome.tolist() == [0, 0, 1, 2]
    assert (found["approval_rate"].value, found["referral_rate"].value, found["bad_rate"].value) == (0.5, 0.25, 0.5)
    assert found["amount"].value == 3_000
    # at 0.03 % a day: 0.45 years x (365 x 0.0003 - 0.045) of 3,000 CNY for the first, 45 % of them lost by the second
    assert policy.decide_frame(past.frame)["rate_ppm"].tolist()[0] == 300
    earned = profit(past, version, past.outcomes.defaults)
    assert earned.tolist() == pytest.approx([3_000 * 0.45 * (365 * 0.0003 - 0.045), -0.45 * 3_000, 0, 0])
    assert found["realised_profit"].value == pytest.approx(earned.mean())


def test_the_expected_profit_is_that_of_the_decision(policy, past) -> None:
    version = decided("base", past, policy)
    earned = profit(past, version, past.frame["pd"].to_numpy())
    approved = version.is_("approve")
    assert earned[approved] == pytest.approx(version.frame["expected_profit"].to_numpy()[approved])
    assert (earned[~approved] == 0).all()


def test_segments_add_up_and_small_ones_are_left_out(policy, past) -> None:
    found = backtest(past, decided("base", past, policy), policy, policy.rules.fire(past.frame))
    rates = [one["approval_rate"] for at, _, one in found.segments if at == "product"]
    by_product = [(rate.n, rate.value) for rate in rates]
    assert sum(n for n, _ in by_product) == len(past)
    total = sum(n * value for n, value in by_product) / len(past)
    assert total == pytest.approx(found.overall["approval_rate"].value)
    some = past.take(np.arange(29))
    assert backtest(some, decided("base", some, policy)).segments == ()
    assert {code: n for _, code, n in found.reasons}["S03"] > 0


def test_the_swap_set_counts_who_only_one_approves(policy) -> None:
    past = make_past(CASH, FOUR, np.array([0, 1, 1, 0]), granted=np.array([False, True, True, True]))
    found = contrast(past, legacy(past, policy), decided("base", past, policy))
    assert (found.swaps.both, found.swaps.out, found.swaps.into, found.swaps.neither) == (1, 2, 1, 0)
    assert (found.bad_rate_in.value, found.bad_rate_out.value) == (0.0, 0.5)
    assert found.difference["approval_rate"].value == -0.25
    assert found.difference["bad_rate"].value == pytest.approx(1 / 2 - 2 / 3)


def test_loans_of_products_that_are_not_offered_are_left_out_and_counted(policy) -> None:
    past = make_past(CASH, FOUR, np.array([0, 1, 1, 0]))
    past.frame["product"] = ["cash", "emergency_cash", "cash", "emergency_cash"]
    with pytest.raises(DeclarationError, match="what loans of cash cost"):
        legacy(past, policy)
    found = past.offered(policy.tables.names)
    assert found.frame.index.tolist() == ["A00001", "A00003"]
    assert found.sample.en == "all Left out are 2 applications for products that are not offered."
    assert legacy(found, policy).amount.tolist() == [3_000, 3_000]
    assert found.offered(policy.tables.names) is found
    with pytest.raises(SourceError, match=r"they are for emergency_cash, offered are business\."):
        found.offered(["business"])


def test_a_term_that_is_not_offered_counts_as_the_nearest_that_is(policy) -> None:
    past = make_past(["business"] * 4, np.full(4, 0.02), np.zeros(4))
    past.legacy_rate[:] = 0.08
    past.frame["term_months"] = [37, 36, 72, 60]
    margin = legacy(past, policy).margin
    assert (margin[0], margin[2]) == (margin[1], margin[3])
    assert margin[3] > margin[1]


def test_a_version_differs_from_itself_in_nothing(policy, past) -> None:
    version = decided("base", past, policy)
    found = contrast(past, version, version)
    assert {metric.value for metric in found.difference.values()} == {0.0}
    assert (found.swaps.out, found.swaps.into) == (0, 0)


def test_the_interval_of_a_difference_of_bad_rates_holds_what_a_bootstrap_says(policy, past) -> None:
    first, second = legacy(past, policy), decided("base", past, policy)
    found = contrast(past, first, second).difference["bad_rate"]
    rng, bad = np.random.default_rng(0), past.outcomes.bad
    drawn = []
    for _ in range(400):
        rows = rng.integers(0, len(past), len(past))
        one, other = (bad[rows][version.is_("approve")[rows]].mean() for version in (first, second))
        drawn.append(other - one)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.15)


def test_who_was_not_seen_counts_with_a_chance_and_refused_ones_with_worse_odds() -> None:
    rng = np.random.default_rng(1)
    log_odds = rng.normal(-2.5, 1.0, 20_000)
    bad = (rng.random(20_000) < expit(log_odds)).astype(float)
    refused = rng.random(20_000) < 0.3
    seen = np.where(refused | (rng.random(20_000) < 0.1), np.nan, bad)
    found = inferred(seen, log_odds, refused, odds_factor=1.0)
    unseen = np.isnan(seen)
    assert (found[~unseen] == bad[~unseen]).all()
    assert found[unseen].mean() == pytest.approx(bad[unseen].mean(), abs=0.01)
    worse = inferred(seen, log_odds, refused, odds_factor=2.0)
    odds = worse[unseen] / (1 - worse[unseen]) / (found[unseen] / (1 - found[unseen]))
    assert odds == pytest.approx(np.where(refused[unseen], 2.0, 1.0))


def test_a_truth_of_another_folder_is_refused(past) -> None:
    import pandas as pd

    truth = pd.DataFrame({"application_id": ["A00000"], "defaults": [False], "late_90_dpd": [False]})
    with pytest.raises(SourceError, match="what became of 2999 of 3000 applications"):
        of_truth(truth, past.frame.index)
    with pytest.raises(SourceError, match=r"lacks late_90_dpd\. Simulate the lender again"):
        of_truth(truth.drop(columns="late_90_dpd"), past.frame.index)


def test_targets_by_hand(policy) -> None:
    past = make_past([*CASH, "business", "business"], np.array([*FOUR, 0.02, 0.1]), np.array([0, 1, 1, 0, 0, 1]))
    found = {one.key: one for one in targets(past, decided("base", past, policy), legacy(past, policy))}
    assert (found["small_approved"].figure.value, found["small_approved"].met) == (0.5, False)
    assert (found["large_referred"].figure.value, found["large_referred"].met) == (0.5, False)
    assert (found["bad_rate"].figure.value, found["bad_rate"].legacy.value) == (1 / 3, 0.5)
    assert found["bad_rate_by_amount"].figure.value == pytest.approx(3_000 / (6_000 + 200_000))
    assert found["large_referred"].legacy.value is None


def test_a_decision_is_timed_by_the_clock_that_is_given(policy, past) -> None:
    ticks = iter(range(0, 10**12, 2_000_000))
    found = decision_times(policy, past, calls=10, clock=lambda: next(ticks))
    assert found == {"decisions": 10, "p50_ms": 2.0, "p99_ms": 2.0}
