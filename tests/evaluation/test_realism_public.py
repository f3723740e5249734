"""The figures of public data that the realism report shows, computed again from the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.engine import connect
from evaluation.realism import figures
from evaluation.realism.public_figures import public_figures


def read(root: Path, name: str, columns: list[str]) -> pd.DataFrame:
    return pd.read_parquet(root / f"{name}.parquet", columns=columns)


def default_rates(root: Path) -> dict[str, float]:
    home_credit = read(root, "home_credit/application_train", ["TARGET"])
    taiwan = read(root, "taiwan_credit_card/UCI_Credit_Card", ["Default"])
    give_me = read(root, "give_me_some_credit/cs-training", ["SeriousDlqin2yrs"])
    superlender = read(root, "superlender/trainperf", ["good_bad_flag"])
    return {
        "give_me_some_credit": float(give_me["SeriousDlqin2yrs"].mean()),
        "home_credit": float(home_credit["TARGET"].mean()),
        "superlender": float((superlender["good_bad_flag"] == "Bad").mean()),
        "taiwan": float(taiwan["Default"].mean()),
    }


def roll_counts(root: Path) -> dict[str, pd.DataFrame]:
    files = {
        "card_monthly_status": ("card_monthly_status/credit_record", "ID"),
        "home_credit": ("home_credit/bureau_balance", "SK_ID_BUREAU"),
    }
    found = {}
    with connect(threads=2) as connection:
        for key, (file, account) in files.items():
            months = f"SELECT {account} AS account, MONTHS_BALANCE AS month, STATUS AS state FROM "
            found[key] = figures.roll_counts(connection, f"{months} read_parquet('{root / file}.parquet')")
    return found


def utilisation(root: Path) -> dict[str, list[float]]:
    bureau = read(root, "home_credit/bureau", ["CREDIT_TYPE", "CREDIT_ACTIVE", "AMT_CREDIT_SUM", "AMT_CREDIT_SUM_DEBT"])
    cards = bureau[
        (bureau["CREDIT_TYPE"] == "Credit card")
        & (bureau["CREDIT_ACTIVE"] == "Active")
        & (bureau["AMT_CREDIT_SUM"] > 0)
    ]
    months = read(root, "home_credit/credit_card_balance", ["AMT_BALANCE", "AMT_CREDIT_LIMIT_ACTUAL"])
    months = months[months["AMT_CREDIT_LIMIT_ACTUAL"] > 0]
    bills = read(root, "taiwan_credit_card/UCI_Credit_Card", ["BILL_AMT1", "LIMIT_BAL"])
    return {
        "home_credit_bureau_cards": figures.quantiles(cards["AMT_CREDIT_SUM_DEBT"] / cards["AMT_CREDIT_SUM"]),
        "home_credit_statements": figures.quantiles(months["AMT_BALANCE"] / months["AMT_CREDIT_LIMIT_ACTUAL"]),
        "taiwan_bills": figures.quantiles(bills["BILL_AMT1"] / bills["LIMIT_BAL"]),
    }


def counts(root: Path) -> dict[str, list[float]]:
    windows = [f"AMT_REQ_CREDIT_BUREAU_{window}" for window in ("HOUR", "DAY", "WEEK", "MON", "QRT", "YEAR")]
    applications = read(root, "home_credit/application_train", ["SK_ID_CURR", *windows])
    asked = applications[windows].dropna().sum(axis="columns")  # each window leaves out the shorter ones
    accounts = read(root, "home_credit/bureau", ["SK_ID_CURR"])["SK_ID_CURR"].value_counts()
    held = applications["SK_ID_CURR"].map(accounts).fillna(0)
    return {
        "inquiries": figures.count_shares(asked, figures.MOST_INQUIRIES),
        "tradelines": figures.count_shares(held, figures.MOST_TRADELINES),
    }


def payments(root: Path) -> dict[str, float]:
    rows = read(
        root,
        "home_credit_seven_tables/installments_payments",
        ["DAYS_INSTALMENT", "DAYS_ENTRY_PAYMENT", "AMT_INSTALMENT", "AMT_PAYMENT"],
    ).dropna()
    days = rows["DAYS_ENTRY_PAYMENT"] - rows["DAYS_INSTALMENT"]
    return figures.paid_shares(days, rows["AMT_PAYMENT"] < rows["AMT_INSTALMENT"])


def test_default_rates(real_data):
    assert public_figures().default_rate == pytest.approx(default_rates(real_data), abs=5e-6)


def test_moves_between_monthly_states(real_data):
    found = roll_counts(real_data)
    assert found.keys() == public_figures().roll_counts.keys()
    for key, table in public_figures().roll_counts.items():
        pd.testing.assert_frame_equal(table, found[key], check_names=False)
    # the two sets count arrears alike: what is 0 in one is 0 in the other
    assert figures.roll_distance(*found.values()) < 0.08


def test_utilisation(real_data):
    found = utilisation(real_data)
    assert found.keys() == public_figures().utilisation.keys()
    for key, given in public_figures().utilisation.items():
        np.testing.assert_allclose(given, found[key], atol=5e-6)


def test_numbers_of_inquiries_and_tradelines(real_data):
    found = counts(real_data)
    np.testing.assert_allclose(public_figures().inquiries, found["inquiries"], atol=5e-6)
    np.testing.assert_allclose(public_figures().tradelines, found["tradelines"], atol=5e-6)


def test_payments(real_data):
    assert public_figures().payments == pytest.approx(payments(real_data), abs=5e-6)


def test_every_figure_names_its_source():
    public = public_figures()
    named: dict[str, Any] = {**public.default_rate, **public.roll_counts, "home_credit_payments": None}
    assert set(public.sources) >= {key for key in named if key != "home_credit_payments"}
    assert all(source.terms and source.zh and source.en for source in public.sources.values())
