"""From raw values to the tabular net's embeddings in one pass, for scoring: a loop compiled by Numba.

The rank map and the embedding behind it are both straight lines between the same knots, so together they are one table
of embeddings by knot and a line between two of its entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kernel import compiled

Floats = npt.NDArray[np.float64]


@compiled
def embed(X: Floats, knots: Floats, table: Floats, missing: Floats, out: Floats) -> None:
    """Fill `out`, shape (n, n_features, d), from raw values X, shape (n, n_features), NaN = missing.

    Parameters
    ----------
    X : ndarray of float64
        Values rounded to single precision.
    knots : ndarray, shape (n_features, n_knots)
        Known values of each feature, rising, padded at the end by the last.
    table : ndarray, shape (n_features, n_knots, d)
        Embedding at each knot.
    missing : ndarray, shape (n_features, d)
        Embedding of a missing value.
    """
    last = knots.shape[1] - 1
    for row in range(X.shape[0]):
        for feature in range(X.shape[1]):
            x = X[row, feature]
            if np.isnan(x):
                for k in range(table.shape[2]):
                    out[row, feature, k] = missing[feature, k]
                continue
            low, high = 0, last + 1
            while low < high:  # the first knot that is not below x
                middle = (low + high) // 2
                if knots[feature, middle] < x:
                    low = middle + 1
                else:
                    high = middle
            right = min(max(low, 1), last)
            start, width = knots[feature, right - 1], knots[feature, right] - knots[feature, right - 1]
            share = (x - start) / width if width > 0.0 else x - start
            share = min(max(share, 0.0), 1.0)
            for k in range(table.shape[2]):
                begin = table[feature, right - 1, k]
                out[row, feature, k] = begin + share * (table[feature, right, k] - begin)
