"""Drawings of the model-risk report: curves of discrimination and calibration, clouds of attributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from reporting.plots import INK, MUTED, A, Array, B, C, draw

_LOW_HIGH = LinearSegmentedColormap.from_list("low_high", ["#3b82f6", "#a78bfa", "#f43f5e"])


def _thinned(x: Array, y: Array, points: int = 300) -> tuple[Array, Array]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(int))
    return x[keep], y[keep]


def _rates(y: npt.NDArray[Any], pd: Array) -> tuple[Array, Array]:
    """False and true positive rate at every cut-off, from refusing nobody to refusing all."""
    order = np.argsort(-pd, kind="stable")
    last_of_ties = np.r_[np.flatnonzero(np.diff(pd[order])), len(pd) - 1]
    true, false = np.cumsum(y[order])[last_of_ties], np.cumsum(1 - y[order])[last_of_ties]
    return np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]


def roc(curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> str:
    """ROC curves of (y, pd) pairs: the first in colour `a`, the next in `b`, then `c`."""

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        for colour, (y, pd) in zip((A, B, C), curves, strict=False):
            axes.plot(*_thinned(*_rates(np.asarray(y), np.asarray(pd))), color=colour, linewidth=1.6)
        axes.set(xlim=(0, 1), ylim=(0, 1))

    return draw("roc", paint)


def ks(y: npt.ArrayLike, pd: npt.ArrayLike) -> str:
    """Cumulative share of good (`a`) and bad (`b`) loans over log-odds, with the widest gap marked."""
    label, probability = np.asarray(y), np.clip(np.asarray(pd, dtype=np.float64), 1e-9, 1 - 1e-9)
    score = np.log(probability / (1 - probability))
    grid = np.unique(score)

    def paint(axes: Axes) -> None:
        shares = []
        for colour, kind in ((A, 0), (B, 1)):
            ordered = np.sort(score[label == kind])
            share = np.searchsorted(ordered, grid, side="right") / len(ordered)
            axes.plot(*_thinned(grid, share), color=colour, linewidth=1.6)
            shares.append(share)
        widest = int(np.argmax(np.abs(shares[0] - shares[1])))
        axes.vlines(grid[widest], shares[1][widest], shares[0][widest], color=INK, linewidth=1.2)
        axes.set(ylim=(0, 1.01))

    return draw("ks", paint)


def reliability(mean_pd: Array, observed: Array, low: Array, high: Array) -> str:
    """Observed bad rate with its interval against mean PD, by decile, on logarithmic axes."""
    least = max(min(float(mean_pd.min()), float(observed[observed > 0].min(initial=1.0))) / 2, 1e-5)
    most = min(1.0, 1.4 * max(float(mean_pd.max()), float(high.max())))

    def paint(axes: Axes) -> None:
        axes.plot([least, most], [least, most], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        inside = np.maximum(observed, least)
        bars = np.vstack([inside - np.clip(low, least, inside), np.maximum(high, inside) - inside])
        axes.errorbar(mean_pd, inside, yerr=bars, fmt="o", color=A, markersize=4, linewidth=1.2, capsize=2)
        axes.set(xscale="log", yscale="log", xlim=(least, most), ylim=(least, most))
        ticks = [t for t in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if least <= t <= most]
        names = [f"{100 * t:g}%" for t in ticks]
        axes.set_xticks(ticks, names)
        axes.set_yticks(ticks, names)
        axes.minorticks_off()

    return draw("reliability", paint)


def _spread(values: Array, bins: int = 80) -> Array:
    """Vertical places in [-0.4, 0.4] that let equal values lie beside each other; no chance is involved."""
    if np.ptp(values) == 0:
        return np.asarray(np.linspace(-0.4, 0.4, len(values)))
    cell = np.digitize(values, np.linspace(values.min(), values.max(), bins))
    order = np.lexsort((np.arange(len(values)), cell))
    sorted_cell = cell[order]
    starts = np.flatnonzero(np.r_[True, np.diff(sorted_cell) > 0])
    within = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    fullest = float(np.bincount(cell).max())
    place = np.empty(len(values))
    place[order] = np.where(within % 2 == 0, 1, -1) * ((within + 1) // 2) / max(fullest / 2, 1) * 0.4
    return place


def _rank_colour(values: Array) -> Any:
    """Colour by rank of the value, grey where it is missing."""
    present = np.isfinite(values)
    colours = np.tile(np.array([0.55, 0.56, 0.58, 1.0]), (len(values), 1))
    if present.any():
        _, rank = np.unique(values[present], return_inverse=True)
        colours[present] = _LOW_HIGH(rank / max(int(rank.max()), 1))
    return colours


def beeswarm(names: Sequence[str], values: Array, attributions: Array) -> str:
    """One line of points a feature, most important first: place is the attribution, colour the rank of the value.

    Parameters
    ----------
    names : sequence of str
    values, attributions : ndarray, shape (n, len(names))
    """

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for k in range(len(names)):
            height = len(names) - 1 - k + _spread(attributions[:, k])
            colours = _rank_colour(values[:, k])
            axes.scatter(attributions[:, k], height, s=5, c=colours, linewidths=0, rasterized=True)
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.grid(axis="y", visible=False)

    margins = {"left": 0.36, "bottom": 0.06, "top": 0.99}
    return draw("beeswarm", paint, width=7.6, height=0.6 + 0.32 * len(names), **margins)


def dependence(name: str, values: Array, attributions: Array) -> str:
    """Attribution of one feature against its value, with the median by decile of value."""
    present = np.isfinite(values)
    x, y = values[present], attributions[present]

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=0.8)
        if len(x) == 0:
            return
        low, high = np.quantile(x, [0.005, 0.995])
        axes.scatter(x, y, s=6, color="#6b8fd6", alpha=0.45, linewidths=0, rasterized=True)
        edges = np.unique(np.quantile(x, np.linspace(0, 1, 11)))
        if len(edges) > 2:
            cell = np.clip(np.searchsorted(edges, x, side="left"), 1, len(edges) - 1)
            cells = np.unique(cell)
            middle = [(float(np.median(x[cell == c])), float(np.median(y[cell == c]))) for c in cells]
            axes.plot(*zip(*middle, strict=True), color=B, linewidth=1.6, marker="o", markersize=3)
        if high > low:
            pad = 0.03 * (high - low)
            axes.set_xlim(low - pad, high + pad)

    return draw(f"dependence-{name}", paint, left=0.13)


def interaction(name: str, first: Array, second: Array, values: Array) -> str:
    """What two features add together, against the first, coloured by the rank of the second, grey where it is missing.

    Rows without the first feature lie at the left end.
    """
    present = np.isfinite(first)
    low, high = np.quantile(first[present], [0.0, 1.0]) if present.any() else (0.0, 1.0)
    span = high - low or 1.0
    place = np.where(present, first, low - 0.08 * span)

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.scatter(place, values, s=14, c=_rank_colour(second), linewidths=0, rasterized=True)
        if not present.all():
            axes.axvline(low - 0.04 * span, color=MUTED, linewidth=0.6, linestyle=(0, (2, 2)))

    return draw(f"interaction-{name}", paint, left=0.15)
