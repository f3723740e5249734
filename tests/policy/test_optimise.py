from __future__ import annotations

import numpy as np
import pytest

from data_contracts.errors import DeclarationError
from policy.backtest import decided, figures, profit
from policy.candidates import Candidates, candidates
from policy.optimise import Constraints, _choose, frontier, optimise
from policy.strategy import read_strategy, write_strategy


def test_every_candidate_counts_what_its_strategy_decides(policy, past) -> None:
    fired = policy.rules.fire(past.frame)
    for name, found in candidates(past, policy, fired, 0.1).items():
        of_product = (past.frame["product"] == name).to_numpy()
        for at in np.random.default_rng(0).choice(len(found.scale), 4, replace=False):
            base = policy.strategy.products[name]
            strategy = policy.strategy.changed(
                name,
                approve_pd=float(found.approve_pd[at]),
                decline_pd=float(found.decline_pd[at]),
                expected_loss_most=base.expected_loss_most * float(found.scale[at]),
            )
            version = decided("candidate", past, policy.with_strategy(strategy), fired)
            approved, referred = (version.is_(outcome) & of_product for outcome in ("approve", "refer"))
            earned = profit(past, version, past.outcomes.defaults)[of_product].sum()
            assert (found.approved[at], found.referred[at]) == (approved.sum(), referred.sum())
            assert found.bad[at] == past.outcomes.bad[approved].sum()
            assert found.profit[at] == pytest.approx(earned)


def test_the_strategy_keeps_its_constraints_where_it_was_chosen(policy, past) -> None:
    asked = Constraints(bad_rate_most=0.03, referral_rate_most=0.1, approval_rate_least={"emergency_cash": 0.3})
    found = optimise(past, policy, asked, seed=3)
    assert found.strategy is not None
    chosen = found.chosen.overall
    assert chosen["bad_rate"].value <= 0.03
    by_product = {level: one for at, level, one in found.chosen.segments if at == "product"}
    assert by_product["emergency_cash"]["approval_rate"].value >= 0.3
    assert all(one["referral_rate"].value <= 0.1 for one in by_product.values())
    assert found.chosen.overall["approval_rate"].n + found.told.overall["approval_rate"].n == len(past)
    assert found.strategy.name == "base_optimised"


def test_no_other_candidate_that_keeps_them_earns_more_for_one_product_alone(policy, past) -> None:
    free = optimise(past, policy, Constraints(), seed=3)
    choosing, _ = past.halves(3)
    best = candidates(choosing, policy, policy.rules.fire(choosing.frame), None)
    most = sum(float(one.profit.max()) for one in best.values()) / len(choosing)
    assert free.chosen.overall["realised_profit"].value == pytest.approx(most)
    bound = optimise(past, policy, Constraints(bad_rate_most=0.02), seed=3)
    assert bound.chosen.overall["realised_profit"].value <= most


def test_what_cannot_be_kept_is_told_with_how_near_one_comes(policy, past) -> None:
    asked = Constraints(bad_rate_most=0.001, approval_rate_least={"emergency_cash": 0.6})
    found = optimise(past, policy, asked)
    assert found.strategy is None
    assert found.why_not.en.startswith("the bad rate is at least")
    assert found.base.overall["bad_rate"].defined
    never = optimise(past, policy, Constraints(approval_rate_least={"business": 1.0}))
    assert never.why_not.en == "no cut-off of business keeps both its approval rate and its referral rate"


def test_the_bad_rate_that_is_told_is_the_lowest_there_is() -> None:
    def of(approved: list[float], bad: list[float]) -> Candidates:
        n, none = np.ones(len(approved)), np.zeros(len(approved))
        return Candidates(n, n, n, np.array(approved), none, np.array(bad), n, 2_000)

    # fewest bad loans beyond 2 %: one of ten, which is 10 %; but 30 of 1,000 are 3 %
    chosen, why_not = _choose({"one": of([10, 1_000], [1, 30])}, Constraints(bad_rate_most=0.02))
    assert chosen is None
    assert why_not.en == "the bad rate is at least 3.00% with the approval rates that are asked for"
    two = {"one": of([10, 1_000], [1, 30]), "other": of([20, 500], [1, 50])}
    _, why_not = _choose(two, Constraints(bad_rate_most=0.02))
    assert "at least 3.04%" in why_not.en  # 31 of 1,020


def test_the_frontier_rises_and_nobody_beats_the_true_pd(policy, past) -> None:
    found = frontier(past, policy)
    assert found.curve["approval_rate"].is_monotonic_increasing
    assert found.curve["bad_rate"].is_monotonic_increasing
    assert found.best["approval_rate"].iloc[-1] == 1.0
    # the PDs here are the true ones: what rules and prices leave is no better than all of the safest
    best = np.interp(found.curve["told_approval_rate"], found.best["approval_rate"], found.best["bad_rate"])
    assert (found.curve["told_bad_rate"] > best - 0.01).all()


def test_constraints_are_rates_of_known_products(policy, past) -> None:
    with pytest.raises(DeclarationError, match=r"bad_rate_most is 1\.2; a rate lies from 0 to 1"):
        Constraints(bad_rate_most=1.2)
    with pytest.raises(DeclarationError, match="There is no product lottery"):
        optimise(past, policy, Constraints(approval_rate_least={"lottery": 0.5}))


def test_a_strategy_that_was_found_reads_as_it_was_written(policy, past, tmp_path) -> None:
    found = optimise(past, policy, Constraints(bad_rate_most=0.03)).strategy
    path = tmp_path / "found.toml"
    path.write_text(write_strategy(found, "searched"), encoding="utf-8")
    assert read_strategy(path, policy.products) == found
    version = decided("again", past, policy.with_strategy(read_strategy(path)))
    assert figures(past, version) == figures(past, decided("again", past, policy.with_strategy(found)))
