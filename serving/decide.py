"""The whole decision of an application: scored, decided by rules and policy, and what of it is logged and answered.

Who serves it writes `Decider.entry` to the decision log before the answer leaves, and answers what the log returns: a
retry gets its first decision.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import DeclarationError
from data_contracts.messages import ScoreRequest, parse_request
from data_contracts.replies import BundleName, FeatureSetName, Warned
from policy.decision import Decision, Difference, Policy, local_day, replay_differences
from policy.products import Products
from policy.rules import RuleBook
from policy.shadow import decide_in_shadow
from policy.strategy import Strategy
from policy.terms import FEATURES, RateTables
from serving.decision_log import Decision as Logged
from serving.decision_log import new_decision_id
from serving.entries import entry_of
from serving.log_entries import DECISION, SHADOW
from serving.scorer import Scored, Scorer
from training.bundle import Bundle

POINT = "application"  # the decision point that a loan is decided at
_DAYS_KEPT = 8


class QuotedRate(BaseModel):
    """Rate of interest in whole parts per million."""

    ppm: int
    per: Literal["year", "day"]


class PlannedInstalment(BaseModel):
    """What falls due on a day; amounts in fen."""

    number: int
    due_on: date
    amount: int
    principal: int
    interest: int
    fee: int
    balance: int


class ToldReason(BaseModel):
    """Why: a rule, the policy or the score."""

    source: Literal["rule", "policy", "score"]
    code: str
    severity: Literal["decline", "refer", "note"]
    zh: str
    en: str


class DecideResponse(BaseModel):
    """The answer to a request for a decision."""

    model_config = ConfigDict(extra="ignore")

    request_id: str
    decision_id: str
    application_id: str
    decision_point: str
    outcome: Literal["approve", "refer", "decline"]
    product: str
    amount: int = Field(ge=0, description="Fen: granted, or proposed to the person who decides; 0 for nothing")
    term_months: int | None
    rate: QuotedRate | None
    annual_nominal: float | None = Field(description="Cost a year, all in, without interest on interest")
    annual_effective: float | None = Field(description="Cost a year, all in: internal rate of return")
    schedule: list[PlannedInstalment] | None
    reasons: list[ToldReason]
    pd: float = Field(ge=0, le=1)
    score: float
    bundle: BundleName
    feature_set: FeatureSetName
    identities: dict[str, str] = Field(description="SHA-256 of rules, products, strategy, model, calibrator, features")
    warnings: list[Warned] = []


class Decider:
    """Decides applications with a champion, a rule book, products and a strategy.

    Parameters
    ----------
    book : RuleBook
    products : Products
    strategy : Strategy
    clock : callable
        Gives the present, UTC without a zone.
    shadows : mapping of str to Strategy, optional
        Strategies that decide beside the live one and are never answered.
    """

    def __init__(
        self,
        book: RuleBook,
        products: Products,
        strategy: Strategy,
        clock: Callable[[], datetime],
        shadows: Mapping[str, Strategy] | None = None,
    ) -> None:
        self._book, self._products, self._strategy, self._clock = book, products, strategy, clock
        self._shadows = dict(shadows or {})
        self._tables = RateTables.of(products)
        self._policies: dict[date, Policy] = {}
        self._models: dict[str, dict[str, str]] = {}

    def on(self, day: date) -> Policy:
        """The policy with the rules in force on a day."""
        if day not in self._policies:
            if len(self._policies) >= _DAYS_KEPT:
                self._policies.clear()
            rules = self._book.on(day)
            self._policies[day] = Policy(self._products, self._strategy, rules, tables=self._tables)
        return self._policies[day]

    def decide(self, scorer: Scorer, asked: ScoreRequest) -> tuple[Scored, Decision]:
        """Score and decide one application as of its `applied_at`; nothing is written."""
        scored = scorer.score(asked)
        return scored, self.decide_scored(scorer, asked, scored)

    def decide_scored(self, scorer: Scorer, asked: ScoreRequest, scored: Scored) -> Decision:
        """Decide an application that was scored; nothing is written.

        Raises
        ------
        DeclarationError
            Where the model does not know what a limit needs, or no rule is in force on the day.
        """
        if not can_decide(scorer):
            raise DeclarationError(
                f"{scorer.bundle_name.name} cannot decide: it must be a model of the decision point {POINT} whose "
                f"features hold {', '.join(FEATURES)}, as application_v1 does."
            )
        features = _named(scorer, scored)
        provenance = {"features": _sha256(scored.features.tobytes()), **self._model(scorer.bundle)}
        policy = self.on(local_day(asked.as_of))
        return policy.decide(asked.facts(), features, scored, asked.as_of, provenance)

    def replay(self, scorer: Scorer, entry: Logged, text: str) -> list[Difference]:
        """Decide a logged request again, and tell what differs from what was logged: nothing, where all is the same.

        Parameters
        ----------
        scorer : Scorer
            With the bundle that answered, or another: its model and calibrator are then named.
        entry, text : Logged, str
            From `DecisionLog.get`.
        """
        scored, again = self.decide(scorer, parse_request(text))
        read_back = json.loads(json.dumps(_told(scored, again)))
        known = read_back.keys() & entry.response.keys()  # what an answer did not say when it was written is not missed
        return replay_differences(entry.response, {name: read_back[name] for name in known})

    def _model(self, bundle: Bundle) -> dict[str, str]:
        if bundle.identity not in self._models:
            self._models = {bundle.identity: model_identities(bundle)}
        return self._models[bundle.identity]

    def entry(self, scorer: Scorer, scored: Scored, decision: Decision, about: Sequence[Warned] = ()) -> Logged:
        """A decision as the log keeps it, under an id of its own; `about` is said of where the request came from."""
        return entry_of(scorer, scored, self._clock(), _told(scored, decision), about, kind=DECISION)

    def in_shadow(
        self, scorer: Scorer, asked: ScoreRequest, scored: Scored, decision: Decision, of: str
    ) -> list[Logged]:
        """What each shadow strategy decides of an application beside the live decision `of`, as the log keeps it."""
        if not self._shadows:
            return []
        live = self.on(local_day(asked.as_of))
        policies = {name: live.with_strategy(strategy) for name, strategy in self._shadows.items()}
        facts = (asked.facts(), _named(scorer, scored), scored, asked.as_of)
        told = decide_in_shadow(decision, policies, *facts)
        return [
            Logged(
                kind=SHADOW,
                decision_id=new_decision_id(),
                request_id=uuid.uuid4().hex,
                decided_at=self._clock(),
                decision_point=POINT,
                response={"of": of, "live": decision.outcome, **record},
            )
            for record in told
        ]


def can_decide(scorer: Scorer) -> bool:
    """Whether a champion is one of applications whose features hold what a limit needs."""
    return scorer.decision_point == POINT and set(FEATURES) <= set(scorer.bundle.feature_set.names)


def response(asked: ScoreRequest, logged: Logged) -> DecideResponse:
    """The answer to a request, as the log holds it."""
    return DecideResponse(application_id=asked.application_record()["application_id"], **logged.response)


def model_identities(bundle: Bundle) -> dict[str, str]:
    """SHA-256 of a bundle's model without its calibrator, and of its calibrator, so that a change can be told apart."""
    with tempfile.TemporaryDirectory() as folder:
        bundle.model.save(Path(folder))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    hybrid = json.loads(contents.pop("hybrid.json"))
    calibrator = {name: hybrid.pop(name) for name in ("calibrator", "calibration_log_loss")}
    parts = {name: _sha256(content) for name, content in contents.items()}
    return {
        "model": _sha256(json.dumps({"parts": parts, "hybrid": hybrid}, sort_keys=True).encode()),
        "calibrator": _sha256(json.dumps(calibrator, sort_keys=True).encode()),
    }


def _told(scored: Scored, decision: Decision) -> dict[str, Any]:
    return {**decision.record(), "score_reasons": [reason.model_dump() for reason in scored.reasons]}


def _named(scorer: Scorer, scored: Scored) -> dict[str, float]:
    return dict(zip(scorer.bundle.feature_set.names, scored.features.tolist(), strict=True))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
