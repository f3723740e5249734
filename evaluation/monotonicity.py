"""Whether the whole model moves in the directions that were declared: each feature varied alone, on real applicants.

Trees keep their monotone constraints by construction; nets in the blend do not. So the promise is tried on the score
that is served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas

from evaluation.metric import Array, Metric
from evaluation.robustness import Score
from evaluation.tables import share

_AT_ONCE = 20_000


@dataclass(frozen=True)
class Monotonicity:
    """How often a feature moves the score against its declared direction.

    Parameters
    ----------
    feature : str
    risk : {1, -1}
        Declared: whether a higher value means more risk, or less.
    steps, violations : int
        Steps along the grid over all applicants, and those against the direction by more than the tolerance.
    applicants : Metric
        Share of applicants with any violation; undefined where the feature has fewer than two values.
    worst : float
        Largest step against the direction, in log-odds; 0 where there is none.
    reach : float
        Mean over applicants of how far the score moves along the whole grid, in log-odds.
    """

    feature: str
    risk: int
    steps: int
    violations: int
    applicants: Metric
    worst: float
    reach: float


def monotonicity(
    score: Score,
    features: pandas.DataFrame,
    directions: Mapping[str, int],
    *,
    applicants: int = 50,
    grid: int = 8,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> list[Monotonicity]:
    """Vary each feature that has a direction over its own quantiles and count steps against the direction.

    Parameters
    ----------
    score : callable
        DataFrame of features to log-odds, higher is riskier. It gets rows under the labels of `features.index`,
        repeated, by which it can find their events.
    features : DataFrame of float64, shape (n, n_features)
        Of applicants, NaN = missing.
    directions : mapping of str to {+1, -1, 0}
        Declared risk by feature; 0 is not tried.
    applicants : int, default 50
        At most as many, drawn by `seed`; the value is set also where an applicant has none.
    grid : int, default 8
        At most as many values: quantiles of those that occur.
    tolerance : float, default 1e-4
        In log-odds; nets work in single precision.

    Returns
    -------
    list of Monotonicity
        In the order of `directions`.

    Examples
    --------
    >>> features = pandas.DataFrame({"inquiry_count_30d": [0.0, 1.0, 2.0]})
    >>> (found,) = monotonicity(lambda frame: frame["inquiry_count_30d"] % 2, features, {"inquiry_count_30d": 1})
    >>> found.steps, found.violations, found.applicants.value, found.worst
    (6, 3, 1.0, 1.0)
    """
    absent = [name for name in directions if name not in features]
    if absent:
        raise ValueError(f"There is no feature {absent[0]!r} among the {features.shape[1]} given.")
    rng = np.random.default_rng(seed)
    chosen = features.iloc[np.sort(rng.permutation(len(features))[:applicants])]
    tried = {name: risk for name, risk in directions.items() if risk}
    grids = {name: _grid(features[name], grid) for name in tried}
    scores = dict(_scores(score, chosen, {name: values for name, values in grids.items() if len(values) > 1}))
    return [_counted(name, risk, scores.get(name), tolerance) for name, risk in tried.items()]


def _grid(feature: pandas.Series, size: int) -> Array:
    present = feature.dropna().to_numpy(dtype=np.float64)
    if not len(present):
        return present
    return np.unique(np.quantile(present, np.linspace(0, 1, size), method="inverted_cdf"))


def _scores(score: Score, chosen: pandas.DataFrame, grids: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Score of each applicant at each value, shape (applicants, values), by feature; many features in one call."""
    waiting: list[str] = []
    for name in grids:
        waiting.append(name)
        rows = len(chosen) * sum(len(grids[one]) for one in waiting)
        if rows >= _AT_ONCE or name == list(grids)[-1]:
            yield from _scored(score, chosen, {one: grids[one] for one in waiting})
            waiting = []


def _scored(score: Score, chosen: pandas.DataFrame, grids: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    frames = []
    for name, values in grids.items():
        rows = chosen.iloc[np.repeat(np.arange(len(chosen)), len(values))]
        frames.append(rows.assign(**{name: np.tile(values, len(chosen))}))
    answered = np.asarray(score(pandas.concat(frames)), dtype=np.float64)
    ends = np.cumsum([len(frame) for frame in frames])
    for (name, values), part in zip(grids.items(), np.split(answered, ends[:-1]), strict=True):
        yield name, part.reshape(len(chosen), len(values))


def _counted(name: str, risk: int, scores: Array | None, tolerance: float) -> Monotonicity:
    if scores is None or not len(scores):
        few = ("fewer than two values", "取值不足两个")
        return Monotonicity(name, risk, 0, 0, Metric(None, None, None, 0, *few), 0.0, 0.0)
    against = -risk * np.diff(scores, axis=1)
    wrong = against > tolerance
    return Monotonicity(
        feature=name,
        risk=risk,
        steps=wrong.size,
        violations=int(wrong.sum()),
        applicants=share(int(wrong.any(axis=1).sum()), len(scores)),
        worst=max(0.0, float(against.max())),
        reach=float(np.abs(scores[:, -1] - scores[:, 0]).mean()),
    )
