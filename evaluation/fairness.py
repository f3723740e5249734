"""Whether groups of applicants fare alike at the approval cut-off: rates by Fairlearn, intervals by bootstrap.

Being approved is the good outcome, a loan that is repaid the good applicant. So equal opportunity compares the shares
approved among good loans, and false-positive parity those among bad ones. Outcomes are known of granted loans only:
whom the lender refused is not in these figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metric import Array, Integers, Metric, checked_pd
from evaluation.resampling import centred
from evaluation.tables import share

FOUR_FIFTHS = 0.8
"""Below it, an adverse impact ratio counts as evidence of disparate impact (EEOC, 29 CFR 1607.4 D)."""

_AGE_EDGES = (25, 35, 45, 55, 65)
_NOBODY = ("nobody is approved", "无人获批")


@dataclass(frozen=True)
class Group:
    """How one group fares.

    Parameters
    ----------
    name : str
    n, good, bad : int
        Rows, and loans of either outcome.
    approved, good_approved, bad_approved : Metric
        Share approved of all, of good and of bad loans.
    impact : Metric
        `approved` to that of the group approved most; undefined where the group is too small.
    """

    name: str
    n: int
    good: int
    bad: int
    approved: Metric
    good_approved: Metric
    bad_approved: Metric
    impact: Metric


@dataclass(frozen=True)
class Fairness:
    """How the groups of one attribute fare beside each other.

    Parameters
    ----------
    attribute : str
    cutoff : float
        Whose PD is at most so much is approved.
    groups : tuple of Group
    adverse_impact_ratio : Metric
        Lowest share approved to the highest; 1 is parity, see `FOUR_FIFTHS`.
    equal_opportunity_difference, false_positive_difference : Metric
        Highest less lowest share approved among good, and among bad loans; 0 is parity.
    too_small : tuple of str
        Groups left out of the comparison.
    unknown : int
        Rows without the attribute.
    """

    attribute: str
    cutoff: float
    groups: tuple[Group, ...]
    adverse_impact_ratio: Metric
    equal_opportunity_difference: Metric
    false_positive_difference: Metric
    too_small: tuple[str, ...]
    unknown: int


def age_bands(age: pandas.Series, edges: Sequence[int] = _AGE_EDGES) -> pandas.Series:
    """Bands of age in years, in their order; missing stays missing.

    Examples
    --------
    >>> age_bands(pandas.Series([24.9, 25.0, 70.0, None])).tolist()
    ['<25', '25-34', '65+', nan]
    """
    names = [
        f"<{edges[0]}",
        *(f"{low}-{high - 1}" for low, high in pairwise(edges)),
        f"{edges[-1]}+",
    ]
    return pandas.cut(age.astype("float64"), [-np.inf, *edges, np.inf], right=False, labels=names)


def fairness(
    y: npt.ArrayLike,
    pd: npt.ArrayLike,
    attributes: pandas.DataFrame,
    *,
    cutoff: float,
    least_rows: int = 50,
    least_of_outcome: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Fairness]:
    """Compare the groups of each attribute at the cut-off.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    pd : array in [0, 1], shape (n,)
    attributes : DataFrame, shape (n, n_attributes)
        Such as `gender` and `age_bands`; in the order of `y`, the index is ignored.
    cutoff : float
        Highest PD that is approved.
    least_rows, least_of_outcome : int
        A smaller group is told, but not compared; nor is one with fewer good (or bad) loans by their shares.
    resamples, seed : int
        Of the bootstrap within each group.

    Examples
    --------
    >>> attributes = pandas.DataFrame({"gender": ["female"] * 4 + ["male"] * 4})
    >>> pd = [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9, 0.9]
    >>> found = fairness([0, 0, 0, 1] * 2, pd, attributes, cutoff=0.5, least_rows=4, least_of_outcome=1)[0]
    >>> round(found.adverse_impact_ratio.value, 4), round(found.equal_opportunity_difference.value, 4)
    (0.6667, 0.3333)
    """
    label, probability = checked_pd(y, pd)
    if len(attributes) != len(label):
        raise ValueError(f"{len(label)} outcomes but {len(attributes)} rows of attributes: give one a row.")
    approved = probability <= cutoff
    found = []
    for attribute in attributes:
        levels = pandas.Categorical(attributes[attribute])
        groups = _groups(levels, label, approved, least_rows, least_of_outcome)
        drawn = groups.drawn(resamples, np.random.default_rng(seed))
        ratio, opportunity, false_positive = (_headline(groups, drawn, k, levels, label, approved) for k in range(3))
        found.append(
            Fairness(
                attribute=str(attribute),
                cutoff=float(cutoff),
                groups=tuple(_group(groups, drawn, k) for k in range(len(groups.names))),
                adverse_impact_ratio=ratio,
                equal_opportunity_difference=opportunity,
                false_positive_difference=false_positive,
                too_small=tuple(
                    name for name, large in zip(groups.names, groups.enough[:, 0], strict=True) if not large
                ),
                unknown=int((levels.codes < 0).sum()),
            )
        )
    return found


@dataclass(frozen=True)
class _Groups:
    """Counts of each group: `cells` of shape (groups, 4) are good loans approved and refused, bad ones alike."""

    names: tuple[str, ...]
    codes: tuple[int, ...]
    cells: Integers
    enough: npt.NDArray[np.bool_]  # (groups, 3): to compare all, good, bad loans

    def drawn(self, resamples: int, rng: np.random.Generator) -> Array:
        """Shares approved of all, good, bad loans in resamples of each group, shape (resamples, groups, 3)."""
        cells = [rng.multinomial(int(of.sum()), of / of.sum(), resamples) for of in self.cells]
        return _shares(np.stack(cells, axis=1)) if cells else np.empty((resamples, 0, 3))


def _groups(
    levels: pandas.Categorical, label: Integers, approved: npt.NDArray[np.bool_], least_rows: int, least: int
) -> _Groups:
    codes = [int(code) for code in np.unique(levels.codes) if code >= 0]
    place = 2 * label + ~approved
    counts = [np.bincount(place[levels.codes == code], minlength=4) for code in codes]
    cells = np.array(counts, dtype=np.int64).reshape(len(codes), 4)
    large = cells.sum(axis=1) >= least_rows
    enough = [large, large & (cells[:, :2].sum(axis=1) >= least), large & (cells[:, 2:].sum(axis=1) >= least)]
    return _Groups(tuple(str(levels.categories[code]) for code in codes), tuple(codes), cells, np.column_stack(enough))


def _shares(cells: Array | Integers) -> Array:
    good, bad = cells[..., :2], cells[..., 2:]
    taken = np.stack([good[..., 0] + bad[..., 0], good[..., 0], bad[..., 0]], axis=-1)
    of = np.stack([cells.sum(axis=-1), good.sum(axis=-1), bad.sum(axis=-1)], axis=-1)
    return np.asarray(np.divide(taken, of, out=np.zeros(of.shape), where=of > 0))


def _group(groups: _Groups, drawn: Array, k: int) -> Group:
    good_in, good_out, bad_in, bad_out = (int(count) for count in groups.cells[k])
    n, good, bad = good_in + good_out + bad_in + bad_out, good_in + good_out, bad_in + bad_out
    approved = share(good_in + bad_in, n)
    of_outcome = share(good_in, good), share(bad_in, bad)
    return Group(groups.names[k], n, good, bad, approved, *of_outcome, _impact(groups, drawn, k, n))


def _impact(groups: _Groups, drawn: Array, k: int, n: int) -> Metric:
    enough = groups.enough[:, 0]
    if not enough[k]:
        return Metric(None, None, None, n, f"too small a group: {n} rows", f"群体过小：仅{n}行")
    rates = np.where(enough, _shares(groups.cells)[:, 0], -1)
    most = int(rates.argmax())
    if rates[most] == 0:
        return Metric(None, None, None, n, *_NOBODY)
    if k == most:
        return Metric(1.0, None, None, n, "the group approved most", "获批率最高的群体")
    low, high = np.quantile(drawn[:, k, 0] / np.maximum(drawn[:, most, 0], 1 / n), [0.025, 0.975])
    return Metric(float(rates[k] / rates[most]), float(low), float(high), n)


def _headline(
    groups: _Groups,
    drawn: Array,
    kind: int,
    levels: pandas.Categorical,
    label: Integers,
    approved: npt.NDArray[np.bool_],
) -> Metric:
    """Lowest to highest share approved of all, or highest less lowest among good (kind 1) or bad loans (kind 2)."""
    from fairlearn import metrics

    enough = groups.enough[:, kind]
    rows = np.isin(levels.codes, np.array(groups.codes)[enough])
    if enough.sum() < 2:
        return Metric(
            None, None, None, int(rows.sum()), "fewer than two groups are large enough", "足够大的群体不足两个"
        )
    if kind == 0 and not approved[rows].any():
        return Metric(None, None, None, int(rows.sum()), *_NOBODY)
    given = {
        "y_true": 1 - label[rows],
        "y_pred": approved[rows].astype(np.int64),
        "sensitive_features": levels.codes[rows],
    }
    if kind == 2:
        value = float(metrics.MetricFrame(metrics=metrics.false_positive_rate, **given).difference())
    else:
        asked = (metrics.demographic_parity_ratio, metrics.equal_opportunity_difference)[kind]
        value = float(asked(**given))
    low, high = drawn[:, enough, kind].min(axis=1), drawn[:, enough, kind].max(axis=1)
    spread = np.divide(low, high, out=np.ones_like(low), where=high > 0) if kind == 0 else high - low
    return Metric(value, *centred(spread, value), int(rows.sum()))
