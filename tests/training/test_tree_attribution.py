"""Attributions of trees: SHAP's interventional values and the plain definition are the references."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import shap
from scipy.special import expit

from data_contracts.errors import BundleError, TrainingError
from training.boosted import BoostedClassifier
from training.tree_attribution import TreeAttribution


def applicants(n: int, n_features: int, seed: int) -> np.ndarray:
    """Whole numbers, so that splits repeat, and missing values."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-4, 5, (n, n_features)) / 2
    X[rng.random(X.shape) < 0.2] = np.nan
    return X


def boosted(X: np.ndarray, seed: int = 0, **params: object) -> BoostedClassifier:
    risk = np.nan_to_num(X[:, 0]) * np.nan_to_num(X[:, -1], nan=1.0) + np.isnan(X[:, 1]) + np.nan_to_num(X[:, 0])
    y = np.random.default_rng(seed).random(len(X)) < expit(risk)
    given = {"n_estimators": 25, "learning_rate": 0.3, "min_child_weight": 1, "max_depth": 4, "n_seeds": 2}
    return BoostedClassifier(**{**given, "early_stopping_rounds": 0, "random_state": seed, **params}).fit(X, y)


def by_shap(model: BoostedClassifier, background: np.ndarray, X: np.ndarray) -> np.ndarray:
    known = shap.TreeExplainer(
        model.booster_, background.astype(np.float32), feature_perturbation="interventional", model_output="raw"
    )
    return known.shap_values(X.astype(np.float32))


@pytest.mark.filterwarnings("ignore::training.boosted.NoSplitWarning")
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("n_features", "params"),
    [
        (2, {"max_depth": 5}),  # paths ask the same feature again and again
        (6, {"max_depth": 3}),
        (6, {"max_depth": 5, "monotone": {"x0": 1, "x3": -1}}),
        (5, {"max_depth": 7, "n_estimators": 8, "gamma": 0.2}),  # trees of uneven depth
        (3, {"max_depth": 1}),
        (4, {"n_estimators": 2, "min_child_weight": 1e6}),  # trees without a split
    ],
)
@pytest.mark.parametrize("most_shares", [16_000_000, 60, 0])
def test_equals_shap_against_the_background(seed, n_features, params, most_shares):
    X = applicants(400, n_features, seed)
    model = boosted(X, seed, **params)
    trees = TreeAttribution.of(model, X[:40], most_shares=most_shares)
    assert trees.tables.shares.size <= most_shares
    assert (trees.leaves.value.size == 0) == (most_shares > 60 or trees.splits.feature.size == 0)
    np.testing.assert_allclose(trees.shares(X[100:180]), by_shap(model, X[:40], X[100:180]), atol=2e-7)


@pytest.mark.parametrize("most_shares", [16_000_000, 0])
def test_equals_the_plain_definition(most_shares):
    X = applicants(200, 3, 3)
    model, background, rows = boosted(X, max_depth=3), X[:5], X[50:60]
    found = TreeAttribution.of(model, background, most_shares=most_shares)
    by_hand = np.zeros_like(rows)
    for order in permutations(range(3)):  # mean gain over all orders in which features are taken from the applicant
        for known in background:
            mixed = np.tile(known, (len(rows), 1))
            for feature in order:
                before = model.log_odds(mixed)
                mixed[:, feature] = rows[:, feature]
                by_hand[:, feature] += (model.log_odds(mixed) - before) / 6 / len(background)
    np.testing.assert_allclose(found.shares(rows), by_hand, atol=1e-6)
    assert found.base == pytest.approx(model.log_odds(background).mean(), abs=1e-12)


def test_base_and_shares_are_the_log_odds():
    X = applicants(500, 5, 4)
    model = boosted(X)
    trees = TreeAttribution.of(model, X[:30])
    np.testing.assert_allclose(trees.base + trees.shares(X).sum(axis=1), model.log_odds(X), atol=1e-6)
    np.testing.assert_allclose(trees.shares(X[:30]).mean(axis=0), 0, atol=1e-7)


def test_against_one_applicant_the_same_features_move_nothing():
    X = applicants(300, 4, 5)
    model = boosted(X)
    trees = TreeAttribution.of(model, X[7:8])
    same = np.isclose(X, X[7], rtol=0, atol=0, equal_nan=True)
    assert np.abs(trees.shares(X)[same]).max() == 0
    np.testing.assert_allclose(trees.base + trees.shares(X).sum(axis=1), model.log_odds(X), atol=1e-6)


def test_values_are_compared_in_single_precision():
    X = np.repeat([0.1, 0.3], 50)[:, None]
    model = BoostedClassifier(n_estimators=1, max_depth=1, min_child_weight=0, early_stopping_rounds=0, n_seeds=1)
    model.fit(X, X[:, 0] > 0.2)
    trees = TreeAttribution.of(model, X)
    edge = float(trees.splits.threshold[0])
    near = np.array([[np.nextafter(edge, -1)], [np.nextafter(np.float32(edge), np.float32(-1))], [edge], [1e300]])
    assert len(set(model.log_odds(near))) == 2
    np.testing.assert_allclose(trees.base + trees.shares(near)[:, 0], model.log_odds(near), atol=1e-6)


def test_one_row_alone_gets_what_it_gets_among_many():
    X = applicants(300, 5, 6)
    trees = TreeAttribution.of(boosted(X), X[:20], most_shares=500)
    many = trees.shares(X)
    for row in (0, 63, 64, 299):
        np.testing.assert_array_equal(trees.shares(X[row : row + 1])[0], many[row])


def test_is_kept_without_pickle(tmp_path: Path):
    X = applicants(200, 4, 7)
    trees = TreeAttribution.of(boosted(X), X[:20], most_shares=500)
    trees.save(tmp_path / "trees.safetensors")
    again = TreeAttribution.load(tmp_path / "trees.safetensors")
    assert again.base == trees.base
    np.testing.assert_array_equal(again.shares(X), trees.shares(X))
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "trees.safetensors").read_bytes()
    (tmp_path / "trees.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError, match=r"trees\.safetensors of a bundle cannot be read"):
        TreeAttribution.load(tmp_path / "trees.safetensors")


def test_a_background_is_needed():
    X = applicants(100, 3, 8)
    with pytest.raises(TrainingError, match="at least one row"):
        TreeAttribution.of(boosted(X), X[:0])
