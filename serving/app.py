"""The HTTP side of scoring: what is answered at which address. Work is done by the modules it names."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from data_contracts.errors import ServiceError
from data_contracts.messages import ErrorBody, ErrorDetail
from data_contracts.replies import Champion, Champions, Readiness
from serving.answering import Answer, Answerer, Clock, unknown_point
from serving.batch import answer_batch, split
from serving.decide import Decider
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.metrics import Metrics
from serving.openapi import document
from serving.request_log import RequestLog
from serving.shadow import Shadow
from serving.snapshot import Snapshot
from serving.turns import Turns
from serving.wire import Limits, Refusal, json_reply, read_body, require_json, unavailable

logger = logging.getLogger("lendwell.serving")

_Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    lineup: Lineup,
    log: DecisionLog,
    clock: Clock,
    limits: Limits | None = None,
    request_log: RequestLog | None = None,
    snapshot: Snapshot | None = None,
    decider: Decider | None = None,
) -> Starlette:
    """The ASGI application that answers for the champions.

    Parameters
    ----------
    lineup : Lineup
        Who answers at each decision point; whoever changes it while the application runs is heard at the next request.
    log : DecisionLog
        Where each answer is written before it leaves.
    clock : callable
        Gives the present, UTC without a zone.
    limits : Limits, optional
        How much the service takes upon itself.
    request_log : RequestLog, optional
        Where a sample of raw requests is kept, after their answers have left.
    snapshot : Snapshot, optional
        Records of customers who are asked for by their id alone.
    decider : Decider, optional
        What decides applications; without one there is no `/v1/application/decide`.
    """
    endpoint = _Endpoint(lineup, log, clock, limits or Limits(), request_log, snapshot, decider)
    routes = [
        ("/v1/champions", "GET", endpoint.champions),
        ("/v1/{decision_point}/score", "POST", endpoint.score),
        ("/v1/{decision_point}/score-batch", "POST", endpoint.score_batch),
        ("/v1/{decision_point}/explain", "POST", endpoint.explain),
        ("/v1/{decision_point}/decide", "POST", endpoint.decide),
        ("/healthz", "GET", endpoint.healthy),
        ("/readyz", "GET", endpoint.ready),
        ("/metrics", "GET", endpoint.prometheus),
        ("/openapi.json", "GET", endpoint.openapi),
    ]
    app = Starlette(
        routes=[Route(path, endpoint.counted(answer), methods=[method]) for path, method, answer in routes],
        exception_handlers={HTTPException: _no_such},
    )
    app.state.lendwell = endpoint
    return app


class _Endpoint:
    def __init__(
        self,
        lineup: Lineup,
        log: DecisionLog,
        clock: Clock,
        limits: Limits,
        request_log: RequestLog | None,
        snapshot: Snapshot | None,
        decider: Decider | None,
    ) -> None:
        self._lineup = lineup
        self._log = log
        self._limits = limits
        self._decider = decider
        self._turns = Turns(limits)
        self.metrics = Metrics(lineup, self._turns)
        self.shadow = Shadow(log, clock, self._turns, self.metrics)
        self._answerer = Answerer(lineup, log, clock, self._turns, self.metrics, self.shadow, request_log, snapshot)
        self._document = document()

    async def score(self, request: Request) -> Response:
        async with self._received(request, self._limits.body_bytes, self._limits.answer_seconds) as body:
            answer = await self._answerer.answer(_point(request), body)
            return self._reply(answer.response, [answer])

    async def score_batch(self, request: Request) -> Response:
        limits = self._limits
        with self._turns.batch():
            async with self._received(request, limits.batch_bytes, limits.batch_seconds) as body:
                told, given = await answer_batch(self._answerer, _point(request), split(body), limits)
                return self._reply(told, given)

    async def decide(self, request: Request) -> Response:
        if self._decider is None:
            raise Refusal(404, "not_found", "This service decides nothing.")
        async with self._received(request, self._limits.body_bytes, self._limits.answer_seconds) as body:
            told, later = await self._answerer.decide(_point(request), body, self._decider)
            reply = json_reply(200, told)
            reply.background = BackgroundTask(later) if later else None
            return reply

    async def explain(self, request: Request) -> Response:
        async with self._received(request, self._limits.body_bytes, self._limits.answer_seconds) as body:
            answer, told = await self._answerer.explain(_point(request), body)
            return self._reply(told, [answer])

    async def champions(self, _: Request) -> Response:
        at_work = [
            Champion(
                decision_point=point,
                bundle=cast.champion.bundle_name,
                feature_set=cast.champion.feature_set_name,
                challenger=cast.challenger and cast.challenger.bundle_name,
            )
            for point, cast in sorted(self._lineup.casts.items())
            if cast.champion is not None
        ]
        return json_reply(200, Champions(champions=at_work))

    async def healthy(self, _: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    async def ready(self, _: Request) -> Response:
        """A bundle in the lineup has been verified and has answered once; what is left to ask is the log."""
        casts = self._lineup.casts
        absent = [point for point, cast in casts.items() if cast.champion is None]
        if absent:
            raise unavailable("no_champion", f"Nobody answers for {', '.join(absent)}.", self._limits)
        if not await asyncio.to_thread(self._log.is_reachable):
            raise unavailable("decision_log_unavailable", "The decision log cannot be reached.", self._limits)
        names = {point: cast.champion.bundle_name for point, cast in casts.items() if cast.champion}
        return json_reply(200, Readiness(champions=names, faults=dict(self._lineup.faults)))

    async def prometheus(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _: Request) -> Response:
        return Response(self._document, media_type="application/json")

    def counted(self, answer: _Handler) -> _Handler:
        """An endpoint whose requests are counted and timed, and whose refusals become replies."""
        name = answer.__name__

        async def handle(request: Request) -> Response:
            started = time.perf_counter()
            try:
                reply = await answer(request)
            except Refusal as refusal:
                reply = refusal.reply()
                self.metrics.refusals.labels(refusal.detail.code).inc()
            self.metrics.requests.labels(name, str(reply.status_code)).inc()
            self.metrics.seconds.labels(name).observe(time.perf_counter() - started)
            return reply

        return handle

    @asynccontextmanager
    async def _received(self, request: Request, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
        """The body of a request, while it is in line to be answered; what goes wrong meanwhile is a refusal."""
        if _point(request) not in self._lineup.casts:
            raise unknown_point(self._lineup)
        require_json(request)
        with self._turns.arriving():
            body = await read_body(request, most_bytes, self._limits.body_seconds)
        try:
            with self._turns.in_line():
                async with asyncio.timeout(seconds):
                    yield body
        except Refusal:
            raise
        except TimeoutError:
            raise unavailable(
                "too_late", f"No answer within {seconds:g} seconds. Try again.", self._limits, status=504
            ) from None
        except ServiceError as error:
            logger.error("no answer given: %s", error)
            raise unavailable(
                "decision_log_unavailable",
                "The decision log cannot be reached, and no answer is given that is not logged. Try again.",
                self._limits,
            ) from None
        except Exception as error:
            fault = uuid.uuid4().hex
            where = traceback.extract_tb(error.__traceback__)[-1]
            # neither the error's text nor a traceback: both may hold what was sent
            logger.error("fault %s: %s in %s line %s", fault, type(error).__name__, where.name, where.lineno)
            raise Refusal(
                500, "internal_fault", f"The service failed on this request. Its log names fault {fault}."
            ) from None

    def _reply(self, body: BaseModel, given: list[Answer]) -> Response:
        reply = json_reply(200, body)
        reply.background = BackgroundTask(self._follow_up, given)
        return reply

    async def _follow_up(self, given: list[Answer]) -> None:
        for answer in given:
            self._answerer.follow_up(answer)


def _point(request: Request) -> str:
    point: str = request.path_params["decision_point"]
    return point


async def _no_such(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = {
        404: "There is nothing at this address; /openapi.json tells what there is.",
        405: "Not with this method.",
    }
    detail = ErrorDetail(
        code=codes.get(error.status_code, "refused"), message=message.get(error.status_code, "The call is refused.")
    )
    return json_reply(error.status_code, ErrorBody(error=detail), error.headers)
