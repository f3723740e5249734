"""The slices of applicants on which a model is worst, found by search and confirmed on rows the search has not seen.

Every interval of a feature's quantiles, every level, and every pair of them among the strongest features is held
against the rest on one half of the rows; Benjamini and Hochberg keep false discoveries among all of them to a rate. The
worst, discovered or not, are then measured on the other half, where nothing was chosen: their effects and intervals are
honest, and false confirmations among them are kept to the same rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas
from scipy.stats import norm

from evaluation.contrasts import Contrast, Direction, Measure, contrast
from evaluation.drift import discovery_limit
from evaluation.metric import Array, Integers, Metric, checked_pd, one_class
from evaluation.resampling import halves
from evaluation.slices import Condition, Cut, cut

_OVERLAP = 0.5


@dataclass(frozen=True)
class WeakSlice:
    """A slice and how it fares beside the rest.

    Parameters
    ----------
    conditions : tuple of Condition
        One or two.
    n, bad : int
        Rows and defaults in it, of both halves.
    share : float
        Of all rows.
    found : float
        Effect on the half that was searched: flattered by the search.
    effect : Metric
        Slice minus rest on the other half: log loss beyond what the PDs expect, in nats; bad rate less PD; Gini less
        what the PDs expect.
    p_value : float
        Of that effect; 1 where it cannot be computed.
    discovered, confirmed : bool
        Whether it stood out among all that were searched, on that half alone; and on the other half among the worst.
    """

    conditions: tuple[Condition, ...]
    n: int
    bad: int
    share: float
    found: float
    effect: Metric
    p_value: float
    discovered: bool
    confirmed: bool

    def __str__(self) -> str:
        return " & ".join(map(str, self.conditions))


@dataclass(frozen=True)
class SliceSearch:
    """What a search has found.

    Parameters
    ----------
    measure : {"loss", "calibration", "gini"}
    searched, discovered : int
        Slices held against the rest, and how many stood out.
    slices : tuple of WeakSlice
        The worst that hardly overlap: first the confirmed ones, each kind by its effect on the other half.
    note, note_zh : str
        Why there was no search, or that nothing stood out.
    """

    measure: Measure
    searched: int
    discovered: int
    slices: tuple[WeakSlice, ...]
    note: str = ""
    note_zh: str = ""


@dataclass(frozen=True)
class _Found:
    """One slice of the search: which cut's which slice, its effect and p-value."""

    conditions: tuple[Condition, ...]
    effect: float
    p_value: float


def weak_slices(
    y: npt.ArrayLike,
    pd: npt.ArrayLike,
    features: pandas.DataFrame,
    *,
    measure: Measure = "loss",
    least_rows: int = 200,
    bins: int = 4,
    paired: int = 30,
    rate: float = 0.05,
    most: int = 10,
    seed: int = 0,
) -> SliceSearch:
    """Search for slices on which a PD is worse than on the rest.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    pd : array in [0, 1], shape (n,)
    features : DataFrame, shape (n, n_features)
        What slices are cut from: features of the model, or product, channel and the like; missing values are a slice.
        In the order of `y`, its index is ignored.
    measure : {"loss", "calibration", "gini"}
        Log loss beyond what the PDs themselves expect (PDs too extreme or too low), bad rate against PD on either side,
        or a Gini below what the PDs expect. A slice of applicants who are alike has a low Gini with any model; that
        alone is no weakness.
    least_rows : int, default 200
        In the slice, over both halves; the rest must have as many.
    bins : int, default 4
        Quantile bins of a feature; each run of neighbouring ones is a slice.
    paired : int, default 30
        How many features, those with the strongest slice of their own, are also looked at in pairs.
    rate : float, default 0.05
        Share of false discoveries, on either half.
    most : int, default 10
        How many slices to confirm.
    seed : int, default 0
        Of the halves, which share defaults equally.
    """
    label, probability = checked_pd(y, pd)
    if undefined := one_class(label):
        return SliceSearch(measure, 0, 0, (), undefined.note, undefined.note_zh)
    if len(features) != len(label):
        raise ValueError(f"{len(label)} outcomes but {len(features)} rows of features: give one a row.")
    frame = features.reset_index(drop=True)
    searched, held = halves(label, seed)
    asked = contrast(measure, label[searched], probability[searched])
    found = _search(asked, frame.iloc[searched], bins, paired, (least_rows + 1) // 2)
    if not found:
        few = f"no slice has {least_rows} rows and enough of either class", f"没有满{least_rows}行且好坏客户足够的客群"
        return SliceSearch(measure, 0, 0, (), *few)
    limit = discovery_limit([one.p_value for one in found], rate)
    discovered = sum(one.p_value <= limit for one in found)
    chosen = _apart(sorted(found, key=lambda one: one.p_value), frame.iloc[searched], most)
    on_held = contrast(measure, label[held], probability[held])
    slices = _confirm(on_held, chosen, frame, held, label, limit, rate)
    stands_out = discovered or any(one.confirmed for one in slices)
    note = ("", "") if stands_out else ("no slice stands out on either half", "两半样本中均无显著劣于其余的客群")
    return SliceSearch(measure, len(found), discovered, tuple(slices), *note)


def _search(asked: Contrast, frame: pandas.DataFrame, bins: int, paired: int, least_rows: int) -> list[_Found]:
    cuts = [found for name in frame if (found := cut(frame[name], bins)) is not None]
    single = [list(_slices(asked, (one,), least_rows)) for one in cuts]
    strongest = sorted(
        (k for k, slices in enumerate(single) if slices), key=lambda k: min(one.p_value for one in single[k])
    )
    pairs = combinations([cuts[k] for k in sorted(strongest[:paired])], 2)
    return [
        *(one for slices in single for one in slices),
        *(one for pair in pairs for one in _slices(asked, pair, least_rows)),
    ]


def _slices(asked: Contrast, cuts: tuple[Cut, ...], least_rows: int) -> Iterator[_Found]:
    """Every slice of one cut, or of two together."""
    sizes = [cut.made_of.shape[1] for cut in cuts]
    code = cuts[0].code if len(cuts) == 1 else cuts[0].code * sizes[1] + cuts[1].code
    sums = asked.sums(code, int(np.prod(sizes)))
    total = sums.sum(axis=0)
    inside = np.tensordot(cuts[0].made_of, sums.reshape(*sizes, *total.shape), axes=1)
    if len(cuts) == 2:
        inside = np.moveaxis(np.tensordot(cuts[1].made_of, inside, axes=(1, 1)), 0, 1)
    effect, error = asked.compare(inside, total, least_rows)
    p_values = _p_values(effect / np.where(error > 0, error, np.nan), asked.worse)
    for place in zip(*np.nonzero(np.isfinite(p_values)), strict=True):
        conditions = tuple(cut.conditions[k] for cut, k in zip(cuts, place, strict=True))
        yield _Found(conditions, float(effect[place]), float(p_values[place]))


def _p_values(z: Array, worse: Direction) -> Array:
    return np.asarray(2 * norm.sf(np.abs(z)) if worse == 0 else norm.sf(worse * z))


def _apart(ordered: list[_Found], frame: pandas.DataFrame, most: int) -> list[_Found]:
    """The first slices that share less than half of their rows with those before them."""
    chosen: list[tuple[_Found, npt.NDArray[np.bool_]]] = []
    for one in ordered:
        rows = _rows(one.conditions, frame)
        if all((rows & other).sum() <= _OVERLAP * (rows | other).sum() for _, other in chosen):
            chosen.append((one, rows))
        if len(chosen) == most:
            break
    return [one for one, _ in chosen]


def _rows(conditions: tuple[Condition, ...], frame: pandas.DataFrame) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all([condition.holds(frame) for condition in conditions], axis=0))


def _confirm(
    asked: Contrast,
    chosen: list[_Found],
    frame: pandas.DataFrame,
    held: Integers,
    label: Integers,
    limit: float,
    rate: float,
) -> list[WeakSlice]:
    rows = [_rows(one.conditions, frame) for one in chosen]
    measured = [asked.exact(inside[held]) for inside in rows]
    p_values = [float(_p_values(np.array(z), asked.worse)) if effect.defined else 1.0 for effect, z in measured]
    discovered = [one.p_value <= limit for one in chosen]
    second = discovery_limit(p_values, rate)
    slices = [
        WeakSlice(
            conditions=one.conditions,
            n=int(inside.sum()),
            bad=int(label[inside].sum()),
            share=float(inside.mean()),
            found=one.effect,
            effect=effect,
            p_value=p_value,
            discovered=stood,
            confirmed=p_value <= second,
        )
        for one, inside, (effect, _), p_value, stood in zip(chosen, rows, measured, p_values, discovered, strict=True)
    ]

    def badness(one: WeakSlice) -> float:
        value = one.effect.value or 0.0
        return abs(value) if asked.worse == 0 else asked.worse * value

    return sorted(slices, key=lambda one: (not one.confirmed, -badness(one)))
