"""How good a PD is before any outcome is known: what its own PDs let expect, with the chance of the outcomes.

A confidence-based estimate, as NannyML's CBPE: if every PD is right, each applicant defaults with just that chance, and
outcomes can be drawn. Here they are drawn many times, so that the interval is that of the figure that will be measured
on these very applicants: the outcomes are a Poisson-binomial sample.

**What it cannot see**: it believes the PDs. When the applicants change and the relation of features and outcome stays,
it tells the new AUC and bad rate. When that relation changes (a downturn, a new fraud), the PDs are wrong, the estimate
is wrong with them, and nothing here can show it: only outcomes do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from evaluation.metric import Array, Metric

BLIND = (
    "believes the PDs: a changed relation between features and outcome is invisible until outcomes come",
    "以PD正确为前提：若特征与结果的关系改变，须待实际结果方能发现",
)
_AT_ONCE = 4_000_000  # drawn outcomes that are held in memory


@dataclass(frozen=True)
class Expected:
    """What calibrated PDs let expect of these applicants, each at 95 %.

    Parameters
    ----------
    auc, brier, bad_rate : Metric
        Undefined where there are no rows, the AUC also where nearly every draw has one class only.
    """

    auc: Metric
    brier: Metric
    bad_rate: Metric


def expected(pd: npt.ArrayLike, *, draws: int = 500, seed: int = 0) -> Expected:
    """Estimate AUC, Brier score and bad rate from PDs alone.

    Parameters
    ----------
    pd : array in [0, 1], shape (n,)
        Calibrated.
    draws : int, default 500
        Of all outcomes.
    seed : int
        The same seed gives the same intervals.

    Examples
    --------
    >>> found = expected(np.repeat([0.05, 0.5], 500))
    >>> round(found.auc.value, 2), round(found.bad_rate.value, 3), found.auc.low < 0.8 < found.auc.high
    (0.78, 0.275, True)
    """
    chance = np.asarray(pd, dtype=np.float64)
    if chance.ndim != 1 or not ((chance >= 0) & (chance <= 1)).all():
        raise ValueError(f"PDs of shape {chance.shape} must be (n,), present and in [0, 1].")
    if len(chance) == 0:
        none = Metric(None, None, None, 0, "no rows", "没有样本")
        return Expected(none, none, none)
    areas, briers, bads = _drawn(chance, draws, np.random.default_rng(seed))
    n = len(chance)
    rate = _between(bads / n, float(chance.mean()), n)
    score = _between(briers, float((chance * (1 - chance)).mean()), n)
    usable = areas[np.isfinite(areas)]
    if len(usable) < draws / 2:
        few = (
            f"{bads.mean():.1f} defaults are expected: too few for an AUC",
            f"预期违约仅{bads.mean():.1f}笔，不足以估计AUC",
        )
        return Expected(Metric(None, None, None, n, *few), score, rate)
    return Expected(_between(usable, float(usable.mean()), n), score, rate)


def _between(drawn: Array, value: float, n: int) -> Metric:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Metric(value, float(low), float(high), n, *BLIND)


def _drawn(chance: Array, draws: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """AUC (NaN of one class), Brier score and number of defaults of each draw."""
    n, rank = len(chance), rankdata(chance)
    squares = np.stack([rank, (1 - chance) ** 2 - chance**2], axis=1)
    step, found = max(1, _AT_ONCE // n), []
    for start in range(0, draws, step):
        bad = rng.random((min(step, draws - start), n)) < chance
        found.append(np.column_stack([bad @ squares, bad.sum(axis=1)]))
    ranks, moved, bads = np.concatenate(found).T
    goods = n - bads
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = (ranks - bads * (bads + 1) / 2) / (bads * goods)
    return areas, ((chance**2).sum() + moved) / n, bads
