"""The meaning of every word of the algebra, as rows of (declaration, records, answer worked out by hand)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count as counter
from typing import Any

from data_contracts.declare import Column
from data_contracts.tables import EVENT_TABLES, TABLES
from features.aggregates import aggregates
from features.algebra import (
    Node,
    as_of,
    bucket,
    count,
    days_between,
    days_since,
    days_since_first,
    decayed_sum,
    distinct,
    entropy,
    feature,
    first,
    gap_std,
    latest,
    local_hour,
    log1p,
    longest_gap,
    longest_streak,
    maximum,
    mean,
    minimum,
    missing,
    nth_latest,
    quantile,
    ratio,
    share,
    slope,
    std,
    streak,
    total,
    when,
)
from features.bureau import inquiries, tradelines
from features.bureau import months as bureau_months
from features.consumption import cards, transactions
from features.repayment import instalments, loans, payments

AS_OF = datetime(2024, 2, 29, 15, 59, 59, 123457)
US = timedelta(microseconds=1)
ABSENT = None  # the lender has no such table
_numbers = counter()


def days(number: float) -> datetime:
    """So many days before `AS_OF`."""
    return AS_OF - timedelta(days=number)


def least(column: Column) -> Any:
    if column.nullable:
        return None
    if column.dtype == "string":
        return column.categories[0] if column.categories else "x"
    return int(column.low or 0)


def record(table: str, at: datetime = AS_OF, known: datetime | None = None, **values: Any) -> dict[str, Any]:
    """A row of a table that happened `at` and, where nothing else is said, was known at once."""
    declared = TABLES[table]
    row = {column.name: least(column) for column in declared.columns if column.dtype != "timestamp"}
    row |= {column.name: None for column in declared.columns if column.dtype == "timestamp"}
    row |= {"occurred_at": at, "known_at": known or at, declared.key[0]: f"k{next(_numbers):04d}"}
    return row | values


def inquiry(at: datetime = AS_OF, **values: Any) -> dict[str, Any]:
    return record("inquiries", at, **values)


def spend(amount: int, at: datetime = AS_OF, **values: Any) -> dict[str, Any]:
    return record("transactions", at, **({"direction": "out"} | values), amount=amount)


def account(at: datetime = AS_OF, **values: Any) -> dict[str, Any]:
    return record("tradelines", at, **values)


def statement(at: datetime = AS_OF, **values: Any) -> dict[str, Any]:
    return record("card_months", at, **values)


def due(at: datetime, amount: int, name: str = "i1", **values: Any) -> dict[str, Any]:
    return record("instalments", at, **({"due_at": at, "amount_due": amount, "instalment_id": name} | values))


def put_off(due_at: datetime, known: datetime) -> dict[str, Any]:
    """A version of one instalment that was agreed ten days ago."""
    return record("instalments", days(10), known, instalment_id="i1", due_at=due_at)


def payment(at: datetime, amount: int, settles: str | None = "i1", **values: Any) -> dict[str, Any]:
    return record("payments", at, **({"amount": amount, "instalment_id": settles} | values))


@dataclass(frozen=True)
class Case:
    """What is declared, what is known of the applicant, and the answer; None is missing."""

    name: str
    value: Node
    answer: float | None
    rows: list[dict[str, Any]] | None = field(default_factory=list)
    table: str = ""
    children: list[dict[str, Any]] | None = field(default_factory=list)
    application: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The table that `rows` belong to."""
        return self.table or next((part.source.table.name for part in aggregates(self.value)), "")

    @property
    def records(self) -> dict[str, list[dict[str, Any]] | None]:
        """Rows by table: those that the case does not speak of are empty."""
        records: dict[str, Any] = {table.name: [] for table in EVENT_TABLES}
        records |= {"payments": self.children}
        return records | ({self.source: self.rows} if self.source else {})


_night = local_hour(transactions.occurred_at)
_days_late = days_between(instalments.due_at, instalments.paid_at)
income, _requested = (Node("column", "applications", name) for name in ("income_monthly", "amount_requested"))
_car, _score = (Node("column", "applications", name) for name in ("owns_car", "external_score_1"))

# fmt: off
WINDOWS = [
    Case("window starts after its lower bound", count(inquiries, days=30), 1,
         [inquiry(days(30)), inquiry(days(30) + US)]),
    Case("window ends with as_of itself", count(inquiries, days=30), 1, [inquiry(AS_OF), inquiry(AS_OF + US)]),
    Case("no window: all that is known", count(inquiries), 2, [inquiry(days(0)), inquiry(days(4000))]),
    Case("known at as_of counts", count(inquiries), 1, [inquiry(days(3), known=AS_OF)]),
    Case("known a microsecond later does not", count(inquiries), 0, [inquiry(days(3), known=AS_OF + US)]),
    Case("last k of all records", count(inquiries, last=2), 2, [inquiry(days(n)) for n in (1, 2, 3)]),
    Case("last k comes before the filter", count(inquiries, where=inquiries.reason == "self", last=2), 1,
         [inquiry(days(1)), inquiry(days(2), reason="self"), inquiry(days(3), reason="self")]),
    Case("last k and days together", count(inquiries, last=3, days=2), 1, [inquiry(days(n)) for n in (1, 2, 3)]),
    Case("last k of fewer", count(inquiries, last=5), 1, [inquiry(days(1))]),
    Case("due dates rule the window of instalments", count(instalments, days=10), 1,
         [due(days(5), 100, "i1", occurred_at=days(50)), due(days(11), 100, "i2"), due(AS_OF + US, 100, "i3")]),
]

EMPTY = [
    *(Case(f"{name} of no records", value, answer)
      for name, value, answer in (
          ("count", count(inquiries), 0), ("sum", total(transactions.amount), 0), ("distinct",
          distinct(inquiries.reason), 0),
          ("mean", mean(transactions.amount), None), ("max", maximum(transactions.amount), None),
          ("min", minimum(transactions.amount), None), ("std", std(transactions.amount), None),
          ("first", first(transactions.amount), None), ("last", latest(transactions.amount), None),
          ("days_since", days_since(inquiries), None), ("days_since_first", days_since_first(inquiries), None),
          ("slope", slope(transactions.amount), None),
      )),
    *(Case(f"{name} of an absent table", value, None, ABSENT)
      for name, value in (
          ("count", count(inquiries)), ("sum", total(transactions.amount)), ("distinct", distinct(inquiries.reason)),
          ("mean", mean(transactions.amount)), ("last", latest(transactions.amount)), ("days_since",
          days_since(inquiries)),
      )),
    Case("an absent child table", count(instalments), None, [due(days(1), 100)], children=ABSENT),
    Case("sum where nothing passes the filter", total(transactions.amount, where=transactions.direction == "in"), 0,
         [spend(500)]),
    Case("mean where nothing passes the filter", mean(transactions.amount, where=transactions.direction == "in"), None,
         [spend(500)]),
    Case("sum of missing values only", total(cards.paid), 0, [statement(paid=None)]),
    Case("distinct of missing values only", distinct(inquiries.institution), 0, [inquiry(institution=None)]),
]

STATISTICS = [
    Case("sum of fen in CNY", total(transactions.amount), 3.03, [spend(101), spend(202)]),
    Case("sum passes over missing", total(cards.paid), 5.0,
         [statement(days(1), paid=500), statement(days(2), paid=None)]),
    Case("large amounts stay exact", total(tradelines.amount), 2e11 + 0.02,
         [account(amount=10_000_000_000_001), account(amount=10_000_000_000_001)]),
    Case("a product of amounts does not overflow", total(tradelines.amount * tradelines.balance), 1e24,
         [account(amount=10**13, balance=10**13)]),
    Case("mean passes over missing", mean(cards.dpd), 3.0,
         [statement(days(n), dpd=d) for n, d in ((1, 2), (2, None), (3, 4))]),
    Case("mean of a condition is a share", mean(cards.dpd > 2), 1 / 3,
         [statement(days(n), dpd=d) for n, d in ((1, 2), (2, None), (3, 4))]),
    Case("max", maximum(cards.balance), 0.05, [statement(days(1), balance=-700), statement(days(2), balance=5)]),
    Case("min", minimum(cards.balance), -7.0, [statement(days(1), balance=-700), statement(days(2), balance=5)]),
    Case("std with n - 1", std(cards.dpd), 2.0, [statement(days(n), dpd=n) for n in (2, 4, 6)]),
    Case("std of one is missing", std(cards.dpd), None, [statement(dpd=4)]),
    Case("std of equal fractions is zero", std(cards.balance / cards.credit_limit), 0.0,
         [statement(days(n), balance=1, credit_limit=10) for n in (1, 2, 3)]),
    Case("std of amounts is in CNY", std(transactions.amount), 2.0**0.5, [spend(100), spend(300)]),
    Case("first value", first(cards.dpd), 9, [statement(days(1), dpd=7), statement(days(3), dpd=9)]),
    Case("first passes over missing", first(cards.dpd), 7, [statement(days(1), dpd=7), statement(days(3), dpd=None)]),
    Case("last value", latest(cards.dpd), 7, [statement(days(3), dpd=9), statement(days(1), dpd=7)]),
    Case("last passes over missing", latest(cards.dpd), 9, [statement(days(3), dpd=9), statement(days(1), dpd=None)]),
    Case("last under a filter", latest(cards.dpd, where=cards.dpd > 8), 9,
         [statement(days(3), dpd=9), statement(days(1), dpd=7)]),
    Case("ties in time: the greater key is later", latest(transactions.amount), 0.02,
         [spend(2, transaction_id="b"), spend(3, transaction_id="a"), spend(9, days(1), transaction_id="c")]),
    Case("ties in time: the smaller key is first", first(transactions.amount), 0.03,
         [spend(2, transaction_id="b"), spend(3, transaction_id="a")]),
    Case("ties in time: keys of two columns", latest(bureau_months.balance), 0.07,
         [record("tradeline_months", AS_OF, tradeline_id=t, balance=b) for t, b in (("t1", 5), ("t3", 7), ("t2", 6))]),
    Case("ties in time: keys compare as UTF-8", latest(transactions.amount), 0.03,
         [spend(1, transaction_id="Z"), spend(2, transaction_id="é"), spend(3, transaction_id="账")]),
    Case("distinct strings without the missing", distinct(inquiries.institution), 2,
         [inquiry(days(n), institution=i) for n, i in ((1, "a"), (2, "b"), (3, "a"), (4, None))]),
    Case("distinct numbers", distinct(cards.dpd), 2,
         [statement(days(n), dpd=d) for n, d in ((1, 5), (2, 5), (3, 6), (4, None))]),
    Case("distinct of a condition", distinct(cards.dpd > 5), 2,
         [statement(days(n), dpd=d) for n, d in ((1, 5), (2, 6))]),
    Case("distinct of amounts is a number, not CNY", distinct(transactions.amount), 2, [spend(100), spend(200)]),
    Case("distinct of chosen words", distinct(when(inquiries.reason == "self", "own", "others")), 2,
         [inquiry(days(1), reason="self"), inquiry(days(2), reason="other"), inquiry(days(3), reason="other")]),
    Case("days since the latest", days_since(inquiries), 1.5, [inquiry(days(1.5)), inquiry(days(9))]),
    Case("days since the first", days_since_first(inquiries), 9.0, [inquiry(days(1.5)), inquiry(days(9))]),
    Case("days since at as_of", days_since(inquiries), 0.0, [inquiry(AS_OF)]),
    Case("days since in a window", days_since_first(inquiries, days=9), 1.5, [inquiry(days(1.5)), inquiry(days(9))]),
    Case("slope a month", slope(cards.dpd), -10.0,
         [statement(days(0), dpd=0), statement(days(30), dpd=10), statement(days(60), dpd=20)]),
    Case("slope by least squares", slope(cards.dpd), 1.5,
         [statement(days(n), dpd=d) for n, d in ((0, 4), (30, 0), (60, 1))]),
    Case("slope of amounts in CNY", slope(cards.balance), 1.0,
         [statement(days(0), balance=300), statement(days(30), balance=200)]),
    Case("slope passes over missing", slope(cards.dpd), 2.0,
         [statement(days(0), dpd=4), statement(days(15), dpd=None), statement(days(30), dpd=2)]),
    Case("slope of a constant", slope(cards.balance / cards.credit_limit), 0.0,
         [statement(days(n), balance=1, credit_limit=10) for n in (0, 13, 37)]),
    Case("slope within a day is missing", slope(cards.dpd), None,
         [statement(days(0), dpd=4), statement(days(1) + US, dpd=2)]),
    Case("slope over exactly a day", slope(cards.dpd), 60.0, [statement(days(0), dpd=4), statement(days(1), dpd=2)]),
    Case("mean of the last three", mean(cards.dpd, last=3), 2.0, [statement(days(n), dpd=n) for n in (1, 2, 3, 40)]),
    Case("mean of the last two, one of them missing", mean(cards.dpd, last=2), 3.0,
         [statement(days(1), dpd=None), statement(days(2), dpd=3), statement(days(3), dpd=50)]),
]

_dpd_late = cards.dpd > 0
_course = [statement(days(n), dpd=d) for n, d in enumerate((5, 9, 0, 3, None, 4, 1, 0), start=1)]

ORDERED = [
    Case("n-th latest passes over missing", nth_latest(cards.dpd, 5), 4, _course),
    Case("the first latest is the last", nth_latest(cards.dpd, 1), 5, _course),
    Case("n-th latest of fewer", nth_latest(cards.dpd, 8), None, _course),
    Case("n-th latest under a filter", nth_latest(cards.dpd, 2, where=_dpd_late, days=7), 9,
         _course),
    Case("n-th latest in a window of records", nth_latest(cards.dpd, 2, last=1), None,
         [statement(days(n), dpd=n) for n in (1, 2)]),
    Case("n-th latest of amounts in CNY", nth_latest(cards.balance, 2), 0.07,
         [statement(days(n), balance=n + 5) for n in (1, 2)]),
    Case("ties in time: the second latest has the smaller key", nth_latest(transactions.amount, 2), 0.03,
         [spend(2, transaction_id="b"), spend(3, transaction_id="a")]),
    Case("streak up to now", streak(_dpd_late), 2, _course),
    Case("streak that is broken now", streak(cards.dpd > 5), 0, _course),
    Case("a missing value breaks a streak, as it meets no comparison",
         streak(_dpd_late, days=8, where=cards.dpd != 0), 3, _course),
    Case("streak of all", streak(_dpd_late, last=2), 2, _course),
    Case("the longest streak", longest_streak(_dpd_late), 2, _course),
    Case("the longest streak of those that pass", longest_streak(_dpd_late, where=~cards.dpd.is_missing()), 3,
         _course),
    Case("the longest streak in a window", longest_streak(_dpd_late, days=2), 1, _course),
    Case("the longest streak of none", longest_streak(cards.dpd > 100), 0, _course),
    Case("streak of no records", streak(_dpd_late), 0),
    Case("longest streak of no records", longest_streak(_dpd_late), 0),
    Case("streak of an absent table", streak(_dpd_late), None, ABSENT),
    Case("the longest gap", longest_gap(inquiries), 6.5, [inquiry(days(n)) for n in (1, 2.5, 9)]),
    Case("the longest gap of those that pass", longest_gap(inquiries, where=inquiries.reason == "self"), 8,
         [inquiry(days(1), reason="self"), inquiry(days(2.5), reason="other"), inquiry(days(9), reason="self")]),
    Case("the longest gap in a window", longest_gap(inquiries, days=9), 1.5, [inquiry(days(n)) for n in (1, 2.5, 9)]),
    Case("the gap of one", longest_gap(inquiries), None, [inquiry(days(1))]),
    Case("the gap of none", longest_gap(inquiries), None),
    Case("spread of the gaps", gap_std(inquiries), 0.5**0.5, [inquiry(days(n)) for n in (1, 2, 4)]),
    Case("spread of one gap", gap_std(inquiries), None, [inquiry(days(n)) for n in (1, 2)]),
    Case("spread of equal gaps", gap_std(inquiries), 0.0, [inquiry(days(n)) for n in (1, 2, 3)]),
]

DISTRIBUTIONS = [
    Case("entropy of words", entropy(inquiries.institution), math.log(3) - 2 * math.log(2) / 3,
         [inquiry(days(n), institution=i) for n, i in ((1, "a"), (2, "b"), (3, "a"), (4, None))]),
    Case("entropy of many that are the same is zero to the last bit", when(entropy(cards.dpd) > 0, 1, 0), 0,
         [statement(days(n), dpd=7) for n in range(25)], "card_months"),
    Case("entropy of one word", entropy(inquiries.institution), 0.0,
         [inquiry(days(n), institution="a") for n in (1, 2, 3)]),
    Case("entropy of none", entropy(inquiries.institution), None, [inquiry(institution=None)]),
    Case("entropy of numbers in a window", entropy(cards.dpd, days=3), math.log(2),
         [statement(days(n), dpd=n) for n in (1, 2, 3)]),
    Case("entropy of a condition under a filter", entropy(cards.dpd > 1, where=cards.dpd < 3), math.log(2),
         [statement(days(n), dpd=n) for n in (1, 2, 3)]),
    Case("median", quantile(cards.dpd, 0.5), 3.0,
         [statement(days(n), dpd=d) for n, d in ((1, 9), (2, 3), (3, 1), (4, None))]),
    Case("median between two", quantile(cards.dpd, 0.5), 2.0, [statement(days(n), dpd=n) for n in (1, 3)]),
    Case("quantile by interpolation", quantile(cards.dpd, 0.9), 9.1,
         [statement(days(n), dpd=n) for n in range(1, 11)]),
    Case("quantile at the ends", quantile(cards.dpd, 1.0), 7.0, [statement(days(n), dpd=n) for n in (1, 3, 7)]),
    Case("quantile under a filter in a window", quantile(cards.dpd, 0.0, where=cards.dpd > 1, days=7), 3.0,
         [statement(days(n), dpd=n) for n in (1, 3, 7)]),
    Case("quantile of amounts in CNY", quantile(cards.balance, 0.5), 2.0,
         [statement(days(n), balance=n * 100) for n in (1, 3)]),
    Case("quantile of none", quantile(cards.dpd, 0.5), None, [statement(dpd=None)]),
    Case("decayed sum", decayed_sum(cards.dpd, half_life=30), 4 + 4 + 1,
         [statement(days(n), dpd=d) for n, d in ((0, 4), (30, 8), (60, 4), (1, None))]),
    Case("decayed sum of amounts in CNY", decayed_sum(transactions.amount, half_life=1, days=2), 0.5,
         [spend(100, days(1)), spend(9, days(2))]),
    Case("decayed sum of none", decayed_sum(cards.dpd, half_life=30), 0),
    Case("share of the records", share(transactions.category == "travel", where=transactions.direction == "out"), 0.5,
         [spend(1, days(1), category="travel"), spend(3, days(2)), spend(9, days(3), direction="in")]),
    Case("share of an amount", share(transactions.category == "travel", of=transactions.amount, days=9), 0.25,
         [spend(1, days(1), category="travel"), spend(3, days(2), category="other"), spend(5, days(9))]),
    Case("share of an amount of none", share(transactions.category == "travel", of=transactions.amount), None),
    Case("an expression of two aggregates", total(transactions.amount) / count(transactions) + 1.0, 2.5,
         [spend(100, days(1)), spend(200, days(2))], "transactions"),
]

RECORD_EXPRESSIONS = [
    Case("equal", count(inquiries, where=inquiries.reason == "self"), 1,
         [inquiry(reason="self"), inquiry(reason="other")]),
    Case("a comparison with missing is false", count(cards, where=cards.dpd >= 0), 1,
         [statement(days(1), dpd=0), statement(days(2), dpd=None)]),
    Case("its negation is true", count(cards, where=~(cards.dpd >= 0)), 1,
         [statement(days(1), dpd=0), statement(days(2), dpd=None)]),
    Case("unequal to missing is true", count(inquiries, where=inquiries.institution != "a"), 2,
         [inquiry(days(n), institution=i) for n, i in ((1, "a"), (2, "b"), (3, None))]),
    Case("missing does not equal missing", count(loans, where=loans.application_id == loans.loan_id), 1,
         [record("loans", application_id="l1", loan_id="l1"), record("loans", application_id=None, loan_id="l2")]),
    Case("missing numbers do not equal each other", count(cards, where=cards.paid == cards.drawn), 1,
         [statement(days(1), paid=3, drawn=3), statement(days(2))]),
    Case("missing words do not equal each other",
         count(inquiries, where=inquiries.institution == inquiries.institution.coalesce(inquiries.institution)), 1,
         [inquiry(days(1), institution="a"), inquiry(days(2), institution=None)]),
    Case("less", count(cards, where=cards.dpd < 5), 1,
         [statement(days(n), dpd=d) for n, d in ((1, 4), (2, 5), (3, None))]),
    Case("at most", count(cards, where=cards.dpd <= 5), 2,
         [statement(days(n), dpd=d) for n, d in ((1, 4), (2, 5), (3, None))]),
    Case("amounts beside constants are in fen", count(transactions, where=transactions.amount > 100), 1,
         [spend(100), spend(101)]),
    Case("and", count(inquiries, where=(inquiries.reason == "self") & (inquiries.institution_kind == "bank")), 1,
         [inquiry(reason="self"), inquiry(reason="other"), inquiry(reason="self", institution_kind="microloan")]),
    Case("or", count(cards, where=(cards.dpd > 5) | (cards.paid > 5)), 2,
         [statement(days(1), dpd=6), statement(days(2), paid=6), statement(days(3))]),
    Case("membership", count(inquiries, where=inquiries.institution.isin(["a", "b"])), 2,
         [inquiry(days(n), institution=i) for n, i in ((1, "a"), (2, "b"), (3, "c"), (4, None))]),
    Case("no member", count(inquiries, where=~inquiries.institution.isin(["a", "b"])), 2,
         [inquiry(days(n), institution=i) for n, i in ((1, "a"), (2, "b"), (3, "c"), (4, None))]),
    Case("membership of numbers", count(cards, where=cards.dpd.isin([1, 2])), 1,
         [statement(days(n), dpd=d) for n, d in ((1, 1), (2, 3), (3, None))]),
    Case("is missing", count(cards, where=cards.dpd.is_missing()), 1,
         [statement(days(1), dpd=1), statement(days(2))]),
    Case("missing words", count(inquiries, where=inquiries.institution.is_missing()), 1,
         [inquiry(days(1), institution="a"), inquiry(days(2), institution=None)]),
    Case("a missing moment", count(tradelines, where=tradelines.closed_at.is_missing()), 1,
         [account(days(9), closed_at=days(3)), account(days(9))]),
    Case("moments compare", count(tradelines, where=tradelines.closed_at < as_of), 1,
         [account(days(9), closed_at=AS_OF - US), account(days(9), closed_at=AS_OF), account(days(9))]),
    Case("arithmetic with missing is missing", total(cards.paid + cards.drawn), 0.05,
         [statement(days(1), paid=2, drawn=3), statement(days(2), paid=7)]),
    Case("division by zero is missing", mean(cards.balance / cards.credit_limit), 0.5,
         [statement(days(1), balance=1, credit_limit=2), statement(days(2), balance=1, credit_limit=0)]),
    Case("zero by zero is missing", mean(cards.balance / cards.credit_limit), None,
         [statement(balance=0, credit_limit=0)]),
    Case("whole numbers divide into fractions", mean(cards.dpd / cards.drawings), 0.5,
         [statement(dpd=1, drawings=2)]),
    Case("products of amounts do not overflow",
         mean(tradelines.balance * tradelines.amount / (tradelines.amount * tradelines.balance)), 1,
         [account(amount=10**13, balance=10**13)]),
    Case("difference below zero", total(cards.paid - cards.drawn), -0.01, [statement(paid=2, drawn=3)]),
    Case("coalesce", mean(cards.dpd.coalesce(8)), 6.0, [statement(days(1), dpd=4), statement(days(2))]),
    Case("coalesce to another column", total(cards.paid.coalesce(cards.drawn)), 0.07,
         [statement(days(1), paid=4, drawn=9), statement(days(2), drawn=3)]),
    Case("coalesce words", distinct(inquiries.institution.coalesce("none")), 2,
         [inquiry(days(1), institution="a"), inquiry(days(2), institution=None)]),
    Case("clip", total((cards.balance / cards.credit_limit).clip(0, 2)), 2.5,
         [statement(days(n), balance=b, credit_limit=2) for n, b in ((1, -4), (2, 1), (3, 9), (4, None))]),
    Case("when takes its turn record by record", total(when(cards.dpd > 1, cards.paid, cards.drawn)), 0.12,
         [statement(days(1), dpd=2, paid=10, drawn=1), statement(days(2), dpd=None, paid=10, drawn=2)]),
    Case("when with conditions as numbers", total(when(cards.dpd > 1, cards.paid > 5, 0.5)), 1.5,
         [statement(days(1), dpd=2, paid=10), statement(days(2), dpd=0, paid=10)]),
    Case("conditions add up as numbers", maximum((cards.dpd > 1) + (cards.paid > 5)), 2, [statement(dpd=2, paid=10)]),
    Case("days between", mean(days_between(tradelines.occurred_at, tradelines.closed_at)), 5.5,
         [account(days(9), closed_at=days(3.5)), account(days(9))]),
    Case("days between may be negative", minimum(days_between(as_of, tradelines.closed_at)), -3.5,
         [account(days(9), closed_at=days(3.5))]),
    Case("the hour is China's", mean(_night), 23.0, [spend(1, datetime(2024, 2, 28, 15, 59, 59, 999_999))]),
    Case("its day begins at 16:00 UTC", mean(_night), 0.0, [spend(1, datetime(2024, 2, 28, 16))]),
    Case("before 1970 too", mean(_night), 7.0, [spend(1, datetime(1969, 12, 31, 23, 59, 59, 999_999))]),
]

VERSIONS = [
    Case("the version known last counts", total(tradelines.balance), 0.02,
         [account(days(9), tradeline_id="t", known=days(8), balance=1), account(days(9), tradeline_id="t",
         known=days(2), balance=2)]),
    Case("versions come in any order", total(tradelines.balance), 0.02,
         [account(days(9), tradeline_id="t", known=days(2), balance=2),
         account(days(9), tradeline_id="t", known=days(8), balance=1)]),
    Case("a version known later does not", total(tradelines.balance), 0.01,
         [account(days(9), tradeline_id="t", known=days(8), balance=1),
          account(days(9), tradeline_id="t", known=AS_OF + US, balance=2)]),
    Case("a version known at as_of counts", total(tradelines.balance), 0.02,
         [account(days(9), tradeline_id="t", known=days(8), balance=1), account(days(9), tradeline_id="t",
         known=AS_OF, balance=2)]),
    Case("the filter sees the version that counts", count(tradelines, where=tradelines.status == "active"), 0,
         [account(days(9), tradeline_id="t", known=days(8)), account(days(9), tradeline_id="t", known=days(2),
         status="closed")]),
    Case("a missing value of the newest version is missing", latest(tradelines.balance), None,
         [account(days(9), tradeline_id="t", known=days(8), balance=1), account(days(9), tradeline_id="t",
         known=days(2))]),
    Case("other keys are other accounts", count(tradelines), 2,
         [account(days(9), tradeline_id="t"), account(days(9), tradeline_id="u")]),
    Case("any record may be corrected", total(transactions.amount), 0.05,
         [spend(500, days(9), transaction_id="t", known=days(8)), spend(5, days(9), transaction_id="t",
         known=days(2))]),
    Case("told again is not told twice", count(inquiries), 1,
         [inquiry(days(9), inquiry_id="q"), inquiry(days(9), inquiry_id="q", known=days(2))]),
    Case("of three versions the one between, where the last is known later", latest(cards.balance), 0.02,
         [statement(days(9), card_id="c", balance=1), statement(days(9), card_id="c", known=AS_OF, balance=2),
         statement(days(9), card_id="c", known=AS_OF + US, balance=3)]),
    Case("another month of the same account is no correction", count(cards), 2,
         [statement(days(9), card_id="c"), statement(days(39), card_id="c")]),
    Case("a correction may move a record out of the window", count(inquiries, days=30), 0,
         [inquiry(days(9), inquiry_id="q"), inquiry(days(40), inquiry_id="q", known=days(2))]),
    Case("an instalment put off beyond as_of is not due", count(instalments), 0,
         [put_off(days(3), known=days(9)), put_off(AS_OF + US, known=days(5))]),
    Case("one put off later is due as yet", count(instalments), 1,
         [put_off(days(3), known=days(9)), put_off(AS_OF + US, known=AS_OF + US)]),
]

CHILDREN = [
    Case("payments add up by instalment", total(instalments.paid), 0.9, [due(days(20), 100)],
         children=[payment(days(21), 30), payment(days(19), 60)]),
    Case("a payment after as_of leaves the instalment unpaid", count(instalments,
         where=instalments.paid >= instalments.amount_due),
         0, [due(days(20), 100)], children=[payment(days(21), 30), payment(AS_OF + US, 70)]),
    Case("so does one that is known later", total(instalments.paid), 0.3, [due(days(20), 100)],
         children=[payment(days(21), 30), payment(days(1), 70, known=AS_OF + US)]),
    Case("no payment: nothing is paid", mean(instalments.paid / instalments.amount_due), 0.0, [due(days(20), 100)]),
    Case("no payment: its moment is missing", mean(_days_late), None, [due(days(20), 100)]),
    Case("the last payment's moment", mean(_days_late), 4.0, [due(days(20), 100)],
         children=[payment(days(16), 10), payment(days(25), 10)]),
    Case("payments of no instalment pay none", total(instalments.paid), 0.0, [due(days(20), 100)],
         children=[payment(days(21), 30, settles=None), payment(days(21), 30, settles="i9")]),
    Case("each instalment has its own", maximum(instalments.paid), 0.4,
         [due(days(20), 100, "i1"), due(days(10), 100, "i2")],
         children=[payment(days(21), 30, "i1"), payment(days(9), 40, "i2")]),
    Case("a corrected payment pays what it says now", total(instalments.paid), 0.1, [due(days(20), 100)],
         children=[payment(days(21), 70, payment_id="p"), payment(days(21), 10, payment_id="p", known=days(2))]),
    Case("one corrected after as_of what it said before", total(instalments.paid), 0.7, [due(days(20), 100)],
         children=[payment(days(21), 70, payment_id="p"), payment(days(21), 0, payment_id="p", known=AS_OF + US)]),
    Case("a correction may move a payment to another instalment", total(instalments.paid,
         where=instalments.amount_due == 100), 0.0, [due(days(20), 100, "i1"), due(days(20), 200, "i2")],
         children=[payment(days(21), 70, "i1", payment_id="p"), payment(days(21), 70, "i2", payment_id="p",
         known=days(2))]),
    Case("or to none", maximum(_days_late), None, [due(days(20), 100)],
         children=[payment(days(21), 70, payment_id="p"), payment(days(21), 70, None, payment_id="p",
         known=days(2))]),
    Case("payments are a source themselves", total(payments.amount, days=20), 0.4, table="payments",
         rows=[payment(days(20), 30), payment(days(19), 40)]),
]

APPLICATION = [
    Case("application: amounts in CNY", income, 12.34, application={"income_monthly": 1234}),
    Case("application: a column that is missing", income, None, application={"income_monthly": None}),
    Case("application: a flag is 1 or 0", _car, 1, application={"owns_car": True}),
    Case("application: a missing flag is missing", _car, None, application={"owns_car": None}),
    Case("application: a missing flag is not true", _car == True, 0, application={"owns_car": None}),  # noqa: E712
    Case("application: ratio", _requested / income, 2.5,
         application={"amount_requested": 500, "income_monthly": 200}),
    Case("application: ratio to zero", _requested / income, None, application={"amount_requested": 500,
         "income_monthly": 0}),
    Case("application: amounts beside constants are in CNY", _requested > 4.5, 1,
         application={"amount_requested": 500}),
    Case("application: not a number is missing", _score.is_missing(), 1,
         application={"external_score_1": float("nan")}),
    Case("application: category", Node("column", "applications", "product") == "cash", 1,
         application={"product": "cash"}),
    Case("application: category that is missing", Node("column", "applications", "education") == "secondary", 0,
         application={"education": None}),
    Case("application: membership", Node("column", "applications", "product").isin(["cash", "other"]), 1,
         application={"product": "other"}),
    Case("application: the hour of the application", local_hour(as_of), 23),
    Case("application: coalesce", income.coalesce(7), 7, application={"income_monthly": None}),
    Case("application: clip leaves missing", _score.clip(0.2, 0.4), None, application={"external_score_1": None}),
    Case("application: clip to the bounds", _score.clip(0.2, 0.4), 0.4, application={"external_score_1": 0.9}),
    Case("application: when", when(_score.is_missing(), -1.0, _score), -1, application={"external_score_1": None}),
]

FUNCTIONS = [
    Case("ratio with a zero below", ratio(_requested, income, on_zero=9), 9,
         application={"amount_requested": 5, "income_monthly": 0}),
    Case("ratio of a missing value to zero", ratio(_requested, income, on_zero=9), None,
         application={"amount_requested": None, "income_monthly": 0}),
    Case("ratio of a missing value", ratio(_requested, income, on_zero=9, on_missing=-1), -1,
         application={"amount_requested": None, "income_monthly": 0}),
    Case("ratio to a missing value", ratio(_requested, income, on_missing=-1), -1,
         application={"amount_requested": 5, "income_monthly": None}),
    Case("ratio as it is", ratio(_requested, income, on_zero=9, on_missing=-1), 2.5,
         application={"amount_requested": 500, "income_monthly": 200}),
    Case("logarithm", log1p(income), math.log(3), application={"income_monthly": 200}),
    Case("logarithm of zero", log1p(_score - 1.0), None, application={"external_score_1": 0.0}),
    Case("logarithm of a missing value", log1p(_score), None, application={"external_score_1": None}),
    Case("absolute value", abs(_score - 1.0), 0.75, application={"external_score_1": 0.25}),
    Case("negative value", -_score, -0.25, application={"external_score_1": 0.25}),
    Case("a constant before a value", 1.0 / (1.0 + 2.0 * _score), 0.5, application={"external_score_1": 0.5}),
    Case("bucket below the first edge", bucket(_score, 0.2, 0.5), 0, application={"external_score_1": 0.1}),
    Case("bucket at an edge", bucket(_score, 0.2, 0.5), 1, application={"external_score_1": 0.2}),
    Case("bucket beyond the last edge", bucket(_score, 0.2, 0.5), 2, application={"external_score_1": 0.9}),
    Case("bucket of a missing value", bucket(_score, 0.2, 0.5), None, application={"external_score_1": None}),
    Case("infinity in a column is missing", _score.is_missing(), 1, application={"external_score_1": math.inf}),
    Case("a feature that overflows is missing", _score * 1e300 * 1e300, None, application={"external_score_1": 1.0}),
    Case("a feature that overflows is missing to others", feature("boundless").coalesce(7.0), 7, [spend(100)],
         "transactions"),
    Case("and they can ask", feature("boundless").is_missing(), 1, [spend(100)], "transactions"),
    Case("a value that overflows is passed over", total(cards.dpd * 1e300 * 1e300), 0, [statement(dpd=1)]),
    Case("missing as a choice", when(_score > 0.5, missing, 1.0), None, application={"external_score_1": 0.9}),
    Case("missing as a choice of records", total(when(cards.dpd > 5, missing, 1.0)), 1,
         [statement(dpd=9), statement(days(1), dpd=2)]),
    Case("missing can be asked for", when(_score > 0.5, missing, 1.0).is_missing(), 1,
         application={"external_score_1": 0.9}),
    Case("of records: a clipped condition", mean((cards.dpd > 5).clip(0, 1)), 0.5,
         [statement(dpd=9), statement(days(1), dpd=2)]),
    Case("of records: logarithm", maximum(log1p(cards.dpd - 1.0)), math.log(2),
         [statement(dpd=2), statement(days(1), dpd=0)]),
    Case("of records: absolute value", maximum(abs(cards.dpd - 5.0)), 3, [statement(dpd=2)]),
    Case("of records: absolute amounts in CNY", maximum(abs(cards.balance)), 0.03, [statement(balance=-3)]),
    Case("of records: bucket", maximum(bucket(cards.dpd, 1, 30)), 1,
         [statement(dpd=2), statement(days(1), dpd=None)]),
    Case("of records: bucket of missing values", maximum(bucket(cards.dpd, 1, 30)), None, [statement(dpd=None)]),
    Case("of records: infinity is missing", count(loans, where=loans.annual_rate.is_missing()), 1,
         [record("loans", annual_rate=math.inf), record("loans", annual_rate=0.1)]),
]

OF_FEATURES = [
    Case("ratio of features", feature("spent") / feature("income"), 0.25,
         [spend(100)], "transactions", application={"income_monthly": 400}),
    Case("an empty sum is a zero below the line", feature("income") / feature("spent"), None, [], "transactions",
         application={"income_monthly": 400}),
    Case("an empty sum is a zero above it", feature("spent") / feature("income"), 0, [], "transactions",
         application={"income_monthly": 400}),
    Case("an absent table is missing", feature("spent") / feature("income"), None, ABSENT, "transactions",
         application={"income_monthly": 400}),
    Case("a feature of a column's name is not the column", feature("income_monthly") + income, 5.0, [spend(100)],
         "transactions", application={"income_monthly": 400}),
    Case("an expression of an expression", feature("twice") + 1.0, 3.0, [spend(100)], "transactions"),
    Case("features are in CNY", feature("spent") >= 1, 1, [spend(100)], "transactions"),
    Case("least of two", Node("least", feature("spent"), feature("income")), 1, [spend(100)], "transactions",
         application={"income_monthly": 400}),
]

# fmt: on

CASES = [
    *WINDOWS, *EMPTY, *STATISTICS, *ORDERED, *DISTRIBUTIONS, *RECORD_EXPRESSIONS, *VERSIONS, *CHILDREN, *APPLICATION,
    *FUNCTIONS, *OF_FEATURES,
]  # fmt: skip
