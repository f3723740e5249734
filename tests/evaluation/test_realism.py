from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from data_contracts.engine import connect
from data_contracts.folder import write_tables
from evaluation.realism import figures, signal
from evaluation.realism.build import SECTIONS, build_realism_report
from evaluation.realism.checks import below, within
from evaluation.realism.public_figures import public_figures
from lenders.simulated import simulate, write
from reporting.page import Text

NOON = datetime(2024, 3, 10, 4)  # in China; the day ends at 16:00 UTC


def records(**tables: list[dict]):
    """A connection in which the given rows are tables."""
    connection = connect(threads=1)
    for name, rows in tables.items():
        connection.register(name, pd.DataFrame(rows).convert_dtypes())
    return connection


def months(account: str, *states: str, start: int = 1) -> list[dict]:
    return [{"account": account, "month": start + k, "state": state} for k, state in enumerate(states)]


@pytest.mark.parametrize(
    ("rows", "moves"),
    [
        (months("a", "0", "1", "2", "0"), {("0", "1"): 1, ("1", "2"): 1, ("2", "0"): 1}),
        (months("a", "0", "0") + months("b", "0", "C"), {("0", "0"): 1, ("0", "C"): 1}),
        (months("a", "0", "X", "0"), {}),  # a month of unknown state
        (months("a", "0") + months("a", "1", start=3), {}),  # a month is missing
        (months("a", "0") + months("b", "1", start=2), {}),  # not the same account
    ],
)
def test_moves_between_states(rows, moves):
    with records(states=rows) as connection:
        table = figures.roll_counts(connection, "SELECT * FROM states")
    found = {(one, other): int(n) for one, row in table.iterrows() for other, n in row.items() if n}
    assert found == moves


def test_roll_rates_and_their_distance_by_hand():
    empty = pd.DataFrame(0, list(figures.STATES), list(figures.STATES))
    first, second = empty.copy(), empty.copy()
    first.loc["0", ["0", "1", "C"]] = [6, 2, 2]
    second.loc["0", ["0", "1"]] = [1, 1]
    second.loc["3", "4"] = 9  # a state that the first has never seen
    assert figures.roll_rates(first).loc["0"].tolist() == [0.6, 0.2, 0, 0, 0, 0, 0.2]
    assert figures.roll_rates(first).loc["1"].isna().all()
    assert figures.roll_distance(first, second) == pytest.approx(0.25)  # among open accounts 3/4 and 1/4 against halves
    assert np.isnan(figures.roll_distance(first, empty))


def test_bureau_months_are_months_in_china():
    rows = [
        {"tradeline_id": "b", "occurred_at": end, "status": status, "overdue_bucket": bucket}
        for end, status, bucket in (
            (datetime(2024, 1, 31, 15, 59, 59), "open", 0),
            (datetime(2024, 2, 29, 15, 59, 59), "open", 2),
            (datetime(2024, 3, 31, 15, 59, 59), "closed", None),
            (datetime(2024, 4, 30, 15, 59, 59), "unknown", None),
        )
    ]
    with records(tradeline_months=rows) as connection:
        assert connection.sql(f"SELECT month, state FROM ({figures.bureau_months()}) ORDER BY month").fetchall() == [
            (24289, "0"),
            (24290, "2"),
            (24291, "C"),
            (24292, None),
        ]


APPLICATION = {"application_id": "A", "customer_id": "C", "applied_at": NOON, "product": "education"}


@pytest.mark.parametrize(
    ("occurred", "known", "counted"),
    [
        (timedelta(days=-364), timedelta(days=-364), 1),
        (timedelta(days=-365), timedelta(days=-365), 0),  # (as_of - 365 days, as_of]
        (timedelta(), timedelta(), 1),
        (timedelta(days=-5), timedelta(seconds=1), 0),  # learned after the decision
    ],
)
def test_inquiries_of_a_year(occurred, known, counted):
    inquiry = {"inquiry_id": "Q", "customer_id": "C", "occurred_at": NOON + occurred, "known_at": NOON + known}
    other = {**inquiry, "inquiry_id": "R", "customer_id": "D"}
    with records(applications=[APPLICATION], inquiries=[inquiry, other]) as connection:
        assert figures.inquiry_counts(connection)[counted] == 1.0


def test_accounts_in_the_file_at_each_application():
    later = {**APPLICATION, "application_id": "B", "applied_at": NOON + timedelta(days=40)}
    lines = [
        {"tradeline_id": name, "customer_id": "C", "occurred_at": NOON + timedelta(days=days)}
        for name, days in (("x", -9), ("y", 9), ("z", 90))
    ]
    with records(applications=[APPLICATION, later], tradelines=lines) as connection:
        assert figures.tradeline_counts(connection)[:4] == [0, 0.5, 0.5, 0]


def test_coverage_is_what_was_known_before_the_decision():
    inquiries = [{"customer_id": "C", "known_at": NOON - timedelta(days=1)}]
    payments = [{"customer_id": "C", "known_at": NOON + timedelta(days=1)}]
    stranger = {**APPLICATION, "application_id": "B", "customer_id": "D"}
    with records(applications=[APPLICATION, stranger], inquiries=inquiries, payments=payments) as connection:
        found = figures.coverage(connection, ["applications", "inquiries", "payments"])
    assert found == {"bureau": 0.5, "repayment": 0.0}


DUE = datetime(2024, 4, 10, 15, 59, 59)


def instalment(loan: str, number: int = 1) -> dict:
    return {
        "instalment_id": f"{loan}{number}",
        "loan_id": loan,
        "number": number,
        "due_at": DUE + timedelta(days=30 * (number - 1)),
        "amount_due": 100,
    }


def payment(loan: str, days: float, amount: int, number: int = 1) -> dict:
    at = DUE + timedelta(days=days)
    return {"instalment_id": f"{loan}{number}", "loan_id": loan, "occurred_at": at, "known_at": at, "amount": amount}


def test_first_payment_default_by_hand():
    loans = [{"loan_id": loan, "product": "education" if loan < "d" else "business"} for loan in "abcde"]
    instalments = [*map(instalment, "abcde"), instalment("a", 2), instalment("b", 3)]
    paid = [
        payment("a", -3, 100),
        payment("b", -3, 60),  # the rest 31 days late
        payment("b", 31, 40),
        payment("c", 20, 60),  # late, in parts, but within 30 days
        payment("c", 30, 40),
        payment("d", 40, 1, 2),  # until then the data tell
    ]
    with records(loans=loans, instalments=instalments, payments=paid) as connection:
        table = figures.first_payment_defaults(connection).set_index("product")
    assert table["loans"].to_dict() == {"business": 2, "education": 3}
    assert table["rate"].to_dict() == pytest.approx({"business": 1.0, "education": 1 / 3})


def test_a_first_payment_that_is_not_due_long_enough_is_left_out():
    paid = [payment("a", 29, 100)]
    with records(
        loans=[{"loan_id": "a", "product": "business"}], instalments=[instalment("a")], payments=paid
    ) as connection:
        assert len(figures.first_payment_defaults(connection)) == 0


def test_payments_by_day_in_china():
    paid = [
        payment("a", -1, 100),
        payment("a", -0.9, 50),  # on the due day already
        payment("a", 0.00002, 100),  # two seconds after the due day ends
        payment("a", 30, 100),
    ]
    with records(instalments=[instalment("a")], payments=paid) as connection:
        found = figures.payment_shares(connection)
    assert found == {"early": 0.25, "on_time": 0.25, "late": 0.5, "late_30": 0.25, "partial": 0.25}
    assert figures.paid_shares([], []) == {}


def test_utilisation_by_hand():
    lines = [
        {"tradeline_id": "x", "kind": "card", "credit_limit": 1000},
        {"tradeline_id": "x", "kind": "card", "credit_limit": 1000},
        {"tradeline_id": "y", "kind": "mortgage", "credit_limit": 1000},
    ]
    reports = [
        {"tradeline_id": name, "occurred_at": NOON + timedelta(days=days), "status": "open", "balance": balance}
        for name, days, balance in (("x", 0, 900), ("x", 31, 250), ("y", 0, 10))
    ]
    statements = [{"balance": 30, "credit_limit": 60}, {"balance": 30, "credit_limit": 0}]
    with records(tradelines=lines, tradeline_months=reports, card_months=statements) as connection:
        assert figures.card_utilisation(connection).tolist() == [0.25]
        assert figures.line_utilisation(connection).tolist() == [0.5]
    assert figures.quantiles([-1, 0.5, np.nan, 9])[::10] == [0, 0.5, 2]
    assert figures.quantiles([]) == []


def outcome(name: str, months: int, dpd: int) -> dict:
    return {"application_id": name, "months_on_book": months, "dpd_max": dpd}


def test_maturity_by_hand():
    applications = [
        {**APPLICATION, "application_id": name, "applied_at": datetime(2024, month, 1)}
        for name, month in (("a", 1), ("b", 2), ("c", 5))
    ]
    outcomes = [
        *(outcome("a", months, dpd) for months, dpd in ((3, 0), (6, 30))),
        *(outcome("b", months, dpd) for months, dpd in ((3, 45), (6, 45))),
        outcome("c", 3, 29),
    ]
    with records(applications=applications, outcomes=outcomes) as connection:
        products = figures.maturity_curves(connection, "product")
        quarters = figures.maturity_curves(connection, "quarter")
    assert products.loc["education"].to_dict() == {3: 0.5, 6: 1.0}  # c is too young
    assert quarters.loc["2024Q1"].to_dict() == {3: 0.5, 6: 1.0}
    assert quarters.loc["2024Q2"].to_dict() == pytest.approx({3: 0.0, 6: np.nan}, nan_ok=True)


def test_rates_by_quarter():
    assert figures.quarters(pd.Series(["2023-12", "2024-01", "2024-03", "2024-04"])).tolist() == [
        "2023Q4",
        "2024Q1",
        "2024Q1",
        "2024Q2",
    ]


def test_a_corrected_record_counts_in_its_last_state(tmp_path):
    line = {"tradeline_id": "x", "customer_id": "C", "kind": "card", "status": "active", "credit_limit": 100}
    known = (NOON - timedelta(days=9), NOON - timedelta(days=2))
    rows = [
        {**line, "occurred_at": NOON - timedelta(days=20), "known_at": at, "credit_limit": limit}
        for at, limit in zip(known, (100, 400), strict=True)
    ]
    folder = write_tables(tmp_path / "tables", {"tradelines": pd.DataFrame(rows)}, lender="hand", dates="calendar")
    with figures.open_records(folder) as connection:
        assert connection.sql("SELECT credit_limit FROM tradelines").fetchall() == [(400,)]


def test_a_missing_value_may_be_what_tells():
    y = pd.Series([0, 0, 1, 1], index=list("abcd"))
    features = pd.DataFrame(
        {
            "lower_is_riskier": [4.0, 3.0, 2.0, 1.0],
            "absent_for_bad": [1.0, 1.0, np.nan, np.nan],
            "never_there": [np.nan] * 4,
            "half": [1.0, 2.0, 1.0, 2.0],
        },
        index=list("abcd"),
    )
    table = signal.single_aucs(features, y)
    assert table["auc"].to_dict() == {"lower_is_riskier": 1, "absent_for_bad": 1, "never_there": 0.5, "half": 0.5}
    assert table.loc["lower_is_riskier", "direction"] == -1
    assert table.loc["absent_for_bad", "missing"] == 0.5
    assert len(signal.single_aucs(features, pd.Series([0, 0], index=list("ab")))) == 0


def test_oracle_by_hand():
    truth = pd.DataFrame(
        {
            "true_pd": [0.1, 0.2, 0.3, 0.4],
            "defaults": [False, True, False, True],
            "granted": [True, True, False, False],
        }
    )
    found = signal.oracle(truth)
    assert (found["all"].value, found["granted"].value) == (0.75, 1.0)


@pytest.mark.parametrize(
    ("value", "holds"), [(0.7, True), (0.72, False), (0.0, True), (None, None), (float("nan"), None)]
)
def test_promise_with_a_limit(value, holds):
    check = below(Text("值", "value"), value, 0.72)
    assert (check.holds, check.bound) == (holds, "< 0.72")


@pytest.mark.parametrize(("value", "holds"), [(0.79, False), (0.8, True), (0.88, True), (0.89, False), (None, None)])
def test_promise_with_bounds(value, holds):
    assert within(Text("值", "value"), value, (0.80, 0.88)).holds is holds


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    simulated = simulate(customers=300, months=18, seed=3)
    return write(simulated, tmp_path_factory.mktemp("realism") / "tables"), simulated.truth


@pytest.fixture(scope="module")
def realism(lender):
    return build_realism_report(*lender, created="2024-06-30")


def test_the_page_is_whole_in_both_languages(realism):
    for name, text in SECTIONS:
        assert f'<section id="{name}">' in realism.html
        assert f'<h2><span lang="zh">{text.zh}</span><span lang="en">{text.en}</span></h2>' in realism.html
    for check in realism.checks:
        assert check.name.zh in realism.html
        assert check.name.en in realism.html
    assert "2024-06-30" in realism.html


def test_nothing_comes_from_outside_and_nobody_is_named(realism, lender):
    assert "://" not in realism.html
    assert "default-src 'none'" in realism.html
    applications = lender[0].read("applications", ["application_id", "customer_id"])
    text = re.sub(r"<svg.*?</svg>", "", realism.html, flags=re.DOTALL)
    assert not any(name in text for name in pd.concat([applications["application_id"], applications["customer_id"]]))


def test_plots_are_drawn_once(realism):
    drawn = re.findall(r'data-plot="([^"]+)"', realism.html)
    assert len(drawn) == len(set(drawn))
    assert {
        "default-rates",
        "vintages",
        "maturity-products",
        "maturity-quarters",
        "months",
        "arrears-spread",
        "arrears-worse",
        "arrears-cured",
        "utilisation-cards",
        "inquiries",
        "tradelines",
        "payments",
        "single-features",
        "decisions",
    } <= set(drawn)


def test_figures_are_those_of_the_tables(realism, lender):
    folder, truth = lender
    assert json.loads(json.dumps(realism.figures)) == realism.figures
    assert realism.figures["records"]["applications"] == folder.rows("applications") == len(truth)
    assert realism.figures["approval_rate"] == pytest.approx(truth["granted"].mean())
    outcomes = folder.read("outcomes")
    seen = outcomes[outcomes["months_on_book"] == 6]
    assert realism.figures["default_rate"] == pytest.approx((seen["dpd_max"] >= 30).mean())
    assert sum(realism.figures["inquiries"]) == pytest.approx(1)
    assert len(realism.figures["single_auc"]) == 20
    assert f"{100 * realism.figures['default_rate']:.1f}%" in realism.html


def test_promises_say_what_was_found(realism):
    by_name = {check.name.en: check for check in realism.checks}
    best = by_name["Best AUC of a single feature"]
    assert best.value == pytest.approx(max(realism.figures["single_auc"].values()), abs=1e-6)
    assert best.holds == (best.value < 0.72)
    shown = re.search(r'<table id="checks">.*?</table>', realism.html, re.DOTALL).group()
    assert shown.count("pill good") == sum(check.holds is True for check in realism.checks)
    assert shown.count("pill bad") == sum(check.holds is False for check in realism.checks)


def test_same_tables_same_bytes(realism, lender):
    assert build_realism_report(*lender, created="2024-06-30").html == realism.html


def test_many_customers_are_sampled_by_their_identifier(lender):
    folder, _ = lender
    whole = signal.feature_matrix(folder)
    part = signal.feature_matrix(folder, applications=200)
    assert 120 < len(part) < 280
    pd.testing.assert_frame_equal(part, whole.loc[part.index])


def test_a_lender_without_history_is_judged_on_nothing(tmp_path):
    rows = pd.DataFrame([{**APPLICATION, "amount_requested": 1000_00, "age_years": 30.0, "term_months": 6}])
    folder = write_tables(tmp_path / "tables", {"applications": rows}, lender="hand", dates="calendar")
    truth = pd.DataFrame({"application_id": ["A"], "true_pd": [0.1], "defaults": [False], "granted": [True]})
    made = build_realism_report(folder, truth, created="")
    assert {check.name.en for check in made.checks if check.holds is None} >= {
        "Best AUC of a single feature",
        "AUC of the true PD, all applicants",
        "Default rate of the order of public data",
    }
    assert "cannot be judged" in made.html
    assert "No loan has an outcome yet." in made.html


def test_public_rates_stand_in_the_page(realism):
    for rate in public_figures().default_rate.values():
        assert f"{100 * rate:.1f}%" in realism.html
