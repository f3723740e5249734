"""Which values the parameters of the hybrid's parts may have, by their names: told before a library stumbles on one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Bounds:
    """Values from `low` to `high`; `whole` ones only, without the ends that are `open`."""

    low: float
    high: float = math.inf
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        """Whether a value is such a number."""
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        number = float(value)
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below and (not self.whole or isinstance(value, Integral))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"{'above' if self.open_low else 'of at least'} {self.low:g}"
        high = "" if self.high == math.inf else f" and {'below' if self.open_high else 'at most'} {self.high:g}"
        return f"{kind} {low}{high}"


_COUNT, _FROM_ZERO, _NUMBER = Bounds(1, whole=True), Bounds(0, whole=True), Bounds(0)
_SHARE = Bounds(0, 1, open_low=True)
BOUNDS = {
    # XGBoost
    "n_estimators": _COUNT,
    "max_depth": _FROM_ZERO,
    "max_bin": Bounds(2, whole=True),
    "min_child_weight": _NUMBER,
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "reg_alpha": _NUMBER,
    "reg_lambda": _NUMBER,
    "gamma": _NUMBER,
    "early_stopping_rounds": _FROM_ZERO,
    # the nets
    "k": _COUNT,
    "d_block": _COUNT,
    "n_blocks": _COUNT,
    "d_embedding": _COUNT,
    "n_bins": _COUNT,
    "hidden": _COUNT,
    "width": _COUNT,
    "dropout": Bounds(0, 1, open_high=True),
    "weight_decay": _NUMBER,
    "batch_size": _COUNT,
    "max_epochs": _COUNT,
    "patience": _COUNT,
    # all of them
    "learning_rate": Bounds(0, open_low=True),
    "inner_share": Bounds(0, 1, open_low=True, open_high=True),
    "n_seeds": _COUNT,
    "n_folds": Bounds(2, whole=True),
    "random_state": Bounds(0, 2**32 - 1, whole=True),
}


def value_faults(params: Mapping[str, Any]) -> list[str]:
    """Every parameter whose value is out of its bounds; names that have none are not judged.

    Examples
    --------
    >>> value_faults({"n_seeds": 0, "learning_rate": 0.1, "monotone": None})
    ['n_seeds: must be a whole number of at least 1, not 0']
    """
    return [
        f"{name}: must be {BOUNDS[name]}, not {value!r}"
        for name, value in params.items()
        if name in BOUNDS and value not in BOUNDS[name]
    ]
