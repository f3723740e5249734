"""A bundle at work on one request: features, hybrid, attributions, the four strongest reasons and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from data_contracts.messages import BundleName, FeatureSetName, Reason, ScoreRequest, Warned, parse_request
from data_contracts.tables import EVENT_TABLES
from evaluation.attribution import Explainer
from evaluation.reasons import ReasonWriter
from features.algebra import FeatureSet
from features.online import compile_plan
from features.sequences import from_records
from training.bundle import Bundle

_SOURCES_ZH = {
    "tradelines": "征信账户",
    "tradeline_months": "征信账户月度状态",
    "inquiries": "征信查询记录",
    "transactions": "消费流水",
    "card_months": "信用卡月账单",
    "loans": "本机构历史贷款",
    "loan_months": "本机构贷款月度状态",
    "instalments": "本机构应还计划",
    "payments": "本机构还款记录",
    "invoices": "经营发票",
}

_EMPTY = parse_request(
    '{"application": {"application_id": "-", "customer_id": "-", "applied_at": "2025-01-01", "product": "other",'
    ' "amount_requested": 0}}'
)


@dataclass(frozen=True)
class Scored:
    """What a bundle says of one applicant.

    Parameters
    ----------
    features : ndarray of float64, shape (n_features,)
        In the order of the feature set, NaN where missing.
    log_odds, pd : float
        Calibrated log-odds and probability of default.
    score : float
        Points, higher is safer.
    reasons : list of Reason
        At most four reasons that raise the risk, strongest first.
    attributions : ndarray of float64, shape (n_features + n_sources,)
        What each feature and each source of events adds to the log-odds.
    residual : float
        Base and attributions together, minus the log-odds: zero but for rounding.
    warnings : list of Warned
        Such as a source that is missing.
    parts : dict of str to float
        Log-odds of each part of the hybrid before weights, and as `blend` of all before the calibrator.
    """

    features: npt.NDArray[np.float64]
    log_odds: float
    pd: float
    score: float
    reasons: list[Reason]
    attributions: npt.NDArray[np.float64]
    residual: float
    warnings: list[Warned]
    parts: dict[str, float]


class Scorer:
    """Scores requests with one bundle.

    Parameters
    ----------
    bundle : Bundle
        A loaded and verified bundle.
    version : str, default "unregistered"
        The registry's version or alias of it.
    """

    def __init__(self, bundle: Bundle, version: str = "unregistered") -> None:
        self.bundle = bundle
        self.decision_point = bundle.decision_point
        self.bundle_name = BundleName(name=bundle.name, version=version, identity=bundle.identity)
        self.feature_set_name = FeatureSetName(name=bundle.feature_set.name, identity=bundle.feature_set.identity)
        self._plan = compile_plan(bundle.feature_set)
        self._explainer = Explainer.of(bundle)
        self._reasons = ReasonWriter.of(bundle)
        self._used_tables = _used_tables(bundle.feature_set, self._explainer.sources)
        self.score(_EMPTY)  # what is compiled at the first call is compiled before the first caller waits

    def score(self, request: ScoreRequest) -> Scored:
        """Score one applicant as of the request's `applied_at`."""
        records, as_of = request.records(), request.as_of
        features = self._plan.compute(request.application_record(), records, as_of)
        row = features.reshape(1, -1)
        length = self.bundle.sequence_length
        sequences = None if length is None else from_records(records, as_of, length)
        parts = self._explainer(row, sequences)
        log_odds = float(parts.log_odds[0])
        attributions = np.concatenate([parts.features[0], parts.sequences[0]])
        return Scored(
            features=features,
            log_odds=log_odds,
            pd=float(expit(log_odds)),
            score=float(self.bundle.scale.points(log_odds)),
            reasons=self._reasons.write(parts, row, sequences)[0],
            attributions=attributions,
            residual=float(parts.base + attributions.sum() - log_odds),
            warnings=[_missing(name) for name in request.missing_sources if name in self._used_tables],
            parts={name: float(values[0]) for name, values in parts.parts.items()},
        )


def _used_tables(feature_set: FeatureSet, event_sources: tuple[str, ...]) -> frozenset[str]:
    """Tables that the features or the events of a bundle come from."""
    parents = {source.table.name for source in feature_set.sources}
    children = {source.child.table.name for source in feature_set.sources if source.child}
    return frozenset(parents | children | set(event_sources))


def _missing(table: str) -> Warned:
    return Warned(
        code=f"missing_source:{table}",
        en=f"The source {table} was left out; what depends on it was taken as missing.",
        zh=f"缺少数据来源“{_SOURCES_ZH[table]}”, 相关特征按缺失处理。",
    )


if set(_SOURCES_ZH) != {table.name for table in EVENT_TABLES}:
    raise RuntimeError("serving/scorer.py names other sources than data_contracts/tables.py; bring them together")
