"""What the model is worth: beside a plain alternative, beside a challenger, and in money."""

from __future__ import annotations

from typing import Any

from evaluation.profit import Profit
from evaluation.report.comparison import FIGURES, NAMES
from evaluation.report.facts import Facts, Finding, Section
from reporting.page import Plot, Text, Unknown
from reporting.plots import lines


def _benchmark(facts: Facts) -> dict[str, Any]:
    report = facts.report
    profit = report.profit
    return {
        "alternative": report.alternative,
        "challenger": report.challenger,
        "populations": NAMES,
        "figures": FIGURES,
        "profit": profit,
        "profit_plots": [] if isinstance(profit, Unknown) or len(profit.curve) < 2 else [_profit_plot(profit)],
        "findings": _findings(facts),
    }


def _profit_plot(profit: Profit) -> Plot:
    curve = profit.curve
    place = 100 * curve["approval_rate"].to_numpy()
    return Plot(
        lines(
            "profit",
            [(place, curve["realised"].to_numpy()), (place, curve["expected"].to_numpy())],
            band=(curve["realised_low"].to_numpy(), curve["realised_high"].to_numpy()),
            per_cent=False,
            marks=False,
            from_zero=False,
        ),
        Text("按批准率的利润（每笔申请，元）", "Profit by approval rate (CNY per application)"),
        Text("批准率 %", "approval rate, %"),
        Text("元", "CNY"),
        [("a", Text("实现（95%区间）", "realised (95 % interval)")), ("b", Text("按PD预期", "expected by the PD"))],
    )


def _findings(facts: Facts) -> list[Finding]:
    challenger = facts.report.challenger
    if isinstance(challenger, Unknown) or challenger.widest.verdict != "worse":
        return []
    text = Text(
        "在相同申请上，挑战模型的AUC显著低于冠军模型。",
        "On the same applications the challenger's AUC is below the champion's beyond chance.",
    )
    return [Finding("bad", text)]


BENCHMARK = Section(
    "benchmark", Text("基准、挑战模型、换入换出与利润", "Benchmark, challenger, swap set, profit"), _benchmark
)
