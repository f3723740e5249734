"""From an applicant's request to the answer that is logged: contract, score, decision log, and only then the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from data_contracts.errors import DeclarationError, ServiceError
from data_contracts.messages import ScoreRequest, parse_request
from data_contracts.replies import CustomerRequest, ExplainResponse, FeatureShare, ScoreResponse, SourceShare, Warned
from serving.decide import Decider, DecideResponse, response
from serving.decision_log import Decision, DecisionLog
from serving.entries import FROM_SNAPSHOT, entry_of, told_of_score
from serving.lineup import Cast, Lineup
from serving.metrics import Metrics
from serving.request_log import RequestLog
from serving.scorer import Scorer
from serving.shadow import Shadow
from serving.snapshot import Snapshot
from serving.turns import Turns
from serving.wire import Refusal, broken_contract

logger = logging.getLogger("lendwell.serving")

Clock = Callable[[], datetime]
_LONGEST_CUSTOMER_REQUEST = 1024  # bytes


@dataclass(frozen=True)
class Answer:
    """An answer that is in the log.

    Parameters
    ----------
    response : ScoreResponse
        What the caller gets.
    request : ScoreRequest
    decision : Decision
        As logged; the first one where the request came again.
    cast : Cast
        Who was at work.
    is_new : bool
        Whether the request came for the first time.
    """

    response: ScoreResponse
    request: ScoreRequest
    decision: Decision
    cast: Cast
    is_new: bool


class Answerer:
    """Answers applicants, one at a time.

    Parameters
    ----------
    lineup, log, clock, turns, metrics
        Who answers, where it is logged, what time it is, whose turn it is, what is counted.
    shadow : Shadow
        Where answered requests are offered to the challenger.
    request_log : RequestLog, optional
        Where a sample of raw requests is kept.
    snapshot : Snapshot, optional
        Records of customers who are asked for by their id alone.
    """

    def __init__(
        self,
        lineup: Lineup,
        log: DecisionLog,
        clock: Clock,
        turns: Turns,
        metrics: Metrics,
        shadow: Shadow,
        request_log: RequestLog | None,
        snapshot: Snapshot | None,
    ) -> None:
        self._lineup = lineup
        self._log = log
        self._clock = clock
        self._turns = turns
        self._metrics = metrics
        self._shadow = shadow
        self._request_log = request_log
        self._snapshot = snapshot

    async def answer(self, point: str, body: bytes) -> Answer:
        """Score one applicant of a decision point and log it; `Refusal` where that cannot be."""
        async with self._turns.taken:
            cast, champion = self._at(point)
            asked, about = self._parsed(body)
            scored = champion.score(asked)
        decision = entry_of(champion, scored, self._clock(), told_of_score(scored), about)
        logged = await asyncio.to_thread(self._log.append, asked, decision)
        response = ScoreResponse(application_id=asked.application_record()["application_id"], **logged.response)
        self._metrics.answers.labels(point, response.bundle.name, response.bundle.version).inc()
        for warned in response.warnings:
            self._metrics.warnings.labels(warned.code).inc()
        return Answer(response, asked, logged, cast, logged is decision)

    async def explain(self, point: str, body: bytes) -> tuple[Answer, ExplainResponse]:
        """Score, log and explain one applicant, by the bundle that has answered and no other."""
        answer = await self.answer(point, body)
        champion, by = answer.cast.champion, answer.response.bundle
        if champion is None or champion.bundle_name.identity != by.identity:
            raise Refusal(
                409,
                "answered_by_another",
                f"This request was answered by {by.name}/{by.version}, which is at work no more, as decision "
                f"{answer.decision.decision_id}. `lendwell replay` tells how.",
            )
        # months of events take some ten times as long as a score: beside the loop, not on it
        return answer, await asyncio.to_thread(_explained, champion, answer)

    async def decide(
        self, point: str, body: bytes, decider: Decider
    ) -> tuple[DecideResponse, Callable[[], Awaitable[None]] | None]:
        """Score one applicant, decide by rules and policy, log the decision; and what is to do when it has left."""
        async with self._turns.taken:
            cast, champion = self._at(point)
            asked, about = self._parsed(body)
            try:
                scored, decision = decider.decide(champion, asked)
            except DeclarationError as error:  # words of ours about declarations, not of what was sent
                raise Refusal(422, "not_decidable", str(error)) from None
            entry = decider.entry(champion, scored, decision, about)
        logged = await asyncio.to_thread(self._log.append, asked, entry)
        told = response(asked, logged)
        self._metrics.answers.labels(point, told.bundle.name, told.bundle.version).inc()
        if logged is not entry:  # a retry was followed up with its first answer
            return told, None

        async def later() -> None:
            if self._request_log:
                self._request_log.append(asked, entry)
            if cast.challenger is not None:
                self._shadow.offer(cast.challenger, asked, entry.decision_id)
            shadows = decider.in_shadow(champion, asked, scored, decision, entry.decision_id)
            if shadows:
                try:
                    await asyncio.to_thread(self._log.append_many, [(None, shadow) for shadow in shadows])
                except ServiceError as error:
                    logger.error("shadow strategies are not logged: %s", error)

        return told, later

    def follow_up(self, answer: Answer) -> None:
        """What is done when the answer has left: keep the request for the sample, offer it to the challenger."""
        if answer.is_new:  # a retry was kept with its first answer
            if self._request_log:
                self._request_log.append(answer.request, answer.decision)
            if answer.cast.challenger is not None:
                self._shadow.offer(answer.cast.challenger, answer.request, answer.decision.decision_id)

    def _at(self, point: str) -> tuple[Cast, Scorer]:
        cast = self._lineup.casts.get(point)
        if cast is None:
            raise unknown_point(self._lineup)
        if cast.champion is None:
            raise _no_champion(point)
        return cast, cast.champion

    def _parsed(self, body: bytes) -> tuple[ScoreRequest, list[Warned]]:
        """The request, and what is to be said of where it came from."""
        customer = _customer(body) if len(body) <= _LONGEST_CUSTOMER_REQUEST else None
        try:
            if customer is None:
                return parse_request(body), []
            asked = parse_request(self._records_of(customer))
            return asked, [_from_snapshot(asked.as_of)]
        except ValidationError as error:
            raise broken_contract(error) from None

    def _records_of(self, customer: str) -> bytes:
        if self._snapshot is None:
            raise Refusal(
                422,
                "no_snapshot",
                "This service has no snapshot of customers' records; send the records, or serve with --snapshot.",
            )
        found = self._snapshot.get(customer)
        if found is None:
            raise Refusal(
                404, "unknown_customer", "The snapshot has no application of this customer; send the records."
            )
        return found


def unknown_point(lineup: Lineup) -> Refusal:
    """The refusal of a decision point that has no bundle."""
    there = ", ".join(sorted(lineup.casts))
    return Refusal(404, "unknown_decision_point", f"No champion answers there; there is one for {there}.")


def _no_champion(point: str) -> Refusal:
    return Refusal(
        503,
        "no_champion",
        f"The champion for {point} was retired, and nobody has followed it yet. `lendwell promote` names one.",
        headers={"Retry-After": "60"},
    )


def _from_snapshot(as_of: datetime) -> Warned:
    return Warned(
        code=FROM_SNAPSHOT,
        en=f"Scored on the records of the snapshot, as of {as_of:%Y-%m-%d %H:%M} UTC.",
        zh=f"按快照中截至 {as_of:%Y-%m-%d %H:%M} UTC 的记录评分。",
    )


def _customer(body: bytes) -> str | None:
    try:
        return CustomerRequest.model_validate_json(body).customer_id
    except ValidationError:
        return None


def _explained(scorer: Scorer, answer: Answer) -> ExplainResponse:
    parts, months = scorer.explain(answer.request)
    declared, values = scorer.bundle.feature_set, answer.decision.features.tolist()
    features = [
        FeatureShare(
            name=feature.name,
            zh=feature.zh,
            en=feature.en,
            unit=feature.unit,
            value=None if value != value else value,
            log_odds=share,
        )
        for feature, value, share in zip(declared.features, values, parts.features[0].tolist(), strict=True)
    ]
    by_source = zip(parts.sources, parts.sequences[0].tolist(), months.tolist(), strict=True)
    told = answer.response
    return ExplainResponse(
        **told.model_dump(exclude={"reasons"}),
        base=parts.base,
        features=features,
        sources=[SourceShare(name=name, log_odds=share, months=split) for name, share, split in by_source],
        groups={name: float(shares[0]) for name, shares in parts.by_group(declared).items()},
    )
