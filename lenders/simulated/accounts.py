"""Accounts of the customers at other lenders: who opens which, and how each fares from month to month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenders.simulated.people import People
from lenders.simulated.timeline import DAY, HOUR, Flags, Floats, Ints, Timeline, generator, sigmoid, whole

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
WRITTEN_OFF = 5
# by bucket: log-odds of worse without hardship; of the rest, shares that stay and that get better by one. Near
# the moves of public card accounts (see the realism report)
_MOVES = np.array([
    [-4.6, 1.00, 0.00],
    [-3.5, 0.39, 0.00],
    [-1.6, 0.29, 0.27],
    [-0.1, 0.32, 0.40],
    [0.6, 0.47, 0.11],
    [0.0, 0.97, 0.00],
])  # fmt: skip


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
    changed: Flags


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


def live(accounts: Accounts, people: People, timeline: Timeline, macro: Floats, rng: np.random.Generator) -> Reports:
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
        hardship = np.where(before > 0, 0.4, 1.1) * -will[rows] + np.where(before > 0, 0.5, 1.0) * strain
        now = _moved(before, hardship + 0.4 * macro[month], rng)
        now[age == 0] = 0
        bucket[rows] = now
        share = np.where(
            revolving[rows],
            sigmoid(-0.7 + use[rows] - 0.45 * able[rows] + 0.5 * strain),
            np.clip(1 - age / accounts.term[rows], 0.02, 1.0),
        )
        balance = whole(share * accounts.amount[rows])
        overdue = np.minimum(now * monthly_due(accounts, rows), balance)
        overdue_max[rows] = np.maximum(overdue_max[rows], overdue)
        changed = (now != before) | ((age > 0) & (age % 12 == 0))
        collected.append((rows, np.full(len(rows), month), now, overdue_max[rows], balance, changed))
    account, months, buckets, highest, balances, change = (
        np.concatenate(parts) for parts in zip(*collected, strict=True)
    )
    return Reports(account, months, buckets, highest, balances, change.astype(bool))


def _moved(before: Ints, hardship: Floats, rng: np.random.Generator) -> Ints:
    """Buckets a month later: worse by one, as before, better by one, or cured; hardship adds to the odds of worse."""
    worse, as_before, better = _MOVES[before].T
    worse = np.where(before < WRITTEN_OFF, sigmoid(worse + hardship), 0.0)
    luck = rng.random(len(before))
    left = (luck - worse) / (1 - worse)  # of the luck that is not worse, evenly from 0 to 1
    eased = np.where(left < as_before, before, np.where(left < as_before + better, before - 1, 0))
    return np.where(luck < worse, before + 1, np.maximum(eased, 0))


def monthly_due(accounts: Accounts, rows: Ints) -> Ints:
    """Monthly instalment in fen; for a card a tenth of its limit."""
    return np.maximum(accounts.amount[rows] // np.where(accounts.kind[rows] == CARD, 10, accounts.term[rows]), 100)
