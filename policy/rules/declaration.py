"""A rule as it is declared: what is asked, what follows, who answers for it, from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from policy.rules.conditions import Condition

Severity = Literal["flag", "refer", "decline"]
SEVERITIES: tuple[Severity, ...] = ("flag", "refer", "decline")
"""From the mildest: note it, have a person look, refuse."""


@dataclass(frozen=True)
class Rule:
    """A rule: where all conditions are met, it fires.

    Parameters
    ----------
    id : str
        Such as `INQ-004`; its versions share it.
    version : int
    owner : str
        Role that answers for it.
    effective_from, effective_to : date
        First and last day in force, in China; without a last day it stays in force.
    severity : {"decline", "refer", "flag"}
    conditions : tuple of Condition
        All of them, the one on products among them.
    en, zh : str
        Why, as the applicant or a reviewer reads it.
    table : str
        Name of its table.
    place : str
        File and row.
    """

    id: str
    version: int
    owner: str
    effective_from: date
    effective_to: date | None
    severity: Severity
    conditions: tuple[Condition, ...]
    en: str
    zh: str
    table: str
    place: str

    def in_force(self, day: date) -> bool:
        """Whether it counts on a day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    def spec(self) -> dict[str, Any]:
        """Everything that was declared, for identities; where it stands does not matter."""
        return {
            "id": self.id,
            "version": self.version,
            "owner": self.owner,
            "effective_from": self.effective_from.isoformat(),
            "effective_to": self.effective_to and self.effective_to.isoformat(),
            "severity": self.severity,
            "conditions": [str(condition) for condition in self.conditions],
            "en": self.en,
            "zh": self.zh,
        }
