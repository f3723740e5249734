"""Invoices of the business owners among the customers: what their businesses sell and buy, as the tax office has it.

Shares of void invoices and of returned goods, the spread of amounts and the weight of the largest counterparty are
about those of the 123 firms of the public contest data CUMCM 2020 C. Strain thins the sales first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lenders.simulated.people import OWNER, People
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    Floats,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
    whole,
)

_TAX_RATES = np.array([0.0, 0.01, 0.03, 0.06, 0.09, 0.13])
_TAXED = (0.03, 0.12, 0.25, 0.2, 0.08, 0.32)
_PARTNERS = 30  # a business deals with so many at most on each side
_VOID_LATER = 0.4  # of the void ones


@dataclass(frozen=True)
class _Side:
    """What differs between sales and purchases: how often, how large, how spread, void, returned, how strain tells."""

    direction: int
    monthly: float
    turnover: float  # a month, in monthly incomes
    spread: float
    void: float
    returned: float
    strain: float


_SIDES = (_Side(0, 5.0, 6.0, 1.0, 0.069, 0.05, -0.30), _Side(1, 4.0, 4.2, 1.5, 0.036, 0.009, -0.12))


def invoice_tables(
    people: People, timeline: Timeline, seen: Ints, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """Build `invoices`.

    Parameters
    ----------
    seen : ndarray of int64, shape (2, customers)
        First and last month in which the lender sees a customer's invoices.
    """
    rng = generator(seed, "invoices")
    months = np.arange(timeline.size)
    in_business = (people.segment == OWNER)[:, None]
    customer, month = np.nonzero(in_business & (months >= seen[0][:, None]) & (months <= seen[1][:, None]))
    size = np.exp(0.45 * rng.standard_normal(len(people)))  # of the business, at the same income
    crowd = np.exp(0.3 * people.stability + 0.5 * rng.standard_normal(len(people)))  # the steady have more partners
    parts = [_side(side, people, timeline, customer, month, size, crowd, rng) for side in _SIDES]
    whose, at, amount, partner, direction, void = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(at, kind="stable")
    whose, at, amount, partner, direction, void = (
        column[order] for column in (whose, at, amount, partner, direction, void)
    )
    rate = _TAX_RATES[rng.choice(len(_TAX_RATES), len(people), p=_TAXED)][whose]
    n = len(at)
    lag = (rng.exponential(2.0, n) * DAY + HOUR).astype(np.int64) + (rng.random(n) < 0.05) * 20 * DAY
    later = np.flatnonzero(void & (rng.random(n) < _VOID_LATER))
    rows = np.concatenate([np.arange(n), later])
    known_at, void_told = (at + lag)[rows], void[rows]
    known_at[n:] += (rng.uniform(1, 30, len(later)) * DAY).astype(np.int64)
    void_told[later] = False
    fen = whole(100 * amount)
    table = pa.table({
        "invoice_id": identifiers("F", rows),
        "customer_id": customers.take(pa.array(whose[rows])),
        "occurred_at": moments_column(at[rows]),
        "known_at": moments_column(known_at),
        "direction": labels(("sale", "purchase"), direction[rows]),
        "status": labels(("valid", "void"), void_told.astype(np.int64)),
        "amount": fen[rows],
        "tax": whole(fen * rate)[rows],
        "counterparty_id": identifiers("G", partner[rows]),
    })  # fmt: skip
    return {"invoices": known_before(table, timeline.end)}


def _side(
    side: _Side, people: People, timeline: Timeline, customer: Ints, month: Ints, size: Floats, crowd: Floats,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Customer, moment, CNY, counterparty, direction and whether void of the invoices of one side."""
    thinned = np.exp(side.strain * people.strain[customer, month])
    rows = np.repeat(np.arange(len(customer)), rng.poisson(side.monthly * size[customer] * thinned))
    whose = customer[rows]
    n = len(rows)
    typical = people.income[whose] * side.turnover / side.monthly * np.exp(-(side.spread**2) / 2)
    amount = typical * np.exp(side.spread * rng.standard_normal(n))
    at = timeline.within(month[rows], rng.random(n)) + (rng.uniform(8, 19, n) * HOUR).astype(np.int64)
    partner = _partner(whose, crowd, side.direction, rng)
    void = rng.random(n) < side.void
    back = np.flatnonzero(~void & (rng.random(n) < side.returned))
    returned_at = at[back] + (rng.uniform(1, 25, len(back)) * DAY).astype(np.int64)
    returned = -amount[back] * np.where(rng.random(len(back)) < 0.5, 1.0, rng.uniform(0.1, 1.0, len(back)))
    total = n + len(back)
    return (
        np.concatenate([whose, whose[back]]),
        np.concatenate([at, returned_at]),
        np.concatenate([amount, returned]),
        np.concatenate([partner, partner[back]]),
        np.full(total, side.direction),
        np.concatenate([void, np.zeros(len(back), bool)]),
    )


def _partner(whose: Ints, crowd: Floats, direction: int, rng: np.random.Generator) -> Ints:
    """Counterparty of each invoice: the first few of a business have most of its trade."""
    rank = np.minimum((4.0 * crowd[whose] * rng.exponential(1.0, len(whose)) ** 1.4).astype(np.int64), _PARTNERS - 1)
    mixed = (whose * 2 + direction) * _PARTNERS + rank
    return (mixed * 7_368_787 + 1_299_709) % 99_999_989  # a pseudonym does not tell whose partner it is
