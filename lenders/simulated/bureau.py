"""What the credit bureau tells of the customers: accounts at other lenders, their months, who asked.

Some of it is wrong at first. A correction comes under the same key, before the account's next report.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lenders.simulated.accounts import (
    CARD,
    CONSUMER,
    KINDS,
    MICROLOAN,
    WRITTEN_OFF,
    Accounts,
    Reports,
    live,
    monthly_due,
)
from lenders.simulated.people import People
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    SECOND,
    Floats,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
    months_later,
    whole,
)

_WRONG = 0.015  # share of reports that are mended later


def bureau_tables(
    accounts: Accounts, people: People, timeline: Timeline, macro: Floats, seen: Ints, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """Build `tradelines`, `tradeline_months` and `inquiries`.

    Parameters
    ----------
    seen : ndarray of int64, shape (2, customers)
        First and last month in which the lender is told of a customer.
    """
    rng = generator(seed, "bureau")
    reports = live(accounts, people, timeline, macro, rng)
    first, last = seen[:, accounts.customer[reports.account]]
    shown = (reports.month >= first) & (reports.month <= last)
    told = np.flatnonzero(shown & (reports.changed | (reports.month == first)))
    names = identifiers("B", np.arange(len(accounts.customer)))
    whose = customers.take(pa.array(accounts.customer))
    month_end = timeline.starts[reports.month + 1] - SECOND
    lag = 1 * DAY + (rng.random(len(month_end)) * 9 * DAY).astype(np.int64)
    late = (rng.random(len(month_end)) < 0.04) * rng.integers(10, 40, len(month_end)) * DAY
    rows = np.flatnonzero(shown)
    at, known_at = month_end[rows], (month_end + lag + late)[rows]
    return {
        "tradelines": _tradelines(accounts, reports, told, (month_end + lag)[told], seen, timeline, names, whose, rng),
        "tradeline_months": _months(reports, rows, at, known_at, timeline, names, whose, rng),
        "inquiries": _inquiries(accounts, people, timeline, seen, customers, rng),
    }


def _months(
    reports: Reports, rows: Ints, at: Ints, known_at: Ints, timeline: Timeline, names: pa.Array, whose: pa.Array,
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    """A row a month, wrong ones followed by the right one within ten weeks of the month."""
    bucket, balance = reports.bucket[rows], reports.balance[rows]
    mended_at = np.minimum(known_at + (rng.uniform(15, 60, len(rows)) * DAY).astype(np.int64), at + 74 * DAY)
    wrong = np.flatnonzero((rng.random(len(rows)) < _WRONG) & (mended_at < timeline.end))
    told_bucket, told_balance = _misreported(wrong, reports.account[rows], bucket, balance, rng)
    bucket_told, balance_told = bucket.copy(), balance.copy()
    bucket_told[wrong], balance_told[wrong] = told_bucket, told_balance
    account = pa.array(np.concatenate([reports.account[rows], reports.account[rows[wrong]]]))
    table = pa.table({
        "tradeline_id": names.take(account),
        "customer_id": whose.take(account),
        "occurred_at": moments_column(np.concatenate([at, at[wrong]])),
        "known_at": moments_column(np.concatenate([known_at, mended_at[wrong]])),
        "status": labels(("open",), np.zeros(len(account), np.int64)),
        "overdue_bucket": np.concatenate([bucket_told, bucket[wrong]]),
        "balance": np.concatenate([balance_told, balance[wrong]]),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _misreported(
    wrong: Ints, account: Ints, bucket: Ints, balance: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Bucket and balance that are told of the `wrong` ones among months in order of time.

    The month before is told again, arrears are told of somebody who has none, or the balance is off. What is told
    rises by one bucket a month at most, before the correction and after it.
    """
    n = len(account)
    order = np.argsort(account, kind="stable")
    same = account[order][1:] == account[order][:-1]
    before, after = np.full(n, -1), np.full(n, -1)
    before[order[1:][same]], after[order[:-1][same]] = order[:-1][same], order[1:][same]
    how, factor = rng.random(len(wrong)), rng.uniform(0.7, 1.3, len(wrong))
    known = before[wrong] >= 0
    then, next_ = bucket[before[wrong]], np.where(after[wrong] >= 0, bucket[after[wrong]], 0)
    repeated = known & (how < 0.5) & (next_ <= then + 1)
    maligned = ~repeated & (bucket[wrong] == 0) & (how > 0.85)
    told = np.where(repeated, then, np.where(maligned, 1, bucket[wrong]))
    told_balance = np.where(repeated, balance[before[wrong]], whole(balance[wrong] * factor))
    return told, told_balance


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
    card, monthly = accounts.kind[rows] == CARD, monthly_due(accounts, rows)
    start, stop = len(opens), len(rows) - len(closes)
    bucket, overdue_max, balance, status = (np.zeros(len(rows), np.int64) for _ in range(4))
    bucket[start:stop], balance[start:stop] = reports.bucket[told], reports.balance[told]
    overdue_max[start:stop], overdue_max[stop:] = reports.overdue_max[told], reports.overdue_max[latest[closes]]
    balance[:start] = np.where(card[:start], 0, accounts.amount[opens])
    status[start:stop] = 2 * (bucket[start:stop] == WRITTEN_OFF)
    status[stop:] = np.where(reports.bucket[latest[closes]] > 0, 3, 1)  # arrears at the end are sold to a collector
    ended_at = np.concatenate([np.zeros(stop, np.int64), closed_at])

    wrong = start + np.flatnonzero(rng.random(stop - start) < _WRONG)
    again = np.concatenate([np.arange(len(rows)), wrong])
    bucket, balance, overdue = _told_wrong(wrong, bucket[again], balance[again], monthly[again], rng)
    known_at = known_at[again]
    known_at[len(rows) :] += (rng.uniform(0.5, 3.5, len(wrong)) * DAY).astype(np.int64)  # before the next report
    rows, card = rows[again], card[again]
    take = pa.array(rows)
    table = pa.table({
        "tradeline_id": names.take(take),
        "customer_id": whose.take(take),
        "occurred_at": moments_column(accounts.opened_at[rows]),
        "known_at": moments_column(known_at),
        "kind": labels(KINDS, accounts.kind[rows]),
        "status": labels(("active", "closed", "bad", "sold"), status[again]),
        "closed_at": moments_column(ended_at[again], again < stop),
        "due_at": moments_column(months_later(accounts.opened_at[rows], accounts.term[rows]), card),
        "amount": pa.array(accounts.amount[rows], mask=card),
        "credit_limit": pa.array(accounts.amount[rows], mask=~card),
        "balance": balance,
        "instalment_monthly": pa.array(monthly[again], mask=card),
        "overdue_amount": overdue,
        "overdue_amount_max": overdue_max[again],
        "overdue_days": np.where(bucket > 0, 30 * bucket - 12, 0),
        "prolonged_count": np.zeros(len(rows), np.int64),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _told_wrong(
    wrong: Ints, bucket: Ints, balance: Ints, monthly: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Bucket, balance and overdue amount as told, the `wrong` ones off, yet in arrears where the truth is."""
    overdue = np.minimum(bucket * monthly, balance)
    told = bucket.copy()
    told[wrong] -= bucket[wrong] >= 2
    told_overdue = np.minimum(told * monthly, overdue)
    told_balance = balance.copy()
    off = whole(balance[wrong] * rng.uniform(0.6, 1.3, len(wrong)))
    told_balance[wrong] = np.maximum(off, told_overdue[wrong])
    return told, told_balance, told_overdue


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
