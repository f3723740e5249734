"""Vintage curves and roll rates: how lending of each month went bad, and how arrears move from month to month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas

from evaluation.account_months import AccountMonths
from evaluation.metric import Integers
from evaluation.tables import wilson

Every = Literal["month", "quarter", "year"]
ALL = "all"
ENDED = "ended"
_MONTHS_IN: dict[Every, int] = {"month": 1, "quarter": 3, "year": 12}
_EDGES = (1, 30, 60, 90, 120)
BUCKETS = ("0", "1-29", "30-59", "60-89", "90-119", "120+")


def vintage_curves(
    months: AccountMonths, *, dpd: Sequence[int] = (30, 60, 90), every: Every = "month"
) -> pandas.DataFrame:
    """Share of the accounts granted in a period that were ever so late by each month on book.

    Parameters
    ----------
    months : AccountMonths
    dpd : sequence of int, default (30, 60, 90)
        Days past due, or more.
    every : {"month", "quarter", "year"}
        How long a period is.

    Returns
    -------
    DataFrame
        `dpd`, `vintage` (`2024-05`, `2024Q2`, `2024`, and `all`), `months_on_book`, `n`, `bad`, `rate`, and `low`,
        `high`: Wilson's interval. Of each period only those accounts count that can have been seen for so many months,
        so a curve may fall where young accounts drop out. Empty where there are no accounts.

    Examples
    --------
    >>> accounts = pandas.DataFrame({"account": ["a", "b"], "granted": [24288, 24288], "until": [2, 1]})
    >>> states = pandas.DataFrame({"account": ["a", "a", "b"], "month": [1, 2, 1], "dpd": [35.0, 0.0, 0.0]})
    >>> curve = vintage_curves(AccountMonths(accounts, states), dpd=[30])
    >>> curve[curve["vintage"] == "2024-01"][["months_on_book", "n", "bad"]].to_numpy().tolist()
    [[1, 2, 1], [2, 1, 1]]
    """
    accounts = months.accounts
    until = accounts["until"].to_numpy()
    vintages, code = np.unique(_vintages(accounts["granted"].to_numpy(dtype=np.int64), every), return_inverse=True)
    found = []
    for limit in dpd:
        late = months.states[months.states["dpd"] >= limit]
        first = late.groupby("account")["month"].min().reindex(accounts["account"]).to_numpy(dtype=np.float64)
        for month in np.sort(months.states["month"].unique()):
            seen = until >= month
            counts = [np.bincount(code[rows], minlength=len(vintages)) for rows in (seen, seen & (first <= month))]
            n, bad = (np.append(count, count.sum()) for count in counts)
            rows = pandas.DataFrame(
                {"dpd": limit, "vintage": [*vintages, ALL], "months_on_book": month, "n": n, "bad": bad}
            )
            found.append(rows[n > 0])
    names = ["dpd", "vintage", "months_on_book", "n", "bad", "rate", "low", "high"]
    if not found:
        return pandas.DataFrame(columns=names)
    curves = _with_rates(pandas.concat(found), "bad")
    return curves.sort_values(["dpd", "vintage", "months_on_book"], ignore_index=True)[names]


def roll_rates(months: AccountMonths) -> pandas.DataFrame:
    """How accounts move between buckets of days past due from one month to the next.

    Returns
    -------
    DataFrame
        `from`, `to` (`BUCKETS`; `ended` where an account is reported no more: repaid, closed or sold; a gap in the
        reports counts as nothing), `n` (months in the bucket that it started from), `moved`, `rate`, and `low`,
        `high`: Wilson's interval, which takes months of one account for independent. Every pair of which the first was
        seen has a row. Empty where no two months follow each other, or only the highest days past due so far are known.

    Examples
    --------
    >>> accounts = pandas.DataFrame({"account": ["a"], "granted": [24288], "until": [2]})
    >>> states = pandas.DataFrame({"account": ["a"] * 3, "month": [0, 1, 2], "dpd": [0.0, 31.0, 61.0]})
    >>> rolls = roll_rates(AccountMonths(accounts, states))
    >>> rolls[rolls["moved"] > 0][["from", "to", "n"]].to_numpy().tolist()
    [['0', '30-59', 1], ['30-59', '60-89', 1]]
    """
    names = ["from", "to", "n", "moved", "rate", "low", "high"]
    known = months.states.merge(months.accounts[["account", "until"]], on="account")
    known = known.assign(
        bucket=np.searchsorted(_EDGES, known["dpd"].to_numpy(dtype=np.float64), side="right"),
        final=known["month"] == known.groupby("account")["month"].transform("max"),
    )
    following = known[["account", "month", "bucket", "dpd"]].assign(month=known["month"] - 1)
    pairs = known.merge(following, on=["account", "month"], how="left", suffixes=("", "_next"))
    pairs = pairs[pairs["dpd"].notna() & (pairs["month"] < pairs["until"])]
    pairs = pairs[pairs["final"] | pairs["dpd_next"].notna()]
    if months.cumulative or pairs.empty:
        return pandas.DataFrame(columns=names)
    to = np.where(pairs["final"], len(BUCKETS), pairs["bucket_next"]).astype(np.int64)
    counts = np.zeros((len(BUCKETS), len(BUCKETS) + 1), dtype=np.int64)
    np.add.at(counts, (pairs["bucket"].to_numpy(), to), 1)
    rows = [
        {"from": start, "to": end, "n": int(counts[k].sum()), "moved": int(counts[k, j])}
        for k, start in enumerate(BUCKETS)
        for j, end in enumerate((*BUCKETS, ENDED))
        if counts[k].any()
    ]
    return _with_rates(pandas.DataFrame(rows), "moved")[names]


def _vintages(granted: Integers, every: Every) -> list[str]:
    size = _MONTHS_IN[every]
    name = {"month": "{}-{:02d}", "quarter": "{}Q{}", "year": "{}"}[every]
    return [name.format(at // 12, at % 12 // size + 1) for at in granted]


def _with_rates(table: pandas.DataFrame, events: str) -> pandas.DataFrame:
    low, high = wilson(table[events], table["n"])
    return table.assign(rate=table[events] / table["n"], low=low, high=high)
