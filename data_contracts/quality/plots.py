"""Drawings of the data-quality report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from data_contracts.quality.coverage import PROVIDER_NAMES, PROVIDERS, Coverage
from data_contracts.quality.history import Delivery
from reporting.page import Plot, Text
from reporting.plots import INK, MUTED, A, B, C, draw

_COLOURS = dict(zip("abc", (A, B, C), strict=True))
_FEWEST_BATCHES = 2
_MOST_BATCHES = 60


def batch_plots(came: Sequence[Delivery]) -> list[Plot]:
    """Draw rows and quarantined shares of batches in their order; nothing where there is a single one."""
    came = came[-_MOST_BATCHES:]
    if len(came) < _FEWEST_BATCHES:
        return []
    place = np.arange(len(came))
    names = [one.identity[:6] or "–" for one in came]
    accepted = np.array([sum(one.rows.values()) for one in came], dtype=np.float64)
    out = np.array([sum(one.kept_out.values()) for one in came], dtype=np.float64)
    refused = np.array([0 if one.accepted else sum(one.delivered.values()) for one in came], dtype=np.float64)
    flagged = np.array([one.counted("flagged").total() for one in came], dtype=np.float64)
    came_in = np.maximum(accepted + out, 1)

    def rows(axes: Axes) -> None:
        axes.bar(place, accepted, 0.7, color=A)
        axes.bar(place, out, 0.7, bottom=accepted, color=B)
        axes.bar(place, refused, 0.7, color=MUTED, alpha=0.55)
        _batches(axes, names)

    def shares(axes: Axes) -> None:
        inside = [k for k, one in enumerate(came) if one.accepted]
        for colour, share in ((B, out / came_in), (C, flagged / came_in)):
            axes.plot(place[inside], 100 * share[inside], color=colour, marker="o", markersize=4, linewidth=1.5)
        axes.set_ylim(bottom=0)
        _batches(axes, names)

    batch = Text("批次", "batch")
    legend = [
        ("a", Text("接收", "accepted")),
        ("b", Text("隔离", "quarantined")),
        ("muted", Text("整批拒收", "refused")),
    ]
    return [
        Plot(
            draw("batch-rows", rows, left=0.16), Text("各批次行数", "Rows by batch"), batch, Text("行", "rows"), legend
        ),
        Plot(
            draw("batch-shares", shares, left=0.13),
            Text("每100行的隔离行数与标记数", "Rows quarantined and flags, per 100 rows"),
            batch,
            Text("每100行新送达的记录", "per 100 new rows"),
            [("b", Text("隔离", "quarantined")), ("c", Text("标记", "flags"))],
        ),
    ]


def _batches(axes: Axes, names: Sequence[str]) -> None:
    every = max(1, -(-len(names) // 6))
    axes.set_xticks(np.arange(len(names))[::every], list(names)[::every])
    axes.grid(axis="x", visible=False)


def coverage_plot(coverage: Coverage) -> Plot | None:
    """Coverage of each source by month against the target; None where the lender's dates are made up."""
    by_month = {name: facts["by_month"] for name, facts in coverage.summary()["providers"].items() if facts["tables"]}
    drawn = [name for name in PROVIDERS if len(by_month.get(name, {})) > 1][: len(_COLOURS)]
    if not drawn:
        return None
    months = sorted({month for name in drawn for month in by_month[name]})

    def paint(axes: Axes) -> None:
        axes.axhline(100 * coverage.target, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        for colour, name in zip(_COLOURS.values(), drawn, strict=False):
            line = [100 * by_month[name][month]["share"] if month in by_month[name] else np.nan for month in months]
            axes.plot(np.arange(len(months)), line, color=colour, linewidth=1.5)
        every = max(1, len(months) // 8)
        axes.set_xticks(np.arange(len(months))[::every], months[::every])
        least = 100 * min(of["share"] for name in drawn for of in by_month[name].values())
        axes.set_ylim(max(0, min(least, 100 * coverage.target) - 10), 101)

    return Plot(
        draw("coverage", paint, width=7.2, height=2.9, left=0.07),
        Text("按申请月份的覆盖率；虚线为目标", "Coverage by month of application; the dashed line is the target"),
        Text("申请月份", "month of application"),
        Text("覆盖的申请占比 %", "% of the applications concerned"),
        [(colour, PROVIDER_NAMES[name]) for colour, name in zip(_COLOURS, drawn, strict=False)],
    )
