"""What an applicant is told: conduct where it was recorded, absence where nothing was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_contracts.messages import parse_request
from data_contracts.tables import EVENT_TABLES
from serving.scorer import Scorer
from training.bundle import Bundle

APPLICATION = {
    "application_id": "A",
    "customer_id": "C",
    "applied_at": "2025-05-01T00:00:00",
    "product": "cash",
    "amount_requested": 500_000,
}


@pytest.fixture(scope="module")
def scorer(champion: Any) -> Scorer:
    return Scorer(Bundle.load(champion.bundle))


def test_of_sources_that_are_missing_no_conduct_is_told(scorer: Scorer) -> None:
    scored = scorer.score(parse_request(json.dumps({"application": APPLICATION})))
    declared = {feature.reason.code for feature in scorer.bundle.feature_set.features if feature.group == "application"}
    assert scored.reasons
    assert {reason.code for reason in scored.reasons} <= declared | {"N01", "N02", "N03", "N04"}


def test_of_histories_without_events_no_course_is_told(scorer: Scorer) -> None:
    empty = {table.name: [] for table in EVENT_TABLES}
    scored = scorer.score(parse_request(json.dumps({"application": APPLICATION, **empty})))
    assert not [reason.code for reason in scored.reasons if reason.code.startswith("events_")]
    assert abs(scored.residual) < 1e-9
