from __future__ import annotations

import json
import re

import pytest

from features.algebra import Feature, FeatureSet, Reason, as_of, count, feature, local_hour, maximum, mean
from features.catalogue import catalogue_html, catalogue_rows
from features.consumption import transactions
from features.repayment import instalments
from features.sets import feature_set

SET = feature_set("application_v1")
REASON = Reason("R99", "A reason & more", "原因")


@pytest.fixture(scope="module")
def html() -> str:
    return catalogue_html(SET)


def small() -> FeatureSet:
    values = {
        "spent": mean(transactions.amount, where=transactions.direction == "out", days=30),
        "due_count": count(instalments),
        "paid_max": maximum(instalments.paid, last=2),
        "share": feature("paid_max") / feature("spent"),
        "deeper": feature("share") + feature("share"),
        "hour": local_hour(as_of),
    }
    texts = ("Words with <b>markup</b>", "带<标记>", "count", REASON)
    return FeatureSet("small", 3, tuple(Feature(name, value, *texts, "consumption") for name, value in values.items()))


SPENT = ["transactions.amount", "transactions.direction", "transactions.occurred_at"]
PAID = ["instalments.due_at", "payments.amount", "payments.instalment_id"]
LINEAGE = [
    ("spent", "mean(transactions.amount, where=(transactions.direction == 'out'), days=30)", [], SPENT),
    ("due_count", "count(instalments)", [], ["instalments.due_at"]),
    ("paid_max", "max(instalments.paid, last=2)", [], PAID),
    ("share", "(paid_max / spent)", ["paid_max", "spent"], PAID + SPENT),
    ("deeper", "(share + share)", ["share"], PAID + SPENT),
    ("hour", "local_hour(as_of)", [], ["applications.applied_at"]),
]


@pytest.mark.parametrize(("name", "said", "uses", "columns"), LINEAGE, ids=[row[0] for row in LINEAGE])
def test_lineage(name: str, said: str, uses: list[str], columns: list[str]) -> None:
    row = {row["name"]: row for row in catalogue_rows(small())}[name]
    assert (row["definition"], row["uses"], row["columns"]) == (said, uses, columns)
    assert row["tables"] == sorted({column.split(".")[0] for column in columns})


def test_rows_hold_everything_that_was_declared() -> None:
    assert catalogue_rows(small())[1] == {
        "name": "due_count",
        "group": "consumption",
        "en": "Words with <b>markup</b>",
        "zh": "带<标记>",
        "unit": "count",
        "risk": 0,
        "missing": "no such record, or the source is absent",
        "reason": {"code": "R99", "en": "A reason & more", "zh": "原因"},
        "definition": "count(instalments)",
        "uses": [],
        "columns": ["instalments.due_at"],
        "tables": ["instalments"],
    }


def test_rows_are_plain_data() -> None:
    rows = catalogue_rows(SET)
    assert [row["name"] for row in rows] == list(SET.names)
    assert json.loads(json.dumps(rows)) == rows
    assert all(row["columns"] and row["tables"] for row in rows)


def test_a_column_of_an_expression_is_said_with_its_table() -> None:
    income = next(f for f in SET.features if f.name == "application_income_monthly")
    assert str(income.value) == "applications.income_monthly"


def test_the_page_shows_every_feature_once(html: str) -> None:
    assert re.findall(r'<tr id="([^"]+)"', html) == list(SET.names)
    for one in (SET.features[0], SET.features[-1]):
        for text in (one.en, one.zh, one.unit, one.reason_zh, one.reason.code):
            assert text in html
    assert SET.identity in html
    assert 'type="search"' in html
    assert "prefers-color-scheme:dark" in html


def test_the_page_asks_the_network_for_nothing(html: str) -> None:
    assert not re.search(r"(?:src|href)=[\"'](?!#)", html)
    assert not re.search(r"https?:|@import|url\(", html)
    assert "default-src 'none'" in html


def test_texts_cannot_become_markup() -> None:
    page = catalogue_html(small())
    assert "Words with &lt;b&gt;markup&lt;/b&gt;" in page
    assert "带&lt;标记&gt;" in page
    assert "A reason &amp; more" in page
    assert "<b>" not in page


def test_the_page_is_the_same_every_time(html: str) -> None:
    assert catalogue_html(SET) == html


def test_links_lead_to_rows(html: str) -> None:
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(SET.names)
    assert 'href="#inquiries_count_30d"' in html


def test_directions_of_risk_are_words(html: str) -> None:
    assert html.count("↑ 升高 raises") == sum(one.risk > 0 for one in SET.features)
    assert html.count("↓ 降低 lowers") == sum(one.risk < 0 for one in SET.features)
