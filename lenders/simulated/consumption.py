"""Transactions on the customers' accounts. What strain does to a purse shows here first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.tables import TRANSACTION_CATEGORIES as CATEGORIES
from lenders.simulated.bureau import CASH, CONSUMER, MICROLOAN, Accounts
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
    sigmoid,
    whole,
)

CHANNELS = ("pos", "online", "transfer", "atm", "direct_debit", "other")
COUNTERPARTIES = ("merchant", "person", "employer", "lender", "state", "other")

# category: times a month, share of a monthly income, spread of its logarithm, channel, counterparty
_SPENDING = {
    "groceries": (0.32, 0.020, 0.7, 0, 0),
    "dining": (0.25, 0.014, 0.7, 1, 0),
    "transport": (0.15, 0.008, 0.8, 1, 0),
    "housing": (0.20, 0.220, 0.3, 4, 1),
    "utilities": (0.12, 0.015, 0.5, 4, 0),
    "telecom": (0.10, 0.009, 0.3, 1, 0),
    "shopping": (0.28, 0.040, 1.0, 1, 0),
    "travel": (0.05, 0.150, 0.8, 1, 0),
    "health": (0.05, 0.040, 1.0, 0, 0),
    "education": (0.03, 0.120, 0.9, 1, 0),
    "entertainment": (0.10, 0.015, 0.8, 1, 0),
    "refund": (0.03, 0.020, 0.9, 1, 0),
    "other": (0.05, 0.030, 1.0, 5, 5),
}
_MONEY_IN = ("salary", "refund", "loan_drawdown")


@dataclass(frozen=True)
class _Flow:
    """Transactions of one category; arrays of shape (n,): customer, moment, CNY, money in, channel, counterparty."""

    category: str
    customer: Ints
    at: Ints
    amount: Floats
    money_in: npt.NDArray[np.bool_]
    channel: int
    counterparty: int


@dataclass(frozen=True)
class _Lives:
    """Months of customers that the account shows; arrays of shape (customer-months,)."""

    customer: Ints
    month: Ints
    strain: Floats
    income: Floats
    hunger: Floats
    willingness: Floats
    repayments: Ints


def consumption_tables(
    accounts: Accounts, people: People, timeline: Timeline, seen: Ints, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """Build `transactions`.

    Parameters
    ----------
    seen : ndarray of int64, shape (2, customers)
        First and last month in which the lender sees a customer's account.
    """
    rng = generator(seed, "consumption")
    lives = _lives(accounts, people, timeline, seen)
    flows = [
        _salaries(lives, people, timeline, rng),
        _business(lives, people, timeline, rng),
        *_debt_service(lives, people, timeline, rng),
        _gambling(lives, timeline, rng),
        _transfers(lives, timeline, rng),
        _fees(lives, timeline, rng),
        _drawdowns(accounts, timeline, seen),
        *(_spending(category, lives, timeline, rng) for category in _SPENDING),
    ]
    return {"transactions": _table(flows, timeline, customers, rng)}


def _lives(accounts: Accounts, people: People, timeline: Timeline, seen: Ints) -> _Lives:
    months = np.arange(timeline.size)
    customer, month = np.nonzero((months >= seen[0][:, None]) & (months <= seen[1][:, None]))
    return _Lives(
        customer=customer,
        month=month,
        strain=people.strain[customer, month],
        income=people.income[customer],
        hunger=people.hunger[customer],
        willingness=people.willingness[customer],
        repayments=np.minimum(accounts.active(len(people), timeline.size)[customer, month], 2).astype(np.int64),
    )


def _moments(timeline: Timeline, month: Ints, rng: np.random.Generator, night: float | Floats = 0.04) -> Ints:
    """Any day of the month; mostly from 8 to 23 o'clock, at `night` from 0 to 5."""
    n = len(month)
    hour = np.where(rng.random(n) < night, rng.uniform(0, 5, n), rng.uniform(8, 23, n))
    return timeline.within(month, rng.random(n)) + (hour * HOUR).astype(np.int64)


def _salaries(lives: _Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    """Once a month on the payday; strain makes it late, smaller, or absent."""
    strained = np.maximum(lives.strain, 0)
    paid = rng.random(len(lives.customer)) < 0.97 - 0.11 * np.minimum(strained, 4)
    rows = np.flatnonzero(paid & (people.segment[lives.customer] != OWNER))
    customer, strained = lives.customer[rows], strained[rows]
    delay = np.abs(rng.standard_normal(len(rows))) * (0.4 + 1.6 * strained)
    day = np.minimum(people.payday[customer] + delay, 27.0)
    at = timeline.starts[lives.month[rows]] + day.astype(np.int64) * DAY
    at += (rng.uniform(8, 18, len(rows)) * HOUR).astype(np.int64)
    amount = lives.income[rows] * (1 - 0.05 * np.minimum(strained, 4)) * np.exp(0.04 * rng.standard_normal(len(rows)))
    return _Flow("salary", customer, at, amount, np.ones(len(rows), bool), 2, 2)


def _business(lives: _Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    """Owners take in and pay out several times a month; strain thins the takings."""
    owner = people.segment[lives.customer] == OWNER
    takings = rng.poisson(np.where(owner, 2.2 * np.exp(-0.25 * lives.strain), 0.0))
    costs = rng.poisson(np.where(owner, 1.5, 0.0))
    rows = np.concatenate([np.repeat(np.arange(len(owner)), counts) for counts in (takings, costs)])
    money_in = np.arange(len(rows)) < takings.sum()
    amount = lives.income[rows] * np.where(money_in, 0.7, 0.5) * np.exp(0.5 * rng.standard_normal(len(rows)))
    at = _moments(timeline, lives.month[rows], rng)
    return _Flow("business", lives.customer[rows], at, amount, money_in, 2, 5)


def _debt_service(lives: _Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> tuple[_Flow, _Flow]:
    """Repayments elsewhere and cash advances.

    A juggler draws his advance in the hours before a repayment, others on any day and repay in the days after their
    salary. Both draw and repay as much and as often, so the habit shows in the order of the events and in no total.
    """
    counts = lives.repayments
    rows = np.repeat(np.arange(len(counts)), counts)
    at = _moments(timeline, lives.month[rows], rng, night=0.0)
    prompt = rng.random(len(rows)) < sigmoid(-1.8 * people.juggling[lives.customer[rows]])
    after_salary = people.payday[lives.customer[rows]] + 1 + 3 * rng.random(len(rows))
    settled = timeline.starts[lives.month[rows]] + ((after_salary % 28) * DAY).astype(np.int64)
    at = np.where(prompt & (people.segment[lives.customer[rows]] != OWNER), settled, at)
    amount = lives.income[rows] * 0.11 * np.exp(0.5 * rng.standard_normal(len(rows)))
    repaid = _Flow("loan_repayment", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 4, 3)

    advances = rng.poisson(0.55 * np.exp(0.45 * lives.hunger + 0.45 * lives.strain))
    who = np.repeat(np.arange(len(counts)), advances)
    drawn_at = _moments(timeline, lives.month[who], rng, night=0.08)
    juggles = rng.random(len(who)) < sigmoid(3.0 * people.juggling[lives.customer[who]] - 0.4)
    bound = np.flatnonzero(juggles & (counts[who] > 0))
    first = (np.cumsum(counts) - counts)[who[bound]]
    partner = first + (rng.random(len(bound)) * counts[who[bound]]).astype(np.int64)
    drawn_at[bound] = at[partner] - (rng.uniform(0.3, 14.0, len(bound)) * HOUR).astype(np.int64)
    amount = lives.income[who] * 0.10 * np.exp(0.6 * rng.standard_normal(len(who)))
    return repaid, _Flow("cash_advance", lives.customer[who], drawn_at, amount, np.zeros(len(who), bool), 3, 3)


def _gambling(lives: _Lives, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    rate = 0.09 * np.exp(0.45 * lives.hunger - 0.75 * lives.willingness + 0.25 * lives.strain)
    rows = np.repeat(np.arange(len(rate)), rng.poisson(rate))
    amount = lives.income[rows] * 0.03 * np.exp(0.9 * rng.standard_normal(len(rows)))
    at = _moments(timeline, lives.month[rows], rng, night=0.45)
    return _Flow("gambling", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 1, 0)


def _transfers(lives: _Lives, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    """Between persons: the strained are helped more and help less."""
    received = rng.poisson(0.35 * np.exp(0.25 * lives.strain))
    given = rng.poisson(0.45 * np.exp(-0.15 * lives.strain))
    rows = np.concatenate([np.repeat(np.arange(len(received)), counts) for counts in (received, given)])
    amount = lives.income[rows] * 0.08 * np.exp(rng.standard_normal(len(rows)))
    at = _moments(timeline, lives.month[rows], rng, night=0.06)
    return _Flow("transfer", lives.customer[rows], at, amount, np.arange(len(rows)) < received.sum(), 2, 1)


def _fees(lives: _Lives, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    rows = np.repeat(np.arange(len(lives.strain)), rng.poisson(0.06 * np.exp(0.8 * lives.strain)))
    amount = 8.0 + 40.0 * rng.random(len(rows))
    at = _moments(timeline, lives.month[rows], rng)
    return _Flow("fees", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 4, 3)


def _drawdowns(accounts: Accounts, timeline: Timeline, seen: Ints) -> _Flow:
    """Loans from elsewhere as they arrive on the account, an hour after their opening."""
    first, last = seen[:, accounts.customer]
    paid_out = np.isin(accounts.kind, (CASH, CONSUMER, MICROLOAN))
    rows = np.flatnonzero(paid_out & (accounts.opened >= np.maximum(first, 0)) & (accounts.opened <= last))
    amount = accounts.amount[rows] / 100
    at = accounts.opened_at[rows] + HOUR
    return _Flow("loan_drawdown", accounts.customer[rows], at, amount, np.ones(len(rows), bool), 2, 3)


def _spending(category: str, lives: _Lives, timeline: Timeline, rng: np.random.Generator) -> _Flow:
    """Everyday spending; strain saves on what can wait."""
    times, share, spread, channel, counterparty = _SPENDING[category]
    saving = 0.18 if category in ("dining", "shopping", "travel", "entertainment") else 0.03
    rows = np.repeat(np.arange(len(lives.strain)), rng.poisson(times * np.exp(-saving * lives.strain)))
    amount = lives.income[rows] * share * np.exp(spread * rng.standard_normal(len(rows)))
    at = _moments(timeline, lives.month[rows], rng, night=0.03)
    money_in = np.full(len(rows), category in _MONEY_IN)
    return _Flow(category, lives.customer[rows], at, amount, money_in, channel, counterparty)


def _table(flows: list[_Flow], timeline: Timeline, customers: pa.Array, rng: np.random.Generator) -> pa.Table:
    """Bring all flows in order of time and let the account feed deliver them with its delays."""
    sizes = [len(flow.customer) for flow in flows]
    at = np.concatenate([flow.at for flow in flows])
    order = np.argsort(at, kind="stable")
    at = at[order]
    customer = np.concatenate([flow.customer for flow in flows])[order]
    fen = np.maximum(whole(100 * np.concatenate([flow.amount for flow in flows])[order]), 1)
    money_in = np.concatenate([flow.money_in for flow in flows])[order]
    category, channel, counterparty = (
        np.repeat(np.array(codes, np.int8), sizes)[order]
        for codes in (
            [CATEGORIES.index(flow.category) for flow in flows],
            [flow.channel for flow in flows],
            [flow.counterparty for flow in flows],
        )
    )
    lag = rng.exponential(5.0 * HOUR, len(at)).astype(np.int64)
    lag += (rng.random(len(at)) < 0.03) * rng.integers(1, 6, len(at)) * DAY
    table = pa.table({
        "transaction_id": identifiers("T", np.arange(len(at))),
        "customer_id": customers.take(pa.array(customer)),
        "occurred_at": moments_column(at),
        "known_at": moments_column(at + lag),
        "amount": fen,
        "direction": labels(("out", "in"), money_in.astype(np.int8)),
        "category": labels(CATEGORIES, category),
        "channel": labels(CHANNELS, channel),
        "counterparty_kind": labels(COUNTERPARTIES, counterparty),
    })  # fmt: skip
    return known_before(table, timeline.end)
