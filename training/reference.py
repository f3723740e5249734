"""What the features and the score looked like in training: what monitoring later compares with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import BundleError

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SCORE = "score"


@dataclass(frozen=True)
class Distribution:
    """Histogram of one feature (or of the score) over the training rows.

    Bin k holds `edges[k - 1] < value <= edges[k]`, open at both ends; the last bin holds the missing values.

    Parameters
    ----------
    name : str
        The feature.
    edges : tuple of float
        Inner cut points, ascending: values of training rows, so that no bin of a count lies between two counts.
    bins : tuple of int
        Training rows in each of the `len(edges) + 1` bins and, last, without a value.
    low, high : float or None
        Training range; None where every value was missing.
    """

    name: str
    edges: tuple[float, ...]
    bins: tuple[int, ...]
    low: float | None
    high: float | None

    @classmethod
    def of(cls, name: str, values: npt.ArrayLike, *, bins: int = 10) -> Distribution:
        """Describe `values` of shape (n,), NaN = missing, by at most `bins` quantile bins and one for missing.

        Examples
        --------
        >>> Distribution.of("inquiry_count_30d", [0, 0, 0, 1, 2, float("nan")])
        Distribution(name='inquiry_count_30d', edges=(0.0, 1.0), bins=(3, 1, 1, 1), low=0.0, high=2.0)
        """
        array = np.asarray(values, dtype=np.float64)
        present = array[np.isfinite(array)]
        if len(present) == 0:
            return cls(name, (), (0, len(array)), None, None)
        low, high = float(present.min()), float(present.max())
        cuts = np.unique(np.quantile(present, np.arange(1, bins) / bins, method="inverted_cdf"))
        edges = tuple(float(cut) for cut in cuts if cut < high)
        if low == high:
            # A constant feature gets empty bins on both sides, or its change would go unseen.
            edges = (float(np.nextafter(low, -np.inf)), low)
        empty = cls(name, edges, (), low, high)
        return cls(name, edges, tuple(int(count) for count in empty.counts(array)), low, high)

    @property
    def n(self) -> int:
        """Training rows, those without a value included."""
        return sum(self.bins)

    @property
    def missing_rate(self) -> float:
        """Share of training rows without a value."""
        return self.bins[-1] / self.n if self.n else 0.0

    @property
    def fractions(self) -> Array:
        """Expected share of rows in each bin, missing last."""
        return np.asarray(self.bins, dtype=np.float64) / max(self.n, 1)

    def counts(self, values: npt.ArrayLike) -> Integers:
        """Rows of `values` in each bin, missing last.

        Examples
        --------
        >>> Distribution("x", (0.0, 1.0), (3, 1, 1, 1), 0.0, 2.0).counts([0.0, 0.5, 9.0, float("nan")]).tolist()
        [1, 1, 1, 1]
        """
        array = np.asarray(values, dtype=np.float64)
        missing = np.isnan(array)
        place = np.searchsorted(np.asarray(self.edges), array, side="left")
        place[missing] = len(self.edges) + 1
        return np.bincount(place, minlength=len(self.edges) + 2).astype(np.int64)

    def outside(self, values: npt.ArrayLike) -> int:
        """Number of values beyond the training range."""
        array = np.asarray(values, dtype=np.float64)
        if self.low is None or self.high is None:
            return int((~np.isnan(array)).sum())
        return int(((array < self.low) | (array > self.high)).sum())


@dataclass(frozen=True)
class Reference:
    """Distributions of every feature and of the score in training; a part of the bundle.

    Examples
    --------
    >>> frame = pd.DataFrame({"age_years": [20.0, 30.0, 40.0]})
    >>> reference = Reference.from_frame(frame, np.array([-3.0, -2.0, -1.0]))
    >>> Reference.from_json(reference.to_json()) == reference
    True
    """

    features: tuple[Distribution, ...]
    score: Distribution

    @classmethod
    def from_frame(cls, features: pd.DataFrame, score: npt.ArrayLike, *, bins: int = 10) -> Reference:
        """Describe the training rows.

        Parameters
        ----------
        features : DataFrame, shape (n, n_features)
            float64, NaN = missing.
        score : array, shape (n,)
            What monitoring will compare: log-odds or points, as long as both sides use the same.
        bins : int, default 10
            At most as many bins a feature, one more for missing values.

        Raises
        ------
        ValueError
            Where there are no rows, or not as many scores as rows.
        """
        scores = np.asarray(score, dtype=np.float64)
        if len(features) == 0 or scores.shape != (len(features),):
            raise ValueError(f"{len(features)} rows of features and scores of shape {scores.shape}: give one a row.")
        described = tuple(
            Distribution.of(str(name), features[name].to_numpy(dtype=np.float64), bins=bins) for name in features
        )
        return cls(described, Distribution.of(SCORE, scores, bins=bins))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in their order."""
        return tuple(feature.name for feature in self.features)

    def to_json(self) -> str:
        """JSON, the same text for the same reference."""
        facts = {"version": 1, "score": _plain(self.score), "features": [_plain(feature) for feature in self.features]}
        return json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """Read what `to_json` has written; `BundleError` where it is something else."""
        try:
            facts = json.loads(text)
            if facts["version"] != 1:
                raise BundleError(
                    f"The reference is of version {facts['version']}, this Lendwell reads 1. Train the bundle again."
                )
            return cls(tuple(_read(feature) for feature in facts["features"]), _read(facts["score"]))
        except (ValueError, KeyError, TypeError) as fault:
            raise BundleError(f"The bundle's reference cannot be read ({fault}); register the bundle again.") from fault


def _plain(distribution: Distribution) -> dict[str, Any]:
    return {
        "name": distribution.name,
        "edges": list(distribution.edges),
        "bins": list(distribution.bins),
        "low": distribution.low,
        "high": distribution.high,
    }


def _read(facts: dict[str, Any]) -> Distribution:
    edges = tuple(float(edge) for edge in facts["edges"])
    bins = tuple(int(count) for count in facts["bins"])
    if len(bins) != len(edges) + 2 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"feature {facts['name']}: {len(bins)} bins and {len(edges)} edges do not fit")
    return Distribution(str(facts["name"]), edges, bins, facts["low"], facts["high"])
