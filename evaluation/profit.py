"""What a cut-off earns: profit by cut-off under declared assumptions, and which cut-off is best.

A loan that is repaid earns `amount * margin`, one that defaults loses `amount * lgd`. Expected profit takes the PD for
the chance of default, realised profit what became of the loan; where they part, the PDs are off. Profits are CNY per
application, so that samples of any size compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas

from data_contracts.errors import DeclarationError
from evaluation.metric import Z95, Array, Metric, checked_pd, mean
from evaluation.metrics import quantile_bins
from evaluation.resampling import centred, draws, histogram

_COLUMNS = ("pd_cutoff", "approved", "approval_rate", "expected", "realised", "realised_low", "realised_high")


@dataclass(frozen=True)
class Assumptions:
    """What a loan earns and loses; a lender's own, declared by whoever asks.

    Parameters
    ----------
    margin : float
        Interest over the whole life of a repaid loan, after funding and operating costs, to its amount; above 0.
    lgd : float
        Share of the amount that is lost with a default, in (0, 1].

    Raises
    ------
    DeclarationError
        Where either is out of its range.
    """

    margin: float
    lgd: float

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise DeclarationError(f"margin is {self.margin}; a repaid loan must earn more than 0 of its amount.")
        if not 0 < self.lgd <= 1:
            raise DeclarationError(f"lgd is {self.lgd}; the share lost with a default lies in (0, 1].")

    @property
    def break_even_pd(self) -> float:
        """The PD at which a loan is expected to earn nothing.

        Examples
        --------
        >>> round(Assumptions(margin=0.1, lgd=0.4).break_even_pd, 3)
        0.2
        """
        return self.margin / (self.margin + self.lgd)


@dataclass(frozen=True)
class Profit:
    """Profit by cut-off.

    Parameters
    ----------
    assumptions : Assumptions
    curve : DataFrame
        By cut-off, safest first: `pd_cutoff`, `approved`, `approval_rate`, `expected`, `realised`, `realised_low`,
        `realised_high`; CNY per application.
    all_approved, at_break_even : Metric
        Realised profit of approving everybody, and those whose PD is at most the one that breaks even.
    gain : Metric
        What the cut-off at break-even earns beyond approving everybody.
    best, best_cutoff : Metric
        Realised profit at the best cut-off of the curve, and that cut-off's PD, by bootstrap; the note tells how much
        of the profit comes of having chosen the cut-off on the same rows.
    """

    assumptions: Assumptions
    curve: pandas.DataFrame
    all_approved: Metric
    at_break_even: Metric
    gain: Metric
    best: Metric
    best_cutoff: Metric


def profit(
    y: npt.ArrayLike,
    pd: npt.ArrayLike,
    amount: npt.ArrayLike,
    assumptions: Assumptions,
    *,
    cutoffs: int = 50,
    resamples: int = 500,
    seed: int = 0,
) -> Profit:
    """Profit by cut-off on applicants whose outcomes are known.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    pd : array in [0, 1], shape (n,)
    amount : array, shape (n,)
        Amount of each loan, CNY.
    assumptions : Assumptions
    cutoffs : int, default 50
        At most as many cut-offs, at quantiles of the PD.
    resamples, seed : int
        Of the best cut-off's bootstrap; means have their standard errors.

    Raises
    ------
    ValueError
        Where an amount is missing or not above 0.

    Examples
    --------
    >>> found = profit([0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4], [1000.0] * 4, Assumptions(margin=0.1, lgd=0.5))
    >>> found.curve["realised"].tolist(), found.best.value, found.best_cutoff.value
    ([25.0, 50.0, -75.0, -50.0], 50.0, 0.2)
    """
    label, probability = checked_pd(y, pd)
    money = np.asarray(amount, dtype=np.float64)
    if money.shape != label.shape or not (np.isfinite(money) & (money > 0)).all():
        raise ValueError(f"amount must be above 0 on each of {len(label)} rows; leave out rows without one.")
    if len(label) == 0:
        return Profit(assumptions, pandas.DataFrame(columns=_COLUMNS), *[mean(money)] * 5)
    earned = worth(money, label, assumptions.margin, assumptions.lgd)
    expected = worth(money, probability, assumptions.margin, assumptions.lgd)
    curve = _curve(earned, probability, expected, cutoffs)
    approved = probability <= assumptions.break_even_pd
    best, cutoff = _best(earned, probability, curve, cutoffs, resamples, seed)
    return Profit(
        assumptions,
        curve,
        all_approved=mean(earned),
        at_break_even=mean(earned * approved),
        gain=mean(earned * approved - earned),
        best=best,
        best_cutoff=cutoff,
    )


def worth(amount: npt.ArrayLike, chance: npt.ArrayLike, margin: npt.ArrayLike, lgd: npt.ArrayLike) -> Array:
    """What loans earn when they default with a chance: a PD for what is expected, 0 or 1 for what came to be.

    Examples
    --------
    >>> worth([1000.0, 1000.0, 1000.0], [0, 1, 0.5], margin=0.1, lgd=0.5).tolist()
    [100.0, -500.0, -200.0]
    """
    money, bad = np.asarray(amount, dtype=np.float64), np.asarray(chance, dtype=np.float64)
    earned: Array = money * ((1 - bad) * np.asarray(margin) - bad * np.asarray(lgd))
    return earned


def _curve(earned: Array, probability: Array, expected: Array, cutoffs: int) -> pandas.DataFrame:
    n = len(earned)
    group = quantile_bins(probability, cutoffs)
    size = int(group.max()) + 1
    parts = [np.bincount(group, values, size) for values in (np.ones(n), expected, earned, earned**2)]
    approved, by_pd, total, squares = (np.cumsum(part) for part in parts)
    each = total / n
    half = Z95 * np.sqrt(np.maximum(squares / n - each**2, 0) / max(n - 1, 1))
    highest = pandas.Series(probability).groupby(group).max()
    columns = (highest, approved.astype(np.int64), approved / n, by_pd / n, each, each - half, each + half)
    return pandas.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def _best(
    earned: Array, probability: Array, curve: pandas.DataFrame, cutoffs: int, resamples: int, seed: int
) -> tuple[Metric, Metric]:
    """Profit and PD of the best cut-off of the curve; refusing everybody, a cut-off of 0, earns nothing."""
    n = len(earned)
    group = quantile_bins(probability, cutoffs)
    size = len(curve)
    edges = np.concatenate([[0.0], curve["pd_cutoff"].to_numpy()])
    realised = np.concatenate([[0.0], curve["realised"].to_numpy()])
    found = [
        np.pad(np.cumsum(histogram(group[rows], size, earned[rows]), axis=1) / n, ((0, 0), (1, 0)))
        for rows in draws(np.random.default_rng(seed), n, resamples)
    ]
    drawn = np.concatenate(found)
    most, value = drawn.max(axis=1), float(realised.max())
    # Efron: how much better the choice looks on the rows it was made on than on others
    optimism = float((most - realised[drawn.argmax(axis=1)]).mean())
    note = f"about {optimism:.2f} of it comes of the choice", f"其中约{optimism:.2f}来自在同一样本上选取"
    best = Metric(value, *centred(most, value, -np.inf, np.inf), n, *note)
    low, high = np.quantile(edges[drawn.argmax(axis=1)], [0.025, 0.975])
    return best, Metric(float(edges[realised.argmax()]), float(low), float(high), n)
