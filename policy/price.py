"""The price: what a loan must earn for its risk, within the product's band.

Interest is earned where there is no default, and is to cover the margin and the expected loss beside the costs:

    needed = funding + operating + (margin + PD × LGD / years for which the money is out) / (1 − PD)

It is rounded up to the product's step, is never below the band and never above it: the band's highest rate lies within
the cap (`policy.cap`). Where even that rate leaves an expected loss, the risk has no price and the loan is declined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from policy.products import PPM

if TYPE_CHECKING:
    from policy.terms import Asked, Flags, Floats, Ints, RateTables


@dataclass(frozen=True)
class Price:
    """Prices; arrays of shape (n,).

    Parameters
    ----------
    needed : ndarray of float64
        A year, as a ratio; NaN where PD, product or term do not tell.
    step : ndarray of int64
        Place of the rate on the product's grid.
    ppm : ndarray of int64
        The rate, of the product's period.
    year : ndarray of float64
        The rate a year, as a ratio.
    profit : ndarray of float64
        Expected profit to amount over the loan's life, after funding, operation and expected loss.
    uncovered : ndarray of bool
        Whether that is below zero.
    """

    needed: Floats
    step: Ints
    ppm: Ints
    year: Floats
    profit: Floats
    uncovered: Flags


def price(asked: Asked, term: Ints, tables: RateTables, strategy: dict[str, Floats]) -> Price:
    """Price applicants.

    Parameters
    ----------
    asked : Asked
        Whose products are all known; `term` is their place among the product's terms.
    strategy : dict of str to ndarray, shape (products,)
        From `strategy_arrays`.
    """
    product, bounds = asked.product, tables.bounds
    life = years_out(product, term, tables, strategy)
    loss = asked.pd * strategy["lgd"][product]
    costs = _costs(product, strategy)
    earned = strategy["margin_rate"][product] + loss / life
    with np.errstate(divide="ignore"):  # a certain default has no price: infinite
        needed = costs + earned / (1 - asked.pd)
    least, width = bounds["rate_least"][product], bounds["rate_step"][product]
    a_year = bounds["a_year"][product]
    highest = (bounds["rate_most"][product] - least) / width
    wanted = np.ceil((needed * PPM / a_year - least) / width)
    step = np.where(np.isnan(wanted), highest, np.minimum(np.maximum(wanted, 0.0), highest))
    ppm = least + step * width
    year = ppm * a_year / PPM
    profit = life * (year - costs) * (1 - asked.pd) - loss
    return Price(needed, step.astype(np.int64), ppm.astype(np.int64), year, profit, profit < 0)


def earned_if_repaid(
    product: Ints, term: Ints, year: Floats, tables: RateTables, strategy: dict[str, Floats]
) -> Floats:
    """What a loan at a rate a year earns of its amount over its life, after funding and operation, if it is repaid."""
    return years_out(product, term, tables, strategy) * (year - _costs(product, strategy))


def years_out(product: Ints, term: Ints, tables: RateTables, strategy: dict[str, Floats]) -> Floats:
    """Years for which the amount is out; `term` is its place among the product's terms."""
    own = strategy["life_years"][product]
    return np.where(np.isnan(own), tables.life[tables.life_first[product] + term], own)


def _costs(product: Ints, strategy: dict[str, Floats]) -> Floats:
    return strategy["funding_rate"][product] + strategy["operating_rate"][product]
