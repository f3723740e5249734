"""Shares of features in the tabular net's log-odds: expected gradients against the background.

The share of a feature is how far its embedding lies from that of a background row, times the net's slope at a point on
the way from that row to the applicant, averaged over the background and the ways (Erion et al. 2021). It agrees with
the Shapley value against the background as far as features interact in pairs.

Taken literally, every explanation would carry the slope at every point back through the net's widest layer. Instead
the background is put into a few clusters that are alike in what that layer makes of them: slopes are added up within a
cluster and multiplied with the distance from the cluster's mean embedding. What that leaves out, how slopes and
embeddings vary together within a cluster, is taken as its mean over the background, which is known: the shares of the
background's own rows are 0 on average. Rank correlation with sampled Shapley values is 0.999 for the 436 features of
the simulated lender and 0.993 for Taiwan's 23, where every row by itself gives the same; `evaluation.fidelity` measures
it for any bundle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from training.estimator import Floats, residual, spread
from training.net import threads
from training.tabular_net import TabularNetClassifier

_CLUSTERS = 4
_POINTS = 50
_ROWS_AT_ONCE = 8  # what these rows need stays in the cache
_GOLDEN = (5**0.5 - 1) / 2


class TabularNetAttribution:
    """Explains a tabular net against a background.

    Parameters
    ----------
    net : TabularNetClassifier
        Fitted.
    background : DataFrame or ndarray, shape (n, n_features)
        Rows with which an applicant is compared, NaN = missing.

    Attributes
    ----------
    net : TabularNetClassifier
    background : DataFrame or ndarray
        As given.
    base : float
        Mean log-odds of the background.
    """

    def __init__(self, net: TabularNetClassifier, background: Any) -> None:
        self.net = net
        self.background = background
        log_odds = net.log_odds(background)
        self.base = float(log_odds.mean())
        self._ways = [_Ways(one, known) for one, known in zip(net.nets_, net.embedded(background), strict=True)]
        split = self._split(background)
        self._mean = split.mean(axis=0)
        self._mean_of_spread = spread(split - self._mean, log_odds - self.base).mean(axis=0)

    def shares(self, X: Any, log_odds: Floats) -> tuple[Floats, float]:
        """Split the net's log-odds.

        Parameters
        ----------
        X : DataFrame or ndarray, shape (n, n_features)
            The applicants.
        log_odds : ndarray, shape (n,)
            The net's own of them.

        Returns
        -------
        shares : ndarray, shape (n, n_features)
            Their sum and the base give the log-odds.
        error : float
            Largest residual before it was spread over the shares, relative to the sum of their sizes.
        """
        split, total = self._split(X) - self._mean, log_odds - self.base
        shares = np.zeros((len(split), self.net.n_features_in_))
        shares[:, self.net.columns_] = spread(split, total) - self._mean_of_spread
        return shares, residual(split, total)

    def _split(self, X: Any) -> Floats:
        """Shares of the features that the net uses, mean over its seeds."""
        with torch.inference_mode(), threads(self.net.n_jobs):
            each = [
                np.concatenate([ways.split(some) for some in torch.split(embedded, _ROWS_AT_ONCE)])
                for ways, embedded in zip(self._ways, self.net.embedded(X), strict=True)
            ]
        split: Floats = np.mean(each, axis=0)
        return split


class _Ways:
    """One TabM, and the points on the ways from the background to any applicant at which its slope is taken."""

    def __init__(self, net: Any, background: Tensor) -> None:
        self._view = net.ensemble_view
        self._first, *self._later = (block[0] for block in net.backbone.blocks)
        self._out = net.output.weight.squeeze(-1) / net.output.weight.shape[0]
        begin = self._stem(background)
        clusters = _clusters(begin.flatten(1).numpy())
        numbers = [-(-_POINTS * len(rows) // len(background)) for rows in clusters]
        chosen = [rows[np.arange(number) * len(rows) // number] for rows, number in zip(clusters, numbers, strict=True)]
        self._begin = begin[torch.as_tensor(np.concatenate(chosen))]
        # Multiples of the golden ratio lie evenly between 0 and 1 however many one takes: in each cluster, too.
        self._along = torch.as_tensor((0.5 + _GOLDEN * np.arange(sum(numbers))) % 1.0)[:, None, None]
        each = np.array([len(rows) / number for rows, number in zip(clusters, numbers, strict=True)]) / len(background)
        self._weight = torch.as_tensor(np.diag(each).repeat(numbers, axis=1))
        self._middle = torch.stack([background[torch.as_tensor(rows)].mean(dim=0) for rows in clusters])

    def split(self, embedded: Tensor) -> Floats:
        """Shares of some applicants, shape (n, n_used), from their embedded features, shape (n, n_used, d)."""
        reached = self._stem(embedded)[:, None]
        slope = self._slope((self._begin + self._along * (reached - self._begin)).flatten(0, 1))
        slopes = torch.einsum("cp,npkh->nckh", self._weight, slope.view(len(embedded), -1, *slope.shape[1:]))
        # The first layer is linear: what a slope says of the embedding is its transpose, in each of the k members.
        moved = ((slopes * self._first.s) @ self._first.weight * self._first.r).sum(dim=2)
        distance = embedded[:, None] - self._middle
        split: Floats = (distance * moved.view_as(distance)).sum(dim=(1, 3)).numpy()
        return split

    def _stem(self, embedded: Tensor) -> Tensor:
        """What the first layer makes of embedded features: shape (n, members, width)."""
        hidden: Tensor = self._first(self._view(embedded.flatten(1)))
        return hidden

    def _slope(self, hidden: Tensor) -> Tensor:
        """Slope of the members' mean logit by what the first layer made, of the same shape (n, members, width).

        Written out, as it takes half the time of automatic differentiation: what comes after is rectified layers.
        """
        passed = [hidden > 0]
        for layer in self._later:
            hidden = layer(hidden.relu())
            passed.append(hidden > 0)
        slope: Tensor = self._out * passed[-1]
        for layer, through in zip(reversed(self._later), reversed(passed[:-1]), strict=True):
            slope = ((slope * layer.s) @ layer.weight).mul_(layer.r).mul_(through)
        return slope


def _clusters(rows: Floats) -> list[npt.NDArray[np.int64]]:
    """Put rows that are alike into at most four clusters, each given by the numbers of its rows.

    >>> [len(cluster) for cluster in _clusters(np.arange(12.0)[:, None] // 3)]
    [3, 3, 3, 3]
    """
    if len(rows) == 1:
        return [np.arange(1)]
    label = fcluster(linkage(rows, "ward"), _CLUSTERS, "maxclust")
    return [np.flatnonzero(label == one) for one in np.unique(label)]
