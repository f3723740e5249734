"""What flows through the customers' accounts, and the flows of debt: elsewhere and at this lender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lenders.simulated.accounts import CASH, CONSUMER, MICROLOAN, Accounts
from lenders.simulated.people import OWNER, People
from lenders.simulated.repayment import Purse
from lenders.simulated.timeline import DAY, HOUR, Flags, Floats, Ints, Timeline, sigmoid


@dataclass(frozen=True)
class Flow:
    """Transactions of one category; arrays of shape (n,): customer, moment, CNY, money in, channel, counterparty."""

    category: str
    customer: Ints
    at: Ints
    amount: Floats
    money_in: Flags
    channel: int
    counterparty: int


@dataclass(frozen=True)
class Lives:
    """Months of customers that the account shows; arrays of shape (customer-months,)."""

    customer: Ints
    month: Ints
    strain: Floats
    income: Floats
    hunger: Floats
    willingness: Floats
    repayments: Ints


def live_months(accounts: Accounts, people: People, timeline: Timeline, seen: Ints) -> Lives:
    """Months in which each customer's account is seen, from the first to the last of `seen`."""
    months = np.arange(timeline.size)
    customer, month = np.nonzero((months >= seen[0][:, None]) & (months <= seen[1][:, None]))
    return Lives(
        customer=customer,
        month=month,
        strain=people.strain[customer, month],
        income=people.income[customer],
        hunger=people.hunger[customer],
        willingness=people.willingness[customer],
        repayments=np.minimum(accounts.active(len(people), timeline.size)[customer, month], 2).astype(np.int64),
    )


def moments(timeline: Timeline, month: Ints, rng: np.random.Generator, night: float | Floats = 0.04) -> Ints:
    """Moments on any day of the month; mostly from 8 to 23 o'clock, at `night` from 0 to 5."""
    n = len(month)
    hour = np.where(rng.random(n) < night, rng.uniform(0, 5, n), rng.uniform(8, 23, n))
    return timeline.within(month, rng.random(n)) + (hour * HOUR).astype(np.int64)


def debt_service(lives: Lives, people: People, timeline: Timeline, rng: np.random.Generator) -> tuple[Flow, Flow]:
    """Repayments elsewhere and cash advances.

    A juggler draws his advance in the hours before a repayment, others on any day and repay in the days after their
    salary. Both draw and repay as much and as often, so the habit shows in the order of the events and in no total.
    """
    counts = lives.repayments
    rows = np.repeat(np.arange(len(counts)), counts)
    at = moments(timeline, lives.month[rows], rng, night=0.0)
    prompt = rng.random(len(rows)) < sigmoid(-1.8 * people.juggling[lives.customer[rows]])
    after_salary = people.payday[lives.customer[rows]] + 1 + 3 * rng.random(len(rows))
    settled = timeline.starts[lives.month[rows]] + ((after_salary % 28) * DAY).astype(np.int64)
    at = np.where(prompt & (people.segment[lives.customer[rows]] != OWNER), settled, at)
    amount = lives.income[rows] * 0.11 * np.exp(0.5 * rng.standard_normal(len(rows)))
    repaid = Flow("loan_repayment", lives.customer[rows], at, amount, np.zeros(len(rows), bool), 4, 3)

    advances = rng.poisson(0.55 * np.exp(0.45 * lives.hunger + 0.45 * lives.strain))
    who = np.repeat(np.arange(len(counts)), advances)
    drawn_at = moments(timeline, lives.month[who], rng, night=0.08)
    juggles = rng.random(len(who)) < sigmoid(3.0 * people.juggling[lives.customer[who]] - 0.4)
    bound = np.flatnonzero(juggles & (counts[who] > 0))
    first = (np.cumsum(counts) - counts)[who[bound]]
    partner = first + (rng.random(len(bound)) * counts[who[bound]]).astype(np.int64)
    drawn_at[bound] = at[partner] - (rng.uniform(0.3, 14.0, len(bound)) * HOUR).astype(np.int64)
    amount = lives.income[who] * 0.10 * np.exp(0.6 * rng.standard_normal(len(who)))
    return repaid, Flow("cash_advance", lives.customer[who], drawn_at, amount, np.zeros(len(who), bool), 3, 3)


def drawdowns(accounts: Accounts, timeline: Timeline, seen: Ints) -> Flow:
    """Loans from elsewhere as they arrive on the account, an hour after their opening."""
    first, last = seen[:, accounts.customer]
    paid_out = np.isin(accounts.kind, (CASH, CONSUMER, MICROLOAN))
    rows = np.flatnonzero(paid_out & (accounts.opened >= np.maximum(first, 0)) & (accounts.opened <= last))
    amount = accounts.amount[rows] / 100
    at = accounts.opened_at[rows] + HOUR
    return Flow("loan_drawdown", accounts.customer[rows], at, amount, np.ones(len(rows), bool), 2, 3)


def own_loans(purse: Purse, timeline: Timeline, seen: Ints) -> Iterator[Flow]:
    """Money of this lender as it comes and goes, and what merchants are paid beside a loan for goods."""
    for category, moved, money_in, channel, counterparty in (
        ("loan_drawdown", purse.drawn, True, 2, 3),
        ("shopping", purse.paid_down, False, 0, 0),
        ("loan_repayment", purse.repaid, False, 4, 3),
        ("business", purse.repaid_by_business, False, 4, 3),
    ):
        customer, at, amount = moved
        first, last = seen[:, customer]
        month = timeline.month_of(at)
        rows = np.flatnonzero((month >= first) & (month <= last) & (at < timeline.end))
        yield Flow(
            category, customer[rows], at[rows], amount[rows], np.full(len(rows), money_in), channel, counterparty
        )
