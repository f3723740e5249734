"""Who asks for which loan, when and through which channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenders.simulated.people import FAMILY, OWNER, YOUNG, People
from lenders.simulated.rings import Rings
from lenders.simulated.scenarios import Scenario
from lenders.simulated.timeline import HISTORY_MONTHS, HOUR, Flags, Floats, Ints, Timeline, poisson, sigmoid

PRODUCTS = ("emergency_cash", "renovation", "education", "business")
EMERGENCY_CASH, RENOVATION, EDUCATION, BUSINESS = range(4)
CHANNELS = ("app", "merchant", "branch", "partner", "aggregator")
MERCHANT, BRANCH, AGGREGATOR = 1, 2, 4

_CHANNEL_SHARES = (0.62, 0.12, 0.08, 0.18)
_EARLIER_MONTHS = 18  # loans so long before the first application in the tables are own repayment history
_MOST = 5


@dataclass(frozen=True)
class Requests:
    """Requests for loans in order of customer and month; arrays of shape (n,), named as in `Decisions`.

    `made` tells which are made: a ring's member asks once, a newcomer not before the channel opens.
    """

    customer: Ints
    month: Ints
    applied_at: Ints
    product: Ints
    term: Ints
    amount: Floats
    annual_rate: Floats
    down_payment: Floats
    channel: Ints
    ring: Ints
    made: Flags

    def __len__(self) -> int:
        return len(self.customer)


def request(people: People, timeline: Timeline, rings: Rings, scenario: Scenario, rng: np.random.Generator) -> Requests:
    """Let customers ask: at least once in the tables' months, sooner when strained."""
    opens = min(scenario.first_month(timeline), timeline.size - 1)
    customer, month = _months(people, timeline, opens, rng)
    n = len(customer)
    ring = rings.of[customer]
    in_ring = np.flatnonzero(ring >= 0)
    made = ~people.newcomer[customer] | (month >= opens)
    made[in_ring] = False
    asks = in_ring[month[in_ring] >= HISTORY_MONTHS]
    asks = asks[np.unique(customer[asks], return_index=True)[1]]
    made[asks] = True
    month[asks] = rings.month[ring[asks]]
    share = rng.random(n)
    share[asks] = rings.day[ring[asks]] + 0.12 * share[asks]  # within four days
    applied_at = timeline.within(month, share) + (rng.uniform(8, 23, n) * HOUR).astype(np.int64)
    product, term, amount, rate, down_payment = _terms(people, customer, rng)
    channel = np.searchsorted(np.cumsum(_CHANNEL_SHARES)[:-1], rng.random(n))
    channel = np.where(product == EDUCATION, MERCHANT, channel)
    channel[people.newcomer[customer]] = AGGREGATOR
    channel[asks] = rings.channel[ring[asks]]
    return Requests(customer, month, applied_at, product, term, amount, rate, down_payment, channel, ring, made)


def _months(people: People, timeline: Timeline, opens: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    mean = np.array([1.25, 0.40, 0.55])[people.segment] * np.exp(0.3 * people.hunger - 0.05)
    n = len(people)
    counts = 1 + poisson(rng.random(n), mean, min(_MOST, timeline.months) - 1)
    earlier = poisson(rng.random(n), 0.45 * mean + 0.1, 2)
    spans = ((HISTORY_MONTHS - _EARLIER_MONTHS, HISTORY_MONTHS, earlier), (HISTORY_MONTHS, timeline.size, counts))
    pairs = []
    for first, last, wanted in spans:
        urge = rng.gumbel(size=(n, last - first)) + 0.45 * people.strain[:, first:last]
        urge[people.newcomer, : max(opens - first, 0)] -= 100
        ranked = np.argsort(-urge, axis=1)[:, : int(wanted.max(initial=0))]
        chosen = np.arange(ranked.shape[1]) < wanted[:, None]
        pairs.append((np.nonzero(chosen)[0], ranked[chosen] + first))
    customer, month = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    order = np.lexsort((month, customer))
    return customer[order], month[order]


def _terms(people: People, customer: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """Product, term in months, amount in CNY, annual rate and down payment, as the products are sold.

    The term of emergency cash is that of each drawing, its rate 365 times a daily one. The goods cost what is lent and
    what is paid down: the loan goes to the merchant.
    """
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
    cheap, dear = np.array([[0.0003, 0.0005], [0.06, 0.08], [0.06, 0.08], [0.07, 0.09]])[product].T
    quoted = rng.uniform(cheap, dear)
    rate = np.where(product == EMERGENCY_CASH, np.round(365 * np.round(quoted, 5), 5), np.round(quoted, 4))
    share = rng.uniform(0.05, 0.3, n)
    goods = (product == RENOVATION) | (product == EDUCATION)
    return product, term, amount, rate, np.where(goods, np.rint(amount * share / (1 - share) / 100) * 100, 0.0)
