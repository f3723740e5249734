"""Requests for loans, their true PD, what the legacy policy made of them, and how the loans went."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from lenders.simulated.people import People
from lenders.simulated.requests import BUSINESS, EMERGENCY_CASH, PRODUCTS, Requests, request
from lenders.simulated.rings import Rings
from lenders.simulated.scenarios import Scenario
from lenders.simulated.timeline import (
    DAY,
    HISTORY_MONTHS,
    NEVER,
    Flags,
    Floats,
    Ints,
    Timeline,
    generator,
    geometric,
    months_later,
    sigmoid,
)

__all__ = ["LINE_MONTHS", "PRODUCTS", "Decisions", "decide", "late_90_dpd"]

LINE_MONTHS = 12  # the longest that a credit line can be drawn
_INTERCEPTS = np.array([-3.38, -3.72, -3.52, -3.47])
_APPROVAL_CUTOFF = -0.85
_LAST_EARLY_MISS = 4  # a fourth instalment missed is 30 days late before the sixth month on book ends
_RING_PD = 0.97
_ASKED = (
    "customer", "month", "applied_at", "product", "term", "channel", "ring", "amount", "annual_rate", "down_payment"
)  # fmt: skip


@dataclass(frozen=True)
class Decisions:
    """All requests for loans in order of time, those before the first month of the tables too; arrays of shape (n,).

    Parameters
    ----------
    customer, month, applied_at : ndarray of int64
        Whose, in which month of the grid, when.
    product, term, channel, ring : ndarray of int64
        Code in `PRODUCTS`; months, for emergency cash those of each drawing; code in `CHANNELS`; number of the fraud
        ring, -1 for none.
    amount, annual_rate, down_payment, supplier_score : ndarray of float64
        CNY; ratio; CNY; outside score on the normal scale, higher is safer.
    true_pd : ndarray of float64
        Probability of 30 days past due by the sixth month on book, would the loan be granted.
    defaults : ndarray of bool
        Whether that comes to pass, granted or not.
    granted : ndarray of bool
        The legacy policy's decision.
    missed : ndarray of int64
        Month on book from which instalments are missed for long, 0 for never.
    cured : ndarray of bool
        Whether the arrears are paid in the end.
    listed : ndarray of bool
        Whether the request is in `applications`.
    serial : ndarray of int64
        The request's place in random draws that other scenarios share.
    """

    customer: Ints
    month: Ints
    applied_at: Ints
    product: Ints
    term: Ints
    channel: Ints
    ring: Ints
    amount: Floats
    annual_rate: Floats
    down_payment: Floats
    supplier_score: Floats
    true_pd: Floats
    defaults: Flags
    granted: Flags
    missed: Ints
    cured: Flags
    listed: Flags
    serial: Ints

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, rows: Ints) -> Decisions:
        """The given requests, in that order."""
        return Decisions(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def decide(people: People, timeline: Timeline, macro: Floats, rings: Rings, scenario: Scenario, seed: int) -> Decisions:
    """Let customers apply, the legacy policy decide and the loans run their course.

    `people.strain` is raised around a default, in months after the application only: what happens before a decision
    knows nothing of what comes after it.
    """
    asked = request(people, timeline, rings, scenario, generator(seed, "requests"))
    rng = generator(seed, "decisions")
    n = len(asked)
    luck, noise = rng.random((n, 5)), rng.standard_normal((n, 3))
    true_pd, supplier = np.empty(n), np.empty(n)
    defaults, granted, cured = np.zeros(n, bool), np.zeros(n, bool), (luck[:, 1] < 0.4) & (asked.ring < 0)
    missed = np.zeros(n, np.int64)
    in_arrears_from = np.full(len(people), NEVER)
    burden = np.clip(np.log(asked.amount / asked.term / people.income[asked.customer]) + 1.5, -1.5, 1.5)
    for ranked in _by_rank(asked.customer):  # a customer's second request follows what became of the first
        rows = ranked[asked.made[ranked]]
        who, when, ringed = asked.customer[rows], asked.month[rows], asked.ring[rows] >= 0
        strain = people.strain[who, when]
        risk = (
            _INTERCEPTS[asked.product[rows]]
            + _inclination(people, who, strain, strain - people.strain[who, when - 3])
            + 0.30 * burden[rows]
            + 0.60 * macro[when + 3]
            + 0.25 * noise[rows, 0]
        )
        true_pd[rows] = np.where(ringed, _RING_PD, sigmoid(risk))
        seen = _supplier_score(people, who, strain, noise[rows, 1])
        supplier[rows] = np.where(ringed, 0.3 + 0.3 * noise[rows, 1], seen)
        points = supplier[rows] + 0.25 * people.ability[who] - 0.2 * burden[rows] + 0.3 * noise[rows, 2]
        granted[rows] = (points > _APPROVAL_CUTOFF) & (in_arrears_from[who] > asked.applied_at[rows])
        defaults[rows] = luck[rows, 0] < true_pd[rows]
        missed[rows] = np.where(
            ringed & defaults[rows], 1, _first_missed(defaults[rows], true_pd[rows], asked, rows, luck[rows, 2:4])
        )
        troubled = rows[granted[rows] & (missed[rows] > 0)]
        _raise_strain(people.strain, asked, troubled, missed[troubled], 0.8 + 1.4 * luck[troubled, 4])
        unpaid = troubled[~cured[troubled]]
        since = asked.applied_at[unpaid] + (missed[unpaid] + 1) * 30 * DAY
        np.minimum.at(in_arrears_from, asked.customer[unpaid], since)
    made = np.flatnonzero(asked.made)
    return Decisions(
        **{name: getattr(asked, name) for name in _ASKED},
        supplier_score=supplier,
        true_pd=true_pd,
        defaults=defaults,
        granted=granted,
        missed=missed,
        cured=cured,
        listed=asked.month >= HISTORY_MONTHS,
        serial=np.arange(n),
    ).take(made[np.argsort(asked.applied_at[made], kind="stable")])


def late_90_dpd(decisions: Decisions) -> Flags:
    """Whether a loan would be 90 days past due by the twelfth month on book, granted or not.

    That is an instalment missed for long early enough, whose arrears are not paid; cured arrears end before 85 days.
    """
    late: Flags = (
        months_later(decisions.applied_at, 12) - months_later(decisions.applied_at, decisions.missed) >= 90 * DAY
    )
    return late & (decisions.missed > 0) & ~decisions.cured


def _by_rank(customer: Ints) -> list[Ints]:
    """Rows of everybody's first request, of everybody's second, and so on; `customer` is sorted."""
    rank = np.arange(len(customer)) - np.searchsorted(customer, customer)
    return [np.flatnonzero(rank == k) for k in range(int(rank.max(initial=-1)) + 1)]


def _inclination(people: People, who: Ints, strain: Floats, worsening: Floats) -> Floats:
    """What traits and purse add to the log-odds of default."""
    drift: Floats = (
        -0.55 * people.ability[who]
        - 0.82 * people.willingness[who]
        - 0.33 * people.stability[who]
        + 0.40 * people.hunger[who]
        + 0.62 * people.juggling[who]
        + 0.75 * strain
        + 0.30 * worsening
    )
    return drift


def _supplier_score(people: People, who: Ints, strain: Floats, noise: Floats) -> Floats:
    """An outside score that sees traits through a fog and is late to see strain."""
    score: Floats = (
        0.34 * people.willingness[who]
        + 0.30 * people.ability[who]
        - 0.24 * people.hunger[who]
        - 0.20 * strain
        + 0.68 * noise
    )
    return score


def _first_missed(defaults: Flags, true_pd: Floats, asked: Requests, rows: Ints, luck: Floats) -> Ints:
    """Month on book of the first instalment missed for long: early for those who default, else later or never (0).

    A credit line is drawn anew, so that it can go wrong after the term of its first drawing.
    """
    product = asked.product[rows]
    until = np.where(product == EMERGENCY_CASH, LINE_MONTHS, asked.term[rows])
    early = 1 + np.searchsorted([0.2, 0.45, 0.72], luck[:, 0])  # a fifth default on the first payment
    early = np.where(product == BUSINESS, 3, np.minimum(early, np.minimum(until, _LAST_EARLY_MISS)))
    late = 5 + geometric(luck[:, 1], 0.07 * true_pd)
    late = np.where(product == BUSINESS, -(-late // 3) * 3, late)
    return np.where(defaults, early, np.where(late <= until, late, 0))


def _raise_strain(strain: npt.NDArray[np.float64], asked: Requests, rows: Ints, missed: Ints, height: Floats) -> None:
    """Let strain grow towards a default and ebb after it, never in the month of the application or before."""
    month = asked.month[rows]
    for offset, share in zip(range(-2, 7), (0.4, 0.8, 1.0, 1.0, 0.8, 0.6, 0.45, 0.3, 0.15), strict=True):
        at = month + missed + offset
        later = (at > month) & (at < strain.shape[1])
        np.add.at(strain, (asked.customer[rows[later]], at[later]), share * height[later])
