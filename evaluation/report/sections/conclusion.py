"""What a reviewer signs: limits, findings, the clauses they answer to, and the hashes that pin it all down."""

from __future__ import annotations

from typing import Any

from evaluation.report.clauses import CLAUSES, LAWS
from evaluation.report.facts import Facts, Section
from reporting.page import Text


def _limitations(facts: Facts) -> dict[str, Any]:
    return {"limitations": facts.report.limitations}


def _findings(_: Facts) -> dict[str, Any]:
    """The findings themselves are those of all sections, which only the whole report knows."""
    return {}


def _clauses(_: Facts) -> dict[str, Any]:
    return {"laws": LAWS, "clauses": CLAUSES}


def _hashes(facts: Facts) -> dict[str, Any]:
    return {"identity": facts.report.identity, "hashes": sorted(facts.report.hashes.items())}


LIMITATIONS = Section(
    "limitations", Text("局限、人工干预与退出方案", "Limitations, overrides, exit plan"), _limitations
)
FINDINGS = Section("findings", Text("发现与签字", "Findings and sign-off"), _findings)
CLAUSES_TABLE = Section("clauses", Text("监管条款对照", "Sections and the rules they answer to"), _clauses)
HASHES = Section("hashes", Text("哈希", "Hashes"), _hashes)
