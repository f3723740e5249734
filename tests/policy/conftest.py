"""Past applicants whose truth is drawn from their PDs, for tests of strategies."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from policy.decision import Policy
from policy.outcomes import Outcomes
from policy.past import Past, amount_bands
from policy.products import read_products
from policy.rules import RuleBook
from policy.strategy import read_strategy
from reporting.page import Text

ASKED = {  # product: CNY, months, age, CNY of income
    "emergency_cash": (3_000, 3, 25.0, 9_000),
    "education": (40_000, 12, 35.0, 20_000),
    "business": (200_000, 12, 45.0, 60_000),
}


def make_past(products: list[str], pd_: np.ndarray, bad: np.ndarray, granted: np.ndarray | None = None) -> Past:
    """Applicants of products with their PD and outcome, two applications a customer."""
    n = len(products)
    amount, term, age, income = np.array([ASKED[name] for name in products]).T
    frame = pd.DataFrame(
        {
            "applied_at": datetime(2026, 6, 1),
            "product": products,
            "amount_requested": (100 * amount).astype(np.int64),
            "term_months": term.astype(np.int64),
            "age_years": age,
            "income_monthly": (100 * income).astype(np.int64),
            "loans_instalment_sum": 0.0,
            "tradelines_instalment_sum": 0.0,
            "loans_active_principal_sum": 0.0,
            "pd": pd_,
            "score": 600.0,
        },
        index=pd.Index([f"A{at:05d}" for at in range(n)], name="application_id"),
    )
    return Past(
        frame=frame,
        outcomes=Outcomes(bad * 1.0, bad * 1.0, np.full(n, "truth"), pd_, (Text("真值", "truth"),)),
        granted=np.ones(n, bool) if granted is None else granted,
        legacy_rate=np.full(n, np.nan),
        customers=pd.Series([f"C{at // 2}" for at in range(n)], index=frame.index),
        levels=pd.DataFrame(
            {"product": products, "amount_band": amount_bands(frame["amount_requested"])}, index=frame.index
        ),
        sample=Text("全部", "all"),
    )


@pytest.fixture(scope="session")
def policy() -> Policy:
    """Lendwell's products and rules under the strategy of these tests."""
    products = read_products()
    strategy = read_strategy(Path(__file__).parent / "strategy.toml", products)
    return Policy(products, strategy, RuleBook.load().on(date(2026, 7, 1)))


@pytest.fixture(scope="session")
def past() -> Past:
    """Three thousand applicants of three products, of whom the riskier default more often."""
    rng = np.random.default_rng(5)
    pd_ = rng.beta(1.0, 12.0, 3_000)
    products = rng.choice(list(ASKED), 3_000, p=[0.6, 0.25, 0.15]).tolist()
    return make_past(products, pd_, rng.random(3_000) < pd_, granted=rng.random(3_000) < 0.7)
