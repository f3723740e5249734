"""Attributions: they add up to the calibrated log-odds, and each part's shares agree with a reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone

from evaluation.attribution import Explainer, explain
from evaluation.sequence_attribution import MONTHS
from features.sequences import EventSequences
from training.boosted import BoostedClassifier
from training.calibration import BetaCalibrator, IsotonicCalibrator, PlattCalibrator
from training.hybrid import HybridClassifier
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier
from training.tree_attribution import TreeAttribution

TREES = BoostedClassifier(n_estimators=15, learning_rate=0.3, min_child_weight=1, n_seeds=2, early_stopping_rounds=0)
NET = TabularNetClassifier(k=2, d_block=16, n_bins=4, batch_size=64, learning_rate=0.02, max_epochs=8, n_seeds=2)
EVENTS = SequenceNetClassifier(hidden=8, batch_size=64, learning_rate=0.02, max_epochs=6)


def histories(n: int, n_sources: int, seed: int = 0, length: int = 10) -> EventSequences:
    rng = np.random.default_rng(seed)
    used = np.arange(length) >= length - rng.integers(0, length + 1, n)[:, None]
    source = np.where(used, rng.integers(1, n_sources + 1, (n, length)), 0)
    values = np.where(used[..., None], rng.normal(2, 1, (n, length, 3)), 0).astype(np.float32)
    names = tuple(f"source {k}" for k in range(n_sources))
    return EventSequences(source, source, values, names, names)


@pytest.fixture(scope="module")
def loans():
    rng = np.random.default_rng(1)
    events = histories(600, 3)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=["utilisation", "dpd", "noise"]).assign(constant=1.0)
    X.loc[rng.random(600) < 0.3, "dpd"] = np.nan
    risk = X["utilisation"] + X["dpd"].fillna(1.0) + 0.8 * (events.source == 2).sum(axis=1) - 2
    return X, (rng.random(600) < expit(risk)).astype(int), events


@pytest.fixture(scope="module")
def model(loans):
    X, y, events = loans
    return HybridClassifier(boosted=TREES, tabular_net=NET, sequence_net=EVENTS, n_folds=2).fit(X, y, sequences=events)


@pytest.mark.parametrize(
    "calibrator",
    [
        PlattCalibrator(0.7, -0.2),
        BetaCalibrator(0.5, 1.5, 0.1),
        IsotonicCalibrator((-3.0, -1.0, 0.5, 2.0), (-2.5, -1.5, -0.4, 3.0)),
    ],
)
def test_base_and_shares_are_the_calibrated_log_odds(loans, model, calibrator):
    X, _, events = loans
    assert set(model.parts_) == {"boosted", "tabular_net", "sequence_net"}
    model.calibrator_ = calibrator
    found = explain(model, X, events, X.iloc[:60], events.take(np.arange(60)))
    assert (found.features.shape, found.sequences.shape, found.sources) == ((600, 4), (600, 3), events.sources)
    total = found.base + found.features.sum(axis=1) + found.sequences.sum(axis=1)
    np.testing.assert_allclose(total, model.decision_function(X, events), atol=1e-9, rtol=0)
    np.testing.assert_allclose(found.log_odds, model.decision_function(X, events), atol=1e-9, rtol=0)
    assert found.additivity_error < 1e-9
    assert 0 < found.completeness_error < 1.5  # of one whose shares are near 0


def test_shares_are_against_the_background(loans, model):
    X, _, events = loans
    model.calibrator_ = PlattCalibrator(1.0, 0.0)
    known, past = X.iloc[:60], events.take(np.arange(60))
    found = explain(model, known, past, known, past)
    assert found.base == pytest.approx(model.decision_function(known, past).mean(), abs=1e-9)
    np.testing.assert_allclose(found.features.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(found.sequences.mean(axis=0), 0, atol=1e-9)


def test_what_carries_risk_gets_the_shares(loans, model):
    X, _, events = loans
    found = explain(model, X, events, X.iloc[:100], events.take(np.arange(100)))
    size = np.abs(found.features).mean(axis=0)
    assert size[0] > 3 * size[2]
    np.testing.assert_allclose(found.features[:, 3], 0, atol=1e-12)
    assert np.corrcoef(found.features[:, 0], X["utilisation"])[0, 1] > 0.8
    assert np.abs(found.sequences).mean(axis=0).argmax() == 1


def test_one_applicant_alone_is_explained_as_in_a_batch(loans, model):
    X, _, events = loans
    known, past = X.iloc[:60], events.take(np.arange(60))
    batch = explain(model, X, events, known, past)
    for k in (0, 17, 300):
        alone = explain(model, X.iloc[[k]], events.take([k]), known, past)
        np.testing.assert_allclose(alone.features[0], batch.features[k], atol=1e-9)
        np.testing.assert_allclose(alone.sequences[0], batch.sequences[k], atol=1e-9)


def test_another_background_or_a_new_fit_is_noticed(loans):
    X, y, _ = loans
    model = HybridClassifier(boosted=TREES, tabular_net=None, n_folds=2).fit(X, y)
    risky, safe = X[X["utilisation"] > 0.5], X[X["utilisation"] < -0.5]
    assert explain(model, X, None, risky, None).base > explain(model, X, None, safe, None).base + 0.5
    before = explain(model, X, None, safe, None).base
    assert explain(model.fit(X, 1 - y), X, None, safe, None).base == pytest.approx(-before, abs=0.7)
    assert explain(model, X, None, safe, None).additivity_error < 1e-9


def test_shares_at_the_base_itself_keep_their_slope(loans, model):
    X, _, events = loans
    model.calibrator_ = BetaCalibrator(0.5, 0.5, 0.0)
    found = explain(model, X.iloc[[5]], events.take([5]), X.iloc[[5]], events.take([5]))
    assert found.additivity_error < 1e-12
    assert np.isfinite(found.features).all()


def test_tables_of_other_trees_are_seen_by_their_residual(loans):
    X, y, _ = loans
    model = HybridClassifier(boosted=TREES, tabular_net=None, n_folds=2).fit(X, y)
    known = X.iloc[:60]
    for trained, low, high in ((model.parts_["boosted"], 0, 1e-5), (clone(TREES).fit(X, 1 - y), 0.5, np.inf)):
        found = Explainer(model, known, None, TreeAttribution.of(trained, known))(X)
        assert low <= found.completeness_error <= high
        assert found.additivity_error < 1e-9


def test_months_of_events_sum_to_the_shares_of_their_sources(loans, model):
    X, _, events = loans
    explainer = Explainer(model, X.iloc[:30], events.take(np.arange(30)))
    some, past = X.iloc[100:110], events.take(np.arange(100, 110))
    months = explainer.by_month(some, past, orders=2)
    assert months.shape == (10, 3, MONTHS)
    np.testing.assert_allclose(months.sum(axis=2), explainer(some, past).sequences, atol=1e-12)
    np.testing.assert_array_equal(months, explainer.by_month(some, past, orders=2))


def test_sequences_are_asked_for(loans, model):
    X, _, events = loans
    with pytest.raises(ValueError, match="give those of the background"):
        Explainer(model, X.iloc[:30], None)
    explainer = Explainer(model, X.iloc[:30], events.take(np.arange(30)))
    with pytest.raises(ValueError, match="trained with sequences of events"):
        explainer(X)
    trees = HybridClassifier(boosted=TREES, tabular_net=None, n_folds=2).fit(X, loans[1])
    with pytest.raises(ValueError, match="has no sequence net"):
        Explainer(trees, X.iloc[:30], None).by_month(X, events)
