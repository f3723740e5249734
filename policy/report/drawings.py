"""Drawings of the strategy reports: what can be reached, and where strategies stand."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from policy.optimise import Frontier
from reporting.page import Plot, Text
from reporting.plots import INK, MUTED, A, B, C, draw

Point = tuple[float | None, float | None, Text]
_REACHED = ("a", Text("可达到的最优（另一半客户上的结果）", "best that can be reached, as told on the other half"))
_BY_PD = (
    "a",
    Text("虚线：仅按PD批准最安全者，不看规则与价格", "dashed: the safest by PD alone, no rules and no prices"),
)
_BEST = ("muted", Text("知道真实PD者的最优：任何模型的上限", "whoever knows the true PD: no model can do better"))
_APPROVED = Text("批准率", "approval rate")


def bad_rates(frontier: Frontier, points: Sequence[Point], bound: float | None = None) -> Plot:
    """Bad rate by approval rate: the frontier, the bound of any model, and where strategies stand."""

    def paint(axes: Axes) -> None:
        if frontier.best is not None:
            axes.plot(frontier.best["approval_rate"], frontier.best["bad_rate"], color=MUTED, linewidth=1.4)
        axes.plot(frontier.by_pd["approval_rate"], frontier.by_pd["bad_rate"], color=A, linewidth=1, linestyle="--")
        axes.plot(frontier.curve["told_approval_rate"], frontier.curve["told_bad_rate"], color=A, linewidth=1.8,
                  marker="o", ms=2.5)  # fmt: skip
        for (x, y, _), colour in zip(points, (B, C), strict=False):
            if x is not None and y is not None:
                axes.plot([x], [y], marker="D", ms=7, color=colour)
        if bound is not None:
            axes.axhline(bound, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        _per_cent(axes)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(bottom=0)

    best = () if frontier.best is None else (_BEST,)
    return Plot(
        draw("frontier", paint, width=7.2, height=3.4, left=0.07, right=0.96),
        Text("效率前沿：批准率与坏账率", "Efficient frontier: approvals and bad loans"),
        _APPROVED,
        Text("批准者的坏账率", "bad rate of those approved"),
        (_REACHED, _BY_PD, *best, *_legend(points)),
    )


def profits(frontier: Frontier, points: Sequence[Point]) -> Plot:
    """Profit by approval rate along the frontier."""

    def paint(axes: Axes) -> None:
        axes.plot(frontier.curve["told_approval_rate"], frontier.curve["told_profit"], color=A, linewidth=1.8,
                  marker="o", ms=2.5)  # fmt: skip
        for (x, y, _), colour in zip(points, (B, C), strict=False):
            if x is not None and y is not None:
                axes.plot([x], [y], marker="D", ms=7, color=colour)
        _per_cent(axes)

    return Plot(
        draw("frontier-profit", paint, width=7.2, height=3.0, left=0.09, right=0.96),
        Text("同一前沿上的实现利润", "Realised profit along the same frontier"),
        _APPROVED,
        Text("元/申请", "CNY an application"),
        (_REACHED, *_legend(points)),
    )


def _legend(points: Sequence[Point]) -> tuple[tuple[str, Text], ...]:
    return tuple((colour, name) for (_, _, name), colour in zip(points, ("b", "c"), strict=False))


def _per_cent(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
