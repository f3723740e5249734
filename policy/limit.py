"""The limit: how much is lent at most, by expected loss, income, exposure and product.

Each bound is an amount of its own, and the least of them counts:

* **loss**: PD × LGD × amount at most `expected_loss_most`;
* **burden**: instalments with us and elsewhere and the new one at most `burden_most` of income;
* **income**: at most `income_months_most` monthly incomes; `unstated_income_most` where none was stated;
* **exposure**: all loans with us that run and the new one at most `exposure_most`;
* **product**: its highest amount.

The limit is rounded down to the product's step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from policy.products import FEN

if TYPE_CHECKING:
    from policy.price import Price
    from policy.terms import Asked, Floats, Ints, RateTables

BOUNDS = ("loss", "burden", "income", "exposure", "product")


@dataclass(frozen=True)
class Limit:
    """Limits in fen; arrays of shape (n,).

    Parameters
    ----------
    bounds : dict of str to ndarray of float64
        The bound of each of `BOUNDS`, before rounding; infinite where it does not bind.
    fen : ndarray of int64
        The limit; 0 where nothing can be lent.
    """

    bounds: dict[str, Floats]
    fen: Ints


def limit(asked: Asked, price: Price, term: Ints, tables: RateTables, strategy: dict[str, Floats]) -> Limit:
    """How much may be lent to applicants whose products are all known; see `price.price`."""
    product, money = asked.product, {name: values[asked.product] * FEN for name, values in strategy.items()}
    unit = tables.burden[tables.first[product] + price.step * tables.terms[product] + term]
    unstated = np.isnan(asked.income)
    income = np.where(unstated, 0.0, asked.income)
    risk = asked.pd * strategy["lgd"][product]
    endless = np.full(len(product), np.inf)
    with np.errstate(divide="ignore", over="ignore"):  # without risk there is no bound: infinite
        by_loss = np.where(np.isnan(risk), 0.0, money["expected_loss_most"] / risk)
    bounds = {
        "loss": by_loss,
        "burden": np.where(unstated, endless, (strategy["burden_most"][product] * income - asked.debt) / unit),
        "income": np.where(unstated, money["unstated_income_most"], strategy["income_months_most"][product] * income),
        "exposure": money["exposure_most"] - asked.exposure,
        "product": tables.bounds["amount_most"][product],
    }
    least = bounds["loss"]
    for name in BOUNDS[1:]:
        least = np.minimum(least, bounds[name])
    width = tables.bounds["amount_step"][product]
    return Limit(bounds, (np.floor(np.maximum(least, 0.0) / width) * width).astype(np.int64))
