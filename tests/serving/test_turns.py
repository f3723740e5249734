"""The line in front of the processor: bounded, timed, told; and what is counted of all that."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from serving.app import create_app
from serving.decision_log import DecisionLog
from serving.lineup import Cast, Lineup
from serving.scorer import Scorer
from serving.wire import Limits
from tests.serving.calls import PATH, Http

NOON = datetime(2025, 7, 1, 12)
GRAFANA = Path(__file__).resolve().parents[2] / "serving" / "grafana.json"


def app(scorer: Scorer, log: DecisionLog, **limits: Any) -> Http:
    return Http(create_app(Lineup([scorer]), log, lambda: NOON, Limits(**limits)))


def metrics(http: Http) -> dict[tuple[str, ...], float]:
    """Samples by name and values of labels."""
    families = text_string_to_metric_families(http.get("/metrics").text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_a_full_line_refuses_with_a_time_to_come_again_and_answers_the_others(
    scorer: Scorer, log: DecisionLog, champion: Any
) -> None:
    http = app(scorer, log, most_waiting=3)
    replies = http.post_all(PATH, champion.requests[:30])
    refused = [reply for reply in replies if reply.status_code == 503]
    assert {reply.status_code for reply in replies} == {200, 503}
    assert {reply.json()["error"]["code"] for reply in refused} == {"overloaded"}
    assert {reply.headers["Retry-After"] for reply in refused} == {"2"}
    assert len(log.read()) == 30 - len(refused)
    told = metrics(http)
    assert told["lendwell_refusals_total", "overloaded"] == len(refused)
    assert told["lendwell_waiting",] == 0
    assert http.post(PATH, json=champion.requests[40]).status_code == 200


def test_too_many_bodies_at_once_are_refused(scorer: Scorer, log: DecisionLog, champion: Any) -> None:
    http = app(scorer, log, most_reading=0)
    assert http.post(PATH, json=champion.requests[0]).json()["error"]["code"] == "overloaded"
    http = app(scorer, log, most_batches=0)
    body = {"requests": champion.requests[:1]}
    assert http.post("/v1/application/score-batch", json=body).json()["error"]["code"] == "overloaded"


def test_an_answer_that_comes_too_late_is_refused_and_found_by_the_retry(
    scorer: Scorer, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    late = app(scorer, log, answer_seconds=0.0).post(PATH, json=request_body)
    assert (late.status_code, late.json()["error"]["code"]) == (504, "too_late")
    assert late.headers["Retry-After"] == "2"
    answer = app(scorer, log).post(PATH, json=request_body)
    assert answer.status_code == 200
    assert len(log.read()) == 1


def test_a_place_that_is_empty_refuses_and_is_not_ready(
    scorer: Scorer, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    lineup = Lineup([scorer])
    http = Http(create_app(lineup, log, lambda: NOON))
    lineup.put("application", Cast(None))
    assert http.post(PATH, json=request_body).json()["error"]["code"] == "no_champion"
    assert http.get("/readyz").status_code == 503
    assert http.get("/v1/champions").json() == {"champions": []}
    lineup.put("application", Cast(scorer))
    assert http.post(PATH, json=request_body).status_code == 200


def test_metrics_tell_what_was_done_and_nothing_of_whom(
    scorer: Scorer, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    http = app(scorer, log)
    other = copy.deepcopy(request_body)
    other["inquiries"] = None
    broken = {**request_body, "secret-of-C-0": 1}
    for body in (request_body, other, broken):
        http.post(PATH, json=body)
    http.post("/v1/C-0-as-a-path/score", json=request_body)
    http.get("/C-0-as-a-path")
    told = metrics(http)
    name = scorer.bundle_name
    assert told["lendwell_answers_total", "application", name.name, name.version] == 2
    assert told["lendwell_requests_total", "score", "200"] == 2
    assert told["lendwell_requests_total", "score", "422"] == 1
    assert told["lendwell_refusals_total", "contract_broken"] == 1
    assert told["lendwell_request_seconds_count", "score"] == 4
    assert told["lendwell_warnings_total", "missing_source:inquiries"] == 1
    assert told["lendwell_bundle", "application", name.identity, name.name, "champion", name.version] == 1
    text = http.get("/metrics").text
    application = request_body["application"]
    for value in (application["customer_id"], application["application_id"], str(application["amount_requested"])):
        assert value not in text


def test_the_dashboard_asks_for_metrics_that_there_are(
    scorer: Scorer, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    http = app(scorer, log)
    http.post(PATH, json=request_body)
    names = {name for name, *_ in metrics(http)} | {"up"}
    families = {family.name for family in text_string_to_metric_families(http.get("/metrics").text)}
    dashboard = json.loads(GRAFANA.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) >= 8
    for expression in asked:
        wanted = set(re.findall(r"\blendwell_\w+", expression))
        assert wanted
        assert {one for one in wanted if one not in names and one.removesuffix("_total") not in families} == set()
