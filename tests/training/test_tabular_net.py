"""The tabular net: it follows scikit-learn, treats missing values and odd columns well, and survives a save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from data_contracts.errors import BundleError, TrainingError
from training.tabular_net import QuantileNormalizer, TabularNetClassifier

FAST = {"k": 2, "d_block": 16, "n_bins": 4, "batch_size": 32, "learning_rate": 0.02, "max_epochs": 8, "dropout": 0.0}


WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "rows that stand twice also stand in other batches and ranks"
}


@parametrize_with_checks([TabularNetClassifier(**FAST)], expected_failed_checks=lambda net: WEIGHTS)
def test_follows_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def loans():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(500, 2)), columns=["utilisation", "dpd"])
    bad = rng.random(500) < 1 / (1 + np.exp(-3 * X["utilisation"] * X["dpd"]))
    return X.assign(constant=4.0, empty=np.nan), bad.astype(int).to_numpy()


def test_normal_scores_are_middle_ranks():
    # sorted 1 2 2 5: the middle ranks are 1/8, 1/2, 7/8; missing stays missing and counts for nothing
    normal = QuantileNormalizer.learn(np.array([[5.0], [2.0], [np.nan], [2.0], [1.0]]))
    scores = normal.transform(np.array([[1.0], [2.0], [5.0], [3.5], [99.0], [-99.0], [np.nan]])).ravel()
    high = norm.ppf(7 / 8)
    np.testing.assert_allclose(scores, [-high, 0, high, high / 2, high, -high, np.nan], atol=1e-12)


def test_one_row_takes_the_same_way_as_many():
    X = np.random.default_rng(0).normal(size=(300, 5)).round(1)
    X[::7, 2] = np.nan
    normal = QuantileNormalizer.learn(X, knots=16)
    np.testing.assert_array_equal(np.vstack([normal.transform(row[None]) for row in X]), normal.transform(X))


def test_finds_an_interaction_and_ignores_columns_that_never_vary(loans):
    X, y = loans
    net = TabularNetClassifier(**{**FAST, "max_epochs": 30}).fit(X, y)
    assert net.columns_ == [0, 1]
    assert roc_auc_score(y, net.log_odds(X)) > 0.75
    np.testing.assert_array_equal(net.log_odds(X.assign(constant=-1.0, empty=7.0)), net.log_odds(X))


def test_what_is_missing_is_learnt():
    rng = np.random.default_rng(1)
    known = rng.random(600) < 0.5
    X = np.where(known, 1.0, np.nan)[:, None]  # a constant where known: only its absence tells
    y = (rng.random(600) < np.where(known, 0.2, 0.8)).astype(int)
    low, high = TabularNetClassifier(**{**FAST, "max_epochs": 30}).fit(X, y).predict_proba([[1.0], [np.nan]])[:, 1]
    assert low == pytest.approx(0.2, abs=0.12)
    assert high == pytest.approx(0.8, abs=0.12)


def test_a_value_missing_for_the_first_time_counts_as_the_middle(loans):
    X, y = loans
    net = TabularNetClassifier(**FAST).fit(X, y)
    row = X.iloc[[0]].assign(dpd=np.nan)
    middle = X.iloc[[0]].assign(dpd=np.interp(0.0, net.normalizer_.scores[:, 1], net.normalizer_.values[:, 1]))
    # The middle is not a number of single precision, to which values are rounded.
    assert net.log_odds(row) == pytest.approx(net.log_odds(middle), abs=1e-6)


def test_one_row_alone_and_in_a_batch_agree(loans):
    X, y = loans
    net = TabularNetClassifier(**FAST, n_seeds=2).fit(X, y)
    alone = [net.log_odds(X.iloc[[k]])[0] for k in range(50)]
    np.testing.assert_allclose(alone, net.log_odds(X)[:50], atol=1e-12, rtol=0)


def test_same_seed_same_net_and_the_caller_keeps_its_random_state(loans):
    X, y = loans
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    first = TabularNetClassifier(**FAST).fit(X, y).log_odds(X)
    assert torch.equal(torch.rand(1), wanted)
    np.testing.assert_array_equal(first, TabularNetClassifier(**FAST).fit(X, y).log_odds(X))
    assert np.abs(first - TabularNetClassifier(**FAST, random_state=1).fit(X, y).log_odds(X)).max() > 1e-3


def test_saves_without_pickle_and_scores_the_same(loans, tmp_path: Path):
    X, y = loans
    net = TabularNetClassifier(**FAST).fit(X, y)
    net.save(tmp_path)
    np.testing.assert_array_equal(TabularNetClassifier.load(tmp_path).log_odds(X), net.log_odds(X))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    (tmp_path / "tabular_net_0.safetensors").write_bytes(b"broken")
    with pytest.raises(BundleError, match=r"tabular_net_0\.safetensors"):
        TabularNetClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((10, 1)), np.zeros(10), "all 10 rows are of one class"),
        (pd.DataFrame({"amount": [1.0, -np.inf] * 5}), np.arange(10) % 2, "infinity in amount"),
    ],
)
def test_data_that_cannot_carry_a_model(X, y, message):
    with pytest.raises(TrainingError, match=message):
        TabularNetClassifier(**FAST).fit(X, y)


def test_nothing_varies_and_ten_rows():
    net = TabularNetClassifier(**FAST).fit(np.full((10, 2), np.nan), [0, 1] * 5)
    assert np.isfinite(net.log_odds(np.array([[1.0, np.nan]]))).all()


def test_last_bits_of_a_value_do_not_matter() -> None:
    value = 0.1 + 0.2
    beside = np.nextafter(value, 1.0)
    rows = np.array([[value], [beside], [value], [beside], [0.0], [1.0]])
    normal = QuantileNormalizer.learn(rows)
    assert normal.transform(np.array([[value]])) == normal.transform(np.array([[beside]]))


def test_scoring_by_table_is_the_net(loans):
    X, y = loans
    rows = X.assign(count=np.arange(len(X)) % 3, constant=1.0).to_numpy()
    rows[::5, 1] = np.nan
    net = TabularNetClassifier(**{**FAST, "n_seeds": 2}).fit(rows, y)
    rows[:3] = np.array([[np.nan], [1e30], [-1e30]])
    with torch.inference_mode():
        scores = torch.as_tensor(net.normalizer_.transform(rows[:, net.columns_]))
        wanted = np.mean([module(scores).squeeze(-1).mean(dim=1).numpy() for module in net.nets_], axis=0)
    np.testing.assert_allclose(net.log_odds(rows), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("params", [{}, {"n_blocks": 1}, {"n_blocks": 3, "k": 5, "n_seeds": 2}])
@pytest.mark.parametrize("rows", [1, 64, 65, 1200])
def test_each_member_with_weights_of_its_own_is_the_net(rows, params):
    # where training saw every value, the table of embeddings is exact
    X = np.random.default_rng(0).integers(0, 5, (1200, 3)).astype(float)
    X[::5, 1] = np.nan
    net = TabularNetClassifier(**{**FAST, "max_epochs": 1, **params}).fit(X, np.arange(1200) % 2)
    with torch.inference_mode():
        scores = torch.as_tensor(net.normalizer_.transform(X[:rows][:, net.columns_]))
        wanted = np.mean([module(scores).squeeze(-1).mean(dim=1).numpy() for module in net.nets_], axis=0)
    np.testing.assert_allclose(net.log_odds(X[:rows]), wanted, atol=1e-12, rtol=0)
