"""The realism report's drawings: the lender in colour `a`, public data beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.realism.figures import MOST_INQUIRIES, MOST_TRADELINES, QUANTILES, roll_rates
from evaluation.realism.public_figures import PublicFigures
from evaluation.tables import wilson
from reporting.page import Plot, Text
from reporting.plots import MUTED, A, B, C, densities, grouped_bars, lines, ranked_bars

SHARE = Text("占比", "share")
DEFAULT_RATE = Text("违约率", "default rate")
OURS = ("a", Text("本机构", "this lender"))
CARDS = ("c", Text("card_monthly_status", "card_monthly_status"))
HOME_CREDIT = ("b", Text("Home Credit", "Home Credit"))
_SHOWN = 20


def default_rates(by_product: pd.DataFrame, overall: float, public: PublicFigures) -> Plot:
    """Default rates of products beside those of public data, each by its own definition."""
    own = [*by_product["rate"].items(), ("all", overall)]
    others = [(public.sources[key].name, rate) for key, rate in public.default_rate.items()]
    names, values = zip(*own, *((name.split(" (")[0], rate) for name, rate in others), strict=True)
    return Plot(
        ranked_bars("default-rates", names, values, colours=[A] * len(own) + [MUTED] * len(others), per_cent=True),
        Text("违约率：各产品与公开数据", "Default rate: products and public data"),
        DEFAULT_RATE,
        Text("产品 / 数据集", "product / data set"),
        [OURS, ("muted", Text("公开数据（各自的违约定义）", "public data, each by its own definition"))],
    )


def vintages(table: pd.DataFrame) -> Plot:
    """Default rate by quarter of application, with its interval."""
    return Plot(
        lines("vintages", [(np.arange(len(table)), table["rate"])], ticks=list(table.index), band=_band(table)),
        Text("各申请季度的违约率（95%区间）", "Default rate by quarter of application (95 % interval)"),
        Text("申请季度", "quarter of application"),
        DEFAULT_RATE,
    )


def maturity(name: str, curves: pd.DataFrame, title: Text, legend: Sequence[tuple[str, Text]]) -> Plot:
    """Share ever 30 days past due by months on book; a line a group."""
    months = np.concatenate([[0], curves.columns.to_numpy(dtype=np.float64)])
    drawn = [(months, np.concatenate([[0.0], row])) for row in curves.to_numpy(dtype=np.float64)]
    colours = (A, B, C, MUTED) if len(drawn) <= 4 else _fading(len(drawn))
    return Plot(
        lines(name, drawn, colours=colours),
        title,
        Text("账龄（月）", "months on book"),
        Text("曾逾期30天以上的占比", "share ever 30 days past due"),
        legend,
    )


def by_month(observed: pd.DataFrame, expected: pd.DataFrame) -> Plot:
    """Observed default rate by month of application, and the mean true PD of those granted and of all."""
    months = list(expected.index)
    place = {month: k for k, month in enumerate(months)}
    at = [place[month] for month in observed.index]
    curves = [(at, observed["rate"]), (range(len(months)), expected["granted"]), (range(len(months)), expected["all"])]
    return Plot(
        lines("months", curves, ticks=months, band=_band(observed), broad=True, marks=False),
        Text("各申请月的违约率与真实PD：宏观走势", "Default rate and true PD by month of application"),
        Text("申请月", "month of application"),
        Text("占比", "share"),
        [
            ("a", Text("已放款者的实际违约率（95%区间）", "observed among those granted (95 % interval)")),
            ("b", Text("已放款者的平均真实PD", "mean true PD of those granted")),
            ("c", Text("全部申请人的平均真实PD", "mean true PD of all")),
        ],
    )


def arrears(tables: Sequence[tuple[str, Text, pd.DataFrame]]) -> list[Plot]:
    """How arrears are spread, how they roll on and how they are cured; a colour a table of moves."""
    spread: list[list[float]] = []
    worse: list[list[float]] = []
    cured: list[list[float]] = []
    for _, _, counts in tables:
        open_counts = counts.iloc[:-1, :-1]
        months = counts.iloc[:-1].sum(axis="columns").to_numpy(dtype=np.float64)
        shares = roll_rates(open_counts).to_numpy()
        spread.append((months[1:] / months.sum()).tolist())
        worse.append([float(shares[k, k + 1 :].sum()) for k in range(5)])
        cured.append(shares[1:, 0].tolist())
    colours = [{"a": A, "b": B, "c": C}[colour] for colour, _, _ in tables]
    legend = [(colour, text) for colour, text, _ in tables]
    state = Text("逾期月数（5：四个月以上或核销）", "months past due (5: over four, or written off)")
    drawings: list[tuple[str, str, list[list[float]], Text]] = [
        ("arrears-spread", "12345", spread, Text("逾期账户月的占比", "Share of account months in arrears")),
        ("arrears-worse", "01234", worse, Text("下月恶化的概率", "Chance to be worse a month later")),
        ("arrears-cured", "12345", cured, Text("下月结清逾期的概率", "Chance to be cured a month later")),
    ]
    return [
        Plot(grouped_bars(name, list(labels), bars, colours=colours, per_cent=True), title, state, SHARE, legend)
        for name, labels, bars, title in drawings
    ]


def utilisation(name: str, curves: Sequence[tuple[str, Text, Sequence[float]]], title: Text) -> Plot:
    """Utilisation at each share of accounts, from the least used on."""
    colours = [{"a": A, "b": B, "c": C}[colour] for colour, _, _ in curves]
    drawn = [(QUANTILES, np.minimum(values, 1.2)) for _, _, values in curves]
    return Plot(
        lines(name, drawn, colours=colours, marks=False),
        title,
        Text("账户分位", "quantile of accounts"),
        Text("余额/额度", "balance over limit"),
        [(colour, text) for colour, text, _ in curves],
    )


def counts(name: str, ours: Sequence[float], public: Sequence[float], title: Text) -> Plot:
    """Shares of applications by a number of records."""
    most = MOST_INQUIRIES if len(public) == MOST_INQUIRIES + 1 else MOST_TRADELINES
    labels = [*map(str, range(most)), f"{most}+"]
    return Plot(
        grouped_bars(name, labels, [ours, public], per_cent=True),
        title,
        Text("数量", "how many"),
        Text("申请占比", "share of applications"),
        [OURS, HOME_CREDIT],
    )


def payments(ours: dict[str, float], public: dict[str, float]) -> Plot:
    """How payments come."""
    labels = ["early", "on day", "late", "30+ late", "partial"]
    return Plot(
        grouped_bars("payments", labels, [list(ours.values()), list(public.values())], per_cent=True),
        Text(
            "还款：提前(early)、到期日(on day)、逾期(late)、逾期30天(30+ late)、部分(partial)",
            "Payments: before the due day, on it, after it, 30 days after it, of a part",
        ),
        Text("还款方式", "how it came"),
        Text("还款笔数占比", "share of payments"),
        [OURS, HOME_CREDIT],
    )


def single_features(table: pd.DataFrame, limit: float) -> Plot:
    """AUC of the strongest features alone."""
    top = table.head(_SHOWN)
    return Plot(
        ranked_bars("single-features", list(top.index), top["auc"].tolist(), colours=[A], limit=limit, start=0.5),
        Text(f"单特征AUC最高的{len(top)}个", f"The {len(top)} strongest features, each alone"),
        Text("AUC；虚线为承诺的上限", "AUC; the dashed line is the promised limit"),
        Text("特征", "feature"),
    )


def decisions(truth: pd.DataFrame) -> Plot:
    """Log-odds of the true PD of those granted and those refused."""
    inside = np.clip(truth["true_pd"].to_numpy(dtype=np.float64), 1e-9, 1 - 1e-9)
    log_odds, granted = np.log(inside / (1 - inside)), truth["granted"].to_numpy(dtype=bool)
    return Plot(
        densities("decisions", [log_odds[granted], log_odds[~granted]]),
        Text("真实PD：批准与拒绝", "True PD: granted and refused"),
        Text("真实PD的对数几率", "log-odds of the true PD"),
        SHARE,
        [("a", Text("批准", "granted")), ("b", Text("拒绝", "refused"))],
    )


def _band(table: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return wilson(table["bad"], table["loans"])


def _fading(n: int) -> list[str]:
    """Shades of one colour, the last group in full."""
    return [f"{A}{round(255 * (0.2 + 0.8 * k / max(n - 1, 1))):02x}" for k in range(n)]
