from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.interactions import interactions
from training.boosted import BoostedClassifier

TREES = {
    "n_estimators": 30,
    "learning_rate": 0.3,
    "min_child_weight": 1,
    "n_seeds": 1,
    "early_stopping_rounds": 0,
    "colsample_bytree": 1.0,
}


@pytest.fixture(scope="module")
def loans():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1500, 4)), columns=["a", "b", "c", "d"])
    risk = 3 * np.sign(X["a"]) * np.sign(X["c"]) + X["a"] / 2 + X["b"]  # a and c matter above all together
    return X, (rng.random(1500) < 1 / (1 + np.exp(-risk))).astype(int)


def test_the_pair_that_acts_together_is_found(loans):
    X, y = loans
    trees = BoostedClassifier(max_depth=3, **TREES).fit(X, y)
    found = interactions(trees, 1.0, X, rows=50)
    assert {found.pairs[0].first, found.pairs[0].second} == {"a", "c"}
    assert found.pairs[0].mean_abs > 4 * found.pairs[1].mean_abs
    assert len(found.rows) == len(found.pairs[0].values) == 50
    assert found.pairs[0].mean_abs == pytest.approx(np.abs(found.pairs[0].values).mean())
    assert 0.3 < found.share < 1


def test_interactions_and_main_effects_are_the_contributions(loans):
    """Summed over its partners, what a feature adds is its SHAP value, here without the weight."""
    X, y = loans
    trees = BoostedClassifier(max_depth=2, **TREES).fit(X[["a", "c"]], y)
    (pair,) = interactions(trees, 0.5, X[["a", "c"]], rows=1500).pairs
    whole = trees.booster_.predict(_matrix(X[["a", "c"]]), pred_contribs=True)
    inside = trees.booster_.predict(_matrix(X[["a", "c"]]), pred_interactions=True)
    main = inside[:, 0, 0]
    np.testing.assert_allclose(0.5 * (whole[:, 0] - main), pair.values / 2, atol=1e-5)


def _matrix(X):
    import xgboost

    return xgboost.DMatrix(X.to_numpy(np.float32))


def test_stumps_have_none(loans):
    X, y = loans
    trees = BoostedClassifier(max_depth=1, **TREES).fit(X, y)
    found = interactions(trees, 1.0, X, rows=20)
    assert found.pairs == ()
    assert found.share == pytest.approx(0, abs=1e-6)


def test_no_rows_no_pairs(loans):
    X, y = loans
    trees = BoostedClassifier(max_depth=2, **TREES).fit(X, y)
    found = interactions(trees, 1.0, X.iloc[:0])
    assert (found.pairs, len(found.rows), found.share) == ((), 0, 0.0)
