"""Reason codes: what of an applicant's attributions is told, in Chinese and English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_contracts.messages import Reason
from data_contracts.tables import TABLES
from evaluation.attribution import Attributions
from evaluation.protected import protected_uses
from features.algebra import FeatureSet
from features.sequences import EventSequences
from training.bundle import Bundle, ScoreScale
from training.estimator import Floats

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


class ReasonWriter:
    """Writes reasons from attributions: the strongest adverse ones, in words that several features may share.

    What has no value, and a source that has no event, speaks of absence and not of conduct. A feature that reads a
    protected attribute is never told, whatever it moves; nor is one that lowers this applicant's risk.

    Parameters
    ----------
    declared : FeatureSet
        Of the features, in their order.
    sources : sequence of str
        Of events, in the order of their attributions.
    scale : ScoreScale
        Points of the score.
    """

    def __init__(self, declared: FeatureSet, sources: Sequence[str], scale: ScoreScale) -> None:
        self._sources, self._scale = tuple(sources), scale
        protected = {name for use in protected_uses(declared) for name in use.read_by}
        self._told = [feature.name not in protected for feature in declared.features] + [True] * len(sources)
        self._labels = [*declared.names, *(f"events:{source}" for source in sources)]
        self._texts = [
            *(_ReasonText(f.reason.code, f.reason_en, f.reason_zh) for f in declared.features),
            *(_sequence_text(source) for source in sources),
        ]
        groups = [feature.group for feature in declared.features]
        self._unknown = [_UNKNOWN[group] for group in (*groups, *(TABLES[source].use.provider for source in sources))]

    @classmethod
    def of(cls, bundle: Bundle) -> ReasonWriter:
        """As a bundle declares its features, sources and points."""
        net = bundle.model.parts_.get("sequence_net")
        return cls(bundle.feature_set, () if net is None else net.sources_, bundle.scale)

    def write(
        self, attributions: Attributions, features: npt.ArrayLike, sequences: EventSequences | None
    ) -> list[list[Reason]]:
        """Reasons of each applicant, at most four, strongest first; the same numbers give the same reasons.

        Parameters
        ----------
        attributions : Attributions
        features : array-like, shape (n, n_features)
            The same applicants, NaN = missing.
        sequences : EventSequences or None
            Their events, where the attributions have sources.
        """
        values = np.hstack([attributions.features, attributions.sequences])
        unknown = np.isnan(np.asarray(features, dtype=np.float64))
        if sequences is not None and self._sources:
            numbers = [sequences.sources.index(source) + 1 for source in self._sources]
            silent = [~(sequences.source == number).any(axis=1) for number in numbers]
            unknown = np.column_stack([unknown, *silent])
        return [self._reasons(*row) for row in zip(values, unknown, attributions.log_odds.tolist(), strict=True)]

    def _reasons(self, values: Floats, unknown: npt.NDArray[np.bool_], log_odds: float) -> list[Reason]:
        """Attributions that share a text are one reason; only what raises the risk in sum is told."""
        sums: dict[_ReasonText, float] = {}
        members: dict[_ReasonText, list[tuple[float, str]]] = {}
        for at, (value, absent) in enumerate(zip(values.tolist(), unknown.tolist(), strict=True)):
            if not self._told[at]:
                continue
            text = self._unknown[at] if absent else self._texts[at]
            sums[text] = sums.get(text, 0.0) + value
            if value > 0:
                members.setdefault(text, []).append((-value, self._labels[at]))
        adverse = sorted((-total, text.code, text) for text, total in sums.items() if total > 0)[:MOST_REASONS]
        points = self._scale.points
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
