"""The challenger in the shadow: scored on what the champion has answered, logged, never returned, never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from data_contracts.errors import ServiceError
from data_contracts.messages import ScoreRequest
from serving.decision_log import DecisionLog
from serving.metrics import Metrics
from serving.scorer import Scorer
from serving.shadow_log import ShadowScore, append
from serving.turns import Turns

logger = logging.getLogger("lendwell.serving")

_MOST_KEPT = 64
_WRITTEN_AT_ONCE = 32
_PATIENCE_SECONDS = 0.005


@dataclass(frozen=True)
class _Offered:
    challenger: Scorer
    request: ScoreRequest
    decision_id: str


class Shadow:
    """Scores with the challenger while nobody is in line.

    What it cannot score soon is dropped and counted: a challenger costs the approval system nothing.

    Parameters
    ----------
    log : DecisionLog
    clock : callable
        Gives the present, UTC without a zone.
    turns, metrics
        Whose turn it is, what is counted.
    """

    def __init__(self, log: DecisionLog, clock: Callable[[], datetime], turns: Turns, metrics: Metrics) -> None:
        self._log = log
        self._clock = clock
        self._turns = turns
        self._metrics = metrics
        self._offered: deque[_Offered] = deque()
        self._working: asyncio.Task[None] | None = None

    def offer(self, challenger: Scorer, request: ScoreRequest, decision_id: str) -> None:
        """Score an answered request when there is time; call it on the event loop."""
        if len(self._offered) >= _MOST_KEPT:
            self._count(self._offered.popleft(), "dropped")  # the oldest: what is fresh says more of the moment
        self._offered.append(_Offered(challenger, request, decision_id))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    async def drain(self, seconds: float) -> None:
        """Wait for what was offered, but not longer."""
        if self._working is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._working), seconds)

    async def _work(self) -> None:
        unwritten: list[tuple[_Offered, ShadowScore]] = []
        while self._offered or unwritten:
            if self._offered and not self._turns.idle:
                await asyncio.sleep(_PATIENCE_SECONDS)
            elif self._offered and len(unwritten) < _WRITTEN_AT_ONCE:
                one = self._offered.popleft()
                try:
                    unwritten.append((one, self._scored(one)))
                except Exception as fault:  # of any kind, for the answer has gone already
                    self._failed([one], type(fault).__name__)  # its text may hold what was sent
                await asyncio.sleep(0)
            else:
                done, unwritten = unwritten, []
                try:
                    await asyncio.to_thread(append, self._log.engine, [row for _, row in done])
                    for one, _ in done:
                        self._count(one, "scored")
                except ServiceError as fault:
                    self._failed([one for one, _ in done], str(fault))

    def _scored(self, one: _Offered) -> ShadowScore:
        scored, name = one.challenger.score(one.request), one.challenger.bundle_name
        return ShadowScore(
            decision_id=one.decision_id,
            scored_at=self._clock(),
            bundle_name=name.name,
            bundle_version=name.version,
            bundle_identity=name.identity,
            log_odds=scored.log_odds,
            pd=scored.pd,
            score=scored.score,
        )

    def _failed(self, offered: list[_Offered], cause: str) -> None:
        logger.warning("a challenger's score is not logged: %s; answers are not affected", cause)
        for one in offered:
            self._count(one, "failed")

    def _count(self, one: _Offered, result: str) -> None:
        self._metrics.shadows.labels(one.challenger.decision_point, result).inc()
