"""Slices of applicants: where a feature, or two, lie in an interval or have a level; counted all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metric import Array, Integers
from training.reference import Distribution

_LEVELS = 12


@dataclass(frozen=True)
class Condition:
    """What a feature must be: `low < value <= high`, missing, or a level.

    Parameters
    ----------
    feature : str
    low, high : float or None
        None is open; both None with no level mean missing.
    level : str or None
        Of a feature of words.

    Examples
    --------
    >>> str(Condition("age_years", 20.0, None)), str(Condition("age_years")), str(Condition("product", level="cash"))
    ('age_years > 20', 'age_years missing', 'product = cash')
    """

    feature: str
    low: float | None = None
    high: float | None = None
    level: str | None = None

    def __str__(self) -> str:
        if self.level is not None:
            return f"{self.feature} = {self.level}"
        if self.low is None and self.high is None:
            return f"{self.feature} missing"
        if self.low is None:
            return f"{self.feature} <= {self.high:g}"
        return (
            f"{self.feature} > {self.low:g}" if self.high is None else f"{self.low:g} < {self.feature} <= {self.high:g}"
        )

    def holds(self, features: pandas.DataFrame) -> npt.NDArray[np.bool_]:
        """Which rows meet it."""
        column = features[self.feature]
        if self.level is not None:
            return np.asarray(column.notna() & (column.astype("str") == self.level), dtype=bool)
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if self.low is None and self.high is None:
            return np.asarray(np.isnan(values))
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        return np.asarray((values > low) & (values <= high))


@dataclass(frozen=True)
class Cut:
    """A feature cut into cells, and the slices that are made of them.

    Parameters
    ----------
    code : array of int, shape (n,)
        Cell of each row.
    made_of : array of 0 and 1, shape (n_slices, n_cells)
    conditions : sequence of Condition
        One a slice.
    """

    code: Integers
    made_of: Array
    conditions: Sequence[Condition]


def cut(feature: pandas.Series, bins: int) -> Cut | None:
    """Cut a feature at its quantiles, missing apart, into every interval of neighbouring bins; or into its levels.

    None where all rows are alike. Of a feature of words, the most frequent levels become slices.

    Examples
    --------
    >>> found = cut(pandas.Series([1.0, 1.0, 2.0, 3.0, None], name="x"), bins=3)
    >>> [str(condition) for condition in found.conditions]
    ['x <= 1', 'x <= 2', '1 < x <= 2', 'x > 1', 'x > 2', 'x missing']
    """
    name = str(feature.name)
    if not (pandas.api.types.is_numeric_dtype(feature) or pandas.api.types.is_bool_dtype(feature)):
        return _cut_levels(feature, name)
    values = feature.to_numpy(dtype=np.float64, na_value=np.nan)
    edges = [edge for edge in Distribution.of(name, values, bins=bins).edges if (values > edge).any()]
    edges = [edge for edge in edges if (values <= edge).any()]
    missing, cells = np.isnan(values), len(edges) + 2
    code = np.searchsorted(np.asarray(edges), values, side="left").astype(np.int64)
    code[missing] = cells - 1
    bounds = [None, *edges, None]
    made_of, conditions = [], []
    for start in range(cells - 1):
        for end in range(start + 1, cells):
            if (start, end) != (0, cells - 1):
                made_of.append([float(start <= cell < end) for cell in range(cells)])
                conditions.append(Condition(name, bounds[start], bounds[end]))
    if missing.any() and not missing.all():
        made_of.append([float(cell == cells - 1) for cell in range(cells)])
        conditions.append(Condition(name))
    return Cut(code, np.array(made_of), conditions) if conditions else None


def _cut_levels(feature: pandas.Series, name: str) -> Cut | None:
    words = feature.astype("str").where(feature.notna())
    levels = words.value_counts().index[:_LEVELS]
    if len(levels) < 2 and not (len(levels) and feature.isna().any()):
        return None
    code = levels.get_indexer(pandas.Index(words)).astype(np.int64)
    code[code < 0] = len(levels)
    return Cut(code, np.eye(len(levels), len(levels) + 1), [Condition(name, level=str(level)) for level in levels])
