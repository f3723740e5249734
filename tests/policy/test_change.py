from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.change import MEASURES, attribute, measures
from policy.decision import Policy
from policy.rules import RuleBook
from policy.rules.ruleset import RuleSet
from policy.versions import differing_parts, mixed_strategy

NAMES = ("data", "model", "rules", "limit")


def table(values: dict[frozenset[str], int]):
    def decide(mixture: frozenset[str]) -> pd.DataFrame:
        return pd.DataFrame([[values[mixture], 0, 0, values[mixture], 0, 0, 0]], columns=list(MEASURES), dtype=float)

    return decide


@given(st.lists(st.integers(-(10**9), 10**9), min_size=16, max_size=16))
def test_shares_add_up_exactly_and_are_means_over_all_orders(drawn: list[int]) -> None:
    mixtures = [frozenset(name for at, name in enumerate(NAMES) if number >> at & 1) for number in range(16)]
    values = dict(zip(mixtures, drawn, strict=True))
    found = attribute(NAMES, table(values))
    total = sum(found.sums[name][0, 0] for name in NAMES)
    assert total == found.orders * (values[frozenset(NAMES)] - values[frozenset()])
    for name in NAMES:
        moved = 0
        for order in permutations(NAMES):
            before = frozenset(order[: order.index(name)])
            moved += values[before | {name}] - values[before]
        assert found.sums[name][0, 0] == moved


def test_nothing_differs_nothing_changes() -> None:
    found = attribute((), table({frozenset(): 5}))
    assert found.components == ()
    assert found.before.equals(found.after)


def test_strategy_and_rules_of_a_portfolio(policy, past) -> None:
    after = policy.strategy.changed("emergency_cash", approve_pd=0.04, expected_loss_most=50, lgd=0.6)
    parts = differing_parts(policy.strategy, after)
    assert parts == ("cut_offs", "limit", "price")
    fewer = RuleSet([rule for rule in policy.rules.rules if rule.severity != "decline"])

    def decide(mixture: frozenset[str]) -> pd.DataFrame:
        rules = fewer if "rules" in mixture else policy.rules
        mixed = Policy(policy.products, mixed_strategy(policy.strategy, after, mixture), rules)
        return measures(mixed.decide_frame(past.frame), past.frame["pd"])

    found = attribute((*parts, "rules"), decide)
    assert decide(frozenset(found.components)).equals(found.after)
    change = (found.after - found.before).to_numpy()
    exact = [MEASURES.index(name) for name in ("approved", "referred", "declined", "amount")]
    assert (sum(found.sums.values())[:, exact] == found.orders * change[:, exact]).all()
    assert sum(found.share(name) for name in found.components).to_numpy() == pytest.approx(change, abs=1e-9)
    others = past.frame["product"] != "emergency_cash"
    assert found.share("cut_offs")[others.to_numpy()].to_numpy() == pytest.approx(0.0, abs=1e-9)
    assert found.share("cut_offs")["approved"].sum() < 0
    assert (found.share("price")["pd"] == 0).all()
    told = found.to_dict()
    assert told["applications"] == len(past)
    assert told["by_component"]["limit"]["amount"]["value"] < 0


def test_a_mixed_strategy_takes_each_part_from_one_of_both(policy) -> None:
    base, other = policy.strategy, policy.strategy.changed("business", approve_pd=0.02, lgd=0.9, income_months_most=3)
    mixed = mixed_strategy(base, other, frozenset({"limit"})).products["business"]
    assert (mixed.approve_pd, mixed.lgd, mixed.income_months_most) == (0.06, 0.45, 3)
    assert mixed_strategy(base, other, frozenset({"cut_offs", "limit", "price"})).products == other.products


def test_rules_of_another_day_are_another_version() -> None:
    book = RuleBook.load()
    days = sorted({rule.effective_from for rule in book.rules})
    assert len({book.on(day).identity for day in days}) == len(days)
    assert np.unique([len(book.on(day).rules) for day in days]).size >= 1
