from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.alternative import alternative, scorecard


def loans(n: int, seed: int):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"dpd": rng.poisson(3, n).astype(float), "income": rng.lognormal(9, 1, n), "same": 1.0})
    X.loc[rng.random(n) < 0.2, "income"] = np.nan
    X["empty"] = np.nan
    risk = 0.6 * X["dpd"] - 0.8 * np.log(X["income"].fillna(20_000)) + 4.5
    return X, (rng.random(n) < 1 / (1 + np.exp(-risk))).astype(int)


def test_a_scorecard_learns_what_bins_can_tell():
    (X, y), (others, labels) = loans(2000, 0), loans(2000, 1)
    told = scorecard(X, y).predict_proba(others)[:, 1]
    assert roc_auc_score(labels, told) > 0.7
    assert np.abs(told.mean() - labels.mean()) < 0.05


def test_missing_and_infinite_values_score():
    X, y = loans(500, 0)
    odd = pd.DataFrame({"dpd": [np.nan, np.inf], "income": [-np.inf, np.nan], "same": [np.nan, 2.0], "empty": [1.0, 0]})
    assert np.isfinite(scorecard(X, y).predict_proba(odd)).all()


def test_the_comparison_is_of_the_same_rows():
    (X, y), (others, labels) = loans(2000, 0), loans(1500, 1)
    card = scorecard(X, y)
    own = card.predict_proba(others)[:, 1]
    same = alternative(X, y, others, labels, own, seed=0)
    assert same.auc_gain.value == same.auc_gain.low == same.auc_gain.high == 0
    assert (same.swaps.out, same.swaps.into) == (0, 0)
    better = alternative(X, y, others, labels, 0.5 * own + 0.5 * labels, seed=0)
    assert better.auc_gain.low > 0
    assert better.auc.value == pytest.approx(roc_auc_score(labels, own))


def test_same_rows_same_scorecard():
    X, y = loans(800, 2)
    first, second = (scorecard(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
