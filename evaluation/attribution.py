"""Attributions of the whole hybrid that add up: base + features + sequences = calibrated log-odds.

Each part is split by a method that is complete, then its shares are weighted as the blend weighs the part:

* trees: TreeSHAP, exact;
* tabular net: integrated gradients from the background's middle, in the space of the embedded features;
* sequence net: exact Shapley values of the sources of events, where a source that is left out was never recorded.

All shares are then taken against their mean over the background, so that the base is the background's mean log-odds
and a share says what sets this applicant apart from the others, not from an empty history. The calibrator, a rising
map, is carried through by its secant between base and answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import factorial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from features.sequences import EventSequences
from training.boosted import BoostedClassifier
from training.estimator import Floats, spread
from training.hybrid import HybridClassifier
from training.net import threads
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

MOST_PLAYERS = 7
_POINTS = 32
_ROWS_AT_ONCE = 128
_NEAR = 1e-9


@dataclass(frozen=True)
class Attributions:
    """Why each applicant got the score: shares of calibrated log-odds, above 0 raises the PD.

    Parameters
    ----------
    base : float
        Calibrated log-odds of the background's mean.
    features : ndarray, shape (n, n_features)
        Share of each feature, in the order of `model.feature_names_in_`.
    sequences : ndarray, shape (n, n_sources)
        Share of each source of raw events; no columns without a sequence part.
    sources : tuple of str
        What the columns of `sequences` are.
    log_odds : ndarray, shape (n,)
        The calibrated log-odds that were split.
    completeness_error : float
        Largest residual of the integrated gradients, relative to the sum of the absolute shares, before it was spread
        over the shares in proportion; 0 without a tabular net.
    """

    base: float
    features: Floats
    sequences: Floats
    sources: tuple[str, ...]
    log_odds: Floats
    completeness_error: float

    @property
    def additivity_error(self) -> float:
        """Largest absolute difference between base + shares and the log-odds."""
        total = self.base + self.features.sum(axis=1) + self.sequences.sum(axis=1)
        return float(np.abs(total - self.log_odds).max(initial=0.0))


@dataclass(frozen=True)
class _Shares:
    """Shares of the blend before calibration; `base + features.sum(1) + sequences.sum(1)` is the raw log-odds."""

    base: float
    features: Floats
    sequences: Floats
    error: float


@dataclass(frozen=True)
class _Background:
    """What is learnt from the background once per model: the net's starting point and the mean shares."""

    parts: dict[str, Any]
    X: Any
    events: EventSequences | None
    point: Floats | None
    base: float
    features: Floats
    sequences: Floats


_backgrounds: WeakKeyDictionary[HybridClassifier, _Background] = WeakKeyDictionary()


def explain(
    model: HybridClassifier,
    X: Any,
    sequences: EventSequences | None,
    background_X: Any,
    background_sequences: EventSequences | None,
) -> Attributions:
    """Split the calibrated log-odds of each applicant into shares of features and sources of events.

    What follows from the background alone is computed at the first call with it and kept as long as the model is, so
    that later calls for one applicant are fast.

    Parameters
    ----------
    model : HybridClassifier
        Fitted.
    X : DataFrame or ndarray, shape (n, n_features)
        The applicants.
    sequences : EventSequences or None
        Their raw events, when the model has a sequence part.
    background_X, background_sequences
        Typical applicants, as the bundle carries them; some hundred are enough.

    Returns
    -------
    Attributions
        `base + features.sum(1) + sequences.sum(1)` equals `model.decision_function` to 1e-9.
    """
    background = _background(model, background_X, background_sequences)
    shares = _shares(model, X, sequences, background.point)
    features, events = shares.features - background.features, shares.sequences - background.sequences
    moved = features.sum(axis=1) + events.sum(axis=1)
    calibrated = model.calibrator_(background.base + moved)
    base = float(model.calibrator_(np.array([background.base]))[0])
    slope = _secant(model, background.base, moved, calibrated - base)[:, None]
    sources = model.parts_["sequence_net"].sources_ if "sequence_net" in model.parts_ else ()
    return Attributions(base, features * slope, events * slope, tuple(sources), calibrated, shares.error)


def tabular_net_shares(net: TabularNetClassifier, X: Any, point: Floats) -> tuple[float, Floats, float]:
    """Integrated gradients of the tabular net's log-odds, by 32-point Gauss-Legendre quadrature in float64.

    The path is straight in the space of the embedded features, where a missing value is a point like any other. The
    first layer is linear in it, so only what follows is integrated: the answer is the same at a tenth of the cost.

    Parameters
    ----------
    net : TabularNetClassifier
        Fitted.
    X : DataFrame or ndarray, shape (n, n_features)
        The applicants.
    point : ndarray, shape (n_used,)
        Where the path starts, in the net's normalised inputs, NaN = missing.

    Returns
    -------
    base : float
        Log-odds at the point.
    shares : ndarray, shape (n, n_features)
        Their sum and the base give the log-odds.
    error : float
        Largest residual before it was spread, relative to the sum of absolute shares.
    """
    rows, start = torch.as_tensor(net.inputs(X)), torch.as_tensor(point)[None]
    base, shares, error = 0.0, np.zeros((len(rows), net.n_features_in_)), 0.0
    for one in net.nets_:
        with threads(net.n_jobs):
            pieces = [_integrated(one, some, start) for some in torch.split(rows, _ROWS_AT_ONCE)]
        base += pieces[0][0] / len(net.nets_)
        shares[:, net.columns_] += np.concatenate([piece[1] for piece in pieces]) / len(net.nets_)
        error = max(error, *(piece[2] for piece in pieces))
    # Scores come from a table of the embeddings, equal to 1e-7: the attributions are of the score that is answered.
    return base, spread(shares, net.log_odds(X) - base), error


def sequence_net_shares(net: SequenceNetClassifier, sequences: EventSequences) -> tuple[float, Floats]:
    """Exact Shapley values of the sources in the sequence net's log-odds.

    Up to seven sources play for themselves; beyond that the seventh and later ones play together and share what they
    won by their numbers of events.

    Returns
    -------
    base : float
        Log-odds of an empty history.
    shares : ndarray, shape (n, n_sources)
        Their sum and the base give the log-odds.
    """
    n_sources = len(net.sources_)
    players = min(n_sources, MOST_PLAYERS)
    bit = np.concatenate([[0], 1 << np.minimum(np.arange(n_sources), players - 1)])[sequences.source]
    present = np.bitwise_or.reduce(bit, axis=1)
    # A source without events changes nothing, so coalitions that differ only in such sources are answered once.
    asked = np.arange(1 << players)[None] & present[:, None]
    pairs, inverse = np.unique(np.arange(len(bit))[:, None] << players | asked, return_inverse=True)
    rows, coalition = pairs >> players, pairs & ((1 << players) - 1)
    # Pairs are in the order of rows and each row asks for the empty coalition first: with it the whole answers at once.
    answers = np.concatenate(
        [
            net.log_odds(_only(sequences, bit, rows[part], coalition[part]))
            for part in np.array_split(np.arange(len(pairs)), max(1, len(pairs) // 2048))
        ]
    ).reshape(-1)
    won = answers[inverse].reshape(len(bit), -1) @ _shapley_weights(players)
    base = float(answers[0]) if len(answers) else float("nan")
    if n_sources <= MOST_PLAYERS:
        return base, won
    last = np.stack([(sequences.source == k + 1).sum(axis=1) for k in range(players - 1, n_sources)], axis=1)
    part = last / np.maximum(last.sum(axis=1, keepdims=True), 1)
    return base, np.hstack([won[:, :-1], won[:, -1:] * part])


def _background(model: HybridClassifier, X: Any, events: EventSequences | None) -> _Background:
    known = _backgrounds.get(model)
    if known is not None and known.parts is model.parts_ and known.X is X and known.events is events:
        return known
    net = model.parts_.get("tabular_net")
    point = _middle(net.inputs(X)) if isinstance(net, TabularNetClassifier) else None
    shares = _shares(model, X, events, point)
    features, sequences = shares.features.mean(axis=0), shares.sequences.mean(axis=0)
    base = shares.base + float(features.sum() + sequences.sum())
    learnt = _Background(model.parts_, X, events, point, base, features, sequences)
    _backgrounds[model] = learnt
    return learnt


def _shares(model: HybridClassifier, X: Any, sequences: EventSequences | None, point: Floats | None) -> _Shares:
    """Shares of every part, weighted as the blend weighs the parts."""
    n = len(X)
    base, features, events, error = model.intercept_, np.zeros((n, model.n_features_in_)), np.zeros((n, 0)), 0.0
    for name, part in model.parts_.items():
        weight = model.weights_[name]
        if isinstance(part, BoostedClassifier):
            start, split = part.contributions(X)
            features = features + weight * split
        elif isinstance(part, TabularNetClassifier):
            if point is None:
                raise ValueError("the tabular net needs a starting point")
            start, split, error = tabular_net_shares(part, X, point)
            features = features + weight * split
        else:
            if sequences is None:
                raise ValueError("this model was trained with sequences of events; give them, and the background's too")
            start, split = sequence_net_shares(part, sequences)
            events = weight * split
        base += weight * start
    return _Shares(base, features, events, error)


def _middle(inputs: Floats) -> Floats:
    """The median of each normalised feature, missing where most are missing."""
    known = ~np.isnan(inputs)
    often = 2 * known.sum(axis=0) >= len(inputs)
    ordered = np.sort(inputs, axis=0)  # NaN last
    return np.where(often, ordered[np.maximum(known.sum(axis=0) - 1, 0) // 2, np.arange(inputs.shape[1])], np.nan)


def _integrated(net: Any, rows: Tensor, start: Tensor) -> tuple[float, Floats, float]:
    """Base, shares of the used features and residual of one TabM for one chunk of rows."""
    first, after = net.backbone.blocks[0][0], net.backbone.blocks[0][1:]

    def stem(embedded: Tensor) -> Tensor:
        return first(net.ensemble_view(embedded.flatten(1)))  # type: ignore[no-any-return]

    def rest(hidden: Tensor) -> Tensor:
        hidden = after(hidden)
        for block in net.backbone.blocks[1:]:
            hidden = block(hidden)
        return net.output(hidden).squeeze(-1).mean(dim=1)  # type: ignore[no-any-return]

    begin = net.num_module(start)
    embedded = net.num_module(rows).requires_grad_()
    reached, origin = stem(embedded), stem(begin)
    share, weight = _quadrature(_POINTS)
    path = (origin + share[:, None, None, None] * (reached.detach() - origin)).flatten(0, 1).requires_grad_()
    (slope,) = torch.autograd.grad(rest(path).sum(), path)
    mean_slope = torch.einsum("p,pnkh->nkh", weight, slope.reshape(len(share), *reached.shape))
    (gradient,) = torch.autograd.grad(reached, embedded, mean_slope)
    split = ((embedded.detach() - begin) * gradient).sum(dim=-1).numpy()
    base = float(rest(origin))
    total = rest(reached.detach()).numpy() - base
    error = np.abs(total - split.sum(axis=1)) / np.maximum(np.abs(split).sum(axis=1), 1e-6)
    return base, spread(split, total), float(error.max(initial=0.0))


@cache
def _quadrature(points: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre points and weights on [0, 1]."""
    at, weight = np.polynomial.legendre.leggauss(points)
    return torch.as_tensor((at + 1) / 2), torch.as_tensor(weight / 2)


@cache
def _shapley_weights(players: int) -> Floats:
    """Matrix of shape (2**players, players) that turns the values of all coalitions into Shapley values."""
    weights = np.zeros((1 << players, players))
    for player in range(players):
        others = [k for k in range(players) if k != player]
        for size in range(players):
            share = factorial(size) * factorial(players - size - 1) / factorial(players)
            for members in combinations(others, size):
                without = sum(1 << k for k in members)
                weights[without | 1 << player, player] += share
                weights[without, player] -= share
    return weights


def _only(
    sequences: EventSequences, bit: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], coalition: npt.NDArray[np.int64]
) -> EventSequences:
    """The given rows as if only the events of their coalition had been recorded: the others are gone, not blank."""
    kept = (bit[rows] & coalition[:, None]) > 0
    order = np.argsort(kept, axis=1, kind="stable")  # padding first, then what is kept in its order
    kept = np.take_along_axis(kept, order, axis=1)
    at = (rows[:, None], order)
    values = np.where(kept[..., None], sequences.values[at], np.float32(0))
    source, kind = sequences.source[at] * kept, sequences.kind[at] * kept
    return EventSequences(source, kind, values, sequences.sources, sequences.kinds)


def _secant(model: HybridClassifier, base: float, moved: Floats, rise: Floats) -> Floats:
    """Mean slope of the calibrator between the base and each answer; its slope at the base where they coincide."""
    around = model.calibrator_(np.array([base - 1e-3, base + 1e-3]))
    at_base = float(around[1] - around[0]) / 2e-3
    near = np.abs(moved) < _NEAR
    return np.where(near, at_base, rise / np.where(near, 1.0, moved))
