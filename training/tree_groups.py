"""A forest's trees as groups of neighbouring leaves, each with the conditions of its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from training.forest_kernel import Forest
from training.tree_kernel import Leaves, Splits, Tables

_OWN_SPLITS = 3  # four leaves under three splits: one line more to look up costs more than its longer table saves
_Path = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class Leaf:
    """A leaf's value and its path: the tree's splits from the root, and whether each goes left."""

    value: float
    path: _Path


@dataclass(frozen=True)
class Group:
    """Neighbouring leaves, the splits that decide among them (those above first), and the features these ask."""

    splits: tuple[int, ...]
    features: tuple[int, ...]
    leaves: tuple[Leaf, ...]

    @cached_property
    def size(self) -> int:
        """Numbers in its table: a share for each pattern of decisions and feature."""
        return len(self.features) << len(self.splits)


class Tree:
    """One tree of a forest.

    Parameters
    ----------
    nodes : Nodes
        Of the whole forest.
    root : int
        The tree's first node.

    Attributes
    ----------
    features, thresholds, missing_left : list
        Of each split, numbered as met from the root.
    groups : list of Group
        All leaves, from left to right.
    """

    def __init__(self, nodes: _Nodes, root: int) -> None:
        self._children, self._values = nodes.children, nodes.value
        splits = self._splits_below(root)
        self._numbers = {node: number for number, node in enumerate(splits)}
        self.features = [nodes.feature[node] for node in splits]
        self.thresholds = [nodes.value[node] for node in splits]
        self.missing_left = [nodes.missing_left[node] for node in splits]
        self.groups = list(self._groups_below(root, ()))

    def _is_leaf(self, node: int) -> bool:
        return self._children[node][0] == node

    def _splits_below(self, node: int) -> list[int]:
        if self._is_leaf(node):
            return []
        left, right = self._children[node]
        return [node, *self._splits_below(left), *self._splits_below(right)]

    def _leaves_below(self, node: int, path: _Path) -> list[Leaf]:
        if self._is_leaf(node):
            return [Leaf(self._values[node], path)]
        return [leaf for child, further in self._below(node, path) for leaf in self._leaves_below(child, further)]

    def _groups_below(self, node: int, path: _Path) -> Iterator[Group]:
        below = self._splits_below(node)
        if len(below) > _OWN_SPLITS:
            for child, further in self._below(node, path):
                yield from self._groups_below(child, further)
            return
        splits = (*(split for split, _ in path), *(self._numbers[split] for split in below))
        features = tuple(sorted({self.features[split] for split in splits}))
        yield Group(splits, features, tuple(self._leaves_below(node, path)))

    def _below(self, node: int, path: _Path) -> list[tuple[int, _Path]]:
        split, (left, right) = self._numbers[node], self._children[node]
        return [(left, (*path, (split, True))), (right, (*path, (split, False)))]


@dataclass(frozen=True)
class _Nodes:
    """A forest's nodes as lists, which Python walks faster than arrays; a leaf is its own child."""

    children: list[tuple[int, int]]
    feature: list[int]
    value: list[float]
    missing_left: list[bool]


def trees_of(forest: Forest) -> list[Tree]:
    """Every tree of a forest, in its order."""
    arrays = (forest.children, forest.feature, forest.value, forest.missing_left)
    nodes = _Nodes(*(array.tolist() for array in arrays))
    return [Tree(nodes, root) for root in forest.roots.tolist()]


def splits_of(trees: Sequence[Tree]) -> Splits:
    """The splits of all trees."""
    return Splits(
        _starts([len(tree.features) for tree in trees]),
        np.array([feature for tree in trees for feature in tree.features], dtype=np.uint32),
        np.array([threshold for tree in trees for threshold in tree.thresholds], dtype=np.float32),
        np.array([left for tree in trees for left in tree.missing_left], dtype=np.uint8),
    )


def leaves_of(trees: Sequence[Tree], groups: Sequence[Sequence[Group]]) -> Leaves:
    """The leaves of some groups of each tree; conditions of one feature make one player."""
    each = [[leaf for group in own for leaf in group.leaves] for own in groups]
    leaves = [(tree, leaf) for tree, own in zip(trees, each, strict=True) for leaf in own]
    players = [list(dict.fromkeys(tree.features[split] for split, _ in leaf.path)) for tree, leaf in leaves]
    conditions = [
        (split, left, own.index(tree.features[split]))
        for (tree, leaf), own in zip(leaves, players, strict=True)
        for split, left in leaf.path
    ]
    split, left, player = zip(*conditions, strict=True) if conditions else ((), (), ())
    return Leaves(
        _starts([len(own) for own in each]),
        np.array([leaf.value for _, leaf in leaves], dtype=np.float64),
        _starts([len(leaf.path) for _, leaf in leaves]),
        np.array(split, dtype=np.int32),
        np.array(left, dtype=np.uint8),
        np.array(player, dtype=np.int32),
        _starts([len(own) for own in players]),
        np.array([feature for own in players for feature in own], dtype=np.int32),
    )


def tables_of(groups: Sequence[Sequence[Group]]) -> tuple[Tables, npt.NDArray[np.int64]]:
    """Empty tables of some groups of each tree, and where the leaves of each group begin."""
    flat = [group for own in groups for group in own]
    size = _starts([group.size for group in flat])
    tables = Tables(
        _starts([len(own) for own in groups]),
        _starts([len(group.splits) for group in flat]),
        np.array([split for group in flat for split in group.splits], dtype=np.uint32),
        _starts([len(group.features) for group in flat]),
        np.array([feature for group in flat for feature in group.features], dtype=np.uint32),
        size[:-1],
        np.zeros(size[-1], dtype=np.float32),
    )
    return tables, _starts([len(group.leaves) for group in flat])


def _starts(numbers: Sequence[int]) -> npt.NDArray[np.int64]:
    """Where each of several runs begins, and the end of the last.

    >>> _starts([2, 3]).tolist()
    [0, 2, 5]
    """
    return np.array(list(accumulate(numbers, initial=0)), dtype=np.int64)
