"""The OpenAPI document: its examples work against the served process, and requests made from it meet no 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from data_contracts.messages import ErrorBody
from data_contracts.replies import BatchResponse, Champions, ExplainResponse, Readiness, ScoreResponse
from serving.decide import DecideResponse
from serving.openapi import document

ANSWERS = {"score": ScoreResponse, "score-batch": BatchResponse, "explain": ExplainResponse, "decide": DecideResponse}
QUICK = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
schema = schemathesis.openapi.from_dict(json.loads(document()))


def test_the_document_is_served_and_names_every_address(served: httpx.Client) -> None:
    told = served.get("/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    assert told == json.loads(document())
    assert sorted(told["paths"]) == sorted(
        {"/v1/champions", "/healthz", "/readyz", "/metrics", "/openapi.json"}
        | {f"/v1/{{decision_point}}/{name}" for name in ANSWERS}
    )
    Champions.model_validate_json(served.get("/v1/champions").content)
    Readiness.model_validate_json(served.get("/readyz").content)


@pytest.mark.parametrize("name", ANSWERS)
def test_its_examples_work(served: httpx.Client, name: str) -> None:
    told = served.get("/openapi.json").json()["paths"][f"/v1/{{decision_point}}/{name}"]["post"]
    examples = told["requestBody"]["content"]["application/json"]["examples"]
    assert examples
    for example in examples.values():
        point = told["parameters"][0]["example"]
        reply = served.post(f"/v1/{point}/{name}", json=example["value"])
        assert reply.status_code == 200, reply.text
        ANSWERS[name].model_validate_json(reply.content)
        assert set(told["responses"]) >= {"200", "400", "422", "503"}


def test_a_refusal_has_the_body_that_the_document_names(served: httpx.Client) -> None:
    for path, status in (("/v1/none/score", 404), ("/v1/application/score", 415)):
        reply = served.post(path)
        assert reply.status_code == status
        ErrorBody.model_validate_json(reply.content)


@pytest.mark.parametrize(("path", "method"), [(path, "POST") for path in schema if "{decision_point}" in path])
def test_requests_made_from_the_document_meet_no_5xx(service: Any, path: str, method: str) -> None:
    operation = schema[path][method]

    @QUICK
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        modes = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=modes))
        case.path_parameters = {"decision_point": "application"}
        reply = case.call(base_url=service.url, timeout=20)
        assert reply.status_code < 500, reply.text
        if reply.status_code != 200:
            ErrorBody.model_validate_json(reply.content)

    attempt()
