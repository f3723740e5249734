"""The arithmetic of a decision, for one applicant and for many: eligibility, cut-offs, price and limit, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policy.limit import BOUNDS, Limit, limit
from policy.price import Price, price
from policy.reasons import BIT, DECLINES, REFERS
from policy.terms import Asked, Flags, Floats, Ints, RateTables

_BOUND_REASONS = dict(zip(BOUNDS, ("L11", "L12", "L13", "L14", "L15"), strict=True))


@dataclass(frozen=True)
class Judgement:
    """What the policy says before the rules are heard; arrays of shape (n,).

    Parameters
    ----------
    reasons : ndarray of int64
        Bits of `policy.reasons.REASONS`.
    outcome : ndarray of int64
        Place in `OUTCOMES`: 0 approve, 1 refer, 2 decline.
    amount : ndarray of int64
        Fen that are offered: what was asked for, rounded down to the product's step, or the limit; 0 for none.
    price : Price
    limit : Limit
    """

    reasons: Ints
    outcome: Ints
    amount: Ints
    price: Price
    limit: Limit


def judge(asked: Asked, tables: RateTables, strategy: dict[str, Floats]) -> Judgement:
    """Judge applicants by products, score, price and limit.

    Parameters
    ----------
    strategy : dict of str to ndarray, shape (products,)
        From `strategy_arrays`.
    """
    offered = asked.product >= 0
    known = replace(asked, product=np.where(offered, asked.product, 0))  # the rest is not told of what is not offered
    product, bounds = known.product, tables.bounds
    term, fits = term_places(known, tables)
    priced = price(known, term, tables, strategy)
    limited = limit(known, priced, term, tables, strategy)
    least, width = bounds["amount_least"][product], bounds["amount_step"][product]
    wish = np.floor(np.where(np.isnan(known.amount), 0.0, known.amount) / width) * width
    amount = np.minimum(wish, limited.fen)
    years = np.floor(known.age)
    small = limited.fen < least
    unverified = np.isnan(known.income) & (limited.bounds["income"] < least)  # a person may find an income
    otherwise = np.minimum.reduce([limited.bounds[name] for name in BOUNDS if name != "income"]) < least
    unscored = np.isnan(known.pd)
    below = (limited.fen < wish) & ~unscored
    cut = {name: strategy[name][product] for name in ("approve_pd", "decline_pd", "least_share")}
    incomplete = np.isnan(known.age) | np.isnan(known.amount) | np.isnan(known.term)
    found = {
        "P02": (years < bounds["age_least"][product]) | (years > bounds["age_most"][product]),
        "P03": ~fits & ~np.isnan(known.term),
        "P04": known.amount < least,
        "S01": known.pd >= cut["decline_pd"],
        "R01": priced.uncovered,
        "L01": small & ~unscored & (otherwise | ~unverified),
        "P05": incomplete,
        "S02": unscored,
        "S03": (known.pd > cut["approve_pd"]) & (known.pd < cut["decline_pd"]),
        "L02": unverified,
        "L03": ~small & (limited.fen < cut["least_share"] * wish),
        **{code: below & (np.floor(limited.bounds[name] / width) * width <= limited.fen)
           for name, code in _BOUND_REASONS.items()},
        "R02": priced.step > 0,
    }  # fmt: skip
    bits = _packed(found, offered)
    outcome = np.where(bits & DECLINES, 2, np.where(bits & REFERS, 1, 0))
    nothing = ~offered | small | incomplete | ~fits | unscored | (known.amount < least)
    return Judgement(bits, outcome, np.where(nothing, 0.0, amount).astype(np.int64), priced, limited)


def term_places(asked: Asked, tables: RateTables) -> tuple[Ints, Flags]:
    """Place of each term among its product's, 0 where it is none of them, and whether it is one."""
    bounds, product = tables.bounds, asked.product
    place = (asked.term - bounds["term_least"][product]) / bounds["term_step"][product]
    fits = (place == np.floor(place)) & (asked.term <= bounds["term_most"][product]) & (place >= 0)
    return np.where(fits, place, 0.0).astype(np.int64), fits


def _packed(found: dict[str, Flags], offered: Flags) -> Ints:
    bits = np.zeros(len(offered), np.int64)
    for code, flags in found.items():
        bits |= np.where(flags, BIT[code], 0)
    return np.where(offered, bits, BIT["P01"])
