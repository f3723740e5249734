"""Plots of the book over time: vintages on top of each other."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from evaluation.vintages import ALL
from reporting.page import Plot, Text
from reporting.plots import INK, draw

_MOST, _LEAST_ACCOUNTS = 8, 20


def vintages(curves: pd.DataFrame) -> Plot | None:
    """Share ever so late by months on book, a line a vintage, the youngest the darkest; None where no vintage is large.

    Vintages of few accounts, and points that less than half of a vintage can have reached, are left out.
    """
    dpd = int(curves["dpd"].iloc[0])
    most = curves.groupby("vintage")["n"].transform("max")
    kept = (curves["n"] >= _LEAST_ACCOUNTS) & (curves["n"] >= most / 2) & (curves["months_on_book"] > 0)
    shown = curves[kept]
    names = [name for name in shown["vintage"].unique() if name != ALL][-_MOST:]
    if not names:
        return None
    shades = mpl.colormaps["viridis"](np.linspace(0.85, 0.1, len(names)))

    def paint(axes: Axes) -> None:
        for shade, name in zip(shades, names, strict=True):
            line = shown[shown["vintage"] == name]
            axes.plot(line["months_on_book"], 100 * line["rate"], color=shade, linewidth=1.3)
            last = line.iloc[-1]
            axes.annotate(
                name, (last["months_on_book"], 100 * last["rate"]), xytext=(3, 0), textcoords="offset points",
                va="center", fontsize=7,
            )  # fmt: skip
        whole = shown[shown["vintage"] == ALL]
        axes.plot(whole["months_on_book"], 100 * whole["rate"], color=INK, linewidth=1.6, linestyle=(0, (4, 2)))
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, 1.12 * float(shown["months_on_book"].max()))

    return Plot(
        draw("vintages", paint, width=7.2, height=3.2, left=0.07),
        Text(
            f"账龄曲线：曾逾期{dpd}天及以上的账户占比", f"Vintages: share of accounts ever {dpd} or more days past due"
        ),
        Text("账龄（月）", "months on book"),
        Text("占比 %", "% of accounts"),
        [("muted", Text("虚线：全部", "dashed: all"))],
    )
