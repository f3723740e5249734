"""The HTTP side of scoring: limits before parsing, the contract before the model, the log before the answer."""

from __future__ import annotations

import asyncio
import logging
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from data_contracts.errors import ServiceError
from data_contracts.messages import (
    ErrorBody,
    ErrorDetail,
    Fault,
    ScoreRequest,
    ScoreResponse,
    faults,
    is_json,
    parse_request,
)
from serving.decide import Decider
from serving.decision_log import Decision, DecisionLog, new_decision_id
from serving.request_log import RequestLog
from serving.scorer import Scored, Scorer

logger = logging.getLogger("lendwell.serving")

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Limits:
    """How much one call may ask of the service.

    Parameters
    ----------
    body_bytes : int, default 2 MiB
        Longest request body.
    body_seconds : float, default 10
        Longest time in which the body must have arrived.
    retry_seconds : int, default 2
        What `Retry-After` says while the decision log cannot be reached.
    """

    body_bytes: int = 2 * 1024 * 1024
    body_seconds: float = 10.0
    retry_seconds: int = 2


class Refusal(Exception):  # noqa: N818 - the caller's fault or the moment's, not an error of the service
    """A reply that is no answer: status, code, message, and what is wrong with which field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(error=ErrorDetail(code=code, message=message, fields=fields or []))
        self.headers = headers


def create_app(
    scorer: Scorer,
    log: DecisionLog,
    clock: Clock,
    limits: Limits | None = None,
    request_log: RequestLog | None = None,
    decider: Decider | None = None,
) -> Starlette:
    """The ASGI application that answers for one champion.

    Parameters
    ----------
    scorer : Scorer
        The champion at work.
    log : DecisionLog
        Where each answer is written before it leaves.
    clock : callable
        Gives the present, UTC without a zone.
    limits : Limits, optional
        How much one call may ask.
    request_log : RequestLog, optional
        Where a sample of raw requests is kept, after their answers have left.
    decider : Decider, optional
        What decides applications; without one there is no `/v1/application/decide`.
    """
    endpoint = _Endpoint(scorer, log, clock, limits or Limits(), request_log, decider)
    return Starlette(
        routes=[
            Route("/v1/champions", endpoint.champions, methods=["GET"]),
            Route("/v1/{decision_point}/score", endpoint.score, methods=["POST"]),
            *([Route("/v1/{decision_point}/decide", endpoint.decide, methods=["POST"])] if decider else []),
            Route("/healthz", endpoint.healthy, methods=["GET"]),
            Route("/readyz", endpoint.ready, methods=["GET"]),
        ],
        exception_handlers={Refusal: _refuse, HTTPException: _no_such},
    )


class _Endpoint:
    def __init__(
        self,
        scorer: Scorer,
        log: DecisionLog,
        clock: Clock,
        limits: Limits,
        request_log: RequestLog | None,
        decider: Decider | None,
    ) -> None:
        self._scorer = scorer
        self._log = log
        self._clock = clock
        self._limits = limits
        self._request_log = request_log
        self._decider = decider

    async def score(self, request: Request) -> Response:
        return await self._received(request, self._answer)

    async def decide(self, request: Request) -> Response:
        return await self._received(request, self._decided)

    async def _received(self, request: Request, answer: Callable[[ScoreRequest], Awaitable[Response]]) -> Response:
        point = request.path_params["decision_point"]
        if point != self._scorer.decision_point:
            raise Refusal(
                404,
                "unknown_decision_point",
                f"No champion answers there; there is one for {self._scorer.decision_point}.",
            )
        _require_json(request)
        body = await _body(request, self._limits)
        try:
            return await answer(_parse(body))
        except Refusal:
            raise
        except ServiceError as error:
            logger.error("no answer given: %s", error)
            raise Refusal(
                503,
                "decision_log_unavailable",
                "The decision log cannot be reached, and no answer is given that is not logged. Try again.",
                headers={"Retry-After": str(self._limits.retry_seconds)},
            ) from None
        except Exception as error:
            fault = uuid.uuid4().hex
            where = traceback.extract_tb(error.__traceback__)[-1]
            # neither the error's text nor a traceback: both may hold what was sent
            logger.error("fault %s: %s in %s line %s", fault, type(error).__name__, where.name, where.lineno)
            raise Refusal(
                500, "internal_fault", f"The service failed on this request. Its log names fault {fault}."
            ) from None

    async def _answer(self, asked: ScoreRequest) -> Response:
        scored = self._scorer.score(asked)
        decision = self._decision(scored)
        logged = await asyncio.to_thread(self._log.append, asked, decision)
        answer = _json(
            200, ScoreResponse(application_id=asked.application_record()["application_id"], **logged.response)
        )
        if self._request_log and logged is decision:  # a retry was kept with its first answer
            answer.background = BackgroundTask(self._request_log.append, asked, decision)
        return answer

    async def _decided(self, asked: ScoreRequest) -> Response:
        if self._decider is None:
            raise Refusal(404, "not_found", "This service decides nothing.")
        return _json(200, await asyncio.to_thread(self._decider.answer, self._scorer, asked))

    def _decision(self, scored: Scored) -> Decision:
        scorer, decision_id, request_id = self._scorer, new_decision_id(), uuid.uuid4().hex
        return Decision(
            decision_id=decision_id,
            request_id=request_id,
            decided_at=self._clock(),
            decision_point=scorer.decision_point,
            bundle_name=scorer.bundle_name.name,
            bundle_version=scorer.bundle_name.version,
            bundle_identity=scorer.bundle_name.identity,
            feature_set_identity=scorer.feature_set_name.identity,
            features=scored.features,
            log_odds=scored.log_odds,
            pd=scored.pd,
            score=scored.score,
            response={
                "request_id": request_id,
                "decision_id": decision_id,
                "decision_point": scorer.decision_point,
                "pd": scored.pd,
                "score": scored.score,
                "log_odds": scored.log_odds,
                "reasons": [reason.model_dump() for reason in scored.reasons],
                "bundle": scorer.bundle_name.model_dump(),
                "feature_set": scorer.feature_set_name.model_dump(),
                "sum_of_attributions_minus_log_odds": scored.residual,
                "warnings": [warning.model_dump() for warning in scored.warnings],
            },
        )

    async def champions(self, _: Request) -> Response:
        return _json(
            200,
            Champions(
                champions=[
                    Champion(
                        decision_point=self._scorer.decision_point,
                        bundle=self._scorer.bundle_name.model_dump(),
                        feature_set=self._scorer.feature_set_name.model_dump(),
                    )
                ]
            ),
        )

    async def healthy(self, _: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    async def ready(self, _: Request) -> Response:
        if await asyncio.to_thread(self._log.is_reachable):
            return Response(b"ready\n", media_type="text/plain")
        raise Refusal(503, "decision_log_unavailable", "The decision log cannot be reached.")


class Champion(BaseModel):
    """Which bundle answers at a decision point."""

    decision_point: str
    bundle: dict[str, str]
    feature_set: dict[str, str]


class Champions(BaseModel):
    """Every decision point that has an answer."""

    champions: list[Champion]


def _require_json(request: Request) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Refusal(415, "unsupported_media_type", "Send the request as application/json in UTF-8.")


async def _body(request: Request, limits: Limits) -> bytes:
    """Read the body, but never more than the limit, whatever the headers promise."""
    # what is unread when the reply has gone must not be taken for the next request
    too_long = Refusal(
        413,
        "body_too_long",
        f"The body is longer than {limits.body_bytes} bytes; send the records the features look at, not more.",
        headers={"Connection": "close"},
    )
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limits.body_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise too_long
    except TimeoutError:
        raise Refusal(
            408,
            "body_too_slow",
            f"The body did not arrive within {limits.body_seconds:g} seconds.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "body_incomplete", "The connection ended before the body did.") from None
    return bytes(body)


def _parse(body: bytes) -> ScoreRequest:
    try:
        return parse_request(body)
    except ValidationError as error:
        fields = faults(error)
        if not is_json(error):
            raise Refusal(400, "invalid_json", "The body is not JSON.", fields) from None
        raise Refusal(422, "contract_broken", "The request breaks its contract; `fields` says where.", fields) from None


def _json(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


async def _refuse(_: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        raise refusal
    return _json(refusal.status, refusal.body, refusal.headers)


async def _no_such(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = {404: "There is nothing at this address; POST /v1/application/score.", 405: "Not with this method."}
    detail = ErrorDetail(
        code=codes.get(error.status_code, "refused"), message=message.get(error.status_code, "The call is refused.")
    )
    return _json(error.status_code, ErrorBody(error=detail), error.headers)
