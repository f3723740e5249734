"""Declarations are checked against each other, so that a contract that cannot hold is found before any record is."""

from __future__ import annotations

import re

import pytest

from data_contracts.declare import Table
from data_contracts.rules import LEARNED
from data_contracts.tables import CONSENTS, EVENT_TABLES, OUTCOMES, TABLES

EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def test_the_tables_of_the_design_are_there() -> None:
    assert list(TABLES) == [
        "applications", "tradelines", "tradeline_months", "inquiries", "transactions", "card_months", "loans",
        "loan_months", "instalments", "payments", "invoices", "consents", "outcomes",
    ]  # fmt: skip


@EVERY_TABLE
def test_names_are_snake_case_and_given_once(table: Table) -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in (table.name, *table.names))
    assert len(set(table.names)) == len(table.names)


@EVERY_TABLE
def test_keys_are_columns_that_are_always_given(table: Table) -> None:
    assert table.key
    assert not any(table.column(name).nullable for name in table.row_key)


@EVERY_TABLE
def test_foreign_keys_lead_to_the_key_of_a_table_with_the_same_types(table: Table) -> None:
    for reference in table.foreign_keys:
        other = TABLES[reference.table]
        assert reference.columns == other.key
        assert [table.column(name).dtype for name in reference.columns] == [
            other.column(name).dtype for name in reference.columns
        ]


@EVERY_TABLE
def test_rules_have_names_of_their_own_and_read_columns_that_are_there(table: Table) -> None:
    names = [rule.name for rule in table.rules]
    assert len(set(names)) == len(names)
    assert not set(names) & set(table.names)
    for rule in table.rules:
        assert set(rule.columns) <= set(table.names), rule.name
        assert (rule.lookup is None) == (not rule.on), rule.name
        for other, columns in rule.reads.items():
            assert set(columns) <= set(TABLES[other].names), rule.name


@EVERY_TABLE
def test_ranges_and_categories_fit_their_columns(table: Table) -> None:
    for column in table.columns:
        assert column.meaning, column.name
        if column.low is not None and column.high is not None:
            assert column.low < column.high, column.name
        if column.low is not None or column.high is not None:
            assert column.dtype in ("int64", "float64"), column.name
        if column.categories:
            assert column.dtype == "string", column.name
            assert len(set(column.categories)) == len(column.categories), column.name


@EVERY_TABLE
def test_money_is_whole_fen(table: Table) -> None:
    words = re.compile(r"(^|_)(amount|balance|principal|limit|price|income|instalment_monthly|paid|drawn)($|_)")
    money = [column for column in table.columns if words.search(column.name)]
    assert all((column.dtype, column.unit) == ("int64", "fen") for column in money)


@pytest.mark.parametrize("table", [*EVENT_TABLES, CONSENTS, OUTCOMES], ids=lambda table: table.name)
def test_events_say_whose_they_are_when_they_happened_and_when_they_were_known(table: Table) -> None:
    for name in ("customer_id", "occurred_at", "known_at"):
        assert not table.column(name).nullable
    assert LEARNED in table.rules


@EVERY_TABLE
def test_what_may_be_corrected_is_named_by_its_key_and_when_it_was_known(table: Table) -> None:
    events = table.name != "applications"
    assert table.row_key == ((*table.key, "known_at") if events else table.key)
    assert events or table.fresh_days is None


def test_protected_attributes_are_marked() -> None:
    protected = {column.name for column in TABLES["applications"].columns if column.protected}
    assert protected == {"age_years", "gender", "marital_status"}


def test_an_unknown_column_is_answered_with_the_columns_there_are() -> None:
    with pytest.raises(KeyError, match="table outcomes has no column 'dpd'; it has application_id, customer_id"):
        OUTCOMES.column("dpd")
