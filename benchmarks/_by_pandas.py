"""The fifty features of `benchmarks._by_sql` in pandas: merges, masks and groups, no loop over applications."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks._by_sql import COUNTED, FIFTY
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES

DAY = pd.Timedelta(days=1)


def by_pandas(folder: TableFolder) -> pd.DataFrame:
    """The fifty features of every application by merges, masks and groups of pandas, indexed by application_id."""
    applications = _read(folder, "applications").rename(columns={"applied_at": "as_of"})
    found = applications.set_index("application_id").sort_index()
    who = applications[["application_id", "customer_id", "as_of"]]
    hour = (found["as_of"] + pd.Timedelta(hours=8)).dt.hour
    features: dict[str, Any] = {
        "application_requested_to_income": found["amount_requested"] / found["income_monthly"],
        "application_hour": hour,
    }
    for part in (_tradelines, _tradeline_months, _inquiries, _transactions, _card_months, _loans, _instalments):
        features |= part(folder, who)
    features["tradelines_balance_to_income"] = (
        features["tradelines_balance_sum"].reindex(found.index).fillna(0) * 100 / found["income_monthly"]
    )
    matrix = pd.DataFrame({name: features[name].reindex(found.index) for name in FIFTY if name in features})
    spent, earned = matrix["transactions_spending_sum_90d"].fillna(0), matrix["transactions_income_sum_90d"].fillna(0)
    matrix["transactions_spending_to_income_90d"] = spent / earned.where(earned != 0)
    counted = [name for name in FIFTY if any(word in name for word in COUNTED)]
    matrix[counted] = matrix[counted].fillna(0)
    return matrix[list(FIFTY)].astype("float64")


def _read(folder: TableFolder, name: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in folder.files(name)], ignore_index=True)


def _known(folder: TableFolder, who: pd.DataFrame, name: str, time: str = "occurred_at") -> pd.DataFrame:
    """Records of a table as each application knows them, with their age."""
    rows = _read(folder, name).drop(columns="application_id", errors="ignore").merge(who, on="customer_id")
    rows = rows[rows["known_at"] <= rows["as_of"]]
    if name in folder.corrected:
        key = ["application_id", *TABLES[name].key]
        rows = rows.sort_values("known_at").drop_duplicates(key, keep="last")
    rows = rows[rows[time] <= rows["as_of"]]
    return rows.assign(age=rows["as_of"] - rows[time])


def _by(rows: pd.DataFrame) -> Any:
    return rows.groupby("application_id")


def _last(rows: pd.DataFrame, value: str, order: list[str]) -> Any:
    return _by(rows[rows[value].notna()].sort_values(order))[value].last()


def _slope(rows: pd.DataFrame, value: str) -> Any:
    """Trend a month, where the records lie further apart than a day."""
    rows = rows[rows[value].notna()]
    months = rows["age"].dt.total_seconds() / (-30 * 86_400)
    people = rows["application_id"]
    months = months - months.groupby(people).transform("mean")
    values = rows[value] - rows.groupby("application_id")[value].transform("mean")
    slope = (months * values).groupby(people).sum() / (months**2).groupby(people).sum()
    ages = _by(rows)["age"]
    return slope.where(ages.max() - ages.min() >= DAY)


def _tradelines(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows = _known(folder, who, "tradelines")
    rows["used"] = (rows["balance"] / rows["amount"]).clip(0, 5)
    active, all_ = _by(rows[rows["status"] == "active"]), _by(rows)
    return {
        "tradelines_count": all_.size(),
        "tradelines_active_count": active.size(),
        "tradelines_kind_distinct": all_["kind"].nunique(),
        "tradelines_opened_count_180d": _by(rows[rows["age"] < 180 * DAY]).size(),
        "tradelines_age_days": all_["age"].max() / DAY,
        "tradelines_balance_sum": active["balance"].sum() / 100,
        "tradelines_used_mean": active["used"].mean(),
        "tradelines_overdue_days_max": all_["overdue_days"].max(),
        "tradelines_amount_last": _last(rows, "amount", ["occurred_at", "tradeline_id"]) / 100,
        "tradelines_amount_slope": _slope(rows, "amount") / 100,
    }


def _tradeline_months(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows = _known(folder, who, "tradeline_months")
    rows["late"] = rows["overdue_bucket"] > 0
    year = rows[rows["age"] < 365 * DAY]
    return {
        "tradeline_months_account_distinct": _by(rows)["tradeline_id"].nunique(),
        "tradeline_months_late_share": _by(rows[rows["status"] == "open"])["late"].mean(),
        "tradeline_months_late1_count_365d": _by(year[year["overdue_bucket"] >= 1]).size(),
        "tradeline_months_bucket_max_365d": _by(year)["overdue_bucket"].max(),
        "tradeline_months_balance_slope_365d": _slope(year, "balance") / 100,
        "tradeline_months_balance_std_365d": _by(year)["balance"].std() / 100,
    }


def _inquiries(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows = _known(folder, who, "inquiries")
    not_banks = rows["institution_kind"].isin(["consumer_finance", "microloan"])
    return {
        "inquiries_count_30d": _by(rows[rows["age"] < 30 * DAY]).size(),
        "inquiries_nonbank_count_180d": _by(rows[not_banks & (rows["age"] < 180 * DAY)]).size(),
        "inquiries_institution_distinct_365d": _by(rows[rows["age"] < 365 * DAY])["institution"].nunique(),
        "inquiries_days_since": _by(rows)["age"].min() / DAY,
    }


def _transactions(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows = _known(folder, who, "transactions")
    hour = (rows["occurred_at"] + pd.Timedelta(hours=8)).dt.hour
    rows["night"] = (hour >= 23) | (hour < 5)
    quarter = rows[rows["age"] < 90 * DAY]
    spent, earned = (quarter[quarter["direction"] == direction] for direction in ("out", "in"))
    paid = rows[rows["category"] == "salary"]
    salary = paid[paid["age"] < 180 * DAY]
    return {
        "transactions_count_30d": _by(rows[rows["age"] < 30 * DAY]).size(),
        "transactions_income_sum_90d": _by(earned)["amount"].sum() / 100,
        "transactions_spending_sum_90d": _by(spent)["amount"].sum() / 100,
        "transactions_salary_count_180d": _by(salary).size(),
        "transactions_salary_mean_180d": _by(salary)["amount"].mean() / 100,
        "transactions_salary_std_180d": _by(salary)["amount"].std() / 100,
        "transactions_salary_slope_180d": _slope(salary, "amount") / 100,
        "transactions_salary_days_since": _by(paid)["age"].min() / DAY,
        "transactions_gambling_sum_90d": _by(quarter[quarter["category"] == "gambling"])["amount"].sum() / 100,
        "transactions_night_share_90d": _by(spent)["night"].mean(),
        "transactions_category_distinct_90d": _by(quarter)["category"].nunique(),
        "transactions_amount_max_90d": _by(spent)["amount"].max() / 100,
    }


def _card_months(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows = _known(folder, who, "card_months")
    rows["used"] = rows["balance"] / rows["credit_limit"]
    owed = rows[(rows["balance"] > 0) & (rows["age"] < 190 * DAY)]
    share = (owed["paid"] / owed["balance"]).clip(0, 5)
    return {
        "card_months_used_last": _last(rows, "used", ["occurred_at", "card_id"]),
        "card_months_used_slope_190d": _slope(rows[rows["age"] < 190 * DAY], "used"),
        "card_months_paid_share_190d": share.groupby(owed["application_id"]).mean(),
        "card_months_dpd_max_370d": _by(rows[rows["age"] < 370 * DAY])["dpd"].max(),
    }


def _loans(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows, months = _known(folder, who, "loans"), _known(folder, who, "loan_months")
    rows["refused"] = rows["status"] == "refused"
    granted = rows[rows["status"].isin(["granted", "closed"])]
    return {
        "loans_count": _by(rows).size(),
        "loans_refused_share": _by(rows)["refused"].mean(),
        "loans_principal_last": _last(granted, "principal", ["occurred_at", "loan_id"]) / 100,
        "loan_months_dpd_max_365d": _by(months[months["age"] < 365 * DAY])["dpd"].max(),
    }


def _instalments(folder: TableFolder, who: pd.DataFrame) -> dict[str, Any]:
    rows, payments = _known(folder, who, "instalments", "due_at"), _known(folder, who, "payments")
    paid = payments.groupby(["application_id", "instalment_id"]).agg(
        paid=("amount", "sum"), paid_at=("occurred_at", "max")
    )
    rows = rows.merge(paid.reset_index(), on=["application_id", "instalment_id"], how="left")
    rows["paid"] = rows["paid"].fillna(0)
    until = rows["paid_at"].where(rows["paid"] >= rows["amount_due"], rows["as_of"])
    rows["late"] = ((until - rows["due_at"]).dt.total_seconds() / 86_400).clip(lower=0)
    rows["unpaid"] = (rows["amount_due"] - rows["paid"]).clip(lower=0)
    rows = rows.sort_values(["due_at", "instalment_id"])
    year = payments[payments["age"] < 365 * DAY]
    return {
        "instalments_dpd_max_365d": _by(rows[rows["age"] < 365 * DAY])["late"].max(),
        "instalments_dpd_last3_mean": _by(_by(rows).tail(3))["late"].mean(),
        "instalments_first_dpd": _by(rows)["late"].first(),
        "instalments_unpaid_sum": _by(rows)["unpaid"].sum() / 100,
        "payments_count_180d": _by(payments[payments["age"] < 180 * DAY]).size(),
        "payments_amount_sum_365d": _by(year)["amount"].sum() / 100,
    }
