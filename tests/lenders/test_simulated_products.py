"""Credit lines, loans for goods, businesses with their invoices: what is sold behaves as it is sold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_contracts.folder import arrow_to_pandas
from data_contracts.tables import TABLES
from lenders.simulated import SimulatedLender, simulate

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def lender() -> SimulatedLender:
    return simulate(customers=3_000, seed=5)


def latest(lender: SimulatedLender, name: str) -> pd.DataFrame:
    rows = arrow_to_pandas(lender.tables[name]).sort_values("known_at", kind="stable")
    return rows.drop_duplicates(list(TABLES[name].key), keep="last").sort_index()


@pytest.fixture(scope="module")
def lines(lender: SimulatedLender) -> pd.DataFrame:
    """Granted credit lines, by loan."""
    loans = arrow_to_pandas(lender.tables["loans"]).query("product == 'emergency_cash' and status == 'granted'")
    return loans.set_index("loan_id")


@pytest.fixture(scope="module")
def drawings(lender: SimulatedLender, lines: pd.DataFrame) -> pd.DataFrame:
    """Instalments of credit lines as they were scheduled, with the line's terms."""
    first = arrow_to_pandas(lender.tables["instalments"]).drop_duplicates("instalment_id")
    return first.join(lines[["principal", "annual_rate", "term_months"]], "loan_id", how="inner")


def test_a_line_is_drawn_once_or_several_times(drawings: pd.DataFrame) -> None:
    times = drawings.groupby("loan_id").occurred_at.nunique()
    assert 1.3 < times.mean() < 4
    assert (times == 1).mean() > 0.2
    assert times.max() >= 5
    first = drawings.groupby("loan_id").occurred_at.transform("min")
    assert ((drawings.occurred_at - first) > 90 * DAY).mean() > 0.05  # drawn again after the first was repaid


def test_an_instalment_is_the_drawn_part_and_daily_interest(drawings: pd.DataFrame) -> None:
    daily = drawings.annual_rate / 365
    assert daily.between(0.0003 - 1e-9, 0.0005 + 1e-9).all()
    assert set(drawings.term_months) == {1, 2, 3}
    days = np.ceil((drawings.due_at - drawings.occurred_at) / DAY)
    part = drawings.amount_due / (1 + daily * days)
    drawn = part.groupby([drawings.loan_id, drawings.occurred_at]).agg(["sum", "size"]).reset_index()
    assert np.allclose(drawn["sum"] / 10_000, (drawn["sum"] / 10_000).round(), atol=0.001)  # in steps of 100 CNY
    assert (drawn["size"] == drawn.loan_id.map(drawings.groupby("loan_id").term_months.first())).all()
    assert days.max() <= 95


def test_an_early_payment_saves_interest(lender: SimulatedLender, drawings: pd.DataFrame) -> None:
    final = latest(lender, "instalments").set_index("instalment_id").amount_due
    lowered = drawings[drawings.amount_due > final.loc[drawings.instalment_id].to_numpy()]
    assert 0.2 < len(lowered) / len(drawings) < 0.6
    paid = latest(lender, "payments").query("amount > 0").groupby("instalment_id").agg(
        paid=("amount", "sum"), at=("occurred_at", "max"))  # fmt: skip
    lowered = lowered.join(paid, "instalment_id", how="inner")
    known = lowered[lowered["at"] < lowered["at"].max() - 9 * DAY]
    assert len(known) > 500
    assert (known["at"] < known.due_at).all()
    assert (known.paid == final.loc[known.instalment_id].to_numpy()).all()
    assert (final.groupby(level=0).size() == 1).all()


def test_statements_are_the_sums_of_instalments_and_payments(lender: SimulatedLender, drawings: pd.DataFrame) -> None:
    cards = arrow_to_pandas(lender.tables["card_months"]).rename(columns={"card_id": "loan_id"})
    cards = cards[cards.occurred_at < cards.occurred_at.max() - 40 * DAY]  # all that moves them is known
    cards["before"] = cards.groupby("loan_id").occurred_at.shift().fillna(pd.Timestamp("1990-01-01"))
    final = latest(lender, "instalments").set_index("instalment_id")
    payments = latest(lender, "payments").query("amount > 0")
    settled = payments.groupby("instalment_id").agg(paid=("amount", "sum"), at=("occurred_at", "max"))
    dues = drawings.join(final.amount_due.rename("final"), "instalment_id").join(settled, "instalment_id")
    dues["settled_at"] = dues["at"].where(dues.paid == dues.final)
    pairs = cards.merge(dues, on="loan_id", suffixes=("", "_due"))
    drawn = pairs.occurred_at_due <= pairs.occurred_at
    owed = pairs.final.where(pairs.settled_at <= pairs.occurred_at, pairs.amount_due).where(drawn, 0)
    keys = ["loan_id", "occurred_at"]
    owed = owed.groupby([pairs[key] for key in keys]).sum()
    paid_pairs = cards.merge(payments, on="loan_id", suffixes=("", "_paid"))
    paid_pairs = paid_pairs[paid_pairs.occurred_at_paid <= paid_pairs.occurred_at]
    paid = paid_pairs.groupby(keys).amount.sum()
    in_month = paid_pairs[paid_pairs.occurred_at_paid > paid_pairs.before].groupby(keys).amount.sum()
    late = (pairs.due_at < pairs.occurred_at) & ~(pairs.settled_at <= pairs.occurred_at)
    dpd = np.ceil((pairs.occurred_at - pairs.due_at) / DAY).where(late, 0).groupby([pairs[k] for k in keys]).max()
    cards = cards.set_index(keys)
    assert (cards.balance == owed.reindex(cards.index) - paid.reindex(cards.index, fill_value=0)).all()
    assert (cards.paid == in_month.reindex(cards.index, fill_value=0)).all()
    assert (cards.dpd == dpd.reindex(cards.index)).all()
    assert (cards.balance <= 1.06 * cards.credit_limit).all()
    assert (cards.drawn_cash <= cards.drawn).all()
    assert ((cards.drawn > 0) == (cards.drawings > 0)).all()


def test_statements_tell_the_drawings_and_go_on_until_the_line_is_closed(
    lender: SimulatedLender, lines: pd.DataFrame, drawings: pd.DataFrame
) -> None:
    cards = arrow_to_pandas(lender.tables["card_months"])
    assert set(cards.card_id) <= set(lines.index)
    assert (cards.credit_limit == cards.card_id.map(lines.principal)).all()
    days = np.ceil((drawings.due_at - drawings.occurred_at) / DAY)
    part = (drawings.amount_due / (1 + drawings.annual_rate / 365 * days)).groupby(drawings.loan_id).sum()
    loans = latest(lender, "loans").set_index("loan_id")
    closed = loans[(loans.status == "closed") & loans.index.isin(lines.index)]
    known = cards[cards.card_id.isin(closed.index) & (closed.closed_at.reindex(cards.card_id) < cards.known_at.max()
                  - 40 * DAY).to_numpy()]  # fmt: skip
    told = known.groupby("card_id").agg(drawn=("drawn", "sum"), balance=("balance", "last"))
    assert np.allclose(told.drawn, part.loc[told.index], atol=5)
    assert (told.balance == 0).all()
    # who can draw again after having repaid is told without a debt in between
    assert 0.05 < (cards.balance == 0).mean() < 0.7
    assert (cards.minimum_due <= cards.balance + cards.paid).all()
    assert (cards[cards.dpd > 0].minimum_due > 0).all()


def test_goods_are_paid_to_the_merchant_and_cash_to_the_account(lender: SimulatedLender) -> None:
    loans = arrow_to_pandas(lender.tables["loans"]).query("status == 'granted'")
    goods = loans[loans["product"].isin(["renovation", "education"])]
    applied = arrow_to_pandas(lender.tables["applications"]).set_index("application_id")
    listed = goods.dropna(subset=["application_id"])
    price = applied.goods_price.loc[listed.application_id].to_numpy()
    assert (price == listed.principal + listed.down_payment).all()
    assert (listed.down_payment / price).between(0.04, 0.31).all()
    assert applied.goods_price[applied["product"].isin(["emergency_cash", "business"])].isna().all()
    money = arrow_to_pandas(lender.tables["transactions"])
    arrived = money[money.category == "loan_drawdown"].groupby("customer_id").amount.agg(set)
    business = loans[(loans["product"] == "business") & loans.application_id.notna()]
    there = [p in arrived.get(c, ()) for c, p in zip(business.customer_id, business.principal, strict=True)]
    not_there = [p in arrived.get(c, ()) for c, p in zip(listed.customer_id, listed.principal, strict=True)]
    assert np.mean(there) > 0.9
    assert np.mean(not_there) < 0.02
    shopped = money[money.category == "shopping"].groupby("customer_id").amount.agg(set)
    down = [p in shopped.get(c, ()) for c, p in zip(listed.customer_id, listed.down_payment, strict=True)]
    assert np.mean(down) > 0.9


def test_business_loans_pay_interest_a_quarter_and_the_principal_at_the_end(lender: SimulatedLender) -> None:
    loans = arrow_to_pandas(lender.tables["loans"]).query("product == 'business' and status == 'granted'")
    dues = arrow_to_pandas(lender.tables["instalments"]).drop_duplicates("instalment_id")
    dues = dues.merge(loans, on="loan_id")
    last = dues.number == dues.term_months // 3
    interest = dues.principal * dues.annual_rate / 4
    assert np.allclose(dues.amount_due, interest + dues.principal * last, atol=1)
    assert np.diff(np.sort(dues[dues.loan_id == dues.loan_id.iloc[0]].due_at)).min() > np.timedelta64(80, "D")


def test_only_businesses_have_invoices(lender: SimulatedLender) -> None:
    applications = arrow_to_pandas(lender.tables["applications"]).drop_duplicates("customer_id")
    owners = set(applications.customer_id[applications.employment == "business_owner"])
    assert set(lender.tables["invoices"]["customer_id"].to_pylist()) == owners
    assert 0.05 < len(owners) / len(applications) < 0.3


def test_invoices_look_as_those_of_small_firms_do(lender: SimulatedLender) -> None:
    invoices = latest(lender, "invoices")
    sales, purchases = (invoices[invoices.direction == direction] for direction in ("sale", "purchase"))
    # CUMCM 2020 C: 6.9 and 3.6 % void, 5.3 and 0.9 % negative, the largest counterparty 28 and 34 % of the trade
    assert (sales.status == "void").mean() == pytest.approx(0.069, abs=0.012)
    assert (purchases.status == "void").mean() == pytest.approx(0.036, abs=0.01)
    assert (sales.amount < 0).mean() == pytest.approx(0.05, abs=0.015)
    assert (purchases.amount < 0).mean() == pytest.approx(0.009, abs=0.006)
    for side in (sales, purchases):
        good = side[(side.status == "valid") & (side.amount > 0)]
        trade = good.groupby(["customer_id", "counterparty_id"]).amount.sum()
        top = trade.groupby(level=0).max() / trade.groupby(level=0).sum()
        assert 0.15 < top.median() < 0.5
    assert (np.sign(invoices.tax) * np.sign(invoices.amount) >= 0).all()
    rates = (invoices.tax / invoices.amount)[invoices.amount.abs() > 100_000].round(2)
    assert set(rates) == {0.0, 0.01, 0.03, 0.06, 0.09, 0.13}
    versions = arrow_to_pandas(lender.tables["invoices"]).sort_values("known_at").groupby("invoice_id").status.agg(list)
    again = versions[versions.str.len() > 1]
    assert set(map(tuple, again)) == {("valid", "void")}


def test_sales_thin_before_trouble(lender: SimulatedLender) -> None:
    applied = arrow_to_pandas(lender.tables["applications"]).merge(lender.truth, on="application_id")
    owners = applied[(applied["product"] == "business") & applied.granted]
    sales = latest(lender, "invoices").query("direction == 'sale' and status == 'valid'")
    pairs = owners.merge(sales, on="customer_id")
    days = (pairs.occurred_at - pairs.applied_at) / DAY
    before = pairs[(days > -180) & (days <= 0)].groupby("application_id").size()
    after = pairs[(days > 30) & (days <= 120)].groupby("application_id").size()
    seen = owners[owners.applied_at < owners.applied_at.max() - 125 * DAY].set_index("application_id")
    ratio = after.reindex(seen.index, fill_value=0) / before.reindex(seen.index).clip(lower=1)
    assert ratio[seen.defaults].mean() < 0.88 * ratio[~seen.defaults].mean()
