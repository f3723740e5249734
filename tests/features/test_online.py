"""What the online engine does with records as callers may hand them over."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from data_contracts.errors import ContractError
from data_contracts.messages import ScoreRequest
from features import kernel
from features.aggregates import STATISTICS, ZERO_WHEN_EMPTY
from features.algebra import US_PER_DAY, US_PER_MONTH
from features.online import Plan, compile_plan
from features.sets import feature_set

AS_OF = datetime(2025, 3, 1, 4, 0)
DAY = timedelta(days=1)
SET = feature_set("application_v1")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(SET)


def asked(at: datetime, name: str = "q", **values: Any) -> dict[str, Any]:
    row = {"inquiry_id": name, "customer_id": "c", "occurred_at": at, "known_at": at, "reason": "loan_approval"}
    return row | {"institution_kind": "bank", "institution": None} | values


def value(plan: Plan, name: str, inquiries: list[dict[str, Any]], as_of: datetime = AS_OF, **application: Any) -> float:
    return float(plan.compute(application, {"inquiries": inquiries}, as_of)[SET.names.index(name)])


def test_columns_that_are_left_out_are_missing(plan: Plan) -> None:
    short = {"inquiry_id": "q", "occurred_at": AS_OF - DAY, "known_at": AS_OF - DAY}
    assert value(plan, "inquiries_count_7d", [short, asked(AS_OF - 2 * DAY, "r")]) == 2.0
    assert value(plan, "inquiries_loan_count_30d", [short, asked(AS_OF - 2 * DAY, "r")]) == 1.0


def test_records_in_the_future_do_not_count(plan: Plan) -> None:
    later = [asked(AS_OF + DAY, "a"), asked(AS_OF - DAY, "b", known_at=AS_OF + DAY), asked(AS_OF - DAY, "c")]
    assert value(plan, "inquiries_count_7d", later) == 1.0


def test_the_order_of_records_means_nothing(plan: Plan) -> None:
    rows = [asked(AS_OF - days * DAY, f"q{days}") for days in (3, 1, 2)]
    assert value(plan, "inquiries_days_since", rows) == value(plan, "inquiries_days_since", rows[::-1]) == 1.0


@pytest.mark.parametrize("zoned", ["as_of", "record"])
def test_times_with_a_zone_are_refused_with_the_way_out(plan: Plan, zoned: str) -> None:
    moment = AS_OF.replace(tzinfo=UTC) if zoned == "as_of" else AS_OF
    row = asked(AS_OF.replace(tzinfo=UTC) - DAY) if zoned == "record" else asked(AS_OF - DAY)
    with pytest.raises(ContractError, match=r"Times have a zone.*astimezone\(UTC\)\.replace\(tzinfo=None\)"):
        value(plan, "inquiries_count_7d", [row], moment)


def request(**inquiry: Any) -> dict[str, Any]:
    row = {"inquiry_id": "q", "occurred_at": "2025-02-27T12:00:00", "known_at": "2025-02-27T12:00:00"}
    row |= {"reason": "loan_approval", "institution_kind": "bank"} | inquiry
    application = {"application_id": "a", "customer_id": "c", "applied_at": "2025-03-01T12:00:00+08:00"}
    return {"application": {**application, "product": "cash"}, "inquiries": [row]}


def test_a_request_in_another_zone_means_the_same_moment(plan: Plan) -> None:
    """Noon in Shanghai is four in UTC: the inquiry of 22:00 UTC, two days before, is 1.25 days old."""
    at = "2025-02-28T06:00:00+08:00"
    parsed = ScoreRequest.model_validate(request(occurred_at=at, known_at=at))
    assert parsed.as_of == AS_OF
    found = plan.compute(parsed.application_record(), parsed.records(), parsed.as_of)
    assert found[SET.names.index("inquiries_days_since")] == 1.25


def test_a_record_that_comes_twice_is_refused_at_the_door() -> None:
    twice = request()
    twice["inquiries"] *= 2
    with pytest.raises(ValidationError, match="inquiry_id"):
        ScoreRequest.model_validate(twice)


def test_a_version_that_comes_twice_is_refused_by_the_engine_too(plan: Plan) -> None:
    with pytest.raises(ContractError, match="A record comes twice in one version"):
        value(plan, "inquiries_count_7d", [asked(AS_OF - DAY), asked(AS_OF - DAY)])


def test_machine_code_holds_no_number_of_another_file() -> None:
    """Numba makes it anew only where its own file has changed."""
    tree = ast.parse(Path(kernel.__file__).read_text(encoding="utf-8"))
    own = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("f")]
    assert [name.name for node in own for name in node.names] == ["Aggregate"]
    assert set(kernel.STATISTICS) == set(STATISTICS)
    assert set(kernel.STATISTICS[: kernel.STATISTICS.index("distinct") + 1]) == set(ZERO_WHEN_EMPTY)
    assert (kernel._US_PER_DAY, kernel._US_PER_MONTH) == (US_PER_DAY, US_PER_MONTH)


def test_numbers_that_are_none_are_missing(plan: Plan) -> None:
    for odd in (float("nan"), float("inf"), -float("inf"), None):
        assert np.isnan(value(plan, "application_external_score_1", [], external_score_1=odd))
