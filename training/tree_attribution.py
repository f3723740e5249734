"""Trees explained exactly against a background: interventional Shapley values, computed once and looked up afterwards.

What a leaf contributes depends on the applicant only by which splits of its path went left. So for each group of
neighbouring leaves a table [pattern of decisions][feature] holds the contributions, averaged over the background, and
an explanation adds up one line of each table.

A group under d splits has up to 2^(d + 1) lines, so tables of deep trees would be large. The smallest come first, as
long as all together stay within a budget: 64 MB, which holds thousands of trees of depth 5 and hundreds of depth 7.
Leaves beyond it are computed at each explanation by the loop that fills the tables: exact as well, but slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from data_contracts.errors import BundleError
from training.boosted import BoostedClassifier, single
from training.estimator import FitError, Floats
from training.tree_groups import leaves_of, splits_of, tables_of, trees_of
from training.tree_kernel import Leaves, Missed, Splits, Tables, add_shares, fill, missed_by

MOST_SHARES = 16_000_000
_DEEPEST = 60  # players of a path are the bits of an int64


@dataclass(frozen=True)
class TreeAttribution:
    """Tables of a boosted part against a background.

    Parameters
    ----------
    base : float
        Mean log-odds of the background.
    splits : Splits
    tables : Tables
    leaves : Leaves
        Those that have no table.
    missed : Missed
        What the background misses of their paths.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> model = BoostedClassifier(min_child_weight=1, n_seeds=1).fit(X, X[:, 0] > 19)
    >>> trees = TreeAttribution.of(model, X)
    >>> bool(np.abs(trees.base + trees.shares(X).sum(axis=1) - model.log_odds(X)).max() < 1e-6)
    True
    """

    base: float
    splits: Splits
    tables: Tables
    leaves: Leaves
    missed: Missed

    @classmethod
    def of(cls, model: BoostedClassifier, background: Any, *, most_shares: int = MOST_SHARES) -> TreeAttribution:
        """Compute the tables.

        Parameters
        ----------
        model : BoostedClassifier
            Fitted.
        background : DataFrame or ndarray, shape (n, n_features)
            Rows with which an applicant is compared, NaN = missing.
        most_shares : int
            Numbers of 4 bytes that the tables may hold together.

        Raises
        ------
        FitError
            A tree is deeper than 60 splits, or the background has no rows.
        """
        rows = single(np.asarray(background, dtype=np.float64))
        if not len(rows):
            raise FitError("trees are explained against a background; give it at least one row")
        base = float(model.log_odds(background).mean())
        trees = trees_of(model.forest_)
        longest = max(len(group.splits) for tree in trees for group in tree.groups)
        if longest > _DEEPEST:
            raise FitError(f"a tree of depth {longest} cannot be explained; max_depth must be below {_DEEPEST}")
        within = iter(_within([group.size for tree in trees for group in tree.groups], most_shares))
        tabled = [[(group, next(within)) for group in tree.groups] for tree in trees]
        splits = splits_of(trees)
        tables, group_leaves = tables_of([[group for group, has in own if has] for own in tabled])
        grouped, others = (leaves_of(trees, [[g for g, has in own if has == one] for own in tabled]) for one in (1, 0))
        missed = Missed(*missed_by(rows, splits, grouped))
        fill(tables, group_leaves, splits, grouped, missed, _WEIGHTS, np.zeros(rows.shape[1]))
        return cls(base, splits, tables, others, Missed(*missed_by(rows, splits, others)))

    def shares(self, X: Floats) -> Floats:
        """What each feature adds to the base.

        Parameters
        ----------
        X : ndarray of float64, shape (n, n_features)
            Applicants, NaN = missing.

        Returns
        -------
        ndarray, shape (n, n_features)
            Their sum and the base are the log-odds, to the rounding of single precision in which XGBoost adds up.
        """
        shares = np.zeros(X.shape)
        add_shares(single(X), self.splits, self.tables, self.leaves, self.missed, _WEIGHTS, shares)
        return shares

    def save(self, path: Path) -> None:
        """Write all arrays as safetensors."""
        arrays = {"base": np.array([self.base])}
        for name in _ARRAYS:
            arrays |= {f"{name}.{field}": array for field, array in getattr(self, name)._asdict().items()}
        path.write_bytes(save_arrays(arrays))

    @classmethod
    def load(cls, path: Path) -> TreeAttribution:
        """Read what `save` wrote; `BundleError` where it is missing or broken."""
        try:
            arrays = load_arrays(path.read_bytes())
            parts = {
                name: kind(*(arrays[f"{name}.{field}"] for field in kind._fields)) for name, kind in _ARRAYS.items()
            }
            return cls(float(arrays["base"][0]), **parts)
        except Exception as fault:  # safetensors raises its own error, the disk an OSError
            raise BundleError(f"{path.name} of a bundle cannot be read ({fault}); train again") from fault


_ARRAYS: dict[str, Any] = {"splits": Splits, "tables": Tables, "leaves": Leaves, "missed": Missed}


def _within(sizes: list[int], most: int) -> list[bool]:
    """Which of the sizes, the smallest first, stay within `most` together.

    >>> _within([5, 1, 9], 6)
    [True, True, False]
    """
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    total = accumulate(sizes[at] for at in order)
    chosen = {at for at, sum_so_far in zip(order, total, strict=True) if sum_so_far <= most}
    return [at in chosen for at in range(len(sizes))]


def _weights() -> Floats:
    """[a, b]: Shapley value of one of a camp of `a` players who must all join, and all of `b` others stay away."""
    weights = np.zeros((_DEEPEST + 1, _DEEPEST + 1))
    for a in range(1, _DEEPEST + 1):
        weights[a] = [1 / (a * comb(a + b, a)) for b in range(_DEEPEST + 1)]
    return weights


_WEIGHTS = _weights()
