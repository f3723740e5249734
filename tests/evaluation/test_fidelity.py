"""The audit of the nets' attributions: its reference is the plain definition, and it notices what is wrong."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.special import expit

from evaluation.attribution import Explainer
from evaluation.fidelity import audit, walk_features, walk_sources
from features.sequences import EventSequences
from training.hybrid import HybridClassifier
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

NET = TabularNetClassifier(k=2, d_block=16, n_bins=4, batch_size=64, learning_rate=0.02, max_epochs=6, n_seeds=2)
EVENTS = SequenceNetClassifier(hidden=8, batch_size=64, learning_rate=0.02, max_epochs=4)


@pytest.fixture(scope="module")
def loans():
    """Six features and events of three sources; two features, their product and a source carry the risk."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 6))
    X[rng.random(500) < 0.2, 1] = np.nan
    X[:, 5] = 0.0
    source = rng.integers(0, 4, (500, 8))
    source.sort(axis=1)
    values = rng.normal(2, 1, (500, 8, 3)).astype(np.float32) * (source > 0)[..., None]
    events = EventSequences(source, source, values, ("a", "b", "c"), ("a", "b", "c"))
    risk = X[:, 0] + np.nan_to_num(X[:, 1], nan=1.0) * (1 + X[:, 2]) + (source == 2).sum(axis=1) - 2
    return X, (rng.random(500) < expit(risk)).astype(int), events


@pytest.fixture(scope="module")
def explainer(loans):
    X, y, events = loans
    model = HybridClassifier(boosted=None, tabular_net=NET, sequence_net=EVENTS, n_folds=2).fit(X, y, sequences=events)
    return Explainer(model, X[:40], events.take(np.arange(40)))


def test_walks_give_shapley_values_by_definition(loans, explainer):
    X, known, net = loans[0][100:106], loans[0][:8], explainer.model.parts_["tabular_net"]
    by_hand = np.zeros((6, 6))
    orders = list(permutations(range(5)))
    for row in known:
        for order in orders:
            mixed = np.tile(row, (len(X), 1))
            before = net.log_odds(mixed)
            for feature in order:
                mixed[:, feature] = X[:, feature]
                after = net.log_odds(mixed)
                by_hand[:, feature] += (after - before) / len(orders) / len(known)
                before = after
    walked = walk_features(net, X, known, orders=1600, seed=0)
    np.testing.assert_allclose(walked.mean(axis=0), by_hand, atol=0.05 * np.abs(by_hand).max())
    np.testing.assert_allclose(walked.sum(axis=2), np.tile(by_hand.sum(axis=1), (2, 1)), atol=1e-5)


def test_walks_of_sources_add_up(loans, explainer):
    events, net = loans[2].take(np.arange(30)), explainer.model.parts_["sequence_net"]
    walked = walk_sources(net, events, orders=50, seed=0)
    nothing = net.log_odds(EventSequences(*(np.zeros_like(a[:1]) for a in (events.source, events.kind, events.values)),
                                          events.sources, events.kinds))  # fmt: skip
    np.testing.assert_allclose(nothing + walked.sum(axis=2), np.tile(net.log_odds(events), (2, 1)), atol=1e-9)


def test_the_nets_attributions_pass(loans, explainer):
    X, _, events = loans
    found = audit(explainer, X, events, orders=200)
    assert [(one.part, one.rows, one.walks) for one in found] == [("tabular_net", 50, 400), ("sequence_net", 50, 8000)]
    for one in found:
        assert one.passed
        assert 0.8 < one.rank_correlation_low <= one.rank_correlation <= 1
        assert one.error < 0.15
        assert one.reference_rank_correlation > 0.9


def test_attributions_of_another_net_do_not(loans, explainer):
    X, y, events = loans
    other = HybridClassifier(boosted=None, tabular_net=NET, sequence_net=EVENTS, n_folds=2)
    other.fit(X[:, [2, 1, 0, 3, 4, 5]], y, sequences=events)
    wrong = Explainer(other, X[:40], events.take(np.arange(40)))
    wrong.parts["tabular_net"].net = explainer.model.parts_["tabular_net"]
    assert not audit(wrong, X, events)[0].passed
