"""What a run looked like, as SVG files that stand alone: the search, the loss by round or epoch, a report's plots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reporting.page import Plot, Text
from reporting.plots import MUTED, A, B, draw, ranked_bars
from training.tune import Tuning

PARTS = {
    "boosted": Text("树模型", "Trees"),
    "tabular_net": Text("表格网络", "Tabular net"),
    "sequence_net": Text("序列网络", "Sequence net"),
}
_COLOURS = {"ink": "#16191d", "muted": "#5f6873", "line": "#dde1e6", "a": "#1f5fbf", "b": "#c2451c", "c": "#0f7a68"}
_MARGIN, _ABOVE, _BELOW = 18.0, 28.0, 32.0


def search_plots(found: Tuning) -> list[Plot]:
    """The AUC of each trial and the best so far; with two finished trials also how much each parameter matters."""
    trials = found.trials.dropna(subset="value").sort_values("number")
    complete = trials[trials["state"] == "COMPLETE"]
    pruned = trials[trials["state"] == "PRUNED"]

    def paint(axes: Axes) -> None:
        axes.plot(pruned["number"], pruned["value"], "o", color=MUTED, markersize=3, markerfacecolor="none")
        axes.plot(complete["number"], complete["value"], "o", color=A, markersize=4)
        axes.step(complete["number"], complete["value"].cummax(), where="post", color=B, linewidth=1.4)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    plots = [
        Plot(
            draw("search_history", paint),
            Text("参数搜索历史", "Optimisation history"),
            Text("试验编号", "Trial"),
            Text("内层折平均 AUC", "Mean AUC over inner folds"),
            (
                ("a", Text("完成", "complete")),
                ("muted", Text("剪枝", "pruned")),
                ("b", Text("迄今最优", "best so far")),
            ),
        )
    ]
    if found.importances:
        names, shares = list(found.importances), list(found.importances.values())
        plots.append(
            Plot(
                ranked_bars("search_importances", names, shares, colours=[A] * len(names), per_cent=True),
                Text("参数重要性", "Importance of the parameters"),
                Text("解释的 AUC 方差占比 (fANOVA)", "Share of the AUC's variance (fANOVA)"),
                Text("", ""),
            )
        )
    return plots


def learning_plots(histories: Mapping[str, Sequence[Sequence[float]]]) -> list[Plot]:
    """Held-out log loss by round or epoch, a plot a part and a line a seed; none of a part that held nothing out.

    Parameters
    ----------
    histories : mapping of str to sequence of sequences of float
        By the part's name, a list a seed.
    """
    plots = []
    for name, seeds in histories.items():
        told = [np.asarray(losses, dtype=np.float64) for losses in seeds if len(losses)]
        if not told:
            continue

        def paint(axes: Axes, told: Sequence[np.ndarray] = told) -> None:
            for at, losses in reversed(list(enumerate(told))):
                colour, width = (A, 1.6) if at == 0 else (MUTED, 0.8)
                axes.plot(np.arange(1, len(losses) + 1), losses, color=colour, linewidth=width)
                lowest = int(np.argmin(losses))
                axes.plot(lowest + 1, losses[lowest], "o", color=B, markersize=4 if at == 0 else 2.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))

        step = Text("轮次", "Round") if name == "boosted" else Text("训练周期", "Epoch")
        seeds_text = (("muted", Text("其他种子", "other seeds")),) if len(told) > 1 else ()
        title = PARTS.get(name, Text(name, name))
        plots.append(
            Plot(
                draw(f"loss_{name}", paint),
                Text(f"{title.zh}：留出样本对数损失", f"{title.en}: held-out log loss"),
                step,
                Text("对数损失", "Log loss"),
                (("a", Text("首个种子", "first seed")), *seeds_text, ("b", Text("最低点", "lowest"))),
            )
        )
    return plots


def as_svg(plots: Sequence[Plot]) -> str:
    """Plots side by side as one SVG file, with titles, axes and legends in both languages.

    Examples
    --------
    >>> as_svg([Plot('<svg viewBox="0 0 100 50"></svg>', Text("标题", "Title"), Text("", ""), Text("", ""))])[:51]
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 '
    """
    left, height, drawn = _MARGIN, 0.0, []
    for plot in plots:
        width, high = _size(plot.svg)
        below = [_both(plot.x)] if _both(plot.x) else []
        heading = [_text(left, 12, _both(plot.title), 10.5, "ink", weight=600)]
        if _both(plot.y):
            heading.append(_text(left, 23, _both(plot.y), 8.5, "muted"))
        at = left
        for colour, meaning in plot.legend:
            heading.append(_text(at, _ABOVE + high + 24, f"● {_both(meaning)}", 8.5, colour))
            at += 24 + 5.2 * _width(_both(meaning))
        placed = plot.svg.replace("<svg ", f'<svg x="{left}" y="{_ABOVE}" width="{width}" height="{high}" ', 1)
        axis = [_text(left + width / 2, _ABOVE + high + 11, text, 8.5, "muted", anchor="middle") for text in below]
        drawn += [*heading, placed, *axis]
        broad = max(width, at - left, 6.3 * _width(_both(plot.title)))
        left, height = left + broad + _MARGIN, max(height, _ABOVE + high + _BELOW)
    whole = "\n".join(drawn)
    for name, colour in _COLOURS.items():
        whole = whole.replace(f"var(--{name})", colour)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left:.1f} {height:.1f}" width="{1.6 * left:.0f}" '
        f'height="{1.6 * height:.0f}" font-family="sans-serif"><rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{whole}\n</svg>\n"
    )


def _size(svg: str) -> tuple[float, float]:
    found = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
    if found is None:
        raise ValueError("a drawing without a viewBox; draw it with reporting.plots")
    return float(found.group(1)), float(found.group(2))


def _both(text: Text) -> str:
    return " · ".join(dict.fromkeys(part for part in (text.zh, text.en) if part))


def _width(text: str) -> int:
    """Columns of a text: a Chinese character is two wide."""
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def _text(x: float, y: float, text: str, size: float, colour: str, *, anchor: str = "start", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="var(--{colour})">{escape(text)}</text>'
    )
