"""Why decisions differ: a change is shared out among data, features, model, calibrator, rules, cut-offs, limit, price.

Two versions decide the same applications. Every mixture of the two, each component taken from the one or the other, is
decided anew, and a component's share of a change is what it moves on average over all orders in which the components
could have been exchanged one after another (Shapley). So the shares add up to the change, whatever moves nothing has
no share, and no order has to be chosen. Only components that differ are exchanged: with k of them there are 2^k
mixtures.

Where the features of one version lack what the other's model reads, no mixture of the two exists: both are exchanged
together and told together (`features and model`). The LGD belongs to the price, though the limit reads it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.metric import Array, Metric, mean
from policy.reasons import OUTCOMES

COMPONENTS = ("data", "features", "model", "calibrator", "rules", "cut_offs", "limit", "price", "products")
TOGETHER = "features and model"
MEASURES = ("approved", "referred", "declined", "amount", "annual_rate", "pd", "expected_profit")
Mixture = frozenset[str]


@dataclass(frozen=True)
class Change:
    """What changed from one version to another, and by which component; n applications.

    Parameters
    ----------
    before, after : DataFrame, shape (n, measures)
        `approved`, `referred`, `declined` (0 or 1), `amount` (fen, granted), `annual_rate` (of what is granted or
        proposed), `pd`, `expected_profit` (CNY, of what is granted).
    sums : dict of str to ndarray, shape (n, measures)
        By component that differs: its share times `orders`. Of counts and fen they are whole numbers, and add up to
        `orders` times the change without any rounding.
    orders : int
        In how many orders the components could be exchanged.
    """

    before: pd.DataFrame
    after: pd.DataFrame
    sums: dict[str, Array]
    orders: int

    @property
    def components(self) -> tuple[str, ...]:
        """What differs between the two versions."""
        return tuple(self.sums)

    def share(self, component: str) -> pd.DataFrame:
        """What a component moved, by application."""
        return pd.DataFrame(self.sums[component] / self.orders, index=self.before.index, columns=list(MEASURES))

    def to_dict(self) -> dict[str, Any]:
        """Means over the applications as plain facts: before, after, and by component with its interval."""
        return {
            "applications": len(self.before),
            "before": self.before.mean().to_dict(),
            "after": self.after.mean().to_dict(),
            "by_component": {
                name: {measure: self._mean(name, at).to_dict() for at, measure in enumerate(MEASURES)}
                for name in self.components
            },
            "changed": int((self.before["approved"].to_numpy() != self.after["approved"].to_numpy()).sum()),
        }

    def _mean(self, component: str, at: int) -> Metric:
        return mean(self.sums[component][:, at] / self.orders)


def attribute(components: Sequence[str], decide: Callable[[Mixture], pd.DataFrame]) -> Change:
    """Share a change out among components.

    Parameters
    ----------
    components : sequence of str
        Those that differ.
    decide : callable
        From the components that are taken from the second version to the measures of the mixture, shape (n, measures).

    Examples
    --------
    A loan is granted only where rules and cut-offs are both the new ones: each of them has half of the change.

    >>> def decide(new):
    ...     granted = float({"rules", "cut_offs"} <= new)
    ...     return pd.DataFrame([[granted, 0.0, 1 - granted, 0.0, 0.0, 0.1, 0.0]], columns=list(MEASURES))
    >>> change = attribute(["rules", "cut_offs", "price"], decide)
    >>> {name: float(change.share(name)["approved"].iloc[0]) for name in change.components}
    {'rules': 0.5, 'cut_offs': 0.5, 'price': 0.0}
    """
    k = len(components)
    before = decide(frozenset())
    start = before.to_numpy(np.float64)
    sums = {name: np.zeros(before.shape) for name in components}
    after = before
    for mixture in _mixtures(components):
        after = decide(mixture) if mixture else before
        found, size = after.to_numpy(np.float64) - start, len(mixture)
        for name in components:
            if name in mixture:  # in so many orders it was the last of these to be exchanged
                sums[name] += factorial(size - 1) * factorial(k - size) * found
            else:
                sums[name] -= factorial(size) * factorial(k - size - 1) * found
    return Change(before, after, sums, factorial(k))


def measures(frame: pd.DataFrame, pd_: npt.ArrayLike) -> pd.DataFrame:
    """What a change is told by, from `Policy.decide_frame`."""
    code = frame["outcome"].cat.codes.to_numpy()
    found = {name: (code == at).astype(np.float64) for at, name in enumerate(("approved", "referred", "declined"))}
    granted = code == OUTCOMES.index("approve")
    return pd.DataFrame(
        {
            **found,
            "amount": np.where(granted, frame["amount"], 0.0),
            "annual_rate": frame["annual_rate"].to_numpy(np.float64),
            "pd": np.asarray(pd_, dtype=np.float64),
            "expected_profit": np.where(granted, frame["expected_profit"], 0.0),
        },
        index=frame.index,
    )[list(MEASURES)]


def steps(change: Change, application: str) -> Iterator[Mapping[str, Any]]:
    """What each component moved of one application, those that moved nothing left out."""
    row = change.before.index.get_loc(application)
    for name in change.components:
        moved = change.sums[name][row] / change.orders
        if np.any(moved != 0):
            yield {"component": name, **{one: float(moved[at]) for at, one in enumerate(MEASURES) if moved[at] != 0}}


def _mixtures(components: Sequence[str]) -> Iterator[Mixture]:
    """From none of the second version's components to all of them."""
    for size in range(len(components) + 1):
        yield from map(frozenset, combinations(components, size))
