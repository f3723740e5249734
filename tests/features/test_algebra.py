"""Both engines give the answers of `algebra_cases`, and what cannot be said as a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import DeclarationError
from data_contracts.folder import write_tables
from data_contracts.tables import APPLICATIONS, EVENT_TABLES
from features import batch
from features.algebra import Feature, FeatureSet, Node, Reason, count, feature, mean, total
from features.bureau import inquiries
from features.consumption import cards, transactions
from features.online import compile_plan
from tests.features.algebra_cases import AS_OF, CASES, Case, days, income, inquiry, least

REASON = Reason("R00", "A reason", "原因")
NAMED = {"spent": total(transactions.amount), "twice": feature("spent") * 2.0, "income": income}
NAMED |= {"boundless": feature("spent") * 1e308 * 1e10, "income_monthly": count(transactions)}


def declared(name: str, value: Node) -> Feature:
    return Feature(name, value, "English", "中文", "unit", REASON, "application")


def feature_set(cases: list[Case]) -> FeatureSet:
    """One feature a case, and those that cases name."""
    values = NAMED | {f"case_{at}": case.value for at, case in enumerate(cases)}
    return FeatureSet("cases", 1, tuple(declared(name, value) for name, value in values.items()))


def application_of(case: Case, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {c.name: least(c) for c in APPLICATIONS.columns if c.dtype != "timestamp"}
    row |= {"application_id": f"a{number:04d}", "customer_id": f"c{number:04d}", "applied_at": AS_OF, "product": "cash"}
    return row | case.application


@pytest.fixture(scope="module")
def batch_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Every case is an applicant; those who lack a table share a folder that lacks it."""
    answers = {}
    lacks = {case.name: tuple(name for name, rows in case.records.items() if rows is None) for case in CASES}
    for absent in dict.fromkeys(lacks.values()):
        cases = [case for case in CASES if lacks[case.name] == absent]
        tables = {"applications": pd.DataFrame([application_of(case, at) for at, case in enumerate(cases)])}
        for table in EVENT_TABLES:
            if table.name not in absent:
                rows = [
                    row | {"customer_id": f"c{at:04d}"}
                    for at, case in enumerate(cases)
                    for row in case.records[table.name]
                ]
                frame = pd.DataFrame(rows, columns=list(table.names)).sample(frac=1.0, random_state=3)
                tables[table.name] = frame.convert_dtypes(dtype_backend="numpy_nullable")
        folder = write_tables(tmp_path_factory.mktemp("cases") / "tables", tables, lender="cases", dates="calendar")
        matrix = batch.compute(folder, feature_set(cases))
        answers |= {case.name: matrix.loc[f"a{at:04d}", f"case_{at}"] for at, case in enumerate(cases)}
    return answers


def same(case: Case) -> Any:
    return pytest.approx(float("nan") if case.answer is None else case.answer, rel=1e-12, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_online_gives_the_answer(case: Case) -> None:
    plan = compile_plan(feature_set([case]))
    assert plan.compute(application_of(case, 0), case.records, AS_OF)[-1] == same(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_batch_gives_the_answer(case: Case, batch_answers: dict[str, float]) -> None:
    assert batch_answers[case.name] == same(case)


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_columns_left_out_of_a_request_are_missing() -> None:
    plan = compile_plan(feature_set([Case("dpd", mean(cards.dpd), None)]))
    rows = [{"card_id": "c", "occurred_at": days(1), "known_at": days(1)}]
    found = plan.compute({}, {"card_months": rows, "transactions": []}, AS_OF)
    missing = {name for name, value in zip(plan.names, found, strict=True) if np.isnan(value)}
    assert missing == {"income", "case_0"}


def test_two_applications_of_one_customer_each_see_their_own_past(tmp_path) -> None:
    earlier = application_of(Case("", income, None), 0) | {"applied_at": days(10)}
    later = earlier | {"application_id": "a0001", "applied_at": AS_OF}
    asked = [inquiry(days(n), customer_id="c0000") for n in (5, 15)]
    tables = {"applications": pd.DataFrame([later, earlier]), "inquiries": pd.DataFrame(asked)}
    folder = write_tables(tmp_path / "tables", tables, lender="cases", dates="calendar")
    matrix = batch.compute(folder, FeatureSet("two", 1, (declared("asked", count(inquiries)),)))
    assert matrix["asked"].to_dict() == {"a0000": 1.0, "a0001": 2.0}


def test_a_feature_may_have_the_name_of_a_column(tmp_path) -> None:
    application = application_of(Case("", income, None), 0)
    tables = {"applications": pd.DataFrame([application]), "inquiries": pd.DataFrame([inquiry(customer_id="c0000")])}
    folder = write_tables(tmp_path / "tables", tables, lender="cases", dates="calendar")
    names = FeatureSet("names", 1, (declared("term_months", count(inquiries)), declared("channel", count(cards))))
    matrix = batch.compute(folder, names)
    assert matrix.loc["a0000"].tolist() == [1.0, same(Case("", count(cards), None))]


def test_batch_shows_its_sql_by_source(tmp_path) -> None:
    tables = {"applications": pd.DataFrame([application_of(CASES[0], 0)]), "inquiries": pd.DataFrame([inquiry()])}
    folder = write_tables(tmp_path / "tables", tables, lender="cases", dates="calendar")
    asked = FeatureSet("one", 1, (declared("asked", count(inquiries)), declared("spent", total(transactions.amount))))
    shown = batch.explain(folder, asked)
    assert list(shown) == ["of_inquiries", "matrix"]
    assert "COUNT(*)" in shown["of_inquiries"]


def test_a_condition_has_no_truth_value_while_it_is_declared() -> None:
    with pytest.raises(TypeError, match=r"combine conditions with &, \| and ~"):
        bool(inquiries.reason == "self")


def test_an_aggregate_of_no_column_is_refused_where_it_stands() -> None:
    with pytest.raises(DeclarationError, match=r"mean looks back over columns of a source .* has none"):
        mean(income)


def test_nodes_of_one_meaning_have_one_key() -> None:
    assert ((inquiries.reason == "self") & (inquiries.institution_kind == "bank")).key == (
        '["and",["eq",["column","inquiries","reason"],["constant","self"]],'
        '["eq",["column","inquiries","institution_kind"],["constant","bank"]]]'
    )
