"""What drift does to the approval rate, at a cut-off of the PD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from data_contracts.errors import LendwellError
from training.bundle import Bundle
from training.reference import Distribution

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Approval:
    """Shares of applicants below a PD, in training and now.

    Parameters
    ----------
    cutoff : float
        Log-odds up to which an applicant is approved.
    before, now : float
        Share approved among the reference's rows and now.
    """

    cutoff: float
    before: float
    now: float

    @classmethod
    def of(
        cls, bundle: Bundle, log_odds: Array, *, approval_rate: float = 0.7, cutoff_pd: float | None = None
    ) -> Approval:
        """Put the cut-off where the lender has it, or where a share of the training applicants is approved.

        Parameters
        ----------
        bundle : Bundle
        log_odds : ndarray, shape (n,)
            Of the applicants of today.
        approval_rate : float
            Share of the training applicants, where no PD is given.
        cutoff_pd : float, optional
            Largest PD that is approved.
        """
        if not 0 < (cutoff_pd or approval_rate) < 1:
            raise LendwellError("The cut-off of the PD and the approval rate lie between 0 and 1, both excluded.")
        rows = bundle.reference_rows
        if rows is not None:
            cutoff = float(np.quantile(rows.log_odds, approval_rate)) if cutoff_pd is None else float(logit(cutoff_pd))
            return cls(cutoff, float(np.mean(rows.log_odds <= cutoff)), float(np.mean(log_odds <= cutoff)))
        edges, shares = bundle.reference.score.edges, np.cumsum(bundle.reference.score.fractions)
        if not edges:
            return cls(np.inf, 1.0, 1.0)
        wanted = np.abs(shares[: len(edges)] - approval_rate)  # of the decile that is nearest
        at = int(np.argmin(wanted if cutoff_pd is None else np.abs(np.asarray(edges) - logit(cutoff_pd))))
        cutoff = edges[at]
        return cls(cutoff, float(shares[at]), float(np.mean(log_odds <= cutoff)))

    @property
    def cutoff_pd(self) -> float:
        """The cut-off as a PD."""
        return float(expit(self.cutoff))

    def share(self, log_odds: Array) -> float:
        """Share approved among some applicants."""
        return float(np.mean(log_odds <= self.cutoff)) if len(log_odds) else 0.0

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return {"cutoff_pd": self.cutoff_pd, "before": self.before, "now": self.now}

    def effect_of(self, place: npt.NDArray[np.int64], expected: Sequence[int], log_odds: Array) -> float:
        """Change of the approval rate that goes with a change of shares alone.

        The difference to the rate that today's applicants would have if they fell into the groups as the reference did,
        each group approved as it is today: post-stratification. What moves with the feature is counted in.

        Parameters
        ----------
        place : ndarray of int64, shape (n,)
            Group of each applicant of today.
        expected : sequence of int
            Reference rows in each group.
        log_odds : ndarray, shape (n,)
        """
        approved = (log_odds <= self.cutoff).astype(np.float64)
        size = len(expected)
        now = np.bincount(place, minlength=size)
        rate = np.bincount(place, approved, minlength=size) / np.maximum(now, 1)
        rate[now == 0] = approved.mean()  # who is not there any more is taken as average
        then = np.asarray(expected, dtype=np.float64) / max(sum(expected), 1)
        return float(rate @ (now / max(now.sum(), 1) - then))


def groups_of(distribution: Distribution, values: Array) -> npt.NDArray[np.int64]:
    """Bin of each value, missing last."""
    place = np.searchsorted(np.asarray(distribution.edges), values, side="left")
    return np.where(np.isnan(values), len(distribution.edges) + 1, place).astype(np.int64)
