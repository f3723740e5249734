"""Drift with honest error rates: features and score, categories, everything at once.

`chances` says how likely a difference is without drift, `size` how large it is.
"""

from evaluation.drift.compare import ALPHA, LEAST_ROWS, DriftResult, DriftRow, Verdict, compare
from evaluation.drift.size import FLOOR, discovery_limit, psi, psi_limit

__all__ = [
    "ALPHA",
    "FLOOR",
    "LEAST_ROWS",
    "DriftResult",
    "DriftRow",
    "Verdict",
    "compare",
    "discovery_limit",
    "psi",
    "psi_limit",
]
