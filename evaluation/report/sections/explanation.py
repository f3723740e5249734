"""Why the model says what it says: overall, for single applicants, and whether these reasons hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.fidelity import LEAST_RANK_CORRELATION
from evaluation.metric import Array
from evaluation.reason_checks import LEAST_AGREEMENT
from evaluation.report import drawings, explanation
from evaluation.report.facts import Facts, Finding, Section
from reporting.page import Text, Unknown

ADDITIVITY_LIMIT = 1e-4
NOTHING = Unknown(Text("没有被解释的行。", "No row was explained."))
_SHOWN, _DEPENDENCE, _POINTS, _PAIRS_DRAWN = 15, 4, 2000, 2


def _global(facts: Facts) -> dict[str, Any]:
    rows, columns = _sampled(facts), _columns(facts, _SHOWN)
    interactions, months = facts.report.explained.interactions, facts.report.explained.months
    pairs = [] if isinstance(interactions, Unknown) else interactions.pairs
    longest = max((pair.mean_abs for pair in pairs), default=1.0)
    return {
        "explained": len(facts.report.explained.rows),
        "ranked": facts.ranked[:_SHOWN],
        "groups": explanation.group_importances(facts.report),
        "summary": drawings.summary(facts, rows, columns),
        "dependence": [drawings.dependence(facts, rows, k) for k in columns[:_DEPENDENCE]] if len(rows) else [],
        "months": months,
        "month_rows": [] if isinstance(months, Unknown) else _by_month(facts, months),
        "interactions": interactions,
        "pairs": [(pair, 100 * pair.mean_abs / longest) for pair in pairs],
        "interaction_plots": [
            drawings.interaction(facts, pair, interactions.rows)
            for pair in pairs[:_PAIRS_DRAWN]
            if not isinstance(interactions, Unknown)
        ],
    }


def _by_month(facts: Facts, months: Array) -> list[tuple[Text, list[float], list[float]]]:
    """Each source of events with its mean absolute attribution by month, and that as a share of the largest."""
    sizes = np.abs(months).mean(axis=0) if len(months) else np.zeros(months.shape[1:])
    most = float(sizes.max(initial=0.0)) or 1.0
    sources = facts.report.explained.attributions.sources
    return [
        (explanation.source_text(source), [float(size) for size in row], [float(size) / most for size in row])
        for source, row in zip(sources, sizes, strict=True)
    ]


def _sampled(facts: Facts) -> npt.NDArray[np.int64]:
    n = len(facts.report.explained.rows)
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(np.int64)) if n else np.empty(0, dtype=np.int64)


def _columns(facts: Facts, count: int) -> list[int]:
    place = {feature.name: k for k, feature in enumerate(facts.report.features.declared)}
    return [place[item.name] for item in facts.ranked if item.name in place][:count]


def _local(facts: Facts) -> dict[str, Any]:
    report = facts.report
    rows = explanation.typical_rows(report.explained.log_odds, report.applicants)
    return {
        "base": float(report.explained.attributions.base),
        "groups": explanation.GROUPS,
        "applicants": [explanation.applicant(report, row) for row in rows],
    }


def _additivity(facts: Facts) -> dict[str, Any]:
    worst = float(np.abs(facts.residual).max()) if len(facts.residual) else None
    reasons, findings = facts.report.reasons, []
    if worst is not None and worst > ADDITIVITY_LIMIT:
        text = Text(
            f"归因之和与对数几率最大相差{worst:.2e}，超过{ADDITIVITY_LIMIT:.0e}。",
            f"Attributions miss the log-odds by up to {worst:.2e}, more than {ADDITIVITY_LIMIT:.0e}.",
        )
        findings.append(Finding("bad", text))
    for one in () if isinstance(reasons, Unknown) else reasons.fidelity:
        if not one.passed:
            text = Text(
                f"{one.part}的归因与抽样Shapley值的秩相关为{one.rank_correlation:.3f}，低于{LEAST_RANK_CORRELATION}。",
                f"Attributions of {one.part} rank like sampled Shapley values to {one.rank_correlation:.3f} only, less "
                f"than {LEAST_RANK_CORRELATION}.",
            )
            findings.append(Finding("warn", text))
    return {
        "worst": worst,
        "limit": ADDITIVITY_LIMIT,
        "explained": len(facts.residual),
        **({} if worst is not None else {"nothing": NOTHING}),
        "reasons": reasons,
        "least": LEAST_RANK_CORRELATION,
        "findings": findings,
    }


def _reasons(facts: Facts) -> dict[str, Any]:
    reasons = facts.report.reasons
    if isinstance(reasons, Unknown):
        return {"reasons": reasons}
    found, findings = reasons.agreement, []
    if found.share is None:
        findings.append(Finding("open", Text("没有可比较的原因。", "There was no answer to compare the reasons of.")))
    elif not found.passed:
        text = Text(
            f"服务给出的原因与重新计算的一致率为{found.share:.1%}，低于{LEAST_AGREEMENT:.0%}。",
            f"Served reasons agree with fresh attributions for {found.share:.1%} of applicants, less than "
            f"{LEAST_AGREEMENT:.0%}.",
        )
        findings.append(Finding("bad", text))
    return {"reasons": reasons, "least": LEAST_AGREEMENT, "findings": findings}


GLOBAL = Section("global", Text("全局解释", "Global explanation"), _global)
LOCAL = Section("local", Text("个案解释", "Explanation of single applicants"), _local)
ADDITIVITY = Section("additivity", Text("可加性与解释的稳定性", "Additivity, stability of explanation"), _additivity)
REASONS = Section("reasons", Text("原因码一致性", "Agreement of reason codes"), _reasons)
