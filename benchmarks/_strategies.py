"""How fast strategies are tried on the past, and whether decisions can be made again: parts of `benchmarks.policy`."""

from __future__ import annotations

import json
import time
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from policy.backtest import backtest, contrast, decided, legacy
from policy.decision import Policy
from policy.outcomes import Outcomes
from policy.past import Past, amount_bands
from policy.products import read_products
from policy.replay import replay_differences
from policy.rules import RuleBook
from policy.strategy import read_strategy
from reporting.page import Text

_DAY = date(2026, 1, 1)
_ROWS, _ROUNDS = 100_000, 3
_SEED = 7


def backtest_speed(facts: pd.DataFrame) -> dict[str, Any]:
    """Applications a minute through the whole backtest, of the quickest round; the score is given."""
    past, policy = _past(facts), _policy()
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        fired = policy.rules.fire(past.frame)
        version, before = decided("base", past, policy, fired), legacy(past, policy)
        backtest(past, version, policy, fired)
        contrast(past, before, version)
        seconds.append(time.perf_counter() - started)
    return {"backtest_rows": len(past), "backtest_per_minute": round(len(past) / min(seconds) * 60)}


def replay(facts: pd.DataFrame, decisions: int) -> dict[str, int]:
    """Decide, keep facts and decision as JSON, and decide again by declarations that are read anew."""
    drawn = facts.sample(decisions, replace=True, random_state=_SEED)
    logged = []
    policy = _policy()
    for row in drawn.to_dict("records"):
        asked = {str(name): _plain(value) for name, value in row.items()}
        logged.append((json.dumps(asked), json.dumps(_decide(policy, asked))))
    again = _policy()
    differences = 0
    at_once = again.decide_frame(drawn)
    outcomes, amounts = at_once["outcome"].tolist(), at_once["amount"].tolist()
    for (text, record), outcome, amount in zip(logged, outcomes, amounts, strict=True):
        before = json.loads(record)
        after = json.loads(json.dumps(_decide(again, json.loads(text))))
        differences += len(replay_differences(before, after))
        differences += (before["outcome"], before["amount"]) != (outcome, amount)
    return {"replayed": len(logged), "differences": differences}


def _decide(policy: Policy, asked: dict[str, Any]) -> dict[str, Any]:
    scored = SimpleNamespace(pd=asked["pd"], score=600.0, reasons=())
    return policy.decide(asked, {}, scored, pd.Timestamp(asked["applied_at"]).to_pydatetime()).record()


def _plain(value: Any) -> Any:
    value = value.isoformat() if isinstance(value, pd.Timestamp) else value
    return None if value is None or value is pd.NaT or value != value else value


def _policy() -> Policy:
    products = read_products()
    return Policy(products, read_strategy(None, products), RuleBook.load().on(_DAY))


def _past(facts: pd.DataFrame) -> Past:
    """Many past applications out of a few, with outcomes drawn by their PDs and decisions by chance."""
    rng = np.random.default_rng(_SEED)
    frame = facts.sample(_ROWS, replace=True, random_state=_SEED)
    frame.index = pd.Index([f"A{at:08d}" for at in range(len(frame))], name="application_id")
    pd_ = frame["pd"].to_numpy(np.float64)
    bad = (rng.random(len(frame)) < pd_).astype(np.float64)
    levels = frame[["product", "channel", "city_tier", "employment", "education", "housing"]]
    return Past(
        frame=frame,
        outcomes=Outcomes(bad, bad, np.full(len(frame), "truth"), pd_, ()),
        granted=rng.random(len(frame)) < 0.7,
        legacy_rate=np.full(len(frame), np.nan),
        customers=frame["customer_id"],
        levels=levels.assign(amount_band=amount_bands(frame["amount_requested"])),
        sample=Text("抽取的申请", "drawn applications"),
    )
