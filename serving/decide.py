"""The whole decision of an application: scored, decided by rules and policy, logged, and only then answered."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import DeclarationError
from data_contracts.messages import BundleName, FeatureSetName, ScoreRequest, Warned
from policy.decision import Decision, Policy, local_day
from policy.products import Products
from policy.rules import RuleBook
from policy.strategy import Strategy
from policy.terms import FEATURES, RateTables
from serving.decision_log import Decision as Logged
from serving.decision_log import DecisionLog, new_decision_id
from serving.scorer import Scored, Scorer
from training.bundle import Bundle

DECISION = "decision"  # the kind of its entries in the decision log
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
    identities: dict[str, str] = Field(description="SHA-256 of rules, products, strategy, model, calibrator, data")
    warnings: list[Warned] = []


class Decider:
    """Decides applications with a champion, a rule book, products and a strategy.

    Parameters
    ----------
    book : RuleBook
    products : Products
    strategy : Strategy
    log : DecisionLog
        Where each decision is written before it leaves.
    clock : callable
        Gives the present, UTC without a zone.
    """

    def __init__(
        self, book: RuleBook, products: Products, strategy: Strategy, log: DecisionLog, clock: Callable[[], datetime]
    ) -> None:
        self._book, self._products, self._strategy = book, products, strategy
        self._log, self._clock = log, clock
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
        names = scorer.bundle.feature_set.names
        lacking = [name for name in FEATURES if name not in names]
        if lacking:
            raise DeclarationError(
                f"The feature set {scorer.feature_set_name.name} lacks {', '.join(lacking)}, which a limit needs; "
                "decide with a model of application_v1."
            )
        features = dict(zip(names, scored.features.tolist(), strict=True))
        provenance = {"data": _identity(asked), "features": _sha256(scored.features.tobytes())}
        provenance |= self._model(scorer.bundle)
        policy = self.on(local_day(asked.as_of))
        return scored, policy.decide(asked.application_record(), features, scored, asked.as_of, provenance)

    def answer(self, scorer: Scorer, asked: ScoreRequest) -> DecideResponse:
        """Decide one application and log it; a request that came before gets its first answer.

        Raises
        ------
        ServiceError
            Where the log cannot be reached: no decision is given that is not logged.
        """
        scored, decision = self.decide(scorer, asked)
        logged = self._log.append(asked, self._entry(scorer, scored, decision))
        return DecideResponse(application_id=asked.application_record()["application_id"], **logged.response)

    def _model(self, bundle: Bundle) -> dict[str, str]:
        if bundle.identity not in self._models:
            self._models = {bundle.identity: model_identities(bundle)}
        return self._models[bundle.identity]

    def _entry(self, scorer: Scorer, scored: Scored, decision: Decision) -> Logged:
        decision_id, request_id = new_decision_id(), uuid.uuid4().hex
        price = decision.trace["price"]
        return Logged(
            kind=DECISION,
            decision_id=decision_id,
            request_id=request_id,
            decided_at=self._clock(),
            decision_point=POINT,
            bundle_name=scorer.bundle_name.name,
            bundle_version=scorer.bundle_name.version,
            bundle_identity=scorer.bundle_name.identity,
            feature_set_identity=scorer.feature_set_name.identity,
            features=scored.features,
            log_odds=scored.log_odds,
            pd=scored.pd,
            score=scored.score,
            response={
                **decision.record(),
                "request_id": request_id,
                "decision_id": decision_id,
                "decision_point": POINT,
                "annual_nominal": price["annual_nominal"],
                "annual_effective": price["annual_effective"],
                "pd": scored.pd,
                "score": scored.score,
                "bundle": scorer.bundle_name.model_dump(),
                "feature_set": scorer.feature_set_name.model_dump(),
                "warnings": [warning.model_dump() for warning in scored.warnings],
            },
        )


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


def _identity(asked: ScoreRequest) -> str:
    """SHA-256 of what was sent, without the identifiers of customer and application."""
    return _sha256(asked.logged_text(lambda _: "-").encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
