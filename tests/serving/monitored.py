"""Logged decisions made up from the rows that a bundle carries, so that without a change nothing has drifted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy.special import expit

from training.bundle import Bundle

FIRST = datetime(2026, 3, 1, 1)  # nine o'clock in China
Change = Callable[[pd.DataFrame, np.ndarray], None]


def made_up(
    bundle: Bundle, rng: np.random.Generator, days: int, n: int, change: Change | None = None, since: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decisions and features of `n` requests a day; `change(features, log_odds)` of the days from `since` on."""
    rows = bundle.reference_rows
    assert rows is not None
    drawn = rng.integers(0, len(rows.features), days * n)
    features, log_odds = rows.features.iloc[drawn].reset_index(drop=True), rows.log_odds[drawn].copy()
    late = np.arange(days * n) >= since * n
    if change is not None:
        part, scores = features[late].copy(), log_odds[late]
        change(part, scores)
        features.loc[late], log_odds[late] = part, scores
    asked = rows.requests.iloc[drawn]
    background = [["R1"], ["R2"], []]
    decisions = pd.DataFrame(
        {
            "decision_id": [f"{at:032x}" for at in range(days * n)],
            "application_key": [f"{at:064x}" for at in range(days * n)],
            "customer_key": [f"{at:064x}" for at in range(days * n)],
            "decided_at": [FIRST + timedelta(days=at // n, seconds=at % n) for at in range(days * n)],
            "log_odds": log_odds,
            "pd": expit(log_odds),
            "features": list(features.to_numpy()),
            "request": [
                json.dumps({"application": {"product": product, "amount_requested": int(amount * 100)}})
                for product, amount in zip(asked["product"], asked["amount_requested"], strict=True)
            ],
            "response": [
                {"reasons": [{"code": code} for code in background[at]]} for at in rng.integers(0, 3, days * n)
            ],
        }
    )
    return decisions, features
