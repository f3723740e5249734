"""What somebody without our features would train on: the raw files' own columns, and plain aggregates of the histories.

Of the columns of a history that are numbers the mean, largest, smallest and sum are taken by customer, of those that
are words how often each comes, as in the first public notebook on each set. Protected columns are named here, so that
nobody is given by chance what the hybrid is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from data_contracts.errors import SourceError
from lenders.raw_files import contents, find

PROTECTED = {
    "taiwan": {"SEX": "gender", "MARRIAGE": "marital_status", "AGE": "age_years"},
    "give_me_some_credit": {"age": "age_years"},
    "home_credit": {"CODE_GENDER": "gender", "NAME_FAMILY_STATUS": "marital_status", "DAYS_BIRTH": "age_years"},
    "superlender": {},
    "card_monthly_status": {},
}
_LAST_MONTHS = 24
_STATISTICS = ("mean", "max", "min", "sum")


def raw_columns(name: str, source: Path, rows: pd.DataFrame, given: frozenset[str]) -> pd.DataFrame | None:
    """Raw columns of a set's labelled rows, None where the set has no raw files of its own.

    Parameters
    ----------
    name : str
        The set.
    source : Path
        Folder of its raw files, Parquet or CSV.
    rows : DataFrame
        `customer_id` and `applied_at` of each row, indexed by `application_id`.
    given : frozenset of str
        Protected columns, by our names, that are given all the same.

    Returns
    -------
    DataFrame
        Rows in the same order, numbers and categories only.
    """
    if name not in _READERS:
        return None
    table = _READERS[name](source, rows)
    hidden = [column for column, ours in PROTECTED[name].items() if ours not in given]
    table = table.drop(columns=[column for column in hidden if column in table])
    numbers = table.select_dtypes(["number", "bool"]).columns
    kinds = {column: "float64" if column in numbers else "category" for column in table}
    return table.astype(kinds).reset_index(drop=True)


def _file(source: Path, name: str) -> pd.DataFrame:
    path = find(source, name)
    if path is None:
        raise SourceError(f"{source} has no {name} (.parquet or .csv); it holds {contents(source)}.")
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def _flat(name: str, key: str, label: str) -> Callable[[Path, pd.DataFrame], pd.DataFrame]:
    def read(source: Path, rows: pd.DataFrame) -> pd.DataFrame:
        table = _file(source, name)
        return table.set_index(table[key].astype(str)).loc[rows.index].drop(columns=[key, label])

    return read


def _home_credit(source: Path, rows: pd.DataFrame) -> pd.DataFrame:
    key, account = "SK_ID_CURR", "SK_ID_BUREAU"
    table = _file(source, "application_train").set_index(key)
    bureau = _file(source, "bureau")
    months = _plain(_file(source, "bureau_balance"), account, "balance", hidden=())
    bureau = bureau.merge(months, how="left", left_on=account, right_index=True)
    cards = _file(source, "credit_card_balance")
    table = table.join(_plain(bureau, key, "bureau", (account,))).join(_plain(cards, key, "card", ("SK_ID_PREV",)))
    return table.set_index(table.index.astype(str)).loc[rows.index].drop(columns="TARGET")


def _superlender(source: Path, rows: pd.DataFrame) -> pd.DataFrame:
    key, number = "customerid", "systemloanid"
    moments = ["approveddate", "creationdate"]
    loans, earlier = _file(source, "trainperf"), _file(source, "trainprevloans")
    for table in (loans, earlier):
        table["referred"] = table.pop("referredby").notna().astype(int)
    later = [*moments, "closeddate", "firstduedate", "firstrepaiddate"]
    earlier[later] = earlier[later].apply(pd.to_datetime)
    earlier["days_open"] = _days(earlier["closeddate"] - earlier["approveddate"])
    earlier["days_late"] = _days(earlier["firstrepaiddate"] - earlier["firstduedate"])
    earlier["days_beyond_term"] = earlier["days_open"] - earlier["termdays"]
    latest = earlier.sort_values("loannumber").groupby(key)[["loanamount", "days_open", "days_late"]].last()
    table = loans.join(_plain(earlier.drop(columns=later), key, "earlier", (number,)), on=key)
    table = table.join(latest.add_prefix("latest_"), on=key)
    applied = pd.to_datetime(table["creationdate"])
    table["days_since_closed"] = _days(applied - table[key].map(earlier.groupby(key)["closeddate"].max()))
    table["hour"], table["weekday"] = applied.dt.hour, applied.dt.weekday
    table = table.set_index(table[number].astype(str)).loc[rows.index]
    return table.drop(columns=[key, number, *moments, "good_bad_flag"])


def _card_monthly_status(source: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Statuses of the last months that were over at `applied_at`, newest first, and how often each came."""
    months = _file(source, "credit_record")
    months["customer_id"] = months["ID"].astype(str)
    first = pd.Period("2019-12", "M")  # months are counted back from one that is not named, this one as it is imported
    ended = (first.ordinal + months["MONTHS_BALANCE"] + 1).map(lambda at: pd.Period(ordinal=at, freq="M"))
    ends = {period: period.to_timestamp() - pd.Timedelta(days=1, hours=8) for period in ended.unique()}  # Beijing
    months["ended"] = ended.map(ends)
    asked = rows.reset_index()[["application_id", "customer_id", "applied_at"]]
    asked["applied_at"] = asked["applied_at"].dt.tz_localize(None)
    seen = asked.merge(months, on="customer_id")
    seen = seen[seen["ended"] <= seen["applied_at"]]
    seen["back"] = seen.groupby("application_id")["MONTHS_BALANCE"].transform("max") - seen["MONTHS_BALANCE"]
    seen = seen[seen["back"] < _LAST_MONTHS]
    last = seen.pivot(index="application_id", columns="back", values="STATUS").add_prefix("status_")
    counts = pd.crosstab(seen["application_id"], seen["STATUS"]).add_prefix("count_")
    months_seen = seen.groupby("application_id").size().rename("months")
    return last.join(counts).join(months_seen).reindex(rows.index)


_READERS: dict[str, Callable[[Path, pd.DataFrame], pd.DataFrame]] = {
    "taiwan": _flat("UCI_Credit_Card", "ID", "Default"),
    "give_me_some_credit": _flat("cs-training", "row", "SeriousDlqin2yrs"),
    "home_credit": _home_credit,
    "superlender": _superlender,
    "card_monthly_status": _card_monthly_status,
}


def _plain(table: pd.DataFrame, key: str, prefix: str, hidden: tuple[str, ...]) -> pd.DataFrame:
    """Plain aggregates by key: statistics of numbers, shares of words, and how many rows there are."""
    table = table.drop(columns=list(hidden))
    numbers = table.select_dtypes("number").columns.drop(key, errors="ignore")
    words = [name for name in table if name not in {*numbers, key}]
    grouped = table.astype(dict.fromkeys(numbers, "float64")).groupby(key)
    found: list[Any] = [grouped.size().rename("rows")]
    if len(numbers):
        statistics = grouped[list(numbers)].agg(list(_STATISTICS))
        found.append(statistics.set_axis(["_".join(name) for name in statistics.columns], axis=1))
    if words:
        dummies = pd.get_dummies(table[words], dtype=float)
        found.append(dummies.groupby(table[key]).mean())
    aggregates: pd.DataFrame = pd.concat(found, axis=1).add_prefix(f"{prefix}_")
    return aggregates


def _days(spans: pd.Series) -> pd.Series:
    days: pd.Series = spans.dt.total_seconds() / 86_400
    return days
