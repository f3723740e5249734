"""Alerts of a look: what drifted, where, by how much, how unlikely that is, and what it does to the approval rate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from evaluation.drift import ALPHA, DriftResult
from evaluation.drift.shares import MISSING, OTHERS, SharesDrift
from serving.monitoring import wording
from serving.monitoring.approval import groups_of
from serving.monitoring.examination import Examination, Rows
from serving.monitoring.realised import ALL, LEAST_MATURED, Realised
from training.reference import Reference
from training.targets import LOCAL

Kind = Literal["feature", "score", "mix", "joint", "performance", "more"]
EVERYWHERE = "all"
PERIOD = "period"
MOST_ALERTS = 20
_FIRST: tuple[Kind, ...] = ("performance", "score", "joint", "mix", "feature")


@dataclass(frozen=True)
class Change:
    """One thing that somebody should look at.

    Parameters
    ----------
    kind : {"feature", "score", "mix", "joint", "performance", "more"}
    name : str
        Feature, `score`, dimension of the mix, `all features`, or the figure of performance.
    segment : str
        `all`, or a level such as `product=cash`.
    period : str
        `period` for all that was looked at, or a day, or a month.
    measure, size, chance : str, float, float
        How the size is measured (`psi`, `auc`, ...), the size, and what it would be without drift.
    p_value : float
        Chance of it without drift.
    en, zh : str
        One sentence.
    approval_before, approval : float or None
        Share approved in training and now, in the segment.
    approval_effect : float or None
        Change of the approval rate that goes with this very change; of the score it is the whole difference.
    """

    kind: Kind
    name: str
    segment: str
    period: str
    measure: str
    size: float
    chance: float
    p_value: float
    en: str
    zh: str
    approval_before: float | None = None
    approval: float | None = None
    approval_effect: float | None = None


@dataclass(frozen=True)
class Alert:
    """A change, when it was found and of which model.

    Parameters
    ----------
    at : str
        ISO 8601 in UTC.
    model, bundle : str
        Registered version; identity of its bundle.
    change : Change
    """

    at: str
    model: str
    bundle: str
    change: Change

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same alert as another one."""
        one = self.change
        return (self.bundle, one.kind, one.name, one.segment, one.period)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, all side by side."""
        return {"at": self.at, "model": self.model, "bundle": self.bundle, **asdict(self.change)}

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


def alerts_of(found: Examination, performance: Sequence[Realised], *, model: str, at: datetime) -> list[Alert]:
    """Everything of a look that calls for a person, worst first; at most `MOST_ALERTS` and one that counts the others.

    The whole period and its latest complete day are told; days before that are in the report, and a day that is not
    over would be looked at many times.

    Parameters
    ----------
    found : Examination
    performance : sequence of Realised
    model : str
        Registered name and version.
    at : datetime
        Now, UTC.
    """
    changes = list(of_performance(performance))
    if found.verdict != "too_few_rows":
        changes += [*_of_period(found), *_of_latest_day(found, at), *_of_segments(found)]
    changes.sort(key=lambda one: (one.segment != EVERYWHERE, _FIRST.index(one.kind), one.p_value, -one.size, one.name))
    if rest := changes[MOST_ALERTS:]:
        n, least = len(rest), min(one.p_value for one in rest)
        more = Change("more", f"{n} more", EVERYWHERE, PERIOD, "alerts", float(n), 0.0, least, *wording.more(n))
        changes = [*changes[:MOST_ALERTS], more]
    moment, bundle = f"{at:%Y-%m-%dT%H:%M:%SZ}", found.looked.bundle.identity
    return [Alert(moment, model, bundle, change) for change in changes]


def _of_period(found: Examination) -> Iterator[Change]:
    yield from _of_drift(found, found.drift, found.looked.bundle.reference, found.rows, found.approval.before)
    yield from (_of_shares(found, one, found.rows) for one in found.mix.drifted)
    if found.joint_drifted:
        joint, approval = found.joint, found.approval
        yield Change(
            "joint", "all features", EVERYWHERE, PERIOD, "auc", joint.auc.value or 0.5, 0.5, joint.p_value,
            *wording.joint(joint, approval),
            approval.before, approval.now, approval.now - approval.before,
        )  # fmt: skip


def _of_latest_day(found: Examination, at: datetime) -> Iterator[Change]:
    over = [day for day in found.days if day.day < f"{at + LOCAL:%Y-%m-%d}"]
    if len(found.days) > 1 and over and over[-1].verdict == "drifted":
        last = over[-1]
        reference, before = found.looked.bundle.reference, found.approval.before
        yield from _of_drift(found, last.drift, reference, last.rows, before, period=last.day)
        yield from (_of_shares(found, one, last.rows, period=last.day) for one in last.mix.drifted)


def _of_segments(found: Examination) -> Iterator[Change]:
    for one in found.segments:
        name = f"{one.dimension}={one.level}"
        yield from _of_drift(found, one.drift, one.reference, one.rows, one.approved_before, segment=name)


def _of_drift(
    found: Examination,
    drift: DriftResult,
    reference: Reference,
    rows: Rows,
    before: float,
    *,
    segment: str = EVERYWHERE,
    period: str = PERIOD,
) -> Iterator[Change]:
    log_odds = found.looked.log_odds[rows]
    now = found.approval.share(log_odds)
    distributions = {one.name: one for one in reference.features}
    declared = {one.name: one for one in found.looked.bundle.feature_set.features}
    for row in ((drift.score,) if drift.score.drifted else ()) + drift.drifted:
        if row is drift.score:
            effect = now - before
        else:
            values = found.looked.features[row.name].to_numpy(dtype=np.float64)[rows]
            groups = groups_of(distributions[row.name], values)
            effect = found.approval.effect_of(groups, row.expected, log_odds)
        yield Change(
            "score" if row is drift.score else "feature", row.name, segment, period,
            "psi", row.psi, row.chance_psi, row.p_value,
            *wording.row(row, declared.get(row.name), _where(segment, period), effect, now),
            before, now, effect,
        )  # fmt: skip


def _of_shares(found: Examination, one: SharesDrift, rows: Rows, *, period: str = PERIOD) -> Change:
    numbers = {level: at for at, level in enumerate(one.levels)}
    values = [MISSING if value is None else value for value in found.looked.categories.now[one.name][rows]]
    groups = np.array([numbers.get(value, numbers.get(OTHERS, 0)) for value in values], dtype=np.int64)
    log_odds, approval = found.looked.log_odds[rows], found.approval
    effect, now = approval.effect_of(groups, one.expected, log_odds), approval.share(log_odds)
    return Change(
        "mix", one.name, EVERYWHERE, period, "psi", one.psi, one.chance_psi, one.p_value,
        *wording.shares(one, _where(EVERYWHERE, period), effect, now),
        approval.before, now, effect,
    )  # fmt: skip


def of_performance(months: Sequence[Realised]) -> Iterator[Change]:
    """Months whose outcomes are worse than training or not as the PDs had it; half of the error rate goes to each."""
    judged = [one for one in months if one.month != ALL and one.matured >= LEAST_MATURED]
    for one in judged:
        limit = ALPHA / 2 / len(judged)
        if one.auc.value is not None and one.auc_p <= limit:
            size, chance = one.auc.value, one.expected.auc.value or 0.5
            texts = wording.worse_auc(one)
            yield Change("performance", "auc", EVERYWHERE, one.month, "auc", size, chance, one.auc_p, *texts)
        if one.bad_rate.value is not None and one.calibration_p <= limit:
            size, chance, texts = one.bad_rate.value, one.mean_pd, wording.other_bad_rate(one)
            facts = ("bad_rate", EVERYWHERE, one.month, "bad_rate", size, chance, one.calibration_p)
            yield Change("performance", *facts, *texts)


def _where(segment: str, period: str) -> str:
    return ", ".join(part for part in (segment, period) if part not in (EVERYWHERE, PERIOD))
