"""Attributions of the tabular net: they sum to its log-odds and agree with plain definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from evaluation.net_attribution import TabularNetAttribution
from training.tabular_net import TabularNetClassifier


@pytest.fixture(scope="module")
def loans():
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(500, 3)), columns=["utilisation", "dpd", "noise"]).assign(constant=1.0)
    X.loc[rng.random(500) < 0.3, "dpd"] = np.nan
    return X, (rng.random(500) < expit(X["utilisation"] + X["dpd"].fillna(1.0) - 0.5)).astype(int)


@pytest.fixture(scope="module", params=[{"n_blocks": 1, "n_seeds": 2}, {"n_blocks": 3}], ids=["wide", "deep"])
def net(loans, request):
    given = {"k": 2, "d_block": 16, "n_bins": 4, "batch_size": 64, "learning_rate": 0.02, "max_epochs": 6}
    return TabularNetClassifier(**given, **request.param).fit(*loans)


def test_base_and_shares_are_the_log_odds(loans, net):
    X, known = loans[0], loans[0].iloc[:60]
    explained = TabularNetAttribution(net, known)
    shares, _ = explained.shares(X, net.log_odds(X))
    assert explained.base == pytest.approx(net.log_odds(known).mean(), abs=1e-12)
    np.testing.assert_allclose(explained.base + shares.sum(axis=1), net.log_odds(X), atol=1e-12)
    np.testing.assert_allclose(shares[:60].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(shares[:, 3], 0)  # the constant is not even in the net


def test_one_alone_is_explained_as_in_a_batch(loans, net):
    X = loans[0].iloc[:30]
    explained = TabularNetAttribution(net, X)
    batch, _ = explained.shares(X, net.log_odds(X))
    for k in (0, 9, 29):
        alone, _ = explained.shares(X.iloc[[k]], net.log_odds(X.iloc[[k]]))
        np.testing.assert_allclose(alone[0], batch[k], atol=1e-10)


def test_agrees_with_shapley_values_by_definition(loans, net):
    X, known = loans[0].iloc[100:130], loans[0].iloc[:25]
    shares, _ = TabularNetAttribution(net, known).shares(X, net.log_odds(X))
    by_hand = np.zeros((len(X), 4))
    rows = X.to_numpy()
    for row in known.to_numpy():
        for order in permutations(range(3)):
            mixed = np.tile(row, (len(rows), 1))
            for feature in order:
                before = net.log_odds(mixed)
                mixed[:, feature] = rows[:, feature]
                by_hand[:, feature] += (net.log_odds(mixed) - before) / 6 / len(known)
    assert np.abs(shares - by_hand).mean() < 0.1 * np.abs(by_hand).mean()
    assert np.corrcoef(shares.ravel(), by_hand.ravel())[0, 1] > 0.98


def test_against_one_row_it_is_the_integral_of_the_gradient(loans, net):
    X, start = loans[0].iloc[:5], loans[0].iloc[[7]]
    shares, _ = TabularNetAttribution(net, start).shares(X, net.log_odds(X))
    by_hand, steps = np.zeros((5, 4)), 2000
    for one, embedded, origin in zip(net.nets_, net.embedded(X), net.embedded(start), strict=True):
        total = torch.zeros_like(embedded)
        for k in range(steps):  # the plain definition: gradients of the whole net at the middle of many steps
            at = (origin + (k + 0.5) / steps * (embedded - origin)).requires_grad_()
            out = one.output(one.backbone(one.ensemble_view(at.flatten(1)))).squeeze(-1).mean(dim=1).sum()
            total += torch.autograd.grad(out, at)[0] / steps
        by_hand[:, net.columns_] += ((embedded - origin) * total).sum(dim=-1).numpy() / len(net.nets_)
    np.testing.assert_allclose(shares, by_hand, atol=0.03)
    assert np.abs(by_hand).max() > 0.5


def test_the_background_s_only_row_has_nothing_to_explain(loans, net):
    start = loans[0].iloc[[7]]
    shares, error = TabularNetAttribution(net, start).shares(start, net.log_odds(start))
    np.testing.assert_allclose(shares, 0, atol=1e-12)
    assert error < 1e-6
