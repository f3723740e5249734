"""What the model is worth beside a plain alternative and in money, and from what on it is no longer what it was."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.alternative import Alternative, alternative
from evaluation.interactions import Interactions, interactions
from evaluation.measuring.dimensions import dimensions
from evaluation.measuring.subject import Subject
from evaluation.metrics import auc
from evaluation.monitoring_limits import MonitoringLimits, monitoring_limits
from evaluation.profit import Assumptions, Profit, profit
from evaluation.segments import Overfit, overfit_by_segment
from reporting.page import Text, Unknown
from training.boosted import BoostedClassifier

_QUARTER = 3


def alternative_of(subject: Subject) -> Alternative | Unknown:
    """The plain scorecard, where the training rows are at hand."""
    if not subject.own:
        return Unknown(
            Text(
                "简单评分卡须在训练样本上拟合，而本次度量的数据不是训练所用数据。",
                "A plain scorecard is fitted on the training rows, which these records do not hold.",
            )
        )
    features, train = subject.rows.features, subject.rows.sample.train
    if len(np.unique(subject.rows.defaulted[train])) < 2:
        return Unknown(
            Text(
                "训练样本须同时含好坏客户，才能拟合评分卡。",
                "The training rows must hold both defaults and good loans for a scorecard to be fitted.",
            )
        )
    test, seed = subject.test, subject.experiment.seed
    return alternative(
        features.iloc[train], subject.rows.defaulted[train], features.iloc[subject.tested], test.y, test.pd, seed=seed
    )


def overfit_of(subject: Subject) -> list[Overfit] | Unknown:
    """AUC where the model has learnt and where it has not, over all and by product and channel."""
    if not subject.own:
        return Unknown(
            Text(
                "本次度量的数据不含训练样本，无法与之比较。",
                "These records hold no training rows to compare with.",
            )
        )
    of_each = []
    for split, at in zip(subject.splits, (subject.rows.sample.train, subject.tested), strict=True):
        levels = dimensions(subject.folder, subject.rows.features.index[at])
        of_each.append((split.y, split.pd, levels[[name for name in ("product", "channel") if name in levels]]))
    return overfit_by_segment(*of_each)


def profit_of(subject: Subject, assumptions: Assumptions) -> Profit | Unknown:
    """Profit by cut-off on the test, of the amounts that were asked for."""
    table = subject.folder.read("applications", ["application_id", "amount_requested"]).set_index("application_id")
    amount = table.loc[subject.rows.features.index[subject.tested], "amount_requested"].astype("float64") / 100
    known = (amount > 0).to_numpy()
    if not known.any():
        return Unknown(Text("数据中没有申请金额。", "The records hold no amounts."))
    y, pd_ = np.asarray(subject.test.y)[known], np.asarray(subject.test.pd)[known]
    return profit(y, pd_, amount[known], assumptions, seed=subject.experiment.seed)


def interactions_of(subject: Subject, explained: pd.DataFrame) -> Interactions | Unknown:
    """Interactions of the trees, where the hybrid has trees."""
    trees = subject.bundle.model.parts_.get("boosted")
    if not isinstance(trees, BoostedClassifier):
        return Unknown(
            Text(
                "混合模型没有树组件；网络的交互未计算。",
                "The hybrid has no trees; interactions within nets are not computed.",
            )
        )
    return interactions(trees, subject.bundle.model.weights_["boosted"], explained)


def monitoring_of(subject: Subject) -> MonitoringLimits:
    """From what on monitoring speaks up, at the pace of this lender."""
    applied_at = subject.folder.read("applications", ["applied_at"])["applied_at"]
    months = max(1, subject.rows.applied_at.dt.to_period("M").nunique())
    matured = round(_QUARTER * len(subject.rows.defaulted) / months)
    test = subject.test
    return monitoring_limits(
        subject.bundle.reference, applied_at, matured, auc(test.y, test.pd), float(np.mean(np.asarray(test.pd)))
    )
