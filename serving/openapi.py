"""The OpenAPI document of the service, generated from its messages: what stands there is what is checked."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from data_contracts.messages import EXAMPLE, ErrorBody, ScoreRequest
from data_contracts.replies import (
    BatchRequest,
    BatchResponse,
    Champions,
    CustomerRequest,
    ExplainResponse,
    Readiness,
    ScoreResponse,
)
from serving.decide import DecideResponse

_Mode = Literal["validation", "serialization"]
_MODELS: tuple[tuple[type[BaseModel], _Mode], ...] = (
    (ScoreRequest, "validation"),
    (CustomerRequest, "validation"),
    (BatchRequest, "validation"),
    *(
        (model, "serialization")
        for model in (ScoreResponse, BatchResponse, ExplainResponse, DecideResponse, Champions, Readiness, ErrorBody)
    ),
)
_POINT = {
    "name": "decision_point",
    "in": "path",
    "required": True,
    "description": "A moment of the loan's life that has a champion; GET /v1/champions lists them.",
    "schema": {"type": "string"},
    "example": "application",
}
_REFUSALS = {
    "400": "The body is not JSON, or did not arrive whole.",
    "401": "The service asks for an API key, `Authorization: Bearer KEY`, and was given none or one that is not valid.",
    "403": "The key opens other addresses than this one.",
    "404": "No such decision point, or no such customer in the snapshot.",
    "409": "Answered before by a bundle that is at work no more, which another cannot explain.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "415": "The body is not declared as JSON in UTF-8.",
    "422": "The request breaks its contract; `fields` says where.",
    "429": "More requests than this key may send; ask again after `Retry-After` seconds.",
    "503": "No answer now; send the same request again after `Retry-After` seconds.",
    "504": "No answer in time; send the same request again after `Retry-After` seconds.",
}
_SCORE_EXAMPLES = {"records": {"summary": "Raw records", "value": EXAMPLE}}


def document() -> bytes:
    """The document as JSON, OpenAPI 3.1."""
    references, definitions = models_json_schema(_MODELS, ref_template="#/components/schemas/{model}")
    schemas = {model: schema for (model, _), schema in references.items()}
    one = {"oneOf": [schemas[ScoreRequest], schemas[CustomerRequest]]}
    batch = {"batch": {"summary": "Two applicants", "value": {"requests": [EXAMPLE, _second()]}}}
    paths = {
        "/v1/{decision_point}/score": _post(
            "score",
            "Score one applicant; the answer is in the decision log.",
            one,
            schemas[ScoreResponse],
            _SCORE_EXAMPLES,
        ),
        "/v1/{decision_point}/score-batch": _post(
            "score_batch",
            "Score up to 1,000 applicants; one who cannot be scored is named in `faults`.",
            schemas[BatchRequest],
            schemas[BatchResponse],
            batch,
        ),
        "/v1/{decision_point}/explain": _post(
            "explain",
            "Score one applicant and tell all attributions; they add up to the log-odds.",
            one,
            schemas[ExplainResponse],
            _SCORE_EXAMPLES,
        ),
        "/v1/{decision_point}/decide": _post(
            "decide",
            "Score one applicant and decide: amount, rate, schedule, reasons. For the decision point `application`.",
            one,
            schemas[DecideResponse],
            _SCORE_EXAMPLES,
        ),
        "/v1/champions": _get("champions", "Which bundle answers where.", _json(schemas[Champions])),
        "/healthz": _get("healthz", "Whether the process lives.", _text()),
        "/readyz": _get(
            "readyz", "Whether it answers: a verified bundle, a log that can be reached.", _json(schemas[Readiness])
        ),
        "/metrics": _get("metrics", "Counts and times for Prometheus.", _text()),
        "/openapi.json": _get("openapi", "This document.", _json({"type": "object"})),
    }
    for path in ("/readyz",):
        paths[path]["get"]["responses"]["503"] = _refusal(_REFUSALS["503"])
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Lendwell scoring", "version": _version(), "description": (__doc__ or "").strip()},
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }
    return json.dumps(told, ensure_ascii=False).encode()


def _post(name: str, summary: str, body: Any, answer: Any, examples: Any) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": [_POINT],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body, "examples": examples}}},
            "responses": {
                "200": {"description": "The answer", **_json(answer)},
                **{status: _refusal(meaning) for status, meaning in _REFUSALS.items()},
            },
        }
    }


def _get(name: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"operationId": name, "summary": summary, "responses": {"200": {"description": summary, **content}}}}


def _refusal(meaning: str) -> dict[str, Any]:
    return {"description": meaning, **_json({"$ref": "#/components/schemas/ErrorBody"})}


def _json(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _text() -> dict[str, Any]:
    return {"content": {"text/plain": {"schema": {"type": "string"}}}}


def _second() -> dict[str, Any]:
    return {**EXAMPLE, "application": {**EXAMPLE["application"], "application_id": "A2", "customer_id": "C2"}}


def _version() -> str:
    try:
        return version("lendwell")
    except PackageNotFoundError:  # a checkout that is not installed, or a Bento
        return "0"
