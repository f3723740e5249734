"""A bundle at work on one request: features, hybrid, attributions, the four strongest reasons and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from data_contracts.messages import BundleName, FeatureSetName, Reason, ScoreRequest, Warned, parse_request
from data_contracts.tables import EVENT_TABLES
from evaluation.attribution import explain
from features.algebra import FeatureSet
from features.online import compile_plan
from features.sequences import EventSequences, from_records
from training.bundle import Bundle

MOST_REASONS = 4

SEQUENCE_REASONS: dict[str, tuple[str, str]] = {
    "tradelines": ("Order and timing of credit taken elsewhere", "在其他机构办理信贷的时间与先后"),
    "tradeline_months": ("Course of repayment at other lenders", "在其他机构还款状况的变化"),
    "inquiries": ("Timing of credit inquiries", "征信查询的时间分布"),
    "transactions": ("Course of spending and income", "收支行为的变化"),
    "card_months": ("Course of card use and card debt", "信用卡使用与欠款的变化"),
    "loans": ("Order and timing of loans with us", "在本机构借款的时间与先后"),
    "loan_months": ("Course of arrears on loans with us", "在本机构贷款逾期状况的变化"),
    "instalments": ("Course of instalments with us", "在本机构应还款项的变化"),
    "payments": ("Course of repayments to us", "在本机构还款行为的变化"),
}
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
    """

    features: npt.NDArray[np.float64]
    log_odds: float
    pd: float
    score: float
    reasons: list[Reason]
    attributions: npt.NDArray[np.float64]
    residual: float
    warnings: list[Warned]


@dataclass(frozen=True)
class _ReasonText:
    code: str
    en: str
    zh: str


_UNKNOWN = {
    "application": _ReasonText("N01", "Information that was not declared", "申请信息未填写"),
    "bureau": _ReasonText("N02", "No or too few credit bureau records", "征信记录缺失或不足"),
    "consumption": _ReasonText("N03", "No or too few records of income and spending", "收支记录缺失或不足"),
    "repayment": _ReasonText("N04", "No or too few records of earlier loans with us", "本机构历史借还款记录缺失或不足"),
    "business": _ReasonText("N05", "No or too few invoices of the business", "经营发票缺失或不足"),
}
_GROUPS = {
    "tradelines": "bureau",
    "tradeline_months": "bureau",
    "inquiries": "bureau",
    "transactions": "consumption",
    "card_months": "consumption",
    "loans": "repayment",
    "loan_months": "repayment",
    "instalments": "repayment",
    "payments": "repayment",
    "invoices": "business",
}


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
        self._names = list(bundle.feature_set.names)
        self._plan = compile_plan(bundle.feature_set)
        net = bundle.model.parts_.get("sequence_net")
        self._sources = sources = () if net is None else tuple(net.sources_)
        self._events = bundle.background_sequences if sources else None
        self._used_tables = _used_tables(bundle.feature_set, sources)
        self._texts = [
            *(_ReasonText(f.reason.code, f.reason_en, f.reason_zh) for f in bundle.feature_set.features),
            *(_sequence_text(source) for source in sources),
        ]
        groups = [f.group for f in bundle.feature_set.features] + [_GROUPS[source] for source in sources]
        self._unknown_texts = [_UNKNOWN[group] for group in groups]
        self._labels = [*self._names, *(f"events:{source}" for source in sources)]
        self.score(_EMPTY)  # what explanations learn from the background is learnt before the first caller waits

    def score(self, request: ScoreRequest) -> Scored:
        """Score one applicant as of the request's `applied_at`."""
        records, as_of = request.records(), request.as_of
        features = self._plan.compute(request.application_record(), records, as_of)
        frame = pd.DataFrame(features.reshape(1, -1), columns=self._names)
        events = self._events
        sequences = None if events is None else from_records(records, as_of, events.source.shape[1])
        model = self.bundle.model
        log_odds = float(model.decision_function(frame, sequences)[0])
        parts = explain(model, frame, sequences, self.bundle.background_features, events)
        attributions = np.concatenate([parts.features[0], parts.sequences[0]])
        return Scored(
            features=features,
            log_odds=log_odds,
            pd=float(expit(log_odds)),
            score=float(self.bundle.scale.points(log_odds)),
            reasons=self._reasons(attributions, log_odds, self._unknown(features, sequences)),
            attributions=attributions,
            residual=float(parts.base + attributions.sum() - log_odds),
            warnings=[_missing(name) for name in request.missing_sources if name in self._used_tables],
        )

    def _unknown(self, features: npt.NDArray[np.float64], sequences: EventSequences | None) -> npt.NDArray[np.bool_]:
        """Which features have no value, and which sources no event: what they add tells of absence, not of conduct."""
        if sequences is None:
            return np.isnan(features)
        there = {sequences.sources[number - 1] for number in np.unique(sequences.source) if number}
        return np.concatenate([np.isnan(features), [source not in there for source in self._sources]])

    def _reasons(
        self, attributions: npt.NDArray[np.float64], log_odds: float, unknown: npt.NDArray[np.bool_]
    ) -> list[Reason]:
        """Contributions that share a text are one reason; only what raises the risk in sum is told."""
        sums: dict[_ReasonText, float] = {}
        members: dict[_ReasonText, list[tuple[float, str]]] = {}
        for at, (label, value) in enumerate(zip(self._labels, attributions.tolist(), strict=True)):
            text = self._unknown_texts[at] if unknown[at] else self._texts[at]
            sums[text] = sums.get(text, 0.0) + value
            if value > 0:
                members.setdefault(text, []).append((-value, label))
        adverse = sorted((-total, text.code, text) for text, total in sums.items() if total > 0)[:MOST_REASONS]
        points = self.bundle.scale.points
        return [
            Reason(
                code=text.code,
                features=[label for _, label in sorted(members[text])],
                zh=text.zh,
                en=text.en,
                log_odds=-minus_total,
                points=float(points(log_odds + minus_total) - points(log_odds)),
            )
            for minus_total, _, text in adverse
        ]


def _sequence_text(source: str) -> _ReasonText:
    en, zh = SEQUENCE_REASONS.get(source, (f"Course of {source.replace('_', ' ')}", f"{source} 的变化"))
    return _ReasonText(f"events_{source}", en, zh)


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
