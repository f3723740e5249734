"""The reasons that are served are those that are measured; a false one is noticed; small changes leave the first."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from data_contracts.messages import ScoreRequest, parse_request
from evaluation.reason_checks import ReasonAgreement, agreement, stability
from features.requests import of_requests
from serving.app import create_app
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.reason_checks import logged_agreement, served_agreement
from serving.scorer import Scorer
from training.bundle import Bundle


@pytest.fixture(scope="module")
def scorer(champion: Any) -> Scorer:
    return Scorer(Bundle.load(champion.bundle))


@pytest.fixture(scope="module")
def requests(champion: Any) -> list[ScoreRequest]:
    return [parse_request(json.dumps(request)) for request in champion.requests[:60]]


async def statuses(app: Any, bodies: list[dict[str, Any]]) -> list[int]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return [(await client.post("/v1/application/score", json=body)).status_code for body in bodies]


def test_served_reasons_are_the_measured_ones(scorer: Scorer, requests: list[ScoreRequest]) -> None:
    found = served_agreement(scorer, requests)
    assert (found.rows, found.agreed, found.differing, found.share) == (60, 60, (), 1.0)
    assert found.passed


def test_false_reasons_are_noticed(scorer: Scorer, requests: list[ScoreRequest]) -> None:
    features, events = of_requests(requests, scorer.bundle.feature_set, scorer.bundle.sequence_length)
    served = [[reason.model_dump() for reason in scorer.score(request).reasons] for request in requests]
    false = copy.deepcopy(served)
    false[3].reverse()
    false[5] = false[5][1:]
    false[7][0]["log_odds"] += 0.001
    found = agreement(scorer.bundle, features, events, false)
    assert (found.rows, found.agreed, found.differing) == (60, 57, (3, 5, 7))
    assert not found.passed


def test_one_in_a_hundred_may_differ_and_none_does_not_pass() -> None:
    assert ReasonAgreement(100, 99, (5,)).passed
    assert not ReasonAgreement(100, 98, (5, 6)).passed
    assert not ReasonAgreement(0, 0, ()).passed
    assert ReasonAgreement(0, 0, ()).share is None


def test_reasons_against_another_background_are_noticed(scorer: Scorer, requests: list[ScoreRequest]) -> None:
    bundle = scorer.bundle
    features, events = of_requests(requests, bundle.feature_set, bundle.sequence_length)
    other = Scorer(replace(bundle, background_features=bundle.background_features.iloc[:20], trees=None))
    assert not agreement(bundle, features, events, [other.score(request).reasons for request in requests]).passed


def test_logged_reasons_are_the_measured_ones(champion: Any, scorer: Scorer, tmp_path: Path) -> None:
    with DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", key="of the test") as log:
        app = create_app(Lineup([scorer]), log, clock=lambda: datetime(2025, 6, 1))
        assert asyncio.run(statuses(app, champion.requests[:12])) == [200] * 12
        decisions = log.read(bundle=scorer.bundle.identity)
        assert logged_agreement(scorer.bundle, decisions) == ReasonAgreement(12, 12, ())
        assert logged_agreement(scorer.bundle, decisions.iloc[:0]) == ReasonAgreement(0, 0, ())


def test_the_first_reason_survives_a_small_change(scorer: Scorer, requests: list[ScoreRequest]) -> None:
    features, events = of_requests(requests, scorer.bundle.feature_set, scorer.bundle.sequence_length)
    still, little, much = (
        stability(scorer.bundle, features, events, spread=spread, seed=1) for spread in (0.0, 0.01, 3.0)
    )
    assert (still.rows, still.kept, still.share) == (60, 60, 1.0)
    assert little.share >= 0.9
    assert much.share < little.share
    assert (
        stability(scorer.bundle, features.iloc[:0], None if events is None else events.take(np.arange(0))).share is None
    )
