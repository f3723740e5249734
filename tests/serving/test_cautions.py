"""What an answer warns of: sources missing or stale, values that training has not seen; and its band."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from data_contracts.messages import parse_request
from serving.scorer import Scorer

APPLICATION = {
    "application_id": "A",
    "customer_id": "C",
    "applied_at": "2025-05-01T00:00:00",
    "product": "cash",
    "amount_requested": 500_000,
}


def inquiry(known_at: str) -> dict[str, str]:
    kind = {"reason": "loan_approval", "institution_kind": "bank"}
    return {"inquiry_id": "i", "occurred_at": "2024-01-01", "known_at": known_at, **kind}


def codes(scorer: Scorer, **body: Any) -> dict[str, Any]:
    scored = scorer.score(parse_request(json.dumps({"application": APPLICATION, **body})))
    return {warned.code: warned for warned in scored.warnings}


@pytest.mark.parametrize(
    ("inquiries", "stale"),
    [
        ([inquiry("2025-01-01")], False),  # 120 days: as old as the contract lets a delivery be
        ([inquiry("2024-12-31")], True),
        ([], False),
        (None, False),  # that is missing, not stale
    ],
    ids=["120 days", "121 days", "empty", "missing"],
)
def test_a_bureau_whose_every_table_is_old_is_stale(scorer: Scorer, inquiries: Any, stale: bool) -> None:
    told = codes(scorer, inquiries=inquiries)
    assert ("stale_source:bureau" in told) == stale
    assert ("missing_source:inquiries" in told) == (inquiries is None)


def test_values_beyond_training_are_named(scorer: Scorer) -> None:
    seen = {one.name: one for one in scorer.bundle.reference.features}
    rich = {**APPLICATION, "income_monthly": 10_000_000_000}
    scored = scorer.score(parse_request(json.dumps({"application": rich})))
    told = next(warned for warned in scored.warnings if warned.code == "outside_training_range")
    values = dict(zip(scorer.bundle.feature_set.names, scored.features, strict=True))
    assert told.features
    assert all(seen[name].outside([values[name]]) for name in told.features)
    assert told.zh != told.en


def test_bands_hold_equally_many_and_their_limits_are_those_of_the_points(scorer: Scorer, champion: Any) -> None:
    scored = [scorer.score(parse_request(json.dumps(body))) for body in champion.requests]
    numbers = np.array([one.band.number for one in scored])
    counts = np.bincount(numbers)[1:]
    assert len(counts) == scored[0].band.of == 10
    assert counts.min() >= 30
    for one in scored:
        assert one.band.points_from is None or one.score >= one.band.points_from - 1e-9
        assert one.band.points_below is None or one.score < one.band.points_below
    order = np.argsort([one.log_odds for one in scored])
    assert (np.diff(numbers[order]) >= 0).all()
