"""One look at what a bundle has answered: as a whole, day by day, segment by segment.

**The error rate is that of a look**, not of a test. Without drift at most about a share `ALPHA` of periods, and of
days, is called drifted. Of a period, features, score, request mix with reasons, all features jointly and segments get a
fifth of it each; of a day, the first three get a third. Within each, many tests share what it gets.

The tests hold for rows that do not depend on each other. A customer who is scored again and again is nearly the same
row again, so only the newest decision on each customer counts in the period, and in each day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.drift import ALPHA, LEAST_ROWS, DriftResult, Verdict, compare
from evaluation.drift.joint import JointDrift, joint_drift
from evaluation.drift.shares import Mix, mix_drift
from evaluation.metric import Metric
from evaluation.without_labels import Expected, expected
from serving.monitoring.approval import Approval
from serving.monitoring.requests import DIMENSIONS, Categories, days_of, newest_of_each
from training.bundle import Bundle
from training.reference import SCORE, Distribution, Reference

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
NO_ROWS = ("the bundle carries no rows to compare with: train it anew", "模型包未附可比较的样本行，请重新训练")
_DRAWS_OF_A_DAY = 200


@dataclass(frozen=True)
class Looked:
    """What is looked at: the decisions' numbers and categories, and the bundle that made them.

    Parameters
    ----------
    bundle : Bundle
    features : DataFrame, shape (n, n_features)
    log_odds : ndarray, shape (n,)
    categories : Categories
    """

    bundle: Bundle
    features: pd.DataFrame
    log_odds: Array
    categories: Categories

    def mix(self, rows: Rows, alpha: float) -> Mix:
        """Compare the categories of some of the decisions with the reference's."""
        then, now = self.categories.then, self.categories.now
        return mix_drift(then, {name: values[rows] for name, values in now.items()}, alpha=alpha)


@dataclass(frozen=True)
class Day:
    """One day against the reference; `rows` are its decisions, of `repeated` ones on a customer the newest."""

    day: str
    rows: Rows
    repeated: int
    drift: DriftResult
    mix: Mix
    expected: Expected
    approved: float

    @property
    def verdict(self) -> Verdict:
        """Of the whole day."""
        return "drifted" if self.mix.drifted else self.drift.verdict


@dataclass(frozen=True)
class Segment:
    """One level of a dimension against the same level of the reference's rows; `rows` are those of its decisions."""

    dimension: str
    level: str
    rows: Rows
    reference: Reference
    drift: DriftResult
    approved_before: float
    approved: float


@dataclass(frozen=True)
class Examination:
    """What a look found.

    Parameters
    ----------
    first, last : Timestamp
        Of the decisions, UTC.
    rows : ndarray of int
        Decisions of the period that were compared: the newest on each customer.
    drift : DriftResult
        Features and score of the whole period.
    mix : Mix
    joint : JointDrift
        All features at once.
    joint_limit : float
        p-value up to which that counts.
    days, segments
        In their order; a segment with too few rows on either side is left out and counted in `small_segments`.
    expected : Expected
        Performance without labels over the period.
    approval : Approval
        What share would be approved, then and now.
    looked : Looked
        What all this was found in.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    rows: Rows
    drift: DriftResult
    mix: Mix
    joint: JointDrift
    joint_limit: float
    days: tuple[Day, ...]
    segments: tuple[Segment, ...]
    small_segments: int
    expected: Expected
    approval: Approval
    looked: Looked

    @property
    def repeated(self) -> int:
        """Decisions that were left out of the period, as a newer one is on the same customer."""
        return len(self.looked.log_odds) - len(self.rows)

    @property
    def joint_drifted(self) -> bool:
        """Whether rows of today can be told from those of the reference."""
        return self.joint.p_value <= self.joint_limit

    @property
    def verdict(self) -> Verdict:
        """Of the period: whether anything drifted."""
        if self.drift.verdict == "too_few_rows":
            return "too_few_rows"
        in_a_segment = any(one.drift.verdict == "drifted" for one in self.segments)
        found = self.drift.verdict == "drifted" or self.mix.drifted or self.joint_drifted or in_a_segment
        return "drifted" if found else "stable"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the fields of `DriftResult` are those of the period."""
        return {
            **self.drift.to_dict(),
            "verdict": self.verdict,
            "repeated": self.repeated,
            "mix": [{**one.to_dict(), "drifted": one in self.mix.drifted} for one in self.mix.shares],
            "joint": {
                "auc": self.joint.auc.to_dict(),
                "p_value": self.joint.p_value,
                "drifted": self.joint_drifted,
                "features": list(self.joint.features),
            },
            "approval": self.approval.to_dict(),
            "expected": _figures(self.expected),
            "days": [_of_a_day(day) for day in self.days],
            "segments": [
                {
                    "dimension": one.dimension,
                    "level": one.level,
                    "rows": one.drift.rows,
                    "reference_rows": one.drift.reference_rows,
                    "verdict": one.drift.verdict,
                    "drifted_features": [row.name for row in one.drift.drifted],
                    "score_drifted": one.drift.score.drifted,
                    "approval_before": one.approved_before,
                    "approval": one.approved,
                }
                for one in self.segments
            ],
            "small_segments": self.small_segments,
        }


def _of_a_day(day: Day) -> dict[str, Any]:
    return {
        "day": day.day,
        "rows": day.drift.rows,
        "repeated": day.repeated,
        "verdict": day.verdict,
        "score_psi": day.drift.score.psi,
        "score_chance_psi": day.drift.score.chance_psi,
        "drifted_features": [row.name for row in day.drift.drifted],
        "score_drifted": day.drift.score.drifted,
        "mix_drifted": [one.name for one in day.mix.drifted],
        "approval": day.approved,
        "expected": _figures(day.expected),
    }


def _figures(found: Expected) -> dict[str, Any]:
    return {name: metric.to_dict() for name, metric in vars(found).items()}


def examine(
    bundle: Bundle,
    decisions: pd.DataFrame,
    features: pd.DataFrame,
    *,
    approval_rate: float = 0.7,
    cutoff_pd: float | None = None,
    alpha: float = ALPHA,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Examination:
    """Look at what a bundle has answered.

    Parameters
    ----------
    bundle : Bundle
    decisions : DataFrame
        Of the decision log, of this bundle alone, at least one.
    features : DataFrame, shape (n, n_features)
        `serving.decision_log.feature_matrix` of them.
    approval_rate, cutoff_pd
        As `Approval.of` takes them.
    alpha : float
        Error rate of the period, and of each day.
    seed : int
        Of what is drawn.
    """
    tell = progress or (lambda step, share: None)
    decisions, features = decisions.reset_index(drop=True), features.reset_index(drop=True)
    log_odds, pd_now = (decisions[name].to_numpy(dtype=np.float64) for name in ("log_odds", "pd"))
    newest = newest_of_each(decisions["customer_key"])
    approval = Approval.of(bundle, log_odds[newest], approval_rate=approval_rate, cutoff_pd=cutoff_pd)
    reference = reference_of(bundle)
    tell("monitor: reasons", 0.0)
    looked = Looked(bundle, features, log_odds, Categories.of(bundle, decisions))
    tell("monitor: period", 0.2)
    days = days_of(decisions)
    answered = days.value_counts().to_dict()
    compared = days.iloc[newest_of_each(decisions["customer_key"], days)]
    found = []
    for at, (day, rows) in enumerate(compared.groupby(compared).groups.items()):
        tell("monitor: days", 0.3 + 0.3 * at / len(answered))
        place = rows.to_numpy()
        found.append(
            Day(
                day=str(day),
                rows=place,
                repeated=answered[day] - len(place),
                drift=compare(reference, features.iloc[place], log_odds[place], alpha=2 * alpha / 3),
                mix=looked.mix(place, alpha / 3),
                expected=expected(pd_now[place], draws=_DRAWS_OF_A_DAY, seed=seed),
                approved=approval.share(log_odds[place]),
            )
        )
    tell("monitor: segments", 0.6)
    segments, small = _segments(looked, newest, approval, alpha / 5)
    tell("monitor: all features at once", 0.8)
    return Examination(
        first=decisions["decided_at"].min(),
        last=decisions["decided_at"].max(),
        rows=newest,
        drift=compare(reference, features.iloc[newest], log_odds[newest], alpha=2 * alpha / 5),
        mix=looked.mix(newest, alpha / 5),
        joint=_joint(bundle, features.iloc[newest], seed),
        joint_limit=alpha / 5 if len(newest) >= LEAST_ROWS else 0.0,
        days=tuple(found),
        segments=segments,
        small_segments=small,
        expected=expected(pd_now[newest], seed=seed),
        approval=approval,
        looked=looked,
    )


def reference_of(bundle: Bundle) -> Reference:
    """Features as in training; the score as on rows that were not learnt from, where the bundle carries enough."""
    rows = bundle.reference_rows
    if rows is None or len(rows.log_odds) < LEAST_ROWS:
        return bundle.reference
    return replace(bundle.reference, score=Distribution.of(SCORE, rows.log_odds))


def _segments(looked: Looked, newest: Rows, approval: Approval, alpha: float) -> tuple[tuple[Segment, ...], int]:
    """Every level that has rows enough then and now, and how many have not."""
    rows = looked.bundle.reference_rows
    if rows is None:
        return (), 0
    chosen, small = [], 0
    for dimension in DIMENSIONS:
        then, now = looked.categories.then[dimension], looked.categories.now[dimension][newest]
        for level in sorted({value for value in now if value is not None}):
            place, before = newest[now == level], np.flatnonzero(then == level)
            if min(len(place), len(before)) < LEAST_ROWS:
                small += 1
            else:
                chosen.append((dimension, level, place, before))
    found = []
    for dimension, level, place, before in chosen:
        reference = Reference.from_frame(rows.features.iloc[before], rows.log_odds[before])
        scores = looked.log_odds[place]
        drift = compare(reference, looked.features.iloc[place], scores, alpha=alpha / len(chosen))
        shares = approval.share(rows.log_odds[before]), approval.share(scores)
        found.append(Segment(dimension, level, place, reference, drift, *shares))
    return tuple(found), small


def _joint(bundle: Bundle, features: pd.DataFrame, seed: int) -> JointDrift:
    if bundle.reference_rows is None:
        return JointDrift(Metric(None, None, None, len(features), *NO_ROWS), 1.0, len(features), 0)
    return joint_drift(bundle.reference_rows.features, features, seed=seed)
