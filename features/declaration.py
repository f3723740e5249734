"""A feature as it is declared: its value, and what people need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from features.nodes import Node
from features.sources import Group


@dataclass(frozen=True)
class Reason:
    """What an applicant is told when features of this kind speak against the application."""

    code: str
    en: str
    zh: str


@dataclass(frozen=True, eq=False)
class Feature:
    """One number about an applicant at `as_of`, with what people need to know of it.

    Parameters
    ----------
    name : str
        `<source>_<measure>_<statistic>_<window>`.
    value : Node
        What it is: an aggregate of a source, or an expression over aggregates, application columns and other features.
    en, zh : str
        Description in English and Chinese.
    unit : str
        `CNY`, `count`, `days`, `ratio` ...
    risk : {+1, -1, 0}
        The direction in which it moves risk, as far as the business demands it; a monotone constraint.
    reason : Reason
        Told when it speaks against an applicant.
    group : {"application", "bureau", "consumption", "repayment", "business"}
        Where it comes from.
    missing : str
        What it means when it is missing.
    """

    name: str
    value: Node
    en: str
    zh: str
    unit: str
    reason: Reason
    group: Group
    risk: Literal[-1, 0, 1] = 0
    missing: str = "no such record, or the source is absent"

    @property
    def reason_en(self) -> str:
        """Reason text in English."""
        return self.reason.en

    @property
    def reason_zh(self) -> str:
        """Reason text in Chinese."""
        return self.reason.zh

    def spec(self) -> dict[str, Any]:
        """Everything that was declared, for the identity of a feature set."""
        return {
            "name": self.name,
            "value": self.value.spec(),
            "en": self.en,
            "zh": self.zh,
            "unit": self.unit,
            "risk": self.risk,
            "reason": [self.reason.code, self.reason.en, self.reason.zh],
            "group": self.group,
            "missing": self.missing,
        }
