"""Transactions on the customers' accounts. What strain does to a purse shows here first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.tables import TRANSACTION_CATEGORIES as CATEGORIES
from lenders.simulated.accounts import Accounts
from lenders.simulated.flows import Flow, Lives, debt_service, drawdowns, live_months, moments, own_loans
from lenders.simulated.people import OWNER, People
from lenders.simulated.repayment import Purse
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
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
_WRONG = 0.001  # share of transactions that are mended later


def consumption_tables(
    accounts: Accounts, people: People, timeline: Timeline, seen: Ints, purse: Purse, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """Build `transactions`.

    Parameters
    ----------
    seen : ndarray of int64, shape (2, customers)
        First and last month in which the lender sees a customer's account.
    purse : Purse
        What own loans move on the accounts.
    """
    rng = generator(seed, "consumption")
    lives = live_months(accounts, people, timeline, seen)
    flows = [
        _salaries(lives, people, timeline, rng),
        _business(lives, people, timeline, rng),
        *debt_service(lives, people, timeline, rng),
        _gambling(lives, timeline, rng),
        _transfers(lives, timeline, rng),
        _fees(lives, timeline, rng),
        drawdowns(accounts, timeline, seen),
        *own_loans(purse, timeline, seen),
        *(_spending(category, lives, timeline, rng) for category in _SPENDING),
    ]
    return {"transactions": _table(flows, timeline, customers, rng)}


def _salaries(lives: Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> Flow:
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
    return Flow("salary", customer, at, amount, np.ones(len(rows), bool), 2, 2)


def _business(lives: Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> Flow:
    """Owners take in and pay out several times a month; strain thins the takings."""
    owner = people.segment[lives.customer] == OWNER
    takings = rng.poisson(np.where(owner, 2.2 * np.exp(-0.25 * lives.strain), 0.0))
    costs = rng.poisson(np.where(owner, 1.5, 0.0))
    rows = np.concatenate([np.repeat(np.arange(len(owner)), counts) for counts in (takings, costs)])
    money_in = np.arange(len(rows)) < takings.sum()
    amount = lives.income[rows] * np.where(money_in, 0.7, 0.5) * np.exp(0.5 * rng.standard_normal(len(rows)))
    at = moments(timeline, lives.month[rows], rng)
    return Flow("business", lives.customer[rows], at, amount, money_in, 2, 5)


def _gambling(lives: Lives, timeline: Timeline, rng: np.random.Generator) -> Flow:
    rate = 0.09 * np.exp(0.45 * lives.hunger - 0.75 * lives.willingness + 0.25 * lives.strain)
    rows = np.repeat(np.arange(len(rate)), rng.poisson(rate))
    amount = lives.income[rows] * 0.03 * np.exp(0.9 * rng.standard_normal(len(rows)))
    at = moments(timeline, lives.month[rows], rng, night=0.45)
    return Flow("gambling", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 1, 0)


def _transfers(lives: Lives, timeline: Timeline, rng: np.random.Generator) -> Flow:
    """Between persons: the strained are helped more and help less."""
    received = rng.poisson(0.35 * np.exp(0.25 * lives.strain))
    given = rng.poisson(0.45 * np.exp(-0.15 * lives.strain))
    rows = np.concatenate([np.repeat(np.arange(len(received)), counts) for counts in (received, given)])
    amount = lives.income[rows] * 0.08 * np.exp(rng.standard_normal(len(rows)))
    at = moments(timeline, lives.month[rows], rng, night=0.06)
    return Flow("transfer", lives.customer[rows], at, amount, np.arange(len(rows)) < received.sum(), 2, 1)


def _fees(lives: Lives, timeline: Timeline, rng: np.random.Generator) -> Flow:
    rows = np.repeat(np.arange(len(lives.strain)), rng.poisson(0.06 * np.exp(0.8 * lives.strain)))
    amount = 8.0 + 40.0 * rng.random(len(rows))
    at = moments(timeline, lives.month[rows], rng)
    return Flow("fees", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 4, 3)


def _spending(category: str, lives: Lives, timeline: Timeline, rng: np.random.Generator) -> Flow:
    """Everyday spending; strain saves on what can wait."""
    times, share, spread, channel, counterparty = _SPENDING[category]
    saving = 0.18 if category in ("dining", "shopping", "travel", "entertainment") else 0.03
    rows = np.repeat(np.arange(len(lives.strain)), rng.poisson(times * np.exp(-saving * lives.strain)))
    amount = lives.income[rows] * share * np.exp(spread * rng.standard_normal(len(rows)))
    at = moments(timeline, lives.month[rows], rng, night=0.03)
    money_in = np.full(len(rows), category in _MONEY_IN)
    return Flow(category, lives.customer[rows], at, amount, money_in, channel, counterparty)


def _table(flows: list[Flow], timeline: Timeline, customers: pa.Array, rng: np.random.Generator) -> pa.Table:
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
    rows, known_at, fen, category = _with_mended(at + lag, fen, category, rng)
    table = pa.table({
        "transaction_id": identifiers("T", rows),
        "customer_id": customers.take(pa.array(customer[rows])),
        "occurred_at": moments_column(at[rows]),
        "known_at": moments_column(known_at),
        "amount": fen,
        "direction": labels(("out", "in"), money_in.astype(np.int8)[rows]),
        "category": labels(CATEGORIES, category),
        "channel": labels(CHANNELS, channel[rows]),
        "counterparty_kind": labels(COUNTERPARTIES, counterparty[rows]),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _with_mended(
    known_at: Ints, fen: Ints, category: npt.NDArray[np.int8], rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.int8]]:
    """Rows, when they are learned, amount and category: a few are wrong at first and come again at the end."""
    n = len(fen)
    wrong = np.flatnonzero(rng.random(n) < _WRONG)
    rows = np.concatenate([np.arange(n), wrong])
    unsorted = rng.random(len(wrong)) < 0.6
    told, told_category = fen[rows], category[rows]
    off = np.maximum(whole(fen[wrong] * rng.uniform(0.5, 1.5, len(wrong))), 1)
    told[wrong] = np.where(unsorted, fen[wrong], off)
    told_category[wrong] = np.where(unsorted, CATEGORIES.index("other"), category[wrong])
    known_at = known_at[rows]
    known_at[n:] += (rng.uniform(0.5, 9, len(wrong)) * DAY).astype(np.int64)
    return rows, known_at, told, told_category
