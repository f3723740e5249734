"""What may be chosen for each product, and what each choice came to on past applicants: counted at once, not tried.

At a given limit a cut-off moves nothing but who is approved, referred or declined, so one decision of all applicants
per limit, sorted by PD, holds every cut-off as a running sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from policy.backtest import decided, profit
from policy.decision import Policy
from policy.outcomes import Flags, Floats
from policy.past import Past
from policy.strategy import Strategy

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the bound on the expected loss, from which limits follow
TOTALS = ("approved", "referred", "bad", "profit")
_CUT_OFFS = 160
_FINEST = 4  # decimals of a cut-off


@dataclass(frozen=True)
class Candidates:
    """What may be chosen for a product, and what each came to on some applicants; arrays of shape (k,).

    Parameters
    ----------
    scale, approve_pd, decline_pd : ndarray of float64
    approved, referred, bad, profit : ndarray of float64
        Applications, applications, bad loans, CNY realised.
    applications : int
    """

    scale: Floats
    approve_pd: Floats
    decline_pd: Floats
    approved: Floats
    referred: Floats
    bad: Floats
    profit: Floats
    applications: int

    def take(self, rows: npt.NDArray[np.generic]) -> Candidates:
        """Some of them."""
        names = ("scale", "approve_pd", "decline_pd", *TOTALS)
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def candidates(past: Past, policy: Policy, fired: Flags, referral_rate_most: float | None) -> dict[str, Candidates]:
    """All candidates of each product that was asked for, with what they come to on some applicants."""
    found = {}
    for name in policy.tables.names:
        pd_ = past.frame.loc[past.frame["product"] == name, "pd"].dropna().to_numpy(np.float64)
        if not len(pd_):
            continue
        base = policy.strategy.products[name]
        cuts = np.unique(np.round(np.quantile(pd_, np.linspace(0.005, 1, _CUT_OFFS)), _FINEST))
        cuts = cuts[(cuts > 0) & (cuts < 1)]
        scale, approve_pd = np.repeat(SCALES, len(cuts)), np.tile(cuts, len(SCALES))
        widest, none = np.maximum(base.decline_pd, _next(approve_pd)), np.zeros(0)
        grid = Candidates(scale, approve_pd, widest, none, none, none, none, 0)
        found[name] = counted(past, policy, fired, name, grid, referral_rate_most)
    return found


@dataclass(frozen=True)
class _Open:
    """Applicants of a product as they are decided before any cut-off at one limit, by rising PD, as running sums."""

    pd_approvable: Floats
    pd_alive: Floats
    bad: Floats
    profit: Floats

    @classmethod
    def of(cls, past: Past, policy: Policy, fired: Flags) -> _Open:
        version = decided("open", past, policy, fired)
        pd_ = past.frame["pd"].to_numpy(np.float64)
        order = np.argsort(pd_, kind="stable")
        approvable, alive = version.is_("approve")[order], ~version.is_("decline")[order]
        earned = profit(past, version, past.outcomes.defaults)[order]
        return cls(
            pd_[order][approvable],
            pd_[order][alive],
            np.concatenate([[0.0], np.cumsum(past.outcomes.bad[order][approvable])]),
            np.concatenate([[0.0], np.cumsum(earned[approvable])]),
        )

    def totals(self, approve_pd: Floats, decline_pd: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Approved, referred, bad and profit: a PD at `approve_pd` is approved, one at `decline_pd` declined."""
        approved = np.searchsorted(self.pd_approvable, approve_pd, side="right")
        alive = np.searchsorted(self.pd_alive, decline_pd, side="left")
        counts = approved.astype(np.float64), (alive - approved).astype(np.float64)
        return *counts, self.bad[approved], self.profit[approved]

    def narrowed(self, approve_pd: Floats, decline_pd: Floats, most: float) -> Floats:
        """The highest `decline_pd`, on the grid of its decimals, that refers at most so many."""
        approved = np.searchsorted(self.pd_approvable, approve_pd, side="right")
        last = (approved + int(most)).astype(np.int64)  # so many may stay alive
        reaches = np.append(self.pd_alive, np.inf)[np.minimum(last, len(self.pd_alive))]
        capped = np.minimum(decline_pd, np.floor(reaches * 10**_FINEST) / 10**_FINEST)
        return np.asarray(np.maximum(capped, _next(approve_pd)))


def counted(
    past: Past, policy: Policy, fired: Flags, name: str, grid: Candidates, referral_rate_most: float | None = None
) -> Candidates:
    """What the candidates of a product come to on some applicants."""
    rows = np.flatnonzero((past.frame["product"] == name).to_numpy())
    part, flags, n = past.take(rows), fired[rows], len(rows)
    decline_pd, totals = grid.decline_pd.copy(), np.zeros((4, len(grid.scale)))
    for scale in np.unique(grid.scale):
        at = grid.scale == scale
        found = _Open.of(part, policy.with_strategy(_scaled(policy.strategy, name, float(scale))), flags)
        if referral_rate_most is not None:
            decline_pd[at] = found.narrowed(grid.approve_pd[at], decline_pd[at], referral_rate_most * n)
        totals[:, at] = found.totals(grid.approve_pd[at], decline_pd[at])
    approved, referred, bad, earned = totals
    return Candidates(grid.scale, grid.approve_pd, decline_pd, approved, referred, bad, earned, n)


def _next(cut_off: Floats) -> Floats:
    """The next cut-off on the grid: no band is left for a person."""
    return np.minimum(np.round(cut_off + 10.0**-_FINEST, _FINEST), 1.0)


def _scaled(strategy: Strategy, name: str, scale: float) -> Strategy:
    """No cut-off at all, and another bound on the expected loss."""
    most = strategy.products[name].expected_loss_most * scale
    return strategy.changed(name, approve_pd=1.0, decline_pd=1.0, expected_loss_most=most)
