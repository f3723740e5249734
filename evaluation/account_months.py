"""How many days past due an account was, by months on book: what vintage curves and roll rates are counted from.

Made from whichever canonical table a lender has: statements of cards, monthly states of loans, instalments and
payments, or outcomes. Months are calendar months in China. Only what was known at `as_of` counts: one moment, or one
for each customer (Series by `customer_id`) where the records of each end at another, see `observed_until`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas

from data_contracts.tables import TABLES
from evaluation.metric import Integers
from training.targets import LOCAL

AsOf: TypeAlias = "pandas.Timestamp | pandas.Series"

_DAY = pandas.Timedelta(days=1)
_REPORTED_WITHIN = 31
_SLIGHT = 99  # fen


@dataclass(frozen=True)
class AccountMonths:
    """Accounts and their monthly states.

    Parameters
    ----------
    accounts : DataFrame
        One row an account: `account`, `granted` (months since the year 0), `until` (last month on book in which its
        state can be known, whether it is reported then or not).
    states : DataFrame
        `account`, `month` (months on book, 0 the month of the grant), `dpd` at its end; missing where not known.
    cumulative : bool
        Whether `dpd` is the highest so far, so that no roll rates can be counted.
    """

    accounts: pandas.DataFrame
    states: pandas.DataFrame
    cumulative: bool = False


def observed_until(tables: Sequence[pandas.DataFrame], applications: pandas.DataFrame) -> AsOf:
    """Until when accounts were observed: the last `known_at` of these tables, or each customer's last application.

    The latter, a Series by `customer_id`, where no record of any customer is known later than that: there records end
    with the application, as Home Credit's do.
    """
    known = pandas.concat([table[["customer_id", "known_at"]] for table in tables])
    applied = applications.groupby("customer_id")["applied_at"].max()
    ends = known["customer_id"].map(applied)
    if len(known) and bool((known["known_at"] <= ends).all()):
        return applied
    return pandas.Timestamp(known["known_at"].max())


def of_cards(
    card_months: pandas.DataFrame, as_of: AsOf, *, reported_within_days: int = _REPORTED_WITHIN
) -> AccountMonths:
    """Cards by their statements; a card begins with its first one, an unused month is not late.

    Where the lender's history does not reach back to the opening of a card, its months on book count from there.
    """
    known = _known(card_months, "card_months", as_of)
    unused = (known["status"] == "unused").fillna(False).to_numpy(dtype=bool)
    dpd = known["dpd"].astype("float64").mask(unused & known["dpd"].isna().to_numpy(dtype=bool), 0.0)
    month = _month(known["occurred_at"])
    states = pandas.DataFrame({"account": known["card_id"], "at": month, "dpd": dpd})
    last = _last_months(known.set_index("card_id"), as_of, reported_within_days)
    return _counted(_once(states), states.groupby("account")["at"].min(), last)


def of_loan_months(
    loan_months: pandas.DataFrame,
    loans: pandas.DataFrame | None,
    as_of: AsOf,
    *,
    reported_within_days: int = _REPORTED_WITHIN,
) -> AccountMonths:
    """Loans by their monthly states; a loan begins when it was decided, or with its first state where that is not told.

    A closed month is no state: the account has ended.
    """
    known = _known(loan_months, "loan_months", as_of)
    known = known[(known["status"] != "closed").fillna(True).to_numpy(dtype=bool)]
    states = pandas.DataFrame(
        {"account": known["loan_id"], "at": _month(known["occurred_at"]), "dpd": known["dpd"].astype("float64")}
    )
    granted = states.groupby("account")["at"].min()
    if loans is not None:
        decided = _known(loans, "loans", as_of).set_index("loan_id")["occurred_at"]
        granted = _month(decided).reindex(granted.index).fillna(granted).astype("int64").clip(upper=granted)
    last = _last_months(known.set_index("loan_id"), as_of, reported_within_days)
    return _counted(_once(states), granted, last)


def of_instalments(
    loans: pandas.DataFrame, instalments: pandas.DataFrame, payments: pandas.DataFrame, as_of: AsOf
) -> AccountMonths:
    """Loans by their schedules: at each end of a month, the days since the oldest instalment not paid was due.

    Payments settle the oldest instalment first; less than 1 CNY short is paid. A loan ends in the month in which all of
    it is paid; a loan without instalments is left out.
    """
    due = _known(instalments, "instalments", as_of)
    due = due.sort_values(["loan_id", "due_at", "number"], kind="stable").reset_index(drop=True)
    due["owed"] = due.groupby("loan_id")["amount_due"].cumsum().astype("int64") - _SLIGHT
    paid = _known(payments, "payments", as_of).sort_values(["occurred_at", "payment_id"], kind="stable")
    paid = paid.assign(owed=paid.groupby("loan_id")["amount"].cumsum().astype("int64"))
    settled = pandas.merge_asof(
        due.sort_values("owed", kind="stable"),
        paid.rename(columns={"occurred_at": "paid_at"})[["loan_id", "owed", "paid_at"]].sort_values(
            "owed", kind="stable"
        ),
        on="owed",
        by="loan_id",
        direction="forward",
    )
    decided = _known(loans, "loans", as_of).set_index("loan_id")
    decided = decided[decided.index.isin(settled["loan_id"])]
    granted, last = _month(decided["occurred_at"]), _last_months(decided, as_of)
    settled = settled[settled["loan_id"].isin(decided.index)]
    end = settled["loan_id"].map(last)
    settled = settled.assign(open_until=(_month(settled["paid_at"]) - 1).fillna(end).clip(upper=end).astype("int64"))
    ends = settled.groupby("loan_id")["open_until"].max().reindex(granted.index)
    states = _spread(granted.index, granted.to_numpy(), ends.to_numpy())
    late = settled[_month(settled["due_at"]) <= settled["open_until"]]
    overdue = _spread(late.index, _month(late["due_at"]).to_numpy(), late["open_until"].to_numpy())
    which = late.loc[overdue["account"]]
    days = (_month_ends(overdue["at"].to_numpy()) - which["due_at"].to_numpy()) // _DAY
    each = pandas.DataFrame({"account": which["loan_id"].to_numpy(), "at": overdue["at"].to_numpy(), "dpd": days})
    worst = each.groupby(["account", "at"]).max().reset_index()
    states = states.merge(worst, on=["account", "at"], how="left").fillna({"dpd": 0.0})
    return _counted(states, granted, last)


def of_outcomes(outcomes: pandas.DataFrame, applications: pandas.DataFrame, as_of: AsOf) -> AccountMonths:
    """Granted applications by their outcomes, which tell the highest days past due so far at some months on book."""
    known = _known(outcomes, "outcomes", as_of)
    known = known[known["months_on_book"].notna() & known["dpd_max"].notna()]
    applied = applications.set_index("application_id")["applied_at"]
    granted = _month(applied[applied.index.isin(known["application_id"])])
    states = pandas.DataFrame(
        {
            "account": known["application_id"],
            "month": known["months_on_book"].astype("int64"),
            "dpd": known["dpd_max"].astype("float64"),
        }
    )
    until = states.groupby("account")["month"].max().reindex(granted.index)
    accounts = pandas.DataFrame({"account": granted.index, "granted": granted.to_numpy(), "until": until.to_numpy()})
    return AccountMonths(accounts, states.reset_index(drop=True), cumulative=True)


def _known(table: pandas.DataFrame, name: str, as_of: AsOf) -> pandas.DataFrame:
    """The version of each record that was known last at `as_of`."""
    known = table[table["known_at"] <= _ends(table, as_of)].sort_values("known_at", kind="stable")
    return known.drop_duplicates(list(TABLES[name].key), keep="last")


def _ends(table: pandas.DataFrame, as_of: AsOf) -> AsOf:
    """When the records of each row end; never, where a customer has no moment of his own."""
    return table["customer_id"].map(as_of) if isinstance(as_of, pandas.Series) else as_of


def _month(moments: pandas.Series) -> pandas.Series:
    """Months since the year 0, in China; missing stays missing."""
    local = moments + LOCAL
    return local.dt.year * 12 + local.dt.month - 1


def _month_ends(months: Integers) -> pandas.DatetimeIndex:
    years, month = np.divmod(months + 1, 12)
    starts = pandas.to_datetime({"year": years, "month": month + 1, "day": 1})
    return pandas.DatetimeIndex(starts - LOCAL)


def _last_months(accounts: pandas.DataFrame, as_of: AsOf, days: int = 0) -> pandas.Series:
    """The last month that had ended `days` before `as_of`, by account (the index, which may repeat).

    `as_of` may be the very last second of a month.
    """
    one = accounts[~accounts.index.duplicated()]
    ends = _ends(one, as_of)
    moments = ends if isinstance(ends, pandas.Series) else pandas.Series(ends, one.index)
    return _month(moments + pandas.Timedelta(seconds=1) - days * _DAY) - 1


def _spread(keys: pandas.Index, first: Integers, last: Integers) -> pandas.DataFrame:
    """One row for each key and month from its first to its last."""
    times = np.maximum(last - first + 1, 0).astype(np.int64)
    place = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return pandas.DataFrame({"account": np.repeat(keys.to_numpy(), times), "at": np.repeat(first, times) + place})


def _once(states: pandas.DataFrame) -> pandas.DataFrame:
    """The last state of each month, where a month has several."""
    return states.drop_duplicates(["account", "at"], keep="last")


def _counted(states: pandas.DataFrame, granted: pandas.Series, last: pandas.Series) -> AccountMonths:
    """States by months on book, up to the last month that can be known."""
    accounts = pandas.DataFrame(
        {"account": granted.index, "granted": granted.to_numpy(), "until": last.reindex(granted.index).to_numpy()}
    )
    accounts = accounts.assign(until=accounts["until"] - accounts["granted"])
    accounts = accounts[accounts["until"] >= 0].reset_index(drop=True)
    joined = states.merge(accounts, on="account")
    joined = joined.assign(month=joined["at"] - joined["granted"])
    joined = joined[joined["month"] <= joined["until"]].sort_values(["account", "month"], kind="stable")
    return AccountMonths(accounts, joined[["account", "month", "dpd"]].reset_index(drop=True))
