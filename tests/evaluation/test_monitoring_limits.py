from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.drift import compare, psi_limit
from evaluation.metric import Metric
from evaluation.monitoring_limits import monitoring_limits
from training.reference import Reference


@pytest.fixture(scope="module")
def reference() -> Reference:
    rng = np.random.default_rng(0)
    return Reference.from_frame(pd.DataFrame({"income": rng.normal(size=4000)}), rng.normal(size=4000))


APPLIED = pd.Series(pd.date_range("2024-01-01", "2024-03-31", freq="2h"))
AUC = Metric(0.75, 0.71, 0.79, 1000)


def test_a_month_brings_what_the_lender_s_months_brought(reference):
    found = monitoring_limits(reference, APPLIED, 400, AUC, 0.1)
    assert found.rows == round(len(APPLIED) / 3)
    assert found.matured == 400


def test_limits_are_those_of_the_drift_monitor(reference):
    """A comparison of as many rows, in which nothing is discovered, has just these thresholds."""
    found = monitoring_limits(reference, APPLIED, 400, AUC, 0.1)
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"income": rng.normal(size=found.rows)})
    result = compare(reference, rows, rng.normal(size=found.rows))
    assert not result.drifted
    assert found.score.limit == pytest.approx(result.score.psi_threshold)
    assert found.features[0].limit == pytest.approx(result.features[0].psi_threshold)


def test_fewer_rows_make_a_wider_limit():
    assert psi_limit(9, 4000, 100, 0.005) > psi_limit(9, 4000, 1000, 0.005) > psi_limit(9, 4000, 100_000, 0.005)
    assert psi_limit(0, 4000, 100, 0.005) == 0.01  # a single bin cannot drift


def test_auc_and_bad_rate_by_hand(reference):
    found = monitoring_limits(reference, APPLIED, 1000, AUC, 0.1)
    # test and quarter are of one size, so the error of their difference is sqrt(2) times that of one: 0.04
    assert found.least_auc == pytest.approx(0.75 - 0.04 * np.sqrt(2))
    half = 1.959964 * np.sqrt(0.1 * 0.9 / 1000)
    assert found.bad_rate == pytest.approx((0.1 - half, 0.1 + half))


def test_no_limit_of_auc_where_the_test_has_none(reference):
    none = Metric(None, None, None, 30, "every row is of one class")
    assert monitoring_limits(reference, APPLIED, 1000, none, 0.1).least_auc is None
