"""Interventional Shapley values of trees: loops compiled by Numba.

A leaf's path asks conditions of a few features, its players. An applicant misses some of them, a background row misses
others. Where both miss the same player the leaf is out of reach for every mixture of the two and moves nothing.
Otherwise a mixture reaches the leaf when it takes from the applicant every player that the background row misses, and
from the background row every player that the applicant misses: a game of two camps, whose Shapley values are known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from features.kernel import compiled

_ROWS_AT_ONCE = 64  # what these rows need stays in the cache while a tree is asked


class Splits(NamedTuple):
    """Splits of all trees, tree by tree: `start[t]` is the first of tree t."""

    start: Any
    feature: Any
    threshold: Any
    missing_left: Any


class Leaves(NamedTuple):
    """Leaves with the conditions of their paths, and what the background misses of them.

    `tree_start[t]` is the first leaf of tree t. Leaf l has the value `value[l]`, the conditions
    `condition_start[l]:condition_start[l + 1]` (split within its tree, whether to go left, player) and the players
    `player_start[l]:player_start[l + 1]` (the feature of each).
    """

    tree_start: Any
    value: Any
    condition_start: Any
    split: Any
    left: Any
    player: Any
    player_start: Any
    feature: Any


class Missed(NamedTuple):
    """What background rows miss: for leaf l the sets of players `start[l]:start[l + 1]` as bits, with their shares."""

    start: Any
    players: Any
    share: Any


class Tables(NamedTuple):
    """Groups of neighbouring leaves, each with its shares by pattern of decisions.

    `tree_start[t]` is the first group of tree t. Group g asks the splits `split_start[g]:split_start[g + 1]` of its
    tree, moves the features `feature_start[g]:feature_start[g + 1]`, and its table begins at `start[g]`.
    """

    tree_start: Any
    split_start: Any
    split: Any
    feature_start: Any
    feature: Any
    start: Any
    shares: Any


@compiled
def missed_by(X: Any, splits: Splits, leaves: Leaves) -> Any:
    """What the background rows X miss of every leaf's path, as the arrays of `Missed`."""
    n, end = X.shape[0], 0
    start = np.zeros(leaves.value.shape[0] + 1, dtype=np.int64)
    players = np.empty(leaves.value.shape[0] * n, dtype=np.int64)
    share = np.empty(leaves.value.shape[0] * n)
    seen = np.empty(n, dtype=np.int64)
    for tree in range(splits.start.shape[0] - 1):
        first, last = splits.start[tree], splits.start[tree + 1]
        decisions = np.empty((n, last - first), dtype=np.uint8)
        for row in range(n):
            _decide(X, row, splits.feature, splits.threshold, splits.missing_left, first, last, decisions[row])
        for leaf in range(leaves.tree_start[tree], leaves.tree_start[tree + 1]):
            for row in range(n):
                seen[row] = _misses(leaf, decisions[row], leaves)
            seen.sort()
            for row in range(n):
                if row == 0 or seen[row] != seen[row - 1]:
                    players[end], share[end] = seen[row], 0.0
                    end += 1
                share[end - 1] += 1.0 / n
            start[leaf + 1] = end
    return start, players[:end].copy(), share[:end].copy()


@compiled
def fill(
    tables: Tables, group_leaves: Any, splits: Splits, leaves: Leaves, missed: Missed, weights: Any, out: Any
) -> None:
    """Fill the shares of every group: group g holds the leaves `group_leaves[g]:group_leaves[g + 1]`.

    `out`, shape (n_features,), is zero before and after.
    """
    decisions = np.empty(np.diff(splits.start).max(), dtype=np.uint8)
    for group in range(tables.start.shape[0]):
        asked = tables.split[tables.split_start[group] : tables.split_start[group + 1]]
        features = tables.feature[tables.feature_start[group] : tables.feature_start[group + 1]]
        at = tables.start[group]
        for pattern in range(1 << asked.shape[0]):
            for bit in range(asked.shape[0]):
                decisions[asked[bit]] = (pattern >> bit) & 1
            for leaf in range(group_leaves[group], group_leaves[group + 1]):
                _add_leaf(leaf, decisions, leaves, missed, weights, out)
            for feature in features:
                tables.shares[at] = out[feature]
                out[feature] = 0.0
                at += 1


@compiled
def add_shares(X: Any, splits: Splits, tables: Tables, leaves: Leaves, missed: Missed, weights: Any, out: Any) -> None:
    """Add to `out`, shape (n, n_features), what each feature of X, float32 of that shape, moves."""
    # Named one by one: a field that is read within the loops is counted there at each reading, which takes longer
    # than all the rest.
    split_start, feature, threshold, missing_left = splits
    tree_start, asked_start, asked, moved_start, moved, line_start, shares = tables
    decisions = np.empty(np.diff(split_start).max(), dtype=np.uint8)
    for block in range(0, X.shape[0], _ROWS_AT_ONCE):
        for tree in range(split_start.shape[0] - 1):
            first, last = split_start[tree], split_start[tree + 1]
            for row in range(block, min(block + _ROWS_AT_ONCE, X.shape[0])):
                _decide(X, row, feature, threshold, missing_left, first, last, decisions)
                for group in range(tree_start[tree], tree_start[tree + 1]):
                    pattern = _pattern(asked, asked_start[group], asked_start[group + 1], decisions)
                    first_moved, number = moved_start[group], moved_start[group + 1] - moved_start[group]
                    line = line_start[group] + pattern * number
                    for at in range(number):
                        out[row, moved[first_moved + at]] += shares[line + at]
                if leaves.value.shape[0]:
                    for leaf in range(leaves.tree_start[tree], leaves.tree_start[tree + 1]):
                        _add_leaf(leaf, decisions, leaves, missed, weights, out[row])


@compiled
def _decide(
    X: Any, row: Any, feature: Any, threshold: Any, missing_left: Any, first: Any, last: Any, decisions: Any
) -> None:
    """1 for every split at which the row goes left, 0 for right; in single precision, as XGBoost compares."""
    for split in range(first, last):
        value = X[row, feature[split]]
        decisions[split - first] = np.uint8(value < threshold[split]) | (np.uint8(value != value) & missing_left[split])


@compiled
def _pattern(asked: Any, first: Any, last: Any, decisions: Any) -> Any:
    """Decisions at some splits as the bits of a number."""
    pattern, bit = np.uint64(0), np.uint64(0)
    for at in range(first, last):
        pattern |= np.uint64(decisions[asked[at]]) << bit
        bit += np.uint64(1)
    return np.int64(pattern)


@compiled
def _misses(leaf: Any, decisions: Any, leaves: Leaves) -> Any:
    """The players whose conditions a row misses, as bits."""
    players = 0
    for at in range(leaves.condition_start[leaf], leaves.condition_start[leaf + 1]):
        if decisions[leaves.split[at]] != leaves.left[at]:
            players |= 1 << leaves.player[at]
    return players


@compiled
def _add_leaf(leaf: Any, decisions: Any, leaves: Leaves, missed: Missed, weights: Any, out: Any) -> None:
    """Add a leaf's Shapley values; `weights[a, b]` is that of one of a camp of a against a camp of b."""
    feature, first, last = leaves.feature, leaves.player_start[leaf], leaves.player_start[leaf + 1]
    players, share, leaf_value = missed.players, missed.share, leaves.value[leaf]
    own = _misses(leaf, decisions, leaves)
    against, lost = _number(own), 0.0
    for at in range(missed.start[leaf], missed.start[leaf + 1]):
        others = players[at]
        if own & others:
            continue
        helping, value = _number(others), leaf_value * share[at]
        lost += value * weights[against, helping]
        won = value * weights[helping, against]
        for player in range(last - first):
            if (others >> player) & 1:
                out[feature[first + player]] += won
    for player in range(last - first):
        if (own >> player) & 1:
            out[feature[first + player]] -= lost


@compiled
def _number(players: Any) -> Any:
    """How many players a set of bits holds."""
    number = 0
    while players:
        players &= players - 1
        number += 1
    return number
