"""Requests for loans, their true PD, what the legacy policy made of them, and how the loans went."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from lenders.simulated.people import FAMILY, OWNER, YOUNG, People
from lenders.simulated.timeline import DAY, HISTORY_MONTHS, HOUR, Flags, Floats, Ints, Timeline, generator, sigmoid

PRODUCTS = ("emergency_cash", "renovation", "education", "business")
EMERGENCY_CASH, RENOVATION, EDUCATION, BUSINESS = range(4)

_EARLIER_MONTHS = 18  # loans so long before the first application in the tables are own repayment history
_INTERCEPTS = np.array([-3.38, -3.72, -3.52, -3.47])
_APPROVAL_CUTOFF = -0.85
_LAST_EARLY_MISS = 4  # a fourth instalment missed is 30 days late before the sixth month on book ends


@dataclass(frozen=True)
class Decisions:
    """All requests for loans in order of time, those before the first month of the tables too; arrays of shape (n,).

    Parameters
    ----------
    customer, month, applied_at : ndarray of int64
        Whose, in which month of the grid, when.
    product, term : ndarray of int64
        Code in `PRODUCTS`; months.
    amount, annual_rate, supplier_score : ndarray of float64
        CNY; ratio; outside score on the normal scale, higher is safer.
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
    """

    customer: Ints
    month: Ints
    applied_at: Ints
    product: Ints
    term: Ints
    amount: Floats
    annual_rate: Floats
    supplier_score: Floats
    true_pd: Floats
    defaults: Flags
    granted: Flags
    missed: Ints
    cured: Flags
    listed: Flags

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, rows: Ints) -> Decisions:
        """The given requests, in that order."""
        return Decisions(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def decide(people: People, timeline: Timeline, macro: Floats, seed: int) -> Decisions:
    """Let customers apply, the legacy policy decide and the loans run their course.

    `people.strain` is raised around a default, in months after the application only: what happens before a decision
    knows nothing of what comes after it.
    """
    rng = generator(seed, "decisions")
    customer, month = _requests(people, timeline, rng)
    n = len(customer)
    applied_at = timeline.within(month, rng.random(n)) + (rng.uniform(8, 23, n) * HOUR).astype(np.int64)
    product, term, amount, rate = _terms(people, customer, rng)
    true_pd, supplier, draw = np.empty(n), np.empty(n), rng.random(n)
    defaults, granted, cured = np.zeros(n, bool), np.zeros(n, bool), rng.random(n) < 0.4
    missed = np.zeros(n, np.int64)
    noise = rng.standard_normal((n, 3))
    in_arrears_from = np.full(len(people), np.iinfo(np.int64).max)
    burden = np.clip(np.log(amount / term / people.income[customer]) + 1.5, -1.5, 1.5)
    for rows in _by_rank(customer):  # a customer's second request follows what became of the first
        who, when = customer[rows], month[rows]
        strain = people.strain[who, when]
        true_pd[rows] = sigmoid(
            _INTERCEPTS[product[rows]]
            + _inclination(people, who, strain, strain - people.strain[who, when - 3])
            + 0.30 * burden[rows]
            + 0.60 * macro[when + 3]
            + 0.25 * noise[rows, 0]
        )
        supplier[rows] = _supplier_score(people, who, strain, noise[rows, 1])
        points = supplier[rows] + 0.25 * people.ability[who] - 0.2 * burden[rows] + 0.3 * noise[rows, 2]
        granted[rows] = (points > _APPROVAL_CUTOFF) & (in_arrears_from[who] > applied_at[rows])
        defaults[rows] = draw[rows] < true_pd[rows]
        missed[rows] = _first_missed(defaults[rows], true_pd[rows], product[rows], term[rows], rng)
        troubled = rows[granted[rows] & (missed[rows] > 0)]
        _raise_strain(people.strain, customer[troubled], month[troubled], missed[troubled], rng)
        unpaid = troubled[~cured[troubled]]
        since = applied_at[unpaid] + (missed[unpaid] + 1) * 30 * DAY
        np.minimum.at(in_arrears_from, customer[unpaid], since)
    listed = month >= HISTORY_MONTHS
    return Decisions(
        customer,
        month,
        applied_at,
        product,
        term,
        amount,
        rate,
        supplier,
        true_pd,
        defaults,
        granted,
        missed,
        cured,
        listed,
    ).take(np.argsort(applied_at, kind="stable"))


def _requests(people: People, timeline: Timeline, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Customer and month of each request: at least one in the tables' months, sooner when strained."""
    mean = np.array([1.25, 0.40, 0.55])[people.segment] * np.exp(0.3 * people.hunger - 0.05)
    counts = np.minimum(1 + rng.poisson(mean), min(5, timeline.months))
    earlier = np.minimum(rng.poisson(0.45 * mean + 0.1), 2)
    spans = ((HISTORY_MONTHS - _EARLIER_MONTHS, HISTORY_MONTHS, earlier), (HISTORY_MONTHS, timeline.size, counts))
    pairs = []
    for first, last, wanted in spans:
        urge = rng.gumbel(size=(len(people), last - first)) + 0.45 * people.strain[:, first:last]
        ranked = np.argsort(-urge, axis=1)[:, : int(wanted.max(initial=0))]
        chosen = np.arange(ranked.shape[1]) < wanted[:, None]
        pairs.append((np.nonzero(chosen)[0], ranked[chosen] + first))
    customer, month = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    order = np.lexsort((month, customer))
    return customer[order], month[order]


def _terms(people: People, customer: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Floats, Floats]:
    """Product, term in months, amount in CNY and annual rate of each request, as the products are sold."""
    n = len(customer)
    segment = people.segment[customer]
    renovates = rng.random(n) < 0.45
    product = np.select(
        [segment == YOUNG, (segment == FAMILY) & renovates, segment == FAMILY], [EMERGENCY_CASH, RENOVATION, EDUCATION]
    ).astype(np.int64)
    product[segment == OWNER] = BUSINESS
    wish = sigmoid(0.9 * rng.standard_normal(n) + 0.35 * people.ability[customer] + 0.2 * people.hunger[customer] - 0.3)
    low, high, step = np.array([[1_000, 5_000, 100], [50_000, 200_000, 1_000], [10_000, 100_000, 500],
                                [100_000, 500_000, 5_000]], dtype=float)[product].T  # fmt: skip
    amount = np.rint((low + wish * (high - low)) / step) * step
    shortest, longest, stride = np.array([[1, 3, 1], [12, 60, 6], [6, 36, 3], [6, 60, 3]])[product].T
    term = shortest + stride * rng.integers(0, (longest - shortest) // stride + 1)
    cheap, dear = np.array([[0.1095, 0.1825], [0.06, 0.08], [0.06, 0.08], [0.07, 0.09]])[product].T
    return product, term, amount, np.round(rng.uniform(cheap, dear), 4)


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


def _first_missed(defaults: Flags, true_pd: Floats, product: Ints, term: Ints, rng: np.random.Generator) -> Ints:
    """Month on book of the first instalment missed for long: early for those who default, else later or never (0)."""
    n = len(defaults)
    early = 1 + np.searchsorted([0.2, 0.45, 0.72], rng.random(n))  # a fifth default on the first payment
    early = np.where(product == BUSINESS, 3, np.minimum(early, np.minimum(term, _LAST_EARLY_MISS)))
    late = 5 + rng.geometric(np.clip(0.07 * true_pd, 1e-6, 1.0), n)
    late = np.where(product == BUSINESS, -(-late // 3) * 3, late)
    return np.where(defaults, early, np.where(late <= term, late, 0))


def _raise_strain(
    strain: npt.NDArray[np.float64], customer: Ints, month: Ints, missed: Ints, rng: np.random.Generator
) -> None:
    """Let strain grow towards a default and ebb after it, never in the month of the application or before."""
    height = rng.uniform(0.8, 2.2, len(customer))
    for offset, share in zip(range(-2, 7), (0.4, 0.8, 1.0, 1.0, 0.8, 0.6, 0.45, 0.3, 0.15), strict=True):
        at = month + missed + offset
        rows = (at > month) & (at < strain.shape[1])
        np.add.at(strain, (customer[rows], at[rows]), share * height[rows])
