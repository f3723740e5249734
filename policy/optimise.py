"""Cut-offs and limits searched under constraints, and the efficient frontier of what they can reach.

Every choice of the grid is counted (`policy.candidates`), so the search needs no trials. Products meet only in the bad
rate of all loans; there a price on each bad loan lets every product choose by itself (Lagrange), the price is raised
until the bound holds, and what the bound then leaves is used product by product.

Chosen on one half of the customers, told on the other: what a search found looks better where it was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_contracts.errors import DeclarationError
from policy.backtest import Backtest, backtest, decided
from policy.candidates import TOTALS, Candidates, candidates, counted
from policy.decision import Policy
from policy.outcomes import Flags, Floats
from policy.past import Past
from policy.strategy import Strategy
from reporting.page import Text

_PRICES = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 121)])
_HALVINGS = 60
_ROUNDS = 20


@dataclass(frozen=True)
class Constraints:
    """What a strategy must keep.

    Parameters
    ----------
    bad_rate_most : float, optional
        Of all approved loans together.
    referral_rate_most : float, optional
        Of each product: the band in which a person decides is as wide as this and the present strategy allow.
    approval_rate_least : mapping of str to float
        By product.
    """

    bad_rate_most: float | None = None
    referral_rate_most: float | None = None
    approval_rate_least: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {"bad_rate_most": self.bad_rate_most, "referral_rate_most": self.referral_rate_most}
        given |= {f"approval_rate_least of {name}": value for name, value in self.approval_rate_least.items()}
        faults = [f"{name} is {value}" for name, value in given.items() if value is not None and not 0 <= value <= 1]
        if faults:
            raise DeclarationError(f"{'; '.join(faults)}; a rate lies from 0 to 1.")

    def require_products(self, names: Sequence[str]) -> None:
        """Refuse products that are not offered."""
        if unknown := sorted(set(self.approval_rate_least) - set(names)):
            raise DeclarationError(f"There is no product {', '.join(unknown)}; there are {', '.join(names)}.")


@dataclass(frozen=True)
class Frontier:
    """The best that can be reached, from the fewest bad loans to the most approvals.

    Parameters
    ----------
    curve : DataFrame
        By point: `approval_rate`, `bad_rate`, `profit` (CNY an application) where chosen, and `told_...` the same on
        the other half.
    by_pd : DataFrame
        `approval_rate` and `bad_rate` of the safest by PD alone: beside the curve it tells what rules and prices cost.
    best : DataFrame or None
        The same of the safest by their true PDs: nobody can do better. None without a truth.
    """

    curve: pd.DataFrame
    by_pd: pd.DataFrame
    best: pd.DataFrame | None


@dataclass(frozen=True)
class Optimised:
    """What a search found.

    Parameters
    ----------
    strategy : Strategy or None
        None where no strategy of the grid keeps the constraints.
    why_not : Text
        Which constraint cannot be kept, and how near one comes; empty where all are.
    chosen, told : Backtest or None
        Of the strategy, on the half it was chosen on and on the other.
    base : Backtest
        Of the present strategy, on the other half.
    frontier : Frontier
    constraints : Constraints
    """

    strategy: Strategy | None
    why_not: Text
    chosen: Backtest | None
    told: Backtest | None
    base: Backtest
    frontier: Frontier
    constraints: Constraints


def optimise(past: Past, policy: Policy, constraints: Constraints, *, seed: int = 0) -> Optimised:
    """Search the strategy that earns most within constraints.

    The bound on the expected loss (and with it the limits) is scaled by `SCALES`, `approve_pd` is any of the PDs of the
    applicants' quantiles, `decline_pd` the highest that constraints and the present strategy allow. Profit is realised:
    by the outcomes of `past`, not by the PD.

    Parameters
    ----------
    past : Past
    policy : Policy
        The present one: its rules, products and whatever is not searched stay.
    seed : int
        Which customers belong to which half.
    """
    constraints.require_products(policy.tables.names)
    choosing, telling = past.halves(seed)
    fired = [policy.rules.fire(half.frame) for half in (choosing, telling)]
    here = candidates(choosing, policy, fired[0], constraints.referral_rate_most)
    reachable = _frontier(here, telling, policy, fired[1])
    base = backtest(telling, decided(policy.strategy.name, telling, policy, fired[1]), policy, fired[1])
    allowed = {name: _kept(name, found, constraints) for name, found in here.items()}
    chosen, why_not = _choose(allowed, constraints)
    if chosen is None:
        return Optimised(None, why_not, None, None, base, reachable, constraints)
    strategy = _strategy(policy.strategy, {name: allowed[name].take(np.array([at])) for name, at in chosen.items()})
    found = policy.with_strategy(strategy)
    first, second = (
        backtest(half, decided(strategy.name, half, found, flags), found, flags)
        for half, flags in zip((choosing, telling), fired, strict=True)
    )
    return Optimised(strategy, why_not, first, second, base, reachable, constraints)


def frontier(past: Past, policy: Policy, *, referral_rate_most: float | None = None, seed: int = 0) -> Frontier:
    """What cut-offs and limits can reach, chosen on one half of the customers and told on the other."""
    choosing, telling = past.halves(seed)
    here = candidates(choosing, policy, policy.rules.fire(choosing.frame), referral_rate_most)
    return _frontier(here, telling, policy, policy.rules.fire(telling.frame))


def _frontier(here: Mapping[str, Candidates], telling: Past, policy: Policy, fired: Flags) -> Frontier:
    there = {name: counted(telling, policy, fired, name, found) for name, found in here.items()}
    said = telling.outcomes
    return Frontier(
        _curve(here, there),
        _safest(said.bad, telling.frame["pd"].to_numpy(np.float64)),
        None if said.true_pd is None else _safest(said.bad, said.true_pd),
    )


def _kept(name: str, found: Candidates, constraints: Constraints) -> Candidates:
    """Candidates that keep what is asked of their product alone."""
    keeps = found.approved >= constraints.approval_rate_least.get(name, 0.0) * found.applications
    if constraints.referral_rate_most is not None:
        keeps &= found.referred <= constraints.referral_rate_most * found.applications
    return found.take(keeps)


def _choose(allowed: Mapping[str, Candidates], constraints: Constraints) -> tuple[dict[str, int] | None, Text]:
    """The candidate of each product that earns most, while the bad loans of all keep their bound."""
    for name, found in allowed.items():
        if not len(found.scale):
            told = f"no cut-off of {name} keeps both its approval rate and its referral rate"
            return None, Text(f"{name}没有同时满足批准率与转人工率的准入线", told)
    most = constraints.bad_rate_most
    best = {name: int(np.argmax(found.profit)) for name, found in allowed.items()}
    if most is None or _excess(allowed, best, most) <= 0:
        return best, Text("", "")
    low, high = 0.0, 1e9  # CNY for each bad loan above the bound
    safest = _at_price(allowed, most, high)
    if _excess(allowed, safest, most) > 0:
        least = f"{_lowest_bad_rate(allowed, safest):.2%}"
        told = f"the bad rate is at least {least} with the approval rates that are asked for"
        return None, Text(f"在所要求的批准率下，坏账率至少为{least}", told)
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5 if low > 0 else high / 1e6
        if _excess(allowed, _at_price(allowed, most, middle), most) > 0:
            low = middle
        else:
            high = middle
        if low > 0 and high / low < 1 + 1e-9:
            break
    return _filled(allowed, most, _at_price(allowed, most, high)), Text("", "")


def _lowest_bad_rate(allowed: Mapping[str, Candidates], chosen: Mapping[str, int]) -> float:
    """Bad loans to approved ones at their least: a ratio falls until nothing undercuts it (Dinkelbach)."""
    rate = np.inf
    for _ in range(_ROUNDS):
        approved, bad = (
            sum(float(getattr(allowed[name], one)[at]) for name, at in chosen.items()) for one in ("approved", "bad")
        )
        if not approved or bad / approved >= rate:
            break
        rate = bad / approved
        chosen = {name: int(np.argmin(found.bad - rate * found.approved)) for name, found in allowed.items()}
    return float(rate)


def _filled(allowed: Mapping[str, Candidates], most: float, chosen: dict[str, int]) -> dict[str, int]:
    """Use what the bound leaves: product by product whatever earns more and still keeps it, until nothing does."""
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for name, found in allowed.items():
            others = _excess(allowed, {other: at for other, at in chosen.items() if other != name}, most)
            keeps = found.bad - most * found.approved + others <= 0
            chosen[name] = int(np.argmax(np.where(keeps, found.profit, -np.inf)))
        if chosen == before:
            break
    return chosen


def _at_price(allowed: Mapping[str, Candidates], most: float, price: float) -> dict[str, int]:
    return {
        name: int(np.argmax(found.profit - price * (found.bad - most * found.approved)))
        for name, found in allowed.items()
    }


def _excess(allowed: Mapping[str, Candidates], chosen: Mapping[str, int], most: float) -> float:
    """Bad loans beyond the bound."""
    return sum(float(allowed[name].bad[at] - most * allowed[name].approved[at]) for name, at in chosen.items())


def _curve(here: Mapping[str, Candidates], there: Mapping[str, Candidates]) -> pd.DataFrame:
    """Most approvals for the bad loans they bring: every product accepts while an approval outweighs its bad loans."""
    points = []
    for price in _PRICES[::-1]:
        chosen = {name: int(np.argmax(found.approved - price * found.bad)) for name, found in here.items()}
        points.append({**_totals(here, chosen, ""), **_totals(there, chosen, "told_")})
    curve = pd.DataFrame(points).drop_duplicates(["approval_rate", "bad_rate"])
    return curve[curve["approval_rate"] > 0].reset_index(drop=True)


def _totals(found: Mapping[str, Candidates], chosen: Mapping[str, int], prefix: str) -> dict[str, float]:
    sums = {one: sum(float(getattr(found[name], one)[at]) for name, at in chosen.items()) for one in TOTALS}
    n = sum(one.applications for one in found.values())
    return {
        f"{prefix}approval_rate": sums["approved"] / max(n, 1),
        f"{prefix}referral_rate": sums["referred"] / max(n, 1),
        f"{prefix}bad_rate": sums["bad"] / sums["approved"] if sums["approved"] else float("nan"),
        f"{prefix}profit": sums["profit"] / max(n, 1),
    }


def _safest(bad: Floats, risk: Floats) -> pd.DataFrame:
    """Bad rate by approval rate where the safest are approved."""
    if not len(bad):
        return pd.DataFrame({"approval_rate": [], "bad_rate": []})
    so_far = np.cumsum(bad[np.argsort(risk, kind="stable")])
    counts = np.unique(np.linspace(1, len(bad), 100).astype(np.int64))
    return pd.DataFrame({"approval_rate": counts / len(bad), "bad_rate": so_far[counts - 1] / counts})


def _strategy(base: Strategy, chosen: Mapping[str, Candidates]) -> Strategy:
    """The present strategy with what was chosen in its place."""
    declared = base.model_dump()
    for name, one in chosen.items():
        loss = float(f"{base.products[name].expected_loss_most * one.scale[0]:.6g}")
        found = {"approve_pd": float(one.approve_pd[0]), "decline_pd": float(one.decline_pd[0])}
        declared["products"][name] |= {**found, "expected_loss_most": loss}
    return Strategy.model_validate({**declared, "name": f"{base.name.removesuffix('_optimised')}_optimised"[:64]})
