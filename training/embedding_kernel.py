"""From raw values to the tabular net's embeddings in one pass, for scoring: a loop compiled by Numba.

The rank map and the embedding behind it are both straight lines between the same knots, so together they are one table
of embeddings by knot and a line between two of its entries.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from features.kernel import compiled

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@partial(compiled, nogil=True, error_model="numpy")
def embed(
    X: Floats, columns: Integers, n_known: Integers, knots: Floats, table: Floats, missing: Floats, out: Floats
) -> None:
    """Fill `out`, shape (n, n_used, d), from raw values X, shape (n, n_features), NaN = missing.

    Parameters
    ----------
    X : ndarray of float64
        They count to single precision.
    columns : ndarray, shape (n_used,)
        Which of the features are used.
    n_known : ndarray, shape (n_used,)
        Number of known values of each.
    knots : ndarray, shape (n_used, n_knots)
        Those values, rising, padded at the end by the last.
    table : ndarray, shape (n_used, n_knots, d)
        Embedding at each knot.
    missing : ndarray, shape (n_used, d)
        Embedding of a missing value.
    """
    for row in range(X.shape[0]):
        for used in range(columns.shape[0]):
            x = np.float64(np.float32(X[row, columns[used]]))
            if np.isnan(x):
                for k in range(table.shape[2]):
                    out[row, used, k] = missing[used, k]
                continue
            below = 0
            for k in range(n_known[used]):  # side by side they are compared faster than a search halves them
                below += 1 if knots[used, k] < x else 0
            right = max(below, 1) if below < n_known[used] else knots.shape[1] - 1
            start, width = knots[used, right - 1], knots[used, right] - knots[used, right - 1]
            share = (x - start) / width if width > 0.0 else x - start
            share = min(max(share, 0.0), 1.0)
            for k in range(table.shape[2]):
                begin = table[used, right - 1, k]
                out[row, used, k] = begin + share * (table[used, right, k] - begin)
