"""What the credit bureau knows of the customers: accounts at other lenders, their months, who asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lenders.simulated.people import People
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
    months_later,
    sigmoid,
    whole,
)

KINDS = ("mortgage", "car", "card", "consumer", "cash", "business", "microloan")
MORTGAGE, CAR, CARD, CONSUMER, CASH, BUSINESS, MICROLOAN = range(7)

_KIND_SHARES = np.array([  # by segment
    [0.01, 0.03, 0.26, 0.26, 0.18, 0.01, 0.25],
    [0.12, 0.12, 0.30, 0.20, 0.14, 0.02, 0.10],
    [0.09, 0.10, 0.24, 0.11, 0.13, 0.25, 0.08],
])  # fmt: skip
_SHORTEST = np.array([180, 24, 999, 6, 6, 12, 1])  # months; a card has no end
_LONGEST = np.array([360, 37, 1000, 25, 25, 37, 7])
_INCOMES = np.array([45.0, 9.0, 2.2, 1.6, 2.5, 10.0, 0.6])  # amount in monthly incomes
_WRITTEN_OFF = 5


@dataclass(frozen=True)
class Accounts:
    """Accounts at other lenders; arrays of shape (accounts,), months count in the grid and may lie before or after it.

    Parameters
    ----------
    customer, kind : ndarray of int64
        Whose; code in `KINDS`.
    opened, closes : ndarray of int64
        Month of opening and of closing.
    opened_at, amount, term : ndarray of int64
        Moment, fen, months.
    """

    customer: Ints
    kind: Ints
    opened: Ints
    closes: Ints
    opened_at: Ints
    amount: Ints
    term: Ints

    def active(self, customers: int, months: int) -> npt.NDArray[np.int32]:
        """Number of accounts to be repaid a month, shape (customers, months)."""
        changes = np.zeros((customers, months + 1), np.int32)
        np.add.at(changes, (self.customer, np.clip(self.opened + 1, 0, months)), 1)
        np.add.at(changes, (self.customer, np.clip(self.closes, 0, months)), -1)
        return np.cumsum(changes[:, :-1], axis=1, dtype=np.int32)


@dataclass(frozen=True)
class Reports:
    """States of accounts at the ends of months; arrays of shape (reports,)."""

    account: Ints
    month: Ints
    bucket: Ints
    overdue_max: Ints
    balance: Ints
    changed: npt.NDArray[np.bool_]


def open_accounts(people: People, timeline: Timeline, seed: int) -> Accounts:
    """Let customers borrow elsewhere: the hungry more, the strained more, the thin hardly."""
    rng = generator(seed, "accounts")
    hunger = 0.35 * people.hunger - 2.3 * people.thin
    rate = np.exp(-3.05 + hunger[:, None] + 0.28 * people.strain)
    customer, opened = np.nonzero(rng.poisson(rate))
    older = np.repeat(np.arange(len(people)), rng.poisson(0.9 * np.exp(hunger)))
    customer = np.concatenate([customer, older])
    opened = np.concatenate([opened, -rng.integers(0, 60, len(older))])
    n = len(customer)
    bounds = np.cumsum(_KIND_SHARES, axis=1)[people.segment[customer]]
    kind = np.minimum((rng.random(n)[:, None] > bounds).sum(axis=1), MICROLOAN)
    term = rng.integers(_SHORTEST[kind], _LONGEST[kind])
    early = rng.random(n) < 0.25
    lives = np.where(early, np.maximum(1, (term * rng.random(n)).astype(np.int64)), term)
    lives = np.where(kind == CARD, rng.geometric(0.008, n), lives)
    keep = opened + lives > 0  # what was closed before the grid is forgotten
    customer, opened, kind, term, lives = (column[keep] for column in (customer, opened, kind, term, lives))
    n = len(customer)
    incomes = _INCOMES[kind] * np.exp(0.45 * rng.standard_normal(n))
    in_grid = timeline.within(np.maximum(opened, 0), rng.random(n))
    opened_at = in_grid + np.minimum(opened, 0) * 30 * DAY + (rng.uniform(9, 20, n) * HOUR).astype(np.int64)
    amount = whole(incomes * people.income[customer] / 100) * 10_000
    return Accounts(customer, kind, opened, opened + lives, opened_at, np.maximum(amount, 10_000), term)


def bureau_tables(
    accounts: Accounts, people: People, timeline: Timeline, seen: Ints, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """Build `tradelines`, `tradeline_months` and `inquiries`.

    Parameters
    ----------
    seen : ndarray of int64, shape (2, customers)
        First and last month in which the lender is told of a customer.
    """
    rng = generator(seed, "bureau")
    reports = _live(accounts, people, timeline, rng)
    first, last = seen[:, accounts.customer[reports.account]]
    shown = (reports.month >= first) & (reports.month <= last)
    told = np.flatnonzero(shown & (reports.changed | (reports.month == first)))
    names = identifiers("B", np.arange(len(accounts.customer)))
    whose = customers.take(pa.array(accounts.customer))
    month_end = timeline.starts[reports.month + 1] - 1_000_000
    lag = 1 * DAY + (rng.random(len(month_end)) * 9 * DAY).astype(np.int64)
    late = (rng.random(len(month_end)) < 0.04) * rng.integers(10, 40, len(month_end)) * DAY
    take = pa.array(reports.account[shown])
    months = pa.table({
        "tradeline_id": names.take(take),
        "customer_id": whose.take(take),
        "occurred_at": moments_column(month_end[shown]),
        "known_at": moments_column((month_end + lag + late)[shown]),
        "status": labels(("open",), np.zeros(len(take), np.int64)),
        "overdue_bucket": reports.bucket[shown],
        "balance": reports.balance[shown],
    })  # fmt: skip
    return {
        "tradelines": _tradelines(accounts, reports, told, (month_end + lag)[told], seen, timeline, names, whose, rng),
        "tradeline_months": known_before(months, timeline.end),
        "inquiries": _inquiries(accounts, people, timeline, seen, customers, rng),
    }


def _live(accounts: Accounts, people: People, timeline: Timeline, rng: np.random.Generator) -> Reports:
    """Walk all accounts through the months: arrears begin, roll forward, are cured or written off."""
    n = len(accounts.customer)
    bucket, overdue_max = np.zeros(n, np.int64), np.zeros(n, np.int64)
    use = 0.5 * rng.standard_normal(n)
    revolving = accounts.kind == CARD
    will, able = people.willingness[accounts.customer], people.ability[accounts.customer]
    collected: list[tuple[Ints, ...]] = []
    for month in range(timeline.size):
        rows = np.flatnonzero((accounts.opened <= month) & (month < accounts.closes))
        strain = people.strain[accounts.customer[rows], month]
        before, age = bucket[rows], month - accounts.opened[rows]
        luck = rng.random(len(rows))
        begins = (before == 0) & (age > 0) & (luck < sigmoid(-4.2 - 1.1 * will[rows] + 1.0 * strain))
        rolls = (before > 0) & (luck < sigmoid(-1.0 - 0.4 * will[rows] + 0.5 * strain))
        stays = (before > 0) & ~rolls & (luck > 0.85)
        now = np.where(begins | rolls, np.minimum(before + 1, _WRITTEN_OFF), np.where(stays, before, 0))
        now[before == _WRITTEN_OFF] = _WRITTEN_OFF
        bucket[rows] = now
        share = np.where(
            revolving[rows],
            sigmoid(-0.7 + use[rows] - 0.45 * able[rows] + 0.5 * strain),
            np.clip(1 - age / accounts.term[rows], 0.02, 1.0),
        )
        balance = whole(share * accounts.amount[rows])
        overdue = np.minimum(now * _monthly(accounts, rows), balance)
        overdue_max[rows] = np.maximum(overdue_max[rows], overdue)
        changed = (now != before) | ((age > 0) & (age % 12 == 0))
        collected.append((rows, np.full(len(rows), month), now, overdue_max[rows], balance, changed))
    account, months, buckets, highest, balances, change = (
        np.concatenate(parts) for parts in zip(*collected, strict=True)
    )
    return Reports(account, months, buckets, highest, balances, change.astype(bool))


def _monthly(accounts: Accounts, rows: Ints) -> Ints:
    """Monthly instalment in fen; for a card a tenth of its limit."""
    return np.maximum(accounts.amount[rows] // np.where(accounts.kind[rows] == CARD, 10, accounts.term[rows]), 100)


def _tradelines(
    accounts: Accounts, reports: Reports, told: Ints, told_at: Ints, seen: Ints, timeline: Timeline,
    names: pa.Array, whose: pa.Array, rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    """A row at the opening, at each change of arrears or after a year, at the closing: each knows its own day only."""
    latest = np.full(len(accounts.customer), -1)
    np.maximum.at(latest, reports.account, np.arange(len(reports.account)))
    last = seen[1, accounts.customer]
    opens = np.flatnonzero(accounts.opened <= last)
    closes = np.flatnonzero((accounts.closes > 0) & (accounts.closes <= last))
    closed_at = timeline.starts[accounts.closes[closes]] + (rng.uniform(14, 27, len(closes)) * DAY).astype(np.int64)
    lags = [(rng.uniform(0.5, 12.0, len(rows)) * DAY).astype(np.int64) for rows in (opens, closes)]

    rows = np.concatenate([opens, reports.account[told], closes])
    known_at = np.concatenate([accounts.opened_at[opens] + lags[0], told_at, closed_at + lags[1]])
    card, monthly = accounts.kind[rows] == CARD, _monthly(accounts, rows)
    start, stop = len(opens), len(rows) - len(closes)
    bucket, overdue_max, balance, status = (np.zeros(len(rows), np.int64) for _ in range(4))
    bucket[start:stop], balance[start:stop] = reports.bucket[told], reports.balance[told]
    overdue_max[start:stop], overdue_max[stop:] = reports.overdue_max[told], reports.overdue_max[latest[closes]]
    balance[:start] = np.where(card[:start], 0, accounts.amount[opens])
    status[start:stop] = 2 * (bucket[start:stop] == _WRITTEN_OFF)
    status[stop:] = np.where(reports.bucket[latest[closes]] > 0, 3, 1)  # arrears at the end are sold to a collector
    ended_at = np.concatenate([np.zeros(stop, np.int64), closed_at])
    table = pa.table({
        "tradeline_id": names.take(pa.array(rows)),
        "customer_id": whose.take(pa.array(rows)),
        "occurred_at": moments_column(accounts.opened_at[rows]),
        "known_at": moments_column(known_at),
        "kind": labels(KINDS, accounts.kind[rows]),
        "status": labels(("active", "closed", "bad", "sold"), status),
        "closed_at": moments_column(ended_at, np.arange(len(rows)) < stop),
        "due_at": moments_column(months_later(accounts.opened_at[rows], accounts.term[rows]), card),
        "amount": pa.array(accounts.amount[rows], mask=card),
        "credit_limit": pa.array(accounts.amount[rows], mask=~card),
        "balance": balance,
        "instalment_monthly": pa.array(monthly, mask=card),
        "overdue_amount": np.minimum(bucket * monthly, balance),
        "overdue_amount_max": overdue_max,
        "overdue_days": np.where(bucket > 0, 30 * bucket - 12, 0),
        "prolonged_count": np.zeros(len(rows), np.int64),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _inquiries(
    accounts: Accounts, people: People, timeline: Timeline, seen: Ints, customers: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Most openings are preceded by an inquiry; the hungry and the strained ask in vain besides."""
    rate = np.exp(-2.2 + 0.65 * people.hunger[:, None] + 0.6 * people.strain - 0.8 * people.thin[:, None])
    customer, month = np.nonzero(rng.poisson(rate))
    asked_at = timeline.within(month, rng.random(len(month))) + (rng.uniform(8, 22, len(month)) * HOUR).astype(np.int64)
    led = np.flatnonzero((accounts.opened >= 0) & (rng.random(len(accounts.opened)) < 0.9))
    before = (rng.uniform(0.2, 9.0, len(led)) * DAY).astype(np.int64)
    reason = rng.choice(5, len(month), p=[0.62, 0.2, 0.08, 0.04, 0.06])
    institution = rng.choice(4, len(month), p=[0.3, 0.35, 0.3, 0.05])
    kind = accounts.kind[led]
    customer = np.concatenate([customer, accounts.customer[led]])
    asked_at = np.concatenate([asked_at, accounts.opened_at[led] - before])
    reason = np.concatenate([reason, np.where(kind == CARD, 1, 0)])
    lender = np.select([kind == MICROLOAN, kind == CONSUMER], [2, 1], 0)
    institution = np.concatenate([institution, lender])
    month = timeline.month_of(asked_at)
    shown = np.flatnonzero((month >= seen[0, customer]) & (month <= seen[1, customer]))
    shown = shown[np.argsort(asked_at[shown], kind="stable")]
    code = rng.integers(1, 40, len(shown))
    lag = (rng.exponential(10.0, len(shown)) * HOUR).astype(np.int64)
    table = pa.table({
        "inquiry_id": identifiers("Q", np.arange(len(shown))),
        "customer_id": customers.take(pa.array(customer[shown])),
        "occurred_at": moments_column(asked_at[shown]),
        "known_at": moments_column(asked_at[shown] + lag),
        "reason": labels(("loan_approval", "card_approval", "post_loan", "guarantee", "self"), reason[shown]),
        "institution_kind": labels(("bank", "consumer_finance", "microloan", "other"), institution[shown]),
        "institution": labels(tuple(f"institution_{k:02d}" for k in range(40)), code),
    })  # fmt: skip
    return known_before(table, timeline.end)
