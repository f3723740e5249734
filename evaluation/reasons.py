"""Reason codes: what of an applicant's attributions is told, in Chinese and English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_contracts.replies import Reason
from data_contracts.tables import TABLES
from evaluation.attribution import Attributions
from evaluation.protected import protected_uses
from features.algebra import FeatureSet
from features.sequences import EventSequences
from training.bundle import Bundle, ScoreScale
from training.estimator import Floats, Integers

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
        self._told = np.array([name not in protected for name in declared.names] + [True] * len(sources))
        self._labels = [*declared.names, *(f"events:{source}" for source in sources)]
        groups = [feature.group for feature in declared.features]
        known = [_ReasonText(f.reason.code, f.reason_en, f.reason_zh) for f in declared.features]
        known += [_sequence_text(source) for source in sources]
        unknown = [_UNKNOWN[group] for group in (*groups, *(TABLES[source].use.provider for source in sources))]
        # In the order of their codes, so that of equal weights the first code comes first.
        self._texts = sorted({*known, *unknown}, key=lambda text: (text.code, text.en))
        number = {text: at for at, text in enumerate(self._texts)}
        self._known, self._unknown = (np.array([number[text] for text in texts]) for texts in (known, unknown))

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
        text = np.where(unknown, self._unknown, self._known)
        sums = np.bincount(text, weights=values * self._told, minlength=len(self._texts))
        strongest = np.argsort(-sums, kind="stable")[:MOST_REASONS]
        return [self._reason(k, float(sums[k]), values, text, log_odds) for k in strongest.tolist() if sums[k] > 0]

    def _reason(self, number: int, total: float, values: Floats, text: Integers, log_odds: float) -> Reason:
        told, points = self._texts[number], self._scale.points
        adverse = np.flatnonzero((text == number) & self._told & (values > 0)).tolist()
        return Reason(
            code=told.code,
            features=[self._labels[at] for at in sorted(adverse, key=lambda at: (-values[at], self._labels[at]))],
            zh=told.zh,
            en=told.en,
            log_odds=total,
            points=float(points(log_odds - total) - points(log_odds)),
        )


def _sequence_text(source: str) -> _ReasonText:
    en, zh = SEQUENCE_REASONS.get(source, (f"Course of {source.replace('_', ' ')}", f"{source} 的变化"))
    return _ReasonText(f"events_{source}", en, zh)
