from __future__ import annotations

import pandas as pd
import pytest

from evaluation import account_months
from evaluation.account_months import observed_until
from evaluation.tables import wilson
from evaluation.vintages import roll_rates, vintage_curves

AS_OF = pd.Timestamp("2024-07-15")


def at(day: str) -> pd.Timestamp:
    """Noon of a day in China, in UTC."""
    return pd.Timestamp(day) + pd.Timedelta(hours=4)


def table(rows: list[dict], **constants) -> pd.DataFrame:
    """Rows of a canonical table, known when they happened where nothing else is said."""
    made = pd.DataFrame([{"customer_id": "c", **constants, **row} for row in rows])
    return made.assign(known_at=made.get("known_at", made["occurred_at"]).fillna(made["occurred_at"]))


def card_months(*months: tuple[str, str, float | None]) -> pd.DataFrame:
    rows = [
        {"card_id": card, "occurred_at": at(day), "dpd": dpd, "status": "unused" if dpd is None else "carried"}
        for card, day, dpd in months
    ]
    return table(rows)


def states(found: account_months.AccountMonths) -> list[tuple[str, int, float]]:
    return list(found.states[["account", "month", "dpd"]].itertuples(index=False, name=None))


def test_cards_begin_with_their_first_statement():
    statements = card_months(
        ("a", "2024-01-05", 0), ("a", "2024-02-05", 31), ("a", "2024-04-05", None), ("b", "2024-03-31", 5)
    )
    found = account_months.of_cards(statements, AS_OF)
    assert states(found) == [("a", 0, 0.0), ("a", 1, 31.0), ("a", 3, 0.0), ("b", 0, 5.0)]
    # known by 14 June, 31 days before, is all until May: months 4 and 2 on book
    assert found.accounts[["account", "until"]].to_numpy().tolist() == [["a", 4], ["b", 2]]


def test_a_month_that_is_not_yet_reported_is_not_counted():
    statements = card_months(("a", "2024-05-05", 0), ("a", "2024-06-05", 40))
    assert states(account_months.of_cards(statements, AS_OF)) == [("a", 0, 0.0)]
    all_in = account_months.of_cards(statements, AS_OF, reported_within_days=0)
    assert states(all_in) == [("a", 0, 0.0), ("a", 1, 40.0)]


def test_months_are_those_of_china():
    statement = card_months(("a", "2024-01-31", 0)).assign(occurred_at=pd.Timestamp("2024-01-31 16:00"))
    found = account_months.of_cards(statement, AS_OF)
    assert found.accounts["granted"].tolist() == [2024 * 12 + 1]  # February


def test_corrections_count_once_they_are_known():
    first = {"card_id": "a", "occurred_at": at("2024-01-05"), "dpd": 0, "status": "carried"}
    statements = table([first, {**first, "dpd": 35, "known_at": at("2024-04-01")}])
    assert states(account_months.of_cards(statements, at("2024-03-15"))) == [("a", 0, 0.0)]
    assert states(account_months.of_cards(statements, AS_OF)) == [("a", 0, 35.0)]


def test_loans_by_their_months_begin_at_the_decision():
    loans = table([{"loan_id": "a", "occurred_at": at("2023-12-20")}])
    months = table(
        [
            {"loan_id": "a", "occurred_at": at("2024-02-28"), "status": "active", "dpd": 10},
            {"loan_id": "a", "occurred_at": at("2024-03-31"), "status": "closed", "dpd": 0},
            {"loan_id": "b", "occurred_at": at("2024-02-28"), "status": "active", "dpd": 0},
        ]
    )
    assert states(account_months.of_loan_months(months, loans, AS_OF)) == [("a", 2, 10.0), ("b", 0, 0.0)]
    assert states(account_months.of_loan_months(months, None, AS_OF))[0] == ("a", 0, 10.0)


def loan_with_instalments(*payments: tuple[str, int]):
    loans = table([{"loan_id": "a", "occurred_at": at("2024-01-10")}])
    due = [{"number": k, "due_at": at(f"2024-0{k + 1}-10"), "amount_due": 1000} for k in (1, 2, 3)]
    instalments = table(due, loan_id="a", occurred_at=at("2024-01-10")).assign(instalment_id=["i", "j", "k"])
    paid = [{"payment_id": str(n), "occurred_at": at(day), "amount": fen} for n, (day, fen) in enumerate(payments)]
    none = [{"payment_id": "none", "occurred_at": at("2024-02-10"), "amount": 0}]
    return loans, instalments, table(paid or none, loan_id="a").iloc[: len(paid)]


@pytest.mark.parametrize(
    ("payments", "expected"),
    [
        # each on its day: open at the end of January, February, March; all paid in April
        ([("2024-02-10", 1000), ("2024-03-10", 1000), ("2024-04-10", 1000)], [0, 0, 0]),
        # the second is 21 days late at the end of March (10 to 31), 51 at the end of April, paid in May with the third
        ([("2024-02-10", 1000), ("2024-05-05", 2000)], [0, 0, 21, 51]),
        # the payment of March settles what is left of February first
        ([("2024-02-10", 400), ("2024-03-10", 1000), ("2024-04-20", 1600)], [0, 19, 21]),
        # 99 fen short is paid
        ([("2024-02-10", 901), ("2024-03-10", 1000), ("2024-04-10", 1000)], [0, 0, 0]),
        # nothing is ever paid: days since 10 February at the ends of months until June
        ([], [0, 19, 50, 80, 111, 141]),
    ],
)
def test_arrears_follow_from_schedule_and_payments(payments, expected):
    loans, instalments, paid = loan_with_instalments(*payments)
    found = account_months.of_instalments(loans, instalments, paid, AS_OF)
    assert states(found) == [("a", month, float(dpd)) for month, dpd in enumerate(expected)]
    assert found.accounts["until"].tolist() == [5]


def test_a_payment_known_later_leaves_its_instalment_unpaid():
    loans, instalments, paid = loan_with_instalments(("2024-02-10", 3000))
    paid = paid.assign(known_at=at("2024-03-20"))
    found = account_months.of_instalments(loans, instalments, paid, at("2024-03-15"))
    assert states(found) == [("a", 0, 0.0), ("a", 1, 19.0)]


def test_each_customers_records_may_end_at_another_moment():
    statements = pd.concat(
        [
            card_months(("a", "2024-01-05", 0)),
            card_months(("b", "2024-01-05", 0)).assign(customer_id="d"),
        ]
    )
    applications = pd.DataFrame({"customer_id": ["c", "d"], "applied_at": [at("2024-03-15"), at("2024-06-15")]})
    until = observed_until([statements], applications)
    assert until.to_dict() == {"c": at("2024-03-15"), "d": at("2024-06-15")}
    found = account_months.of_cards(statements, until)
    assert dict(found.accounts[["account", "until"]].to_numpy().tolist()) == {"a": 0, "b": 3}
    late = applications.assign(applied_at=at("2023-12-01"))
    assert observed_until([statements], late) == at("2024-01-05")


def test_curves_by_hand():
    statements = card_months(
        ("a", "2024-01-05", 0), ("a", "2024-02-05", 30), ("a", "2024-03-05", 0),
        ("b", "2024-01-05", 0), ("b", "2024-02-05", 29), ("b", "2024-03-05", 61),
        ("c", "2024-03-05", 0), ("c", "2024-04-05", 0),
    )  # fmt: skip
    months = account_months.of_cards(statements, at("2024-05-01"), reported_within_days=0)
    curves = vintage_curves(months, dpd=(30, 60)).set_index(["dpd", "vintage", "months_on_book"])
    counted = curves[["n", "bad"]].apply(tuple, axis=1)
    assert counted[30]["2024-01"].to_dict() == {0: (2, 0), 1: (2, 1), 2: (2, 2)}
    assert counted[60]["2024-01"].to_dict() == {0: (2, 0), 1: (2, 0), 2: (2, 1)}
    assert counted[30]["2024-03"].to_dict() == {0: (1, 0), 1: (1, 0)}  # in its second month it has not been yet
    assert counted[30]["all"].to_dict() == {0: (3, 0), 1: (3, 1), 2: (2, 2)}
    row = curves.loc[30, "all", 1]
    assert (row["low"], row["high"]) == tuple(float(bound) for bound in wilson(1, 3))
    assert set(vintage_curves(months, dpd=(30,), every="quarter")["vintage"]) == {"2024Q1", "all"}
    assert set(vintage_curves(months, dpd=(30,), every="year")["vintage"]) == {"2024", "all"}


def test_rolls_by_hand():
    statements = card_months(
        ("a", "2024-01-05", 0), ("a", "2024-02-05", 31), ("a", "2024-03-05", 0),
        ("b", "2024-01-05", 0), ("b", "2024-02-05", 0),
        ("c", "2024-01-05", 125), ("c", "2024-03-05", 0),
    )  # fmt: skip
    months = account_months.of_cards(statements, at("2024-04-30"), reported_within_days=0)
    rolls = roll_rates(months).set_index(["from", "to"])
    # until March: `a` rolls to 30 days and back, `b` stays and then ends; the gap of `c` tells nothing
    assert rolls[rolls["moved"] > 0]["moved"].to_dict() == {
        ("0", "0"): 1, ("0", "30-59"): 1, ("0", "ended"): 1, ("30-59", "0"): 1,
    }  # fmt: skip
    assert rolls.loc[("0", "0"), "n"] == 3
    assert rolls.groupby("from")["rate"].sum().tolist() == pytest.approx([1, 1])
    assert rolls.loc[("0", "120+"), "high"] == pytest.approx(float(wilson(0, 3)[1]))


def test_outcomes_have_curves_but_no_rolls():
    outcomes = table(
        [
            {"application_id": "a", "occurred_at": at("2024-03-31"), "months_on_book": 3, "dpd_max": 0},
            {"application_id": "a", "occurred_at": at("2024-06-30"), "months_on_book": 6, "dpd_max": 95},
            {"application_id": "b", "occurred_at": at("2024-06-30"), "months_on_book": 3, "dpd_max": 61},
        ]
    )
    applications = pd.DataFrame({"application_id": ["a", "b", "x"], "applied_at": [at("2024-01-03")] * 3})
    months = account_months.of_outcomes(outcomes, applications, AS_OF)
    curve = vintage_curves(months, dpd=[60])
    assert curve[curve["vintage"] == "all"][["months_on_book", "n", "bad"]].to_numpy().tolist() == [
        [3, 2, 1],
        [6, 1, 1],
    ]
    assert roll_rates(months).empty


def test_no_accounts_make_empty_tables():
    months = account_months.of_cards(card_months(("a", "2024-07-05", 0)), AS_OF)
    assert vintage_curves(months).empty
    assert roll_rates(months).empty
