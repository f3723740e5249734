"""The simulated lender keeps its contracts, its clock and its aims."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from data_contracts.errors import SourceError
from data_contracts.folder import arrow_to_pandas, to_arrow
from data_contracts.judge import judge
from data_contracts.tables import TABLES
from lenders.simulated import SimulatedLender, simulate, write

END = pd.Timestamp("2023-12-31 16:00")  # the end of 2023 in China, in UTC
NAMES = [name for name in TABLES if name != "loan_months"]


@pytest.fixture(scope="module")
def small() -> SimulatedLender:
    return simulate(customers=300, seed=3)


@pytest.fixture(scope="module")
def lender() -> SimulatedLender:
    return simulate(customers=5_000, seed=11)


def latest(lender: SimulatedLender, name: str) -> pd.DataFrame:
    """A table as it is known in the end: of each record its last version."""
    rows = arrow_to_pandas(lender.tables[name]).sort_values("known_at", kind="stable")
    return rows.drop_duplicates(list(TABLES[name].key), keep="last").sort_index()


@pytest.fixture(scope="module")
def granted(lender: SimulatedLender) -> pd.DataFrame:
    """Granted applications with their truth and the outcome at six months on book."""
    outcomes = arrow_to_pandas(lender.tables["outcomes"])
    outcomes = outcomes[outcomes.months_on_book == 6][["application_id", "dpd_max", "occurred_at"]]
    applications = arrow_to_pandas(lender.tables["applications"])
    return applications.merge(lender.truth, on="application_id").merge(outcomes, on="application_id")


def test_has_every_table_that_it_simulates(small: SimulatedLender) -> None:
    assert sorted(small.tables) == sorted(NAMES)


def test_same_seed_gives_the_same_bytes(small: SimulatedLender, tmp_path: Path) -> None:
    first = write(small, tmp_path / "first")
    again = write(simulate(customers=300, seed=3), tmp_path / "again")
    other = write(simulate(customers=300, seed=4), tmp_path / "other")
    assert first.hashes == again.hashes
    assert all(first.hashes[name] != other.hashes[name] for name in NAMES)


def test_written_folder_holds_tables_and_truth(small: SimulatedLender, tmp_path: Path) -> None:
    folder = write(small, tmp_path / "lender")
    assert (folder.lender, folder.dates) == ("simulated", "calendar")
    assert folder.rows("transactions") == small.tables["transactions"].num_rows
    truth = pq.read_table(tmp_path / "lender" / "truth" / "truth.parquet")
    assert truth.column_names == ["application_id", "true_pd", "defaults", "late_90_dpd", "granted", "ring"]
    assert truth.num_rows == small.tables["applications"].num_rows
    assert "truth" not in folder.tables


def test_every_contract_holds() -> None:
    """Not one row is rejected or as much as flagged, in a lender of all that ordinary years bring."""
    lender = simulate(customers=1_500, seed=8)
    assert [str(finding) for finding in judge(lender.tables).findings] == []


@pytest.mark.parametrize("name", NAMES)
def test_types_are_those_at_rest_already(small: SimulatedLender, name: str) -> None:
    table = small.tables[name]
    expected = to_arrow(TABLES[name], table).schema
    assert all(field.type == expected.field(field.name).type for field in table.schema)  # so money is whole fen


@pytest.mark.parametrize("name", [name for name in NAMES if name != "applications"])
def test_nothing_is_known_after_the_end(small: SimulatedLender, name: str) -> None:
    known = pc.max(small.tables[name]["known_at"]).as_py()
    if name == "instalments":  # the schedule is known when the loan is drawn
        assert pc.max(small.tables[name]["due_at"]).as_py() > END
    assert known < END
    days = TABLES[name].fresh_days
    assert days is None or (END - known).days <= days


def test_first_report_of_an_account_knows_nothing_of_later_arrears(lender: SimulatedLender) -> None:
    reports = arrow_to_pandas(lender.tables["tradelines"]).sort_values(["tradeline_id", "known_at"])
    first = reports.drop_duplicates("tradeline_id")
    assert (first.overdue_amount == 0).all()
    assert (first.overdue_amount_max == 0).all()
    assert first.closed_at.isna().all()
    assert (reports.overdue_amount > 0).mean() > 0.02
    closed = reports[reports.closed_at.notna()]
    assert (closed.closed_at <= closed.known_at).all()
    assert closed.tradeline_id.is_unique
    last = reports.drop_duplicates("tradeline_id", keep="last").set_index("tradeline_id")
    assert (last.loc[closed.tradeline_id].status != "active").all()
    assert reports.groupby("tradeline_id").overdue_amount_max.is_monotonic_increasing.all()


def test_outcomes_follow_from_instalments_and_payments(lender: SimulatedLender, granted: pd.DataFrame) -> None:
    dues = latest(lender, "instalments")
    payments = latest(lender, "payments").query("amount > 0").groupby("instalment_id")
    dues = dues.join(payments.amount.sum().rename("paid"), "instalment_id")
    dues = dues.join(payments.occurred_at.max().rename("paid_at"), "instalment_id")
    assert (dues.paid.dropna() <= dues.amount_due[dues.paid.notna()]).all()
    dues.loc[dues.paid != dues.amount_due, "paid_at"] = pd.NaT
    loans = arrow_to_pandas(lender.tables["loans"]).drop_duplicates("loan_id")[["loan_id", "application_id"]]
    ripe = granted[granted.occurred_at < END - pd.Timedelta(days=9)]  # all payments until then are known, mended too
    dues = dues.merge(loans, on="loan_id").merge(
        ripe[["application_id", "occurred_at", "dpd_max"]], on="application_id"
    )
    until = dues.paid_at.fillna(END).clip(upper=dues.occurred_at_y)
    dues["dpd"] = np.maximum(np.ceil((until - dues.due_at) / pd.Timedelta(days=1)), 0)
    by_application = dues.groupby("application_id")
    assert (by_application.dpd.max() == by_application.dpd_max.first()).all()


def test_outcome_at_six_months_is_the_drawn_default(granted: pd.DataFrame) -> None:
    assert ((granted.dpd_max >= 30) == granted.defaults).all()
    assert granted.granted.all()


def test_the_truth_tells_who_would_be_90_days_late_by_the_twelfth_month(lender: SimulatedLender) -> None:
    outcomes = arrow_to_pandas(lender.tables["outcomes"]).query("months_on_book == 12")
    told = outcomes.merge(lender.truth, on="application_id")
    seen = told.dpd_max >= 90
    assert seen.sum() > 50
    assert (seen != told.late_90_dpd).mean() < 0.001  # a month begins while the money is on its way
    late = lender.truth.groupby("granted").late_90_dpd.mean()
    assert late[False] > 2 * late[True]


def test_only_granted_applications_have_outcomes_and_truth_knows_all(lender: SimulatedLender) -> None:
    with_outcome = set(lender.tables["outcomes"]["application_id"].to_pylist())
    refused = set(lender.truth.application_id[~lender.truth.granted])
    assert refused
    assert not with_outcome & refused
    assert lender.truth.application_id.tolist() == lender.tables["applications"]["application_id"].to_pylist()


def _transactions_around(lender: SimulatedLender, granted: pd.DataFrame) -> pd.DataFrame:
    columns = ["customer_id", "category", "occurred_at", "known_at"]
    transactions = arrow_to_pandas(lender.tables["transactions"].select(columns))
    applied = granted[["application_id", "customer_id", "applied_at"]]
    pairs = applied.merge(transactions, on="customer_id")
    pairs["days"] = (pairs.occurred_at - pairs.applied_at) / pd.Timedelta(days=1)
    return pairs


def test_the_past_knows_the_risk_but_not_the_luck(lender: SimulatedLender, granted: pd.DataFrame) -> None:
    """Given the true PD, nothing before the application tells who defaults; what comes after does."""
    around = _transactions_around(lender, granted)
    advances = around[around.category.isin(["cash_advance", "fees"])]
    luck = granted.set_index("application_id").eval("defaults - true_pd")

    def z(rows: pd.DataFrame) -> float:
        count = rows.groupby("application_id").size().reindex(luck.index, fill_value=0)
        return float(np.corrcoef(count, luck)[0, 1] * np.sqrt(len(luck)))

    for days in (30, 90, 365):
        assert abs(z(advances[(advances.days <= 0) & (advances.days > -days)])) < 3.5
    assert z(advances[(advances.days > 35) & (advances.days < 150)]) > 4


def test_debt_rolling_shows_in_the_order_of_events(lender: SimulatedLender, granted: pd.DataFrame) -> None:
    past = _transactions_around(lender, granted).query("-365 < days <= 0").sort_values(["application_id", "days"])
    following = past.groupby("application_id")[["category", "days"]].shift(-1)
    advance = past.category == "cash_advance"
    rolled = advance & (following.category == "loan_repayment") & (following.days - past.days < 1)
    counts = pd.DataFrame({"application_id": past.application_id, "advance": advance, "rolled": rolled})
    counts = counts.groupby("application_id").sum().query("advance >= 4")
    share = counts.rolled / counts.advance
    true_pd = granted.set_index("application_id").true_pd.loc[share.index]
    assert np.corrcoef(share, np.log(true_pd / (1 - true_pd)))[0, 1] > 0.15


def test_realism(lender: SimulatedLender, granted: pd.DataFrame) -> None:
    assert 0.04 < granted.defaults.mean() < 0.10
    assert 0.6 < lender.truth.granted.mean() < 0.85
    assert 0.80 < roc_auc_score(lender.truth.defaults, lender.truth.true_pd) < 0.88
    assert 0.79 < roc_auc_score(granted.defaults, granted.true_pd) < 0.89
    assert abs(lender.truth.defaults.mean() - lender.truth.true_pd.mean()) < 0.01
    for name in ("external_score_1", "income_monthly", "employed_months", "instalment_monthly", "amount_requested"):
        rows = granted[granted[name].notna()]
        assert roc_auc_score(rows.defaults, -rows[name].astype(float)) < 0.72, name
    past = _transactions_around(lender, granted).query("-180 < days <= 0")
    for category in ("cash_advance", "gambling", "salary"):
        count = past[past.category == category].groupby("application_id").size()
        area = roc_auc_score(granted.defaults, granted.application_id.map(count).fillna(0))
        assert abs(area - 0.5) < 0.22, category


@pytest.mark.parametrize(
    ("product", "ages", "amounts", "terms"),
    [
        ("emergency_cash", (20, 30.1), (1_000, 5_000), (1, 3)),
        ("renovation", (30, 45.1), (50_000, 200_000), (12, 60)),
        ("education", (30, 45.1), (10_000, 100_000), (6, 36)),
        ("business", (35, 55.1), (100_000, 500_000), (6, 60)),
    ],
)
def test_products_are_sold_as_declared(
    lender: SimulatedLender, product: str, ages: tuple[float, float], amounts: tuple[int, int], terms: tuple[int, int]
) -> None:
    sold = arrow_to_pandas(lender.tables["applications"]).query("product == @product")
    assert len(sold) > 50
    assert sold.age_years.between(*ages).all()
    assert (sold.amount_requested / 100).between(*amounts).all()
    assert sold.term_months.between(*terms).all()


def test_customers_apply_once_or_more_and_have_earlier_loans(lender: SimulatedLender) -> None:
    applications = arrow_to_pandas(lender.tables["applications"])
    assert applications.customer_id.nunique() == 5_000
    assert applications.applied_at.is_monotonic_increasing
    loans = arrow_to_pandas(lender.tables["loans"])
    earlier = loans[loans.application_id.isna()]
    assert earlier.occurred_at.min() < applications.applied_at.min()
    decided = loans.dropna(subset=["application_id"]).merge(applications, on="application_id")
    assert (decided.occurred_at > decided.applied_at).all()  # a loan is no history of its own application


@pytest.mark.parametrize("months", [1, 7])
@pytest.mark.parametrize("customers", [1, 2, 9])
def test_the_smallest_lenders_are_lenders_too(customers: int, months: int) -> None:
    tables = simulate(customers, months, seed=5, start=datetime(1999, 5, 20)).tables
    assert isinstance(tables["payments"], pa.Table)
    assert tables["applications"].num_rows >= customers
    assert pc.min(tables["applications"]["applied_at"]).as_py() >= datetime(1999, 4, 30, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 0}, "customers is 0, it must be from 1"),
        ({"months": 0, "seed": -1}, "months is 0, it must be from 1 to 240; seed is -1"),
    ],
)
def test_impossible_numbers_are_all_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        simulate(**arguments)


def test_progress_names_steps_and_ends_at_one() -> None:
    told: list[tuple[str, float]] = []
    simulate(20, 6, progress=lambda step, share: told.append((step, share)))
    steps = ["customers", "decisions", "repayment", "bureau", "consumption", "business", "consents", "done"]
    assert [step for step, _ in told] == steps
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1.0
