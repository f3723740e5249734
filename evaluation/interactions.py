"""Which features the trees look at together: SHAP interaction values of pairs (Lundberg et al. 2020).

What a pair of features adds beyond what each adds by itself. The trees alone have them; a net's are not computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from training.boosted import BoostedClassifier

ROWS, PAIRS = 60, 10
_AT_ONCE = 10
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two features, how much they add together on average, and how much in each row.

    Parameters
    ----------
    first, second : str
    mean_abs : float
        Mean absolute interaction, in log-odds of the hybrid before calibration.
    values : ndarray, shape (n,)
        The interaction in each row.
    """

    first: str
    second: str
    mean_abs: float
    values: Array


@dataclass(frozen=True)
class Interactions:
    """The strongest pairs of the trees.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        Positions of the rows that were looked at.
    pairs : tuple of Pair
        Strongest first.
    share : float
        Share of interactions in the sum of the absolute main effects and interactions of all features.
    """

    rows: npt.NDArray[np.int64]
    pairs: tuple[Pair, ...]
    share: float


def interactions(
    trees: BoostedClassifier, weight: float, X: pd.DataFrame, *, rows: int = ROWS, pairs: int = PAIRS
) -> Interactions:
    """SHAP interaction values of the trees on some rows, as the hybrid weighs the trees.

    Parameters
    ----------
    trees : BoostedClassifier
        Fitted.
    weight : float
        Of the trees in the hybrid.
    X : DataFrame, shape (n, n_features)
        The applicants; every so many of them are looked at, as the cost grows with the square of the features.
    rows, pairs : int
        How many rows to look at, and how many pairs to keep.
    """
    at = np.unique(np.linspace(0, len(X) - 1, min(rows, len(X))).astype(np.int64)) if len(X) else np.arange(0)
    values = [weight * _values(trees, X.iloc[some]) for some in np.array_split(at, -(-len(at) // _AT_ONCE) or 1)]
    size = np.zeros((X.shape[1], X.shape[1]))
    for some in values:
        size += np.abs(some).sum(axis=0)
    size /= max(len(at), 1)
    # A pair's effect is halved between its two places.
    upper = np.triu(2 * size, 1)
    order = np.argsort(-upper, axis=None, kind="stable")[:pairs]
    chosen = [divmod(int(place), X.shape[1]) for place in order if upper.flat[place] > 0]
    names = [str(name) for name in X.columns]
    found = tuple(
        Pair(names[i], names[j], float(upper[i, j]), 2 * np.concatenate([some[:, i, j] for some in values]))
        for i, j in chosen
    )
    both, alone = float(upper.sum()), float(np.trace(size))
    return Interactions(at, found, both / (both + alone) if both + alone else 0.0)


def _values(trees: BoostedClassifier, X: pd.DataFrame) -> Array:
    """Interaction values of some rows, shape (n, n_features, n_features); main effects lie on the diagonal."""
    if not len(X):
        return np.zeros((0, X.shape[1], X.shape[1]))
    largest = float(np.finfo(np.float32).max)
    rows = np.clip(X.to_numpy(dtype=np.float64), -largest, largest).astype(np.float32)
    found = trees.booster_.predict(xgboost.DMatrix(rows, nthread=1), pred_interactions=True)
    return np.asarray(found[:, :-1, :-1], dtype=np.float64)
