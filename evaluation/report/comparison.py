"""The comparison of two bundles as one HTML file, for whoever decides which of them answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from evaluation.comparison import Comparison
from evaluation.paired import Population
from evaluation.report import plots
from reporting.page import Plot, Text, render
from reporting.plots import densities, grouped_bars

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("verdict", Text("结论", "Verdict")),
    ("figures", Text("指标", "Figures")),
    ("plots", Text("图形", "Drawings")),
    ("swaps", Text("换入换出客群", "Swap set")),
    ("method", Text("方法", "Method")),
)
NAMES = {
    "granted": Text("已放款", "Granted"),
    "refused": Text("被拒", "Refused"),
    "all": Text("全部申请", "All applicants"),
}
FIGURES = (
    ("auc", Text("AUC", "AUC")),
    ("brier", Text("Brier分数", "Brier score")),
    ("log_loss", Text("对数损失", "Log loss")),
    ("ece", Text("期望校准误差(ECE)", "Expected calibration error (ECE)")),
    ("calibration_in_the_large", Text("平均PD减坏账率", "Mean PD minus bad rate")),
)
_MODELS = (("a", Text("冠军模型", "champion")), ("b", Text("挑战模型", "challenger")))


def build_comparison(
    found: Comparison, *, champion: str, challenger: str, facts: list[tuple[Text, str]], created: str = ""
) -> str:
    """Write a comparison as self-contained HTML; the same input gives the same bytes.

    Parameters
    ----------
    found : Comparison
    champion, challenger : str
        Names of the two.
    facts : list of (Text, str)
        What else the page says of them and of the data.
    created : str
        When, as the caller wants it printed; empty prints none.

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.
    """
    context: dict[str, Any] = {
        "title": Text(f"模型对比：{challenger} 与 {champion}", f"Comparison of {challenger} with {champion}"),
        "sections": SECTIONS,
        "found": found,
        "names": NAMES,
        "figures": FIGURES,
        "facts": facts,
        "created": created,
        "plots": _plots(found),
    }
    return render("comparison.html.j2", context, "evaluation.report")


def _plots(found: Comparison) -> list[Plot]:
    widest = found.widest
    who = NAMES[widest.name]
    drawn = [
        Plot(
            densities("log-odds", list(widest.log_odds)),
            Text(f"对数几率分布：{who.zh}", f"Log-odds: {who.en}"),
            Text("对数几率，越高风险越大", "log-odds, higher is riskier"),
            Text("占比", "share"),
            _MODELS,
        ),
        Plot(
            grouped_bars("levels", [population.name for population in found.populations], _levels(found.populations)),
            Text("平均PD与坏账率", "Mean PD and bad rate"),
            Text("客群", "population"),
            Text("比率", "rate"),
            (*_MODELS, ("c", Text("实际坏账率", "bad rate"))),
        ),
    ]
    if 0 < widest.bad < widest.rows:
        roc = Plot(
            plots.roc([(widest.y, one) for one in widest.log_odds]),
            Text(f"ROC曲线：{who.zh}", f"ROC curve: {who.en}"),
            Text("误报率（好客户被拒）", "false positive rate (good loans refused)"),
            Text("命中率（坏客户被拒）", "true positive rate (bad loans refused)"),
            _MODELS,
        )
        drawn.insert(0, roc)
    return drawn


def _levels(populations: tuple[Population, ...]) -> list[list[float]]:
    means = [[float(expit(one).mean()) for one in population.log_odds] for population in populations]
    return [*np.array(means).T.tolist(), [population.bad / population.rows for population in populations]]
