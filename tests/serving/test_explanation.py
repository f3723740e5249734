"""`/explain`: every attribution, adding up to the log-odds that were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from data_contracts.replies import ExplainResponse, ScoreResponse
from evaluation.sequence_attribution import MONTHS
from features.batch import compute
from features.sequences import SOURCES, from_folder
from features.sets import feature_set
from serving.app import create_app
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.scorer import Scorer
from tests.serving.calls import PATH, Http
from training.bundle import Bundle, ScoreScale
from training.hybrid import HybridClassifier
from training.reference import Reference
from training.sequence_net import SequenceNetClassifier


@pytest.fixture(scope="module")
def of_events(champion: Any) -> Scorer:
    """A bundle that reads raw events alone: it learns who has many inquiries."""
    folder = champion.folder
    features, sequences = compute(folder, feature_set("application_v1"), threads=1), from_folder(folder, 16)
    many = (sequences.source == SOURCES.index("inquiries") + 1).sum(axis=1) >= 2
    net = SequenceNetClassifier(hidden=8, max_epochs=8, n_jobs=1)
    model = HybridClassifier(boosted=None, tabular_net=None, sequence_net=net, n_folds=2)
    model.fit(features, many.astype(np.int64), sequences=sequences)
    log_odds = model.decision_function(features, sequences)
    return Scorer(
        Bundle(
            name="events",
            decision_point="application",
            feature_set=feature_set("application_v1"),
            model=model,
            reference=Reference.from_frame(features, log_odds),
            background_features=features.iloc[:40],
            background_sequences=sequences.take(np.arange(40)),
            scale=ScoreScale(600.0, 20.0, 40.0),
        )
    )


@pytest.fixture
def http(scorer: Scorer, log: DecisionLog) -> Http:
    return Http(create_app(Lineup([scorer]), log, lambda: datetime(2025, 7, 1)))


def test_all_attributions_add_up_to_the_answer(http: Http, scorer: Scorer, champion: Any) -> None:
    for body in champion.requests[:3]:
        answer = ScoreResponse.model_validate_json(http.post(PATH, json=body).content)
        told = ExplainResponse.model_validate_json(http.post("/v1/application/explain", json=body).content)
        assert told.decision_id == answer.decision_id
        assert (told.pd, told.score, told.log_odds, told.band) == (
            answer.pd,
            answer.score,
            answer.log_odds,
            answer.band,
        )
        assert [share.name for share in told.features] == list(scorer.bundle.feature_set.names)
        total = told.base + sum(share.log_odds for share in (*told.features, *told.sources))
        assert total == pytest.approx(told.log_odds, abs=1e-9)
        assert told.base + sum(told.groups.values()) == pytest.approx(told.log_odds, abs=1e-9)


def test_months_of_a_source_add_up_to_its_share(of_events: Scorer, log: DecisionLog, request_body: dict) -> None:
    http = Http(create_app(Lineup([of_events]), log, lambda: datetime(2025, 7, 1)))
    told = ExplainResponse.model_validate_json(http.post("/v1/application/explain", json=request_body).content)
    assert "inquiries" in {source.name for source in told.sources}
    assert told.base + sum(source.log_odds for source in told.sources) == pytest.approx(told.log_odds, abs=1e-9)
    for source in told.sources:
        assert len(source.months) == MONTHS
        assert sum(source.months) == pytest.approx(source.log_odds, abs=1e-9)


def test_an_explanation_is_logged_as_the_answer_that_it_is(
    http: Http, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    told = http.post("/v1/application/explain", json=request_body).json()
    assert log.get(told["decision_id"])[0].log_odds == told["log_odds"]
    assert http.post(PATH, json=request_body).json()["decision_id"] == told["decision_id"]
    assert len(log.read()) == 1
