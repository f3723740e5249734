"""Batches: each applicant answered and logged as if alone, faults by applicant."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any

import pytest

from serving.app import create_app
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.scorer import Scorer
from serving.wire import Limits
from tests.serving.calls import JSON, PATH, Http

BATCH = "/v1/application/score-batch"


@pytest.fixture
def http(scorer: Scorer, log: DecisionLog) -> Http:
    limits = Limits(body_bytes=100_000, batch_bytes=1_000_000)
    return Http(create_app(Lineup([scorer]), log, lambda: datetime(2025, 7, 1), limits))


def test_a_batch_answers_each_as_if_alone_and_logs_each(http: Http, log: DecisionLog, champion: Any) -> None:
    asked = champion.requests[:20]
    told = http.post(BATCH, json={"requests": asked}).json()
    assert told["faults"] == []
    assert [answer["application_id"] for answer in told["answers"]] == [
        body["application"]["application_id"] for body in asked
    ]
    assert sorted(log.read()["decision_id"]) == sorted(answer["decision_id"] for answer in told["answers"])
    assert [http.post(PATH, json=body).json() for body in asked[:3]] == told["answers"][:3]
    assert http.post(BATCH, json={"requests": asked}).json() == told


def test_a_fault_names_its_applicant_and_costs_the_others_nothing(http: Http, champion: Any) -> None:
    good, broken, long = copy.deepcopy(champion.requests[:3])
    broken["application"]["amount_requested"] = -77_777
    long["inquiries"] *= 2_000
    told = http.post(BATCH, json={"requests": [broken, good, long, {"application": 3}, 7]}).json()
    assert [answer["application_id"] for answer in told["answers"]] == ["A-0"]
    assert [(fault["place"], fault["application_id"], fault["error"]["code"]) for fault in told["faults"]] == [
        (0, "A-1", "contract_broken"),
        (2, "A-2", "body_too_long"),
        (3, None, "contract_broken"),
        (4, None, "contract_broken"),
    ]
    assert told["faults"][0]["error"]["fields"][0]["field"] == "application.amount_requested"
    assert "77777" not in json.dumps(told)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"requests": [', 400),
        (b'{"requests": [NaN]}', 400),
        (b'{"requests": ' + b"[" * 5000, 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b'{"requests": {}}', 422),
        (b'{"requests": [], "more": 1}', 422),
        (b'{"requests": []}', 422),
        (b'{"requests": [' + b"1," * 1000 + b"1]}", 422),
        (b" " * 1_000_001, 413),
    ],
    ids=["half", "NaN", "deep", "no UTF-8", "list", "object", "more", "none", "1,001", "long"],
)
def test_what_is_no_batch_is_refused(http: Http, body: bytes, status: int) -> None:
    assert http.post(BATCH, content=body, headers=JSON).status_code == status


def test_without_the_log_a_batch_has_no_answer_and_comes_again(http: Http, log: DecisionLog, champion: Any) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE decisions RENAME TO gone")
    reply = http.post(BATCH, json={"requests": champion.requests[:5]})
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO decisions")
    assert len(http.post(BATCH, json={"requests": champion.requests[:5]}).json()["answers"]) == 5
