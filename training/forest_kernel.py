"""XGBoost's answer without XGBoost's way to it, for scoring: a walk down all trees, compiled by Numba.

XGBoost spends a tenth of a millisecond before it comes to the first tree. What is compared and added here is the same
single precision in the same order, so the answer is the same to the last bit.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xgboost

from features.kernel import compiled

Nodes = npt.NDArray[np.int32]

_ROWS_AT_ONCE = 64  # what these rows need stays in the cache
_LARGEST = 3.4028234663852886e38  # in single precision


class Forest(NamedTuple):
    """The nodes of all trees, one tree after the other."""

    roots: Nodes  # (n_trees,)
    depths: Nodes  # (n_trees,)
    children: Nodes  # (n_nodes, 2): left, right; a leaf is its own child
    feature: Nodes  # (n_nodes,)
    value: npt.NDArray[np.float32]  # (n_nodes,): what is below it goes left; of a leaf its log-odds
    missing_left: npt.NDArray[np.bool_]  # (n_nodes,)
    base: np.float32  # log-odds before the first tree


def forest_of(booster: xgboost.Booster) -> Forest:
    """The trees of a booster for two classes, without categorical splits.

    Fields are those of XGBoost's model schema (doc/model.schema).
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    sizes = [len(tree["left_children"]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])

    def nodes(name: str, kind: Any) -> Any:
        return np.concatenate([np.asarray(tree[name], dtype=kind) for tree in trees])

    children = np.stack([nodes("left_children", np.int32), nodes("right_children", np.int32)], axis=1)
    leaf = children[:, 0] < 0
    children = np.where(leaf[:, None], np.arange(len(leaf))[:, None], children + np.repeat(roots, sizes)[:, None])
    share = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
    return Forest(
        roots=roots.astype(np.int32),
        depths=_depths(roots, children, leaf, np.repeat(np.arange(len(trees)), sizes)),
        children=children.astype(np.int32),
        feature=nodes("split_indices", np.int32),
        value=nodes("split_conditions", np.float32),
        missing_left=nodes("default_left", np.bool_),
        base=np.float32(-math.log(np.float32(1.0) / share - np.float32(1.0))),
    )


def _depths(roots: Any, children: Any, leaf: Any, tree: Any) -> Nodes:
    """Steps from the root of each tree to its deepest leaf."""
    depths, depth = np.zeros(len(roots), dtype=np.int32), 0
    level = roots[~leaf[roots]]
    while len(level):
        depth += 1
        depths[tree[level]] = depth
        below = children[level].ravel()
        level = below[~leaf[below]]
    return depths


@partial(compiled, nogil=True, error_model="numpy")
def walk(forest: Any, X: Any, answers: Any) -> None:
    """Fill `answers`, float32 of shape (n,), with log-odds.

    Parameters
    ----------
    forest : Forest
        From `forest_of`.
    X : ndarray of float64, shape (n, n_features)
        NaN = missing; a number beyond single precision counts as the largest one in it.
    """
    values = np.empty((_ROWS_AT_ONCE, X.shape[1]), dtype=np.float32)
    nodes = np.empty(_ROWS_AT_ONCE, dtype=np.int32)
    for start in range(0, X.shape[0], _ROWS_AT_ONCE):
        n = min(_ROWS_AT_ONCE, X.shape[0] - start)
        sums = answers[start : start + n]
        sums[:] = forest.base
        for row in range(n):
            for feature in range(X.shape[1]):
                x = X[start + row, feature]
                values[row, feature] = np.float32(math.copysign(_LARGEST, x) if abs(x) > _LARGEST else x)
        for tree in range(forest.roots.shape[0]):
            nodes[:n] = forest.roots[tree]
            # All rows take a step together and none asks whether it has arrived: there is nothing to guess wrongly.
            for _ in range(forest.depths[tree]):
                for row in range(n):
                    node = nodes[row]
                    x = values[row, forest.feature[node]]
                    left = (x < forest.value[node]) | (forest.missing_left[node] & math.isnan(x))
                    nodes[row] = forest.children[node, 1 - np.int64(left)]
            for row in range(n):
                sums[row] += forest.value[nodes[row]]
