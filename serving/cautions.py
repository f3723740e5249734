"""What the reader of an answer should know: sources missing or stale, values that training has not seen."""

from __future__ import annotations

from collections.abc import Set
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from data_contracts.messages import ScoreRequest
from data_contracts.replies import Warned
from data_contracts.tables import EVENT_TABLES
from features.algebra import FeatureSet
from training.reference import Reference

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
_MOST_FEATURES_TOLD = 10


class Cautions:
    """Warnings of a bundle's requests.

    Parameters
    ----------
    reference : Reference
        What the features were in training, in the order of the feature set.
    declared : FeatureSet
    used_tables : set of str
        Tables that the bundle looks at.
    """

    def __init__(self, reference: Reference, declared: FeatureSet, used_tables: Set[str]) -> None:
        # a feature that had no value in training has been seen with none
        self._low = np.array([np.inf if one.low is None else one.low for one in reference.features])
        self._high = np.array([-np.inf if one.high is None else one.high for one in reference.features])
        self._names = declared.names
        self._used = used_tables
        self._bureau = [t for t in EVENT_TABLES if t.use.provider == "bureau" and t.name in used_tables]

    def __call__(self, request: ScoreRequest, features: npt.NDArray[np.float64]) -> list[Warned]:
        """Warnings of one request, whose features have shape (n_features,)."""
        found = [_missing(name) for name in request.missing_sources if name in self._used]
        if stale := self._stale_bureau(request):
            found.append(stale)
        outside = np.flatnonzero((features < self._low) | (features > self._high))
        if len(outside):
            found.append(_outside([self._names[at] for at in outside.tolist()]))
        return found

    def _stale_bureau(self, request: ScoreRequest) -> Warned | None:
        """Told when each bureau table that holds anything is older than its contract lets a delivery be."""
        held = [(table, rows) for table in self._bureau if (rows := request.__dict__[table.name])]
        ages = [request.as_of - max(row.known_at for row in rows) for _, rows in held]
        limits = [timedelta(days=table.fresh_days or 0) for table, _ in held]
        if not ages or any(age <= limit for age, limit in zip(ages, limits, strict=True)):
            return None
        days = min(ages).days
        return Warned(
            code="stale_source:bureau",
            en=f"The newest bureau record became known {days} days before the decision; ask the bureau again.",
            zh=f"最新的征信记录在决策前 {days} 天取得, 请重新查询征信。",
        )


def _missing(table: str) -> Warned:
    return Warned(
        code=f"missing_source:{table}",
        en=f"The source {table} was left out; what depends on it was taken as missing.",
        zh=f"缺少数据来源“{_SOURCES_ZH[table]}”, 相关特征按缺失处理。",
    )


def _outside(names: list[str]) -> Warned:
    return Warned(
        code="outside_training_range",
        en=f"{len(names)} features have values that no training applicant had; the score is an extrapolation there.",
        zh=f"{len(names)} 个特征的取值超出训练样本范围, 评分在此属于外推。",
        features=names[:_MOST_FEATURES_TOLD],
    )


if set(_SOURCES_ZH) != {table.name for table in EVENT_TABLES}:
    raise RuntimeError("serving/cautions.py names other sources than data_contracts/tables.py; bring them together")
