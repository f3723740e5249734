"""A decision as it is told and logged: outcome, amount, rate, schedule, reasons, trace, and what it was made with."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from data_contracts.replies import Reason
from policy.products import Rate
from policy.rate import AnnualRate
from policy.reasons import Outcome, Severity, told
from policy.schedule.instalments import Schedule

if TYPE_CHECKING:
    from policy.rules.ruleset import Verdict

_FROM_SCORE = frozenset({"S01", "S03", "R01"})
_BY_LIMIT = frozenset({"L01", "L03"})  # from the score, too, where its expected loss binds the limit (L11)
_RANK = {"decline": 0, "refer": 1, "note": 2}


class Scored(Protocol):
    """What a scorer says of an applicant; `serving.scorer.Scored` is one."""

    @property
    def pd(self) -> float:
        """Calibrated probability of default."""

    @property
    def score(self) -> float:
        """Points."""

    @property
    def reasons(self) -> Sequence[Reason]:
        """Reasons that raise the risk, strongest first."""


@dataclass(frozen=True)
class DecisionReason:
    """A reason as the applicant or a reviewer reads it.

    Parameters
    ----------
    source : str
        `rule`, `policy` or `score`.
    code : str
        Id of the rule, or code of the policy's or the score's reason.
    severity : str
        `decline`, `refer` or `note`; what a score adds is a note.
    """

    source: str
    code: str
    severity: Severity
    zh: str
    en: str


@dataclass(frozen=True)
class Decision:
    """A decision.

    Parameters
    ----------
    outcome : str
        `approve`, `refer` or `decline`.
    product : str
    amount : int
        Fen: granted, or proposed to the person who decides; 0 where nothing is.
    term_months : int or None
    rate : Rate or None
    schedule : Schedule or None
        Of that amount, drawn on the day of the decision.
    reasons : tuple of DecisionReason
        Those that led to the outcome first.
    trace : dict
        Every figure on the way, JSON values only.
    identities : dict of str to str
        Of rules, products, strategy and its parts; and what the caller says of data, features, model and calibrator.
    verdict : Verdict
        Of the rules, with each condition of each rule.
    """

    outcome: Outcome
    product: str
    amount: int
    term_months: int | None
    rate: Rate | None
    schedule: Schedule | None
    reasons: tuple[DecisionReason, ...]
    trace: dict[str, Any]
    identities: dict[str, str]
    verdict: Verdict = field(compare=False, repr=False)

    @functools.cached_property
    def annual_rate(self) -> AnnualRate | None:
        """What it costs a year, all in; None where nothing is lent."""
        return None if self.schedule is None else self.schedule.annual_rate

    def record(self) -> dict[str, Any]:
        """JSON values of the decision, as it is logged and answered."""
        return {
            "outcome": self.outcome,
            "product": self.product,
            "amount": self.amount,
            "term_months": self.term_months,
            "rate": None if self.rate is None else {"ppm": self.rate.ppm, "per": self.rate.per},
            "annual_nominal": None if self.annual_rate is None else self.annual_rate.nominal,
            "annual_effective": None if self.annual_rate is None else self.annual_rate.effective,
            "schedule": None if self.schedule is None else schedule_record(self.schedule),
            "reasons": [asdict(reason) for reason in self.reasons],
            "trace": self.trace,
            "identities": self.identities,
        }


def schedule_record(plan: Schedule) -> list[dict[str, Any]]:
    """Instalments as JSON values; amounts in fen."""
    return [
        {
            "number": one.number,
            "due_on": one.due_on.isoformat(),
            "amount": one.amount,
            "principal": one.principal,
            "interest": one.interest,
            "fee": one.fee,
            "balance": one.balance,
        }
        for one in plan.instalments
    ]


def merged_reasons(
    outcome: Outcome, verdict: Verdict, bits: int, score_reasons: Sequence[Reason]
) -> tuple[DecisionReason, ...]:
    """What led to the outcome first: rules, then policy, then the score's reasons where it is the score; then the rest.

    A decline is told by what declined; a price or a limit that came to nothing is in the trace. A score that would have
    referred does not speak where a rule declines.
    """
    rules = [
        DecisionReason(
            "rule",
            one.rule.id,
            "note" if one.rule.severity == "flag" else one.rule.severity,
            one.rule.zh,
            one.rule.en,
        )
        for one in verdict.fired
    ]
    own = [DecisionReason("policy", one.code, one.severity, one.zh, one.en) for one in told(bits)]
    merged = sorted([*rules, *own], key=lambda reason: _RANK[reason.severity])  # stable: rules before policy
    if outcome == "approve":
        return tuple(merged)
    leading = [reason for reason in merged if reason.severity == outcome]
    rest = [] if outcome == "decline" else [reason for reason in merged if reason.severity != outcome]
    led, codes = {reason.code for reason in own if reason.severity == outcome}, {reason.code for reason in own}
    if not led & _FROM_SCORE and not ("L11" in codes and led & _BY_LIMIT):
        return (*leading, *rest)
    from_score = [DecisionReason("score", one.code, "note", one.zh, one.en) for one in score_reasons]
    return (*leading, *from_score, *rest)
