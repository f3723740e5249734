"""Drift of what has no order: which reason came first, which products and channels are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.drift.chances import chances
from evaluation.drift.compare import ALPHA, LEAST_ROWS, chance_psi
from evaluation.drift.size import FLOOR, discovery_limit, psi

MOST_LEVELS = 50  # rarer ones are taken together
OTHERS = "(others)"
MISSING = "(missing)"


@dataclass(frozen=True)
class SharesDrift:
    """Shares of the levels of one dimension then and now.

    Parameters
    ----------
    name : str
        `reason`, `product`, `channel`, ...
    levels : tuple of str
        Most frequent in the reference first; what is missing last.
    expected, actual : tuple of int
        Rows of each level in the reference and now.
    psi, chance_psi : float
        Population stability index, and what it would be on average without drift.
    p_value : float
        Chance that the least likely level would differ so much without drift, by Fisher's exact test, times the levels.
    moved : str
        That level.
    """

    name: str
    levels: tuple[str, ...]
    expected: tuple[int, ...]
    actual: tuple[int, ...]
    psi: float
    chance_psi: float
    p_value: float
    moved: str

    @property
    def excess_psi(self) -> float:
        """The PSI beyond chance."""
        return max(0.0, self.psi - self.chance_psi)

    def share(self, level: str) -> tuple[float, float]:
        """Share of a level then and now."""
        at = self.levels.index(level)
        return self.expected[at] / max(sum(self.expected), 1), self.actual[at] / max(sum(self.actual), 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("name", "psi", "chance_psi", "excess_psi", "p_value", "moved")
        shares = {level: [round(share, 6) for share in self.share(level)] for level in self.levels}
        return {**{name: getattr(self, name) for name in names}, "shares": shares}


def shares_drift(name: str, then: Iterable[object], now: Iterable[object]) -> SharesDrift:
    """Compare how often each level occurs; None and NaN are missing.

    Examples
    --------
    >>> found = shares_drift("product", ["cash"] * 90 + ["renovation"] * 10, ["cash"] * 40 + ["renovation"] * 60)
    >>> found.levels, found.share("renovation"), found.p_value < 1e-10
    (('cash', 'renovation'), (0.1, 0.6), True)
    """
    before, today = (_counts(values) for values in (then, now))
    # by the pooled rows, which do not bend the test
    frequent = (before + today).most_common()
    levels = [level for level, _ in sorted(frequent, key=lambda pair: (-pair[1], pair[0])) if level != MISSING]
    for counts in (before, today):
        if rare := sum(counts.pop(level, 0) for level in levels[MOST_LEVELS:]):
            counts[OTHERS] += rare
    levels = [*levels[:MOST_LEVELS], *([OTHERS] if before[OTHERS] + today[OTHERS] else [])]
    expected, actual = ([counts[level] for level in (*levels, MISSING)] for counts in (before, today))
    found = chances([expected], [actual], ordered=False)
    missing = bool(expected[-1] + actual[-1])
    shown = (*levels, MISSING) if missing else tuple(levels)
    expected, actual = expected[: len(shown)], actual[: len(shown)]
    apart = np.abs(_standardised(expected, actual))
    return SharesDrift(
        name=name,
        levels=shown,
        expected=tuple(expected),
        actual=tuple(actual),
        psi=psi(expected, actual) if sum(expected) and sum(actual) else 0.0,
        chance_psi=chance_psi(expected, actual),
        p_value=float(found.overall[0]),
        moved=shown[int(np.argmax(apart))] if len(shown) else "",
    )


@dataclass(frozen=True)
class Mix:
    """Several dimensions judged together.

    Parameters
    ----------
    shares : tuple of SharesDrift
    limit : float
        Largest p-value that counts as a discovery among them.
    judged : bool
        Whether there were rows enough.
    """

    shares: tuple[SharesDrift, ...]
    limit: float
    judged: bool

    @property
    def drifted(self) -> tuple[SharesDrift, ...]:
        """Those that differ by more than chance and by enough to matter."""
        found = [one for one in self.shares if one.p_value <= self.limit and one.excess_psi >= FLOOR]
        return tuple(found) if self.judged else ()


def mix_drift(
    then: Mapping[str, Iterable[object]], now: Mapping[str, Collection[object]], *, alpha: float = ALPHA
) -> Mix:
    """Compare several dimensions, false discoveries among them kept to `alpha`.

    Parameters
    ----------
    then, now : mapping of str to values
        Of each dimension the level of every row of the reference and of today.
    """
    shares = tuple(shares_drift(name, values, now[name]) for name, values in then.items())
    limit = discovery_limit([one.p_value for one in shares], alpha)
    return Mix(shares, limit, min((len(values) for values in now.values()), default=0) >= LEAST_ROWS)


def _counts(values: Iterable[object]) -> Counter[str]:
    return Counter(MISSING if value is None or value != value else str(value) for value in values)


def _standardised(then: list[int], now: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Difference of each level's shares in its own standard errors."""
    before, today = np.asarray(then, dtype=np.float64), np.asarray(now, dtype=np.float64)
    n, m = max(before.sum(), 1.0), max(today.sum(), 1.0)
    pooled = (before + today) / (n + m)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n + 1 / m))
    return np.asarray((today / m - before / n) / error)
