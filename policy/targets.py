"""What is asked of a strategy, and whether it holds: instant small loans, few reviews of large ones, few bad loans."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from evaluation.metric import Metric, mean
from evaluation.tables import share
from policy.backtest import Decided, rate
from policy.decision import Policy
from policy.past import LARGE, SMALL, Past
from policy.products import FEN
from reporting.page import Text

_WARM = 20


@dataclass(frozen=True)
class Target:
    """A promise with its figure.

    Parameters
    ----------
    key : str
    name : Text
    figure, legacy : Metric
        Of the strategy and of the legacy policy, on the same applicants.
    bound : float or None
        None where nothing is promised and the figure only told.
    at_least : bool
        Whether the figure must reach the bound, else it must not exceed it.
    """

    key: str
    name: Text
    figure: Metric
    legacy: Metric
    bound: float | None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure keeps its bound; None where there is no bound or no figure."""
        if self.bound is None or self.figure.value is None:
            return None
        return self.figure.value >= self.bound if self.at_least else self.figure.value <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        return {
            "name": self.name.en,
            "figure": self.figure.to_dict(),
            "legacy": self.legacy.to_dict(),
            "bound": self.bound,
            "at_least": self.at_least,
            "met": self.met,
        }


def targets(past: Past, version: Decided, legacy: Decided) -> tuple[Target, ...]:
    """Measure the targets on past applications, for a strategy and for what was decided then.

    The legacy policy is known by what it granted alone: whether a person decided is not told, so it has no referrals.
    """
    asked = past.frame["amount_requested"].to_numpy(np.float64) / FEN
    small, large = asked <= SMALL, asked > LARGE
    small_approved, large_approved = (
        [_share(one.is_("approve"), among) for one in (version, legacy)] for among in (small, large)
    )
    bad = [rate(past.outcomes.bad[one.is_("approve")]) for one in (version, legacy)]
    by_amount = [_by_amount(past.outcomes.bad, one) for one in (version, legacy)]
    unknown = Metric(None, None, None, 0, "not told of the legacy policy", "原有政策未记录")
    return (
        Target(
            "small_approved",
            Text(f"金额不超过{SMALL:,}元：即时批准的占比", f"Amounts up to {SMALL:,} CNY: approved at once"),
            small_approved[0], small_approved[1], bound=0.7, at_least=True,
        ),
        Target(
            "large_referred",
            Text(f"金额超过{LARGE:,}元：人工审核的占比", f"Amounts above {LARGE:,} CNY: reviewed by a person"),
            _share(version.is_("refer"), large), unknown, bound=0.15,
        ),
        Target(
            "bad_rate",
            Text("坏账率（12个月内逾期90天及以上），按笔数", "Bad rate (90+ days past due by 12 months), of loans"),
            bad[0], bad[1], bound=0.02,
        ),
        Target(
            "bad_rate_by_amount",
            Text("坏账率，按金额", "Bad rate, of amounts"),
            by_amount[0], by_amount[1], bound=None,
        ),
        Target(
            "large_approved",
            Text(f"金额超过{LARGE:,}元：批准的占比", f"Amounts above {LARGE:,} CNY: approved"),
            large_approved[0], large_approved[1], bound=None,
        ),
    )  # fmt: skip


def decision_times(
    policy: Policy, past: Past, *, calls: int = 500, seed: int = 0, clock: Callable[[], int] = time.perf_counter_ns
) -> dict[str, float]:
    """Milliseconds of one decision with all its reasons and its schedule, of applicants drawn by the seed.

    The score is given; `clock` tells nanoseconds.
    """
    drawn = np.random.default_rng(seed).integers(0, len(past), calls + _WARM)
    took = []
    for at in drawn:
        facts = past.frame.iloc[at].to_dict()
        moment = facts.pop("applied_at").to_pydatetime()
        scored = SimpleNamespace(pd=facts.pop("pd"), score=facts.pop("score"), reasons=())
        started = clock()
        policy.decide(facts, {}, scored, moment)
        took.append((clock() - started) / 1e6)
    measured = np.array(took[_WARM:])
    return {"decisions": calls, **{f"p{q}_ms": float(np.quantile(measured, q / 100)) for q in (50, 99)}}


def _share(chosen: Any, among: Any) -> Metric:
    return share(int((chosen & among).sum()), int(among.sum()))


def _by_amount(bad: Any, version: Decided) -> Metric:
    """Of the money lent, what went to bad loans; a ratio, with the interval of the delta method."""
    money = np.where(version.is_("approve"), version.amount, 0.0)
    if not money.any():
        return rate(np.zeros(0))
    value = float((money * bad).sum() / money.sum())
    moved = mean(money * (bad - value) / money.mean())
    half = 0.0 if moved.high is None or moved.value is None else moved.high - moved.value
    return Metric(value, max(value - half, 0.0), value + half, int((money > 0).sum()))
