"""How faithful the nets' attributions are: compared with Shapley values sampled from the nets themselves.

A walk takes an applicant's values (or sources of events) one after the other in a random order, beginning at a
background row (or at no events), and notes what each adds to the log-odds. The mean over many walks estimates the
Shapley value without knowing how attributions are computed. Each background row is walked from equally often, and each
order also in reverse, so that little of the noise is left; how much is reported.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from evaluation.attribution import Explainer
from evaluation.net_attribution import TabularNetAttribution
from evaluation.sequence_attribution import SequenceNetAttribution, only
from features.sequences import EventSequences
from training.estimator import Floats
from training.net import threads
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

ROWS = 50
LEAST_RANK_CORRELATION = 0.95
_WALKS_OF_SOURCES = 20  # for one of features: there are so few coalitions of sources that each is asked once


@dataclass(frozen=True)
class Fidelity:
    """How the attributions of one net compare with sampled Shapley values.

    Parameters
    ----------
    part : str
        `tabular_net` or `sequence_net`.
    rows, walks : int
        Applicants, and walks for each of them.
    rank_correlation, rank_correlation_low : float
        Spearman's, among the features or sources of an applicant: mean and 5 % quantile over the applicants.
    error : float
        Mean absolute difference, as a share of the mean absolute reference.
    largest_error : float
        Largest absolute difference in the blend's log-odds.
    reference_rank_correlation : float
        Between walks in an order and those in its reverse: where it is low, the reference is noise.
    """

    part: str
    rows: int
    walks: int
    rank_correlation: float
    rank_correlation_low: float
    error: float
    largest_error: float
    reference_rank_correlation: float

    @property
    def passed(self) -> bool:
        """Whether the ranks agree to at least 0.95."""
        return self.rank_correlation >= LEAST_RANK_CORRELATION


def audit(
    explainer: Explainer, X: Any, sequences: EventSequences | None = None, *, orders: int = 100, seed: int = 0
) -> tuple[Fidelity, ...]:
    """Compare the attributions of the nets with sampled Shapley values; trees need no audit, they are exact.

    Parameters
    ----------
    explainer : Explainer
        With the background that both sides are taken against.
    X : DataFrame or ndarray, shape (n, n_features)
        Applicants; 50 of them are drawn.
    sequences : EventSequences or None
        Their events, where the model reads them.
    orders : int, default 100
        For each applicant, each walked forwards and backwards: of the tabular net as many from each background row, at
        least one; of the sequence net twenty times as many.
    seed : int, default 0
        Draws applicants and orders.

    Returns
    -------
    tuple of Fidelity
        One a net that counts in the blend.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(X))[:ROWS])
    rows = np.asarray(X, dtype=np.float64)[drawn]
    found = []
    for name, part in explainer.parts.items():
        times = orders
        if isinstance(part, TabularNetAttribution):
            used, times = part.net.columns_, -(-orders // len(part.background)) * len(part.background)
            given = part.shares(rows, part.net.log_odds(rows))[0][:, used]
            walked = walk_features(part.net, rows, part.background, orders=times, seed=seed)[..., used]
        elif isinstance(part, SequenceNetAttribution) and sequences is not None:
            events = sequences.take(drawn)
            given, times = part.shares(events, part.net.log_odds(events)), _WALKS_OF_SOURCES * orders
            walked = walk_sources(part.net, events, orders=times, seed=seed)
            walked = walked - walk_sources(part.net, part.background, orders=times, seed=seed).mean(axis=1)[:, None]
        else:
            continue
        found.append(_compared(name, given, walked, 2 * times, explainer.model.weights_[name]))
    return tuple(found)


def walk_features(net: TabularNetClassifier, X: Floats, background: Any, *, orders: int, seed: int) -> Floats:
    """What each feature adds to the net's log-odds on walks from background rows to applicants.

    The first layer is linear, so a step changes what it makes by what the feature's own columns make: a walk costs no
    more than the later layers.

    Parameters
    ----------
    net : TabularNetClassifier
    X : ndarray, shape (n, n_features)
        The applicants.
    background : DataFrame or ndarray, shape (n_background, n_features)
        Each row begins equally many walks.
    orders, seed : int
        As in `audit`.

    Returns
    -------
    ndarray, shape (2, n, n_features)
        Means of the walks in the drawn orders and of those in reverse.
    """
    shares = np.zeros((2, len(X), net.n_features_in_))
    pairs = zip(net.nets_, net.embedded(X), net.embedded(background), strict=True)
    with torch.inference_mode(), threads(net.n_jobs):
        for one, applicants, known in pairs:
            single = copy.deepcopy(one).float()  # walks are many, and their noise is far above its rounding
            each = _walked(single, applicants.float(), known.float(), -(-orders // len(known)), seed)
            shares[..., net.columns_] += each / len(net.nets_)
    return shares


def _walked(net: Any, applicants: Tensor, known: Tensor, times: int, seed: int) -> Floats:
    """Mean gains of the features of one TabM, shape (2, n, n_used)."""
    rng, n_used = np.random.default_rng(seed), applicants.shape[1]
    first, *later = (block[0] for block in net.backbone.blocks)

    def made(embedded: Tensor) -> Tensor:
        """What the first layer makes of each feature: (n_used, d) to (n_used, members, width)."""
        weight = first.weight.view(-1, *embedded.shape).permute(1, 2, 0)  # (n_used, d, width)
        by_member = (embedded * first.r.view(-1, *embedded.shape)).transpose(0, 1)  # (n_used, members, d)
        by_feature: Tensor = (by_member @ weight) * first.s
        return by_feature

    def log_odds(hidden: Tensor) -> Tensor:
        for layer in later:
            hidden = layer(hidden.relu())
        return net.output(hidden.relu()).squeeze(-1).mean(dim=1)  # type: ignore[no-any-return]

    gains = np.zeros((2, len(applicants), n_used))
    reached = [made(applicant) for applicant in applicants]
    for row in known:
        begun = made(row)
        origin = begun.sum(dim=0) + first.bias
        for at, end in enumerate(reached):
            for _ in range(times):
                order = rng.permutation(n_used)
                path = torch.cumsum((end - begun)[torch.as_tensor(order)], dim=0)
                path = torch.cat([torch.zeros_like(path[:1]), path])
                back = path[-1] - path.flip(0)
                values = log_odds(torch.cat([path, back]) + origin).double().numpy()
                gains[0, at, order] += np.diff(values[: n_used + 1])
                gains[1, at, order[::-1]] += np.diff(values[n_used + 1 :])
    return gains / (len(known) * times)


def walk_sources(net: SequenceNetClassifier, sequences: EventSequences, *, orders: int, seed: int) -> Floats:
    """What each source of events adds to the net's log-odds on walks from no events to all.

    Returns
    -------
    ndarray, shape (2, n, n_sources)
        Means of the walks in the drawn orders and of those in reverse.
    """
    rng, players = np.random.default_rng(seed), len(net.sources_)
    ahead = np.array([rng.permutation(players) for _ in range(orders)])
    bit = np.concatenate([[0], 1 << np.arange(players)])[sequences.source]
    rows, coalitions = np.divmod(np.arange(len(sequences) << players), 1 << players)
    values = net.log_odds(only(sequences, rows, (bit[rows] & coalitions[:, None]) > 0)).reshape(len(sequences), -1)
    shares = np.zeros((2, len(sequences), players))
    for way, each in enumerate((ahead, ahead[:, ::-1])):
        for order in each:
            joined = np.concatenate([[0], np.cumsum(1 << order)])
            shares[way][:, order] += np.diff(values[:, joined], axis=1) / orders
    return shares


def _compared(part: str, given: Floats, walked: Floats, walks: int, weight: float) -> Fidelity:
    reference = walked.mean(axis=0)
    ranks = _rank_correlations(given, reference)
    return Fidelity(
        part=part,
        rows=len(given),
        walks=walks,
        rank_correlation=float(ranks.mean()),
        rank_correlation_low=float(np.quantile(ranks, 0.05)),
        error=float(np.abs(given - reference).mean() / np.abs(reference).mean()),
        largest_error=float(np.abs(given - reference).max()) * weight,
        reference_rank_correlation=float(_rank_correlations(*walked).mean()),
    )


def _rank_correlations(left: Floats, right: Floats) -> Floats:
    """Spearman's correlation of each row of two matrices; 1 where all are tied, as there is no order to be wrong in.

    >>> _rank_correlations(np.array([[1.0, 2.0, 9.0]]), np.array([[0.0, 5.0, 7.0]])).tolist()
    [1.0]
    """
    one, other = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (left, right))
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    correlations: Floats = np.where(size > 0, (one * other).sum(axis=1) / np.where(size > 0, size, 1.0), 1.0)
    return correlations
