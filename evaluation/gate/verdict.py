"""The verdict of a gate: what was measured, held against what was declared. The same evidence, the same verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from data_contracts.months import utc
from evaluation.gate.criteria import CRITERIA
from evaluation.gate.declaration import Bound, Gate
from evaluation.metric import Metric
from reporting.page import Text

Result = Literal["passed", "failed", "not_computable", "not_asked"]


@dataclass(frozen=True)
class Identity:
    """A version as it stands in a verdict: `name/version`, and the identity of its bundle."""

    model: str
    bundle: str


@dataclass(frozen=True)
class Evidence:
    """What was measured of a version.

    Parameters
    ----------
    figures : mapping of str to Metric
        By criterion; a figure that could not be computed has its reason as its note.
    absent : mapping of str to Text
        Criteria whose question does not arise, and why: a first model has no champion to be compared with.
    facts : mapping
        Where it comes from, as JSON takes it: data identity, rows, defaults, period, seed, swap set.
    """

    figures: Mapping[str, Metric]
    absent: Mapping[str, Text] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """One criterion of a verdict.

    Parameters
    ----------
    name : str
        Of the criterion.
    title : Text
    metric : Metric or None
        What was measured; None where nothing was.
    bound : Bound or None
        What was declared; None where the gate does not ask.
    result : {"passed", "failed", "not_computable", "not_asked"}
        What cannot be computed has not passed.
    reason : Text
    """

    name: str
    title: Text
    metric: Metric | None
    bound: Bound | None
    result: Result
    reason: Text

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        measured = self.metric or Metric(None, None, None, 0)
        return {
            "criterion": self.name,
            "title": asdict(self.title),
            "result": self.result,
            "reason": asdict(self.reason),
            **{name: getattr(measured, name) for name in ("value", "low", "high")},
            "rows": measured.n,
            "threshold": None if self.bound is None else self.bound.model_dump(exclude_none=True),
        }


@dataclass(frozen=True)
class Verdict:
    """What a gate says of a version.

    Parameters
    ----------
    gate : Gate
    candidate : Identity
        Who was judged.
    champion : Identity or None
        Against whom; None where there was no other champion.
    judged_at : datetime
    criteria : tuple of Judged
        Every criterion there is, asked for or not.
    facts : mapping
        See `Evidence`.
    """

    gate: Gate
    candidate: Identity
    champion: Identity | None
    judged_at: datetime
    criteria: tuple[Judged, ...]
    facts: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether all that was asked has passed, and something was asked."""
        asked = [one.result for one in self.criteria if one.result != "not_asked"]
        return bool(asked) and all(result == "passed" for result in asked)

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON, the evidence included."""
        return {
            "passed": self.passed,
            "candidate": asdict(self.candidate),
            "champion": None if self.champion is None else asdict(self.champion),
            "judged_at": f"{utc(self.judged_at).isoformat(timespec='milliseconds')}Z",
            "gate": {"identity": self.gate.identity, **self.gate.model_dump(mode="json", exclude_none=True)},
            "criteria": [one.to_dict() for one in self.criteria],
            "evidence": dict(self.facts),
        }

    def to_json(self) -> str:
        """The same as text; the same verdict gives the same text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def sha256(self) -> str:
        """Hash of `to_json`, by which the register knows it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def judge(
    gate: Gate, evidence: Evidence, *, candidate: Identity, champion: Identity | None, judged_at: datetime
) -> Verdict:
    """Hold evidence against a gate.

    Examples
    --------
    >>> gate = Gate(name="one", bounds={"additivity": Bound(most=1e-4)})
    >>> evidence = Evidence({"additivity": Metric(2e-9, None, None, 200)})
    >>> who = Identity("cash/2", "b1" * 32)
    >>> verdict = judge(gate, evidence, candidate=who, champion=None, judged_at=datetime(2026, 7, 1))
    >>> verdict.passed, [one.reason.en for one in verdict.criteria if one.result != "not_asked"]
    (True, ['2e-09 keeps its bound: at most 0.0001.'])
    """
    judged = tuple(_judged(name, gate.bounds.get(name), evidence) for name in CRITERIA)
    return Verdict(gate, candidate, champion, judged_at, judged, evidence.facts)


def _judged(name: str, bound: Bound | None, evidence: Evidence) -> Judged:
    metric = evidence.figures.get(name)

    def told(result: Result, reason: Text) -> Judged:
        return Judged(name, CRITERIA[name].title, metric, bound, result, reason)

    if bound is None:
        return told("not_asked", Text("该门槛不要求此项。", "The gate does not ask for it."))
    if metric is None and name in evidence.absent:
        return told("not_asked", evidence.absent[name])
    if metric is None:
        return told("not_computable", Text("未测量。", "It was not measured."))
    if metric.value is None:
        return told("not_computable", Text(f"无法计算：{metric.note_zh}。", f"It cannot be computed: {metric.note}."))
    low, high = (metric.low, metric.high) if bound.by == "interval" else (metric.value, metric.value)
    if low is None or high is None:
        return told("not_computable", Text(f"没有区间：{metric.note_zh}。", f"It has no interval: {metric.note}."))
    kept = bound.kept(low, high)
    return told("passed" if kept else "failed", _compared(metric, bound, kept))


def _compared(metric: Metric, bound: Bound, kept: bool) -> Text:
    """The figure, its bound, and whether one keeps the other; with what there is to know when reading it."""
    found = Text(f"{metric.value:.4g}", f"{metric.value:.4g}")
    if bound.by == "interval":
        found = Text(f"区间{metric.low:.4g}至{metric.high:.4g}", f"The interval {metric.low:.4g} to {metric.high:.4g}")
    sides = ((Text("不低于", "at least"), bound.least), (Text("不高于", "at most"), bound.most))
    asked = [(words, f"{limit:.4g}") for words, limit in sides if limit is not None]
    zh = "且".join(f"{words.zh}{limit}" for words, limit in asked)
    en = " and ".join(f"{words.en} {limit}" for words, limit in asked)
    return Text(
        f"{found.zh}{'符合' if kept else '不符合'}界限：{zh}{metric.note_zh and '；' + metric.note_zh}。",
        f"{found.en} {'keeps' if kept else 'breaks'} its bound: {en}{metric.note and '; ' + metric.note}.",
    )
