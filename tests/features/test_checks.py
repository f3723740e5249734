from __future__ import annotations

from typing import Any

import pytest

from data_contracts.errors import DeclarationError
from features.aggregates import STATISTICS
from features.algebra import (
    Aggregate,
    Feature,
    FeatureSet,
    Node,
    Reason,
    as_of,
    bucket,
    count,
    days_between,
    decayed_sum,
    distinct,
    feature,
    latest,
    local_hour,
    log1p,
    maximum,
    mean,
    nth_latest,
    quantile,
    streak,
    total,
    when,
)
from features.bureau import inquiries, tradelines
from features.checks import in_order
from features.consumption import cards, transactions
from features.repayment import instalments

REASON = Reason("R00", "A reason", "原因")


def declared(value: Node, name: str = "odd", **overrides: Any) -> Feature:
    facts: dict[str, Any] = {"en": "English", "zh": "中文", "unit": "count", "reason": REASON, "group": "bureau"}
    return Feature(name, value, **(facts | overrides))


def application(column: str) -> Node:
    return Node("column", "applications", column)


def faults(*features: Feature) -> list[str]:
    """What the message lists, line by line."""
    with pytest.raises(DeclarationError) as raised:
        FeatureSet("faulty", 1, features)
    title, *lines = str(raised.value).splitlines()
    assert title == "The feature set is declared wrongly:"
    return [line.removeprefix("- ") for line in lines]


FAULTS = [
    (count(inquiries, where=inquiries.purpose == "x"), "unknown column inquiries.purpose"),
    (total(transactions.amounts), "unknown column transactions.amounts"),
    (application("income"), "unknown column applications.income"),
    (application("age_years"), "column applications.age_years is a protected attribute and must not become a feature"),
    (
        application("gender") == "male",
        "column applications.gender is a protected attribute and must not become a feature",
    ),
    (count(inquiries, days=0), "a window of days=0 holds nothing; give a whole number from 1"),
    (count(inquiries, days=-30), "a window of days=-30 holds nothing; give a whole number from 1"),
    (count(inquiries, days=1.5), "a window of days=1.5 holds nothing; give a whole number from 1"),
    (count(inquiries, last=0), "a window of last=0 holds nothing; give a whole number from 1"),
    (count(cards, where=cards.dpd), "the filter card_months.dpd is no condition"),
    (
        count(cards, where=(cards.dpd > 1) & cards.paid),
        "((card_months.dpd > 1) & card_months.paid) joins what is no condition",
    ),
    (count(cards, where=~cards.paid), "~card_months.paid joins what is no condition"),
    (mean(when(cards.dpd, 1.0, 0.0)), "when(card_months.dpd, 1.0, 0.0) chooses by what is no condition"),
    (
        distinct(when(cards.dpd > 1, "late", 0.0)),
        "when((card_months.dpd > 1), 'late', 0.0) chooses between string and number",
    ),
    (count(inquiries, where=inquiries.institution == 3), "(inquiries.institution == 3) compares string with number"),
    (count(tradelines, where=tradelines.closed_at > 3), "(tradelines.closed_at > 3) compares timestamp with number"),
    (mean(cards.dpd.coalesce("none")), "coalesce(card_months.dpd, 'none') compares number with string"),
    (
        count(inquiries, where=inquiries.institution > "m"),
        "(inquiries.institution > 'm') compares strings, which have no order here; use ==, != or isin",
    ),
    (count(inquiries, where=inquiries.institution.isin([])), "isin(inquiries.institution, ()) names no value"),
    (
        count(inquiries, where=inquiries.institution.isin([3])),
        "isin(inquiries.institution, (3,)) compares string with number",
    ),
    (
        count(inquiries, where=inquiries.reason == "loan"),
        "'loan' is no category of reason; there are loan_approval, card_approval, post_loan, guarantee, self, other",
    ),
    (
        count(inquiries, where=inquiries.institution_kind.isin(["bank", "pawn"])),
        "'pawn' is no category of institution_kind; there are bank, consumer_finance, microloan, other",
    ),
    (total(transactions.category), "sum needs numbers, transactions.category is string"),
    (latest(tradelines.due_at), "last needs numbers, tradelines.due_at is timestamp"),
    (maximum(inquiries.reason + 1), "(inquiries.reason + 1) calculates with string and number"),
    (mean(days_between(cards.dpd, as_of)), "days_between(card_months.dpd, as_of) needs timestamps"),
    (mean(local_hour(cards.dpd)), "local_hour(card_months.dpd) needs timestamps"),
    (
        Aggregate("median", cards, cards.dpd),
        f"unknown statistic 'median'; known are {', '.join(STATISTICS)}",
    ),
    (Aggregate("sum", cards), "sum takes a value of each record"),
    (Aggregate("count", cards, cards.dpd), "count takes the records of a source"),
    (count(inquiries, where=cards.dpd > 1), "column card_months.dpd does not belong to inquiries"),
    (total(cards.paid + transactions.amount), "column transactions.amount does not belong to card_months"),
    (total(instalments.amount_due * feature("odd")), "an aggregate cannot use the feature 'odd'"),
    (total(cards.dpd + count(inquiries)), "an aggregate cannot hold another one"),
    (nth_latest(cards.dpd, 0), "nth_latest counts from 1 in whole numbers, not 0"),
    (nth_latest(cards.dpd, 1.5), "nth_latest counts from 1 in whole numbers, not 1.5"),
    (quantile(cards.dpd, 1.5), "a quantile lies at a share between 0 and 1, not at 1.5"),
    (streak(cards.dpd), "streak needs a condition, card_months.dpd is none"),
    (decayed_sum(cards.dpd, half_life=0), "a half-life of 0.0 days is none; give a number above 0"),
    (maximum(bucket(cards.dpd, 30, 1)), "bucket(card_months.dpd, (30, 1)) needs edges in ascending order"),
    (maximum(bucket(cards.dpd)), "bucket(card_months.dpd, ()) needs edges in ascending order"),
    (maximum(log1p(inquiries.reason)), "log1p(inquiries.reason) calculates with string"),
    (1.0 + count(inquiries, days=0), "a window of days=0 holds nothing; give a whole number from 1"),
    (
        count(cards) + float("nan"),
        "nan is no constant; give a word, a flag or a number of 64 bits, or say `missing`",
    ),
    (
        when(application("owns_car") == 1, None, 1.0),
        "None is no constant; give a word, a flag or a number of 64 bits, or say `missing`",
    ),
    (
        count(cards, where=cards.balance < 2**64),
        "18446744073709551616 is no constant; give a word, a flag or a number of 64 bits, or say `missing`",
    ),
    (inquiries.reason == "self", "column inquiries.reason does not belong to applications"),
    (feature("nobody") + 1, "uses the unknown feature 'nobody'"),
    (application("occupation"), "a feature is a number, applications.occupation is string"),
    (as_of, "a feature is a number, as_of is timestamp"),
]


@pytest.mark.parametrize(("value", "fault"), FAULTS, ids=[fault.replace(" ", "-")[:50] for _, fault in FAULTS])
def test_a_fault_of_a_value_is_named_once(value: Node, fault: str) -> None:
    assert faults(declared(value)) == [f"odd: {fault}"]


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"zh": ""}, "description (en, zh) and unit must be given"),
        ({"en": ""}, "description (en, zh) and unit must be given"),
        ({"unit": ""}, "description (en, zh) and unit must be given"),
        ({"reason": Reason("R00", "A reason", "")}, "the reason needs a code and its text in English and Chinese"),
        ({"risk": 2}, "risk is 2, not +1, -1 or 0"),
    ],
)
def test_a_fault_of_the_words_is_named(overrides: dict[str, Any], fault: str) -> None:
    assert faults(declared(count(inquiries), **overrides)) == [f"odd: {fault}"]


def test_a_protected_column_is_read_only_where_the_set_says_so() -> None:
    age = declared(application("age_years"))
    assert FeatureSet("set", 1, (age,), permits=("age_years",)).spec()["permits"] == ["age_years"]
    with pytest.raises(DeclarationError, match="it permits 'gender', a protected column that it does not read"):
        FeatureSet("set", 1, (age,), permits=("age_years", "gender"))


def test_a_set_of_nothing() -> None:
    assert faults() == ["it has no features"]


def test_the_name_of_the_rows_is_taken() -> None:
    (fault,) = faults(declared(count(cards), "application_id"))
    assert fault == "application_id: application_id names the rows of the matrix, not a feature"


def test_two_features_of_one_name() -> None:
    assert faults(declared(count(inquiries)), declared(count(cards))) == ["odd: 2 features have this name"]


def test_a_cycle_is_shown_as_a_way() -> None:
    (fault,) = faults(declared(feature("b") + 1, "a"), declared(feature("c") + 1, "b"), declared(feature("a") + 1, "c"))
    assert fault.startswith("these features need each other: ")
    way = fault.removeprefix("these features need each other: ").split(" -> ")
    assert way[0] == way[-1]
    assert set(way) == {"a", "b", "c"}


def test_a_feature_of_itself_is_a_cycle() -> None:
    assert faults(declared(feature("a") + 1, "a")) == ["these features need each other: a -> a"]


def test_all_faults_are_listed_at_once() -> None:
    features = [declared(value, f"odd_{at}") for at, (value, _) in enumerate(FAULTS)]
    expected = [f"odd_{at}: {fault}" for at, (_, fault) in enumerate(FAULTS)]
    listed = faults(*features, declared(feature("loop") + 1, "loop"))
    wanted = [fault for fault in expected if "the feature 'odd'" not in fault]
    assert [fault for fault in listed if "the feature 'odd'" not in fault] == [
        *wanted,
        "these features need each other: loop -> loop",
    ]


def test_several_faults_of_one_feature() -> None:
    assert faults(declared(total(transactions.category, where=transactions.amount, days=0), risk=5, unit="")) == [
        "odd: description (en, zh) and unit must be given",
        "odd: risk is 5, not +1, -1 or 0",
        "odd: a window of days=0 holds nothing; give a whole number from 1",
        "odd: the filter transactions.amount is no condition",
        "odd: sum needs numbers, transactions.category is string",
    ]


def test_features_come_after_those_they_use() -> None:
    ordered = in_order([declared(feature("b") + 1, "a"), declared(feature("c") + 1, "b"), declared(count(cards), "c")])
    assert [one.name for one in ordered] == ["c", "b", "a"]
