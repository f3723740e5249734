"""Features and events of many requests are those of each alone."""

from __future__ import annotations

import json

import numpy as np

from data_contracts.messages import ScoreRequest, parse_request
from features.online import compile_plan
from features.requests import of_requests
from features.sequences import from_records
from features.sets import feature_set

DECLARED = feature_set("application_v1")


def request(amount: int, *days: int) -> ScoreRequest:
    """An applicant of June with inquiries on some days of May."""
    inquiries = [
        {"inquiry_id": f"i{day}", "occurred_at": f"2025-05-{day:02}", "known_at": f"2025-05-{day:02}",
         "reason": "loan_approval", "institution_kind": "bank"}
        for day in days
    ]  # fmt: skip
    application = {"application_id": "A", "customer_id": "C", "applied_at": "2025-06-01", "product": "cash"}
    return parse_request(
        json.dumps({"application": {**application, "amount_requested": amount}, "inquiries": inquiries})
    )


def test_a_row_a_request():
    requests, plan = [request(100_000, 1, 9), request(700_000), request(200_000, 30)], compile_plan(DECLARED)
    features, events = of_requests(requests, DECLARED, 4)
    assert list(features.columns) == list(DECLARED.names)
    assert features["inquiries_count_30d"].tolist() == [1, 0, 1]
    assert (events.source > 0).sum(axis=1).tolist() == [2, 0, 1]
    for at, one in enumerate(requests):
        alone = plan.compute(one.application_record(), one.records(), one.as_of)
        np.testing.assert_array_equal(features.iloc[at], alone)
        np.testing.assert_array_equal(events.values[at], from_records(one.records(), one.as_of, 4).values[0])


def test_no_requests_and_no_events():
    features, events = of_requests([], DECLARED, 4)
    assert (features.shape, events.source.shape) == ((0, len(DECLARED.names)), (0, 4))
    assert of_requests([request(100_000)], DECLARED, None)[1] is None
