"""The HTTP side in process, on a real bundle and a real log: answers, refusals, retries, reasons."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from data_contracts.messages import parse_request
from data_contracts.replies import ScoreResponse
from serving.app import create_app
from serving.decision_log import DecisionLog, feature_matrix
from serving.lineup import Lineup
from serving.scorer import Scorer
from serving.wire import Limits
from tests.serving.calls import JSON, PATH, Http

NOON = datetime(2025, 7, 1, 12)


@pytest.fixture
def http(scorer: Scorer, log: DecisionLog) -> Http:
    app = create_app(Lineup([scorer]), log, clock=lambda: NOON, limits=Limits(body_bytes=100_000))
    return Http(app)


def test_an_answer_holds_what_an_auditor_asks_for(http: Http, scorer: Scorer, request_body: dict) -> None:
    reply = http.post(PATH, json=request_body)
    assert reply.status_code == 200, reply.text
    answer = ScoreResponse.model_validate_json(reply.content)
    assert answer.application_id == request_body["application"]["application_id"]
    assert answer.decision_point == "application"
    assert answer.bundle.model_dump() == {
        "name": scorer.bundle.name,
        "version": "champion",
        "identity": scorer.bundle.identity,
    }
    assert answer.feature_set.identity == scorer.bundle.feature_set.identity
    assert answer.pd == pytest.approx(1 / (1 + np.exp(-answer.log_odds)), abs=1e-15)
    assert answer.score == pytest.approx(float(scorer.bundle.scale.points(answer.log_odds)))
    assert abs(answer.sum_of_attributions_minus_log_odds) <= 1e-6
    assert {warning.code for warning in answer.warnings} <= {"stale_source:bureau"}
    assert 1 <= answer.band.number <= answer.band.of


def test_reasons_raise_the_risk_strongest_first_in_two_languages(http: Http, champion: Any) -> None:
    for body in champion.requests[:20]:
        reasons = ScoreResponse.model_validate_json(http.post(PATH, json=body).content).reasons
        assert len(reasons) <= 4
        assert len({reason.en for reason in reasons}) == len(reasons)
        assert all(reason.log_odds > 0 and reason.points > 0 for reason in reasons)
        assert [reason.log_odds for reason in reasons] == sorted((r.log_odds for r in reasons), reverse=True)
        assert all(reason.features and reason.code and reason.zh != reason.en for reason in reasons)


def test_the_answer_is_in_the_log_with_its_features(
    http: Http, scorer: Scorer, log: DecisionLog, request_body: dict
) -> None:
    answer = http.post(PATH, json=request_body).json()
    decision, text = log.get(answer["decision_id"])
    assert decision.decided_at == NOON
    assert decision.pd == answer["pd"]
    matrix = feature_matrix(log.read(bundle=scorer.bundle.identity), scorer.bundle.feature_set.names)
    np.testing.assert_array_equal(matrix.to_numpy()[0], scorer.score(parse_request(json.dumps(request_body))).features)
    assert scorer.score(parse_request(text)).log_odds == answer["log_odds"]
    assert request_body["application"]["customer_id"] not in text


def test_a_retry_gets_the_first_answer_also_when_written_otherwise(http: Http, request_body: dict) -> None:
    first = http.post(PATH, json=request_body).json()
    turned = {name: request_body[name] for name in reversed(request_body)}
    assert http.post(PATH, content=json.dumps(turned, indent=2), headers=JSON).json() == first
    request_body["application"]["amount_requested"] += 1
    assert http.post(PATH, json=request_body).json()["decision_id"] != first["decision_id"]


def test_a_missing_source_is_warned_of_and_changes_the_features(
    http: Http, log: DecisionLog, request_body: dict
) -> None:
    request_body["inquiries"] = None
    answer = http.post(PATH, json=request_body).json()
    assert "missing_source:inquiries" in [warning["code"] for warning in answer["warnings"]]
    assert "征信查询" in answer["warnings"][0]["zh"]
    whole = http.post(PATH, json={**request_body, "inquiries": []}).json()
    assert "missing_source:inquiries" not in [warning["code"] for warning in whole["warnings"]]
    features = log.read()["features"]
    assert np.isnan(features[0]).sum() > np.isnan(features[1]).sum()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "invalid_json"),
        (b"", JSON, 400, "invalid_json"),
        (b"[" * 5000, JSON, 400, "invalid_json"),
        (b"[]", JSON, 422, "contract_broken"),
        (b"{}", {}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json; charset=gb18030"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json; charset=UTF-8"}, 422, "contract_broken"),
        (b" " * 100_001, JSON, 413, "body_too_long"),
        ([b" " * 60_000] * 2, JSON, 413, "body_too_long"),
    ],
    ids=["half", "empty", "deep", "list", "no type", "text", "charset", "utf-8", "long", "long in chunks"],
)
def test_what_is_no_request_is_refused(http: Http, body: Any, headers: dict, status: int, code: str) -> None:
    reply = http.post(PATH, content=body, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_broken_contract_names_the_field_and_echoes_nothing(http: Http, request_body: dict) -> None:
    request_body["application"]["amount_requested"] = -77_777
    request_body["transactions"][1]["amount"] = "88888"
    reply = http.post(PATH, json=request_body)
    assert reply.status_code == 422
    fields = [fault["field"] for fault in reply.json()["error"]["fields"]]
    assert fields == ["application.amount_requested", "transactions[1].amount"]
    for sent in ("77777", "88888", request_body["application"]["customer_id"]):
        assert sent not in reply.text


def test_another_decision_point_path_or_method_is_told(http: Http, request_body: dict) -> None:
    reply = http.post("/v1/collection/score", json=request_body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_decision_point")
    assert "application" in reply.json()["error"]["message"]
    assert (http.get("/nowhere").status_code, http.get("/nowhere").json()["error"]["code"]) == (404, "not_found")
    assert (http.get(PATH).status_code, http.get(PATH).json()["error"]["code"]) == (405, "method_not_allowed")


def test_champions_health_and_readiness(http: Http, scorer: Scorer) -> None:
    champions = http.get("/v1/champions").json()["champions"]
    assert [(c["decision_point"], c["bundle"]["identity"]) for c in champions] == [
        ("application", scorer.bundle.identity)
    ]
    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 200


def test_without_the_log_there_is_no_answer(http: Http, log: DecisionLog, request_body: dict) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE decisions RENAME TO gone")
    reply = http.post(PATH, json=request_body)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
    assert "pd" not in reply.json()
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO decisions")
    assert http.post(PATH, json=request_body).status_code == 200


def test_a_fault_inside_is_told_without_details(
    scorer: Scorer, log: DecisionLog, request_body: dict, caplog: pytest.LogCaptureFixture
) -> None:
    def broken_clock() -> datetime:
        raise ArithmeticError(f"about {request_body['application']['customer_id']}")

    with caplog.at_level(logging.ERROR):
        reply = Http(create_app(Lineup([scorer]), log, broken_clock)).post(PATH, json=request_body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_fault")
    assert "ArithmeticError" in caplog.text
    for text in (reply.text, caplog.text):
        assert request_body["application"]["customer_id"] not in text
    assert len(log.read()) == 0
