"""Rings, devices, consents, corrections and the scenarios: what goes wrong in life goes wrong here, and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import arrow_to_pandas
from data_contracts.tables import TABLES
from lenders.simulated import SCENARIOS, SimulatedLender, simulate

CUSTOMERS, SEED = 3_000, 9
DAY = pd.Timedelta(days=1)
BEGINS = pd.Timestamp("2022-08-31 16:00")  # month 20 of 36 from 2021
BUREAU = ("tradelines", "tradeline_months", "inquiries")


@pytest.fixture(scope="module")
def lenders() -> dict[str, SimulatedLender]:
    return {name: simulate(CUSTOMERS, seed=SEED, scenario=name) for name in SCENARIOS}


def joined(lender: SimulatedLender) -> pd.DataFrame:
    """Applications with their truth."""
    return arrow_to_pandas(lender.tables["applications"]).merge(lender.truth, on="application_id")


def versions(lender: SimulatedLender, name: str) -> pd.DataFrame:
    """Records of a table that come more than once, in order of when they were learned."""
    rows = arrow_to_pandas(lender.tables[name]).sort_values("known_at", kind="stable")
    key = list(TABLES[name].key)
    return rows[rows.duplicated(key, keep=False)].sort_values([*key, "known_at"])


def test_scenarios_are_declared_in_two_languages() -> None:
    assert list(SCENARIOS) == [
        "baseline", "downturn", "channel_shift", "bureau_outage", "unit_break", "fraud_ring"
    ]  # fmt: skip
    assert all(scenario.zh and scenario.en for scenario in SCENARIOS.values())


def test_an_unknown_scenario_names_those_there_are() -> None:
    with pytest.raises(SourceError, match=r"no scenario 'boom'\. Choose one of: baseline, downturn, .*fraud_ring"):
        simulate(10, scenario="boom")


@pytest.mark.parametrize(
    ("name", "touched"),
    [("bureau_outage", BUREAU), ("unit_break", ("transactions",))],
)
def test_a_broken_feed_leaves_all_else_as_it_was(
    lenders: dict[str, SimulatedLender], name: str, touched: tuple[str, ...]
) -> None:
    ordinary, broken = lenders["baseline"], lenders[name]
    assert broken.truth.equals(ordinary.truth)
    for table, rows in ordinary.tables.items():
        assert broken.tables[table].equals(rows) == (table not in touched), table


@pytest.mark.parametrize("name", ["downturn", "channel_shift", "fraud_ring"])
def test_who_is_not_concerned_asks_as_before(lenders: dict[str, SimulatedLender], name: str) -> None:
    before, after = (
        joined(lenders[which]).drop_duplicates("customer_id").set_index("customer_id") for which in ("baseline", name)
    )
    same = before.applied_at == after.applied_at.loc[before.index]
    assert same[before.applied_at < BEGINS].mean() > {"channel_shift": 0.6}.get(name, 0.85)
    same &= after.channel.loc[before.index] != "aggregator"
    told = ["amount_requested", "age_years", "gender", "housing", "city_tier"]
    assert after.loc[same[same].index, told].equals(before.loc[same, told])


def test_downturn_brings_defaults_and_rolling_arrears(lenders: dict[str, SimulatedLender]) -> None:
    def rate(name: str, late: bool) -> float:
        rows = joined(lenders[name])
        return float(rows.defaults[(rows.applied_at >= BEGINS + 60 * DAY) == late].mean())

    assert rate("downturn", late=True) > 1.6 * rate("baseline", late=True)
    assert rate("downturn", late=False) < 1.35 * rate("baseline", late=False)

    def rolls(name: str) -> float:
        months = arrow_to_pandas(lenders[name].tables["tradeline_months"]).drop_duplicates(
            ["tradeline_id", "occurred_at"], keep="last"
        )
        months = months[months.occurred_at > BEGINS + 60 * DAY].sort_values(["tradeline_id", "occurred_at"])
        following = months.groupby("tradeline_id").overdue_bucket.shift(-1)
        arrears = (months.overdue_bucket == 1) & following.notna()
        return float((following[arrears] == 2).mean())

    assert rolls("downturn") > 1.15 * rolls("baseline")


def test_channel_shift_brings_younger_jobs_and_more_risk(lenders: dict[str, SimulatedLender]) -> None:
    rows = joined(lenders["channel_shift"])
    new = rows[rows.channel == "aggregator"]
    assert new.applied_at.min() >= BEGINS
    late = rows[rows.applied_at >= BEGINS]
    others = late[late.channel != "aggregator"]
    assert 0.3 < len(new) / len(late) < 0.75
    assert new.employed_months.median() < 0.6 * others.employed_months.median()
    assert new.defaults.mean() > 1.25 * others.defaults.mean()
    assert "aggregator" not in set(joined(lenders["baseline"]).channel)


def test_bureau_outage_delivers_late_or_never(lenders: dict[str, SimulatedLender]) -> None:
    ordinary, silent = lenders["baseline"], lenders["bureau_outage"]
    late, back = BEGINS, pd.Timestamp("2022-10-31 16:00")
    gone, again = pd.Timestamp("2023-02-28 16:00"), pd.Timestamp("2023-04-30 16:00")
    for name in BUREAU:
        due = arrow_to_pandas(ordinary.tables[name]).known_at
        came = arrow_to_pandas(silent.tables[name]).known_at
        assert not came.between(late, back, inclusive="left").any()
        assert not came.between(gone, again, inclusive="left").any()
        assert due.between(gone, again).sum() > 20
        made_good = came.between(back, back + pd.Timedelta(hours=6)).sum()
        assert made_good >= 0.98 * due.between(late, back).sum() > 20  # few withdrew their consent meanwhile
        key = list(TABLES[name].row_key)
        assert not arrow_to_pandas(silent.tables[name]).duplicated(key).any()
    known = set(silent.tables["tradelines"]["tradeline_id"].to_pylist())
    assert set(silent.tables["tradeline_months"]["tradeline_id"].to_pylist()) <= known


def test_unit_break_gives_yuan_for_a_share_of_customers(lenders: dict[str, SimulatedLender]) -> None:
    right, wrong = (
        arrow_to_pandas(lenders[name].tables["transactions"]).set_index(["transaction_id", "known_at"])
        for name in ("baseline", "unit_break")
    )
    ratio = wrong.amount / right.amount
    changed = ratio[right.amount > 10_000] < 0.5
    theirs = right.customer_id.loc[changed[changed].index].unique()
    assert 0.15 < len(theirs) / CUSTOMERS < 0.35
    assert ratio[right.amount > 10_000][changed].between(0.0099, 0.0101).all()
    assert right.loc[changed[changed].index].index.get_level_values("known_at").min() >= BEGINS
    after = right.customer_id.isin(theirs) & (right.index.get_level_values("known_at") >= BEGINS)
    assert (ratio[after & (right.amount > 10_000)] < 0.011).all()


def test_rings_share_devices_and_never_pay(lenders: dict[str, SimulatedLender]) -> None:
    rows = joined(lenders["fraud_ring"])
    fraud = rows[rows.ring.notna()]
    rings = fraud.groupby("ring")
    assert len(rings) >= 4
    assert rings.size().between(5, 20).all()
    assert (rings.applied_at.max() - rings.applied_at.min() < 6 * DAY).all()
    assert (rings.channel.nunique() == 1).all()
    assert (rings.device_id.nunique() <= rings.size() / 2).all()
    assert rings.device_customers.max().mean() >= 3
    assert fraud.customer_id.is_unique
    assert fraud.defaults.mean() > 0.85
    assert fraud.granted.mean() > 0.8
    assert (fraud.applied_at >= BEGINS).mean() > 0.7
    ordinary = rows[(rows["product"] == "emergency_cash") & rows.ring.isna()]
    assert fraud.income_monthly.median() > ordinary.income_monthly.median()
    assert fraud.external_score_1.median() > ordinary.external_score_1.median()
    assert fraud.employed_months.median() > ordinary.employed_months.median()
    loans = arrow_to_pandas(lenders["fraud_ring"].tables["loans"]).query("status == 'granted'")
    lost = loans[loans.application_id.isin(fraud.application_id[fraud.defaults])]
    bounced = arrow_to_pandas(lenders["fraud_ring"].tables["payments"])
    paid = bounced.sort_values("known_at").drop_duplicates("payment_id", keep="last").groupby("loan_id").amount.sum()
    assert (paid.reindex(lost.loan_id, fill_value=0).to_numpy() < 0.9 * lost.principal).all()


def test_in_ordinary_years_rings_are_few() -> None:
    rings = simulate(8_000, 12, seed=2).truth.ring
    assert 5 <= rings.notna().sum() <= 0.01 * len(rings)


def test_devices_count_the_customers_seen_so_far(lenders: dict[str, SimulatedLender]) -> None:
    rows = joined(lenders["baseline"])
    assert (rows.device_id.isna() == (rows.channel == "branch")).all()
    sent = rows.dropna(subset=["device_id"])
    assert (sent.device_customers == 1).mean() > 0.85
    assert (sent.device_customers >= 2).mean() > 0.01
    new = ~sent.duplicated(["device_id", "customer_id"])
    in_tables = new.groupby(sent.device_id).cumsum()
    assert (sent.device_customers >= in_tables).all()  # those of earlier requests were seen, too
    assert (sent.device_customers.groupby(sent.device_id).diff().dropna() >= 0).all()


def test_consents_cover_all_that_is_learned(lenders: dict[str, SimulatedLender]) -> None:
    consents = arrow_to_pandas(lenders["baseline"].tables["consents"])
    applications = arrow_to_pandas(lenders["baseline"].tables["applications"])
    first = applications.groupby("customer_id").applied_at.min()
    given = consents[consents.expires_at.isna()]
    wait = given.customer_id.map(first) - given.occurred_at
    assert wait.between(pd.Timedelta(0), 3 * DAY).all()
    asked = given.groupby("provider").decision_point.agg(set)
    assert asked["bureau"] == asked["business"] == {"application", "behaviour", "early_warning"}
    assert asked["consumption"] == {"application", "behaviour", "early_warning", "transaction"}
    owners = applications.customer_id[applications.employment == "business_owner"].unique()
    assert set(given.customer_id[given.provider == "business"]) == set(owners)
    assert set(given.customer_id) == set(applications.customer_id)
    assert len(consents) < 8 * CUSTOMERS


@pytest.mark.parametrize("scenario", ["baseline", "bureau_outage"])  # what comes late may come too late
def test_nothing_is_learned_after_a_consent_is_withdrawn(lenders: dict[str, SimulatedLender], scenario: str) -> None:
    tables = lenders[scenario].tables
    consents = arrow_to_pandas(tables["consents"])
    ended = consents.dropna(subset=["expires_at"])
    assert (ended.known_at == ended.expires_at).all()
    assert ended.consent_id.isin(consents.consent_id[consents.expires_at.isna()]).all()
    assert 0.001 < ended.customer_id.nunique() / CUSTOMERS < 0.05
    for name, table in tables.items():
        if TABLES[name].use.consent:
            until = ended[ended.provider == TABLES[name].use.provider].groupby("customer_id").expires_at.max()
            rows = arrow_to_pandas(
                table.filter(pc.is_in(table["customer_id"], value_set=pa.array(until.index.tolist())))
            )
            assert (rows.known_at <= rows.customer_id.map(until)).all()


def test_reports_are_corrected_as_in_life(lenders: dict[str, SimulatedLender]) -> None:
    lender = lenders["baseline"]
    months = versions(lender, "tradeline_months")
    assert 0.01 < len(months) / 2 / lender.tables["tradeline_months"].num_rows < 0.02
    first, last = months.iloc[::2], months.iloc[1::2]
    assert ((first.overdue_bucket.to_numpy() != last.overdue_bucket.to_numpy())
            | (first.balance.to_numpy() != last.balance.to_numpy())).mean() > 0.8  # fmt: skip
    assert 0.02 < (first.overdue_bucket.to_numpy() != last.overdue_bucket.to_numpy()).mean() < 0.4

    payments = versions(lender, "payments")
    first, last = payments.iloc[::2], payments.iloc[1::2]
    assert (first.payment_id.to_numpy() == last.payment_id.to_numpy()).all()
    bounced = last.amount.to_numpy() == 0
    assert 20 < bounced.sum() < 0.02 * lender.tables["payments"].num_rows
    assert (first.amount.to_numpy()[~bounced] < last.amount.to_numpy()[~bounced]).all()

    transactions = versions(lender, "transactions")
    assert 0 < len(transactions) / 2 < 0.002 * lender.tables["transactions"].num_rows
    assert set(map(len, transactions.groupby("transaction_id").groups.values())) == {2}
    for name in ("tradelines", "instalments", "invoices"):
        assert len(versions(lender, name)), name


def test_at_most_one_bucket_a_month_is_told(lenders: dict[str, SimulatedLender]) -> None:
    months = arrow_to_pandas(lenders["downturn"].tables["tradeline_months"]).sort_values("known_at")
    key = ["tradeline_id", "occurred_at"]
    for keep in ("first", "last"):  # as told at first, and as known in the end
        told = months.drop_duplicates(key, keep=keep).sort_values(key)
        rise = told.groupby("tradeline_id").overdue_bucket.diff()
        wrong = told[rise > 1]
        assert len(wrong) <= (0 if keep == "last" else 0.0002 * len(told))


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_smallest_lenders_meet_every_scenario(name: str) -> None:
    for customers, months in ((1, 1), (3, 2), (40, 5)):
        lender = simulate(customers, months, seed=1, scenario=name)
        assert lender.truth.application_id.is_unique
        assert len(set(lender.tables["applications"]["customer_id"].to_pylist())) == customers


def test_the_macro_path_moves_defaults_over_three_years(lenders: dict[str, SimulatedLender]) -> None:
    by_month = joined(lenders["baseline"]).set_index("applied_at").true_pd.resample("YE").mean()
    assert len(by_month) >= 3
    assert np.ptp(by_month) > 0.003
