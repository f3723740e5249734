"""The model-risk report: one HTML file that a reviewer opens from disk and signs or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evaluation.report.facts import Facts, Finding, Section
from evaluation.report.inputs import ReportInput
from evaluation.report.sections import (
    benchmark,
    conclusion,
    explanation,
    fairness,
    model,
    operation,
    performance,
    records,
    stability,
    weakness,
)
from reporting.page import Text, Unknown, fingerprint, render

SECTIONS: tuple[Section, ...] = (
    model.IDENTITY,
    records.DATA,
    records.SAMPLE,
    model.FEATURES,
    model.METHOD,
    performance.DISCRIMINATION,
    performance.CALIBRATION,
    stability.STABILITY,
    weakness.SEGMENTS,
    weakness.ROBUSTNESS,
    weakness.RELIABILITY,
    explanation.GLOBAL,
    explanation.LOCAL,
    explanation.ADDITIVITY,
    explanation.REASONS,
    fairness.FAIRNESS,
    benchmark.BENCHMARK,
    operation.IMPLEMENTATION,
    operation.MONITORING,
    conclusion.LIMITATIONS,
    conclusion.FINDINGS,
    conclusion.CLAUSES_TABLE,
    conclusion.HASHES,
    model.CATALOGUE,
)
_WEIGHTS = ("bad", "warn", "open")


def build_report(report: ReportInput) -> str:
    """Write the report as one self-contained HTML text; the same input gives the same bytes.

    Parameters
    ----------
    report : ReportInput
        Facts, samples with their PDs, attributions of a sample of the test, and what else was measured.

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.

    Raises
    ------
    ValueError
        Where shapes do not fit together; the message names every mismatch.
    """
    report.check()
    facts = Facts(report)
    told = [(section, section.context(facts)) for section in SECTIONS]
    identity = report.identity
    context: dict[str, Any] = {
        "title": Text(f"模型风险报告：{identity.model}", f"Model-risk report: {identity.model}"),
        "sections": [(section.id, section.title) for section in SECTIONS],
        "titles": {section.id: section.title for section in SECTIONS},
        "report": report,
        "told": told,
        "test": facts.test,
        "findings": sorted(_findings(told), key=lambda found: _WEIGHTS.index(found[1].weight)),
        "data": identity.data,
        "bundle": identity.bundle,
        "source": facts.source,
        "fingerprint": fingerprint(identity.bundle, identity.data, report.method.experiment),
    }
    return render("model_report.html.j2", context, "evaluation.report")


def _findings(told: list[tuple[Section, dict[str, Any]]]) -> Iterator[tuple[Section, Finding]]:
    """What every section found, and what each does not know."""
    for section, found in told:
        for finding in found.get("findings", ()):
            yield section, finding
        for reason in dict.fromkeys(one.reason for one in found.values() if isinstance(one, Unknown)):
            yield section, Finding("open", reason)
