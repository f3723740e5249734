"""A logged answer computed again from the logged request by the logged bundle: the same bits, or what differs.

The request is logged with hashes for identifiers, which no feature reads. Where the answer differs, each stage is given
what the log says of the stage before it, so that the stage that is to blame is told apart from those that only follow:

    data -> features -> model (each part, the blend) -> calibrator -> points -> reasons -> answer

A whole decision goes on from the points with the parts of `policy.replay`: score, rules, products, cut-offs, price,
limit, decision; and then to the answer, which is what the caller was told.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy.special import expit

from data_contracts.errors import ServiceError
from data_contracts.messages import parse_request
from serving.decide import Decider
from serving.entries import FROM_SNAPSHOT, told_of_any, told_of_score
from serving.log_entries import DECISION, SCORE, Decision, decision_of, text_of
from serving.scorer import Scored, Scorer
from training.bundle import Bundle


@dataclass(frozen=True)
class Difference:
    """What of a stage differs, as it was logged and as it is now."""

    stage: str
    name: str
    logged: Any
    now: Any


@dataclass(frozen=True)
class Replayed:
    """A decision computed again.

    Parameters
    ----------
    decision_id : str
    differences : list of Difference
        The stage that is to blame first; empty where every bit is the same.
    """

    decision_id: str
    differences: list[Difference]

    @property
    def cause(self) -> str | None:
        """The first stage that differs; None where none does."""
        return self.differences[0].stage if self.differences else None


class Replayer:
    """Computes logged decisions of one bundle again.

    Parameters
    ----------
    bundle : Bundle
        Loaded and verified.
    decider : callable, optional
        Makes the rules, products and strategy by which whole decisions are taken again, when there is one.
    """

    def __init__(self, bundle: Bundle, decider: Callable[[], Decider] | None = None) -> None:
        self._bundle = bundle
        self._scorer = Scorer(bundle)
        self._make_decider = decider

    def __call__(self, row: Mapping[str, Any]) -> Replayed:
        """Compute a decision again.

        Parameters
        ----------
        row : mapping
            Of the decision log.

        Raises
        ------
        ServiceError
            Where the decision is not this bundle's, or was taken by more than a bundle.
        """
        decision = decision_of(row)
        if decision.kind not in self.kinds:
            raise ServiceError(f"Decision {decision.decision_id} is a {decision.kind}: no bundle alone can replay it.")
        if decision.bundle_identity != self._bundle.identity:
            raise ServiceError(
                f"Decision {decision.decision_id} was taken by bundle {decision.bundle_identity[:12]}, not by "
                f"{self._bundle.identity[:12]}."
            )
        return Replayed(decision.decision_id, list(self._differences(decision, row)))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of entries that can be replayed."""
        return (SCORE,) if self._make_decider is None else (SCORE, DECISION)

    @cached_property
    def _decider(self) -> Decider:
        if self._make_decider is None:
            raise ServiceError("Without rules, products and strategy no whole decision can be replayed.")
        return self._make_decider()

    def _decided(self, decision: Decision, text: str) -> Iterator[Difference]:
        for one in self._decider.replay(self._scorer, decision, text):
            yield Difference(one.part, one.path, one.before, one.after)

    def _differences(self, decision: Decision, row: Mapping[str, Any]) -> Iterator[Difference]:
        text = text_of(row["request"])
        found = hashlib.sha256(text.encode()).hexdigest()
        if found != row["request_sha256"]:
            yield Difference("data", "request_sha256", row["request_sha256"], found)
        try:
            request = parse_request(text)
        except ValidationError as fault:
            yield Difference("data", "contract", "held", f"broken in {fault.error_count()} places")
            return
        normal = hashlib.sha256(request.logged_text(str).encode()).hexdigest()
        if normal != found:
            yield Difference("data", "normal form", found, normal)
        now = self._scorer.score(request)
        if not _same(now.features, decision.features):
            yield from self._features(decision, now)
        if comparable := len(now.features) == len(decision.features):
            if not _same(now.features, decision.features):  # each later stage on what was logged of the one before it
                now = self._scorer.score(request, decision.features)
            yield from self._after_features(decision, now)
        if decision.kind == DECISION:
            yield from self._decided(decision, text)
        if comparable:
            yield from self._answer(decision, now)

    def _features(self, decision: Decision, now: Scored) -> Iterator[Difference]:
        names = self._bundle.feature_set.names
        if len(decision.features) != len(names):
            yield Difference("features", "number", len(decision.features), len(names))
            return
        for name, logged, value in zip(names, decision.features, now.features, strict=True):
            if not _same(logged, value):
                yield Difference("features", name, _plain(logged), _plain(value))

    def _after_features(self, decision: Decision, now: Scored) -> Iterator[Difference]:
        yield from self._model(decision, now)
        logged = decision.log_odds or 0.0
        pd, score = float(expit(logged)), float(self._bundle.scale.points(logged))
        if pd != decision.pd:
            yield Difference("points", "pd", decision.pd, pd)
        if score != decision.score:
            yield Difference("points", "score", decision.score, score)
        if decision.kind != DECISION:  # its reasons are those of rules and policy, too
            yield from _reasons(decision, now)

    def _model(self, decision: Decision, now: Scored) -> Iterator[Difference]:
        model, logged = self._bundle.model, decision.parts
        if (now.parts, now.log_odds) == (logged, decision.log_odds):
            return
        parts = {name: value for name, value in now.parts.items() if name != "blend"}
        if not logged:  # of before parts were logged: the model and its calibrator cannot be told apart
            if now.log_odds != decision.log_odds:
                yield Difference("model", "log_odds", decision.log_odds, now.log_odds)
            return
        for name in sorted(parts.keys() | logged.keys() - {"blend"}):
            if parts.get(name) != logged.get(name):
                yield Difference("model", name, logged.get(name), parts.get(name))
        known = {name: np.array([logged[name]]) for name in model.parts_ if name in logged}
        blend = float(model.blended(known)[0]) if len(known) == len(model.parts_) else None
        if blend != logged["blend"]:
            yield Difference("model", "blend", logged["blend"], blend)
        calibrated = float(model.calibrator_(np.array([logged["blend"]]))[0])
        if calibrated != decision.log_odds:
            yield Difference("calibrator", "log_odds", decision.log_odds, calibrated)

    def _answer(self, decision: Decision, now: Scored) -> Iterator[Difference]:
        """What the caller was told, which is not read from the columns: made anew from them as it was made then."""
        columns: dict[str, Any] = {name: getattr(decision, name) for name in ("log_odds", "pd", "score")}
        known = replace(now, **columns, band=self._scorer.band(decision.log_odds or 0.0))
        told = {**({} if decision.kind == DECISION else told_of_score(known)), **told_of_any(known)}
        logged = dict(decision.response)
        if "warnings" in logged:
            warnings = [one for one in logged["warnings"] if one["code"] != FROM_SNAPSHOT]
            logged["warnings"] = [{"features": [], **one} for one in warnings]  # of before they named features
        for name, value in told.items():
            # reasons are a stage of their own; what an answer did not say when it was written is not missed
            if name != "reasons" and name in logged and logged[name] != value:
                yield Difference("answer", name, logged[name], value)


def _reasons(decision: Decision, now: Scored) -> Iterator[Difference]:
    reasons = [reason.model_dump() for reason in now.reasons]
    logged = decision.response.get("reasons", [])
    for place in range(max(len(reasons), len(logged))):
        then, anew = (some[place] if place < len(some) else None for some in (logged, reasons))
        if then != anew:
            yield Difference("reasons", f"reason {place + 1}", then, anew)


def _same(one: Any, other: Any) -> bool:
    """Whether features are the same to the bit; missing is missing, whatever the bits of its NaN."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    both_missing = np.isnan(one) & np.isnan(other)
    return bool((both_missing | (one.view(np.int64) == other.view(np.int64))).all())


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
